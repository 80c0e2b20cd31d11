package verify

import (
	"context"
	"errors"

	"restante/blob"
	"restante/repo"
	"restante/snapshot"
)

// Gone says what of a snapshot the repository no longer has.
type Gone struct {
	Files    Names  // that need a piece that is gone, or whose list of pieces is
	Unlisted uint64 // files on pages that are gone
	Names    bool   // the list of mailboxes, or a part of it, is gone
}

// None reports whether nothing is gone.
func (g *Gone) None() bool { return g.Files.Count == 0 && g.Unlisted == 0 && !g.Names }

// Complete looks whether the repository has all that a snapshot refers to: its
// pages, which are read, and the pieces of its files, which are looked up. What
// is in packs that were missing when the session s began is gone. Its error says
// that this could not be found out.
func Complete(ctx context.Context, r *repo.Repository, s *repo.Session, record *snapshot.Snapshot) (*Gone, error) {
	c := &completion{s: s}
	loader := presentPages{r, s}
	for rec, err := range snapshot.OpenTree(loader, record.Tree).All(ctx, snapshot.Range{}) {
		var gap *snapshot.Gap
		switch {
		case errors.As(err, &gap) && isGone(ctx, err):
			c.gone.Unlisted += max(gap.Counts.Files, 1)
		case err != nil:
			return nil, err
		default:
			if err := c.file(ctx, loader, &rec); err != nil {
				return nil, err
			}
		}
	}
	if err := c.lookUp(ctx); err != nil {
		return nil, err
	}
	for _, err := range snapshot.OpenMailboxes(loader, record.Mailboxes).All(ctx) {
		if err != nil && !isGone(ctx, err) {
			return nil, err
		}
		c.gone.Names = c.gone.Names || err != nil
	}
	c.gone.Files = c.files.result()
	return &c.gone, nil
}

// isGone reports whether err says that something is missing, or is not what it
// should be, and not that it could not be read.
func isGone(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !repo.Unreadable(err) && (errors.Is(err, repo.ErrMissingPiece) || errors.As(err, new(*repo.DamageError)) || errors.Is(err, snapshot.ErrDamaged))
}

// A completion is one call of Complete.
type completion struct {
	s     *repo.Session
	gone  Gone
	files names
	needs []need   // to be looked up
	paths []string // of the files that need them
}

// file takes the pieces of a file among those to be looked up.
func (c *completion) file(ctx context.Context, loader snapshot.Loader, rec *snapshot.Record) error {
	if rec.Entry.Kind != snapshot.File {
		return nil
	}
	path := rec.Key.Path()
	for it, err := range snapshot.Items(ctx, loader, &rec.Entry.Recipe, 0) {
		if err != nil && isGone(ctx, err) {
			c.files.add(path)
			return nil
		}
		if err != nil {
			return err
		}
		switch it.Kind {
		case snapshot.PieceItem:
			c.need(path, it.Piece)
		case snapshot.Base64Item:
			for _, p := range it.Base64.Pieces {
				c.need(path, p)
			}
		}
		if len(c.needs) >= maxWindow {
			if err := c.lookUp(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// need takes in a piece of a file.
func (c *completion) need(path string, p snapshot.Piece) {
	if n := len(c.paths); n == 0 || c.paths[n-1] != path {
		c.paths = append(c.paths, path)
	}
	c.needs = append(c.needs, need{p.ID, p.Size, uint32(len(c.paths) - 1)})
}

// lookUp looks up what is needed, and empties the list of it.
func (c *completion) lookUp(ctx context.Context) error {
	err := lookUp(ctx, c.s.Places, c.needs, func(n need, at blob.Place) {
		if at.Size != n.size {
			c.files.add(c.paths[n.file])
		}
	})
	c.needs, c.paths = c.needs[:0], c.paths[:0]
	return err
}

// presentPages loads pages that are not in packs that the session misses.
type presentPages struct {
	r *repo.Repository
	s *repo.Session
}

// LoadPage implements [snapshot.Loader].
func (p presentPages) LoadPage(ctx context.Context, id blob.ID) ([]byte, error) {
	there, err := p.s.Holds(id)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, repo.ErrMissingPiece
	}
	return p.r.LoadPage(ctx, id)
}
