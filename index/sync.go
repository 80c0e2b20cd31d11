package index

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"restante/blob"
)

// limits say when records move on.
type limits struct {
	fold    int    // recent records from which on they go into Badger, at the least
	foldMax int    // at the most
	round   int    // bounds the records collected in memory
	slack   uint64 // dead records that a small generation may have

	// whole is the size in bytes up to which all of a generation is checked
	// before it is opened, even where no modification time has changed.
	whole int64
}

func defaultLimits() limits {
	return limits{fold: 1 << 14, foldMax: 1 << 17, round: 1 << 18, slack: 1 << 16, whole: 16 << 20}
}

// Sync makes the index know the index objects names, and no others: it calls
// load for those it does not know yet, one at a time. Packs that none of them
// lists are dead. After an error the index knows those that were loaded
// before; Sync can be called again.
//
// load must not use the index. It and ctx are kept until the next Sync or Close: with them a look-up
// builds the cache again if it finds it damaged.
func (x *Index) Sync(ctx context.Context, names []blob.ID, load func(ctx context.Context, name blob.ID) (*Object, error)) error {
	x.syncing.Lock()
	defer x.syncing.Unlock()
	x.again = func() error { return x.update(ctx, names, load) }
	if !x.restored {
		x.restored = true
		x.install(x.restore())
	}
	err := x.again()
	if errors.Is(err, errDamaged) {
		x.reset(err)
		err = x.again()
	}
	return err
}

// heal builds the cache again after a look-up in v found it damaged.
func (x *Index) heal(v *view, cause error) error {
	x.syncing.Lock()
	defer x.syncing.Unlock()
	x.mu.Lock()
	done := x.view != v
	x.mu.Unlock()
	if done || x.again == nil {
		return nil
	}
	x.reset(cause)
	if err := x.again(); err != nil {
		return fmt.Errorf("building the index cache in %q again: %w", x.dir, err)
	}
	return nil
}

// reset forgets everything; the next update begins from nothing.
func (x *Index) reset(cause error) {
	x.warn(fmt.Errorf("building the index cache in %q again: %w", x.dir, cause))
	x.untidy = true
	x.install(newView(&state{}, nil))
}

func (x *Index) warn(err error) {
	if x.Warn != nil {
		x.Warn(err)
	}
}

// update is Sync once the cache has been read.
func (x *Index) update(ctx context.Context, names []blob.ID, load func(context.Context, blob.ID) (*Object, error)) error {
	base := x.acquire()
	wanted := make(map[blob.ID]bool, len(names))
	var fresh []blob.ID
	for _, name := range names {
		if _, known := base.objects[name]; !known && !wanted[name] {
			fresh = append(fresh, name)
		}
		wanted[name] = true
	}
	if len(base.objects)+len(fresh) == len(wanted) && len(fresh) == 0 {
		x.release(base)
		return nil
	}
	b := &builder{x: x, state: base.clone(), gen: base.gen}
	for name := range base.objects {
		if !wanted[name] {
			delete(b.objects, name)
		}
	}
	err := b.addAll(ctx, fresh, load)
	// What was loaded is kept whatever happened then: each object that is in
	// b.objects has all its records in b.
	b.settle()
	if len(fresh) > 0 && !errors.Is(err, errDamaged) {
		x.publish(b.state)
	}
	x.install(newView(b.state, b.gen))
	return err
}

// A builder makes the next view. It owns a reference to gen.
type builder struct {
	x *Index
	*state
	gen     *generation
	numbers map[blob.ID]uint32 // of packs, once an object was added
	pending []record           // new records, in no order
	owned   bool               // no view has recent
	current []uint32           // packs of the object that is being added
	added   uint64             // records of it
}

