package gc_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"restante/gc"
	"restante/internal/torture"
	"restante/repo"
	"restante/storage/faulty"
)

// nights takes snapshots of some nights, each with a file of its own.
func (f *fixture) nights(n int) (kept []*run) {
	f.t.Helper()
	for i := range n {
		kept = append(kept, f.backup(fmt.Sprint("night", i)))
	}
	return kept
}

// The number of index objects stays small, and who has read the old ones goes on.
func TestIndexObjectsAreMerged(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	var kept []*run
	merged := uint64(0)
	for n := range 17 {
		kept = append(kept, f.backup(fmt.Sprint("night", n)))
		before := f.open()
		if _, err := before.Pieces(t.Context()); err != nil { // it reads the index
			t.Fatal(err)
		}
		merged += f.mustPrune().Merged
		if left := len(f.names("index/")); left >= 16 {
			t.Fatalf("after %d nights there are %d index objects", n+1, left)
		}
		for _, b := range kept {
			if _, err := before.LoadPage(t.Context(), b.root.ID); err != nil {
				t.Errorf("who has read the index before: %v", err)
			}
		}
	}
	if merged < 24 {
		t.Errorf("%d index objects were merged", merged)
	}
	f.sound(kept...)
	f.sound(append(kept, f.backup("night3", "night99"))...)
	if report := f.mustPrune(); report.Missing != 0 || report.Deleted != 0 {
		t.Errorf("%+v", report)
	}
}

// Who is reading the index while objects are merged finds the new ones.
func TestMergingWhileReading(t *testing.T) {
	for n := 1; ; n += torture.Rounds(5, 1) {
		f := newFixture(t)
		kept := f.nights(8)
		merged := uint64(0)
		f.nth(n, "get", "index/", func() { merged = f.mustPrune().Merged })
		r := f.open()
		pieces, err := r.Pieces(t.Context())
		f.store.before = nil
		if err != nil || pieces < 24 {
			t.Fatalf("at object %d it found %d pieces, %v", n, pieces, err)
		}
		if merged == 0 {
			if n < 10 {
				t.Errorf("it read only %d objects", n)
			}
			return
		}
		for _, b := range kept {
			if _, err := r.LoadPage(t.Context(), b.root.ID); err != nil {
				t.Errorf("at object %d: %v", n, err)
			}
		}
	}
}

// Nothing is merged beside a session, which may be a repair that replaces objects, and
// what was merged is taken back when another prune has begun.
func TestMergingBesideOthers(t *testing.T) {
	f := newFixture(t)
	kept := f.nights(8)
	b := f.begin(nil).add("x")
	if report := f.mustPrune(); report.Merged != 0 {
		t.Errorf("beside a session: %+v", report)
	}
	kept = append(kept, b.commit())
	before := f.names("index/")
	f.at("put", "index/", func() {
		if err := f.openWith(f.store.Store, io.Discard).PutMark(t.Context(), repo.Mark{Number: 77}); err != nil {
			t.Fatal(err)
		}
	})
	report, err := f.prune()
	f.store.before = nil
	if !errors.Is(err, repo.ErrPruning) || report.Merged != 0 || !slices.Equal(f.names("index/"), before) {
		t.Errorf("beside another prune: %+v, %v; there are %d objects, before %d", report, err, len(f.names("index/")), len(before))
	}
	f.sound(kept...)
	if report := f.mustPrune(); report.Merged < 16 {
		t.Errorf("afterwards: %+v", report)
	}
	f.sound(kept...)
}

// Whatever fails while index objects are merged, and whenever, all pieces are found, and the
// next prune merges what is left.
func TestFaultsInMerging(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	kept := f.nights(8)
	f.mustPrune(func(o *gc.Options) { o.DryRun = true })
	base := f.store
	runs := 0
	defer func() { torture.Report(t, "%d runs with a fault", runs) }()
	for _, fault := range []faulty.Fault{{Outcome: faulty.NotApplied}, {Outcome: faulty.Applied}, {Outcome: faulty.NotApplied, Dead: true}, {Outcome: faulty.Applied, Dead: true}} {
		for k := 0; ; k += torture.Rounds(9, 1) {
			runs++
			f.store, f.cache = base, t.TempDir()
			inner := f.copyOf()
			store := faulty.New(inner)
			fault.Call, fault.Ops = k, faulty.Changes
			r := f.openWith(store, io.Discard)
			store.Arm(fault)
			_, err := gc.Prune(t.Context(), r, gc.Options{CacheDir: f.cache})
			if err != nil && !errors.Is(err, faulty.ErrInjected) {
				t.Fatalf("call %d: %v", k, err)
			}
			f.store = &hooked{Store: inner}
			f.sound(kept...)
			f.endIntents()
			f.mustPrune()
			if left := len(f.names("index/")); left > 2+15 {
				t.Errorf("call %d: there are left %d index objects", k, left)
			}
			f.sound(kept...)
			if t.Failed() || !store.Fired() {
				break
			}
		}
	}
}
