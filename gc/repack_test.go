package gc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/gc"
	"restante/seal"
	"restante/storage/faulty"
	"restante/storage/mem"
)

func unused(percent float64) func(*gc.Options) {
	return func(o *gc.Options) { o.MaxUnused = percent }
}

// Packs of which little is needed are rewritten, when more than allowed is unused.
func TestRepack(t *testing.T) {
	f := newFixture(t)
	first := f.backup("a", "b", "c", "d")
	second := f.backup("d")
	f.forget(first)
	if report := f.mustPrune(unused(100)); report.Repacked != 0 || report.Unused == 0 {
		t.Errorf("%+v", report)
	}
	if report := f.mustPrune(unused(0), func(o *gc.Options) { o.DryRun = true }); report.Repacked != 1 || report.RepackedBytes != 0 || report.Marked != 1 || report.Deleted != 1 {
		t.Errorf("%+v", report)
	}
	before := f.names("packs/")
	if report := f.mustPrune(unused(0)); report.Repacked != 1 || report.Deleted != 1 || report.RepackedBytes == 0 || report.Unused != 0 {
		t.Errorf("%+v", report)
	}
	if after := f.names("packs/"); len(after) != len(before) || slices.Equal(after, before) {
		t.Errorf("there were %q, there are %q", before, after)
	}
	f.sound(second)
	if report := f.mustPrune(unused(0)); report.Repacked+report.Marked+report.Deleted != 0 || len(f.names("snapshots/")) != 1 || len(f.names("intents/")) != 0 {
		t.Errorf("once more: %+v, %q", report, f.names(""))
	}
	f.sound(second, f.backup("a", "d"))
}

// dataPieces returns the pieces in each data pack, in their order.
func (f *fixture) dataPieces() (packs [][]blob.ID) {
	f.t.Helper()
	r := f.open()
	for _, name := range f.names("packs/") {
		id, err := blob.ParseID(name[strings.LastIndexByte(name, '/')+1:])
		if err != nil {
			f.t.Fatal(err)
		}
		data, err := f.store.Get(f.t.Context(), name, 0, -1, nil)
		if err != nil {
			f.t.Fatal(err)
		}
		if h, err := seal.ParseHeader(data); err != nil || h.Kind != seal.KindDataPack {
			continue
		}
		clumps, err := r.Directory(f.t.Context(), id, int64(len(data)))
		if err != nil {
			f.t.Fatal(err)
		}
		var ids []blob.ID
		for _, c := range clumps {
			for _, p := range c.Pieces {
				ids = append(ids, p.ID)
			}
		}
		packs = append(packs, ids)
	}
	return packs
}

// What lay scattered over the packs of several nights lies in the order of the
// newest tree then, and behind it what only older ones need.
func TestRepackingFollowsTheTree(t *testing.T) {
	f := newFixture(t)
	gone := []*run{f.backup("d", "x"), f.backup("b", "e", "y"), f.backup("a", "o", "z")}
	old := f.backup("o")
	last := f.backup("a", "b", "c", "d", "e", "w")
	gone = append(gone, f.backup("c", "v"))
	for _, b := range gone {
		f.forget(b)
	}
	f.mustPrune(unused(0))
	f.sound(old, last)
	var want []blob.ID
	for _, path := range []string{"a", "b", "d", "e", "o"} {
		want = append(want, f.id(path))
	}
	if packs := f.dataPieces(); !slices.ContainsFunc(packs, func(ids []blob.ID) bool { return slices.Equal(ids, want) }) {
		t.Errorf("the packs have %v, want one with %v", packs, want)
	}
}

// What a backup found that began before, in packs that are being rewritten and
// that no snapshot needs, is not lost, whenever it ends.
func TestSessionEndsWhileRepacking(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	for _, step := range []string{"put intents/", "list marks/", "put index/", "put snapshots/", "put marks/", "list snapshots/", "list intents/", "list index/"} {
		op, prefix, _ := strings.Cut(step, " ")
		for n := 1; n < 20; n++ {
			f := newFixture(t)
			f.forget(f.backup("a", "b", "c"))
			keeps := f.backup("c")
			b := f.begin(nil).add("a", "b")
			ended := false
			f.nth(n, op, prefix, func() { ended = true; b.commit() })
			f.mustPrune(unused(0))
			f.store.before = nil
			if !ended {
				break
			}
			f.sound(keeps, b)
			f.mustPrune(unused(0))
			f.sound(keeps, b)
			if t.Failed() {
				t.Fatalf("at call %d: %s", n, step)
			}
		}
	}
}

