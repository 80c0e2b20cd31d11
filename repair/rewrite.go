package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"restante/blob"
	"restante/repo"
	"restante/snapshot"
)

// How many entries, and pieces of theirs, are looked up at once.
const (
	maxEntries = 1 << 13
	maxPieces  = 1 << 16
)

// A rewriter makes the trees of one snapshot anew.
type rewriter struct {
	r       *repo.Repository
	suspect func(pack blob.ID) bool
	builder *snapshot.Builder
	saver   snapshot.Saver
	lost    losses

	window []entry
	pieces []blob.ID // that the window's files need
}

// An entry is one of the window, and what is wrong with it, if anything.
type entry struct {
	rec    snapshot.Record
	pieces []snapshot.Piece
	why    error
}

// run changes the trees of a snapshot, if something is lost, and returns what is.
func (w *rewriter) run(ctx context.Context, s *snapshot.Snapshot) (*losses, error) {
	gaps := false
	for rec, err := range snapshot.OpenTree(w.r, s.Tree).All(ctx, snapshot.Range{}) {
		if err == nil {
			err = w.add(ctx, rec)
		} else {
			gaps = true
			err = w.gap(ctx, err)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := w.flush(ctx); err != nil {
		return nil, err
	}
	var err error
	if s.Tree, err = w.builder.Finish(ctx); err != nil {
		return nil, err
	}
	if gaps {
		s.Unlisted = nil // it counts folders, of which some may be lost
	}
	if err := w.mailboxes(ctx, s); err != nil {
		return nil, err
	}
	return &w.lost, nil
}

// add takes an entry into the window.
func (w *rewriter) add(ctx context.Context, rec snapshot.Record) error {
	e := entry{rec: rec}
	if rec.Entry.Kind == snapshot.File {
		for it, err := range snapshot.Items(ctx, w.r, &rec.Entry.Recipe, 0) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if repo.Unreadable(err) {
				return err
			}
			if err != nil {
				e.why = fmt.Errorf("its recipe cannot be read: %w", err)
				break
			}
			e.need(&it.Item)
			if len(e.pieces) > maxPieces { // a file of very many pieces is judged by and by
				if err := w.judge(ctx, &e); err != nil {
					return err
				}
			}
		}
	}
	w.window = append(w.window, e)
	for _, p := range e.pieces {
		w.pieces = append(w.pieces, p.ID)
	}
	if len(w.window) < maxEntries && len(w.pieces) < maxPieces {
		return nil
	}
	return w.flush(ctx)
}

func (e *entry) need(it *snapshot.Item) {
	switch it.Kind {
	case snapshot.PieceItem:
		e.pieces = append(e.pieces, it.Piece)
	case snapshot.Base64Item:
		e.pieces = append(e.pieces, it.Base64.Pieces...)
	}
}

// judge looks up the pieces that an entry needs so far.
func (w *rewriter) judge(ctx context.Context, e *entry) error {
	ids := make([]blob.ID, len(e.pieces))
	for i, p := range e.pieces {
		ids[i] = p.ID
	}
	verdicts, err := w.lookUp(ctx, ids)
	if err == nil {
		e.decide(verdicts)
	}
	return err
}

// decide keeps what is wrong with the first piece that is lost.
func (e *entry) decide(verdicts map[blob.ID]verdict) {
	for _, p := range e.pieces {
		if e.why != nil {
			break
		}
		v := verdicts[p.ID]
		if e.why = v.why; e.why == nil && v.size != p.Size {
			e.why = fmt.Errorf("piece %s has %d bytes in the index and %d here", p.ID.Short(), v.size, p.Size)
		}
	}
	e.pieces = nil
}

// A verdict says of a piece whether it can be read.
type verdict struct {
	size uint32
	why  error // nil: it can
}

// lookUp tells of pieces whether they can be read. Those in packs that something
// is wrong with are read.
func (w *rewriter) lookUp(ctx context.Context, ids []blob.ID) (map[blob.ID]verdict, error) {
	slices.SortFunc(ids, blob.ID.Compare)
	ids = slices.Compact(ids)
	places, err := w.r.Places(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[blob.ID]verdict, len(ids))
	var doubts []repo.Located
	for i, at := range places {
		switch {
		case at.Size == 0:
			out[ids[i]] = verdict{why: fmt.Errorf("piece %s is in no pack", ids[i].Short())}
		case w.suspect(at.Pack):
			doubts = append(doubts, repo.Located{ID: ids[i], Place: at})
		default:
			out[ids[i]] = verdict{size: at.Size}
		}
	}
	whys := make([]error, len(doubts))
	err = w.r.EachPiece(ctx, doubts, func(i int, _ []byte, err error) error {
		whys[i] = err
		return notDamage(ctx, err)
	})
	for i, d := range doubts {
		out[d.ID] = verdict{size: d.Size, why: whys[i]}
	}
	return out, err
}

// notDamage returns an error of reading that is not the repository's, or that says nothing
// of what is stored: that may be readable tomorrow.
func notDamage(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil || errors.As(err, new(*repo.DamageError)) && !repo.Unreadable(err) {
		return nil
	}
	return err
}

// flush adds the entries of the window to the tree.
func (w *rewriter) flush(ctx context.Context) error {
	verdicts, err := w.lookUp(ctx, w.pieces)
	if err != nil {
		return err
	}
	for i := range w.window {
		e := &w.window[i]
		e.decide(verdicts)
		if e.why != nil {
			w.lost.file(e.rec.Key)
			e.rec.Entry = lostEntry(&e.rec.Entry, e.why)
		}
		if err := w.builder.Add(ctx, e.rec.Key, &e.rec.Entry); err != nil {
			return err
		}
	}
	w.window, w.pieces = w.window[:0], w.pieces[:0]
	return nil
}

// reasonLost begins the reason of each entry that a repair made.
const reasonLost = "lost in the repository"

// lostEntry returns what is known of a file that can no longer be made.
func lostEntry(e *snapshot.Entry, why error) snapshot.Entry {
	return snapshot.Entry{Kind: snapshot.Unsaved, Mode: e.Mode, UID: e.UID, GID: e.GID, Mtime: e.Mtime, Size: e.Size,
		Reason: limited(fmt.Sprintf("%s: %v", reasonLost, why))}
}

// limited cuts a reason off where an entry has no room for more.
func limited(reason string) string {
	const most = 1 << 10
	return reason[:min(len(reason), most)]
}

// gap adds one entry in the place of those on a page that cannot be read.
func (w *rewriter) gap(ctx context.Context, err error) error {
	var gap *snapshot.Gap
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !errors.As(err, &gap) || repo.Unreadable(err) {
		return err
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	w.lost.gap(gap)
	e := snapshot.Entry{Kind: snapshot.Unsaved, Reason: limited(fmt.Sprintf("%s: it and what else was listed with it, %d files in all: %v", reasonLost, gap.Counts.Files, gap.Err))}
	return w.builder.Add(ctx, gap.Last, &e)
}
