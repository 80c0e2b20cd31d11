package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"restante/blob"
)

// Limits of pages. They are part of the format.
const (
	maxPage    = 64 << 10 // bytes of records, on a page with several
	maxRecord  = 4 << 20  // bytes of one record, which over maxPage has its own page
	maxLevel   = 48       // an interior page has two records at least, but for the last
	pageHeader = 2
	treeKey    = "restante tree v1"
)

// sectionLevel is the level of pages that are told of and taken over: with what is
// below them they are large enough to pay for it, and smaller than a common folder of messages.
const sectionLevel = 1

// A kind of tree. The values are part of the format.
type treeKind struct {
	tag   byte
	keyed bool   // records have keys, strictly ascending
	fan   uint32 // records a page on average, a power of two
}

var (
	entryTree   = treeKind{tag: 1, keyed: true, fan: 8}
	mailboxTree = treeKind{tag: 2, keyed: true, fan: 8}
	itemList    = treeKind{tag: 3, keyed: false, fan: 128}
)

// A child is an interior record: a page one level down.
type child struct {
	key    Key // last key in the page
	id     blob.ID
	counts Counts
}

func (k *treeKind) appendChild(dst []byte, c *child) []byte {
	if k.keyed {
		dst = append(appendSized(dst, c.key), c.id[:]...)
		return appendCounts(dst, c.counts)
	}
	dst = append(dst, c.id[:]...)
	dst = binary.AppendUvarint(dst, c.counts.Entries)
	return binary.AppendUvarint(dst, c.counts.Bytes)
}

func (k *treeKind) parseChild(r *reader) child {
	if k.keyed {
		return child{key: Key(r.sized("key", MaxKey)), id: r.id("ID of page"), counts: r.counts()}
	}
	c := child{id: r.id("ID of page")}
	c.counts.Entries = r.uvarint("count of items", math.MaxUint64)
	c.counts.Bytes = r.uvarint("count of bytes", math.MaxUint64)
	return c
}

// A pager cuts records into pages, level upon level. It holds one unfinished
// page a level.
type pager struct {
	kind    treeKind
	saver   Saver
	section func(Section) // told of each; may be nil
	h       *blob.Hasher
	levels  []*level
	scratch []byte
	err     error // sticks: after a failed save the pages do not add up
}

// A level is the unfinished page of a level.
type level struct {
	buf    []byte
	n      int // records in buf
	last   Key
	counts Counts
	saved  uint64 // pages saved
	first  child  // the first of them: the root, if it stays the only one
}

func newPager(kind treeKind, saver Saver, h *blob.Hasher) *pager {
	return &pager{kind: kind, saver: saver, h: h}
}

func (p *pager) level(lv int) *level {
	if lv == len(p.levels) {
		p.levels = append(p.levels, &level{buf: []byte{p.kind.tag, byte(lv)}})
	}
	return p.levels[lv]
}

// add puts a record at the end of a level. The page ends behind it if there
// is a cut and its keyed hash says so. Such an end is firm, whatever comes behind, if
// firm says that of the record.
func (p *pager) add(ctx context.Context, lv int, rec []byte, key Key, counts Counts, cut []byte, firm bool) error {
	l := p.level(lv)
	if l.n > 0 && len(l.buf)-pageHeader+len(rec) > maxPage {
		if err := p.save(ctx, lv, false); err != nil {
			return err
		}
	}
	if !l.counts.Add(counts) {
		p.err = errors.New("building a tree: its sums are over 64 bits")
		return p.err
	}
	l.buf = append(l.buf, rec...)
	l.n++
	l.last = key
	if lv > 0 && l.n == 1 || cut == nil || !p.cuts(lv, cut) {
		return nil
	}
	return p.save(ctx, lv, firm)
}

func (p *pager) cuts(lv int, cut []byte) bool {
	p.scratch = append(append(p.scratch[:0], p.kind.tag, byte(lv)), cut...)
	sum := p.h.Sum(p.scratch)
	return binary.LittleEndian.Uint32(sum[:])%p.kind.fan == 0
}

// save ends the page of a level, and adds it to the level above.
func (p *pager) save(ctx context.Context, lv int, firm bool) error {
	l := p.levels[lv]
	id, err := p.saver.SavePage(ctx, l.buf)
	if err != nil {
		p.err = fmt.Errorf("saving a page of a tree: %w", err)
		return p.err
	}
	c := child{key: l.last, id: id, counts: l.counts}
	l.buf, l.n, l.counts = l.buf[:pageHeader], 0, Counts{}
	return p.saved(ctx, lv, c, firm)
}

// saved adds a page of a level, which is stored, to the level above.
func (p *pager) saved(ctx context.Context, lv int, c child, firm bool) error {
	l := p.levels[lv]
	if l.saved == 0 {
		l.first = c
	}
	l.saved++
	if lv == sectionLevel {
		p.tell(c, firm)
	}
	cut := c.id[:]
	if p.kind.keyed {
		cut = []byte(c.key)
	}
	return p.add(ctx, lv+1, p.kind.appendChild(nil, &c), c.key, c.counts, cut, firm)
}

