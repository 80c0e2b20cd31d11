package repo_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage"
	"restante/storage/faulty"
	"restante/storage/mem"
)

// eachFault calls run with a storage that fails at each call in turn, with and
// without the call's effect, once and for good, until a run meets no fault.
// The storage begins as a copy of base; check sees what it holds afterwards. Short
// tests leave out most calls.
func eachFault(t *testing.T, base storage.Store, run func(*testing.T, *faulty.Store) error, check func(t *testing.T, inner storage.Store, dead bool, err error)) {
	step := 1
	if testing.Short() {
		step = 20
	}
	for name, f := range map[string]faulty.Fault{
		"refused":            {Outcome: faulty.NotApplied},
		"answer lost":        {Outcome: faulty.Applied},
		"crash before":       {Outcome: faulty.NotApplied, Dead: true},
		"crash after effect": {Outcome: faulty.Applied, Dead: true},
	} {
		t.Run(name, func(t *testing.T) {
			for k := 0; ; k += step {
				inner := copyStore(t, base)
				store := faulty.New(inner)
				f.Call = k
				store.Arm(f)
				fired := false
				ok := t.Run(fmt.Sprint("call ", k), func(t *testing.T) {
					err := run(t, store)
					fired = store.Fired()
					if n := store.Unfinished(); n != 0 {
						t.Errorf("%d objects were neither put nor dropped", n)
					}
					if !fired && err != nil {
						t.Errorf("without a fault: %v", err)
					}
					if err != nil && !errors.Is(err, faulty.ErrInjected) {
						t.Errorf("another error than the storage's: %v", err)
					}
					check(t, inner, f.Dead, err)
				})
				if !fired || !ok {
					if k < 3 && ok {
						t.Errorf("there were only %d calls", k)
					}
					return
				}
			}
		})
	}
}

// A keyring makes key objects that open without scrypt.
type keyring struct {
	unlock seal.Unlocker
	lock   func(*seal.Keys) ([]byte, error)
}

func newKeyring(t testing.TB) keyring {
	t.Helper()
	file, recipient, err := seal.NewIdentity("for a test")
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := seal.Identities(file)
	if err != nil {
		t.Fatal(err)
	}
	return keyring{unlock, func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) }}
}

func (k keyring) create(t testing.TB, store storage.Store) error {
	return repo.Create(t.Context(), store, repo.CreateOptions{Chunker: polynomial, Label: "test", Lock: k.lock})
}

func (k keyring) open(t testing.TB, store storage.Store) (*repo.Repository, error) {
	r, err := repo.Open(t.Context(), store, repo.OpenOptions{CacheDir: t.TempDir(), Unlock: k.unlock})
	if err == nil {
		t.Cleanup(func() { r.Close() })
	}
	return r, err
}

func TestFaultsInCreating(t *testing.T) {
	k := newKeyring(t)
	eachFault(t, mem.New(), func(t *testing.T, store *faulty.Store) error { return k.create(t, store) },
		func(t *testing.T, inner storage.Store, dead bool, err error) {
			_, openErr := k.open(t, inner)
			switch {
			case err == nil && openErr != nil:
				t.Errorf("it was created and does not open: %v", openErr)
			case err != nil && !dead:
				if left := objects(t, inner); len(left) != 0 {
					t.Fatalf("what failed left %v", left)
				}
				if err := k.create(t, inner); err != nil {
					t.Errorf("once more: %v", err)
				}
			case openErr != nil && !errors.Is(openErr, repo.ErrNoRepository):
				t.Errorf("after a crash: %v", openErr)
			}
		})
}

// Two who make a repository in one place at once: one has it, whole.
func TestCreatingTwiceAtOnce(t *testing.T) {
	store := mem.New()
	first, second := newKeyring(t), newKeyring(t)
	second.lock = func(lock func(*seal.Keys) ([]byte, error)) func(*seal.Keys) ([]byte, error) {
		return func(k *seal.Keys) ([]byte, error) {
			if err := first.create(t, store); err != nil {
				t.Fatal(err)
			}
			return lock(k)
		}
	}(second.lock)
	if err := second.create(t, store); !errors.Is(err, repo.ErrHasRepository) {
		t.Errorf("the second: %v", err)
	}
	if _, err := first.open(t, store); err != nil {
		t.Errorf("the first: %v", err)
	}
	if left := objects(t, store); len(left) != 5 {
		t.Errorf("the storage holds %v", left)
	}
}

