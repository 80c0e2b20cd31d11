package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"

	"restante/blob"
)

// maxCache bounds the pages that a tree keeps for look-ups, in their encoded bytes.
const maxCache = 512 << 10

// A tree reads pages of one kind. Several goroutines may use it at once.
type tree[V any] struct {
	format *format[V]
	loader Loader
	root   Root

	mu     sync.Mutex // for what follows
	pages  map[blob.ID]*page[V]
	order  []blob.ID // of pages, oldest first
	cached int       // encoded bytes of pages
}

func openTree[V any](f *format[V], loader Loader, root Root) *tree[V] {
	return &tree[V]{format: f, loader: loader, root: root, pages: map[blob.ID]*page[V]{}}
}

// A place is where a page hangs: what its parent says of it.
type place struct {
	child
	level   int
	bounded bool // there are keys before it: after is the last of them
	after   Key
	isRoot  bool
}

func (t *tree[V]) top() place {
	return place{child: child{id: t.root.ID, counts: t.root.Counts}, level: int(t.root.Level), isRoot: true}
}

// below returns the place of p's i-th child.
func (at *place) below(children []child, i int) place {
	out := place{child: children[i], level: at.level - 1, bounded: at.bounded, after: at.after}
	if i > 0 {
		out.bounded, out.after = true, children[i-1].key
	}
	return out
}

// A Gap is a run of records that cannot be read, because their page cannot.
// It is an error that says which.
type Gap struct {
	After   Key    // the last key before the gap
	Bounded bool   // there is one; else the gap is at the beginning
	Last    Key    // the last key in the gap; "" if it goes on to the end
	Counts  Counts // sums over the gap
	Err     error  // why it cannot be read
}

func (g *Gap) Error() string {
	from, to := "the beginning", "the end"
	if g.Bounded {
		from = fmt.Sprintf("%q", g.After.Path())
	}
	if g.Last != "" {
		to = fmt.Sprintf("%q", g.Last.Path())
	}
	return fmt.Sprintf("%d records, after %s and up to %s: %v", g.Counts.Entries, from, to, g.Err)
}

func (g *Gap) Unwrap() error { return g.Err }

func (at *place) gap(err error) *Gap {
	return &Gap{After: at.after, Bounded: at.bounded, Last: at.key, Counts: at.counts, Err: err}
}

// load reads the page at a place and holds it against what its parent says,
// so that a wrong sum or a key in the wrong page is an error and no answer.
func (t *tree[V]) load(ctx context.Context, at *place, keep bool) (*page[V], error) {
	p, err := t.fetch(ctx, at.id, keep)
	if err != nil {
		return nil, err
	}
	if err := t.fits(p, at); err != nil {
		return nil, fmt.Errorf("reading page %v: %w: %w", at.id, ErrDamaged, err)
	}
	return p, nil
}

func (t *tree[V]) fetch(ctx context.Context, id blob.ID, keep bool) (*page[V], error) {
	t.mu.Lock()
	p, ok := t.pages[id]
	t.mu.Unlock()
	if ok {
		return p, nil
	}
	data, err := t.loader.LoadPage(ctx, id)
	if err != nil {
		return nil, err
	}
	p, err = parsePage(t.format, data)
	if err != nil {
		return nil, fmt.Errorf("reading page %v: %w: %w", id, ErrDamaged, err)
	}
	if keep {
		t.remember(id, p)
	}
	return p, nil
}

func (t *tree[V]) remember(id blob.ID, p *page[V]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.pages[id]; ok {
		return
	}
	t.pages[id] = p
	t.order = append(t.order, id)
	t.cached += p.size
	for t.cached > maxCache && len(t.order) > 1 {
		t.cached -= t.pages[t.order[0]].size
		delete(t.pages, t.order[0])
		t.order = slices.Delete(t.order, 0, 1)
	}
}