// What cannot be read is not copied, and its pack stays.
func TestRepackingDamage(t *testing.T) {
	f := newFixture(t)
	first := f.backup("a", "b")
	f.backup("b")
	f.forget(first)
	for _, name := range f.names("packs/") {
		data, err := f.store.Get(t.Context(), name, 0, -1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if h, _ := seal.ParseHeader(data); h.Kind == seal.KindDataPack {
			data[1200] ^= 1
			f.delete(name)
			if err := f.store.Store.Put(t.Context(), name, data); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := len(f.names("packs/"))
	report := f.mustPrune(unused(0))
	if len(report.Damaged) != 1 || report.Repacked != 0 || len(f.names("packs/")) != before-int(report.Deleted) {
		t.Errorf("%+v, %q", report, f.names("packs/"))
	}
	if len(f.dataPieces()) != 1 {
		t.Errorf("the data packs have %v", f.dataPieces())
	}
}

// A pack that is not needed and of which the header is damaged or cut off stays, and
// is told of. The prune goes on with the others, also beside one that is needed.
func TestDamagedHeaders(t *testing.T) {
	for _, c := range []struct {
		name   string
		needed bool
		damage func(data []byte) []byte
	}{
		{"empty", false, func([]byte) []byte { return nil }},
		{"cut off", false, func(data []byte) []byte { return data[:seal.HeaderSize-1] }},
		{"another magic", false, func(data []byte) []byte { data[0] ^= 1; return data }},
		{"empty and needed", true, func([]byte) []byte { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			first := f.backup("a", "b")
			old := map[string]bool{}
			for _, name := range f.names("packs/") {
				old[name] = true
			}
			f.backup("c")
			f.forget(first)
			bad := ""
			for _, name := range f.names("packs/") {
				data, err := f.store.Get(t.Context(), name, 0, -1, nil)
				if err != nil {
					t.Fatal(err)
				}
				if h, _ := seal.ParseHeader(data); h.Kind != seal.KindDataPack || old[name] == c.needed {
					continue
				}
				bad = name
				f.delete(name)
				if err := f.store.Store.Put(t.Context(), name, c.damage(data)); err != nil {
					t.Fatal(err)
				}
			}
			report, err := gc.Prune(t.Context(), f.openWith(f.store, io.Discard), gc.Options{CacheDir: f.cache})
			if err != nil {
				t.Fatal(err)
			}
			told := len(report.Damaged) == 1 && strings.Contains(report.Damaged[0], bad)
			if told == c.needed || report.Deleted == 0 || !slices.Contains(f.names("packs/"), bad) {
				t.Errorf("%s: %+v, %q", bad, report, f.names("packs/"))
			}
		})
	}
}

// copyOf returns a copy of what the fixture's storage has.
func (f *fixture) copyOf() *mem.Store {
	f.t.Helper()
	s := mem.New()
	for _, name := range f.names("") {
		data, err := f.store.Get(f.t.Context(), name, 0, -1, nil)
		if err == nil {
			err = s.Put(f.t.Context(), name, data)
		}
		if err != nil {
			f.t.Fatal(err)
		}
	}
	return s
}

// Whatever fails, and whenever, nothing is lost; the next prune does the rest,
// and a backup misses nothing meanwhile.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("it prunes hundreds of repositories, one after the other")
	}
	f := newFixture(t)
	gone := f.backup("a", "b", "c")
	kept := []*run{f.backup("c"), f.backup("c", "d")}
	f.forget(gone)
	f.forget(f.backup("e"))
	base := f.store
	for name, fault := range map[string]faulty.Fault{
		"refused": {Outcome: faulty.NotApplied}, "answer lost": {Outcome: faulty.Applied},
		"crash before": {Outcome: faulty.NotApplied, Dead: true}, "crash after effect": {Outcome: faulty.Applied, Dead: true},
	} {
		t.Run(name, func(t *testing.T) {
			for k := 0; ; k++ {
				f.t, f.store, f.cache = t, base, t.TempDir()
				inner := f.copyOf()
				store := faulty.New(inner)
				r := f.openWith(store, io.Discard)
				fault.Call, fault.Ops = k, faulty.Changes
				store.Arm(fault)
				_, err := gc.Prune(t.Context(), r, gc.Options{CacheDir: f.cache})
				if err != nil && !errors.Is(err, faulty.ErrInjected) || err == nil && store.Fired() && fault.Dead {
					t.Fatalf("call %d: %v", k, err)
				}
				f.store = &hooked{Store: inner}
				f.sound(kept...)
				more := f.backup("a", "d")
				f.sound(append(slices.Clone(kept), more)...)
				f.endIntents()
				f.mustPrune(unused(0))
				if report := f.mustPrune(unused(0)); report.Deleted+report.Marked+report.Repacked != 0 {
					t.Errorf("call %d: something was left: %+v", k, report)
				}
				f.sound(append(slices.Clone(kept), more)...)
				if t.Failed() {
					t.Fatalf("call %d", k)
				}
				if !store.Fired() {
					if k < 10 {
						t.Errorf("there were only %d calls", k)
					}
					return
				}
			}
		})
	}
}

// endIntents takes away intents of sessions of this process that have not ended:
// it is to be another one.
func (f *fixture) endIntents() {
	f.t.Helper()
	for _, name := range f.names("intents/") {
		id := strings.TrimPrefix(name, "intents/")
		if !slices.Contains(f.names("snapshots/"), "snapshots/"+id) {
			f.delete(name)
		}
	}
}

// An interrupted prune stops, and the next one goes on.
func TestInterrupted(t *testing.T) {
	f := newFixture(t)
	first := f.backup("a", "b", "c")
	second := f.backup("c")
	f.forget(first)
	for n := 1; ; n += 7 {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		f.store.before = func(string, string) {
			if calls++; calls == n {
				cancel()
			}
		}
		_, err := gc.Prune(ctx, f.openWith(f.store, io.Discard), gc.Options{CacheDir: f.cache})
		cancel()
		f.store.before = nil
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("call %d: %v", n, err)
		}
		f.sound(second)
		f.endIntents()
	}
	f.sound(second)
}

// A set of IDs is the same in memory and in files.
func TestManyIDs(t *testing.T) {
	f := newFixture(t)
	var paths []string
	for i := range 400 {
		paths = append(paths, fmt.Sprintf("dir%d/file%03d", i%10, i))
	}
	slices.Sort(paths)
	first := f.backup(paths...)
	second := f.backup(paths[100:300]...)
	f.forget(first)
	report := f.mustPrune(unused(0), func(o *gc.Options) { gc.SetHeld(o, 3) })
	if report.Deleted == 0 || report.Repacked == 0 || report.Missing != 0 {
		t.Errorf("%+v", report)
	}
	f.sound(second)
	left, err := filepath.Glob(filepath.Join(f.cache, "*", "prune", "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "seen" {
		t.Errorf("the cache has %q, %v", left, err)
	}
}
