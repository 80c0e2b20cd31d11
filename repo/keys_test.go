package repo_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage"
	"restante/storage/faulty"
	"restante/storage/mem"
)

func newRepository(t testing.TB) (storage.Store, keyring) {
	t.Helper()
	store, k := mem.New(), newKeyring(t)
	if err := k.create(t, store); err != nil {
		t.Fatal(err)
	}
	return store, k
}

func mustOpen(t testing.TB, k keyring, store storage.Store) *repo.Repository {
	t.Helper()
	r, err := k.open(t, store)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	r := f.open(t)
	if err := r.RemoveKey(t.Context(), r.CurrentKey()); err == nil {
		t.Error("the last owner's key can be removed")
	}
	second, err := r.AddKey(t.Context(), seal.Owner, "second", func(k *seal.Keys) ([]byte, error) { return seal.LockPassphrase(k, "open sesame") })
	if err != nil {
		t.Fatal(err)
	}
	p := *f
	p.unlock = seal.Passphrase("open sesame")
	r = p.open(t)
	if r.CurrentKey().Label != "second" || len(r.Keys()) != 2 {
		t.Errorf("opened with %+v of %v", r.CurrentKey(), r.Keys())
	}
	if k, err := r.FindKey(second.ID()); err != nil || k != second {
		t.Errorf("FindKey: %+v, %v", k, err)
	}
	for _, bad := range []string{"", "zz"} {
		if _, err := r.FindKey(bad); err == nil {
			t.Errorf("FindKey(%q) finds something", bad)
		}
	}
	first := r.Keys()[0]
	if err := r.RemoveKey(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Open(t.Context(), f.store, repo.OpenOptions{CacheDir: f.cache, Unlock: f.unlock}); !errors.Is(err, repo.ErrWrongKey) {
		t.Errorf("a removed key opens: %v", err)
	}
	p.unlock = seal.Passphrase("wrong")
	if _, err := repo.Open(t.Context(), f.store, repo.OpenOptions{CacheDir: f.cache, Unlock: p.unlock}); !errors.Is(err, repo.ErrWrongKey) {
		t.Errorf("a wrong passphrase: %v", err)
	}
}

func TestAConfigThatWentBackIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	r := f.open(t)
	if _, err := r.AddKey(t.Context(), seal.Owner, "x", func(k *seal.Keys) ([]byte, error) { return seal.LockPassphrase(k, "x") }); err != nil {
		t.Fatal(err)
	}
	f.open(t)
	for _, name := range []string{"config/00000002", "spares/config/00000002"} {
		if err := f.store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	var older *repo.OlderError
	if _, err := repo.Open(t.Context(), f.store, repo.OpenOptions{CacheDir: f.cache, Unlock: f.unlock}); !errors.As(err, &older) || older.Config != 1 || older.Seen != 2 {
		t.Errorf("got %v", err)
	}
	// One that is there and cannot be read is named.
	if err := f.store.Put(t.Context(), "config/00000002", bytes.Repeat([]byte("x"), 500)); err != nil {
		t.Fatal(err)
	}
	var damage *repo.DamageError
	if _, err := repo.Open(t.Context(), f.store, repo.OpenOptions{CacheDir: f.cache, Unlock: f.unlock}); !errors.As(err, &damage) || damage.Object != "config/00000002" {
		t.Errorf("got %v", err)
	}
	// A planted config is passed over.
	if err := f.store.Put(t.Context(), "config/00000009", bytes.Repeat([]byte("x"), 500)); err != nil {
		t.Fatal(err)
	}
	f.cache = t.TempDir()
	f.open(t)
}

func TestARemovedKeyDoesNotComeBack(t *testing.T) {
	store, old := newRepository(t)
	added := newKeyring(t)
	r := mustOpen(t, old, store)
	if _, err := r.AddKey(t.Context(), seal.Owner, "added", added.lock); err != nil {
		t.Fatal(err)
	}
	name := "keys/" + r.CurrentKey().Object.String()
	object, err := store.Get(t.Context(), name, 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveKey(t.Context(), r.CurrentKey()); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), name, object); err != nil {
		t.Fatal(err)
	}
	if _, err := old.open(t, store); !errors.Is(err, repo.ErrWrongKey) || !strings.Contains(err.Error(), "it was removed") {
		t.Errorf("the removed key: %v", err)
	}
	mustOpen(t, added, store)
}