func (t *tree[V]) fits(p *page[V], at *place) error {
	switch {
	case p.level != at.level:
		return fmt.Errorf("it is at level %d, not %d", p.level, at.level)
	case p.counts != at.counts:
		return fmt.Errorf("it sums up to %+v, but its parent has %+v", p.counts, at.counts)
	case at.isRoot && p.level > 0 && len(p.children) < 2:
		return errors.New("it is a root with one child")
	case p.level == 0 && len(p.values) == 0:
		if !at.isRoot {
			return errors.New("it is empty, but not the root")
		}
	case !t.format.kind.keyed:
		if at.isRoot && p.level == 0 && p.size <= maxInline {
			return errors.New("it is short enough to stand in its entry")
		}
	case !at.isRoot && p.last() != at.key:
		return fmt.Errorf("it ends with key %q, but its parent has %q", p.last(), at.key)
	case at.bounded && p.first() <= at.after:
		return fmt.Errorf("it begins with key %q, which is not behind %q", p.first(), at.after)
	}
	return nil
}

// get looks one key up.
func (t *tree[V]) get(ctx context.Context, k Key) (v V, ok bool, err error) {
	at := t.top()
	for {
		p, err := t.load(ctx, &at, true)
		if err != nil {
			return v, false, err
		}
		if p.level == 0 {
			i, found := slices.BinarySearch(p.keys, k)
			if !found {
				return v, false, nil
			}
			return p.values[i], true, nil
		}
		i := search(p.children, k)
		if i == len(p.children) {
			return v, false, nil
		}
		at = at.below(p.children, i)
	}
}

// search returns the first child that can hold k or a key behind it.
func search(children []child, k Key) int {
	return sort.Search(len(children), func(i int) bool { return children[i].key >= k })
}

// scan calls fn for the records in r below a place, in order, and gap for each
// page of them that cannot be read, until either returns false. It reads no
// page that holds none of them, but for one where the range falls between two
// pages.
func (t *tree[V]) scan(ctx context.Context, at place, r Range, fn func(Key, *V) bool, gap func(error) bool) (more bool) {
	p, err := t.load(ctx, &at, at.level > 0)
	if ctx.Err() != nil && err != nil {
		gap(err)
		return false
	}
	if err != nil {
		return gap(at.gap(err))
	}
	if p.level == 0 {
		i, _ := slices.BinarySearch(p.keys, r.From)
		for ; i < len(p.keys); i++ {
			if r.ends(p.keys[i]) || !fn(p.keys[i], &p.values[i]) {
				return false
			}
		}
		return true
	}
	for i := search(p.children, r.From); i < len(p.children); i++ {
		if !t.scan(ctx, at.below(p.children, i), r, fn, gap) || r.ends(p.children[i].key) {
			return false
		}
	}
	return true
}

// count adds up the range r below a place. It reads only the pages at the
// two ends of the range. Of those that cannot be read all is counted; the error
// is that of the first.
func (t *tree[V]) count(ctx context.Context, at place, r Range, sum *Counts) error {
	p, err := t.load(ctx, &at, true)
	if err != nil {
		sum.Add(at.counts)
		return err
	}
	for i := range p.values {
		if r.Contains(p.keys[i]) && !sum.Add(t.format.counts(&p.values[i])) {
			return fmt.Errorf("adding up page %v: %w: the sums are over 64 bits", at.id, ErrDamaged)
		}
	}
	for i := search(p.children, r.From); i < len(p.children); i++ {
		sub := at.below(p.children, i)
		if sub.bounded && r.ends(sub.after) {
			break
		}
		if whole := r.From == "" || sub.bounded && sub.after >= r.From; !whole || r.ends(sub.key) {
			if failed := t.count(ctx, sub, r, sum); failed != nil && err == nil {
				err = failed
			}
		} else if !sum.Add(sub.counts) {
			return fmt.Errorf("adding up page %v: %w: the sums are over 64 bits", at.id, ErrDamaged)
		}
	}
	return err
}

// scanBytes calls fn for the items of a list, beginning with the one that
// makes byte from, each with its offset, until fn returns false. base is the
// offset of the first item below the place.
func (t *tree[V]) scanBytes(ctx context.Context, at place, base, from uint64, fn func(uint64, *V) bool) (more bool, err error) {
	p, err := t.load(ctx, &at, false)
	if err != nil {
		return false, err
	}
	for i := range p.values {
		n := t.format.counts(&p.values[i]).Bytes
		if base+n > from && !fn(base, &p.values[i]) {
			return false, nil
		}
		base += n
	}
	for i := range p.children {
		n := p.children[i].counts.Bytes
		if base+n > from {
			if more, err := t.scanBytes(ctx, at.below(p.children, i), base, from, fn); err != nil || !more {
				return false, err
			}
		}
		base += n
	}
	return true, nil
}
