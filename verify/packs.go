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
		c.report.note("%s in no index object that can be read, with %d bytes in all; an interrupted backup leaves such, or an index object that is gone, and the next backup takes up what is whole",
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
	if c.reads.done {
		return c.readAgain(ctx)
	}
	c.reads.done = true
	defer func() { c.reads.tell(&c.report) }()
	d := dataReader{opts: &c.opts, report: &c.reads.report, begun: c.begun, sizes: map[blob.ID]int64{}, check: c.r.CheckPack, took: c.wasRead}
	for id, p := range c.packs {
		if p.size >= 0 {
			d.sizes[id] = p.size
		}
	}
	return d.run(ctx)
}

// readings are what reading packs has shown, for when the check is done again.
type readings struct {
	done   bool
	report Report // what is told of it
	packs  map[blob.ID]reading
	sums   *repo.Tallier // whose sums are compared
}

// A reading is what reading one pack has shown.
type reading struct {
	damage    []error
	note      *repo.Damage
	directory bool       // it can be read
	tally     repo.Tally // of what is in it
}

// ended reports whether the pack was read, and not only gone or not to be read.
func (d *reading) ended() bool { return len(d.damage) == 0 || d.note != nil }

// tell adds what is told of reading packs to the report of one check.
func (d *readings) tell(r *Report) {
	r.PacksRead, r.Verified = d.report.PacksRead, d.report.Verified
	r.BytesRead += d.report.BytesRead
	r.Notes = append(r.Notes, d.report.Notes...)
}

// readAgain takes what an earlier check has read. It reads only what that could not.
func (c *checker) readAgain(ctx context.Context) error {
	c.reads.tell(&c.report)
	for _, id := range c.packIDs() {
		d, known := c.reads.packs[id]
		switch {
		case !known || c.packs[id].size < 0:
		case d.ended():
			c.compare(id, d)
		default:
			check, err := c.readPack(ctx, id)
			if err != nil {
				return err
			}
			c.wasRead(packResult{id: id, check: check})
		}
	}
	return nil
}

// wasRead takes what reading a pack showed.
func (c *checker) wasRead(res packResult) {
	d := reading{damage: res.check.Damage, note: res.check.Note, directory: res.check.Clumps != nil, tally: c.sums.Clumps(res.check.Clumps)}
	c.reads.packs[res.id] = d
	c.compare(res.id, d)
}

// compare notes what reading a pack showed, and compares its directory with
// the index.
func (c *checker) compare(id blob.ID, d reading) {
	p := c.packs[id]
	p.took(d)
	for _, err := range d.damage {
		p.suspect = c.find(repo.PackName(id))
		c.flaw(p.suspect, err)
	}
	if !d.directory {
		return
	}
	for _, n := range p.names {
		if n.tally != d.tally {
			f := c.find(string(repo.Indexes) + "/" + n.index.String())
			f.tell(fmt.Sprintf("it does not name the pieces of pack %s as the pack's directory does", id.Short()))
			p.suspect = cmp.Or(p.suspect, f)
		}
	}
}
