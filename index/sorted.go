package index

import (
	"context"
	"encoding/binary"
	"errors"

	"restante/blob"
)

// scanRatio is how many records it is worth to go over instead of one look-up.
const scanRatio = 8

// LookupSorted calls fn for each of ids, which are ascending, with its place as
// [Index.Lookup] has it. It goes once over the index, or looks each ID up,
// whichever is likely cheaper. It stops at fn's first error and returns it.
func (x *Index) LookupSorted(ctx context.Context, ids []blob.ID, fn func(i int, p blob.Place, ok bool) error) error {
	var stopped error
	call := func(i int, p blob.Place, ok bool) error {
		stopped = fn(i, p, ok)
		return stopped
	}
	for done, try := 0, 0; ; try++ {
		v := x.acquire()
		err := v.lookupSorted(ctx, ids, &done, x.scans(v, ids), call)
		x.release(v)
		if err == nil || stopped != nil || try > 0 || !errors.Is(err, errDamaged) {
			return err
		}
		if err := x.heal(v, err); err != nil {
			return err
		}
	}
}

// scans reports whether going over the generation is cheaper than looking ids up.
func (x *Index) scans(v *view, ids []blob.ID) bool {
	if v.live == 0 || v.gen == nil || len(ids) < 2 {
		return false
	}
	if x.scan != nil {
		return *x.scan
	}
	// IDs are evenly spread, so the share of all records between the first ID
	// and the last is that of their leading bytes.
	span := prefix(ids[len(ids)-1]) - prefix(ids[0])
	share := float64(span) / (1 << 64)
	return share*float64(v.folded) <= scanRatio*float64(len(ids))
}

func prefix(id blob.ID) uint64 { return binary.BigEndian.Uint64(id[:8]) }

// lookupSorted goes on at ids[*done] and counts *done up.
func (v *view) lookupSorted(ctx context.Context, ids []blob.ID, done *int, scan bool, fn func(i int, p blob.Place, ok bool) error) error {
	lookup := v.lookup
	if scan && *done < len(ids) {
		c, err := v.gen.cursor(false)
		if err != nil {
			return err
		}
		defer c.close()
		if err := c.seek(ids[*done]); err != nil {
			return err
		}
		best := v
		for best.first != nil {
			best = best.first
		}
		var spots []spot
		lookup = func(id blob.ID) (blob.Place, bool, error) {
			if p, ok := best.lookupRecent(id); ok {
				return p, true, nil
			}
			err := c.find(id, &spots)
			p, ok, err := best.choose(spots, err)
			if err == nil && !ok && (len(spots) > 0 || best != v) {
				return v.lookup(id) // an older run may have a place that is alive
			}
			return p, ok, err
		}
	}
	for ; *done < len(ids); *done++ {
		if *done%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		p, ok, err := lookup(ids[*done])
		if err != nil {
			return err
		}
		if err := fn(*done, p, ok); err != nil {
			return err
		}
	}
	return nil
}
