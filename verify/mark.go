package verify

import (
	"context"

	"restante/blob"
	"restante/repo"
)

// known reads the packs that are noted as damaged, unless they have been read:
// it may be that somebody copied them back.
func (c *checker) known(ctx context.Context) error {
	noted, err := c.r.Damages(ctx)
	if err != nil {
		return err
	}
	for _, d := range noted {
		p := c.packs[d.Pack]
		if p == nil || p.size < 0 {
			c.wentAway = c.wentAway || d.Loses()
			continue
		}
		if p.read {
			continue
		}
		check, err := c.readPack(ctx, d.Pack)
		if err != nil {
			return err
		}
		c.wasRead(packResult{id: d.Pack, check: check})
	}
	return nil
}

// readPack reads one pack from beginning to end, beside those that were asked for.
func (c *checker) readPack(ctx context.Context, id blob.ID) (*repo.PackCheck, error) {
	size := c.packs[id].size
	c.read(1, uint64(size))
	return c.r.CheckPack(ctx, id, size, func(int64) {})
}

// mark notes in the repository which packs are damaged, so that sessions store
// again what was there. Of a pack in which something was found to be wrong, all is
// read for that.
func (c *checker) mark(ctx context.Context) error {
	if c.opts.NoMark {
		return nil
	}
	for _, id := range c.packIDs() {
		p := c.packs[id]
		if p.size < 0 || p.read || c.findings[repo.PackName(id)] == nil {
			continue
		}
		check, err := c.readPack(ctx, id)
		if err != nil {
			return err
		}
		p.took(reading{damage: check.Damage, note: check.Note})
	}
	_, err := c.r.NoteDamage(ctx, func(all map[blob.ID]repo.Damage) {
		c.amend(all)
		for id := range all {
			if p := c.packs[id]; p != nil && p.size >= 0 {
				c.report.Marked++
			}
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.report.Marked = 0
		c.report.note("it could not be noted which packs are damaged, so the next backup will not store again what was there: %v", err)
	}
	return nil
}

// copies finds out which damaged packs have cost nothing at all, because every
// damaged piece in them can be read elsewhere.
func (c *checker) copies(ctx context.Context) error {
	if !c.r.CanRead() {
		return nil
	}
	for _, id := range c.packIDs() {
		p, f := c.packs[id], c.findings[repo.PackName(id)]
		if f == nil || f.loses() || p.note == nil || !p.note.Loses() {
			continue
		}
		clumps, err := c.r.Directory(ctx, id, p.size)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue // nobody knows what is in it
		}
		err = c.r.EachPiece(ctx, damagedIn(clumps, p.note), func(_ int, _ []byte, err error) error { return err })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.copied = err == nil
	}
	return nil
}

// damagedIn returns the pieces of a pack that are damaged.
func damagedIn(clumps []repo.ClumpInfo, note *repo.Damage) (pieces []repo.Located) {
	for _, c := range clumps {
		if !note.Hits(c.Offset) {
			continue
		}
		at := blob.Place{Clump: blob.Clump{Pack: note.Pack, Offset: c.Offset, Length: c.Length}}
		for _, piece := range c.Pieces {
			at.Size = piece.Size
			pieces = append(pieces, repo.Located{ID: piece.ID, Place: at})
			at.Inner += piece.Size
		}
	}
	return pieces
}

// amend brings what is known of damage up to date. What is known of packs that
// are gone stays: backups learn from it that pieces may have been lost.
func (c *checker) amend(all map[blob.ID]repo.Damage) {
	for id, p := range c.packs {
		_, known := all[id]
		switch {
		case !p.read:
		case p.note == nil:
			delete(all, id)
		case !known || c.r.CanRead(): // who cannot read knows less
			all[id] = *p.note
		}
	}
}

// took takes what reading the pack from beginning to end showed.
func (p *pack) took(d reading) {
	p.read, p.note, p.blind = d.ended(), d.note, d.note != nil && !d.directory
}
