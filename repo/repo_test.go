package repo_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage"
	"restante/storage/mem"
)

// A polynomial for tests only.
const polynomial = 0x3DA3358B4DC173

// A fixture is a repository in memory with a key file and no passphrase, so
// that tests need not wait for scrypt.
type fixture struct {
	store  storage.Store
	unlock seal.Unlocker
	cache  string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixtureOn(t, mem.New())
}

func newFixtureOn(t *testing.T, store storage.Store) *fixture {
	t.Helper()
	f := &fixture{store: store, cache: t.TempDir()}
	file, recipient, err := seal.NewIdentity("for a test")
	if err != nil {
		t.Fatal(err)
	}
	if f.unlock, err = seal.Identities(file); err != nil {
		t.Fatal(err)
	}
	err = repo.Create(t.Context(), store, repo.CreateOptions{Chunker: polynomial, Label: "test",
		Lock: func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) }})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) open(t *testing.T) *repo.Repository {
	t.Helper()
	r, err := repo.Open(t.Context(), f.store, repo.OpenOptions{CacheDir: f.cache, Unlock: f.unlock, Warn: log.New(testWriter{t}, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) { w.t.Logf("warning: %s", p); return len(p), nil }

// begin begins a session, of another store if that is named.
func begin(t *testing.T, r *repo.Repository, store ...string) *repo.Session {
	t.Helper()
	intent := repo.Intent{Operation: "backup", Store: strings.Join(append(store, t.Name()), " "), Host: "mx"}
	s, err := r.Begin(t.Context(), repo.SessionOptions{Intent: intent, Compression: repo.Default})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// payload is CBOR: one text string.
func payload(s string) func(int64) ([]byte, error) {
	return func(int64) ([]byte, error) { return append([]byte{0x60 + byte(len(s))}, s...), nil }
}

// save stores pieces through one writer and returns their IDs.
func save(t *testing.T, s *repo.Session, class blob.Class, pieces ...[]byte) []blob.ID {
	t.Helper()
	w, err := s.NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]blob.ID, len(pieces))
	for i, p := range pieces {
		if ids[i], err = w.Save(t.Context(), class, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return ids
}

func read(t *testing.T, r *repo.Repository, id blob.ID) ([]byte, error) {
	t.Helper()
	places, err := r.Places(t.Context(), []blob.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	if places[0].Size == 0 {
		return nil, repo.ErrMissingPiece
	}
	raw, err := r.Clump(t.Context(), nil, places[0].Clump)
	if err != nil {
		return nil, err
	}
	return r.Piece(raw, id, places[0])
}

func randomPieces(n int, seed uint64) [][]byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	out := make([][]byte, n)
	for i := range out {
		size := 1 + rng.IntN(20_000)
		if i%37 == 0 {
			size = 600_000 + rng.IntN(1<<20)
		}
		out[i] = make([]byte, size)
		for j := range out[i] {
			out[i][j] = byte(rng.IntN(1 + rng.IntN(255)))
		}
	}
	return out
}

func TestWhatIsCommittedIsRead(t *testing.T) {
	f := newFixture(t)
	pieces := randomPieces(300, 1)
	r := f.open(t)
	s := begin(t, r)
	ids := save(t, s, blob.Text, pieces...)
	pages := save(t, s, blob.Page, []byte("a page"), []byte("another page"))
	if err := s.Commit(t.Context(), payload("first")); err != nil {
		t.Fatal(err)
	}
	for _, cache := range []string{f.cache, t.TempDir()} { // with the index at hand, and without
		f.cache = cache
		r = f.open(t)
		for i, id := range ids {
			got, err := read(t, r, id)
			if err != nil || !bytes.Equal(got, pieces[i]) {
				t.Fatalf("piece %d of %d bytes: %d bytes, %v", i, len(pieces[i]), len(got), err)
			}
		}
		page, err := r.LoadPage(t.Context(), pages[1])
		if err != nil || string(page) != "another page" {
			t.Fatalf("page: %q, %v", page, err)
		}
		snaps, err := r.Snapshots(t.Context(), nil)
		if err != nil || len(snaps) != 1 || snaps[0].ID != s.ID() || string(snaps[0].Payload) != "\x65first" {
			t.Fatalf("snapshots: %v, %v", snaps, err)
		}
	}
}

// Bytes that do not compress cost no more than their length, and no time in
// vain; they lie apart from those that do.
func TestDensePieces(t *testing.T) {
	for _, class := range []blob.Class{blob.Bin, blob.Text} {
		t.Run(class.String(), func(t *testing.T) { testDensePieces(t, class) })
	}
}

func testDensePieces(t *testing.T, class blob.Class) {
	f := newFixture(t)
	r := f.open(t)
	s := begin(t, r)
	rng := rand.NewChaCha8([32]byte{7})
	var pieces [][]byte
	dense := 0
	for i := range 40 {
		p := bytes.Repeat([]byte("a table of figures;"), 3000)
		if i%2 == 0 {
			p = make([]byte, 50_000)
			rng.Read(p)
			dense += len(p)
		}
		pieces = append(pieces, append(p, byte(i)))
	}
	ids := save(t, s, class, pieces...)
	if err := s.Commit(t.Context(), payload("dense")); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		if got, err := read(t, r, id); err != nil || !bytes.Equal(got, pieces[i]) {
			t.Fatalf("piece %d: %v", i, err)
		}
	}
	if stored := int(s.Stored()); stored > dense+dense/8 {
		t.Errorf("%d bytes that do not compress, and as many that do, are stored in %d", dense, stored)
	}
}

// Base64 that could not be decoded has nothing that repeats, and still takes
// no more than what it encodes.
func TestTextsWithoutRepetitions(t *testing.T) {
	f := newFixture(t)
	s := begin(t, f.open(t))
	data := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{8}).Read(data)
	save(t, s, blob.Text, []byte(base64.StdEncoding.EncodeToString(data)))
	if err := s.Commit(t.Context(), payload("base64")); err != nil {
		t.Fatal(err)
	}
	if stored := int(s.Stored()); stored > len(data)*21/20 {
		t.Errorf("the base64 of %d bytes is stored in %d", len(data), stored)
	}
}

// Full packs end where padding leaves them alone: it costs less than a clump.
func TestFullPacksAreHardlyPadded(t *testing.T) {
	f := newFixture(t)
	r := f.open(t)
	s := begin(t, r)
	const size = 2 << 20
	s.SetPackSize(size)
	rng := rand.NewChaCha8([32]byte{8})
	var pieces [][]byte
	for range 200 {
		pieces = append(pieces, make([]byte, 50_000))
		rng.Read(pieces[len(pieces)-1])
	}
	save(t, s, blob.Bin, pieces...)
	if err := s.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	full := 0
	for _, p := range r.Packs() {
		if p.Size > size {
			t.Errorf("a pack of %d bytes", p.Size)
		}
		clumps, err := r.Directory(t.Context(), p.ID, int64(p.Size))
		if err != nil {
			t.Fatal(err)
		}
		if p.Size < size*3/4 {
			continue // the last one, or one of pages
		}
		full++
		last := clumps[len(clumps)-1]
		if waste := p.Size - last.Offset - last.Length; waste > last.Length+100_000 {
			t.Errorf("%d of %d bytes are directory and padding", waste, p.Size)
		}
	}
	if full < 4 {
		t.Errorf("%d full packs", full)
	}
}

// The choices cost what they are named for.
func TestCompressionChoices(t *testing.T) {
	text := bytes.Repeat([]byte("words that come again and again; "), 20_000)
	stored := map[repo.Compression]int64{}
	for _, c := range []repo.Compression{repo.Fastest, repo.Default, repo.Max} {
		r := newFixture(t).open(t)
		s, err := r.Begin(t.Context(), repo.SessionOptions{Intent: repo.Intent{Operation: "backup", Store: "s", Host: "mx"}, Compression: c})
		if err != nil {
			t.Fatal(err)
		}
		ids := save(t, s, blob.Bin, text)
		ids = append(ids, save(t, s, blob.Text, text[1:])...)
		if err := s.Commit(t.Context(), payload("x")); err != nil {
			t.Fatal(err)
		}
		for i, id := range ids {
			if got, err := read(t, r, id); err != nil || !bytes.Equal(got, text[i:]) {
				t.Errorf("%s: piece %d: %v", c, i, err)
			}
		}
		stored[c] = s.Stored()
	}
	size := int64(len(text))
	if n := stored[repo.Fastest]; n < size || n > size*3/2 {
		t.Errorf("fastest stores %d bytes twice in %d: attachments are to stay as they are, and text is not", size, n)
	}
	if stored[repo.Default] > size/2 || stored[repo.Max] > stored[repo.Default] {
		t.Errorf("%d bytes twice are stored in %v", size, stored)
	}
}

func TestAPieceIsStoredOnce(t *testing.T) {
	f := newFixture(t)
	pieces := randomPieces(100, 2)
	r := f.open(t)
	s := begin(t, r)
	first := save(t, s, blob.Text, append(pieces, pieces...)...)
	save(t, s, blob.Text, pieces...) // another writer
	if err := s.Commit(t.Context(), payload("first")); err != nil {
		t.Fatal(err)
	}
	before := objects(t, f.store)
	r = f.open(t)
	s = begin(t, r)
	again := save(t, s, blob.Text, pieces...)
	if err := s.Commit(t.Context(), payload("second")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first[:100], again) || !slices.Equal(first[:100], first[100:]) {
		t.Error("equal pieces have different IDs")
	}
	// Only the intent and the snapshot came.
	if after := objects(t, f.store); len(after) != len(before)+2 {
		t.Errorf("the second session added %d objects: %v", len(after)-len(before), after)
	}
}

func objects(t *testing.T, s storage.Store) map[string]int64 {
	t.Helper()
	m := map[string]int64{}
	if err := s.List(t.Context(), "", func(name string, size int64) error { m[name] = size; return nil }); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAbandonedWorkIsTakenUp(t *testing.T) {
	f := newFixture(t)
	pieces := randomPieces(200, 3)
	r := f.open(t)
	s := begin(t, r)
	save(t, s, blob.Text, pieces...)
	if err := s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), payload("late")); !errors.Is(err, repo.ErrClosed) {
		t.Errorf("a session that was ended commits: %v", err)
	}
	if snaps, err := r.Snapshots(t.Context(), nil); err != nil || len(snaps) != 0 {
		t.Errorf("snapshots: %v, %v", snaps, err)
	}
	stored := s.Stored()
	r = f.open(t)
	s = begin(t, r)
	save(t, s, blob.Text, pieces...)
	if err := s.Commit(t.Context(), payload("next")); err != nil {
		t.Fatal(err)
	}
	if s.Stored() != 0 || stored == 0 {
		t.Errorf("the first session stored %d bytes, the next one %d", stored, s.Stored())
	}
}

func TestAWriterKeyWritesAndCannotRead(t *testing.T) {
	f := newFixture(t)
	owner := f.open(t)
	file, recipient, err := seal.NewIdentity("writer")
	if err != nil {
		t.Fatal(err)
	}
	_, err = owner.AddKey(t.Context(), seal.Writer, "mx1", func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) })
	if err != nil {
		t.Fatal(err)
	}
	w := *f
	w.cache = t.TempDir()
	if w.unlock, err = seal.Identities(file); err != nil {
		t.Fatal(err)
	}
	writer := w.open(t)
	if writer.CanRead() {
		t.Error("a writer's key says that it can read")
	}
	pieces := randomPieces(50, 4)
	s := begin(t, writer)
	ids := save(t, s, blob.Text, pieces...)
	pages := save(t, s, blob.Page, []byte("a page"))
	if err := s.Commit(t.Context(), payload("by writer")); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, writer, ids[0]); !errors.Is(err, repo.ErrCannotRead) {
		t.Errorf("a writer reads a piece: %v", err)
	}
	if _, err := writer.LoadPage(t.Context(), pages[0]); !errors.Is(err, repo.ErrCannotRead) {
		t.Errorf("a writer reads a page: %v", err)
	}
	if _, err := writer.Snapshots(t.Context(), nil); !errors.Is(err, repo.ErrCannotRead) {
		t.Errorf("a writer reads snapshots: %v", err)
	}
	if _, err := writer.AddKey(t.Context(), seal.Owner, "", nil); !errors.Is(err, repo.ErrOwnerOnly) {
		t.Errorf("a writer adds a key: %v", err)
	}
	if err := writer.RemoveKey(t.Context(), owner.CurrentKey()); !errors.Is(err, repo.ErrOwnerOnly) {
		t.Errorf("a writer removes a key: %v", err)
	}
	owner = f.open(t)
	got, err := read(t, owner, ids[0])
	if err != nil || !bytes.Equal(got, pieces[0]) {
		t.Errorf("the owner reads what the writer wrote: %v", err)
	}
	// What the writer knows lets it find its own pieces again.
	s = begin(t, w.open(t))
	save(t, s, blob.Text, pieces...)
	if err := s.Commit(t.Context(), payload("again")); err != nil || s.Stored() != 0 {
		t.Errorf("the writer stored %d bytes again, %v", s.Stored(), err)
	}
}

