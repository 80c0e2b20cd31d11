package snapshot_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"restante/snapshot"
)

// A part is a section and the records in it.
type part struct {
	section snapshot.Section
	records []snapshot.Record
}

// buildParts builds a tree and returns what its sections hold.
func buildParts(t testing.TB, s *store, recs []snapshot.Record) (snapshot.Root, []part) {
	t.Helper()
	var parts []part
	b := snapshot.NewBuilder(s, testKey)
	b.OnSection(func(s snapshot.Section) { parts = append(parts, part{section: s}) })
	root := buildWith(t, b, recs)
	for i := range parts {
		n := int(parts[i].section.Counts.Entries)
		parts[i].records, recs = recs[:n], recs[n:]
		if n > 0 && parts[i].records[n-1].Key != parts[i].section.Last || len(s.pages[parts[i].section.ID]) == 0 {
			t.Fatalf("section %d ends with %q", i, parts[i].section.Last)
		}
	}
	if len(recs) > 0 {
		t.Fatalf("%d records are in no section", len(recs))
	}
	return root, parts
}

// TestTakenSectionsMakeTheSameTree takes over what did not change, section by section
// where that can be done, and wants the tree that all of it makes by itself,
// whatever there was before.
func TestTakenSectionsMakeTheSameTree(t *testing.T) {
	taken := 0
	for seed := range rounds(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		suffix := "" // which makes interior pages end by their size
		if rng.IntN(4) == 0 {
			suffix = strings.Repeat("x", rng.IntN(8<<10))
		}
		anyKey := func() snapshot.Key { return randomKey(rng) + snapshot.Key(suffix) }
		before := map[snapshot.Key]snapshot.Entry{}
		for range rng.IntN(1 << rng.IntN(13)) {
			before[anyKey()] = bulky(rng)
		}
		s := newStore()
		_, parts := buildParts(t, s, records(before))
		after := maps.Clone(before)
		for range rng.IntN(20) {
			if k := anyKey(); rng.IntN(2) == 0 {
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
			n, found := slices.BinarySearchFunc(rest, snapshot.Record{Key: p.section.Last}, byKey)
			if found {
				n++
			}
			var ok bool
			if sameRecords(rest[:n], p.records) {
				var err error
				if ok, err = b.Take(t.Context(), p.records[0].Key, p.section); err != nil {
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
		t.Errorf("only %d sections were taken over", taken)
	}
}

// All that can be taken over of a tree in which nothing changed, with whatever is left
// behind that, a leaf or none, makes the same tree.
func TestTakingAllMakesTheSameTree(t *testing.T) {
	ends := map[string]int{}
	recs := entries(t, 4, 150)
	for n := range len(recs) {
		s := newStore()
		want, parts := buildParts(t, s, recs[:n])
		b := snapshot.NewBuilder(s, testKey)
		left := recs[:n]
		for _, p := range parts {
			if !p.section.Firm {
				break
			}
			if ok, err := b.Take(t.Context(), p.records[0].Key, p.section); !ok || err != nil {
				t.Fatalf("of %d records the section up to %q is not taken: %v", n, p.section.Last, err)
			}
			left = left[len(p.records):]
		}
		for i := range left {
			if err := b.Add(t.Context(), left[i].Key, &left[i].Entry); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := b.Finish(t.Context()); err != nil || got != want {
			t.Fatalf("of %d records %d are added, and the root is %+v, want %+v: %v", n, len(left), got, want, err)
		}
		switch {
		case len(left) == 0 && n > 0:
			ends["none"]++
		case len(left) < 3 && len(left) < n:
			ends["few"]++
		}
	}
	if ends["none"] == 0 || ends["few"] == 0 {
		t.Errorf("of the ends that matter there were %v", ends)
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
	if ok, err := b.Take(t.Context(), recs[0].Key, parts[len(parts)-1].section); ok && !parts[len(parts)-1].section.Firm || err != nil {
		t.Errorf("the last section, which no key ended: %v, %v", ok, err)
	}
	b = snapshot.NewBuilder(s, testKey)
	if ok, err := b.Take(t.Context(), parts[1].records[0].Key, parts[1].section); !ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
	if ok, err := b.Take(t.Context(), parts[0].records[0].Key, parts[0].section); ok || err == nil {
		t.Errorf("a section out of order: %v", err)
	}
	if err := b.Add(t.Context(), parts[1].section.Last, &recs[0].Entry); err == nil {
		t.Error("a key of the section that was taken is added")
	}
	if err := b.Add(t.Context(), parts[2].records[0].Key, &parts[2].records[0].Entry); err != nil {
		t.Fatal(err)
	}
	if len(parts[2].records) > 1 {
		if ok, err := b.Take(t.Context(), parts[3].records[0].Key, parts[3].section); ok || err != nil {
			t.Errorf("a section within a page: %v, %v", ok, err)
		}
	}
}
