package gc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
)

// readMarks reads the marks that there are.
func (p *pruner) readMarks(ctx context.Context) error {
	return p.r.EachMark(ctx, func(m repo.Mark, err error) error {
		if errors.As(err, new(*repo.DamageError)) && !errors.Is(err, seal.ErrTooNew) {
			p.last = max(p.last, m.Number) // nothing is deleted under it, but its number is taken
			p.marks = append(p.marks, m.Number)
			return nil
		}
		if err == nil {
			p.take(m)
		}
		return err
	})
}

// checkTurn returns repo.ErrPruning unless this prune's mark is the highest. It
// comes between a listing and what is deleted because of it.
func (p *pruner) checkTurn(ctx context.Context) error {
	return p.r.EachObject(ctx, string(repo.Marks)+"/", func(name string, _ int64) error {
		own := repo.MarkName(p.last)
		if _, err := repo.PartOf(name); err == nil && cmp.Or(cmp.Compare(len(name), len(own)), strings.Compare(name, own)) > 0 {
			return repo.ErrPruning
		}
		return nil
	})
}

// shun has pieces counted to packs under marks only where they are in no other.
func (p *pruner) shun() { p.r.Shun(p.marked()) }

// marked returns the packs that are under marks.
func (p *pruner) marked() map[blob.ID]struct{} {
	marked := map[blob.ID]struct{}{}
	for id, k := range p.packs {
		if k.mark != 0 {
			marked[id] = struct{}{}
		}
	}
	return marked
}

// listPacks lists the packs. It comes before snapshots and sessions are listed:
// a pack that is in the list is of a session that is listed then, or has ended.
func (p *pruner) listPacks(ctx context.Context) error {
	return p.r.EachObject(ctx, string(repo.Packs)+"/", func(name string, size int64) error {
		id, err := blob.ParseID(path.Base(name))
		if err == nil && repo.PackName(id) == name {
			p.pack(id).size = size
			p.report.Packs++
			p.report.Bytes += uint64(size)
		}
		return nil
	})
}

// sessions returns the sessions that have a name below a prefix.
func (p *pruner) sessions(ctx context.Context, prefix string) (map[seal.Session]bool, error) {
	found := map[seal.Session]bool{}
	err := p.r.EachObject(ctx, prefix, func(name string, _ int64) error {
		if id, err := seal.ParseSession(strings.TrimPrefix(name, prefix)); err == nil {
			found[id] = true
		}
		return nil
	})
	return found, err
}

// ErrNoSnapshots is returned where there are packs and no trace of any session: no
// snapshot, none that was forgotten, no intent. So looks a repository of which a part
// is not mounted, or was not copied.
var ErrNoSnapshots = errors.New("there are packs, but no snapshot is there: everything would be deleted")

// checkSnapshots returns ErrNoSnapshots where that is so.
func (p *pruner) checkSnapshots(ctx context.Context) error {
	if p.opts.Force || !p.anyPack() {
		return nil
	}
	for _, part := range []repo.Part{repo.Snapshots, repo.Forgotten, repo.Intents} {
		if found, err := p.sessions(ctx, string(part)+"/"); err != nil || len(found) > 0 {
			return err
		}
	}
	return ErrNoSnapshots
}

// checkHeld returns repo.ErrHeldLost, in a repo.DamageError that names it, where a snapshot
// that is held is missing: what it needs would be deleted for good.
func (p *pruner) checkHeld(ctx context.Context) error {
	lost, err := p.r.LostHeld(ctx)
	for _, id := range lost {
		err = errors.Join(err, &repo.DamageError{Object: string(repo.Snapshots) + "/" + id.String(), Err: repo.ErrHeldLost})
	}
	return err
}

func (p *pruner) anyPack() bool {
	for _, k := range p.packs {
		if k.size >= 0 {
			return true
		}
	}
	return false
}

