package index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"restante/blob"
	"restante/index"
)

// A model is a repository's index objects, and what an index of them answers.
type model struct {
	rnd     *rand.Rand
	objects map[blob.ID]*index.Object
	all     []blob.ID // every piece that ever was
	packs   []index.Pack
	entries map[blob.ID][]index.Entry // by pack
	loads   int
}

func newModel(seed uint64) *model {
	return &model{rnd: rand.New(rand.NewPCG(seed, 1)), objects: map[blob.ID]*index.Object{}, entries: map[blob.ID][]index.Entry{}}
}

func (m *model) id() (id blob.ID) {
	for i := range id {
		id[i] = byte(m.rnd.Uint32())
	}
	return id
}

// add makes an object of new packs with n pieces each, some of them known
// already, and of some old packs.
func (m *model) add(packs, old, n int) blob.ID {
	o := &index.Object{}
	for range packs {
		p := index.Pack{ID: m.id(), Size: m.rnd.Uint32()}
		for range n {
			id := m.id()
			if len(m.all) > 0 && m.rnd.IntN(5) == 0 {
				id = m.all[m.rnd.IntN(len(m.all))]
			}
			m.all = append(m.all, id)
			m.entries[p.ID] = append(m.entries[p.ID], index.Entry{ID: id, Place: blob.Place{
				Clump: blob.Clump{Pack: p.ID, Offset: m.rnd.Uint32(), Length: m.rnd.Uint32N(1 << 20)},
				Inner: m.rnd.Uint32N(1 << 20), Size: m.rnd.Uint32N(1 << 12),
			}})
		}
		m.packs = append(m.packs, p)
		o.Packs = append(o.Packs, p)
	}
	for range min(old, len(m.packs)) {
		if p := m.packs[m.rnd.IntN(len(m.packs))]; !slices.Contains(o.Packs, p) {
			o.Packs = append(o.Packs, p)
		}
	}
	for _, p := range o.Packs {
		o.Entries = append(o.Entries, m.entries[p.ID]...)
	}
	slices.SortFunc(o.Entries, func(a, b index.Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	name := m.id()
	m.objects[name] = o
	return name
}

func (m *model) names() []blob.ID {
	var names []blob.ID
	for name := range m.objects {
		names = append(names, name)
	}
	return names
}

func (m *model) load(_ context.Context, name blob.ID) (*index.Object, error) {
	m.loads++
	return m.objects[name], nil
}

// places returns all places of all pieces in packs that are alive.
func (m *model) places() map[blob.ID][]blob.Place {
	places := map[blob.ID][]blob.Place{}
	for _, o := range m.objects {
		for _, e := range o.Entries {
			places[e.ID] = append(places[e.ID], e.Place)
		}
	}
	return places
}

// sync makes x know the model's objects.
func (m *model) sync(t testing.TB, x *index.Index) {
	t.Helper()
	if err := x.Sync(t.Context(), m.names(), m.load); err != nil {
		t.Fatal(err)
	}
}

// check asks x for everything that ever was, and for strangers, in all ways.
func (m *model) check(t testing.TB, x *index.Index) {
	t.Helper()
	places := m.places()
	ids := slices.Clone(m.all)
	for range 50 {
		ids = append(ids, m.id())
	}
	slices.SortFunc(ids, func(a, b blob.ID) int { return bytes.Compare(a[:], b[:]) })
	verdict := func(how string, id blob.ID, p blob.Place, ok bool) {
		t.Helper()
		if ok != (len(places[id]) > 0) || ok && !slices.Contains(places[id], p) {
			t.Fatalf("%s: piece %s is said to be at %v, %v; it is at %v", how, id.Short(), p, ok, places[id])
		}
	}
	for _, id := range ids {
		p, ok, err := x.Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		verdict("Lookup", id, p, ok)
		all, err := x.All(id)
		if err != nil {
			t.Fatal(err)
		}
		m.checkAll(t, places[id], all)
		if ok && all[0] != p {
			t.Fatalf("of the places of piece %s the first is %v, and Lookup has %v", id.Short(), all[0], p)
		}
	}
	for _, scan := range []bool{true, false} {
		x.SetScan(scan)
		next := 0
		err := x.LookupSorted(t.Context(), ids, func(i int, p blob.Place, ok bool) error {
			if i != next {
				t.Fatalf("LookupSorted calls back for %d instead of %d", i, next)
			}
			next++
			verdict(fmt.Sprintf("LookupSorted (scan %v)", scan), ids[i], p, ok)
			return nil
		})
		if err != nil || next != len(ids) {
			t.Fatalf("LookupSorted: %v after %d of %d", err, next, len(ids))
		}
	}
	m.checkPacks(t, x)
}

// checkAll checks that all are the places of a piece, each once.
func (m *model) checkAll(t testing.TB, want, all []blob.Place) {
	t.Helper()
	for i, p := range all {
		if !slices.Contains(want, p) || slices.Contains(all[:i], p) {
			t.Fatalf("All has %v among %v; there are %v", p, all, want)
		}
	}
	for _, p := range want {
		if !slices.Contains(all, p) {
			t.Fatalf("All has not %v: %v", p, all)
		}
	}
}

func (m *model) checkPacks(t testing.TB, x *index.Index) {
	t.Helper()
	alive, pieces := map[index.Pack]bool{}, 0
	for _, o := range m.objects {
		for _, p := range o.Packs {
			if !alive[p] {
				pieces += len(m.entries[p.ID])
			}
			alive[p] = true
		}
	}
	packs := x.Packs()
	for _, p := range packs {
		if !alive[p] {
			t.Fatalf("Packs has %s, which no object lists", p.ID.Short())
		}
	}
	if len(packs) != len(alive) || x.Count() != uint64(pieces) || x.Empty() != (pieces == 0) {
		t.Fatalf("%d packs, %d pieces, empty: %v; there are %d and %d", len(packs), x.Count(), x.Empty(), len(alive), pieces)
	}
}

func open(t testing.TB, dir string) *index.Index {
	t.Helper()
	x, err := index.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	x.Warn = func(err error) { t.Errorf("unexpected warning: %v", err) }
	return x
}

func TestAgainstModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "cache")
			m := newModel(seed)
			limits := []struct {
				fold, round int
				slack       uint64
			}{{1, 1 << 18, 1 << 16}, {50, 70, 100}, {300, 1000, 0}, {1 << 14, 1 << 18, 1 << 16}}[seed%4]
			x := open(t, dir)
			x.SetLimits(limits.fold, limits.round, limits.slack)
			for range 15 {
				for range 1 + m.rnd.IntN(2) {
					m.add(m.rnd.IntN(3), m.rnd.IntN(3), m.rnd.IntN(60))
				}
				for name := range m.objects {
					if m.rnd.IntN(8) == 0 {
						delete(m.objects, name)
					}
				}
				m.sync(t, x)
				m.check(t, x)
				if m.rnd.IntN(3) > 0 {
					continue
				}
				x.Close()
				if m.rnd.IntN(3) == 0 {
					os.RemoveAll(dir)
				}
				x = open(t, dir)
				x.SetLimits(limits.fold, limits.round, limits.slack)
			}
			m.sync(t, x)
			m.check(t, x)
			x.Close()
			checkTidy(t, dir)
		})
	}
}

