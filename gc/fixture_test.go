package gc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"restante/blob"
	"restante/gc"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
	"restante/storage/mem"
	"restante/verify"
)

// A polynomial for tests only.
const polynomial = 0x3DA3358B4DC173

// A fixture is a repository in memory, and a prune's cache.
type fixture struct {
	t      *testing.T
	store  *hooked
	unlock seal.Unlocker
	cache  string
	now    time.Time
}

// A hooked storage calls before ahead of each call, which may change what is
// there, and notes the calls.
type hooked struct {
	storage.Store
	before func(op, name string)
	full   func(name string) bool // whether there is no room for an object

	mu    sync.Mutex // of calls, and of before while one is under way
	calls []string
}

func (h *hooked) call(op, name string) {
	h.mu.Lock()
	h.calls = append(h.calls, op+" "+name)
	before := h.before
	h.before = nil // what it does is not interrupted in turn
	h.mu.Unlock()
	if before == nil {
		return
	}
	before(op, name)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.before == nil {
		h.before = before
	}
}

func (h *hooked) Put(ctx context.Context, name string, data []byte) error {
	h.call("put", name)
	if h.full != nil && h.full(name) {
		return storage.ErrNoSpace
	}
	return h.Store.Put(ctx, name, data)
}

func (h *hooked) Get(ctx context.Context, name string, offset, length int64, buf []byte) ([]byte, error) {
	h.call("get", name)
	return h.Store.Get(ctx, name, offset, length, buf)
}

func (h *hooked) List(ctx context.Context, prefix string, fn func(string, int64) error) error {
	h.call("list", prefix)
	return h.Store.List(ctx, prefix, fn)
}

func (h *hooked) Delete(ctx context.Context, name string) error {
	h.call("delete", name)
	return h.Store.Delete(ctx, name)
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, store: &hooked{Store: mem.New()}, cache: t.TempDir(), now: time.Unix(1_800_000_000, 0)}
	file, recipient, err := seal.NewIdentity("for a test")
	if err != nil {
		t.Fatal(err)
	}
	if f.unlock, err = seal.Identities(file); err != nil {
		t.Fatal(err)
	}
	err = repo.Create(t.Context(), f.store, repo.CreateOptions{Chunker: polynomial, Label: "test",
		Lock: func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) }})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) clock() time.Time { return f.now }

// open opens the repository as another machine would. What it warns of fails
// the test unless quiet is false.
func (f *fixture) open() *repo.Repository { return f.openWith(f.store, warned{f.t}) }

func (f *fixture) openWith(store storage.Store, warn io.Writer) *repo.Repository {
	f.t.Helper()
	r, err := repo.Open(f.t.Context(), store, repo.OpenOptions{CacheDir: f.t.TempDir(), Unlock: f.unlock, Warn: log.New(warn, "", 0), Now: f.clock})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { r.Close() })
	return r
}

type warned struct{ t *testing.T }

func (w warned) Write(b []byte) (int, error) {
	w.t.Errorf("warning: %s", b)
	return len(b), nil
}

// A run is a backup on its way: each file is one piece, made of its path. No two
// runs have a page in common, because each gives all files a time of its own.
type run struct {
	f      *fixture
	s      *repo.Session
	w      *repo.Writer
	tree   *snapshot.Builder
	root   repo.PageRef
	parent *run
	number int64 // which no other run has
}

// begin starts a backup, from a parent unless that is nil.
func (f *fixture) begin(parent *run) *run {
	f.t.Helper()
	r := f.open()
	intent := repo.Intent{Operation: "backup", Store: "mail", Host: fmt.Sprint("mx", len(f.store.calls)), User: "root"}
	if parent != nil {
		intent.Parent, intent.Root = parent.s.ID(), &parent.root
	}
	s, err := r.Begin(f.t.Context(), repo.SessionOptions{Intent: intent})
	if err != nil {
		f.t.Fatal(err)
	}
	w, err := s.NewWriter()
	if err != nil {
		f.t.Fatal(err)
	}
	return &run{f: f, s: s, w: w, tree: snapshot.NewBuilder(w, r.PieceKey()), parent: parent, number: int64(len(f.store.calls))}
}

func contentOf(path string) []byte {
	return []byte(strings.Repeat("content of "+path+"\n", 50))
}

// add saves files, in ascending order. Those that the parent is to be trusted
// for are taken over unseen.
func (b *run) add(paths ...string) *run {
	b.f.t.Helper()
	for _, path := range paths {
		id, err := b.w.Save(b.f.t.Context(), blob.Text, contentOf(path))
		if err != nil {
			b.f.t.Fatal(err)
		}
		b.enter(path, id)
	}
	return b
}

// takeOver enters files that the parent has, and looks at none of their pieces.
func (b *run) takeOver(paths ...string) *run {
	b.f.t.Helper()
	for _, path := range paths {
		b.enter(path, b.f.id(path))
	}
	return b
}

