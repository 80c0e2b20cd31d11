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

// RepairOptions describe a run that repairs objects.
type RepairOptions struct {
	User string // who runs it, for people
	// Force goes on where most of the packs that the index names are gone, or all that
	// there were. It is refused otherwise, with ErrMostGone: a disk may not be mounted.
	Force bool
	// Progress, if not nil, is called with what has been read since the last call.
	Progress func(objects, bytes uint64)
}

// ErrMostGone is returned where most of the packs that the index names are not
// there, or where there are snapshots and nothing that they can be read from. Nothing
// has been changed then.
var ErrMostGone = errors.New("most of what snapshots need is not there")

// A repairer is a session that changes the index and packs, and makes no
// snapshot. Other than Begin it needs no index that is whole.
//
// It works beside live sessions and readers, and this is why they lose nothing: it
// takes an index object away only when others name all packs that are there with
// all their pieces, and a pack only when its pieces that can be read are in others
// that the index names. A session that relies on a piece therefore finds it, but
// for pieces that cannot be read any more, which its snapshot would lack anyway. A
// session that comes later, or that has a parent from before, learns from the
// records of damage what may be lost. A reader that meets an object that has just
// gone fails, and succeeds when it is run again.
type repairer struct {
	r       *Repository
	s       *Session
	opts    RepairOptions
	tallier *Tallier

	indexes map[blob.ID]*surveyed
	packs   map[blob.ID]int64 // that are there, and their sizes
}

// surveyed is an index object as the survey found it.
type surveyed struct {
	err   error // it cannot be opened
	kind  seal.Kind
	packs map[blob.ID]namedPack
}

// A namedPack is what an index object says of a pack.
type namedPack struct {
	size  uint32
	tally Tally
}

// Two repairs at once on one machine would undo each other's work.
const (
	repairStore = "(the repository itself)"
	repairHost  = "(any)"
)

// repair runs fn within a session that ends in a tombstone, whatever fn returns.
func (r *Repository) repair(ctx context.Context, operation string, opts RepairOptions, fn func(*repairer) error) error {
	if opts.Progress == nil {
		opts.Progress = func(uint64, uint64) {}
	}
	intent := Intent{Operation: operation, Store: repairStore, Host: repairHost, User: opts.User}
	s, err := r.announce(ctx, SessionOptions{Intent: intent, Compression: Default})
	if err != nil {
		return err
	}
	s.packSz = firstPackSize
	p := &repairer{r: r, s: s, opts: opts, tallier: NewTallier(), indexes: map[blob.ID]*surveyed{}}
	err = p.survey(ctx)
	if err == nil { // what stays has to last when something goes because of it
		err = r.Settle(ctx, "")
	}
	if err == nil {
		err = fn(p)
	}
	// What was made durable stays, for the next run to take up; see Abandon.
	return errors.Join(err, s.Abandon(context.WithoutCancel(ctx)))
}