func TestFaultsInChangingKeys(t *testing.T) {
	old, added := newKeyring(t), newKeyring(t)
	base := mem.New()
	if err := old.create(t, base); err != nil {
		t.Fatal(err)
	}
	eachFault(t, base, func(t *testing.T, store *faulty.Store) error {
		r, err := old.open(t, store)
		if err != nil {
			return err
		}
		if _, err := r.AddKey(t.Context(), seal.Owner, "added", added.lock); err != nil {
			return err
		}
		return r.RemoveKey(t.Context(), r.CurrentKey())
	}, func(t *testing.T, inner storage.Store, _ bool, err error) {
		byOld, oldErr := old.open(t, inner)
		byNew, newErr := added.open(t, inner)
		if oldErr != nil && !errors.Is(oldErr, repo.ErrWrongKey) || newErr != nil && !errors.Is(newErr, repo.ErrWrongKey) {
			t.Errorf("opening: %v; %v", oldErr, newErr)
		}
		if oldErr != nil && newErr != nil {
			t.Errorf("neither key opens it")
		}
		if err == nil && (oldErr == nil || newErr != nil) {
			t.Errorf("after the change: %v; %v", oldErr, newErr)
		}
		for _, r := range []*repo.Repository{byOld, byNew} {
			if r == nil {
				continue
			}
			for _, key := range r.Keys() {
				if _, there := objects(t, inner)["keys/"+key.Object.String()]; !there {
					t.Errorf("key %s is listed, and its object is not there", key.ID())
				}
			}
			if _, err := r.AddKey(t.Context(), seal.Owner, "next", newKeyring(t).lock); err != nil && !(r == byNew && byOld != nil && errors.Is(err, repo.ErrChanged)) {
				t.Errorf("the next change: %v", err)
			}
		}
	})
}

// content is what one backup of these tests stores.
type content struct {
	name          string
	pieces, pages [][]byte
}

func contents(name string, seed uint64) content {
	c := content{name: name}
	for i, p := range randomPieces(37, seed)[1:] { // without the large one
		c.pieces = append(c.pieces, p)
		c.pages = append(c.pages, fmt.Appendf(nil, "page %d of %s", i, name))
	}
	return c
}

