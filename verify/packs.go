package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"restante/blob"
	"restante/repo"
)

// readers is how many packs are read at once: a disk likes to be read from few
// places, and a reader takes up to 30 MiB.
const readers = 2

// present checks that the packs are there as the index says, and have a header.
func (c *checker) present(ctx context.Context) error {
	var spare, bytes uint64
	for _, id := range c.packIDs() {
		p := c.packs[id]
		if p.size < 0 {
			p.suspect = c.find(repo.PackName(id))
			p.suspect.tell("it is missing")
			continue
		}
		if len(p.names) == 0 {
			spare++
			bytes += uint64(p.size)
		}
		isTree, err := c.r.PackKind(ctx, id)
		if err != nil {
			if p.suspect, err = c.damaged(ctx, repo.PackName(id), err); err != nil {
				return err
			}
		}
		for _, n := range p.names {
			if int64(n.size) != p.size {
				p.suspect = c.find(repo.PackName(id))
				p.suspect.tell(fmt.Sprintf("it has %d bytes, and the index says %d", p.size, n.size))
			} else if n.tree != isTree && p.suspect == nil {
				p.suspect = c.find(repo.PackName(id))
				p.suspect.tell("it is not of the kind that the index says")
			}
		}
	}
	if spare > 0 {
		c.note("%s in no index object that can be read, with %d bytes in all; an interrupted backup leaves such, and the next one takes them up",
			count(spare, "pack is", "packs are"), bytes)
	}
	return nil
}

// packIDs returns the packs in the order of their names.
func (c *checker) packIDs() []blob.ID {
	ids := make([]blob.ID, 0, len(c.packs))
	for id := range c.packs {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, blob.ID.Compare)
	return ids
}

// A packResult is what reading a pack showed.
type packResult struct {
	id    blob.ID
	check *repo.PackCheck
	err   error
}

// readPacks reads all packs that are there, if that is wanted.
func (c *checker) readPacks(ctx context.Context) error {
	if !c.opts.ReadData {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo, results := make(chan blob.ID), make(chan packResult)
	ids := slices.DeleteFunc(c.packIDs(), func(id blob.ID) bool { return c.packs[id].size < 0 })
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(todo)
		for _, id := range ids {
			select {
			case todo <- id:
			case <-ctx.Done():
				return
			}
		}
	})
	for range readers {
		wg.Go(func() {
			for id := range todo {
				check, err := c.r.CheckPack(ctx, id, c.packs[id].size, func(n int64) { c.opts.Done(0, uint64(n)) })
				c.opts.Done(1, 0)
				results <- packResult{id, check, err}
			}
		})
	}
	go func() { // ends before the loop below does
		wg.Wait()
		close(results)
	}()
	var first error
	for res := range results {
		if res.err != nil {
			first = cmp.Or(first, res.err)
			cancel()
			continue
		}
		c.wasRead(res)
	}
	return cmp.Or(first, ctx.Err())
}

// wasRead notes what reading a pack showed, and compares its directory with
// the index.
func (c *checker) wasRead(res packResult) {
	p := c.packs[res.id]
	c.report.BytesRead += uint64(p.size)
	for _, err := range res.check.Damage {
		p.suspect = c.find(repo.PackName(res.id))
		p.suspect.tell(reason(err))
	}
	if res.check.Clumps == nil {
		return
	}
	var t tally
	for _, clump := range res.check.Clumps {
		at := blob.Place{Clump: blob.Clump{Offset: clump.Offset, Length: clump.Length}}
		for _, piece := range clump.Pieces {
			at.Size = piece.Size
			c.sums.add(&t, piece.ID, at)
			at.Inner += piece.Size
		}
	}
	for _, n := range p.names {
		if n.tally != t {
			f := c.find(string(repo.Indexes) + "/" + n.index.String())
			f.tell(fmt.Sprintf("it does not name the pieces of pack %s as the pack's directory does", res.id.Short()))
			p.suspect = cmp.Or(p.suspect, f)
		}
	}
}
