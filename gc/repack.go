package gc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"sync"

	"restante/blob"
	"restante/repo"
	"restante/storage"
)

const (
	// maxBatch is how many pieces packs have that are rewritten together: some
	// 100 MiB while that lasts.
	maxBatch = 1 << 19
	// maxCopied is how many bytes of pieces are read before they are written, in
	// another order, while as many of the next are read.
	maxCopied = 16 << 20
	// leastFree is how many bytes stay free on the storage where packs are rewritten.
	leastFree = 64 << 20
)

// A partly is a pack of which not all is needed, or that is under a mark.
type partly struct {
	id     blob.ID
	pack   *pack
	unused float64 // bytes
}

// repack writes what is needed of some packs to new ones, and returns those of
// the old ones that are to be marked: nothing is needed of them any more. some says whether a
// pack was rewritten, be it one that is under a mark. It takes packs under marks, and then
// those of which the least is needed, until no more than Options.MaxUnused is left. The new
// packs have the pieces in the order of the newest snapshots, and behind it what only older ones need.
func (p *pruner) repack(ctx context.Context) (moved []blob.ID, some bool, err error) {
	chosen, err := p.worthwhile(ctx)
	if err != nil || len(chosen) == 0 || p.timeUp() {
		return nil, false, err
	}
	if p.opts.DryRun {
		p.wouldRewrite(chosen)
		return nil, false, nil
	}
	host, _ := os.Hostname()
	s, err := p.r.Begin(ctx, repo.SessionOptions{Intent: repo.Intent{Operation: "prune", Host: host, User: p.opts.User}, MinFree: leastFree})
	if err != nil {
		return nil, false, err
	}
	p.avoid(chosen)
	var done [][]partly
	for batch := range batches(chosen) {
		if p.timeUp() {
			break
		}
		if err = p.rewrite(ctx, s, batch); err != nil {
			break
		}
		done = append(done, batch)
	}
	if err != nil {
		return nil, false, errors.Join(err, s.Abandon(context.WithoutCancel(ctx)))
	}
	if err := s.Keep(ctx); err != nil {
		return nil, false, errors.Join(err, s.Abandon(context.WithoutCancel(ctx)))
	}
	p.own = append(p.own, s.ID())
	p.report.RepackedBytes += uint64(s.Stored())
	return p.moved(ctx, done)
}

// batches yields packs in runs of which the pieces of each are looked at together.
func batches(packs []partly) iter.Seq[[]partly] {
	return func(yield func([]partly) bool) {
		for len(packs) > 0 {
			n, pieces := 0, 0
			for ; n < len(packs) && (n == 0 || pieces < maxBatch); n++ {
				pieces += int(packs[n].pack.pieces)
			}
			if !yield(packs[:n]) {
				return
			}
			packs = packs[n:]
		}
	}
}

// wouldRewrite reports what becomes of packs that a dry run does not rewrite.
func (p *pruner) wouldRewrite(chosen []partly) {
	for _, c := range chosen {
		p.report.Repacked++
		if c.pack.mark != 0 {
			continue
		}
		p.report.Marked++
		p.report.MarkedBytes += uint64(c.pack.size)
		if p.opts.Grace == 0 && len(p.open) == 0 {
			p.report.Deleted++
			p.report.DeletedBytes += uint64(c.pack.size)
		}
	}
}

// avoid has pieces looked up, and found to be stored, in other packs than
// these and those under marks.
func (p *pruner) avoid(chosen []partly) {
	avoided := p.marked()
	for _, c := range chosen {
		avoided[c.id] = struct{}{}
	}
	p.r.Shun(avoided)
}

