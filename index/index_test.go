package index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"restante/blob"
	"restante/index"
)

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
