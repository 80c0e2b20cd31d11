package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"restante/backup"
	"restante/mailstore"
	"restante/repo"
	"restante/restore"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
	"restante/storage/mem"
)

// A polynomial for tests only.
const polynomial = 0x3DA3358B4DC173

// A fixture is a repository in memory that opens without a passphrase, and
// what is backed up into it.
type fixture struct {
	t      testing.TB
	store  storage.Store
	unlock seal.Unlocker
	owner  seal.Unlocker // as the repository was made
	cache  string
	roots  []string
	detect mailstore.Options

	mu      sync.Mutex
	notices []backup.Notice // of the last run; under mu
}

// newFixture returns a fixture with a root that is an empty folder.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, store: mem.New(), cache: t.TempDir(), roots: []string{filepath.Join(t.TempDir(), "store")}}
	if err := os.Mkdir(f.roots[0], 0o755); err != nil {
		t.Fatal(err)
	}
	f.create(f.store)
	return f
}

// create makes a repository with a new key.
func (f *fixture) create(store storage.Store) {
	f.t.Helper()
	file, recipient, err := seal.NewIdentity("for a test")
	if err != nil {
		f.t.Fatal(err)
	}
	if f.unlock, err = seal.Identities(file); err != nil {
		f.t.Fatal(err)
	}
	f.owner = f.unlock
	err = repo.Create(f.t.Context(), store, repo.CreateOptions{Chunker: polynomial, Label: "test",
		Lock: func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) }})
	if err != nil {
		f.t.Fatal(err)
	}
}

// createWithKeyOf makes the repository a copy of other's as that began, so that
// both give their pieces the same names.
func (f *fixture) createWithKeyOf(other *fixture) {
	f.t.Helper()
	f.unlock, f.owner = other.unlock, other.owner
	for _, prefix := range []string{"config/", "keys/", "spares/"} {
		err := other.store.List(f.t.Context(), prefix, func(name string, _ int64) error {
			data, err := other.store.Get(f.t.Context(), name, 0, -1, nil)
			if err != nil {
				return err
			}
			return f.store.Put(f.t.Context(), name, data)
		})
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// root returns a path below the first root.
func (f *fixture) root(path string) string {
	return filepath.Join(f.roots[0], filepath.FromSlash(path))
}

// write makes a file below the first root, and the folders above it.
func (f *fixture) write(path, data string) string {
	f.t.Helper()
	write(f.t, f.root(path), []byte(data))
	return f.root(path)
}

// open opens the repository.
func (f *fixture) open() *repo.Repository {
	f.t.Helper()
	r, err := f.tryOpen(f.store)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { r.Close() })
	return r
}

func (f *fixture) tryOpen(store storage.Store) (*repo.Repository, error) {
	return repo.Open(f.t.Context(), store, repo.OpenOptions{CacheDir: f.cache, Unlock: f.unlock, Warn: log.New(f.t.Output(), "warning: ", 0)})
}

// options detects the store and returns options for a run. What was written a
// moment ago counts as settled.
func (f *fixture) options() backup.Options {
	f.t.Helper()
	store, err := mailstore.Detect(f.t.Context(), f.roots, f.detect)
	if err != nil {
		f.t.Fatal(err)
	}
	f.notices = nil
	o := backup.Options{Store: store, Name: "store", Host: "mx", User: "tester", Program: "restante test", CacheDir: f.cache,
		Compression: repo.Fastest, Skip: []string{f.cache}, Warn: log.New(f.t.Output(), "warning: ", 0),
		Notice: func(n backup.Notice) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.notices = append(f.notices, n)
		}}
	backup.SetLimits(&o, backup.SettleTime(-time.Hour))
	return o
}

// try opens the repository in store and backs up.
func (f *fixture) try(ctx context.Context, store storage.Store, o backup.Options) (*backup.Result, error) {
	f.t.Helper()
	r, err := f.tryOpen(store)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return backup.Run(ctx, r, o)
}

// run backs up and wants it to end well.
func (f *fixture) run(change ...func(*backup.Options)) *backup.Result {
	f.t.Helper()
	o := f.options()
	for _, c := range change {
		c(&o)
	}
	result, err := f.try(f.t.Context(), f.store, o)
	if err != nil {
		f.t.Fatal(err)
	}
	return result
}

// clean backs up and wants nothing to be wrong with any path.
func (f *fixture) clean(change ...func(*backup.Options)) *backup.Result {
	f.t.Helper()
	result := f.run(change...)
	for _, n := range result.Unsaved {
		f.t.Errorf("unsaved: %q: %s", n.Path, n.Text)
	}
	if n := result.Snapshot.Tree.Counts.Unsaved; n != 0 || result.Snapshot.Incomplete {
		f.t.Errorf("%d paths are unsaved", n)
	}
	return result
}