// A removal that did not come to its end is done again, and leaves nothing to open
// with a password that others may know.
func TestARemovalThatWasInterrupted(t *testing.T) {
	inner, k := newRepository(t)
	store := faulty.New(inner)
	r := mustOpen(t, k, store)
	added, err := r.AddKey(t.Context(), seal.Owner, "added", newKeyring(t).lock)
	if err != nil {
		t.Fatal(err)
	}
	store.Arm(faulty.Fault{Ops: faulty.Delete})
	if err := r.RemoveKey(t.Context(), added); !errors.Is(err, faulty.ErrInjected) {
		t.Fatal(err)
	}
	r = mustOpen(t, k, inner)
	again, err := r.FindKey(added.ID())
	if err != nil || again.Removed == 0 || len(r.Keys()) != 1 {
		t.Fatalf("%+v, %v", again, err)
	}
	configs := len(objects(t, inner))
	if err := r.RemoveKey(t.Context(), again); err != nil {
		t.Error(err)
	}
	left := objects(t, inner)
	if _, there := left["keys/"+added.Object.String()]; there || len(left) != configs-2 {
		t.Errorf("there is left %v", left)
	}
}

func TestOfTwoKeyChangesAtOnceOneWins(t *testing.T) {
	store, k := newRepository(t)
	first, second := mustOpen(t, k, store), mustOpen(t, k, store)
	winner, loser := newKeyring(t), newKeyring(t)
	if _, err := first.AddKey(t.Context(), seal.Owner, "winner", winner.lock); err != nil {
		t.Fatal(err)
	}
	before := len(objects(t, store))
	if _, err := second.AddKey(t.Context(), seal.Owner, "loser", loser.lock); !errors.Is(err, repo.ErrChanged) {
		t.Errorf("the second to add: %v", err)
	}
	if err := second.RemoveKey(t.Context(), first.Keys()[1]); err == nil {
		t.Error("the second removes a key")
	}
	if after := len(objects(t, store)); after != before {
		t.Errorf("%d objects became %d", before, after)
	}
	mustOpen(t, winner, store)
	if _, err := loser.open(t, store); !errors.Is(err, repo.ErrWrongKey) {
		t.Errorf("the loser's key: %v", err)
	}
}

// What somebody plants among the configs keeps nobody from opening, backing up and
// reading. Keys are changed when it is out of the way, for it looks like a damaged config.
func TestPlantedConfigs(t *testing.T) {
	store, k := newRepository(t)
	real, err := store.Get(t.Context(), "config/00000001", 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"config/00000002":           []byte("short"),
		"config/00000003":           real,
		"config/123456789":          append([]byte("x"), real...),
		"config/000000004":          []byte("no name of a config"),
		"config/999999999999999999": {},
	} {
		if err := store.Put(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
	}
	r := mustOpen(t, k, store)
	sess := begin(t, r)
	ids := save(t, sess, blob.Text, []byte("a message"))
	if err := sess.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, mustOpen(t, k, store), ids[0]); err != nil || string(got) != "a message" {
		t.Errorf("%q, %v", got, err)
	}
	ask := func(*seal.Keys) ([]byte, error) {
		t.Error("a password is asked for")
		return nil, errors.New("asked")
	}
	var damage *repo.DamageError
	if _, err := r.AddKey(t.Context(), seal.Owner, "added", ask); !errors.As(err, &damage) || damage.Object != "config/999999999999999999" {
		t.Errorf("adding a key: %v", err)
	}
}