// checkTidy fails if the cache has more than one generation.
func checkTidy(t *testing.T, dir string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(found) > 2 {
		t.Errorf("the cache holds %q, %v", found, err)
	}
}

func TestNothingIsLoadedTwice(t *testing.T) {
	dir := t.TempDir()
	m := newModel(1)
	for range 5 {
		m.add(3, 0, 100)
		x := open(t, dir)
		x.SetLimits(250, 1000, 1000)
		before := m.loads
		m.sync(t, x)
		m.sync(t, x)
		if m.loads != before+1 {
			t.Fatalf("%d objects loaded where one was new", m.loads-before)
		}
		m.check(t, x)
		x.Close()
	}
}

func TestRunsAreBounded(t *testing.T) {
	m := newModel(2)
	x := open(t, t.TempDir())
	defer x.Close()
	x.SetLimits(1, 1<<18, 1<<16)
	most := 0
	for range 2*index.MaxRuns + 2 {
		m.add(1, 0, 20)
		m.sync(t, x)
		most = max(most, x.Runs())
	}
	if most != index.MaxRuns {
		t.Errorf("a generation had %d runs, the limit is %d", most, index.MaxRuns)
	}
	m.check(t, x)
}

// A generation of which more than half is dead is written anew, without that.
func TestDeadRecordsAreDropped(t *testing.T) {
	m := newModel(4)
	x := open(t, t.TempDir())
	defer x.Close()
	x.SetLimits(1, 1<<18, 0)
	first := m.add(1, 0, 90)
	m.add(1, 0, 10)
	m.sync(t, x)
	m.add(1, 0, 10)
	m.sync(t, x)
	if x.Runs() != 2 || x.Folded() != 110 {
		t.Fatalf("%d records in %d runs", x.Folded(), x.Runs())
	}
	delete(m.objects, first)
	m.add(1, 0, 10)
	m.sync(t, x)
	if x.Runs() != 1 || x.Folded() != 30 {
		t.Errorf("%d records in %d runs, of which 30 are alive", x.Folded(), x.Runs())
	}
	m.check(t, x)
}

