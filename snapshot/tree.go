package snapshot

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"restante/blob"
)

// A Saver stores pages.
type Saver interface {
	// SavePage stores a page and returns its ID, the keyed hash of its bytes.
	// It keeps no reference to data. Pages come with children before parents,
	// and the same page may come again.
	SavePage(ctx context.Context, data []byte) (blob.ID, error)
}

// A Loader reads pages.
type Loader interface {
	// LoadPage returns the bytes of the page with this ID, checked against
	// it. Its errors name the page. It may be called by several goroutines. The
	// bytes must not change while they are read.
	LoadPage(ctx context.Context, id blob.ID) ([]byte, error)
}

// Root is the root page of a tree, with the sums over the whole tree. Equal
// trees have equal roots.
type Root struct {
	ID     blob.ID
	Level  uint8 // of the page; 0 if it holds the records itself
	Counts Counts
}

// A Record is an entry under its key.
type Record struct {
	Key   Key
	Entry Entry
}

// A Builder makes a tree of entries, in memory that does not grow with it. It
// serves one goroutine.
type Builder struct{ m mapBuilder }

// NewBuilder returns a Builder that stores its pages with saver. key is the
// repository's ID key.
func NewBuilder(saver Saver, key blob.Key) *Builder {
	return &Builder{newMapBuilder(entryTree, saver, key)}
}

// Add adds an entry. Keys must come strictly ascending. An entry over the
// format's limits gives [ErrTooLarge]. After an error about the entry the
// tree is as it was before; after an error of the Saver, or of ctx, the
// Builder is of no more use.
func (b *Builder) Add(ctx context.Context, k Key, e *Entry) error {
	value, err := appendEntry(b.m.value[:0], e)
	b.m.value = value[:0]
	if err == nil {
		err = k.check()
	}
	if err == nil {
		err = b.m.add(ctx, k, value, e.Counts())
	}
	if err != nil {
		return fmt.Errorf("adding entry %q to the tree: %w", k.Path(), err)
	}
	return nil
}

// A Section is a page of level 1 with the leaves below it, some 64 entries. A tree
// that has none of level 1 is one Section, its only leaf.
type Section struct {
	Last   Key // of its entries
	ID     blob.ID
	Counts Counts
	Firm   bool // it ends behind its last entry, whatever comes behind
}

// OnSection has fn told of each Section when it is complete, in the order of the keys.
func (b *Builder) OnSection(fn func(Section)) { b.m.pager.section = fn }

// Take adds the entries of a Section that another Builder made with the same key
// and the same storage has, without a look at them. first is the key of its first
// entry. It reports false, and adds nothing, where adding the entries one by one
// would not make the same pages: then the caller has to do that.
func (b *Builder) Take(ctx context.Context, first Key, s Section) (bool, error) {
	m := &b.m
	switch {
	case m.pager.err != nil:
		return false, m.pager.err
	case ctx.Err() != nil:
		return false, ctx.Err()
	case !s.Firm || !m.pager.between():
		return false, nil
	case m.any && first <= m.last || s.Last < first:
		return false, fmt.Errorf("taking over a page up to %q: it does not come behind %q", s.Last.Path(), m.last.Path())
	}
	m.last, m.any = s.Last, true
	return true, m.pager.take(ctx, child{key: s.Last, id: s.ID, counts: s.Counts})
}

// Finish stores the last pages and returns the root. The Builder is of no
// more use.
func (b *Builder) Finish(ctx context.Context) (Root, error) { return b.m.finish(ctx) }

// A mapBuilder makes a keyed tree of encoded values.
type mapBuilder struct {
	pager *pager
	last  Key
	any   bool // last is set
	value []byte
	rec   []byte
	cut   []byte
}

func newMapBuilder(kind treeKind, saver Saver, key blob.Key) mapBuilder {
	return mapBuilder{pager: newPager(kind, saver, blob.NewHasher(key.Derive(treeKey))), cut: []byte{}}
}

func (m *mapBuilder) add(ctx context.Context, k Key, value []byte, counts Counts) error {
	if m.pager.err != nil {
		return m.pager.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.any && k <= m.last {
		return fmt.Errorf("it does not come behind %q", m.last.Path())
	}
	m.rec = appendSized(appendSized(m.rec[:0], k), value)
	if len(m.rec) > maxRecord {
		return fmt.Errorf("its record has %d bytes, more than %d: %w", len(m.rec), maxRecord, ErrTooLarge)
	}
	m.last, m.any = k, true
	m.cut = append(m.cut[:0], k...)
	return m.pager.add(ctx, 0, m.rec, k, counts, m.cut, true)
}

func (m *mapBuilder) finish(ctx context.Context) (Root, error) {
	if m.pager.err != nil {
		return Root{}, m.pager.err
	}
	root, err := m.pager.finish(ctx)
	if err == nil {
		m.pager.err = errors.New("the tree is finished")
	}
	return root, err
}

// A Tree reads a tree of entries page by page, as they are needed. It may be
// used by several goroutines. Pages that are not as they must be give errors
// that wrap [ErrDamaged] and name the page.
type Tree struct{ t *tree[Entry] }

// OpenTree returns the tree with this root. It reads nothing yet.
func OpenTree(loader Loader, root Root) *Tree {
	return &Tree{openTree(&format[Entry]{entryTree, parseTreeEntry, (*Entry).Counts}, loader, root)}
}

func parseTreeEntry(k Key, r *reader) (Entry, error) {
	if err := k.check(); err != nil {
		return Entry{}, fmt.Errorf("key %q: %w", k, err)
	}
	e, err := parseEntry(r)
	if err != nil {
		return Entry{}, fmt.Errorf("entry %q: %w", k.Path(), err)
	}
	return e, nil
}

// Get returns the entry with key k, and whether there is one. What the entry
// points to is shared with other callers and must not be changed.
func (t *Tree) Get(ctx context.Context, k Key) (Entry, bool, error) { return t.t.get(ctx, k) }

// All ranges over the records in r in order of their keys, and reads only the
// pages it comes to. Where a page cannot be read there is an error, a [*Gap],
// in the place of its records; who goes on gets those behind it. When ctx is done
// its error is the last.
func (t *Tree) All(ctx context.Context, r Range) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		t.t.scan(ctx, t.t.top(), r, func(k Key, e *Entry) bool { return yield(Record{k, *e}, nil) },
			func(err error) bool { return yield(Record{}, err) })
	}
}

// Count returns the sums over the entries in r. It reads about two pages a
// level of the tree, whatever the range. With an error they are the best that
// is known: of a page that cannot be read all is counted.
func (t *Tree) Count(ctx context.Context, r Range) (Counts, error) {
	var sum Counts
	err := t.t.count(ctx, t.t.top(), r, &sum)
	return sum, err
}
