package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"restante/blob"
	"restante/snapshot"
)

// diff collects the differences, and the gaps in their place.
func diff(t testing.TB, a, b *snapshot.Tree, r snapshot.Range) (found []snapshot.Difference, gaps []*snapshot.Gap) {
	t.Helper()
	for d, err := range snapshot.Diff(t.Context(), a, b, r) {
		var gap *snapshot.Gap
		switch {
		case errors.As(err, &gap):
			gaps = append(gaps, gap)
		case err != nil:
			t.Fatal(err)
		default:
			found = append(found, d)
		}
	}
	return found, gaps
}

// rounds returns how often a property is tried.
func rounds(n uint64) uint64 {
	if testing.Short() {
		return n / 5
	}
	return n
}

// compareSlowly is what Diff is to find.
func compareSlowly(a, b map[snapshot.Key]snapshot.Entry, r snapshot.Range) []snapshot.Difference {
	all := maps.Clone(a)
	maps.Copy(all, b)
	var out []snapshot.Difference
	for _, k := range slices.Sorted(maps.Keys(all)) {
		x, inA := a[k]
		y, inB := b[k]
		if !r.Contains(k) || inA && inB && reflect.DeepEqual(x, y) {
			continue
		}
		d := snapshot.Difference{Key: k}
		if inA {
			d.Before = &x
		}
		if inB {
			d.After = &y
		}
		out = append(out, d)
	}
	return out
}

func records(set map[snapshot.Key]snapshot.Entry) []snapshot.Record {
	var out []snapshot.Record
	for _, k := range slices.Sorted(maps.Keys(set)) {
		out = append(out, snapshot.Record{Key: k, Entry: set[k]})
	}
	return out
}

func TestDiffFindsWhatChanged(t *testing.T) {
	for seed := range rounds(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		a := map[snapshot.Key]snapshot.Entry{}
		for range rng.IntN(1 << rng.IntN(12)) {
			a[randomKey(rng)] = message(rng.Uint64N(1000))
		}
		b := maps.Clone(a)
		keys := slices.Sorted(maps.Keys(a))
		for range rng.IntN(1 << rng.IntN(8)) {
			switch k := randomKey(rng); {
			case rng.IntN(3) == 0 || len(keys) == 0:
				b[k] = message(rng.Uint64N(1000))
			case rng.IntN(2) == 0:
				delete(b, keys[rng.IntN(len(keys))])
			default:
				b[keys[rng.IntN(len(keys))]] = message(rng.Uint64N(1000))
			}
		}
		if rng.IntN(10) == 0 { // a run of neighbours, which takes whole pages away
			from := rng.IntN(len(keys) + 1)
			for _, k := range keys[from:] {
				delete(b, k)
			}
		}
		s := newStore()
		before, after := snapshot.OpenTree(s, build(t, s, records(a))), snapshot.OpenTree(s, build(t, s, records(b)))
		if rng.IntN(4) == 0 { // pages were larger once
			before = snapshot.OpenTree(s, buildWith(t, snapshot.NewBuilderOfFan(s, testKey, 32), records(a)))
		}
		for _, r := range []snapshot.Range{{}, randomRange(rng, records(a)), randomRange(rng, records(b))} {
			got, gaps := diff(t, before, after, r)
			if want := compareSlowly(a, b, r); len(gaps) > 0 || !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, range %q: %d differences and %d gaps, want %d", seed, r, len(got), len(gaps), len(want))
			}
		}
	}
}

// Two trees with a few differences cost a few pages.
func TestDiffReadsWhatChanged(t *testing.T) {
	recs := entries(t, 200, 100)
	s := newStore()
	root := build(t, s, recs)
	changed := slices.Clone(recs)
	for i := 1000; i < len(changed); i += len(changed) / 7 {
		changed[i].Entry = message(uint64(1e6 + i))
	}
	changed = slices.Delete(changed, 5000, 5001)
	other := build(t, s, changed)
	s.loads = 0
	got, _ := diff(t, snapshot.OpenTree(s, root), snapshot.OpenTree(s, other), snapshot.Range{})
	if len(got) < 7 || len(got) > 9 {
		t.Errorf("%d differences", len(got))
	}
	if s.loads > 80 {
		t.Errorf("%d pages are read", s.loads)
	}
	s.loads = 0
	if got, _ := diff(t, snapshot.OpenTree(s, root), snapshot.OpenTree(s, root), snapshot.Range{}); len(got) > 0 || s.loads > 0 {
		t.Errorf("a tree differs from itself in %d, known by %d pages", len(got), s.loads)
	}
}

// A page that is lost costs the differences in it, in whichever tree it was.
func TestDiffPassesGaps(t *testing.T) {
	all := entries(t, 20, 100)
	for seed := range rounds(60) {
		rng := rand.New(rand.NewPCG(seed, 2))
		a, b := map[snapshot.Key]snapshot.Entry{}, map[snapshot.Key]snapshot.Entry{}
		for _, r := range all {
			a[r.Key], b[r.Key] = r.Entry, r.Entry
			switch rng.IntN(40) {
			case 0:
				delete(a, r.Key)
			case 1:
				delete(b, r.Key)
			case 2:
				b[r.Key] = message(rng.Uint64N(1000))
			}
		}
		s := newStore()
		before, after := build(t, s, records(a)), build(t, s, records(b))
		ids := slices.SortedFunc(maps.Keys(s.pages), blob.ID.Compare)
		for range 1 + rng.IntN(3) {
			if id := ids[rng.IntN(len(ids))]; id != before.ID && id != after.ID {
				delete(s.pages, id)
			}
		}
		got, gaps := diff(t, snapshot.OpenTree(s, before), snapshot.OpenTree(s, after), snapshot.Range{})
		want := slices.DeleteFunc(compareSlowly(a, b, snapshot.Range{}), func(d snapshot.Difference) bool {
			return slices.ContainsFunc(gaps, func(g *snapshot.Gap) bool {
				return (!g.Bounded || d.Key > g.After) && (g.Last == "" || d.Key <= g.Last)
			})
		})
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %d differences beside %d gaps, want %d", seed, len(got), len(gaps), len(want))
		}
	}
}

func TestDiffEndsWithTheContext(t *testing.T) {
	s := newStore()
	before, after := build(t, s, entries(t, 3, 100)), build(t, s, entries(t, 4, 100))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err := range snapshot.Diff(ctx, snapshot.OpenTree(s, before), snapshot.OpenTree(s, after), snapshot.Range{}) {
		if cancel(); err == nil {
			continue
		}
		if n++; n > 1 || !errors.Is(err, context.Canceled) {
			t.Fatalf("error %d: %v", n, err)
		}
	}
	if n != 1 {
		t.Error("it went on to the end")
	}
}

func BenchmarkDiff(b *testing.B) {
	for _, mailboxes := range []int{100, 1000} {
		recs := entries(b, mailboxes, 100)
		s := newStore()
		root := build(b, s, recs)
		recs[len(recs)/2].Entry = message(1e9)
		other := build(b, s, recs)
		b.Run(fmt.Sprintf("one of %d", len(recs)), func(b *testing.B) {
			for b.Loop() {
				if got, _ := diff(b, snapshot.OpenTree(s, root), snapshot.OpenTree(s, other), snapshot.Range{}); len(got) != 1 {
					b.Fatal(len(got))
				}
			}
		})
	}
}