// A damaged config may name keys that the older one in use does not, so no key
// is added or removed beside it, be the gap to its number large or none. Once it
// is back its keys are.
func TestKeysBesideADamagedConfig(t *testing.T) {
	store, k := newRepository(t)
	added := newKeyring(t)
	info, err := mustOpen(t, k, store).AddKey(t.Context(), seal.Owner, "added", added.lock)
	if err != nil {
		t.Fatal(err)
	}
	early := mustOpen(t, k, store)
	late := newKeyring(t)
	if _, err := mustOpen(t, k, store).AddKey(t.Context(), seal.Owner, "late", late.lock); err != nil {
		t.Fatal(err)
	}
	name := "config/00000003"
	flipByte(t, store, name, 300)
	flipByte(t, store, repo.SpareOf(name), 300)
	for what, r := range map[string]*repo.Repository{"open before": early, "opened now": mustOpen(t, k, store)} {
		var damage *repo.DamageError
		if _, err := r.AddKey(t.Context(), seal.Owner, "third", newKeyring(t).lock); !errors.As(err, &damage) || damage.Object != name {
			t.Errorf("%s: adding a key: %v", what, err)
		}
		damage = nil
		if err := r.RemoveKey(t.Context(), info); !errors.As(err, &damage) || damage.Object != name {
			t.Errorf("%s: removing a key: %v", what, err)
		}
	}
	if _, err := store.Get(t.Context(), "config/00000004", 0, -1, nil); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("there is a newer config: %v", err)
	}
	flipByte(t, store, repo.SpareOf(name), 300)
	if n := len(mustOpen(t, late, store).Keys()); n != 3 {
		t.Errorf("there are %d keys", n)
	}
	if _, err := early.AddKey(t.Context(), seal.Owner, "third", newKeyring(t).lock); !errors.Is(err, repo.ErrChanged) {
		t.Errorf("adding a key to a config that has changed: %v", err)
	}
}