// A duplicate is found again when the pack that was indexed last goes, whether
// the places are recent or folded, in one run or two.
func TestDuplicateOutlivesItsPack(t *testing.T) {
	for _, fold := range []int{1, 3, 1 << 14} {
		m := newModel(3)
		x := open(t, t.TempDir())
		x.SetLimits(fold, 1<<18, 1<<16)
		first := m.add(1, 0, 1)
		m.sync(t, x)
		id := m.objects[first].Entries[0].ID
		second := m.add(1, 0, 1)
		m.objects[second].Entries[0].ID = id
		m.sync(t, x)
		for _, gone := range []blob.ID{second, first} {
			o := m.objects[gone]
			delete(m.objects, gone)
			m.sync(t, x)
			m.check(t, x)
			m.objects[gone] = o
			m.sync(t, x)
			m.check(t, x)
		}
		x.Close()
	}
}

func TestEmpty(t *testing.T) {
	dir := t.TempDir()
	x := open(t, dir)
	if _, ok, err := x.Lookup(blob.ID{1}); ok || err != nil || !x.Empty() {
		t.Errorf("an index before its first Sync knows something: %v, %v", ok, err)
	}
	m := newModel(4)
	m.sync(t, x)
	m.check(t, x)
	x.Close()
	if found, _ := os.ReadDir(dir); len(found) != 0 {
		t.Errorf("an empty index wrote %v", found)
	}
}

func TestOpenRefusesWhatIsNoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := index.Open(t.Context(), path); err == nil {
		t.Error("a file was taken for a cache directory")
	}
}

var errLoad = errors.New("no such object")

func TestFailedSyncKeepsWhatItLoaded(t *testing.T) {
	for _, fold := range []int{1, 1 << 14} {
		dir := t.TempDir()
		m := newModel(5)
		x := open(t, dir)
		x.SetLimits(fold, 150, 1<<16)
		for range 6 {
			m.add(2, 0, 50)
		}
		calls := 0
		err := x.Sync(t.Context(), m.names(), func(ctx context.Context, name blob.ID) (*index.Object, error) {
			if calls++; calls == 4 {
				return nil, errLoad
			}
			return m.load(ctx, name)
		})
		if !errors.Is(err, errLoad) || m.loads != 3 {
			t.Fatalf("Sync: %v after %d objects", err, m.loads)
		}
		x.Close()
		x = open(t, dir)
		m.sync(t, x)
		if m.loads != 6 {
			t.Errorf("%d objects loaded in all, there are 6", m.loads)
		}
		m.check(t, x)
		x.Close()
	}
}

