package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"restante/blob"
	"restante/index"
	"restante/seal"
	"restante/storage"
)

// What package gc does to a repository. It is the only one that deletes what
// sessions have put, and needs an owner's key for that.

// An OpenSession is a session that has announced itself.
type OpenSession struct {
	ID     seal.Session
	Intent *Intent // nil: it cannot be read
	// Seen are the marks that the session is known to have seen: what is under
	// others it may rely on.
	Seen []uint64
}

// ReadSession reads what a session said of itself. What is damaged of it, it did
// not say. It returns storage.ErrNotFound, wrapped, when there is no intent.
func (r *Repository) ReadSession(ctx context.Context, id seal.Session) (*OpenSession, error) {
	s := &OpenSession{ID: id}
	var i Intent
	signer, err := r.readOf(ctx, intentName(id), 0, seal.KindIntent, id, r.signer(ctx), &i)
	if errors.As(err, new(*DamageError)) {
		r.warnOnce("%v", err)
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.Intent = &i
	seen, by, err := r.readSeen(ctx, id)
	switch {
	case errors.As(err, new(*DamageError)):
		r.warnOnce("%v", err)
	case err == nil && by == signer: // else another client says it
		s.Seen = seen
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return nil, err
	}
	return s, nil
}

func (r *Repository) readSeen(ctx context.Context, id seal.Session) ([]uint64, seal.SignerID, error) {
	var seen seenRecord
	signer, err := r.readOf(ctx, seenName(id), 0, seal.KindSeen, id, r.signer(ctx), &seen)
	return seen.Marks, signer, err
}

// EndSession puts a tombstone for a session that is taken for dead. It reports
// false if the session has ended by itself, in a snapshot or not. What the session
// put is made durable first, as it is when a session ends by itself.
func (r *Repository) EndSession(ctx context.Context, id seal.Session) (bool, error) {
	if !r.CanRead() {
		return false, ErrOwnerOnly
	}
	if err := r.Settle(ctx, ""); err != nil {
		return false, err
	}
	return r.bury(ctx, id, tombstone{Time: r.now(), Other: true})
}

// EndedItself reports whether the session has put its tombstone itself. A
// session that others ended may still run, and must find their tombstone whenever
// it wakes up.
func (r *Repository) EndedItself(ctx context.Context, id seal.Session) (bool, error) {
	if is, err := r.LikeTombstone(ctx, id); !is || err != nil {
		return false, err
	}
	var t tombstone
	if _, err := r.readOf(ctx, snapshotName(id), 0, seal.KindTombstone, id, r.signer(ctx), &t); err != nil {
		return false, err
	}
	return !t.Other, nil
}

// LikeTombstone reports whether what ended the session begins as a tombstone does. Where it is
// damaged nobody can know that it is one.
func (r *Repository) LikeTombstone(ctx context.Context, id seal.Session) (bool, error) {
	header, err := get(ctx, r.store, snapshotName(id), 0, seal.HeaderSize, nil)
	if err != nil {
		return false, err
	}
	h, err := seal.ParseHeader(header)
	return err == nil && h.Kind == seal.KindTombstone, nil
}

// RemoveSession removes the intent of a session that has ended, and before it
// what goes with it: while the intent is there the next prune finds both.
func (r *Repository) RemoveSession(ctx context.Context, id seal.Session) error {
	if err := r.Remove(ctx, seenName(id)); err != nil {
		return err
	}
	return r.Remove(ctx, intentName(id))
}

// Remove removes an object. One that is not there is no error.
func (r *Repository) Remove(ctx context.Context, name string) error {
	if !r.CanRead() {
		return ErrOwnerOnly
	}
	if err := r.store.Delete(ctx, name); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return nil
}

// MarkName returns the name in the storage of the mark with this number.
func MarkName(number uint64) string { return markName(number) }

// PackSession returns the session that stored a pack, as its header says.
func (r *Repository) PackSession(ctx context.Context, id blob.ID) (seal.Session, error) {
	h, err := r.packHeader(ctx, id)
	return h.Session, err
}

// EachPack brings the index up to date, and calls fn for each pack that it
// names, with the number of pieces that it says.
func (r *Repository) EachPack(ctx context.Context, fn func(id blob.ID, pieces uint32)) error {
	if err := r.reindex(ctx, nil); err != nil {
		return err
	}
	r.index.EachPack(func(p index.Pack, pieces uint32) { fn(p.ID, pieces) })
	return nil
}

// An IndexHead says which packs an index object names.
type IndexHead struct {
	ID    blob.ID
	Size  int64 // of the object
	Packs []blob.ID
}

// IndexObjects returns the heads of all index objects.
func (r *Repository) IndexObjects(ctx context.Context) ([]IndexHead, error) {
	sizes, err := r.listIndexes(ctx)
	if err != nil {
		return nil, err
	}
	var heads []IndexHead
	for _, id := range slices.SortedFunc(maps.Keys(sizes), blob.ID.Compare) {
		if packs, ok := r.index.ObjectPacks(id); ok { // else it came since the index was read
			heads = append(heads, IndexHead{ID: id, Size: sizes[id], Packs: packs})
		}
	}
	return heads, nil
}

// WithoutPacks takes packs out of an index object: it puts one without them,
// unless they are all that it names, and then removes the old one. A crash between
// leaves both, which say the same of the other packs.
func (r *Repository) WithoutPacks(ctx context.Context, head IndexHead, gone func(blob.ID) bool) error {
	left := slices.ContainsFunc(head.Packs, func(id blob.ID) bool { return !gone(id) })
	if left {
		if err := r.copyIndex(ctx, head, gone); err != nil {
			return err
		}
	}
	return r.Remove(ctx, indexName(head.ID))
}

func (r *Repository) copyIndex(ctx context.Context, head IndexHead, gone func(blob.ID) bool) error {
	o, tree, err := r.OpenIndex(ctx, head.ID, head.Size)
	if err != nil {
		return &DamageError{Object: indexName(head.ID), Err: err}
	}
	o.Packs = slices.DeleteFunc(o.Packs, func(p index.Pack) bool { return gone(p.ID) })
	o.Entries = slices.DeleteFunc(o.Entries, func(e index.Entry) bool { return gone(e.Place.Pack) })
	kind := seal.KindDataIndex
	if tree {
		kind = seal.KindTreeIndex
	}
	data, err := r.sealIndex(kind, seal.Session{}, o)
	if err != nil {
		return err
	}
	return putOnce(ctx, r.store, indexName(blob.NameOf(data)), data)
}

// MergeIndexes puts one index object of each kind in the place of several, which say the
// same together: first the new one, then the old ones go. A crash between leaves both. turn
// is called between; when it fails, the new one is taken away again, for somebody else may have
// changed the old ones meanwhile. It returns how many are gone. Those that contradict each
// other, which a check names, stay as they are.
func (r *Repository) MergeIndexes(ctx context.Context, heads []IndexHead, turn func() error) (gone int, err error) {
	kinds := map[seal.Kind]*mergedIndex{}
	for _, h := range heads {
		o, tree, err := r.OpenIndex(ctx, h.ID, h.Size)
		if errors.Is(err, storage.ErrNotFound) {
			return 0, nil // somebody else is at it
		}
		if err != nil {
			return 0, &DamageError{Object: indexName(h.ID), Err: err}
		}
		kind := seal.KindDataIndex
		if tree {
			kind = seal.KindTreeIndex
		}
		if kinds[kind] == nil {
			kinds[kind] = &mergedIndex{sizes: map[blob.ID]uint32{}}
		}
		kinds[kind].add(h.ID, o)
	}
	for kind, m := range kinds {
		if len(m.from) < 2 || !m.finish() {
			continue
		}
		if err := r.putMerged(ctx, kind, m, turn); err != nil {
			return gone, err
		}
		gone += len(m.from)
	}
	return gone, nil
}

func (r *Repository) putMerged(ctx context.Context, kind seal.Kind, m *mergedIndex, turn func() error) error {
	data, err := r.sealIndex(kind, seal.Session{}, &m.all)
	if err != nil {
		return err
	}
	name := indexName(blob.NameOf(data))
	if err := putOnce(ctx, r.store, name, data); err != nil {
		return err
	}
	if err := turn(); err != nil {
		return errors.Join(err, r.Remove(context.WithoutCancel(ctx), name))
	}
	for _, id := range m.from {
		if err := r.Remove(ctx, indexName(id)); err != nil {
			return err
		}
	}
	return nil
}

// A mergedIndex is what several index objects of one kind say.
type mergedIndex struct {
	from  []blob.ID
	all   index.Object
	sizes map[blob.ID]uint32 // of packs
	odd   bool               // they contradict each other
}

func (m *mergedIndex) add(id blob.ID, o *index.Object) {
	m.from = append(m.from, id)
	for _, p := range o.Packs {
		size, known := m.sizes[p.ID]
		if !known {
			m.sizes[p.ID] = p.Size
			m.all.Packs = append(m.all.Packs, p)
		}
		m.odd = m.odd || known && size != p.Size
	}
	m.all.Entries = append(m.all.Entries, o.Entries...)
}

// finish brings the entries in order, each once. It reports false if they are not to be
// merged.
func (m *mergedIndex) finish() bool {
	slices.SortFunc(m.all.Entries, compareEntries)
	m.all.Entries = slices.Compact(m.all.Entries)
	for i := 1; i < len(m.all.Entries); i++ {
		m.odd = m.odd || compareEntries(m.all.Entries[i-1], m.all.Entries[i]) == 0
	}
	return !m.odd && len(m.all.Entries) <= maxIndexEntries
}
