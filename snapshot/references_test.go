package snapshot_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"restante/blob"
	"restante/snapshot"
)

// Going by references from the roots comes to each page that a snapshot's
// builders stored, with its level, and to each piece of its files.
func TestReferences(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	s := newStore()
	want := map[blob.ID]bool{}
	tree := snapshot.NewBuilder(s, testKey)
	for i := range 500 {
		e := message(uint64(i))
		e.Messages = 0
		if i%100 == 7 {
			var in []snapshot.Item
			for range 2000 {
				in = append(in, randomItem(rng, 3))
			}
			e.Recipe = recipe(t, s, in)
			notePieces(want, in)
		}
		notePieces(want, e.Recipe.Items)
		e.Size = e.Recipe.Length()
		key, err := snapshot.KeyOf(fmt.Sprintf("m/%05d", i))
		if err == nil {
			err = tree.Add(t.Context(), key, &e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := tree.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	boxes := snapshot.NewMailboxBuilder(s, testKey)
	for i := range 200 {
		if err := boxes.Add(t.Context(), &snapshot.Mailbox{Name: fmt.Sprintf("box%03d", i), Component: "messages", Ranges: []snapshot.Range{{From: "m"}}}); err != nil {
			t.Fatal(err)
		}
	}
	names, err := boxes.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := &referenceWalk{t: t, s: s, pages: map[blob.ID]bool{}, pieces: map[blob.ID]bool{}}
	w.page(root.ID, root.Level, false)
	w.page(names.ID, names.Level, false)
	if len(w.pages) != len(s.pages) || root.Level == 0 || names.Level == 0 || w.lists == 0 {
		t.Errorf("%d pages were found, of %d; %d are of lists", len(w.pages), len(s.pages), w.lists)
	}
	if len(w.pieces) != len(want) {
		t.Errorf("%d pieces were found, of %d", len(w.pieces), len(want))
	}
	for id := range want {
		if !w.pieces[id] {
			t.Fatalf("piece %s was not found", id)
		}
	}
}

func notePieces(in map[blob.ID]bool, items []snapshot.Item) {
	for _, it := range items {
		switch it.Kind {
		case snapshot.PieceItem:
			in[it.Piece.ID] = true
		case snapshot.Base64Item:
			for _, p := range it.Base64.Pieces {
				in[p.ID] = true
			}
		}
	}
}

type referenceWalk struct {
	t             *testing.T
	s             *store
	pages, pieces map[blob.ID]bool
	lists         int
}

func (w *referenceWalk) page(id blob.ID, level uint8, list bool) {
	if w.pages[id] {
		return
	}
	w.pages[id] = true
	if list {
		w.lists++
	}
	data, err := w.s.LoadPage(w.t.Context(), id)
	if err == nil {
		err = snapshot.References(data, level, w.page, func(id blob.ID) { w.pieces[id] = true })
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if err := snapshot.References(data, level+1, w.page, func(blob.ID) {}); !errors.Is(err, snapshot.ErrDamaged) {
		w.t.Fatalf("as one of level %d: %v", level+1, err)
	}
}

func FuzzReferences(f *testing.F) {
	for _, data := range pageSet(f).pages {
		if len(data) < 4000 {
			f.Add(data, data[1])
		}
	}
	f.Add([]byte{9, 0}, uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, level uint8) {
		err := snapshot.References(data, level, func(_ blob.ID, below uint8, list bool) {
			if !list && below != level-1 {
				t.Errorf("a page of level %d refers to one of level %d", level, below)
			}
		}, func(blob.ID) {})
		if err != nil && !errors.Is(err, snapshot.ErrDamaged) {
			t.Error(err)
		}
	})
}