func TestCancelledSync(t *testing.T) {
	m := newModel(6)
	for range 4 {
		m.add(2, 0, 50)
	}
	x := open(t, t.TempDir())
	defer x.Close()
	x.SetLimits(50, 120, 1<<16)
	ctx, cancel := context.WithCancel(t.Context())
	err := x.Sync(ctx, m.names(), func(ctx context.Context, name blob.ID) (*index.Object, error) {
		if m.loads == 2 {
			cancel()
		}
		return m.load(ctx, name)
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Sync: %v", err)
	}
	m.sync(t, x)
	m.check(t, x)
}

func TestUnlistedPackIsRefused(t *testing.T) {
	m := newModel(7)
	o := m.objects[m.add(1, 0, 5)]
	o.Entries[3].Place.Pack = blob.ID{1}
	x := open(t, t.TempDir())
	defer x.Close()
	if err := x.Sync(t.Context(), m.names(), m.load); err == nil {
		t.Error("an entry in a pack that its object does not list was taken")
	}
}

func TestLookupSortedStopsAtTheCallersError(t *testing.T) {
	m := newModel(8)
	m.add(1, 0, 100)
	x := open(t, t.TempDir())
	defer x.Close()
	x.SetLimits(1, 1<<18, 1<<16)
	m.sync(t, x)
	ids := slices.Clone(m.all)
	slices.SortFunc(ids, func(a, b blob.ID) int { return bytes.Compare(a[:], b[:]) })
	for _, scan := range []bool{true, false} {
		x.SetScan(scan)
		calls := 0
		err := x.LookupSorted(t.Context(), ids, func(i int, _ blob.Place, _ bool) error {
			if calls++; calls == 10 {
				return errLoad
			}
			return nil
		})
		if err != errLoad || calls != 10 {
			t.Errorf("LookupSorted: %v after %d calls", err, calls)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := x.LookupSorted(ctx, ids, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("LookupSorted after the end: %v", err)
		}
	}
}

// Look-ups go on while Sync changes everything under them; what is in all
// versions is always found.
func TestConcurrentUse(t *testing.T) {
	m := newModel(9)
	stable := m.objects[m.add(2, 0, 200)]
	x := open(t, t.TempDir())
	x.SetLimits(30, 100, 50)
	m.sync(t, x)
	ids := []blob.ID{}
	for _, e := range stable.Entries {
		ids = append(ids, e.ID)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				if _, ok, err := x.Lookup(ids[i%len(ids)]); !ok || err != nil {
					t.Errorf("Lookup: %v, %v", ok, err)
					return
				}
				if i%50 > 0 {
					continue
				}
				err := x.LookupSorted(t.Context(), ids, func(_ int, _ blob.Place, ok bool) error {
					if !ok {
						return errLoad
					}
					return nil
				})
				if err != nil || len(x.Packs()) < 2 || x.Empty() {
					t.Errorf("LookupSorted: %v", err)
					return
				}
			}
		})
	}
	var last blob.ID
	for range 12 {
		delete(m.objects, last)
		last = m.add(1, 1, 40)
		m.sync(t, x)
	}
	close(done)
	wg.Wait()
	m.check(t, x)
	x.Close()
}

// What is avoided is only returned where there is nothing else, and rather from
// an earlier list than from a later, be the other place older or newer, in Badger
// or not.
func TestAvoid(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	for _, scan := range []bool{false, true} {
		m := newModel(17)
		x := open(t, t.TempDir())
		x.SetLimits(5000, 1<<18, 1<<16)
		x.SetScan(scan)
		m.add(3, 0, 3000)
		m.sync(t, x)
		m.add(3, 1, 2000)
		m.sync(t, x)
		packs, places := x.Packs(), m.places()
		ids := func(packs []index.Pack) (ids []blob.ID) {
			for _, p := range packs {
				ids = append(ids, p.ID)
			}
			return ids
		}
		for _, avoid := range [][][]blob.ID{{ids(packs[:3])}, {ids(packs[:2]), ids(packs[2:4])}, {ids(packs[4:]), ids(packs[1:2]), ids(packs[3:4])}, {ids(packs)}, {}} {
			x.Avoid(avoid...)
			ids := slices.SortedFunc(maps.Keys(places), func(a, b blob.ID) int { return bytes.Compare(a[:], b[:]) })
			err := x.LookupSorted(t.Context(), ids, func(i int, p blob.Place, ok bool) error {
				single, known, err := x.Lookup(ids[i])
				wantAvoided(t, places[ids[i]], p, ok, avoid)
				wantAvoided(t, places[ids[i]], single, known, avoid)
				if err != nil {
					return err
				}
				all, err := x.All(ids[i])
				m.checkAll(t, places[ids[i]], all)
				for n := range all {
					wantAvoided(t, all[n:], all[n], true, avoid)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(x.Packs()) != len(packs) {
				t.Error("packs to avoid are not listed")
			}
		}
		m.check(t, x)
	}
}

func wantAvoided(t *testing.T, all []blob.Place, p blob.Place, ok bool, avoid [][]blob.ID) {
	t.Helper()
	rank := func(p blob.Place) int {
		return 1 + slices.IndexFunc(avoid, func(list []blob.ID) bool { return slices.Contains(list, p.Pack) })
	}
	better := slices.ContainsFunc(all, func(other blob.Place) bool { return rank(other) < rank(p) })
	if !ok || !slices.Contains(all, p) || better {
		t.Fatalf("%v, %t among %v", p, ok, all)
	}
}