// worthwhile returns the packs that are to be rewritten.
func (p *pruner) worthwhile(ctx context.Context) ([]partly, error) {
	var all []partly
	var total, unused float64
	open := p.openSessions()
	for id, k := range p.packs {
		if k.size < 0 || k.needs == 0 {
			continue
		}
		total += float64(k.size)
		if !k.named || k.mark == 0 && k.needs >= uint64(k.pieces) {
			continue
		}
		if p.timeUp() {
			return nil, nil
		}
		if by, err := p.r.PackSession(ctx, id); ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil || open[by] {
			continue // it is still being written, or for check to tell
		}
		clumps, err := p.r.Directory(ctx, id, k.size)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			continue
		}
		var raw uint64
		for _, c := range clumps {
			raw += uint64(c.Raw)
		}
		c := partly{id: id, pack: k, unused: float64(k.size) * (1 - min(1, float64(k.bytes)/float64(max(raw, 1))))}
		unused += c.unused
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b partly) int {
		return cmp.Or(cmp.Compare(min(b.pack.mark, 1), min(a.pack.mark, 1)), cmp.Compare(b.unused/float64(b.pack.size), a.unused/float64(a.pack.size)), a.id.Compare(b.id))
	})
	n := 0
	for ; n < len(all) && (all[n].pack.mark != 0 || unused > total*p.opts.MaxUnused/100); n++ {
		unused -= all[n].unused
	}
	p.report.Unused = uint64(max(unused, 0))
	return all[:n], nil
}

// A copied is a piece that is to be written anew.
type copied struct {
	place blob.Place
	class blob.Class
}

// rewrite writes what is needed of some packs to the session's.
func (p *pruner) rewrite(ctx context.Context, s *repo.Session, packs []partly) error {
	todo, err := p.neededOf(ctx, packs)
	if err != nil {
		return err
	}
	w, err := s.NewWriter()
	if err != nil {
		return err
	}
	c := &copier{p: p, w: w, todo: todo}
	defer c.saving.Wait()
	for _, root := range p.newest {
		if err := p.inOrder(ctx, root.page, c.copy); err != nil {
			return err
		}
	}
	rest := make([]blob.ID, 0, len(todo))
	for id := range todo {
		rest = append(rest, id)
	}
	slices.SortFunc(rest, func(a, b blob.ID) int {
		x, y := todo[a].place, todo[b].place
		return cmp.Or(x.Clump.Compare(y.Clump), cmp.Compare(x.Inner, y.Inner))
	})
	for _, id := range rest {
		if err := c.copy(ctx, id); err != nil {
			return err
		}
	}
	if err := c.flush(ctx); err != nil {
		return err
	}
	if err := c.saved(); err != nil {
		return err
	}
	return w.Flush(ctx)
}

// neededOf returns the pieces in packs that are needed, be it that another pack
// has them too.
func (p *pruner) neededOf(ctx context.Context, packs []partly) (map[blob.ID]copied, error) {
	places := map[blob.ID]copied{}
	for _, c := range packs {
		clumps, err := p.r.Directory(ctx, c.id, c.pack.size)
		if err != nil {
			return nil, err
		}
		for _, clump := range clumps {
			inner := uint32(0)
			for _, piece := range clump.Pieces {
				places[piece.ID] = copied{blob.Place{Clump: blob.Clump{Pack: c.id, Offset: clump.Offset, Length: clump.Length}, Inner: inner, Size: piece.Size}, clump.Class}
				inner += piece.Size
			}
		}
	}
	ids := make([]blob.ID, 0, len(places))
	for id := range places {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, blob.ID.Compare)
	needed, err := p.reach.needs(ids)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		if !needed[i] {
			delete(places, id)
		}
	}
	return places, nil
}

// moved counts what is needed of rewritten packs to the packs where it is
// found now, and returns those to which nothing is counted then: all of them, but for
// what could not be read.
func (p *pruner) moved(ctx context.Context, batches [][]partly) (free []blob.ID, some bool, err error) {
	if err := p.readIndex(ctx); err != nil {
		return nil, false, err
	}
	for _, batch := range batches {
		todo, err := p.neededOf(ctx, batch)
		if err != nil {
			return nil, false, err
		}
		for _, c := range batch {
			c.pack.needs, c.pack.bytes = 0, 0
		}
		ids := make([]blob.ID, 0, len(todo))
		for id := range todo {
			ids = append(ids, id)
		}
		slices.SortFunc(ids, blob.ID.Compare)
		for window := range slices.Chunk(ids, idWindow) {
			places, err := p.r.Places(ctx, window)
			if err != nil {
				return nil, false, err
			}
			for i := range places {
				p.count(window[i], &places[i])
			}
		}
		for _, c := range batch {
			if c.pack.needs > 0 {
				continue
			}
			some = true
			p.report.Repacked++
			if c.pack.mark == 0 {
				free = append(free, c.id)
			}
		}
	}
	slices.SortFunc(free, blob.ID.Compare)
	return free, some, nil
}

