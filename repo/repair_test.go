package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/index"
	"restante/repo"
	"restante/seal"
	"restante/storage"
	"restante/storage/faulty"
	"restante/storage/mem"
)

// A hoard is a repository with three sessions, each with a data pack of eight
// clumps of one piece and a tree pack. Packs are as small as they get.
type hoard struct {
	keys   keyring
	base   *mem.Store
	pieces map[blob.ID][]byte
	packs  []blob.ID   // the data packs
	ids    [][]blob.ID // and what is in them, a clump each
}

func newHoard(t *testing.T) *hoard {
	t.Helper()
	h := &hoard{keys: newKeyring(t), base: mem.New(), pieces: map[blob.ID][]byte{}}
	if err := h.keys.create(t, h.base); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for n := range 3 {
		s := begin(t, mustOpen(t, h.keys, h.base))
		var ids []blob.ID
		for i := range 8 {
			p := make([]byte, 1000+100*i)
			rand.NewChaCha8([32]byte{byte(n), byte(i)}).Read(p)
			id := save(t, s, blob.Text, p)[0]
			h.pieces[id] = p
			ids = append(ids, id)
		}
		page := fmt.Append(nil, "page ", n)
		h.pieces[save(t, s, blob.Page, page)[0]] = page
		if err := s.Commit(t.Context(), payload("x")); err != nil {
			t.Fatal(err)
		}
		for name, size := range objects(t, h.base) {
			if strings.HasPrefix(name, "packs/") && !known[name] && size > 100<<10 {
				h.packs, h.ids = append(h.packs, inspectedID(t, name)), append(h.ids, ids)
			}
			known[name] = true
		}
	}
	return h
}

// spoil damages the second clump of the first pack.
func (h *hoard) spoil(t *testing.T, store storage.Store) (lost blob.ID) {
	t.Helper()
	name := repo.PackName(h.packs[0])
	clumps, err := mustOpen(t, h.keys, store).Directory(t.Context(), h.packs[0], objects(t, store)[name])
	if err != nil {
		t.Fatal(err)
	}
	flipByte(t, store, name, int(clumps[1].Offset)+5)
	return h.ids[0][1]
}

// wantAll checks that all pieces can be read but for those that are lost.
func (h *hoard) wantAll(t *testing.T, store storage.Store, lost ...blob.ID) {
	t.Helper()
	r := mustOpen(t, h.keys, store)
	for id, want := range h.pieces {
		got, err := read(t, r, id)
		if isLost := slices.Contains(lost, id); isLost != (err != nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("piece %s, which is lost: %t: %v", id.Short(), isLost, err)
		}
	}
}

// wantWhole checks that all packs are whole and named, and nothing else is.
func (h *hoard) wantWhole(t *testing.T, store storage.Store) {
	t.Helper()
	r := mustOpen(t, h.keys, store)
	if _, err := r.Pieces(t.Context()); err != nil {
		t.Fatal(err)
	}
	named := map[string]int64{}
	for _, p := range r.Packs() {
		named[repo.PackName(p.ID)] = int64(p.Size)
	}
	for name, size := range objects(t, store) {
		if !strings.HasPrefix(name, "packs/") {
			continue
		}
		check, err := r.CheckPack(t.Context(), inspectedID(t, name), size, func(int64) {})
		if err != nil || len(check.Damage) > 0 || named[name] != size {
			t.Errorf("%s: %v, %v; the index says %d bytes", name, check.Damage, err, named[name])
		}
		delete(named, name)
	}
	if len(named) > 0 {
		t.Errorf("the index names %v, which are not there", slices.Collect(maps.Keys(named)))
	}
}