func TestNoRepository(t *testing.T) {
	for name, put := range map[string]string{"empty": "", "something else": "packs/aa/aa"} {
		store := mem.New()
		if put != "" {
			if err := store.Put(t.Context(), put, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := repo.Open(t.Context(), store, repo.OpenOptions{Unlock: seal.Passphrase("x")}); !errors.Is(err, repo.ErrNoRepository) {
			t.Errorf("%s: %v", name, err)
		}
		if put == "" {
			continue
		}
		err := repo.Create(t.Context(), store, repo.CreateOptions{Chunker: polynomial, Lock: func(*seal.Keys) ([]byte, error) { return nil, nil }})
		if !errors.Is(err, repo.ErrHasRepository) {
			t.Errorf("Create on a storage with %s: %v", name, err)
		}
	}
}

// Every byte of every object matters: a change of any is an error, or leaves
// what is read as it was.
func TestDamageIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	r := f.open(t)
	s := begin(t, r)
	pieces := randomPieces(20, 5)
	ids := save(t, s, blob.Text, pieces...)
	if err := s.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for name, size := range objects(t, f.store) {
		whole, err := f.store.Get(t.Context(), name, 0, -1, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			bad := bytes.Clone(whole)
			bad[rng.Int64N(size)] ^= 1 << rng.IntN(8)
			copied := copyStore(t, f.store)
			copied.Delete(t.Context(), name)
			if err := copied.Put(t.Context(), name, bad); err != nil {
				t.Fatal(err)
			}
			if err := readAll(copied, f.unlock, t.TempDir(), ids, pieces); err != nil && !isClear(err) {
				t.Errorf("a changed bit in %s: %v", name, err)
			}
		}
	}
}

var errOtherBytes = errors.New("other bytes")

// isClear reports whether an error names what is damaged, or is one that a
// person can act on.
func isClear(err error) bool {
	var damage *repo.DamageError
	var tooNew *seal.TooNewError
	return errors.As(err, &damage) || errors.As(err, &tooNew) || errors.Is(err, repo.ErrWrongKey) || errors.Is(err, repo.ErrMissingPiece)
}

func readAll(store storage.Store, unlock seal.Unlocker, cache string, ids []blob.ID, pieces [][]byte) error {
	ctx := context.Background()
	r, err := repo.Open(ctx, store, repo.OpenOptions{CacheDir: cache, Unlock: unlock})
	if err != nil {
		return err
	}
	defer r.Close()
	for i, id := range ids {
		places, err := r.Places(ctx, []blob.ID{id})
		if err != nil {
			return err
		}
		raw, err := r.Clump(ctx, nil, places[0].Clump)
		if err != nil {
			return err
		}
		data, err := r.Piece(raw, id, places[0])
		if err != nil {
			return err
		}
		if !bytes.Equal(data, pieces[i]) {
			return fmt.Errorf("%w in piece %d", errOtherBytes, i)
		}
	}
	return r.EachSnapshot(ctx, func(_ repo.SnapshotObject, err error) error { return err })
}

func copyStore(t *testing.T, from storage.Store) *mem.Store {
	t.Helper()
	to := mem.New()
	for name := range objects(t, from) {
		data, err := from.Get(t.Context(), name, 0, -1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := to.Put(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestDirectory(t *testing.T) {
	f := newFixture(t)
	r := f.open(t)
	s := begin(t, r)
	ids := save(t, s, blob.Text, randomPieces(80, 6)...)
	if err := s.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	listed := map[blob.ID]bool{}
	for name, size := range objects(t, f.store) {
		if len(name) < 6 || name[:6] != "packs/" {
			continue
		}
		id, err := blob.ParseID(name[9:])
		if err != nil {
			t.Fatal(err)
		}
		clumps, err := r.Directory(t.Context(), id, size)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range clumps {
			for _, p := range c.Pieces {
				listed[p.ID] = true
			}
		}
	}
	for _, id := range ids {
		if !listed[id] {
			t.Errorf("no directory lists piece %s", id)
		}
	}
	if len(listed) != len(ids) {
		t.Errorf("directories list %d pieces, %d were saved", len(listed), len(ids))
	}
}

func TestLocks(t *testing.T) {
	f := newFixture(t)
	r := f.open(t)
	opts := repo.SessionOptions{Intent: repo.Intent{Operation: "backup", Store: "mail", Host: "mx", User: "root"}}
	s, err := r.Begin(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	var locked *repo.LockedError
	if _, err := f.open(t).Begin(t.Context(), opts); !errors.As(err, &locked) || locked.Intent.User != "root" {
		t.Errorf("a second session of one store: %v", err)
	}
	other := opts
	other.Intent.Store = "archive"
	if _, err := r.Begin(t.Context(), other); err != nil {
		t.Errorf("a session of another store: %v", err)
	}
	if err := s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Begin(t.Context(), opts); err != nil {
		t.Errorf("a session after the first has ended: %v", err)
	}
}