// noticed returns what the last run had to say of a path.
func (f *fixture) noticed(path string) string {
	var all []string
	for _, n := range f.notices {
		if n.Path == path {
			all = append(all, n.Text)
		}
	}
	return strings.Join(all, "; ")
}

// tree opens a result's tree.
func (f *fixture) tree(r *backup.Result) *snapshot.Tree {
	f.t.Helper()
	return snapshot.OpenTree(f.open(), r.Snapshot.Tree)
}

// entries returns a result's entries by path.
func (f *fixture) entries(r *backup.Result) map[string]snapshot.Entry {
	f.t.Helper()
	all := map[string]snapshot.Entry{}
	for rec, err := range f.tree(r).All(f.t.Context(), snapshot.Range{}) {
		if err != nil {
			f.t.Fatal(err)
		}
		all[rec.Key.Path()] = rec.Entry
	}
	return all
}

// restore brings all of a snapshot back and returns where it is, and what
// could not be restored.
func (f *fixture) restore(r *backup.Result) (string, []restore.Failure) {
	f.t.Helper()
	dir := filepath.Join(f.t.TempDir(), "restored")
	src := f.open()
	res, err := restore.Run(f.t.Context(), src, snapshot.OpenTree(src, r.Snapshot.Tree), src.PieceKey(), restore.Options{
		Target: dir, NoOwner: os.Geteuid() != 0,
		Parts: []restore.Part{{Ranges: []snapshot.Range{{}}, Path: snapshot.Key.Path}},
		Warn:  func(path string, err error) { f.t.Logf("restoring %q: %v", path, err) },
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return dir, res.Failed
}

// snapshots returns how many snapshots there are.
func (f *fixture) snapshots() int {
	f.t.Helper()
	all, err := f.open().Snapshots(f.t.Context(), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return len(all)
}

// content reads all regular files below dir.
func content(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		rel, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// maildir makes a Maildir below the first root with n messages in cur.
func (f *fixture) maildir(path string, n int) {
	f.t.Helper()
	for _, part := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(f.root(path+"/"+part), 0o700); err != nil {
			f.t.Fatal(err)
		}
	}
	for i := range n {
		name := messageName(i) + ":2,S"
		f.write(path+"/cur/"+name, mail(path+name))
	}
}

func messageName(i int) string { return fmt.Sprintf("1700000000.M%05d.mx", i) }

// mail returns a message that differs from others by its subject.
func mail(subject string) string {
	return "From: alice@example.com\nTo: bob@example.com\nSubject: " + subject + "\n\n" + strings.Repeat("This is about "+subject+".\n", 20)
}

// useWriterKey has the repository opened with a key that can write only.
func (f *fixture) useWriterKey() {
	f.t.Helper()
	file, recipient, err := seal.NewIdentity("a writer's")
	if err != nil {
		f.t.Fatal(err)
	}
	r := f.open()
	if _, err := r.AddKey(f.t.Context(), seal.Writer, "writer", func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) }); err != nil {
		f.t.Fatal(err)
	}
	if f.unlock, err = seal.Identities(file); err != nil {
		f.t.Fatal(err)
	}
}

func asShrink(err error, target **backup.ShrinkError) bool { return errors.As(err, target) }

// remove takes a snapshot out of the repository.
func (f *fixture) remove(r *backup.Result) {
	f.t.Helper()
	for _, name := range []string{"snapshots/", "intents/"} {
		if err := f.store.Delete(f.t.Context(), name+r.Session.String()); err != nil {
			f.t.Fatal(err)
		}
	}
}

// forget forgets a snapshot, which its owner does.
func (f *fixture) forget(r *backup.Result) {
	f.t.Helper()
	owner, err := repo.Open(f.t.Context(), f.store, repo.OpenOptions{CacheDir: f.t.TempDir(), Unlock: f.owner})
	if err != nil {
		f.t.Fatal(err)
	}
	defer owner.Close()
	if err := owner.Forget(f.t.Context(), [16]byte(r.Session), "root"); err != nil {
		f.t.Fatal(err)
	}
}

// A forgetfulStore forgets something when an intent is put.
type forgetfulStore struct {
	storage.Store
	forget func()
	done   bool
}

func (s *forgetfulStore) Put(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, "intents/") {
		s.done = true
		s.forget()
	}
	return s.Store.Put(ctx, name, data)
}
