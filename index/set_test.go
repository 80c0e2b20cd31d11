package index_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"restante/blob"
	"restante/index"
)

// openSet returns a set with limit IDs in memory, its folder, and what it warned of.
func openSet(t *testing.T, limit, filter int) (s *index.Set, dir string, warnings *atomic.Int64) {
	t.Helper()
	dir, warnings = t.TempDir(), new(atomic.Int64)
	x, err := index.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	x.Warn = func(err error) { t.Log(err); warnings.Add(1) }
	s = x.NewSet()
	s.SetSizes(limit, filter)
	t.Cleanup(func() {
		s.Close()
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, dir, warnings
}

func newIDs(seed uint64, n int) []blob.ID {
	m, ids := newModel(seed), make([]blob.ID, n)
	for i := range ids {
		ids[i] = m.id()
	}
	return ids
}

// leftSets counts the files of sets in dir.
func leftSets(t *testing.T, dir string) (n int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "claims-") {
			n++
		}
	}
	return n
}

// Of several that add the same pieces at once, each piece has one first, while
// what is in memory goes to disk again and again, and is bounded.
func TestSetHasOneFirst(t *testing.T) {
	for name, filter := range map[string]int{"filters": 1 << 20, "filters without room": 3000, "no filters": 0} {
		t.Run(name, func(t *testing.T) {
			const limit, workers = 200, 4
			s, dir, warnings := openSet(t, limit, filter)
			ids := newIDs(1, 20_000)
			var first atomic.Int64
			var most atomic.Int64
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(2, uint64(w)))
					for _, i := range rnd.Perm(len(ids)) {
						if s.Add(ids[i]) {
							first.Add(1)
						}
						if s.Add(ids[i]) {
							t.Error("a piece was first twice")
						}
						if i%16 == 0 {
							most.Store(max(most.Load(), int64(s.InMemory())))
						}
					}
				})
			}
			wg.Wait()
			if first.Load() != int64(len(ids)) {
				t.Errorf("%d of %d pieces were first", first.Load(), len(ids))
			}
			if most.Load() > 2*limit+2*workers {
				t.Errorf("%d IDs were in memory", most.Load())
			}
			counts, bytes := s.OnDisk()
			if bytes > filter {
				t.Errorf("filters take %d bytes", bytes)
			}
			// 100 spilled maps are 1·64 + 2·16 + 1·4 of them.
			if len(counts) < 2 || len(counts) > 10 || counts[0] < 64*limit {
				t.Errorf("the runs have %v IDs", counts)
			}
			if warnings.Load() != 0 {
				t.Errorf("%d warnings", warnings.Load())
			}
			s.Close()
			if n := leftSets(t, dir); n != 0 {
				t.Errorf("%d files are left", n)
			}
		})
	}
}

// What the set does not have is told without a look at the disk, but for one in a hundred.
func TestSetFiltersStrangers(t *testing.T) {
	s, _, _ := openSet(t, 1000, 1<<20)
	for _, id := range newIDs(3, 16_000) {
		s.Add(id)
	}
	strangers := newIDs(4, 10_000)
	if n := s.Passing(strangers); n > 200 {
		t.Errorf("%d of %d strangers pass", n, len(strangers))
	}
	if _, bytes := s.OnDisk(); bytes > 16_000*10/8 {
		t.Errorf("the filters take %d bytes", bytes)
	}
}

// A cache that takes no more costs memory, with a warning, and no answer.
func TestSetWithoutDisk(t *testing.T) {
	s, dir, warnings := openSet(t, 100, 1<<20)
	ids := newIDs(5, 2000)
	for i, id := range ids {
		if i == 550 {
			if err := os.RemoveAll(dir); err != nil {
				t.Skip("this system does not remove open files:", err)
			}
		}
		if !s.Add(id) {
			t.Fatalf("piece %d is known", i)
		}
	}
	for i, id := range ids {
		if s.Add(id) {
			t.Fatalf("piece %d is forgotten", i)
		}
	}
	if warnings.Load() != 1 {
		t.Errorf("%d warnings", warnings.Load())
	}
	if n := s.InMemory(); n < len(ids)-600 {
		t.Errorf("%d IDs are in memory", n)
	}
}

// What cannot be read any more is as good as unknown: its pieces are stored
// twice. One warning tells.
func TestSetThatCannotBeRead(t *testing.T) {
	s, _, warnings := openSet(t, 100, 1<<20)
	ids := newIDs(6, 450)
	for _, id := range ids {
		s.Add(id)
	}
	s.LoseRuns()
	again := 0
	for _, id := range ids {
		if s.Add(id) {
			again++
		}
	}
	if again < 300 || again > 400 || warnings.Load() == 0 {
		t.Errorf("%d pieces are stored again, with %d warnings", again, warnings.Load())
	}
}

// The files of a set have no names, so that a crash leaves none.
func TestSetFilesHaveNoNames(t *testing.T) {
	s, dir, _ := openSet(t, 100, 1<<20)
	for _, id := range newIDs(7, 1000) {
		s.Add(id)
	}
	if counts, _ := s.OnDisk(); len(counts) == 0 {
		t.Fatal("nothing is on disk")
	}
	probe := filepath.Join(dir, "probe")
	f, err := os.Create(probe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if os.Remove(probe) != nil {
		t.Skip("this system does not remove open files")
	}
	if n := leftSets(t, dir); n != 0 {
		t.Errorf("%d files have names", n)
	}
}