// inOrder calls fn for each page and piece of a tree, in the order of its keys.
func (p *pruner) inOrder(ctx context.Context, page repo.PageRef, fn func(context.Context, blob.ID) error) error {
	if err := fn(ctx, page.ID); err != nil {
		return err
	}
	data, err := p.r.LoadPage(ctx, page.ID)
	if err != nil {
		return err
	}
	refs, err := readRefs(data, page.Level)
	if err != nil {
		return err
	}
	for _, r := range refs {
		if r.page {
			err = p.inOrder(ctx, repo.PageRef{ID: r.id, Level: r.level}, fn)
		} else {
			err = fn(ctx, r.id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A copier writes pieces in the order in which it is given them, and reads
// each clump once for some MiB of them. While some are written the next are read.
type copier struct {
	p     *pruner
	w     *repo.Writer
	todo  map[blob.ID]copied
	queue []queued
	bytes int

	saving sync.WaitGroup
	failed error // of what is saved, once that is waited for
}

type queued struct {
	copied
	id   blob.ID
	data []byte
	err  error // it cannot be read
}

// copy copies a piece if it is to be copied and was not yet.
func (c *copier) copy(ctx context.Context, id blob.ID) error {
	it, ok := c.todo[id]
	if !ok {
		return nil
	}
	delete(c.todo, id)
	c.queue = append(c.queue, queued{copied: it, id: id})
	c.bytes += int(it.place.Size)
	if c.bytes < maxCopied {
		return nil
	}
	return c.flush(ctx)
}

func (c *copier) flush(ctx context.Context) error {
	pieces := make([]repo.Located, len(c.queue))
	for i, q := range c.queue {
		pieces[i] = repo.Located{ID: q.id, Place: q.place}
	}
	err := c.p.r.EachPiece(ctx, pieces, func(i int, data []byte, err error) error {
		c.queue[i].data, c.queue[i].err = slices.Clone(data), err
		return nil
	})
	if err != nil {
		return err
	}
	for _, q := range c.queue {
		if q.err != nil {
			c.p.damaged(q.err)
		}
	}
	if err := c.saved(); err != nil {
		return err
	}
	queue := c.queue
	c.queue, c.bytes = nil, 0
	c.saving.Go(func() {
		for _, q := range queue {
			if q.err != nil {
				continue
			}
			if _, c.failed = c.w.Save(ctx, q.class, q.data); c.failed != nil {
				return
			}
		}
	})
	return nil
}

// saved waits until what was read is written.
func (c *copier) saved() error {
	c.saving.Wait()
	return c.failed
}

// damaged notes what could not be read, and therefore stays where it is.
func (p *pruner) damaged(err error) {
	if text := err.Error(); !slices.Contains(p.report.Damaged, text) && len(p.report.Damaged) < maxDamaged {
		p.report.Damaged = append(p.report.Damaged, text)
	}
}

// isFull reports whether there is no room to rewrite packs.
func isFull(err error) bool {
	return errors.Is(err, storage.ErrNoSpace) || errors.As(err, new(*repo.SpaceError))
}

// needs reports for each of some IDs, which ascend, whether it is needed.
func (c *reacher) needs(ids []blob.ID) ([]bool, error) {
	needed := make([]bool, len(ids))
	sets := slices.Clone(c.found)
	for _, levels := range c.known {
		sets = append(sets, levels[:]...)
	}
	for _, s := range sets {
		if s == nil {
			continue
		}
		cursor, err := s.cursor()
		if err != nil {
			return nil, err
		}
		below := &idBelow{c: cursor}
		for i, id := range ids {
			has, err := below.has(id)
			if err != nil {
				return nil, fmt.Errorf("finding what is needed: %w", err)
			}
			needed[i] = needed[i] || has
		}
	}
	return needed, nil
}
