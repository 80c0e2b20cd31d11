package repo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage"
	"restante/storage/faulty"
	"restante/storage/mem"
)

// committed makes a repository with a snapshot, which has the pieces named by ids.
func committed(t *testing.T) (store storage.Store, k keyring, id seal.Session, ids []blob.ID) {
	t.Helper()
	store, k = newRepository(t)
	s := begin(t, mustOpen(t, k, store))
	ids = save(t, s, blob.Text, []byte("a message"), []byte("another one"))
	slices.SortFunc(ids, blob.ID.Compare)
	if err := s.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	return store, k, s.ID(), ids
}

// states returns the IDs of the snapshots that are listed, and of those forgotten.
func states(t *testing.T, r *repo.Repository) (listed, forgotten []seal.Session) {
	t.Helper()
	err := r.EachSnapshot(t.Context(), func(o repo.SnapshotObject, err error) error {
		listed = append(listed, o.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = r.EachForgotten(t.Context(), func(o repo.ForgottenObject, err error) error {
		if err == nil && (o.By == "" || time.Since(o.Time).Abs() > time.Hour || len(o.Payload) == 0) {
			t.Errorf("it was forgotten by %q at %v and holds %q", o.By, o.Time, o.Payload)
		}
		forgotten = append(forgotten, o.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return listed, forgotten
}

// expectState fails the test unless the one snapshot is, or is not, forgotten.
func expectState(t *testing.T, r *repo.Repository, id seal.Session, isForgotten bool) {
	t.Helper()
	listed, forgotten := states(t, r)
	want, other := listed, forgotten
	if isForgotten {
		want, other = forgotten, listed
	}
	if !slices.Equal(want, []seal.Session{id}) || len(other) != 0 {
		t.Errorf("listed %v, forgotten %v; want %v forgotten: %t", listed, forgotten, id, isForgotten)
	}
	if there, err := r.Listed(t.Context(), id); err != nil || there == isForgotten {
		t.Errorf("Listed: %t, %v", there, err)
	}
}

func sound(*repo.Session) error { return nil }

func TestForget(t *testing.T) {
	store, k, id, _ := committed(t)
	r := mustOpen(t, k, store)
	expectState(t, r, id, false)
	for range 2 {
		if err := r.Forget(t.Context(), id, "root@mx"); err != nil {
			t.Fatal(err)
		}
	}
	expectState(t, mustOpen(t, k, store), id, true)
	for range 2 {
		if err := r.Unforget(t.Context(), id, repo.Intent{}, sound); err != nil {
			t.Fatal(err)
		}
	}
	expectState(t, r, id, false)
	if err := r.Forget(t.Context(), seal.Session{1}, "root"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("forgetting what is not there: %v", err)
	}
	if err := r.Unforget(t.Context(), seal.Session{1}, repo.Intent{}, sound); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("taking back what is not there: %v", err)
	}
	s := begin(t, r)
	if err := s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Forget(t.Context(), s.ID(), "root"); err == nil {
		t.Error("a tombstone is forgotten")
	}
}

// A snapshot that was forgotten keeps its name, so that a writer that wakes up
// late can neither put it again nor look as if it went on.
func TestForgottenKeepsItsName(t *testing.T) {
	store, k, id, _ := committed(t)
	if err := mustOpen(t, k, store).Forget(t.Context(), id, "root"); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), "snapshots/"+id.String(), []byte("late")); !errors.Is(err, storage.ErrExists) {
		t.Errorf("a late writer: %v", err)
	}
	// What removes it for good takes the record last; until then it is forgotten.
	whole, err := store.Get(t.Context(), "snapshots/"+id.String(), 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), "snapshots/"+id.String()); err != nil {
		t.Fatal(err)
	}
	if listed, forgotten := states(t, mustOpen(t, k, store)); len(listed)+len(forgotten) != 0 {
		t.Errorf("of a snapshot that is gone there are %v and %v", listed, forgotten)
	}
	if err := store.Put(t.Context(), "snapshots/"+id.String(), whole); err != nil {
		t.Fatal(err)
	}
	expectState(t, mustOpen(t, k, store), id, true)
}

func TestUnforgetLooksFirst(t *testing.T) {
	store, k, id, ids := committed(t)
	r := mustOpen(t, k, store)
	if err := r.Forget(t.Context(), id, "root"); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	running := begin(t, mustOpen(t, k, store)) // a backup of the same store is no obstacle
	err := r.Unforget(t.Context(), id, repo.Intent{Store: t.Name(), Host: "mx"}, func(s *repo.Session) error {
		places, err := s.Places(t.Context(), ids)
		if err != nil || len(places) != 2 || places[0].Size == 0 || places[1].Size == 0 {
			t.Errorf("places %v, %v", places, err)
		}
		if _, there := objects(t, store)["intents/"+s.ID().String()]; !there {
			t.Error("it looks before it has announced itself")
		}
		if err := running.Abandon(t.Context()); err != nil {
			t.Error(err)
		}
		s = begin(t, mustOpen(t, k, store))
		return errors.Join(refused, s.Abandon(t.Context())) // nor is it one for a backup
	})
	if !errors.Is(err, refused) {
		t.Errorf("the refusal became %v", err)
	}
	expectState(t, r, id, true)
	for name := range objects(t, store) {
		session, isIntent := strings.CutPrefix(name, "intents/")
		if _, ended := objects(t, store)["snapshots/"+session]; isIntent && !ended {
			t.Errorf("session %s goes on", session)
		}
	}
	if n := breakPacks(t, store, false); n == 0 {
		t.Fatal("no pack was broken")
	}
	err = mustOpen(t, k, store).Unforget(t.Context(), id, repo.Intent{}, func(s *repo.Session) error {
		places, err := s.Places(t.Context(), ids)
		if err != nil || places[0].Size != 0 || places[1].Size != 0 {
			t.Errorf("in packs that are gone: places %v, %v", places, err)
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("the refusal became %v", err)
	}
}

// A writer's key can put objects, but forget and hold nothing by it.
func TestOnlyOwnersForget(t *testing.T) {
	store, k, id, _ := committed(t)
	added := newKeyring(t)
	var writer *seal.Keys
	lock := added.lock
	added.lock = func(keys *seal.Keys) ([]byte, error) { writer = keys; return lock(keys) }
	if _, err := mustOpen(t, k, store).AddKey(t.Context(), seal.Writer, "mx1", added.lock); err != nil {
		t.Fatal(err)
	}
	w := mustOpen(t, added, store)
	_, released := w.Release(t.Context(), id)
	_, held := w.Hold(t.Context(), repo.Hold{Snapshot: id})
	for what, err := range map[string]error{
		"forget": w.Forget(t.Context(), id, "x"), "unforget": w.Unforget(t.Context(), id, repo.Intent{}, sound),
		"hold": held, "release": released,
	} {
		if !errors.Is(err, repo.ErrOwnerOnly) {
			t.Errorf("%s with a writer's key: %v", what, err)
		}
	}
	name := "forgotten/" + id.String()
	record := append([]byte{0xa2, 0x01, 0x01, 0x02, 0x61}, 'x') // {1: 1, 2: "x"}
	for who, forge := range map[string]func() []byte{
		"a writer": func() []byte { return forgedRecord(t, writer, seal.KindForgotten, id, record) },
		"nobody":   func() []byte { return []byte("garbage") },
	} {
		if err := store.Put(t.Context(), name, forge()); err != nil {
			t.Fatal(err)
		}
		r := mustOpen(t, k, store)
		if listed, forgotten := states(t, r); len(listed) != 1 || len(forgotten) != 0 {
			t.Errorf("%s made it forgotten: %v, %v", who, listed, forgotten)
		}
		if err := r.CheckObject(t.Context(), name, 7); !errors.As(err, new(*repo.DamageError)) {
			t.Errorf("a check of what %s put says %v", who, err)
		}
		if err := r.Forget(t.Context(), id, "root"); !errors.As(err, new(*repo.DamageError)) {
			t.Errorf("forgetting where %s has put something: %v", who, err)
		}
		if err := store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

// forgedRecord makes a record of mode 2 that any key can make.
func forgedRecord(t *testing.T, keys *seal.Keys, kind seal.Kind, session seal.Session, plain []byte) []byte {
	t.Helper()
	obj, err := keys.NewObject(seal.Header{Kind: kind, Mode: seal.ModeIndex, Session: session})
	if err != nil {
		t.Fatal(err)
	}
	out := obj.Content.Seal(slices.Clone(obj.Prefix), repo.Pad(plain, repo.MinRecord), 'r', 0)
	sig := keys.Sign(blob.NameOf(out))
	return append(out, sig[:]...)
}

// TestForgedRecord keeps forgedRecord honest: with an owner's key it forgets.
func TestForgedRecord(t *testing.T) {
	store, k, id, _ := committed(t)
	var owner *seal.Keys
	added := newKeyring(t)
	_, err := mustOpen(t, k, store).AddKey(t.Context(), seal.Owner, "mx1", func(keys *seal.Keys) ([]byte, error) { owner = keys; return added.lock(keys) })
	if err != nil {
		t.Fatal(err)
	}
	record := append([]byte{0xa2, 0x01, 0x1a}, []byte{0x6a, 0, 0, 0, 0x02, 0x61, 'x'}...)
	for _, session := range []seal.Session{{1}, id} {
		name := "forgotten/" + id.String()
		if err := store.Put(t.Context(), name, forgedRecord(t, owner, seal.KindForgotten, session, record)); err != nil {
			t.Fatal(err)
		}
		listed := 0
		r := mustOpen(t, k, store)
		if err := r.EachSnapshot(t.Context(), func(_ repo.SnapshotObject, err error) error { listed++; return err }); err != nil {
			t.Fatal(err)
		}
		if (listed == 0) != (session == id) {
			t.Errorf("a record of session %v: %d snapshots of %v are listed", session, listed, id)
		}
		if err := store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

// What cannot be known is an error, and nothing that is passed over.
func TestForgottenCannotBeRead(t *testing.T) {
	store, k, id, _ := committed(t)
	if err := mustOpen(t, k, store).Forget(t.Context(), id, "root"); err != nil {
		t.Fatal(err)
	}
	faults := faulty.New(store)
	r := mustOpen(t, k, faults)
	for what, each := range map[string]func(func(seal.Session, error) error) error{
		"snapshots": func(fn func(seal.Session, error) error) error {
			return r.EachSnapshot(t.Context(), func(o repo.SnapshotObject, err error) error { return fn(o.ID, err) })
		},
		"forgotten": func(fn func(seal.Session, error) error) error {
			return r.EachForgotten(t.Context(), func(o repo.ForgottenObject, err error) error { return fn(o.ID, err) })
		},
	} {
		faults.Arm(faulty.Fault{Ops: faulty.Get, Outcome: faulty.NotApplied, Dead: true})
		called := 0
		err := each(func(got seal.Session, err error) error {
			called++
			if got != id || !errors.Is(err, faulty.ErrInjected) {
				t.Errorf("%s: snapshot %v, %v", what, got, err)
			}
			return nil
		})
		if err != nil || called != 1 {
			t.Errorf("%s: called %d times, %v", what, called, err)
		}
	}
}

// TestFaultsInForgetting holds that a snapshot is either listed or forgotten, and
// that what failed can be done again.
func TestFaultsInForgetting(t *testing.T) {
	base, k, id, _ := committed(t)
	run := func(ctx context.Context, r *repo.Repository) error {
		if err := r.Forget(ctx, id, "root"); err != nil {
			return err
		}
		if _, err := r.Hold(ctx, repo.Hold{Snapshot: id, Reason: "first"}); err != nil {
			return err
		}
		if _, err := r.Hold(ctx, repo.Hold{Snapshot: id, Reason: "second"}); err != nil {
			return err
		}
		if err := r.Unforget(ctx, id, repo.Intent{}, sound); err != nil {
			return err
		}
		_, err := r.Release(ctx, id)
		return err
	}
	eachFault(t, base, func(t *testing.T, store *faulty.Store) error {
		r, err := k.open(t, store)
		if err != nil {
			return err
		}
		return run(t.Context(), r)
	}, func(t *testing.T, inner storage.Store, _ bool, err error) {
		r := mustOpen(t, k, inner)
		if listed, forgotten := states(t, r); len(listed)+len(forgotten) != 1 {
			t.Errorf("listed %v, forgotten %v", listed, forgotten)
		}
		if err == nil {
			expectState(t, r, id, false)
		}
		if err := run(t.Context(), r); err != nil {
			t.Errorf("once more: %v", err)
		}
		expectState(t, r, id, false)
		if holds := allHolds(t, r); len(holds) != 0 {
			t.Errorf("after the release there is %v", holds)
		}
	})
}

func allHolds(t *testing.T, r *repo.Repository) (texts []string) {
	t.Helper()
	err := r.EachHold(t.Context(), func(h repo.Hold, err error) error {
		text := fmt.Sprintf("%s: %s by %s, %d", h.Snapshot.String()[:2], h.Reason, h.By, h.Until.Unix())
		switch {
		case errors.As(err, new(*repo.DamageError)):
			text = "damaged: " + h.Snapshot.String()[:2]
		case err != nil:
			return err
		}
		texts = append(texts, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// Whatever fails while a hold takes the place of another, the snapshot is held.
func TestFaultsInHolding(t *testing.T) {
	base, k, id, _ := committed(t)
	if _, err := mustOpen(t, k, base).Hold(t.Context(), repo.Hold{Snapshot: id, Reason: "first"}); err != nil {
		t.Fatal(err)
	}
	eachFault(t, base, func(t *testing.T, store *faulty.Store) error {
		r, err := k.open(t, store)
		if err == nil {
			_, err = r.Hold(t.Context(), repo.Hold{Snapshot: id, Reason: "second"})
		}
		return err
	}, func(t *testing.T, inner storage.Store, _ bool, err error) {
		if holds := allHolds(t, mustOpen(t, k, inner)); len(holds) == 0 || err == nil && len(holds) != 1 {
			t.Errorf("it is held by %v", holds)
		}
	})
}

func TestHolds(t *testing.T) {
	store, k := newRepository(t)
	r := mustOpen(t, k, store)
	hold := func(n byte, reason string, until int64) {
		t.Helper()
		h := repo.Hold{Snapshot: seal.Session{n}, Reason: reason, By: "root@mx", Until: time.Unix(until, 0)}
		if _, err := r.Hold(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want ...string) {
		t.Helper()
		if got := allHolds(t, mustOpen(t, k, store)); !slices.Equal(got, want) {
			t.Errorf("holds %q, want %q", got, want)
		}
	}
	expect()
	hold(1, "a lawsuit", 2e9)
	hold(2, strings.Repeat("é", repo.MaxReason), -5)
	expect("01: a lawsuit by root@mx, 2000000000", "02: "+strings.Repeat("é", repo.MaxReason/2)+" by root@mx, 1")
	hold(2, "short", 3)
	hold(1, "longer", 4e9)
	expect("01: longer by root@mx, 4000000000", "02: short by root@mx, 3")
	if n, err := r.Release(t.Context(), seal.Session{2}); n != 1 || err != nil {
		t.Errorf("Release: %d, %v", n, err)
	}
	if n, err := r.Release(t.Context(), seal.Session{2}); n != 0 || err != nil {
		t.Errorf("Release again: %d, %v", n, err)
	}
	expect("01: longer by root@mx, 4000000000")
	for name, size := range objects(t, store) {
		part, err := repo.PartOf(name)
		if err == nil && part == repo.Holds {
			err = r.CheckObject(t.Context(), name, size)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A hold that is damaged holds, and can be released.
func TestDamagedHolds(t *testing.T) {
	store, k := newRepository(t)
	r := mustOpen(t, k, store)
	if _, err := r.Hold(t.Context(), repo.Hold{Snapshot: seal.Session{1}, Reason: "a"}); err != nil {
		t.Fatal(err)
	}
	var bytes []byte
	for name := range objects(t, store) {
		if strings.HasPrefix(name, "holds/") {
			bytes, _ = store.Get(t.Context(), name, 0, -1, nil)
			// The same bytes do not hold another snapshot.
			moved := "holds/" + seal.Session{2}.String() + name[len(name)-33:]
			if err := store.Put(t.Context(), moved, bytes); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"holds/" + seal.Session{3}.String() + "-" + seal.Session{4}.String(), "holds/x"} {
		if err := store.Put(t.Context(), name, bytes); err != nil {
			t.Fatal(err)
		}
	}
	got := allHolds(t, r)
	if want := []string{"01: a by , " + fmt.Sprint(time.Time{}.Unix()), "damaged: 02", "damaged: 03"}; !slices.Equal(got, want) {
		t.Errorf("holds %q, want %q", got, want)
	}
	if n, err := r.Release(t.Context(), seal.Session{3}); n != 1 || err != nil {
		t.Errorf("Release: %d, %v", n, err)
	}
}

// Two who hold at once both hold: neither removes what the other puts.
func TestHoldsAtOnce(t *testing.T) {
	k := newKeyring(t)
	store := &putHook{Store: mem.New()}
	if err := k.create(t, store); err != nil {
		t.Fatal(err)
	}
	first, second := mustOpen(t, k, store), mustOpen(t, k, store)
	store.before = func(name string) {
		if strings.HasPrefix(name, "holds/") {
			store.before = nil
			if _, err := second.Hold(t.Context(), repo.Hold{Snapshot: seal.Session{1}, Reason: "second"}); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := first.Hold(t.Context(), repo.Hold{Snapshot: seal.Session{1}, Reason: "first"}); err != nil {
		t.Fatal(err)
	}
	if holds := allHolds(t, first); len(holds) != 2 {
		t.Errorf("holds %q", holds)
	}
}

// A snapshot that is held is lost when there is neither its object nor a forgotten record.
func TestLostHeld(t *testing.T) {
	store, k, id, _ := committed(t)
	r := mustOpen(t, k, store)
	expect := func(want ...seal.Session) {
		t.Helper()
		if lost, err := r.LostHeld(t.Context()); err != nil || !slices.Equal(lost, want) {
			t.Errorf("lost are %v, %v, want %v", lost, err, want)
		}
	}
	hold := func(until time.Time) {
		t.Helper()
		if _, err := r.Hold(t.Context(), repo.Hold{Snapshot: id, Reason: "a test", Until: until}); err != nil {
			t.Fatal(err)
		}
	}
	expect()
	hold(time.Time{})
	expect()
	record, err := store.Get(t.Context(), "snapshots/"+id.String(), 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Forget(t.Context(), id, "tester"); err != nil {
		t.Fatal(err)
	}
	remove(t, store, "snapshots/"+id.String())
	expect()
	remove(t, store, "forgotten/"+id.String())
	expect(id)
	hold(time.Now().Add(-time.Hour)) // which is over
	expect()
	damaged := "holds/" + id.String() + "-" + seal.Session{4}.String()
	if err := store.Put(t.Context(), damaged, record); err != nil {
		t.Fatal(err)
	}
	expect(id)
	if n, err := r.Release(t.Context(), id); n != 2 || err != nil {
		t.Errorf("Release: %d, %v", n, err)
	}
	expect()
}

// Whatever others do between its listings, no snapshot seems lost that is not.
func TestLostHeldBesideOthers(t *testing.T) {
	const listings = 4
	for backup := range listings {
		for object := range listings {
			for holds := object; holds < listings; holds++ {
				for record := holds; record < listings; record++ {
					lostHeldBeside(t, []int{backup, object, holds, record})
				}
			}
		}
	}
}

// lostHeldBeside looks for snapshots that are held and lost, while before some listings a backup
// ends and is held, and a prune removes a snapshot that was forgotten, its holds, and its forgotten record.
func lostHeldBeside(t *testing.T, when []int) {
	t.Helper()
	store, k, id, _ := committed(t)
	other := mustOpen(t, k, store)
	hold := func(id seal.Session) {
		t.Helper()
		if _, err := other.Hold(t.Context(), repo.Hold{Snapshot: id, Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
	}
	hold(id)
	if err := other.Forget(t.Context(), id, "tester"); err != nil {
		t.Fatal(err)
	}
	do := []func(){
		func() {
			s := begin(t, other)
			if err := s.Commit(t.Context(), payload("y")); err != nil {
				t.Fatal(err)
			}
			hold(s.ID())
		},
		func() {
			remove(t, store, "intents/"+id.String())
			remove(t, store, "snapshots/"+id.String())
		},
		func() {
			if _, err := other.Release(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		},
		func() { remove(t, store, "forgotten/"+id.String()) },
	}
	n := 0
	hooked := &listHook{Store: store}
	r := mustOpen(t, k, hooked)
	hooked.before = func() {
		for i, at := range when {
			if at == n {
				do[i]()
			}
		}
		n++
	}
	if lost, err := r.LostHeld(t.Context()); err != nil || len(lost) > 0 {
		t.Errorf("when %v: %v are lost, %v", when, lost, err)
	}
}

// A listHook calls a function before each List.
type listHook struct {
	storage.Store
	before func()
}

func (h *listHook) List(ctx context.Context, prefix string, fn func(string, int64) error) error {
	if h.before != nil {
		h.before()
	}
	return h.Store.List(ctx, prefix, fn)
}

// A putHook calls a function before each Put.
type putHook struct {
	storage.Store
	before func(name string)
}

func (h *putHook) Put(ctx context.Context, name string, data []byte) error {
	if h.before != nil {
		h.before(name)
	}
	return h.Store.Put(ctx, name, data)
}

func TestActive(t *testing.T) {
	at := time.Unix(1000, 0)
	for until, want := range map[time.Time]bool{{}: true, at: false, at.Add(1): true, at.Add(-1): false} {
		if h := (repo.Hold{Until: until}); h.Active(at) != want {
			t.Errorf("a hold until %v is active at %v: %t", until, at, !want)
		}
	}
}