func (b *builder) addAll(ctx context.Context, names []blob.ID, load func(context.Context, blob.ID) (*Object, error)) error {
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		o, err := load(ctx, name)
		if err != nil {
			return fmt.Errorf("reading index object %q: %w", name, err)
		}
		if err := b.add(ctx, o); err != nil {
			return fmt.Errorf("adding index object %q: %w", name, err)
		}
		// Only now, when all its records are there: a state published earlier,
		// by a fold, makes the next run load the object again.
		b.objects[name] = b.current
		b.current, b.added = nil, 0
	}
	l := b.x.limits
	if len(b.recent)+len(b.pending) < int(min(max(uint64(l.fold), b.folded/64), uint64(l.foldMax))) {
		return nil
	}
	return b.fold(ctx)
}

// add adds the records of o.
func (b *builder) add(ctx context.Context, o *Object) error {
	own := make(map[blob.ID]uint32, len(o.Packs))
	for _, p := range o.Packs {
		n := b.number(p)
		if _, twice := own[p.ID]; !twice {
			own[p.ID] = n
			b.current = append(b.current, n)
		}
	}
	pieces := make(map[uint32]uint32, len(own))
	var (
		last   blob.ID
		number uint32
	)
	b.room(len(o.Entries))
	for i, e := range o.Entries {
		if i == 0 || e.Place.Pack != last {
			n, ok := own[e.Place.Pack]
			if !ok {
				return fmt.Errorf("piece %s lies in pack %s, which the object does not list", e.ID, e.Place.Pack)
			}
			last, number = e.Place.Pack, n
		}
		b.pending = append(b.pending, record{e.ID, spot{number, e.Place.Offset, e.Place.Length, e.Place.Inner, e.Place.Size}})
		b.added++
		pieces[number]++
		// The last few of an object wait for no run of their own.
		if n := b.x.limits.round; len(b.pending) >= n && (len(o.Entries)-i > n/4 || len(b.pending) >= n+n/4) {
			if err := b.fold(ctx); err != nil {
				return err
			}
		}
	}
	for n, count := range pieces {
		// Several objects may list the pack, each with all its pieces.
		b.packs[n].pieces = max(b.packs[n].pieces, count)
	}
	return nil
}

// room makes room for n more records: for as many as that while they are few, as
// after a night, and then for all that are collected, at once and not in many steps.
func (b *builder) room(n int) {
	most := b.x.limits.round + b.x.limits.round/4
	if len(b.pending)+n > most/2 {
		n = most - len(b.pending)
	}
	b.pending = slices.Grow(b.pending, max(n, 0))
}

// number returns the pack's number, a new one if it has none.
func (b *builder) number(p Pack) uint32 {
	if b.numbers == nil {
		b.numbers = make(map[blob.ID]uint32, len(b.packs))
		for n, known := range b.packs {
			b.numbers[known.ID] = uint32(n)
		}
	}
	n, ok := b.numbers[p.ID]
	if !ok {
		n = uint32(len(b.packs))
		b.numbers[p.ID] = n
		b.packs = append(b.packs, pack{Pack: p})
	}
	return n
}

// needed reports for each pack whether its records must be kept.
func (b *builder) needed() []bool {
	needed := b.alive()
	for _, n := range b.current {
		needed[n] = true
	}
	return needed
}

// settle moves what is pending to the recent records.
func (b *builder) settle() {
	if len(b.pending) == 0 {
		return
	}
	slices.SortFunc(b.pending, compareRecords)
	needed := b.needed()
	unneeded := func(r record) bool { return !needed[r.pack] }
	fresh := slices.Compact(slices.DeleteFunc(b.pending, unneeded))
	b.pending = nil
	if len(b.recent) == 0 {
		b.recent, b.owned = fresh, true
		return
	}
	merged := make([]record, 0, len(b.recent)+len(fresh))
	for _, r := range b.recent {
		for len(fresh) > 0 && compareRecords(fresh[0], r) < 0 {
			merged, fresh = append(merged, fresh[0]), fresh[1:]
		}
		if len(fresh) > 0 && fresh[0] == r {
			fresh = fresh[1:]
		}
		if needed[r.pack] {
			merged = append(merged, r)
		}
	}
	b.recent, b.owned = append(merged, fresh...), true
}

