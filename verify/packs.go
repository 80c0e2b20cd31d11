package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"restante/blob"
	"restante/repo"
)

// present checks that the packs are there as the index says, and have a header.
func (c *checker) present(ctx context.Context) error {
	var bytes uint64
	for _, id := range c.packIDs() {
		p := c.packs[id]
		if p.size < 0 {
			p.suspect = c.find(repo.PackName(id))
			p.suspect.tell("it is missing")
			continue
		}
		if len(p.names) == 0 {
			c.spare++
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
	if c.spare > 0 {
		c.report.note("%s in no index object that can be read, with %d bytes in all; an interrupted backup leaves such, and the next one takes them up",
			count(c.spare, "pack is", "packs are"), bytes)
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

// readPacks reads the packs that the options ask for.
func (c *checker) readPacks(ctx context.Context) error {
	if !c.opts.ReadData {
		return nil
	}
	d := dataReader{opts: &c.opts, report: &c.report, begun: c.begun, sizes: map[blob.ID]int64{}, check: c.r.CheckPack, took: c.wasRead}
	for id, p := range c.packs {
		if p.size >= 0 {
			d.sizes[id] = p.size
		}
	}
	return d.run(ctx)
}

// wasRead notes what reading a pack showed, and compares its directory with
// the index.
func (c *checker) wasRead(res packResult) {
	p := c.packs[res.id]
	p.took(res.check)
	for _, err := range res.check.Damage {
		p.suspect = c.find(repo.PackName(res.id))
		p.suspect.tell(reason(err))
	}
	if res.check.Clumps == nil {
		return
	}
	t := c.sums.Clumps(res.check.Clumps)
	for _, n := range p.names {
		if n.tally != t {
			f := c.find(string(repo.Indexes) + "/" + n.index.String())
			f.tell(fmt.Sprintf("it does not name the pieces of pack %s as the pack's directory does", res.id.Short()))
			p.suspect = cmp.Or(p.suspect, f)
		}
	}
}
