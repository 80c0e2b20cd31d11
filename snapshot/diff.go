package snapshot

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
)

// A Difference is a key whose entries are not the same in two trees. What the
// entries point to is shared and must not be changed.
type Difference struct {
	Key           Key
	Before, After *Entry // nil: the tree has none
}

// Diff ranges over the keys in r whose entries differ, in order. Of each tree
// it reads the pages that the other does not have, so that it costs what
// changed and not what there is. Where a page cannot be read there is an error,
// a [*Gap]; the keys in it are passed over in both trees, because nobody knows
// how they compare. When ctx is done its error is the last.
func Diff(ctx context.Context, before, after *Tree, r Range) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		d := differ{a: newCursor(before.t, r), b: newCursor(after.t, r)}
		for !d.a.done() || !d.b.done() {
			found, err := d.step(ctx)
			var gap *Gap
			switch {
			case err != nil && !errors.As(err, &gap):
				yield(Difference{}, err)
				return
			case err != nil:
				d.a.skip(gap)
				d.b.skip(gap)
				if !yield(Difference{}, err) {
					return
				}
			case found != nil && !yield(*found, nil):
				return
			}
		}
	}
}

// A differ walks two trees side by side. All keys before the heads of both
// cursors have been compared.
type differ struct {
	a, b     *cursor
	ea, eb   []byte // encoded entries
	reported Difference
}

// step compares the heads, or opens one of them. It returns a difference, or
// nil if it did not find one yet.
func (d *differ) step(ctx context.Context) (*Difference, error) {
	a, b := d.a, d.b
	switch {
	case a.before(b):
		return d.only(ctx, a)
	case b.before(a):
		return d.only(ctx, b)
	case a.leaf == nil && b.leaf == nil && a.page().id == b.page().id:
		a.drop()
		b.drop()
		return nil, nil
	case a.level() > b.level(), a.level() == b.level() && a.leaf == nil && a.page().key <= b.page().key:
		return nil, a.open(ctx)
	case b.leaf == nil:
		return nil, b.open(ctx)
	}
	ka, va := a.take()
	_, vb := b.take()
	if d.same(va, vb) {
		return nil, nil
	}
	return d.report(ka, va, vb), nil
}

// only takes a key that the other tree does not have, or opens the page that
// holds it.
func (d *differ) only(ctx context.Context, c *cursor) (*Difference, error) {
	if c.leaf == nil {
		return nil, c.open(ctx)
	}
	k, v := c.take()
	if c == d.a {
		return d.report(k, v, nil), nil
	}
	return d.report(k, nil, v), nil
}

func (d *differ) report(k Key, before, after *Entry) *Difference {
	d.reported = Difference{k, before, after}
	return &d.reported
}

// same compares entries by their one encoding.
func (d *differ) same(a, b *Entry) bool {
	var errA, errB error
	d.ea, errA = appendEntry(d.ea[:0], a)
	d.eb, errB = appendEntry(d.eb[:0], b)
	return errA == nil && errB == nil && bytes.Equal(d.ea, d.eb)
}

// A cursor stands in a tree: before a record of an open leaf, before a page
// that it has not opened, or at the end.
type cursor struct {
	t    *tree[Entry]
	r    Range
	todo []place // pages to come, the next one last
	leaf *page[Entry]
	i    int // the next record of leaf
}

func newCursor(t *tree[Entry], r Range) *cursor { return &cursor{t: t, r: r, todo: []place{t.top()}} }

func (c *cursor) done() bool   { return c.leaf == nil && len(c.todo) == 0 }
func (c *cursor) page() *place { return &c.todo[len(c.todo)-1] }
func (c *cursor) drop()        { c.todo = c.todo[:len(c.todo)-1] }

// level returns the level of the page at the head, -1 for a record.
func (c *cursor) level() int {
	if c.leaf != nil {
		return -1
	}
	return c.page().level
}

// before reports whether all keys at c's head come before all of other's that
// are still to come.
func (c *cursor) before(other *cursor) bool {
	switch {
	case c.done():
		return false
	case other.done():
		return true
	}
	var last Key
	switch {
	case c.leaf != nil:
		last = c.leaf.keys[c.i]
	case c.page().isRoot:
		return false // its last key is not known yet
	default:
		last = c.page().key
	}
	if other.leaf != nil {
		return last < other.leaf.keys[other.i]
	}
	return other.page().bounded && last <= other.page().after
}

// take returns the record at the head and passes it.
func (c *cursor) take() (Key, *Entry) {
	k, v := c.leaf.keys[c.i], &c.leaf.values[c.i]
	c.i++
	c.settle()
	return k, v
}

// settle leaves a leaf of which nothing is left.
func (c *cursor) settle() {
	switch {
	case c.leaf == nil:
	case c.i == len(c.leaf.keys):
		c.leaf = nil
	case c.r.ends(c.leaf.keys[c.i]):
		c.leaf, c.todo = nil, nil
	}
}

// open replaces the page at the head by what is in it. Its error is a *Gap or
// that of ctx.
func (c *cursor) open(ctx context.Context) error {
	at := *c.page()
	c.drop()
	if err := ctx.Err(); err != nil {
		return err
	}
	p, err := c.t.load(ctx, &at, at.level > 0)
	switch {
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		return at.gap(err)
	case p.level == 0:
		c.leaf = p
		c.i, _ = slices.BinarySearch(p.keys, c.r.From)
		c.settle()
		return nil
	}
	first := search(p.children, c.r.From)
	for i := len(p.children) - 1; i >= first; i-- {
		if sub := at.below(p.children, i); !sub.bounded || !c.r.ends(sub.after) {
			c.todo = append(c.todo, sub)
		}
	}
	return nil
}

// skip passes all keys up to the end of a gap.
func (c *cursor) skip(g *Gap) {
	if g.Last == "" {
		c.leaf, c.todo = nil, nil
		return
	}
	c.r.From = max(c.r.From, g.Last+"\x00")
	for c.leaf != nil && c.leaf.keys[c.i] <= g.Last {
		c.take()
	}
	for len(c.todo) > 0 && c.leaf == nil && !c.page().isRoot && c.page().key <= g.Last {
		c.drop()
	}
}