func (p *pager) tell(c child, firm bool) {
	if p.section != nil {
		p.section(Section{Last: c.key, ID: c.id, Counts: c.counts, Firm: firm})
	}
}

// between reports whether what comes next begins a section.
func (p *pager) between() bool {
	for lv := range sectionLevel + 1 {
		if p.level(lv).n > 0 {
			return false
		}
	}
	return true
}

// take adds the page of a section, which is stored and ends firmly, between two of them.
func (p *pager) take(ctx context.Context, c child) error {
	for lv := range sectionLevel {
		p.levels[lv].saved += 2 // at least, below a page that its hash has ended
	}
	return p.saved(ctx, sectionLevel, c, true)
}

// finish saves what is unfinished and returns the root: the only page of the
// lowest level that has but one.
func (p *pager) finish(ctx context.Context) (Root, error) {
	for lv := 0; ; lv++ {
		l := p.level(lv)
		if l.n > 0 || l.saved == 0 {
			if err := p.save(ctx, lv, false); err != nil {
				return Root{}, err
			}
		}
		if l.saved == 1 {
			if lv < sectionLevel {
				p.tell(l.first, false)
			}
			return Root{ID: l.first.id, Level: uint8(lv), Counts: l.first.counts}, nil
		}
	}
}

// reset readies the pager for another tree, with its buffers.
func (p *pager) reset() {
	for _, l := range p.levels {
		*l = level{buf: l.buf[:pageHeader]}
	}
	p.err = nil
}

// A page is a page taken apart.
type page[V any] struct {
	level    int
	size     int     // encoded bytes of its records
	keys     []Key   // leaf of a keyed tree
	values   []V     // leaf
	children []child // interior
	counts   Counts
}

// last returns the last key of a keyed page that is not empty.
func (p *page[V]) last() Key {
	if p.level > 0 {
		return p.children[len(p.children)-1].key
	}
	return p.keys[len(p.keys)-1]
}

// first returns a key that no key of the page is below.
func (p *page[V]) first() Key {
	if p.level > 0 {
		return p.children[0].key
	}
	return p.keys[0]
}

// A format says how the leaves of a kind of tree read.
type format[V any] struct {
	kind   treeKind
	parse  func(k Key, r *reader) (V, error) // takes all of r
	counts func(*V) Counts
}

// parsePage reads a page. Bytes that it accepts are the only ones that stand
// for what it returns.
func parsePage[V any](f *format[V], data []byte) (*page[V], error) {
	if len(data) < pageHeader {
		return nil, errors.New("it is shorter than its header")
	}
	if data[0] != f.kind.tag {
		return nil, fmt.Errorf("it belongs to a tree of kind %d, not %d", data[0], f.kind.tag)
	}
	if data[1] > maxLevel {
		return nil, fmt.Errorf("it is at level %d, above %d", data[1], maxLevel)
	}
	if len(data) > pageHeader+maxRecord {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(data), pageHeader+maxRecord)
	}
	p := &page[V]{level: int(data[1]), size: len(data) - pageHeader}
	r := &reader{b: data[pageHeader:]}
	for n := 0; len(r.b) > 0; n++ {
		if n == 1 && len(data) > pageHeader+maxPage {
			return nil, fmt.Errorf("it has several records in %d bytes, more than %d", len(data), pageHeader+maxPage)
		}
		if err := p.parseRecord(f, r); err != nil {
			return nil, fmt.Errorf("record %d: %w", n, err)
		}
	}
	if p.level > 0 && len(p.children) == 0 {
		return nil, errors.New("it is an interior page without records")
	}
	return p, nil
}

func (p *page[V]) parseRecord(f *format[V], r *reader) error {
	if p.level > 0 {
		c := f.kind.parseChild(r)
		if r.err != nil {
			return r.err
		}
		if f.kind.keyed && len(p.children) > 0 && c.key <= p.last() {
			return fmt.Errorf("key %q is not behind %q", c.key, p.last())
		}
		p.children = append(p.children, c)
		return p.sum(c.counts)
	}
	var key Key
	value := r
	if f.kind.keyed {
		key = Key(r.sized("key", MaxKey))
		if r.err == nil && len(p.keys) > 0 && key <= p.last() {
			return fmt.Errorf("key %q is not behind %q", key, p.last())
		}
		value = &reader{b: r.sized("value", maxRecord)}
	}
	if r.err != nil {
		return r.err
	}
	v, err := f.parse(key, value)
	if err != nil {
		return err
	}
	if f.kind.keyed {
		p.keys = append(p.keys, key)
	}
	p.values = append(p.values, v)
	return p.sum(f.counts(&p.values[len(p.values)-1]))
}

func (p *page[V]) sum(c Counts) error {
	if !p.counts.Add(c) {
		return errors.New("the sums are over 64 bits")
	}
	return nil
}
