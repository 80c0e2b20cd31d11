package snapshot_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"restante/snapshot"
)

// A part is a leaf and the records in it.
type part struct {
	leaf    snapshot.Leaf
	records []snapshot.Record
}

// buildParts builds a tree and returns what its leaves hold.
func buildParts(t testing.TB, s *store, recs []snapshot.Record) (snapshot.Root, []part) {
	t.Helper()
	var parts []part
	b := snapshot.NewBuilder(s, testKey)
	b.OnLeaf(func(l snapshot.Leaf) { parts = append(parts, part{leaf: l}) })
	for i := range recs {
		if err := b.Add(t.Context(), recs[i].Key, &recs[i].Entry); err != nil {
			t.Fatal(err)
		}
	}
	root, err := b.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range parts {
		n := int(parts[i].leaf.Counts.Entries)
		parts[i].records, recs = recs[:n], recs[n:]
		if n > 0 && parts[i].records[n-1].Key != parts[i].leaf.Last || len(s.pages[parts[i].leaf.ID]) == 0 {
			t.Fatalf("leaf %d ends with %q", i, parts[i].leaf.Last)
		}
	}
	if len(recs) > 0 {
		t.Fatalf("%d records are in no leaf", len(recs))
	}
	return root, parts
}

// TestTakenLeavesMakeTheSameTree takes over what did not change, leaf by leaf
// where that can be done, and wants the tree that all of it makes by itself,
// whatever there was before.
func TestTakenLeavesMakeTheSameTree(t *testing.T) {
	taken := 0
	for seed := range rounds(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		before := map[snapshot.Key]snapshot.Entry{}
		for range rng.IntN(1 << rng.IntN(12)) {
			before[randomKey(rng)] = bulky(rng)
		}
		s := newStore()
		_, parts := buildParts(t, s, records(before))
		after := maps.Clone(before)
		for range rng.IntN(20) {
			if k := randomKey(rng); rng.IntN(2) == 0 {
				after[k] = bulky(rng)
			} else {
				delete(after, k)
			}
		}
		want := build(t, newStore(), records(after))

		b := snapshot.NewBuilder(s, testKey)
		add := func(recs []snapshot.Record) {
			for i := range recs {
				if err := b.Add(t.Context(), recs[i].Key, &recs[i].Entry); err != nil {
					t.Fatal(err)
				}
			}
		}
		rest := records(after)
		for _, p := range parts {
			if len(p.records) == 0 {
				continue
			}
			n, _ := slices.BinarySearchFunc(rest, p.records[0], byKey)
			add(rest[:n])
			rest = rest[n:]
			n, found := slices.BinarySearchFunc(rest, snapshot.Record{Key: p.leaf.Last}, byKey)
			if found {
				n++
			}
			var ok bool
			if sameRecords(rest[:n], p.records) {
				var err error
				if ok, err = b.Take(t.Context(), p.records[0].Key, p.leaf); err != nil {
					t.Fatal(err)
				}
			}
			if ok {
				taken++
			} else {
				add(rest[:n])
			}
			rest = rest[n:]
		}
		add(rest)
		got, err := b.Finish(t.Context())
		if err != nil || got != want {
			t.Fatalf("seed %d: the root is %+v, want %+v: %v", seed, got, want, err)
		}
	}
	if taken < 200 && !testing.Short() || taken == 0 {
		t.Errorf("only %d leaves were taken over", taken)
	}
}

// bulky makes an entry; some are so large that they end pages by their size.
func bulky(rng *rand.Rand) snapshot.Entry {
	e := message(rng.Uint64N(1e6))
	if rng.IntN(4) == 0 {
		e.Xattrs = []snapshot.Xattr{{Name: "user.x", Value: randomBytes(rng, rng.IntN(30<<10))}}
	}
	return e
}

func sameRecords(a, b []snapshot.Record) bool {
	return slices.EqualFunc(a, b, func(x, y snapshot.Record) bool {
		ex, err := snapshot.AppendEntry(nil, &x.Entry)
		ey, errY := snapshot.AppendEntry(nil, &y.Entry)
		return err == nil && errY == nil && x.Key == y.Key && string(ex) == string(ey)
	})
}

func TestTakeRefuses(t *testing.T) {
	s := newStore()
	recs := entries(t, 10, 100)
	_, parts := buildParts(t, s, recs)
	b := snapshot.NewBuilder(s, testKey)
	if ok, err := b.Take(t.Context(), recs[0].Key, parts[len(parts)-1].leaf); ok && !parts[len(parts)-1].leaf.Cut || err != nil {
		t.Errorf("the last leaf, which no key ended: %v, %v", ok, err)
	}
	b = snapshot.NewBuilder(s, testKey)
	if ok, err := b.Take(t.Context(), parts[1].records[0].Key, parts[1].leaf); !ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
	if ok, err := b.Take(t.Context(), parts[0].records[0].Key, parts[0].leaf); ok || err == nil {
		t.Errorf("a leaf out of order: %v", err)
	}
	if err := b.Add(t.Context(), parts[1].leaf.Last, &recs[0].Entry); err == nil {
		t.Error("a key of the leaf that was taken is added")
	}
	if err := b.Add(t.Context(), parts[2].records[0].Key, &parts[2].records[0].Entry); err != nil {
		t.Fatal(err)
	}
	if len(parts[2].records) > 1 {
		if ok, err := b.Take(t.Context(), parts[3].records[0].Key, parts[3].leaf); ok || err != nil {
			t.Errorf("a leaf within a page: %v, %v", ok, err)
		}
	}
}
