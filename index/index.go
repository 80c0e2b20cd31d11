package index

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"restante/blob"
)

// A Pack is a pack that an index object lists.
type Pack struct {
	ID   blob.ID
	Size uint32 // bytes
}

// An Entry says where a piece lies.
type Entry struct {
	ID    blob.ID
	Place blob.Place
}

// An Object is what an index object says: packs, and all pieces in them.
type Object struct {
	Packs   []Pack
	Entries []Entry // in any order; each lies in one of Packs
}

// An Index answers where pieces lie. Before the first Sync it is empty. All
// methods but Close may be called by several goroutines at once, and several
// processes may use one cache directory.
type Index struct {
	// Warn, if it is set before the first Sync, is told what made the cache
	// useless or slow. The answers are right all the same.
	Warn func(error)

	dir    string
	limits limits
	scan   *bool // LookupSorted's strategy, if a test has chosen it

	// syncing admits one change of the view at a time and guards the fields below.
	syncing  sync.Mutex
	again    func() error // repeats the last Sync
	restored bool         // the file synced has been read
	seen     blob.ID      // its hash as x last took it over or published it
	untidy   bool         // there may be generations that nobody needs
	memory   bool         // the cache cannot be written: all that is new stays in memory
	avoided  [][]blob.ID  // packs; see Avoid

	mu   sync.Mutex // guards view, and refs of all generations
	view *view
}

// A view is what the index knows at one time. It is not changed.
type view struct {
	*state
	alive []bool      // by pack number
	live  uint64      // pieces in packs that are alive
	gen   *generation // nil if there is none

	// first is asked before this one: it takes the packs to avoid for dead, and
	// has a first of its own if there are several tiers of them. It is nil if there
	// are none, and shares the reference to gen.
	first *view
}

func newView(s *state, gen *generation) *view {
	v := &view{state: s, alive: s.alive(), gen: gen}
	for n, ok := range v.alive {
		if ok {
			v.live += uint64(s.packs[n].pieces)
		}
	}
	return v
}

// Open returns an index with its cache in dir, which is made if it is not
// there. Nothing is read before the first Sync. A damaged cache, or one that
// another version wrote, is no error.
func Open(ctx context.Context, dir string) (*Index, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the cache directory %q (choose another with --cache-dir): %w", dir, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("looking at the cache directory: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("the cache directory %q is not a directory", dir)
	}
	return &Index{dir: dir, limits: defaultLimits(), view: newView(&state{}, nil)}, nil
}

// Close gives the cache up. It waits for no look-up; none may begin after it.
func (x *Index) Close() error {
	x.syncing.Lock()
	defer x.syncing.Unlock()
	x.again = nil
	x.install(newView(&state{}, nil))
	if x.untidy {
		x.sweep()
	}
	return nil
}

// acquire returns the present view. It is good until release.
func (x *Index) acquire() *view {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.view.gen != nil {
		x.view.gen.refs++
	}
	return x.view
}

func (x *Index) release(v *view) { x.drop(v.gen) }

// drop gives up one reference to gen, if it is not nil.
func (x *Index) drop(gen *generation) {
	if gen == nil {
		return
	}
	x.mu.Lock()
	gen.refs--
	last := gen.refs == 0
	x.mu.Unlock()
	if last {
		gen.close()
	}
}

// install makes v, with the caller's reference to its generation, the present
// view. The caller holds syncing.
func (x *Index) install(v *view) {
	v.prefer(x.avoided)
	x.mu.Lock()
	old := x.view
	x.view = v
	x.mu.Unlock()
	x.release(old) // the reference that the index itself held
}

// Avoid makes look-ups return a place in one of packs only where there is no
// other: the storage has lost them. Of several lists a place in a pack of an
// earlier one is returned rather than in one of a later. It takes the place of the
// last call.
func (x *Index) Avoid(packs ...[]blob.ID) {
	x.syncing.Lock()
	defer x.syncing.Unlock()
	x.avoided = packs
	v := x.acquire() // the reference becomes the new view's
	x.install(newView(v.state, v.gen))
}

// prefer makes v ask first in a view without the last of the lists of packs,
// that one in a view without the last two, and so on.
func (v *view) prefer(lists [][]blob.ID) {
	avoided, at := map[blob.ID]bool{}, v
	for _, list := range slices.Backward(lists) {
		for _, id := range list {
			avoided[id] = true
		}
		if w := v.without(avoided); w != nil && w.live != at.live {
			at.first, at = w, w
		}
	}
}

// without returns the view in which packs are dead, nil if they are no
// different in v.
func (v *view) without(packs map[blob.ID]bool) *view {
	if len(packs) == 0 {
		return nil
	}
	w := &view{state: v.state, alive: slices.Clone(v.alive), live: v.live, gen: v.gen}
	for n := range w.alive {
		if w.alive[n] && packs[v.packs[n].ID] {
			w.alive[n] = false
			w.live -= uint64(v.packs[n].pieces)
		}
	}
	if w.live == v.live {
		return nil
	}
	return w
}

// Empty reports whether the index knows no piece at all.
func (x *Index) Empty() bool { return x.Count() == 0 }

// Count returns how many pieces lie in packs that are alive. A piece in two
// packs counts twice.
func (x *Index) Count() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.view.live
}

// Packs returns the packs that are alive: those that an index object of the
// last Sync lists.
func (x *Index) Packs() []Pack {
	var packs []Pack
	x.EachPack(func(p Pack, _ uint32) { packs = append(packs, p) })
	return packs
}

