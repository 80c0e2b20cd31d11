package index_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
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
