package repo_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/storage"
	"restante/storage/faulty"
	"restante/storage/mem"
)

// twins is a repository in which two sessions at once have stored the same pieces,
// each in packs of its own.
type twins struct {
	keys   keyring
	base   *mem.Store
	ids    []blob.ID // a clump each, the last one a page
	pieces [][]byte
	places [][2]blob.Place // of each piece, in the order of the packs' names
}

func newTwins(t *testing.T) *twins {
	t.Helper()
	w := &twins{keys: newKeyring(t), base: mem.New(), pieces: randomPieces(6, 3)}
	if err := w.keys.create(t, w.base); err != nil {
		t.Fatal(err)
	}
	var open []*repo.Session
	for _, store := range []string{"one", "two"} {
		open = append(open, begin(t, mustOpen(t, w.keys, w.base), store))
	}
	for _, s := range open {
		w.ids = nil
		for i, p := range w.pieces {
			class := blob.Text
			if i == len(w.pieces)-1 {
				class = blob.Page
			}
			w.ids = append(w.ids, save(t, s, class, p)...)
		}
		if err := s.Commit(t.Context(), payload("x")); err != nil {
			t.Fatal(err)
		}
	}
	r := mustOpen(t, w.keys, w.base)
	w.places = make([][2]blob.Place, len(w.ids))
	for name, size := range objects(t, w.base) {
		if !strings.HasPrefix(name, "packs/") {
			continue
		}
		pack := inspectedID(t, name)
		clumps, err := r.Directory(t.Context(), pack, size)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range clumps {
			both := &w.places[slices.Index(w.ids, c.Pieces[0].ID)]
			if both[0].Size > 0 {
				both[1] = both[0]
			}
			both[0] = blob.Place{Clump: blob.Clump{Pack: pack, Offset: c.Offset, Length: c.Length}, Size: c.Raw}
		}
	}
	for i := range w.places {
		slices.SortFunc(w.places[i][:], func(a, b blob.Place) int { return a.Clump.Compare(b.Clump) })
	}
	return w
}

// damage damages or removes what is at a place.
func (w *twins) damage(t *testing.T, store storage.Store, at blob.Place, how string) {
	t.Helper()
	name := repo.PackName(at.Pack)
	switch how {
	case "clump":
		flipByte(t, store, name, int(at.Offset)+5)
	case "encapsulation":
		flipByte(t, store, name, 500)
	case "pack":
		remove(t, store, name)
	}
}

