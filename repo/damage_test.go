package repo_test

import (
	"bytes"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/storage"
	"restante/storage/faulty"
	"restante/storage/mem"
)

// note notes that packs are damaged.
func note(t *testing.T, r *repo.Repository, damages ...repo.Damage) {
	t.Helper()
	_, err := r.NoteDamage(t.Context(), func(all map[blob.ID]repo.Damage) {
		for _, d := range damages {
			all[d.Pack] = d
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzDecodeDamages(f *testing.F) {
	for _, packs := range [][]repo.Damage{nil, {{Pack: blob.ID{1}, Whole: true}}, {{Pack: blob.ID{1}, Clumps: []uint32{5, 9}}, {Pack: blob.ID{2}}}} {
		data, err := repo.EncodeDamages(packs)
		if err != nil {
			f.Fatal(err)
		}
		if read, err := repo.DecodeDamages(data); err != nil || len(read) != len(packs) {
			f.Fatalf("%x: %v, %v", data, read, err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		packs, err := repo.DecodeDamages(data)
		if err != nil || repo.CountDamageRecords(slices.Clone(packs)) > 1 {
			return
		}
		if again, err := repo.EncodeDamages(packs); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x is read as %v, and written as %x, %v", data, packs, again, err)
		}
	})
}

// However much is damaged, the records can be read again.
func TestDamageRecordsOfAnySize(t *testing.T) {
	f := newFixture(t)
	r := f.open(t)
	many := make([]uint32, 1<<17)
	for i := range many {
		many[i] = uint32(i)
	}
	var damages []repo.Damage
	for i := range 1<<14 + 5 {
		damages = append(damages, repo.Damage{Pack: blob.ID{byte(i >> 8), byte(i), 1}, Whole: true})
	}
	damages = append(damages, repo.Damage{Pack: blob.ID{255, 1}, Clumps: many}, repo.Damage{Pack: blob.ID{255, 2}, Clumps: many},
		repo.Damage{Pack: blob.ID{255, 3}, Clumps: append(many, 1<<17)})
	note(t, r, damages...)
	got, err := f.open(t).Damages(t.Context())
	if err != nil || len(got) != len(damages) {
		t.Fatalf("%d packs, %v", len(got), err)
	}
	if last := got[len(got)-1]; !last.Whole || len(last.Clumps) > 0 || len(got[len(got)-2].Clumps) != len(many) {
		t.Errorf("the last are %t with %d clumps, and %d clumps", last.Whole, len(last.Clumps), len(got[len(got)-2].Clumps))
	}
	if n := len(objects(t, f.store)); n > 8 {
		t.Errorf("there are %d objects", n)
	}
}

// Whatever fails in noting damage, and whenever: what was known stays known
// until the new record has it, and the next change brings all in order.
func TestFaultsInNotingDamage(t *testing.T) {
	k := newKeyring(t)
	base := mem.New()
	if err := k.create(t, base); err != nil {
		t.Fatal(err)
	}
	a, b, c := repo.Damage{Pack: blob.ID{1}, Whole: true}, repo.Damage{Pack: blob.ID{2}, Clumps: []uint32{7}}, repo.Damage{Pack: blob.ID{3}}
	note(t, mustOpen(t, k, base), a, b)
	change := func(all map[blob.ID]repo.Damage) {
		delete(all, a.Pack)
		all[c.Pack] = c
	}
	eachFault(t, base, func(t *testing.T, store *faulty.Store) error {
		r, err := k.open(t, store)
		if err != nil {
			return err
		}
		_, err = r.NoteDamage(t.Context(), change)
		return err
	}, func(t *testing.T, inner storage.Store, _ bool, err error) {
		packs := func() (ids []byte) {
			all, err := mustOpen(t, k, inner).Damages(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range all {
				ids = append(ids, d.Pack[0])
			}
			return ids
		}
		if got := string(packs()); got != "\x01\x02" && got != "\x02\x03" && got != "\x01\x02\x03" || err == nil && got != "\x02\x03" {
			t.Errorf("%x is known, after %v", got, err)
		}
		if _, err := mustOpen(t, k, inner).NoteDamage(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if got := string(packs()); got != "\x02\x03" {
			t.Errorf("%x is known after the next change", got)
		}
	})
}

// Two who note at the same time lose nothing of each other.
func TestNotingAtOnce(t *testing.T) {
	f := newFixture(t)
	note(t, f.open(t), repo.Damage{Pack: blob.ID{1}, Clumps: []uint32{5}})
	r, other := f.open(t), f.open(t)
	_, err := r.NoteDamage(t.Context(), func(all map[blob.ID]repo.Damage) {
		all[blob.ID{1}] = repo.Damage{Pack: blob.ID{1}, Clumps: []uint32{7}}
		note(t, other, repo.Damage{Pack: blob.ID{2}, Whole: true}, repo.Damage{Pack: blob.ID{1}, Clumps: []uint32{5, 9}})
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.open(t).Damages(t.Context())
	if err != nil || len(got) != 2 || !slices.Equal(got[0].Clumps, []uint32{5, 7, 9}) || !got[1].Whole {
		t.Errorf("%v, %v", got, err)
	}
	if changed, err := r.NoteDamage(t.Context(), func(map[blob.ID]repo.Damage) {}); changed || err != nil {
		t.Errorf("a change of nothing: %t, %v", changed, err)
	}
}

// flipByte damages one byte of an object.
func flipByte(t *testing.T, store storage.Store, name string, at int) {
	t.Helper()
	data, err := store.Get(t.Context(), name, 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 4
	if err := store.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
}

// dataPack returns the only data pack of the repository, by its size.
func dataPack(t *testing.T, store storage.Store) (id blob.ID, name string, size int64) {
	t.Helper()
	for n, s := range objects(t, store) {
		if strings.HasPrefix(n, "packs/") && s > size {
			name, size = n, s
		}
	}
	return inspectedID(t, path.Join("x", name)), name, size
}

// What is noted as damaged a session stores again, and nothing else; then it is
// read from its new place.
func TestDamagedPiecesAreStoredAgain(t *testing.T) {
	for _, whole := range []bool{false, true} {
		f := newFixture(t)
		r := f.open(t)
		s := begin(t, r)
		pieces := randomPieces(8, 5)
		var ids []blob.ID
		for _, p := range pieces { // a clump each
			ids = append(ids, save(t, s, blob.Text, p)...)
		}
		if err := s.Commit(t.Context(), payload("first")); err != nil {
			t.Fatal(err)
		}
		pack, name, size := dataPack(t, f.store)
		clumps, err := r.Directory(t.Context(), pack, size)
		if err != nil || len(clumps) != len(pieces) {
			t.Fatalf("%d clumps, %v", len(clumps), err)
		}
		flipByte(t, f.store, name, int(clumps[2].Offset)+3)
		check, err := f.open(t).CheckPack(t.Context(), pack, size, func(int64) {})
		if err != nil || check.Note == nil || check.Note.Whole || !slices.Equal(check.Note.Clumps, []uint32{clumps[2].Offset}) {
			t.Fatalf("the check notes %+v, %v", check.Note, err)
		}
		check.Note.Whole = whole
		note(t, r, *check.Note)

		again := f.open(t)
		s = begin(t, again)
		if s.Absent().IsZero() {
			t.Error("a session knows nothing of the damage")
		}
		for i, id := range ids {
			if held, err := s.Holds(id); err != nil || held == (whole || i == 2) {
				t.Errorf("piece %d of a pack damaged as a whole %t: held %t, %v", i, whole, held, err)
			}
		}
		save(t, s, blob.Text, pieces...)
		if err := s.Commit(t.Context(), payload("second")); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*repo.Repository{again, f.open(t)} {
			for i, id := range ids {
				if got, err := read(t, r, id); err != nil || !bytes.Equal(got, pieces[i]) {
					t.Errorf("piece %d: %v", i, err)
				}
			}
		}
	}
}

// What tells that bytes are damaged that no piece has is no loss.
func TestDamageWithoutLoss(t *testing.T) {
	f := newFixture(t)
	s := begin(t, f.open(t))
	id := save(t, s, blob.Text, []byte("a piece"))[0]
	if err := s.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	pack, _, _ := dataPack(t, f.store)
	note(t, f.open(t), repo.Damage{Pack: pack})
	if s = begin(t, f.open(t)); !s.Absent().IsZero() {
		t.Error("nothing is lost, but the session is damaged")
	}
	if held, err := s.Holds(id); !held || err != nil {
		t.Errorf("the piece is held: %t, %v", held, err)
	}
}

// A pack that is noted as damaged and that no index object names is not taken up.
func TestDamagedPacksAreNotAdopted(t *testing.T) {
	f := newFixture(t)
	r := f.open(t)
	s := begin(t, r)
	save(t, s, blob.Text, []byte("a piece"))
	if err := s.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	pack, _, _ := dataPack(t, f.store)
	note(t, r, repo.Damage{Pack: pack})
	for name := range objects(t, f.store) {
		if strings.HasPrefix(name, "index/") {
			if err := f.store.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
	s = begin(t, r)
	for _, p := range r.Packs() {
		t.Errorf("pack %s is in the index", p.ID)
	}
	if err := s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := r.NoteDamage(t.Context(), func(all map[blob.ID]repo.Damage) { clear(all) })
	if err != nil {
		t.Fatal(err)
	}
	begin(t, r)
	if len(r.Packs()) != 1 {
		t.Errorf("the index has %d packs", len(r.Packs()))
	}
}

// A record that cannot be read keeps nobody from working, and is found.
func TestDamagedRecordOfDamage(t *testing.T) {
	f := newFixture(t)
	note(t, f.open(t), repo.Damage{Pack: blob.ID{1}, Whole: true})
	name := slices.Collect(maps.Keys(objects(t, f.store)))[0]
	for n := range objects(t, f.store) {
		if strings.HasPrefix(n, "damaged/") {
			name = n
		}
	}
	r := f.open(t)
	if err := r.CheckObject(t.Context(), name, 1200); err != nil {
		t.Error(err)
	}
	flipByte(t, f.store, name, -1)
	if err := r.CheckObject(t.Context(), name, 1200); !errors.As(err, new(*repo.DamageError)) {
		t.Errorf("a record that is damaged: %v", err)
	}
	begin(t, r)
	if all, err := r.Damages(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
}

// A read that returns other bytes, or fails, once only, harms nothing: whatever is read.
func TestReadsThatFailOnce(t *testing.T) {
	store, k, id, ids := committed(t)
	if err := mustOpen(t, k, store).Forget(t.Context(), id, "root"); err != nil {
		t.Fatal(err)
	}
	r := mustOpen(t, k, store)
	if _, err := r.Hold(t.Context(), repo.Hold{Snapshot: id, Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	note(t, r, repo.Damage{Pack: blob.ID{1}, Whole: true})
	all := objects(t, store)
	for _, outcome := range []faulty.Outcome{faulty.Garbled, faulty.NotApplied} {
		for n := 0; ; n++ {
			s := faulty.New(store)
			r := mustOpen(t, k, s)
			s.Arm(faulty.Fault{Ops: faulty.Get, Call: n, Outcome: outcome})
			if err := readEverything(t, r, all, ids); err != nil {
				t.Errorf("read %d, outcome %d: %v", n, outcome, err)
			}
			if !s.Fired() {
				if n < 15 {
					t.Errorf("there were only %d reads", n)
				}
				break
			}
		}
	}
}

// readEverything reads all objects and pieces in each way that there is.
func readEverything(t *testing.T, r *repo.Repository, all map[string]int64, ids []blob.ID) (err error) {
	t.Helper()
	for _, id := range ids {
		_, failed := read(t, r, id)
		err = errors.Join(err, failed)
	}
	for name, size := range all {
		err = errors.Join(err, r.CheckObject(t.Context(), name, size))
		id, _ := blob.ParseID(path.Base(name))
		switch part, _ := repo.PartOf(name); part {
		case repo.Packs:
			check, failed := r.CheckPack(t.Context(), id, size, func(int64) {})
			_, odd := r.PackKind(t.Context(), id)
			err = errors.Join(err, failed, odd, errors.Join(check.Damage...))
		case repo.Indexes:
			_, _, failed := r.OpenIndex(t.Context(), id, size)
			err = errors.Join(err, failed)
		}
	}
	each := func(_ repo.ForgottenObject, failed error) error { return failed }
	return errors.Join(err, r.EachForgotten(t.Context(), each))
}