func (h *hoard) repairPacks(t *testing.T, store storage.Store, only ...blob.ID) *repo.PacksRepair {
	t.Helper()
	out, err := mustOpen(t, h.keys, store).RepairPacks(t.Context(), only, repo.RepairOptions{User: "root"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (h *hoard) repairIndex(t *testing.T, store storage.Store) *repo.IndexRepair {
	t.Helper()
	out, err := mustOpen(t, h.keys, store).RepairIndex(t.Context(), repo.RepairOptions{User: "root"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A packDamage is what can become of a pack, and of its eight pieces.
type packDamage struct {
	name   string
	damage func(t *testing.T, h *hoard, store storage.Store, name string)
	saved  int  // of the pieces; -1: some of them
	asked  bool // nobody knows of it before a check: the pack has to be asked for
}

var packDamages = []packDamage{
	{"a clump", func(t *testing.T, h *hoard, store storage.Store, _ string) { h.spoil(t, store) }, 7, true},
	{"a directory", func(t *testing.T, _ *hoard, store storage.Store, name string) { flipByte(t, store, name, -100) }, 8, true},
	{"padding", func(t *testing.T, _ *hoard, store storage.Store, name string) { flipByte(t, store, name, 100_000) }, 8, true},
	{"a magic", func(t *testing.T, _ *hoard, store storage.Store, name string) { flipByte(t, store, name, 3) }, 8, true},
	{"a header", func(t *testing.T, _ *hoard, store storage.Store, name string) {
		overwrite(t, store, name, 0, seal.HeaderSize)
	}, 8, true},
	{"a session and who signed", func(t *testing.T, _ *hoard, store storage.Store, name string) { overwrite(t, store, name, 40, 50) }, 8, true},
	{"a header and a clump", func(t *testing.T, h *hoard, store storage.Store, name string) {
		h.spoil(t, store)
		overwrite(t, store, name, 0, seal.HeaderSize)
	}, 7, true},
	{"a directory and a clump", func(t *testing.T, h *hoard, store storage.Store, name string) {
		h.spoil(t, store)
		overwrite(t, store, name, int(objects(t, store)[name])-300, int(objects(t, store)[name]))
	}, 7, true},
	{"an encapsulation", func(t *testing.T, _ *hoard, store storage.Store, name string) { flipByte(t, store, name, 500) }, 0, true},
	{"missing", func(t *testing.T, _ *hoard, store storage.Store, name string) { remove(t, store, name) }, 0, false},
	{"cut off", func(t *testing.T, _ *hoard, store storage.Store, name string) {
		data, err := store.Get(t.Context(), name, 0, 1184+5_000, nil)
		if err != nil {
			t.Fatal(err)
		}
		remove(t, store, name)
		if err := store.Put(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
	}, -1, false},
}

// overwrite puts zeros in the place of some bytes of an object.
func overwrite(t *testing.T, store storage.Store, name string, from, to int) {
	t.Helper()
	data, err := store.Get(t.Context(), name, 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(data[from:to])
	remove(t, store, name)
	if err := store.Put(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
}

// Whatever is damaged of a pack: what can be read is saved, and the rest goes.
func TestRepairPacks(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	h := newHoard(t)
	for _, c := range packDamages {
		t.Run(c.name, func(t *testing.T) {
			store := copyStore(t, h.base)
			c.damage(t, h, store, repo.PackName(h.packs[0]))
			var only []blob.ID
			if c.asked {
				if got := h.repairPacks(t, store); len(got.Packs)+len(got.Whole) > 0 {
					t.Errorf("nobody knows of the damage, but %+v", got)
				}
				only = h.packs[:1]
			}
			got := h.repairPacks(t, store, only...)
			if len(got.Packs) != 1 || got.Packs[0].Saved+got.Packs[0].Lost != 8 || got.Packs[0].Held != 0 ||
				c.saved >= 0 && got.Packs[0].Saved != uint64(c.saved) || c.saved < 0 && got.Packs[0].Saved%8 == 0 {
				t.Fatalf("%+v", got)
			}
			lost := h.missing(t, store)
			if uint64(len(lost)) != got.Packs[0].Lost {
				t.Errorf("%d pieces are lost, and it says %d", len(lost), got.Packs[0].Lost)
			}
			h.wantAll(t, store, lost...)
			h.wantWhole(t, store)
			if got := h.repairPacks(t, store); len(got.Packs)+len(got.Whole) > 0 {
				t.Errorf("the second time: %+v", got)
			}
		})
	}
}

// missing returns the pieces of the first pack that the index does not name.
func (h *hoard) missing(t *testing.T, store storage.Store) (lost []blob.ID) {
	t.Helper()
	r := mustOpen(t, h.keys, store)
	for _, id := range h.ids[0] {
		if has, err := r.Has(t.Context(), id); err != nil {
			t.Fatal(err)
		} else if !has {
			lost = append(lost, id)
		}
	}
	return lost
}

// A repair that is interrupted loses nothing, and leaves no session open.
func TestInterruptedRepairs(t *testing.T) {
	h := newHoard(t)
	lost := h.spoil(t, h.base)
	for calls := 0; ; calls++ {
		store := copyStore(t, h.base)
		ctx, cancel := context.WithCancel(t.Context())
		left := calls
		_, err := mustOpen(t, h.keys, store).RepairPacks(ctx, h.packs[:1], repo.RepairOptions{Progress: func(uint64, uint64) {
			if left--; left < 0 {
				cancel()
			}
		}})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		all := objects(t, store)
		for name := range all {
			if id, isIntent := strings.CutPrefix(name, "intents/"); isIntent && all["snapshots/"+id] == 0 {
				t.Errorf("after %d steps session %s is open", calls, id)
			}
		}
		h.wantAll(t, store, lost)
		if err == nil {
			if calls < 5 {
				t.Errorf("there were only %d steps", calls)
			}
			return
		}
	}
}

func remove(t *testing.T, store storage.Store, name string) {
	t.Helper()
	if err := store.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// What a later session stored again, and what two damaged packs have, is saved once.
func TestRepairPacksSavesOnce(t *testing.T) {
	h := newHoard(t)
	store := copyStore(t, h.base)
	lost := h.spoil(t, store)
	note(t, mustOpen(t, h.keys, store), repo.Damage{Pack: h.packs[0], Whole: true})
	s := begin(t, mustOpen(t, h.keys, store))
	if got := save(t, s, blob.Text, h.pieces[lost], h.pieces[h.ids[0][4]]); got[0] != lost {
		t.Fatal("the piece has another ID")
	}
	if err := s.Commit(t.Context(), payload("healed")); err != nil {
		t.Fatal(err)
	}
	got := h.repairPacks(t, store)
	if len(got.Packs) != 1 || got.Packs[0].Saved != 6 || got.Packs[0].Held != 2 || got.Packs[0].Lost != 0 {
		t.Errorf("%+v", got)
	}
	h.wantAll(t, store)
	h.wantWhole(t, store)

	// The same pieces in two packs, in each of which another clump is damaged.
	store = copyStore(t, h.base)
	note(t, mustOpen(t, h.keys, store), repo.Damage{Pack: h.packs[0], Whole: true})
	s = begin(t, mustOpen(t, h.keys, store))
	for _, id := range h.ids[0] {
		save(t, s, blob.Text, h.pieces[id])
	}
	if err := s.Commit(t.Context(), payload("twice")); err != nil {
		t.Fatal(err)
	}
	h.spoil(t, store)
	var twin blob.ID
	for name, size := range objects(t, store) {
		if strings.HasPrefix(name, "packs/") && size > 100<<10 && !slices.Contains(h.packs, inspectedID(t, name)) {
			twin = inspectedID(t, name)
			clumps, err := mustOpen(t, h.keys, store).Directory(t.Context(), twin, size)
			if err != nil {
				t.Fatal(err)
			}
			flipByte(t, store, name, int(clumps[5].Offset)+5)
		}
	}
	got = h.repairPacks(t, store, h.packs[0], twin)
	var saved, lostPieces uint64
	for _, p := range got.Packs {
		saved, lostPieces = saved+p.Saved, lostPieces+p.Lost
	}
	if len(got.Packs) != 2 || saved != 8 || lostPieces != 0 {
		t.Errorf("%+v", got)
	}
	h.wantAll(t, store)
	h.wantWhole(t, store)
}

// Whatever fails in a repair, and whenever: nothing is lost that was not, and
// the next run brings all in order.
func TestFaultsInRepairingPacks(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	h := newHoard(t)
	lost := h.spoil(t, h.base)
	check := func(t *testing.T, inner storage.Store, _ bool, err error) {
		h.wantAll(t, inner, lost)
		endSessions(t, inner)
		// A session in between adopts nothing that is damaged, and loses nothing.
		before := h.names(t, inner, h.packs[0])
		s := begin(t, mustOpen(t, h.keys, inner))
		if err := s.Abandon(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !before && h.names(t, inner, h.packs[0]) {
			t.Error("a session has taken up the damaged pack")
		}
		h.repairPacks(t, inner)
		if err != nil { // the run may have ended before it noted anything
			h.repairAgain(t, inner)
		}
		h.wantAll(t, inner, lost)
		h.wantWhole(t, inner)
		// Who has a parent from before learns that something is lost.
		if all, err := mustOpen(t, h.keys, inner).Damages(t.Context()); err != nil || len(all) != 1 || !all[0].Loses() {
			t.Errorf("noted: %+v, %v", all, err)
		}
	}
	eachFault(t, h.base, func(t *testing.T, store *faulty.Store) error {
		r, err := h.keys.open(t, store)
		if err != nil {
			return err
		}
		_, err = r.RepairPacks(t.Context(), h.packs[:1], repo.RepairOptions{})
		return err
	}, check)
}

// names reports whether the index names a pack.
func (h *hoard) names(t *testing.T, store storage.Store, pack blob.ID) bool {
	t.Helper()
	r := mustOpen(t, h.keys, store)
	if _, err := r.Pieces(t.Context()); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(r.Packs(), func(p index.Pack) bool { return p.ID == pack })
}

// repairAgain repairs the first pack if it is there.
func (h *hoard) repairAgain(t *testing.T, store storage.Store) {
	t.Helper()
	if _, there := objects(t, store)[repo.PackName(h.packs[0])]; there {
		h.repairPacks(t, store, h.packs[0])
	}
}

func TestFaultsInRepairingTheIndex(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	h := newHoard(t)
	name := indexOf(t, h, h.base, h.packs[1])
	flipByte(t, h.base, name, -1)
	remove(t, h.base, repo.PackName(h.packs[0]))
	eachFault(t, h.base, func(t *testing.T, store *faulty.Store) error {
		r, err := h.keys.open(t, store)
		if err != nil {
			return err
		}
		_, err = r.RepairIndex(t.Context(), repo.RepairOptions{})
		return err
	}, func(t *testing.T, inner storage.Store, _ bool, _ error) {
		endSessions(t, inner)
		h.repairIndex(t, inner)
		h.wantAll(t, inner, h.ids[0]...)
		h.wantWhole(t, inner)
		if got := h.repairIndex(t, inner); len(got.Replaced)+len(got.Gone)+len(got.Unnamed)+int(got.Named) > 0 {
			t.Errorf("after that: %+v", got)
		}
	})
}

// indexOf returns the name of the index object that names a pack.
func indexOf(t *testing.T, h *hoard, store storage.Store, pack blob.ID) string {
	t.Helper()
	r := mustOpen(t, h.keys, store)
	for name, size := range objects(t, store) {
		if !strings.HasPrefix(name, "index/") {
			continue
		}
		o, _, err := r.OpenIndex(t.Context(), inspectedID(t, name), size)
		if err != nil {
			continue
		}
		for _, p := range o.Packs {
			if p.ID == pack {
				return name
			}
		}
	}
	t.Fatal("no index object names the pack")
	return ""
}

// The index is made again of what is there, whatever became of it.
func TestRepairIndex(t *testing.T) {
	h := newHoard(t)
	for _, c := range []struct {
		name                  string
		damage                func(t *testing.T, store storage.Store)
		replaced, named, gone int
		lost                  []blob.ID
	}{
		{"nothing", func(*testing.T, storage.Store) {}, 0, 0, 0, nil},
		{"all gone", func(t *testing.T, store storage.Store) {
			for name := range objects(t, store) {
				if strings.HasPrefix(name, "index/") {
					remove(t, store, name)
				}
			}
		}, 0, 6, 0, nil},
		{"all damaged", func(t *testing.T, store storage.Store) {
			for name := range objects(t, store) {
				if strings.HasPrefix(name, "index/") {
					flipByte(t, store, name, 150)
				}
			}
		}, 6, 6, 0, nil},
		{"a pack gone", func(t *testing.T, store storage.Store) { remove(t, store, repo.PackName(h.packs[0])) }, 1, 0, 1, h.ids[0]},
		{"a directory damaged", func(t *testing.T, store storage.Store) { flipByte(t, store, repo.PackName(h.packs[0]), -100) }, 0, 0, 0, nil},
		{"empty objects", func(t *testing.T, store storage.Store) {
			if err := store.Put(t.Context(), "index/"+strings.Repeat("00", 32), nil); err != nil {
				t.Fatal(err)
			}
		}, 1, 0, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := copyStore(t, h.base)
			c.damage(t, store)
			got := h.repairIndex(t, store)
			if len(got.Replaced) != c.replaced || int(got.Named) != c.named || len(got.Gone) != c.gone || len(got.Unnamed) != 0 {
				t.Errorf("%+v", got)
			}
			h.wantAll(t, store, c.lost...)
		})
	}
}

// A pack with a damaged directory, whose index object goes for another reason,
// keeps its pieces.
func TestRepairIndexKeepsWhatOnlyItKnows(t *testing.T) {
	h := newHoard(t)
	store := copyStore(t, h.base)
	// One index object for all.
	for name := range objects(t, store) {
		if strings.HasPrefix(name, "index/") {
			remove(t, store, name)
		}
	}
	h.repairIndex(t, store)
	flipByte(t, store, repo.PackName(h.packs[0]), -100)
	remove(t, store, repo.PackName(h.packs[1]))
	got := h.repairIndex(t, store)
	if len(got.Replaced) != 1 || got.Named != 2 || len(got.Gone) != 1 {
		t.Errorf("%+v", got)
	}
	h.wantAll(t, store, h.ids[1]...)
	// That the pieces of the pack that went may be lost is known.
	all, err := mustOpen(t, h.keys, store).Damages(t.Context())
	if err != nil || len(all) != 1 || all[0].Pack != h.packs[1] || !all[0].Whole {
		t.Errorf("%+v, %v", all, err)
	}
	flipByte(t, store, indexOf(t, h, store, h.packs[0]), -1)
	got = h.repairIndex(t, store)
	if len(got.Unnamed) != 1 || got.Unnamed[0].Object != repo.PackName(h.packs[0]) {
		t.Errorf("%+v", got)
	}
}

func TestRefusedRepairs(t *testing.T) {
	h := newHoard(t)
	store := copyStore(t, h.base)
	r := mustOpen(t, h.keys, store)
	if _, err := r.RepairPacks(t.Context(), []blob.ID{{1}}, repo.RepairOptions{}); !errors.Is(err, repo.ErrNoPack) {
		t.Errorf("a pack that is not there: %v", err)
	}
	if got := h.repairPacks(t, store, h.packs[0]); len(got.Packs) > 0 || len(got.Whole) != 1 {
		t.Errorf("a pack that is whole: %+v", got)
	}
	// A pack of which nobody knows what is in it is not taken away.
	odd := "packs/00/" + strings.Repeat("00", 32)
	if err := store.Put(t.Context(), odd, make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	if got := h.repairPacks(t, store, blob.ID{}); len(got.Kept) != 1 || got.Kept[0].Object != odd || len(got.Packs) > 0 || objects(t, store)[odd] != 5000 {
		t.Errorf("a pack that nobody knows: %+v", got)
	}
	remove(t, store, odd)
	for name := range objects(t, store) {
		if strings.HasPrefix(name, "packs/") && !strings.Contains(name, h.packs[0].String()) {
			remove(t, store, name)
		}
	}
	before := objects(t, store)
	if _, err := r.RepairIndex(t.Context(), repo.RepairOptions{}); !errors.Is(err, repo.ErrMostGone) {
		t.Errorf("most packs are gone: %v", err)
	}
	if _, err := r.RepairPacks(t.Context(), nil, repo.RepairOptions{}); !errors.Is(err, repo.ErrMostGone) {
		t.Errorf("most packs are gone: %v", err)
	}
	for name := range objects(t, store) {
		if _, there := before[name]; !there && !strings.HasPrefix(name, "intents/") && !strings.HasPrefix(name, "snapshots/") {
			t.Errorf("%s was put", name)
		}
	}
	if got, err := r.RepairIndex(t.Context(), repo.RepairOptions{Force: true}); err != nil || len(got.Gone) != 5 {
		t.Errorf("with force: %+v, %v", got, err)
	}
	store = copyStore(t, h.base)
	flipByte(t, store, indexOf(t, h, store, h.packs[0]), -1)
	if _, err := mustOpen(t, h.keys, store).RepairPacks(t.Context(), nil, repo.RepairOptions{}); !errors.Is(err, repo.ErrBrokenIndex) {
		t.Errorf("with a broken index: %v", err)
	}
}

// A writer's key repairs the index, and no packs.
func TestRepairsOfAWriter(t *testing.T) {
	h := newHoard(t)
	store := copyStore(t, h.base)
	writer := newKeyring(t)
	if _, err := mustOpen(t, h.keys, store).AddKey(t.Context(), seal.Writer, "mx1", writer.lock); err != nil {
		t.Fatal(err)
	}
	r := mustOpen(t, writer, store)
	flipByte(t, store, indexOf(t, h, store, h.packs[0]), -1)
	if got, err := r.RepairIndex(t.Context(), repo.RepairOptions{}); err != nil || len(got.Replaced) != 1 || got.Named != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := r.RepairPacks(t.Context(), nil, repo.RepairOptions{}); !errors.Is(err, repo.ErrCannotRead) {
		t.Error(err)
	}
	h.wantAll(t, store)
}

// vanishing is a storage in which an index object is replaced between the listing
// and the reading.
type vanishing struct {
	storage.Store
	replace func()
}

func (v *vanishing) List(ctx context.Context, prefix string, fn func(name string, size int64) error) error {
	err := v.Store.List(ctx, prefix, fn)
	if replace := v.replace; prefix == "index/" && replace != nil {
		v.replace = nil
		replace()
	}
	return err
}

// Who reads the index while it is repaired reads what takes its place.
func TestReadingBesideARepair(t *testing.T) {
	h := newHoard(t)
	v := &vanishing{Store: copyStore(t, h.base)}
	h.spoil(t, v.Store)
	r := mustOpen(t, h.keys, v)
	v.replace = func() { h.repairPacks(t, v.Store, h.packs[0]) }
	id := h.ids[0][0]
	if got, err := read(t, r, id); err != nil || !bytes.Equal(got, h.pieces[id]) {
		t.Errorf("a piece that was saved meanwhile: %v", err)
	}
	if v.replace != nil {
		t.Error("nothing was repaired")
	}
}

// While one repair is at work another is refused.
func TestTwoRepairsAtOnce(t *testing.T) {
	h := newHoard(t)
	store := copyStore(t, h.base)
	second := func(objects, _ uint64) {
		if _, err := mustOpen(t, h.keys, store).RepairIndex(t.Context(), repo.RepairOptions{}); !errors.As(err, new(*repo.LockedError)) {
			t.Errorf("a second repair: %v", err)
		}
	}
	if _, err := mustOpen(t, h.keys, store).RepairIndex(t.Context(), repo.RepairOptions{Progress: second}); err != nil {
		t.Fatal(err)
	}
}