// survey opens all index objects and lists all packs. The index comes first: a
// session that ends meanwhile puts its packs first, so that none that is named
// seems to be gone.
func (p *repairer) survey(ctx context.Context) error {
	sizes, err := p.r.listIndexes(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.SortedFunc(maps.Keys(sizes), blob.ID.Compare) {
		o, err := p.open(ctx, id, sizes[id])
		if errors.Is(err, storage.ErrNotFound) {
			continue // gone this moment
		}
		if err != nil {
			return err
		}
		p.indexes[id] = o
		p.opts.Progress(1, uint64(sizes[id]))
	}
	p.packs, err = p.r.listPacks(ctx)
	return err
}

// open opens an index object. Its error is one that keeps from repairing: a
// damaged object is what is looked for, but not one that is not for this user to
// read, or of a newer program.
func (p *repairer) open(ctx context.Context, id blob.ID, size int64) (*surveyed, error) {
	o, isTree, err := p.r.OpenIndex(ctx, id, size)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if InDoubt(err) {
		return nil, p.r.ErrDoubt()
	}
	if Unreadable(err) || errors.Is(err, seal.ErrTooNew) || errors.Is(err, storage.ErrNotFound) {
		return nil, fmt.Errorf("reading %s: %w", indexName(id), err)
	}
	if err != nil {
		return &surveyed{err: err}, nil
	}
	out := &surveyed{kind: seal.KindDataPack, packs: map[blob.ID]namedPack{}}
	if isTree {
		out.kind = seal.KindTreePack
	}
	for _, named := range o.Packs {
		out.packs[named.ID] = namedPack{size: named.Size}
	}
	for _, e := range o.Entries {
		named := out.packs[e.Place.Pack]
		p.tallier.Add(&named.tally, e.ID, e.Place)
		out.packs[e.Place.Pack] = named
	}
	return out, nil
}

// mostGone returns ErrMostGone if so many packs are too many to be gone, or if none is
// there although there are snapshots, which may also be so when the index is gone as well.
func (p *repairer) mostGone(ctx context.Context, gone int) error {
	named := map[blob.ID]bool{}
	for _, o := range p.indexes {
		for id := range o.packs {
			named[id] = true
		}
	}
	switch {
	case p.opts.Force:
		return nil
	case 2*gone > len(named):
		return fmt.Errorf("%w: %d of %d packs that the index names are gone", ErrMostGone, gone, len(named))
	case len(p.packs) > 0:
		return nil
	}
	return p.r.EachSnapshot(ctx, func(SnapshotObject, error) error {
		return fmt.Errorf("%w: there are snapshots, and no pack", ErrMostGone)
	})
}

// sound returns the names of the index objects that can be opened.
func (p *repairer) sound() (ids []blob.ID) {
	for id, o := range p.indexes {
		if o.err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// entries returns what an index object says of a pack.
func (p *repairer) entries(ctx context.Context, object, pack blob.ID) ([]index.Entry, error) {
	o, err := p.r.loadIndex(ctx, object)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(o.Entries, func(e index.Entry) bool { return e.Place.Pack != pack }), nil
}

// clumpsOf makes of index entries of one pack what its directory says, but for the
// class, which has little to say, and the tags. It leaves out clumps whose pieces
// do not fill them: those are not as a writer makes them.
func clumpsOf(entries []index.Entry, kind seal.Kind) []ClumpInfo {
	class := blob.Text
	if kind == seal.KindTreePack {
		class = blob.Page
	}
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b index.Entry) int {
		if c := a.Place.Clump.Compare(b.Place.Clump); c != 0 {
			return c
		}
		return int(a.Place.Inner) - int(b.Place.Inner)
	})
	var out []ClumpInfo
	for len(entries) > 0 {
		c := ClumpInfo{Class: class, Offset: entries[0].Place.Offset, Length: entries[0].Place.Length}
		good, n := true, 0
		for ; n < len(entries) && entries[n].Place.Clump == entries[0].Place.Clump; n++ {
			good = good && entries[n].Place.Inner == c.Raw
			c.Pieces = append(c.Pieces, Piece{ID: entries[n].ID, Size: entries[n].Place.Size})
			c.Raw += entries[n].Place.Size
		}
		if good {
			out = append(out, c)
		}
		entries = entries[n:]
	}
	return out
}

// useIndex makes look-ups go by these index objects alone; those in own are at hand.
func (p *repairer) useIndex(ctx context.Context, names []blob.ID, own map[blob.ID]*index.Object) error {
	p.r.syncMu.Lock()
	defer p.r.syncMu.Unlock()
	for id := range own {
		names = append(names, id)
	}
	err := p.r.index.Sync(ctx, names, func(ctx context.Context, id blob.ID) (*index.Object, error) {
		if o, ok := own[id]; ok {
			return o, nil
		}
		return p.r.loadIndex(ctx, id)
	})
	if err == nil {
		err = p.r.readDamages(ctx)
	}
	p.r.synced = err == nil
	return err
}

// without puts what an index object says of packs other than these, unless that
// is nothing, and returns its name and what it says.
func (p *repairer) without(ctx context.Context, id blob.ID, packs map[blob.ID]bool) (blob.ID, *index.Object, error) {
	o, err := p.r.loadIndex(ctx, id)
	if err != nil {
		return blob.ID{}, nil, err
	}
	o.Packs = slices.DeleteFunc(o.Packs, func(named index.Pack) bool { return packs[named.ID] })
	o.Entries = slices.DeleteFunc(o.Entries, func(e index.Entry) bool { return packs[e.Place.Pack] })
	if len(o.Packs) == 0 {
		return blob.ID{}, nil, nil
	}
	kind := seal.KindDataIndex
	if p.indexes[id].kind == seal.KindTreePack {
		kind = seal.KindTreeIndex
	}
	data, err := p.r.sealIndex(kind, p.s.id, o)
	if err != nil {
		return blob.ID{}, nil, err
	}
	name := blob.NameOf(data)
	return name, o, putOnce(ctx, p.r.store, indexName(name), data)
}

// remove deletes objects, which somebody else may have done.
func (p *repairer) remove(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := p.r.store.Delete(ctx, name); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return fmt.Errorf("removing %s: %w", name, err)
		}
	}
	return nil
}

// traces notes that packs went, whose pieces may be lost.
func (p *repairer) traces(ctx context.Context, packs map[blob.ID]bool) error {
	_, err := p.r.NoteDamage(ctx, func(all map[blob.ID]Damage) {
		for id := range packs {
			if d, known := all[id]; !known || !d.Loses() {
				all[id] = Damage{Pack: id, Whole: true}
			}
		}
	})
	return err
}
