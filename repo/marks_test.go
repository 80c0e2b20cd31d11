package repo_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage/faulty"
)

// writer adds a writer's key to the repository and opens it with that.
func (f *fixture) writer(t *testing.T) *repo.Repository {
	t.Helper()
	k := newKeyring(t)
	if _, err := f.open(t).AddKey(t.Context(), seal.Writer, "writer", k.lock); err != nil {
		t.Fatal(err)
	}
	r, err := k.open(t, f.store)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func marksOf(t *testing.T, r *repo.Repository) (good []repo.Mark, bad []uint64) {
	t.Helper()
	err := r.EachMark(t.Context(), func(m repo.Mark, err error) error {
		switch {
		case err == nil:
			good = append(good, m)
		case errors.As(err, new(*repo.DamageError)):
			bad = append(bad, m.Number)
		default:
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return good, bad
}

// A mark is read as it was put, and its number is taken once.
func TestMarks(t *testing.T) {
	f := newFixture(t)
	r := f.open(t)
	want := repo.Mark{Number: 1, Packs: []blob.ID{{1}, {2}}, Roots: []seal.Session{{3}, {4}, {5}}}
	if err := r.PutMark(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if err := r.PutMark(t.Context(), repo.Mark{Number: 1}); !errors.Is(err, repo.ErrPruning) {
		t.Errorf("once more: %v", err)
	}
	if err := r.PutMark(t.Context(), repo.Mark{Number: 123456789}); err != nil {
		t.Fatal(err)
	}
	good, bad := marksOf(t, f.open(t))
	if len(good) != 2 || len(bad) != 0 || good[0].Number != 1 || !slices.Equal(good[0].Packs, want.Packs) || !slices.Equal(good[0].Roots, want.Roots) ||
		good[1].Number != 123456789 || len(good[1].Packs)+len(good[1].Roots) != 0 {
		t.Errorf("%+v, %v", good, bad)
	}
	if err := r.PutMark(t.Context(), repo.Mark{Number: 2, Packs: make([]blob.ID, repo.MaxMarked+1)}); err == nil {
		t.Error("a mark of too many packs is put")
	}
	many := repo.Mark{Number: 3, Packs: make([]blob.ID, repo.MaxMarked), Roots: make([]seal.Session, 1<<16)}
	for i := range many.Packs {
		binary.BigEndian.PutUint32(many.Packs[i][:], uint32(i))
		binary.BigEndian.PutUint32(many.Roots[i][:], uint32(i))
	}
	if err := r.PutMark(t.Context(), many); err != nil {
		t.Errorf("the largest mark: %v", err)
	}
	if good, _ := marksOf(t, r); len(good) != 3 || len(good[1].Packs) != repo.MaxMarked || len(good[1].Roots) != 1<<16 {
		t.Error("the largest mark is not read")
	}
}

// Only an owner's marks count, so that who steals a writer's key takes nothing
// away; and only marks that are in their one form.
func TestForgedMarks(t *testing.T) {
	f := newFixture(t)
	thief, owner := f.writer(t), f.open(t)
	if err := thief.PutMark(t.Context(), repo.Mark{Number: 1}); !errors.Is(err, repo.ErrOwnerOnly) {
		t.Errorf("with a writer's key: %v", err)
	}
	pack := bytes.Repeat([]byte{7}, blob.IDSize)
	for n, forge := range []func(n uint64) error{
		func(n uint64) error { return thief.ForgeMark(t.Context(), n, n, pack, nil) },
		func(n uint64) error { return owner.ForgeMark(t.Context(), n, n+1, pack, nil) },
		func(n uint64) error { return owner.ForgeMark(t.Context(), n, n, pack[1:], nil) },
		func(n uint64) error { return owner.ForgeMark(t.Context(), n, n, pack, pack[1:]) },
		func(n uint64) error {
			return owner.ForgeMark(t.Context(), n, n, bytes.Repeat(pack, repo.MaxMarked+1), nil)
		},
	} {
		if err := forge(uint64(n + 1)); err != nil {
			t.Fatal(err)
		}
	}
	if good, bad := marksOf(t, owner); len(good) != 0 || !slices.Equal(bad, []uint64{1, 2, 3, 4, 5}) {
		t.Errorf("%+v, %v", good, bad)
	}
	var warned bytes.Buffer
	r, err := repo.Open(t.Context(), f.store, repo.OpenOptions{CacheDir: t.TempDir(), Unlock: f.unlock, Warn: log.New(&warned, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := begin(t, r)
	if len(s.Marks()) != 0 || strings.Count(warned.String(), "\n") != 5 || !strings.Contains(warned.String(), "object marks/00000001 is damaged") {
		t.Errorf("it has seen %v, and warned of %q", s.Marks(), warned.String())
	}
}

// What a session has seen only counts if the session's key says so.
func TestForgedSeen(t *testing.T) {
	f := newFixture(t)
	s := begin(t, f.open(t))
	if err := f.writer(t).ForgeSeen(t.Context(), s.ID(), 1, 2); err != nil {
		t.Fatal(err)
	}
	got, err := f.open(t).ReadSession(t.Context(), s.ID())
	if err != nil || got.Intent == nil || got.Seen != nil {
		t.Errorf("%+v, %v", got, err)
	}
	other := begin(t, f.open(t), "other")
	if err := f.open(t).ForgeSeen(t.Context(), other.ID(), 1, 2); err != nil {
		t.Fatal(err)
	}
	if got, err := f.open(t).ReadSession(t.Context(), other.ID()); err != nil || !slices.Equal(got.Seen, []uint64{1, 2}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A reader whose index is older than what became of the packs reads it once more.
func TestReaderReloadsTheIndex(t *testing.T) {
	f := newFixture(t)
	s := begin(t, f.open(t))
	id := save(t, s, blob.Text, []byte("a piece"))[0]
	if err := s.Commit(t.Context(), payload("first")); err != nil {
		t.Fatal(err)
	}
	reader := f.open(t)
	if has, err := reader.Has(t.Context(), id); !has || err != nil {
		t.Fatal(has, err)
	}
	breakPacks(t, f.store, false)
	s = begin(t, f.open(t), "second")
	save(t, s, blob.Text, []byte("a piece"))
	if err := s.Commit(t.Context(), payload("second")); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, reader, id); err != nil || string(got) != "a piece" {
		t.Errorf("%q, %v", got, err)
	}
}

// What goes with an intent goes before it: when that fails the intent stays, by
// which the next prune finds both.
func TestFaultInRemovingASession(t *testing.T) {
	f := newFixture(t)
	if err := f.open(t).PutMark(t.Context(), repo.Mark{Number: 1, Packs: []blob.ID{{1}}}); err != nil {
		t.Fatal(err)
	}
	s := begin(t, f.open(t))
	if err := s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	store := faulty.New(f.store)
	r, err := repo.Open(t.Context(), store, repo.OpenOptions{CacheDir: f.cache, Unlock: f.unlock})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	intent, seen := "intents/"+s.ID().String(), "seen/"+s.ID().String()
	left := func() (names []string) {
		for name := range objects(t, f.store) {
			if name == intent || name == seen {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	for call, want := range [][]string{{intent, seen}, {intent}} {
		store.Arm(faulty.Fault{Ops: faulty.Delete, Call: call, Outcome: faulty.NotApplied})
		if err := r.RemoveSession(t.Context(), s.ID()); !errors.Is(err, faulty.ErrInjected) || !slices.Equal(left(), want) {
			t.Errorf("%v left %q, not %q", err, left(), want)
		}
	}
	store.Arm(faulty.Fault{Call: 1 << 30})
	if err := r.RemoveSession(t.Context(), s.ID()); err != nil || len(left()) > 0 {
		t.Errorf("once more: %v left %q", err, left())
	}
}
