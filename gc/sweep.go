package gc

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
)

// leastTomb is how long a tombstone stays at least that the session itself has put.
const leastTomb = 24 * time.Hour

// sweep deletes the packs under marks that may go. Each goes out of the index
// first, so that no reader or writer looks for it; the mark goes last, so that no
// session takes the pack up while it is there and in no index object.
func (p *pruner) sweep(ctx context.Context) error {
	gone := p.condemned()
	if p.opts.DryRun || len(gone) == 0 {
		for _, k := range gone {
			if k.size >= 0 {
				p.report.Deleted++
				p.report.DeletedBytes += uint64(k.size)
			}
		}
		return nil
	}
	if err := p.checkTurn(ctx); err != nil {
		return err
	}
	heads, err := p.r.IndexObjects(ctx)
	if err != nil {
		return err
	}
	named := map[blob.ID]int{} // by how many index objects
	for _, h := range heads {
		for _, id := range h.Packs {
			named[id]++
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(gone), blob.ID.Compare) {
		if named[id] == 0 && !p.timeUp() {
			p.packs[id].named = false
			if err := p.remove(ctx, id); err != nil {
				return err
			}
		}
	}
	return p.unname(ctx, p.affected(heads, gone), named, gone)
}

// condemned returns the packs that may be deleted: under a mark that is old
// enough and that all open sessions have seen, and not needed; and those that are
// gone and not needed.
func (p *pruner) condemned() map[blob.ID]*pack {
	gone := map[blob.ID]*pack{}
	for id, k := range p.packs {
		if k.lost && k.needs == 0 {
			gone[id] = k // nobody can rely on it: it only has to go out of the index
			continue
		}
		if k.mark == 0 || k.needs > 0 || !k.isThere() {
			continue
		}
		at, over := p.memo.until(repo.MarkName(k.mark), p.opts.Grace)
		i := slices.IndexFunc(p.open, func(s *repo.OpenSession) bool { return !slices.Contains(s.Seen, k.mark) })
		switch {
		case i >= 0:
			by := p.open[i].ID
			p.wait(Waiting{Why: "session", Session: by.String(), Text: "a backup that began before may rely on them: " + p.session(by)}, k)
		case !over:
			p.wait(Waiting{Why: "grace", Until: &at, Text: "marked for too short a time (--grace)"}, k)
		default:
			gone[id] = k
		}
	}
	return gone
}

// affected returns the index objects that name packs that go: those that name no
// others first, which are only removed, and then the smaller ones first. So
// a full storage has room again before something large is written.
func (p *pruner) affected(heads []repo.IndexHead, gone map[blob.ID]*pack) []repo.IndexHead {
	isGone := func(id blob.ID) bool { return gone[id] != nil }
	size := func(h repo.IndexHead) int64 {
		if !slices.ContainsFunc(h.Packs, func(id blob.ID) bool { return !isGone(id) }) {
			return 0
		}
		return h.Size
	}
	some := slices.DeleteFunc(heads, func(h repo.IndexHead) bool { return !slices.ContainsFunc(h.Packs, isGone) })
	slices.SortFunc(some, func(a, b repo.IndexHead) int { return cmp.Or(cmp.Compare(size(a), size(b)), a.ID.Compare(b.ID)) })
	return some
}

// unname takes packs that go out of index objects, and deletes each when no
// object names it any more. Where the storage has no room for a smaller index object the packs go first:
// their mark keeps sessions from missing them.
func (p *pruner) unname(ctx context.Context, heads []repo.IndexHead, named map[blob.ID]int, gone map[blob.ID]*pack) error {
	isGone := func(id blob.ID) bool { return gone[id] != nil }
	for _, h := range heads {
		if p.timeUp() {
			return nil
		}
		err := p.r.WithoutPacks(ctx, h, isGone)
		early := errors.Is(err, storage.ErrNoSpace)
		if err != nil && !early {
			return err
		}
		for _, id := range h.Packs {
			if !isGone(id) {
				continue
			}
			named[id]--
			p.packs[id].named = named[id] > 0
			if named[id] == 0 || early {
				if err := p.remove(ctx, id); err != nil {
					return err
				}
			}
		}
		if early {
			if err := p.r.WithoutPacks(ctx, h, isGone); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove deletes a pack.
func (p *pruner) remove(ctx context.Context, id blob.ID) error {
	k := p.packs[id]
	if k.size < 0 {
		return nil // it was gone before, and is out of the index now
	}
	if err := p.r.Remove(ctx, repo.PackName(id)); err != nil {
		return err
	}
	p.report.Deleted++
	p.report.DeletedBytes += uint64(k.size)
	p.opts.Done(1, uint64(k.size))
	k.size = -1
	return nil
}

func (p *pruner) timeUp() bool {
	if p.opts.MaxDuration > 0 && p.r.Now().Sub(p.started) >= p.opts.MaxDuration {
		p.report.Stopped = true
	}
	return p.report.Stopped
}

// tidy removes what says nothing any more: marks of which all packs are gone, but
// for the highest; what sessions said that have ended; and their own tombstones, after a while.
func (p *pruner) tidy(ctx context.Context) error {
	if err := p.checkTurn(ctx); err != nil {
		return err
	}
	left := map[uint64]bool{p.last: true}
	for _, k := range p.packs {
		if k.isThere() {
			left[k.mark] = true
		}
	}
	for _, number := range p.marks {
		if !left[number] {
			if err := p.r.Remove(ctx, repo.MarkName(number)); err != nil {
				return err
			}
		}
	}
	for _, id := range p.ended {
		if err := p.r.RemoveSession(ctx, id); err != nil {
			return err
		}
	}
	old, err := p.oldTombs(ctx)
	if err != nil {
		return err
	}
	lost, err := p.lostForgotten(ctx)
	if err != nil {
		return err
	}
	for _, name := range lost {
		if err := p.r.Remove(ctx, name); err != nil {
			return err
		}
	}
	for _, id := range p.oldForgotten() {
		if err := p.removeForgotten(ctx, id); err != nil {
			return err
		}
	}
	for _, id := range append(old, p.own...) {
		if err := p.r.Remove(ctx, string(repo.Snapshots)+"/"+id.String()); err != nil {
			return err
		}
	}
	return nil
}

// tidyDamage takes packs off the records of damage that neither the storage nor the index
// has any more. Such a record is for who relies on a parent that was made before, unread: it
// tells that something of that may be lost. So it stays while anything is missing of a
// snapshot, and while a session is open, which may have found something in that pack.
// Who begins later builds on a snapshot that has all, or learns from
// what has changed in the records that the store is to be read.
func (p *pruner) tidyDamage(ctx context.Context) error {
	if p.report.Missing > 0 || p.lostSome() || len(p.open) > 0 {
		return nil
	}
	noted, err := p.r.Damages(ctx)
	if err != nil {
		return err
	}
	gone := map[blob.ID]bool{}
	for _, d := range noted {
		if k := p.packs[d.Pack]; k != nil && k.isThere() {
			continue
		}
		_, err := p.r.PackKind(ctx, d.Pack) // it may have come since the packs were listed
		if gone[d.Pack] = errors.Is(err, storage.ErrNotFound); err != nil && !gone[d.Pack] && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	_, err = p.r.NoteDamage(ctx, func(all map[blob.ID]repo.Damage) {
		maps.DeleteFunc(all, func(id blob.ID, _ repo.Damage) bool { return gone[id] })
	})
	return err
}

const (
	// smallIndex is how many bytes an index object has at most that is to be merged,
	// about 65,536 entries, and maxMerged what all have together that become one.
	smallIndex, maxMerged = 4 << 20, 16 << 20
	// leastSmall is how many small ones there are before some are merged, and
	// leastMerged how many of them become one at least.
	leastSmall, leastMerged = 16, 4
)

// mergeIndex puts small index objects together, of which each night leaves two. Sessions
// that are open may be about to replace some.
func (p *pruner) mergeIndex(ctx context.Context) error {
	if p.report.Stopped || len(p.open) > 0 {
		return nil
	}
	if err := p.readIndex(ctx); err != nil {
		return err
	}
	small, err := p.r.IndexObjects(ctx)
	if err != nil {
		return err
	}
	small = slices.DeleteFunc(small, func(h repo.IndexHead) bool { return h.Size > smallIndex })
	if len(small) < leastSmall {
		return nil
	}
	slices.SortFunc(small, func(a, b repo.IndexHead) int { return cmp.Or(cmp.Compare(a.Size, b.Size), a.ID.Compare(b.ID)) })
	n, total := 0, int64(0)
	for ; n < len(small) && total+small[n].Size <= maxMerged; n++ {
		total += small[n].Size
	}
	if n < leastMerged {
		return nil
	}
	gone, err := p.r.MergeIndexes(ctx, small[:n], func() error { return p.checkTurn(ctx) })
	p.report.Merged += uint64(gone)
	return err
}

// lostForgotten returns the names of the snapshots that were forgotten and whose tree has
// gone, or whose records are damaged: nobody can take them back. One whose tree is only marked
// stays, for Rescue. Their intents go before them, their forgotten records later.
//
// Sessions are listed last: who takes one back puts an intent, and goes on only if the tree is
// there then. So either its intent is listed here, or it finds no tree.
func (p *pruner) lostForgotten(ctx context.Context) (names []string, err error) {
	if p.lostSome() { // the disk of some packs may only not be mounted
		return nil, nil
	}
	err = p.r.EachForgotten(ctx, func(o repo.ForgottenObject, err error) error {
		name := string(repo.Snapshots) + "/" + o.ID.String()
		damage := new(repo.DamageError)
		if errors.As(err, &damage) && damage.Object == name && !errors.Is(err, seal.ErrTooNew) {
			err = nil // nobody can take that back
		}
		if err != nil {
			return nil // what cannot be read now stays
		}
		if s, err := snapshot.DecodeSnapshot(o.Payload); err == nil {
			if at, err := p.r.Places(ctx, []blob.ID{s.Tree.ID}); err != nil || at[0].Size > 0 {
				return err
			}
		}
		names = append(names, name)
		return nil
	})
	if err != nil || len(names) == 0 {
		return nil, err
	}
	return p.withoutParents(ctx, names)
}

// withoutParents takes the snapshots off names that sessions have to do with of which
// there is an intent, be it that they have ended this moment.
func (p *pruner) withoutParents(ctx context.Context, names []string) ([]string, error) {
	intents, err := p.sessions(ctx, string(repo.Intents)+"/")
	if err != nil {
		return nil, err
	}
	parents := map[string]bool{}
	for id := range intents {
		s, err := p.r.ReadSession(ctx, id)
		switch {
		case errors.Is(err, storage.ErrNotFound): // another prune has ended it
		case err != nil:
			return nil, err
		case s.Intent == nil:
			return nil, nil // it may have to do with any
		default:
			parents[string(repo.Snapshots)+"/"+s.Intent.Parent.String()] = true
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return parents[name] }), nil
}

// oldForgotten returns the snapshots with forgotten records that have long been
// gone: while one is there, a snapshot that its writer puts once more, late, is
// forgotten already.
func (p *pruner) oldForgotten() (old []seal.Session) {
	for id := range p.spent {
		if _, over := p.memo.until(forgottenName(id), max(p.opts.Grace, p.opts.MinAgeLeft, leastTomb)); over {
			old = append(old, id)
		}
	}
	return old
}

// removeForgotten removes the forgotten record of a snapshot that is gone, and before it the
// holds that are left of it: one alone would say that the snapshot was lost.
func (p *pruner) removeForgotten(ctx context.Context, id seal.Session) error {
	if _, err := p.r.Release(ctx, id); err != nil {
		return err
	}
	return p.r.Remove(ctx, forgottenName(id))
}

func forgottenName(id seal.Session) string { return string(repo.Forgotten) + "/" + id.String() }

func (p *pruner) lostSome() bool {
	for _, k := range p.packs {
		if k.lost {
			return true
		}
	}
	return false
}

// oldTombs returns the sessions that have long ended in a tombstone of their own.
func (p *pruner) oldTombs(ctx context.Context) ([]seal.Session, error) {
	var old []seal.Session
	for id := range p.tombs {
		_, over := p.memo.until(string(repo.Snapshots)+"/"+id.String(), max(p.opts.Grace, p.opts.MinAgeLeft, leastTomb))
		if slices.Contains(p.ended, id) {
			continue // its intent goes first
		}
		itself, err := p.r.EndedItself(ctx, id)
		if errors.Is(err, storage.ErrNotFound) {
			continue // a snapshot that was forgotten
		}
		if err != nil {
			return nil, err
		}
		if itself && over {
			old = append(old, id)
		}
	}
	return old, nil
}