// endDead ends sessions that are dead.
func (p *pruner) endDead(ctx context.Context) error {
	closed, err := p.listEnded(ctx)
	if err != nil {
		return err
	}
	intents, err := p.sessions(ctx, string(repo.Intents)+"/")
	if err != nil {
		return err
	}
	maps.DeleteFunc(intents, func(id seal.Session, _ bool) bool { return closed[id] })
	if err := p.checkDrop(ctx, intents); err != nil {
		return err
	}
	for id := range intents {
		dead, err := p.isDead(ctx, id)
		if err != nil {
			return err
		}
		if dead == nil {
			continue
		}
		p.report.ended(dead)
		if p.opts.DryRun {
			continue
		}
		if _, err := p.r.EndSession(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// checkDrop checks that each session to be dropped is one of those that are open, and is not
// known to live.
func (p *pruner) checkDrop(ctx context.Context, open map[seal.Session]bool) error {
	for _, text := range p.opts.Drop {
		n, found := 0, seal.Session{}
		for id := range open {
			if strings.HasPrefix(id.String(), text) {
				n, found = n+1, id
			}
		}
		if n != 1 {
			return fmt.Errorf("dropping session %q: %w: %d of %d open ones begin so", text, ErrUnknownSession, n, len(open))
		}
		s, err := p.r.ReadSession(ctx, found)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if err == nil && s.Intent != nil && p.opts.Lives(s.Intent) {
			return &LivesError{found, *s.Intent}
		}
	}
	return nil
}

// isDead returns the session if it is dead, else nil.
func (p *pruner) isDead(ctx context.Context, id seal.Session) (*repo.OpenSession, error) {
	s, err := p.r.ReadSession(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	dropped := slices.ContainsFunc(p.opts.Drop, func(text string) bool { return strings.HasPrefix(id.String(), text) })
	switch {
	case dropped || s.Intent != nil && s.Intent.Gone():
		return s, nil
	case s.Intent != nil && p.opts.Lives(s.Intent):
		return nil, nil
	}
	if _, over := p.memo.until(string(repo.Intents)+"/"+id.String(), p.opts.Expire); !over || p.opts.Expire <= 0 {
		return nil, nil
	}
	return s, nil
}

// observe lists snapshots, then sessions, and finds what those need that were
// not observed before. The order matters: a session that is not listed as open
// has ended before the snapshots were listed, or begins after that; then it builds on a snapshot only if
// that was listed here. The index comes after the snapshots: it names what they need.
func (p *pruner) observe(ctx context.Context) error {
	closed, err := p.listEnded(ctx)
	if err != nil {
		return err
	}
	var found []seal.Session
	var pages []repo.PageRef
	err = p.r.EachSnapshot(ctx, func(o repo.SnapshotObject, err error) error {
		if p.opts.DryRun && slices.Contains(p.opts.Forgotten, o.ID) {
			delete(p.tombs, o.ID)
			return nil
		}
		if err != nil {
			return err
		}
		delete(p.tombs, o.ID)
		s, err := snapshot.DecodeSnapshot(o.Payload)
		if err != nil {
			return fmt.Errorf("snapshot %s: %w", o.ID, err)
		}
		if in, at := (store{s.Store, s.Host}), s.Started.Go(); !at.Before(p.newest[in].started) {
			p.newest[in] = newest{at, repo.PageRef{ID: s.Tree.ID, Level: s.Tree.Level}}
		}
		if !p.roots[o.ID] {
			found = append(found, o.ID)
			pages = append(pages, repo.PageRef{ID: s.Tree.ID, Level: s.Tree.Level}, repo.PageRef{ID: s.Mailboxes.ID, Level: s.Mailboxes.Level})
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.report.Snapshots = uint64(len(p.roots) + len(found))
	parents, err := p.listSessions(ctx, closed)
	if err != nil {
		return err
	}
	if err := p.readIndex(ctx); err != nil {
		return err
	}
	if err := p.reach.walk(ctx, pages, false); err != nil {
		return err
	}
	// A parent that is not listed any more may be one that its session found gone,
	// and does without: then some of it may be gone, too.
	if err := p.reach.walk(ctx, parents, true); err != nil {
		return err
	}
	for _, id := range found {
		p.roots[id] = true
	}
	p.report.Pages = p.reach.pages
	return nil
}

// listEnded returns the sessions that have ended. Of those it notes which ended in
// no snapshot that is there, as far as names tell, and which forgotten records are
// of snapshots that have been removed.
func (p *pruner) listEnded(ctx context.Context) (closed map[seal.Session]bool, err error) {
	if p.tombs, err = p.sessions(ctx, string(repo.Snapshots)+"/"); err != nil {
		return nil, err
	}
	if p.spent, err = p.sessions(ctx, string(repo.Forgotten)+"/"); err != nil {
		return nil, err
	}
	closed = maps.Clone(p.tombs)
	maps.Copy(closed, p.spent)
	maps.DeleteFunc(p.spent, func(id seal.Session, _ bool) bool {
		isThere := p.tombs[id]
		delete(p.tombs, id)
		return isThere
	})
	return closed, nil
}

// readIndex notes which packs the index names now.
func (p *pruner) readIndex(ctx context.Context) error {
	for _, k := range p.packs {
		k.named = false
	}
	return p.r.EachPack(ctx, func(id blob.ID, pieces uint32) {
		k := p.pack(id)
		k.named, k.pieces = true, pieces
	})
}

// listSessions notes which sessions are open, and which have ended and left an
// intent. It returns the roots of the trees that the open ones build on.
func (p *pruner) listSessions(ctx context.Context, closed map[seal.Session]bool) ([]repo.PageRef, error) {
	intents, err := p.sessions(ctx, string(repo.Intents)+"/")
	if err != nil {
		return nil, err
	}
	p.open, p.ended = nil, nil
	var parents []repo.PageRef
	for id := range intents {
		if closed[id] {
			p.ended = append(p.ended, id)
			continue
		}
		s, err := p.r.ReadSession(ctx, id)
		if errors.Is(err, storage.ErrNotFound) {
			// Only another prune removes it.
			return nil, repo.ErrPruning
		}
		if err != nil {
			return nil, err
		}
		p.open = append(p.open, s)
		if s.Intent != nil && s.Intent.Root != nil {
			parents = append(parents, *s.Intent.Root)
		}
	}
	slices.SortFunc(p.open, func(a, b *repo.OpenSession) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return parents, nil
}