// EachPack calls fn for each pack that is alive, with how many pieces index
// objects list in it.
func (x *Index) EachPack(fn func(p Pack, pieces uint32)) {
	v := x.acquire()
	defer x.release(v)
	for n, ok := range v.alive {
		if ok {
			fn(v.packs[n].Pack, v.packs[n].pieces)
		}
	}
}

// ObjectPacks returns the packs that an index object lists, and whether the
// last Sync took it in.
func (x *Index) ObjectPacks(name blob.ID) ([]blob.ID, bool) {
	v := x.acquire()
	defer x.release(v)
	numbers, ok := v.objects[name]
	packs := make([]blob.ID, 0, len(numbers))
	for _, n := range numbers {
		packs = append(packs, v.packs[n].ID)
	}
	return packs, ok
}

// Lookup returns where the piece lies, in a pack that is alive. If the cache
// turns out to be damaged it is built again first, with the last Sync's loader.
func (x *Index) Lookup(id blob.ID) (p blob.Place, ok bool, err error) {
	err = x.look(func(v *view) (err error) {
		p, ok, err = v.lookup(id)
		return err
	})
	return p, ok, err
}

// All returns every place of the piece in a pack that is alive, each once: that
// of Lookup first, and those in packs that are to be avoided behind the others.
func (x *Index) All(id blob.ID) (places []blob.Place, err error) {
	err = x.look(func(v *view) (err error) {
		places, err = v.places(id)
		return err
	})
	return places, err
}

// look calls fn with the present view, and once more with a new one if fn finds
// that the cache is damaged.
func (x *Index) look(fn func(*view) error) error {
	for try := 0; ; try++ {
		v := x.acquire()
		err := fn(v)
		x.release(v)
		if err == nil || try > 0 || !errors.Is(err, errDamaged) {
			return err
		}
		if err := x.heal(v, err); err != nil {
			return err
		}
	}
}

// places returns all places of a piece, those of first first.
func (v *view) places(id blob.ID) (places []blob.Place, err error) {
	if v.first != nil {
		if places, err = v.first.places(id); err != nil {
			return nil, err
		}
	}
	spots := v.spotsRecent(id)
	if v.gen != nil {
		older, err := v.spotsOlder(id)
		if err != nil {
			return nil, err
		}
		spots = append(spots, older...)
	}
	for _, s := range spots {
		if uint64(s.pack) >= uint64(len(v.alive)) {
			return nil, errValue
		}
		if p := v.place(s); v.alive[s.pack] && !slices.Contains(places, p) {
			places = append(places, p)
		}
	}
	return places, nil
}

// spotsRecent returns the places that recent records have for id.
func (v *view) spotsRecent(id blob.ID) (spots []spot) {
	i, _ := slices.BinarySearchFunc(v.recent, id, func(r record, id blob.ID) int { return r.id.Compare(id) })
	for ; i < len(v.recent) && v.recent[i].id == id; i++ {
		spots = append(spots, v.recent[i].spot)
	}
	return spots
}

// spotsOlder returns the places that the generation has for id.
func (v *view) spotsOlder(id blob.ID) ([]spot, error) {
	txn, err := v.gen.borrow()
	if err != nil {
		return nil, err
	}
	spots, err := all(txn, id)
	v.gen.giveBack(txn, err)
	return spots, err
}

func (v *view) lookup(id blob.ID) (blob.Place, bool, error) {
	if v.first != nil {
		if p, ok, err := v.first.lookup(id); ok || err != nil {
			return p, ok, err
		}
	}
	if v.live == 0 {
		return blob.Place{}, false, nil
	}
	if p, ok := v.lookupRecent(id); ok || v.gen == nil {
		return p, ok, nil
	}
	return v.lookupGeneration(id)
}

func (v *view) lookupRecent(id blob.ID) (blob.Place, bool) {
	i, ok := slices.BinarySearchFunc(v.recent, id, func(r record, id blob.ID) int { return r.id.Compare(id) })
	for ; ok && i < len(v.recent) && v.recent[i].id == id; i++ {
		if v.alive[v.recent[i].pack] {
			return v.place(v.recent[i].spot), true
		}
	}
	return blob.Place{}, false
}

func (v *view) lookupGeneration(id blob.ID) (blob.Place, bool, error) {
	txn, err := v.gen.borrow()
	if err != nil {
		return blob.Place{}, false, err
	}
	spots, err := newest(txn, id)
	p, ok, err := v.choose(spots, err)
	if err == nil && !ok && len(spots) > 0 {
		spots, err = all(txn, id)
		p, ok, err = v.choose(spots, err)
	}
	v.gen.giveBack(txn, err)
	v.gen.trim.touch(1)
	return p, ok, err
}

// choose returns the first place in a pack that is alive.
func (v *view) choose(spots []spot, err error) (blob.Place, bool, error) {
	if err != nil {
		return blob.Place{}, false, err
	}
	for _, s := range spots {
		if uint64(s.pack) >= uint64(len(v.alive)) {
			return blob.Place{}, false, errValue
		}
		if v.alive[s.pack] {
			return v.place(s), true, nil
		}
	}
	return blob.Place{}, false, nil
}

func (v *view) place(s spot) blob.Place {
	return blob.Place{
		Clump: blob.Clump{Pack: v.packs[s.pack].ID, Offset: s.offset, Length: s.length},
		Inner: s.inner,
		Size:  s.size,
	}
}