// fold moves the recent records, with what is pending, to a new generation.
func (b *builder) fold(ctx context.Context) error {
	b.settle()
	if b.x.memory || len(b.recent) == 0 {
		return nil
	}
	gen, err := b.build(ctx)
	switch {
	case err == nil:
	case errors.Is(err, errDamaged) || ctx.Err() != nil:
		return err
	default:
		b.x.forgo(err)
		return nil
	}
	b.x.drop(b.gen)
	if b.owned {
		b.pending = b.recent[:0]
	}
	b.gen, b.recent = gen, nil
	b.generation, b.files = gen.number, gen.files
	b.x.publish(b.state)
	b.x.sweep()
	return nil
}

// forgo gives up writing the cache, for this process.
func (x *Index) forgo(err error) {
	x.memory = true
	x.warn(fmt.Errorf("keeping the index in memory, because the cache in %q cannot be written: %w", x.dir, err))
}

// build makes a generation of the present one and the recent records, and
// counts its runs and records.
func (b *builder) build(ctx context.Context) (_ *generation, err error) {
	if b.gen != nil {
		if _, err := b.gen.open(); err != nil {
			return nil, err
		}
		b.gen.trim.give() // many of its tables are about to be mapped once more
	}
	b.x.untidy = true
	g, err := newGeneration(b.x.dir)
	if err != nil {
		return nil, err
	}
	g.whole = b.x.limits.whole
	defer func() {
		if err != nil {
			g.discard()
		}
	}()
	needed := b.needed()
	shared, merged, runs, folded := b.gen, (*generation)(nil), b.runs, b.folded
	if b.rewrites(needed) {
		shared, merged, runs, folded = nil, b.gen, 0, 0
	}
	if shared != nil {
		if err := g.take(shared); err != nil {
			return nil, err
		}
	}
	n, err := b.write(ctx, g, runs+1, merged, needed)
	if err != nil {
		return nil, err
	}
	if err := g.seal(shared); err != nil {
		return nil, err
	}
	b.runs, b.folded = runs+1, folded+n
	return g, nil
}

// rewrites reports whether the present generation has too many runs or dead records.
func (b *builder) rewrites(needed []bool) bool {
	live := b.added
	for n, ok := range needed {
		if ok {
			live += uint64(b.packs[n].pieces)
		}
	}
	return b.runs >= maxRuns || b.folded > 2*live+b.x.limits.slack
}

// write adds a run to g: the recent records, and those of old unless it is nil.
// It returns how many records were needed and written.
func (b *builder) write(ctx context.Context, g *generation, version uint32, old *generation, needed []bool) (uint64, error) {
	space := uint64(len(b.recent))
	if old != nil {
		space += b.folded
	}
	if err := g.reserve(ctx, int64(space*recordSpace)+spareSpace); err != nil {
		return 0, err
	}
	r, err := startRun(ctx, g.dir, version, b.folded)
	if err != nil {
		return 0, err
	}
	n, err := merge(old, b.recent, func(id blob.ID, spots []spot) error { return r.put(id, tidy(spots, needed)) })
	if err == nil && old != nil && n != b.folded {
		err = fmt.Errorf("%w: %q has %d records instead of %d", errDamaged, old.dir, n, b.folded)
	}
	if err != nil {
		return 0, r.abort(err)
	}
	return r.records, r.finish()
}

// tidy sorts spots and drops those in packs that are not needed, and repetitions.
func tidy(spots []spot, needed []bool) []spot {
	spots = slices.DeleteFunc(spots, func(s spot) bool { return uint64(s.pack) >= uint64(len(needed)) || !needed[s.pack] })
	slices.SortFunc(spots, compareSpots)
	return slices.Compact(spots)
}