// wantAll checks that all pieces are read in every way, but for one that is lost; -1: none is.
func (w *twins) wantAll(t *testing.T, store storage.Store, lost int) {
	t.Helper()
	r := mustOpen(t, w.keys, store)
	at, err := r.Places(t.Context(), slices.SortedFunc(slices.Values(w.ids), blob.ID.Compare))
	if err != nil || len(at) != len(w.ids) {
		t.Fatal(err)
	}
	for which := range 2 {
		all := make([]repo.Located, len(w.ids))
		for i, id := range w.ids {
			all[i] = repo.Located{ID: id, Place: w.places[i][which]}
		}
		got, errs := make([][]byte, len(all)), make([]error, len(all))
		if err := r.EachPiece(t.Context(), all, func(i int, data []byte, err error) error {
			got[i], errs[i] = bytes.Clone(data), err
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for i := range all {
			w.wantRead(t, i, i == lost, got[i], errs[i])
		}
	}
	page := len(w.ids) - 1
	data, err := mustOpen(t, w.keys, store).LoadPage(t.Context(), w.ids[page])
	w.wantRead(t, page, page == lost, data, err)
}

func (w *twins) wantRead(t *testing.T, i int, isLost bool, data []byte, err error) {
	t.Helper()
	switch {
	case isLost:
		named := err != nil
		for _, p := range w.places[i] {
			named = named && strings.Contains(err.Error(), repo.PackName(p.Pack))
		}
		if !named || !errors.As(err, new(*repo.DamageError)) {
			t.Errorf("piece %d, which is damaged in both places: %v", i, err)
		}
	case err != nil || !bytes.Equal(data, w.pieces[i]):
		t.Errorf("piece %d: %v", i, err)
	}
}

// A piece can be read as long as one of its places is whole, whichever that is.
func TestPiecesInTwoPlaces(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	w := newTwins(t)
	for _, how := range []string{"clump", "encapsulation", "pack"} {
		for which := range 2 {
			for i := range w.ids {
				store := copyStore(t, w.base)
				w.damage(t, store, w.places[i][which], how)
				w.wantAll(t, store, -1)
			}
		}
	}
	for i := range w.ids {
		store := copyStore(t, w.base)
		for which := range 2 {
			w.damage(t, store, w.places[i][which], "clump")
		}
		w.wantAll(t, store, i)
	}
}

// Of two packs that are noted as damaged, each in another clump, every piece counts
// as stored, and is found, where it is whole.
func TestTwoDamagedPacks(t *testing.T) {
	w := newTwins(t)
	for which := range 2 {
		store := copyStore(t, w.base)
		first, second := w.places[0][which], w.places[1][1-which]
		w.damage(t, store, first, "clump")
		w.damage(t, store, second, "clump")
		note(t, mustOpen(t, w.keys, store), repo.Damage{Pack: first.Pack, Clumps: []uint32{first.Offset}}, repo.Damage{Pack: second.Pack, Clumps: []uint32{second.Offset}})
		r := mustOpen(t, w.keys, store)
		s := begin(t, r)
		ids := slices.SortedFunc(slices.Values(w.ids), blob.ID.Compare)
		for _, places := range []func() ([]blob.Place, error){
			func() ([]blob.Place, error) { return r.Places(t.Context(), ids) },
			func() ([]blob.Place, error) { return s.Places(t.Context(), ids) },
		} {
			found, err := places()
			if err != nil {
				t.Fatal(err)
			}
			for i, at := range found {
				if at == first || at == second || at.Size == 0 {
					t.Errorf("piece %s is said to lie at %v", ids[i].Short(), at)
				}
			}
		}
		for i, id := range w.ids {
			if held, err := s.Holds(id); !held || err != nil {
				t.Errorf("piece %d counts as stored: %t, %v", i, held, err)
			}
		}
		// With both places of a piece noted it does not.
		other := w.places[0][1-which]
		note(t, mustOpen(t, w.keys, store), repo.Damage{Pack: first.Pack, Clumps: []uint32{first.Offset}}, repo.Damage{Pack: other.Pack, Clumps: []uint32{other.Offset}})
		s = begin(t, mustOpen(t, w.keys, store), "later")
		if held, err := s.Holds(w.ids[0]); held || err != nil {
			t.Errorf("a piece that is damaged in both places counts as stored: %t, %v", held, err)
		}
	}
}

// A repair does not rely on a copy that cannot be read, though nobody knows that yet.
func TestRepairPacksReadsCopies(t *testing.T) {
	w := newTwins(t)
	for which := range 2 {
		store := copyStore(t, w.base)
		known, unknown := w.places[0][which], w.places[1][1-which]
		w.damage(t, store, known, "clump")
		w.damage(t, store, unknown, "clump")
		note(t, mustOpen(t, w.keys, store), repo.Damage{Pack: known.Pack, Clumps: []uint32{known.Offset}})
		got, err := mustOpen(t, w.keys, store).RepairPacks(t.Context(), nil, repo.RepairOptions{User: "root"})
		if err != nil || len(got.Packs) != 1 || got.Packs[0].Saved != 1 || got.Packs[0].Lost != 0 {
			t.Errorf("%+v, %v", got, err)
		}
		w.wantAll(t, store, -1)
	}
}

// What is damaged in one pack and whole in another under a mark is saved from there,
// before a prune deletes that.
func TestRepairPacksSavesWhatIsMarked(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	w := newTwins(t)
	for _, how := range []string{"clump", "pack"} {
		for which := range 2 {
			store := copyStore(t, w.base)
			bad, marked := w.places[0][which], w.places[0][1-which].Pack
			w.damage(t, store, bad, how)
			r := mustOpen(t, w.keys, store)
			if err := r.PutMark(t.Context(), repo.Mark{Number: 1, Packs: []blob.ID{marked}}); err != nil {
				t.Fatal(err)
			}
			out, err := r.RepairPacks(t.Context(), []blob.ID{bad.Pack}, repo.RepairOptions{Force: true})
			if err != nil || len(out.Packs) != 1 || out.Packs[0].Saved != uint64(len(w.ids)-1) || out.Packs[0].Held+out.Packs[0].Lost != 0 {
				t.Fatalf("%s: %+v, %v", how, out, err)
			}
			remove(t, store, repo.PackName(marked))
			for i, id := range w.ids {
				data, err := read(t, mustOpen(t, w.keys, store), id)
				w.wantRead(t, i, false, data, err)
			}
		}
	}
}

// Where another pack, be it under a mark, may have what is damaged in one, and cannot
// be read, a repair stops, and takes nothing away. What is whole in the pack itself is saved.
func TestRepairPacksBesideUnreadableCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	w := newTwins(t)
	for _, why := range whyUnreadable {
		for _, marked := range []bool{false, true} {
			store := faulty.New(copyStore(t, w.base))
			bad, other := w.places[0][0], w.places[0][1].Pack
			w.damage(t, store, bad, "clump")
			r := mustOpen(t, w.keys, store)
			if marked {
				if err := r.PutMark(t.Context(), repo.Mark{Number: 1, Packs: []blob.ID{other}}); err != nil {
					t.Fatal(err)
				}
			}
			store.Refuse(repo.PackName(other), why)
			_, err := r.RepairPacks(t.Context(), []blob.ID{bad.Pack}, repo.RepairOptions{})
			wantUnreadable(t, "repairing", err, other)
			store.Refuse("", nil)
			if _, ok := objects(t, store)[repo.PackName(bad.Pack)]; !ok {
				t.Error("the damaged pack is gone")
			}
			w.wantAll(t, store, -1)

			store = faulty.New(copyStore(t, w.base))
			flipByte(t, store, repo.PackName(bad.Pack), -100) // in its directory
			store.Refuse(repo.PackName(other), why)
			out, err := mustOpen(t, w.keys, store).RepairPacks(t.Context(), []blob.ID{bad.Pack}, repo.RepairOptions{})
			if err != nil || len(out.Packs) != 1 || out.Packs[0].Saved != uint64(len(w.ids)-1) {
				t.Errorf("with all clumps whole: %+v, %v", out, err)
			}
		}
	}
}