// The machine that changed the keys notices when the storage is rolled back to before,
// though it has not opened the repository since.
func TestRollbackAfterAChangeOfKeys(t *testing.T) {
	store, k := newRepository(t)
	opts := repo.OpenOptions{CacheDir: t.TempDir(), Unlock: k.unlock}
	r, err := repo.Open(t.Context(), store, opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.AddKey(t.Context(), seal.Owner, "added", newKeyring(t).lock); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config/00000002", "spares/config/00000002"} {
		if err := store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	var older *repo.OlderError
	if _, err := repo.Open(t.Context(), store, opts); !errors.As(err, &older) || older.Config != 1 || older.Seen != 2 {
		t.Errorf("opening an older state: %v", err)
	}
}

// TestDraftIsRefused has a config of format 0, which is damage unless packs are
// of that format, too.
func TestDraftIsRefused(t *testing.T) {
	store, k := newRepository(t)
	whole, err := store.Get(t.Context(), "config/00000001", 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	draft := slices.Clone(whole)
	draft[10] = 0 // the header's version
	for name, pack := range map[string][]byte{"no pack": nil, "a pack of format 1": whole, "a draft": draft} {
		drafts := mem.New()
		err := store.List(t.Context(), "", func(name string, _ int64) error {
			data, err := store.Get(t.Context(), name, 0, -1, nil)
			if strings.Contains(name, "config/") {
				data = draft
			}
			return errors.Join(err, drafts.Put(t.Context(), name, data))
		})
		if err == nil && pack != nil {
			err = drafts.Put(t.Context(), "packs/00/"+strings.Repeat("00", 32), pack)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.open(t, drafts)
		if is := errors.Is(err, seal.ErrDraft) && !errors.Is(err, seal.ErrDamaged); err == nil || is != (name == "a draft") {
			t.Errorf("%s: Open: %v", name, err)
		}
		if err := repo.Probe(t.Context(), drafts); errors.Is(err, seal.ErrDraft) != (name == "a draft") {
			t.Errorf("%s: Probe: %v", name, err)
		}
	}
}

func TestANewerRepositoryIsRefused(t *testing.T) {
	store, k := newRepository(t)
	data, err := store.Get(t.Context(), "config/00000001", 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	data[10]++ // the header's version
	if err := store.Put(t.Context(), "config/00000002", data); err != nil {
		t.Fatal(err)
	}
	if err := repo.Probe(t.Context(), store); !errors.Is(err, seal.ErrTooNew) {
		t.Errorf("Probe: %v", err)
	}
	if _, err := k.open(t, store); !errors.Is(err, seal.ErrTooNew) {
		t.Errorf("Open: %v", err)
	}
}

// A repository that has been open since before a key came reads what that key
// signed.
func TestKeysThatComeLater(t *testing.T) {
	store, k := newRepository(t)
	early := mustOpen(t, k, store)
	added := newKeyring(t)
	if _, err := mustOpen(t, k, store).AddKey(t.Context(), seal.Writer, "mx1", added.lock); err != nil {
		t.Fatal(err)
	}
	s := begin(t, mustOpen(t, added, store))
	ids := save(t, s, blob.Text, []byte("a message"))
	if err := s.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, early, ids[0]); err != nil || string(got) != "a message" {
		t.Errorf("%q, %v", got, err)
	}
	if snaps, err := early.Snapshots(t.Context(), nil); err != nil || len(snaps) != 1 {
		t.Errorf("%v, %v", snaps, err)
	}
}

func TestLabels(t *testing.T) {
	store, k := newRepository(t)
	for _, bad := range []string{"\xff", strings.Repeat("x", 257)} {
		_, err := mustOpen(t, k, store).AddKey(t.Context(), seal.Owner, bad, func(*seal.Keys) ([]byte, error) {
			t.Error("the key object of a key that cannot be is asked for")
			return nil, nil
		})
		if err == nil {
			t.Errorf("a key with the label %q is added", bad)
		}
	}
	mustOpen(t, k, store)
}

// What could not be read again is not written.
func TestASnapshotThatIsTooLarge(t *testing.T) {
	store, k := newRepository(t)
	s := begin(t, mustOpen(t, k, store))
	err := s.Commit(t.Context(), func(int64) ([]byte, error) { return make([]byte, 4<<20), nil })
	if err == nil || !strings.Contains(err.Error(), "making a snapshot: it has ") {
		t.Errorf("%v", err)
	}
	if err := s.Abandon(t.Context()); err != nil {
		t.Error(err)
	}
}

var errDisk = errors.New("the disk has an error")

// unreadable is a storage with one object that cannot be read now.
type unreadable struct {
	storage.Store
	name string
}

func (u unreadable) Get(ctx context.Context, name string, offset, length int64, buf []byte) ([]byte, error) {
	if name == u.name {
		return nil, errDisk
	}
	return u.Store.Get(ctx, name, offset, length, buf)
}

// A transient error of the storage does not make a snapshot look missing.
func TestSnapshotsThatCannotBeReadNow(t *testing.T) {
	store, k := newRepository(t)
	r := mustOpen(t, k, store)
	s := begin(t, r)
	if err := s.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	name := "snapshots/" + s.ID().String()
	broken := unreadable{store, name}
	if _, err := mustOpen(t, k, broken).Snapshots(t.Context(), nil); !errors.Is(err, errDisk) {
		t.Errorf("%v", err)
	}
	// One that is damaged is left out.
	if err := store.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), name, []byte("not a snapshot")); err != nil {
		t.Fatal(err)
	}
	if snaps, err := r.Snapshots(t.Context(), nil); err != nil || len(snaps) != 0 {
		t.Errorf("%v, %v", snaps, err)
	}
}