// backUp stores c and commits, and gives up when something fails.
func backUp(t *testing.T, r *repo.Repository, c content) (err error) {
	s, err := r.Begin(t.Context(), repo.SessionOptions{Intent: repo.Intent{Operation: "backup", Store: "mail", Host: "mx"}, Compression: repo.Fastest})
	if err != nil {
		return err
	}
	s.SetPackSize(100 << 10)
	s.CheckpointDue()
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Abandon(t.Context()))
		}
	}()
	w, err := s.NewWriter()
	if err != nil {
		return err
	}
	pages, err := s.NewPageWriter()
	if err != nil {
		return err
	}
	for i, p := range c.pieces {
		if _, err := w.Save(t.Context(), blob.Text, p); err != nil {
			return err
		}
		if _, err := pages.SavePage(t.Context(), c.pages[i]); err != nil {
			return err
		}
		if i%6 == 5 {
			if err := w.Flush(t.Context()); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(w.Flush(t.Context()), pages.Flush(t.Context())); err != nil {
		return err
	}
	return s.Commit(t.Context(), payload(c.name))
}

// restorable reports what is wrong with the snapshots in r: each must be one
// of those in made and read back, and those in must have to be there.
func restorable(t *testing.T, r *repo.Repository, made []content, must ...string) {
	t.Helper()
	snaps, err := r.Snapshots(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, snap := range snaps {
		name := string(snap.Payload[1:])
		found[name] = true
		for _, c := range made {
			if c.name == name {
				c.readBack(t, r)
			}
		}
	}
	for _, name := range must {
		if !found[name] {
			t.Errorf("there is no snapshot %q among %v", name, found)
		}
	}
}

func (c content) readBack(t *testing.T, r *repo.Repository) {
	t.Helper()
	hasher := blob.NewHasher(r.PieceKey())
	for i, p := range c.pieces {
		got, err := read(t, r, hasher.Sum(p))
		if err != nil || !bytes.Equal(got, p) {
			t.Fatalf("piece %d of %q: %v", i, c.name, err)
		}
	}
	for i, p := range c.pages {
		got, err := r.LoadPage(t.Context(), hasher.Sum(p))
		if err != nil || !bytes.Equal(got, p) {
			t.Fatalf("page %d of %q: %v", i, c.name, err)
		}
	}
}

// Whatever fails in a backup, and whenever: what was committed before can be
// restored, so can the new snapshot if it is there, which it is when the
// backup said so, and the next backup succeeds.
func TestFaultsInABackup(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	k := newKeyring(t)
	base := mem.New()
	if err := k.create(t, base); err != nil {
		t.Fatal(err)
	}
	made := []content{contents("first", 1), contents("second", 2), contents("third", 3)}
	made[1].pieces = append(made[1].pieces[:18:18], made[0].pieces[18:]...) // half of it is known
	r, err := k.open(t, base)
	if err != nil {
		t.Fatal(err)
	}
	if err := backUp(t, r, made[0]); err != nil {
		t.Fatal(err)
	}
	eachFault(t, base, func(t *testing.T, store *faulty.Store) error {
		r, err := k.open(t, store)
		if err != nil {
			return err
		}
		return backUp(t, r, made[1])
	}, func(t *testing.T, inner storage.Store, _ bool, err error) {
		r, openErr := k.open(t, inner)
		if openErr != nil {
			t.Fatal(openErr)
		}
		must := []string{"first"}
		if err == nil {
			must = append(must, "second")
		}
		restorable(t, r, made, must...)
		// The next run is another process.
		if r, openErr = k.open(t, inner); openErr != nil {
			t.Fatal(openErr)
		}
		endSessions(t, inner)
		for _, c := range []content{made[1], made[2]} {
			if err := backUp(t, r, c); err != nil {
				t.Fatalf("the next backup: %v", err)
			}
		}
		restorable(t, r, made, "first", "second", "third")
		eachPieceOnce(t, r, inner)
	})
}

// A put that has been done, and whose answer is lost, has been done.
func TestLostAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	k := newKeyring(t)
	for n := 0; ; n++ {
		store := faulty.New(mem.New())
		if err := k.create(t, store); err != nil {
			t.Fatal(err)
		}
		r, err := k.open(t, store)
		if err != nil {
			t.Fatal(err)
		}
		store.Arm(faulty.Fault{Ops: faulty.Put, Call: n, Outcome: faulty.Applied})
		made := contents("first", 1)
		if err := backUp(t, r, made); err != nil {
			t.Errorf("put %d: %v", n, err)
		}
		restorable(t, r, []content{made}, "first")
		if !store.Fired() {
			if n < 4 {
				t.Errorf("a backup makes %d puts", n)
			}
			return
		}
	}
}

// A session that lost a piece makes no snapshot, even if nobody looked at the
// error: another writer may rely on the piece.
func TestASessionThatLostAPieceDoesNotCommit(t *testing.T) {
	f := newFixture(t)
	for _, op := range []faulty.Op{faulty.Stage, faulty.Write, faulty.Commit} {
		store := faulty.New(f.store)
		r, err := repo.Open(t.Context(), store, repo.OpenOptions{CacheDir: t.TempDir(), Unlock: f.unlock})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		s := begin(t, r)
		w, err := s.NewWriter()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Save(t.Context(), blob.Text, []byte(t.Name())); err != nil {
			t.Fatal(err)
		}
		store.Arm(faulty.Fault{Ops: op})
		_ = w.Flush(t.Context())
		again, err := s.NewWriter()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = again.Save(t.Context(), blob.Text, []byte(t.Name()))
		_ = again.Flush(t.Context())
		if err := s.Commit(t.Context(), payload("x")); !errors.Is(err, faulty.ErrInjected) {
			t.Errorf("operation %d: Commit: %v", op, err)
		}
		if err := s.Abandon(t.Context()); err != nil {
			t.Errorf("operation %d: Abandon: %v", op, err)
		}
		if n := store.Unfinished(); n != 0 {
			t.Errorf("operation %d: %d objects were neither put nor dropped", op, n)
		}
	}
	if snaps, err := f.open(t).Snapshots(t.Context(), nil); err != nil || len(snaps) != 0 {
		t.Errorf("%v, %v", snaps, err)
	}
}

// endSessions takes away intents that no session closed: their process, which
// is this one, is taken for dead.
func endSessions(t *testing.T, store storage.Store) {
	t.Helper()
	all := objects(t, store)
	for name := range all {
		id, isIntent := strings.CutPrefix(name, "intents/")
		if _, closed := all["snapshots/"+id]; isIntent && !closed {
			if err := store.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// eachPieceOnce checks that what a failed run left was taken up: the index
// names every pack, and no piece lies in two.
func eachPieceOnce(t *testing.T, r *repo.Repository, store storage.Store) {
	t.Helper()
	seen := map[blob.ID]bool{}
	packs := 0
	for name, size := range objects(t, store) {
		if !strings.HasPrefix(name, "packs/") {
			continue
		}
		packs++
		id, err := blob.ParseID(name[len("packs/xx/"):])
		if err != nil {
			t.Fatal(err)
		}
		clumps, err := r.Directory(t.Context(), id, size)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range clumps {
			for _, p := range c.Pieces {
				if seen[p.ID] {
					t.Errorf("piece %s was stored twice", p.ID.Short())
				}
				seen[p.ID] = true
			}
		}
	}
	if known := len(r.Packs()); known != packs {
		t.Errorf("there are %d packs, and the index names %d", packs, known)
	}
}
