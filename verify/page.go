package verify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"restante/blob"
	"restante/snapshot"
)

// Limits and numbers of pages, as package snapshot has them.
const (
	entryTag    = 1
	pageHeader  = 2
	maxInterior = pageHeader + 64<<10
)

// A ref is a page of a tree of entries, and what its parent says of it.
type ref struct {
	id     blob.ID
	level  uint8
	counts snapshot.Counts
	last   snapshot.Key // its last key; nothing for a root
	after  snapshot.Key // its keys are behind this one
	bound  bool         // there is such a one
	isRoot bool
}

func rootRef(r snapshot.Root) ref {
	return ref{id: r.ID, level: r.Level, counts: r.Counts, isRoot: true}
}

// sign stands for the page and all that its parent says of it, so that a page
// is not taken for checked because another parent said other things.
func (p *ref) sign() blob.ID {
	b := make([]byte, 0, 256)
	b = append(b, p.id[:]...)
	b = append(b, p.level)
	for _, v := range [...]uint64{p.counts.Entries, p.counts.Files, p.counts.Messages, p.counts.Bytes, p.counts.Unsaved, uint64(len(p.last))} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = append(b, p.last...)
	b = fmt.Appendf(b, "%t%t", p.bound, p.isRoot)
	return blob.NameOf(append(b, p.after...))
}

// children reads an interior page and holds it against what its parent says.
// Package snapshot reads pages as well, but only a whole tree at a time; both
// accept the same.
func (p *ref) children(data []byte) ([]ref, error) {
	kids, sum, err := p.parse(data)
	if err == nil {
		err = p.fits(kids, sum)
	}
	if err != nil {
		return nil, fmt.Errorf("reading page %v: %w: %w", p.id, snapshot.ErrDamaged, err)
	}
	return kids, nil
}

func (p *ref) parse(data []byte) (kids []ref, sum snapshot.Counts, err error) {
	if len(data) < pageHeader || len(data) > maxInterior || data[0] != entryTag {
		return nil, sum, errors.New("it is no interior page of a tree of entries")
	}
	if data[1] != p.level {
		return nil, sum, fmt.Errorf("it is at level %d, not %d", data[1], p.level)
	}
	after, bound := p.after, p.bound
	for d := (decoder{b: data[pageHeader:]}); len(d.b) > 0; {
		k := ref{level: p.level - 1, after: after, bound: bound}
		k.last = snapshot.Key(d.bytes(d.uvarint(snapshot.MaxKey)))
		copy(k.id[:], d.bytes(blob.IDSize))
		for _, v := range []*uint64{&k.counts.Entries, &k.counts.Files, &k.counts.Messages, &k.counts.Bytes, &k.counts.Unsaved} {
			*v = d.uvarint(math.MaxUint64)
		}
		if d.bad {
			return nil, sum, fmt.Errorf("record %d is malformed", len(kids))
		}
		if bound && k.last <= after {
			return nil, sum, fmt.Errorf("key %q is not behind %q", k.last.Path(), after.Path())
		}
		if !sum.Add(k.counts) {
			return nil, sum, errors.New("the sums are over 64 bits")
		}
		after, bound = k.last, true
		kids = append(kids, k)
	}
	return kids, sum, nil
}

func (p *ref) fits(kids []ref, sum snapshot.Counts) error {
	switch {
	case sum != p.counts:
		return fmt.Errorf("it sums up to %+v, but its parent has %+v", sum, p.counts)
	case len(kids) == 0 || p.isRoot && len(kids) < 2:
		return errors.New("it has too few records")
	case !p.isRoot && kids[len(kids)-1].last != p.last:
		return fmt.Errorf("it ends with key %q, but its parent has %q", kids[len(kids)-1].last.Path(), p.last.Path())
	}
	return nil
}

// records reads a leaf and holds it against what its parent says.
func (p *ref) records(ctx context.Context, data []byte) ([]snapshot.Record, error) {
	leaf := snapshot.OpenTree(onePage(data), snapshot.Root{ID: p.id, Counts: p.counts})
	var out []snapshot.Record
	for rec, err := range leaf.All(ctx, snapshot.Range{}) {
		var gap *snapshot.Gap
		if errors.As(err, &gap) {
			err = gap.Err // all of the page, as we know
		}
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	var flaw string
	switch n := len(out); {
	case n == 0 && p.isRoot:
	case n == 0:
		flaw = "it is empty, but not the root"
	case p.bound && out[0].Key <= p.after:
		flaw = fmt.Sprintf("it begins with key %q, which is not behind %q", out[0].Key.Path(), p.after.Path())
	case !p.isRoot && out[n-1].Key != p.last:
		flaw = fmt.Sprintf("it ends with key %q, but its parent has %q", out[n-1].Key.Path(), p.last.Path())
	}
	if flaw != "" {
		return nil, fmt.Errorf("reading page %v: %w: %s", p.id, snapshot.ErrDamaged, flaw)
	}
	return out, nil
}

// onePage is a loader of one page.
type onePage []byte

// LoadPage implements [snapshot.Loader].
func (p onePage) LoadPage(context.Context, blob.ID) ([]byte, error) { return p, nil }

// A decoder takes bytes apart from the front; bad says that they do not fit.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

// uvarint takes a number of at most limit in its shortest form.
func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit || n > 1 && d.b[n-1] == 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}