func (b *run) enter(path string, id blob.ID) {
	b.f.t.Helper()
	size := uint32(len(contentOf(path)))
	key, err := snapshot.KeyOf(path)
	if err == nil {
		err = b.tree.Add(b.f.t.Context(), key, &snapshot.Entry{Kind: snapshot.File, Size: uint64(size), Mtime: snapshot.Time{Sec: b.number},
			Recipe: snapshot.Recipe{Cutter: 1, Items: []snapshot.Item{{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: id, Size: size}}}}})
	}
	if err != nil {
		b.f.t.Fatal(err)
	}
}

func (f *fixture) id(path string) blob.ID {
	return blob.NewHasher(f.open().PieceKey()).Sum(contentOf(path))
}

func (b *run) tryCommit() error {
	b.f.t.Helper()
	ctx := b.f.t.Context()
	record := snapshot.Snapshot{Store: "mail", Host: "mx", Started: snapshot.Time{Sec: b.number}}
	var err error
	if record.Tree, err = b.tree.Finish(ctx); err != nil {
		return err
	}
	boxes := snapshot.NewMailboxBuilder(b.w, b.f.open().PieceKey())
	if err := boxes.Add(ctx, &snapshot.Mailbox{Name: b.s.ID().String(), Component: "messages", Ranges: []snapshot.Range{{From: "a"}}}); err != nil {
		return err
	}
	if record.Mailboxes, err = boxes.Finish(ctx); err != nil {
		return err
	}
	b.root = repo.PageRef{ID: record.Tree.ID, Level: record.Tree.Level}
	return errors.Join(b.w.Flush(ctx), b.s.Commit(ctx, func(int64) ([]byte, error) { return record.Encode() }))
}

func (b *run) commit() *run {
	b.f.t.Helper()
	if err := b.tryCommit(); err != nil {
		b.f.t.Fatal(err)
	}
	return b
}

// backup takes a whole snapshot of files.
func (f *fixture) backup(paths ...string) *run {
	f.t.Helper()
	return f.begin(nil).add(paths...).commit()
}

// forget forgets a snapshot as the command does.
func (f *fixture) forget(b *run) {
	f.t.Helper()
	r := f.openWith(f.store.Store, warned{f.t})
	defer r.Close()
	if err := r.Forget(f.t.Context(), b.s.ID(), "tester"); err != nil {
		f.t.Fatal(err)
	}
}

// lose deletes the objects of some kinds that a session has put.
func (f *fixture) lose(b *run, kinds ...seal.Kind) {
	f.t.Helper()
	for _, name := range slices.Concat(f.names("packs/"), f.names("index/")) {
		data, err := f.store.Get(f.t.Context(), name, 0, seal.HeaderSize, nil)
		if err != nil {
			f.t.Fatal(err)
		}
		h, err := seal.ParseHeader(data)
		if err != nil {
			f.t.Fatal(err)
		}
		if h.Session == b.s.ID() && slices.Contains(kinds, h.Kind) {
			f.delete(name)
		}
	}
}

func (f *fixture) delete(name string) {
	f.t.Helper()
	if err := f.store.Store.Delete(f.t.Context(), name); err != nil {
		f.t.Fatal(err)
	}
}

// prune prunes with no grace, rewriting only what is under marks, and with what
// change makes of that.
func (f *fixture) prune(change ...func(*gc.Options)) (*gc.Report, error) {
	f.t.Helper()
	opts := gc.Options{CacheDir: f.cache, MaxUnused: 100}
	for _, c := range change {
		c(&opts)
	}
	return gc.Prune(f.t.Context(), f.open(), opts)
}

func (f *fixture) mustPrune(change ...func(*gc.Options)) *gc.Report {
	f.t.Helper()
	report, err := f.prune(change...)
	if err != nil {
		f.t.Fatal(err)
	}
	return report
}

func grace(d time.Duration) func(*gc.Options) { return func(o *gc.Options) { o.Grace = d } }

// names returns the names of objects below a prefix.
func (f *fixture) names(prefix string) []string {
	f.t.Helper()
	found := map[string]bool{}
	err := f.store.Store.List(f.t.Context(), prefix, func(name string, _ int64) error {
		found[name] = true
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(found))
}

// sound checks that the repository is whole, and that the snapshots in it are want.
func (f *fixture) sound(want ...*run) {
	f.t.Helper()
	r := f.open()
	report, err := verify.Check(f.t.Context(), r, verify.Options{ReadData: true})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, finding := range report.Findings {
		f.t.Errorf("damage: %+v", finding)
	}
	have := map[seal.Session]bool{}
	err = r.EachSnapshot(f.t.Context(), func(o repo.SnapshotObject, err error) error {
		have[o.ID] = true
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, b := range want {
		if !have[b.s.ID()] {
			f.t.Errorf("there is no snapshot %s", b.s.ID())
		}
	}
	if len(have) != len(want) {
		f.t.Errorf("there are %d snapshots, want %d", len(have), len(want))
	}
}
