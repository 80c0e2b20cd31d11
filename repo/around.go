package repo

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"restante/blob"
	"restante/index"
	"restante/storage"
)

// directoriesAtOnce is of how many packs the index learns what lies in them
// together, so that it takes little memory.
const directoriesAtOnce = 16

// ReadAround makes look-ups find what lies in packs although index objects are damaged,
// cannot be read or are gone: what an index object says, the directories of its packs say too.
// It is for who only reads, and no session begins after it: what only directories say
// nobody else relies on, and what has to be found damaged would be found whole.
func (r *Repository) ReadAround() {
	r.syncMu.Lock()
	defer r.syncMu.Unlock()
	r.around = true
}

func (r *Repository) readsAround() bool {
	r.syncMu.Lock()
	defer r.syncMu.Unlock()
	return r.around
}

// syncNames makes the index know the index objects named by names, and nothing else. Who
// reads around leaves out those that cannot be used; flaw says what is wrong with one
// that has been left out already, nil for none.
func (r *Repository) syncNames(ctx context.Context, names []blob.ID, flaw error, load func(context.Context, blob.ID) (*index.Object, error)) error {
	for {
		if flaw != nil && !r.around {
			return flaw
		}
		if flaw != nil {
			r.unnamed = true
			r.warnOnce("%v: the directories of packs are read in its place", flaw)
		}
		err := r.index.Sync(ctx, names, load)
		if err == nil && r.unnamed {
			return r.syncUnnamed(ctx, names, load)
		}
		name, broken := brokenIndex(err)
		if broken == nil || !r.around {
			return err
		}
		flaw = broken
		names = slices.DeleteFunc(names, func(id blob.ID) bool { return id == name })
	}
}

// brokenIndex returns the index object that err says cannot be used, and what is wrong with
// it, nil for none. One that is not there any more is none.
func brokenIndex(err error) (id blob.ID, flaw error) {
	var damage *DamageError
	var unreadable *UnreadableError
	object := ""
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case errors.As(err, &damage):
		object, flaw = damage.Object, damage
	case errors.As(err, &unreadable):
		object, flaw = unreadable.Object, unreadable
	}
	text, ok := strings.CutPrefix(object, "index/")
	id, err = blob.ParseID(text)
	if !ok || err != nil {
		return id, nil
	}
	return id, flaw
}

// syncUnnamed makes the index know also what lies in packs that none of the index objects
// names, which it knows already.
func (r *Repository) syncUnnamed(ctx context.Context, names []blob.ID, load func(context.Context, blob.ID) (*index.Object, error)) error {
	sizes, err := r.listPacks(ctx)
	if err != nil {
		return err
	}
	for _, p := range r.index.Packs() {
		delete(sizes, p.ID)
	}
	groups := map[blob.ID][]blob.ID{} // by what stands for the name of an index object
	for packs := range slices.Chunk(slices.SortedFunc(maps.Keys(sizes), blob.ID.Compare), directoriesAtOnce) {
		var all []byte
		for _, id := range packs {
			all = append(all, id[:]...)
		}
		name := blob.NameOf(all)
		groups[name] = packs
		names = append(names, name)
	}
	if len(groups) == 0 {
		return nil
	}
	return r.index.Sync(ctx, names, func(ctx context.Context, name blob.ID) (*index.Object, error) {
		if packs, ok := groups[name]; ok {
			return r.directories(ctx, packs, sizes)
		}
		return load(ctx, name)
	})
}

// directories returns what the directories of packs say, of those that can be read.
func (r *Repository) directories(ctx context.Context, packs []blob.ID, sizes map[blob.ID]int64) (*index.Object, error) {
	o := &index.Object{}
	for _, id := range packs {
		clumps, err := r.directory(ctx, id, sizes[id])
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			r.warnOnce("pack %s, which no index object names, is left out: %v", id.Short(), err)
			continue
		}
		o.Packs = append(o.Packs, index.Pack{ID: id, Size: uint32(sizes[id])})
		o.Entries = appendEntries(o.Entries, id, clumps)
	}
	return o, nil
}
