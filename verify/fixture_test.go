package verify_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
	"restante/storage/mem"
	"restante/verify"
)

// A fixture is a repository in memory with two snapshots of a small store.
type fixture struct {
	store *mem.Store
	file  []byte            // the identity that opens it
	roles map[string]string // of objects, by name: data1, tree1, dataindex1, …
	names map[string]string // the other way round
}

const polynomial = 0x3DA3358B4DC173

// newFixture makes the repository. Each of the two sessions leaves a data
// pack, a tree pack, their index objects, a snapshot and an intent. A data
// pack has a clump for each mailbox, and one for the rest.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{store: mem.New(), roles: map[string]string{}, names: map[string]string{}}
	file, recipient, err := seal.NewIdentity("for a test")
	if err != nil {
		t.Fatal(err)
	}
	f.file = file
	err = repo.Create(t.Context(), f.store, repo.CreateOptions{Chunker: polynomial, Label: "test",
		Lock: func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) }})
	if err != nil {
		t.Fatal(err)
	}
	f.name(t, "")
	f.backup(t, 1, "1")
	f.backup(t, 2, "2")
	return f
}

// backup makes a snapshot of the store as it is on the n-th day: on the second
// there is a message more of alice's, and one of bob's is another. The objects
// that come get roles with the suffix.
func (f *fixture) backup(t *testing.T, n int, suffix string) {
	t.Helper()
	r := f.open(t)
	w := f.begin(t, r)
	for _, who := range []string{"alice", "bob", "carol"} {
		for i := range 60 {
			version := 0
			if who == "bob" && i == 7 {
				version = n
			}
			w.message(who, i, version)
		}
		if who == "alice" && n == 2 {
			w.message(who, 99, 0)
		}
		w.flush()
	}
	w.rest()
	w.commit(snapshot.Snapshot{Store: "mail", Host: "mx", Started: snapshot.Time{Sec: int64(n)}})
	f.name(t, suffix)
}

// name gives roles to the objects that are new.
func (f *fixture) name(t *testing.T, suffix string) {
	t.Helper()
	kinds := map[seal.Kind]string{seal.KindDataPack: "data", seal.KindTreePack: "tree", seal.KindDataIndex: "dataindex",
		seal.KindTreeIndex: "treeindex", seal.KindSnapshot: "snapshot", seal.KindIntent: "intent", seal.KindConfig: "config", seal.KindTombstone: "tombstone", seal.KindDamage: "damage",
		seal.KindMark: "mark", seal.KindSeen: "seen", seal.KindForgotten: "forgotten", seal.KindHold: "hold"}
	err := f.store.List(t.Context(), "", func(name string, _ int64) error {
		if f.roles[name] != "" {
			return nil
		}
		of, spare := strings.CutPrefix(name, "spares/")
		role, _, _ := strings.Cut(of, "/") // README and key files have no header
		if h, err := seal.ParseHeader(f.get(t, name)); err == nil {
			role = kinds[h.Kind] + suffix
		}
		if spare {
			role = "spare " + role
		}
		for f.names[role] != "" {
			role += "b"
		}
		f.roles[name], f.names[role] = role, name
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) open(t *testing.T) *repo.Repository {
	t.Helper()
	return f.openOn(t, f.store)
}

// openOn opens the repository in a storage that holds it.
func (f *fixture) openOn(t *testing.T, store storage.Store) *repo.Repository {
	t.Helper()
	u, err := seal.Identities(f.file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), store, repo.OpenOptions{CacheDir: t.TempDir(), Unlock: u})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// addWriter adds a writer's key, and returns the identity that opens it.
func (f *fixture) addWriter(t *testing.T) []byte {
	t.Helper()
	file, recipient, err := seal.NewIdentity("writer")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.open(t).AddKey(t.Context(), seal.Writer, "mx1", func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) })
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func (f *fixture) get(t *testing.T, name string) []byte {
	t.Helper()
	data, err := f.store.Get(t.Context(), name, 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// clone returns a copy whose objects can be damaged.
func (f *fixture) clone(t *testing.T) *fixture {
	t.Helper()
	c := &fixture{store: mem.New(), file: f.file, roles: maps.Clone(f.roles), names: maps.Clone(f.names)}
	err := f.store.List(t.Context(), "", func(name string, _ int64) error { return c.store.Put(t.Context(), name, f.get(t, name)) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// replace puts other bytes in an object's place; nil deletes it.
func (f *fixture) replace(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := f.store.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if data == nil {
		return
	}
	if err := f.store.Put(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
}

// keys returns what the key file holds, to forge objects with.
func (f *fixture) keys(t *testing.T) *seal.Keys {
	t.Helper()
	u, err := seal.Identities(f.file)
	if err != nil {
		t.Fatal(err)
	}
	k, err := u.Unlock(f.get(t, f.names["keys"]))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (f *fixture) check(t *testing.T, readData bool) *verify.Report {
	t.Helper()
	report, err := verify.Check(t.Context(), f.open(t), verify.Options{ReadData: readData})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// render writes findings as lines "object: what | snapshots | mailboxes |
// files", with roles for objects and # for what is random.
func (f *fixture) render(report *verify.Report) []string {
	var lines []string
	for _, found := range report.Findings {
		object := found.Object
		if role := f.roles[object]; role != "" {
			object = role
		}
		line := fmt.Sprintf("%s: %s", object, found.What)
		if l := found.Lost; l.Files.Count+l.Snapshots.Count > 0 {
			var snapshots []string
			for _, id := range l.Snapshots.First {
				snapshots = append(snapshots, cmp.Or(f.roles["snapshots/"+id], id))
			}
			slices.Sort(snapshots)
			files := fmt.Sprint(l.Files.Count)
			if uint64(len(l.Files.First)) < min(l.Files.Count, 10) {
				files = "pages" // how many files these have, and whether they can be named, is a matter of chance
				line = somePieces.ReplaceAllString(line, "some pieces that snapshots need are")
			}
			line += fmt.Sprintf(" | %s | %s | %s", strings.Join(snapshots, " "), strings.Join(l.Mailboxes.First, " "), files)
			if l.Files.Count == 1 && len(l.Files.First) == 1 {
				line += " " + l.Files.First[0]
			}
		}
		lines = append(lines, random.ReplaceAllString(line, "#"))
	}
	slices.Sort(lines)
	return lines
}

// random are hashes, sessions, and offsets in packs, which depend on how well
// random bytes compress.
var random = regexp.MustCompile(`\b([0-9a-f]{2}/[0-9a-f]{64}|[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{8})\b|\b\d{4,}\b`)

var somePieces = regexp.MustCompile(`\d+ pieces? that snapshots need (is|are)`)

// A writer makes one snapshot.
type writer struct {
	t     *testing.T
	s     *repo.Session
	w     *repo.Writer
	pages *repo.Writer
	key   blob.Key
	recs  []snapshot.Record
}

func (f *fixture) begin(t *testing.T, r *repo.Repository) *writer {
	t.Helper()
	return f.beginOf(t, r, "mail")
}

// beginOf begins a session of the store of this name.
func (f *fixture) beginOf(t *testing.T, r *repo.Repository, store string) *writer {
	t.Helper()
	s, err := r.Begin(t.Context(), repo.SessionOptions{Intent: repo.Intent{Operation: "backup", Store: store, Host: "mx"}, Compression: repo.Fastest})
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{t: t, s: s, key: r.PieceKey()}
	if w.w, err = s.NewWriter(); err != nil {
		t.Fatal(err)
	}
	if w.pages, err = s.NewWriter(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *writer) fatal(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) piece(data []byte) snapshot.Piece {
	w.t.Helper()
	id, err := w.w.Save(w.t.Context(), blob.Text, data)
	w.fatal(err)
	return snapshot.Piece{ID: id, Size: uint32(len(data))}
}

func (w *writer) add(p string, e snapshot.Entry) {
	w.t.Helper()
	key, err := snapshot.KeyOf(p)
	w.fatal(err)
	if e.Kind == snapshot.File {
		e.Size = e.Recipe.Length()
	}
	w.recs = append(w.recs, snapshot.Record{Key: key, Entry: e})
}

// message adds a message of two pieces.
func (w *writer) message(who string, i, version int) {
	w.t.Helper()
	rng := rand.New(rand.NewPCG(uint64(who[0])<<32|uint64(i), uint64(version)))
	body := make([]byte, 300+i)
	for j := range body {
		body[j] = byte(rng.Uint32())
	}
	copy(body, who)
	w.add(fmt.Sprintf("%s/cur/%03d", who, i), snapshot.Entry{Kind: snapshot.File, Messages: 1, Recipe: snapshot.Recipe{Cutter: 1, Items: []snapshot.Item{
		{Kind: snapshot.PieceItem, Piece: w.piece(body[:100])},
		{Kind: snapshot.PieceItem, Piece: w.piece(body[100:])},
	}}})
}

// rest adds what is of no mailbox: one entry of each kind that matters, among
// them a file with a long recipe.
func (w *writer) rest() {
	w.t.Helper()
	long := snapshot.NewRecipeWriter(w.pages, w.key, 1)
	for i := range 400 {
		w.fatal(long.Append(w.t.Context(), snapshot.Item{Kind: snapshot.PieceItem, Piece: w.piece(fmt.Appendf(nil, "part %d of a long file", i))}))
	}
	recipe, err := long.Finish(w.t.Context())
	w.fatal(err)
	w.add("etc/long", snapshot.Entry{Kind: snapshot.File, Recipe: recipe})
	w.add("etc/encoded", snapshot.Entry{Kind: snapshot.File, Recipe: snapshot.Recipe{Cutter: 1, Items: []snapshot.Item{
		{Kind: snapshot.LiteralItem, Literal: []byte("\n")},
		{Kind: snapshot.Base64Item, Base64: &snapshot.Base64{LineLength: 76, LineEnd: snapshot.LF, Tail: snapshot.TailEnded,
			Pieces: []snapshot.Piece{w.piece([]byte("decoded")), w.piece([]byte("and more"))}}},
	}}})
	w.add("etc/empty", snapshot.Entry{Kind: snapshot.File, Recipe: snapshot.Recipe{Cutter: 1}})
	w.add("etc/link", snapshot.Entry{Kind: snapshot.Symlink, Target: "long"})
	w.add("etc/secret", snapshot.Entry{Kind: snapshot.Unsaved, Reason: "permission denied"})
	w.add("", snapshot.Entry{Kind: snapshot.Dir})
	w.flush()
}

func (w *writer) flush() {
	w.t.Helper()
	w.fatal(w.w.Flush(w.t.Context()))
}

// commit stores the trees and the snapshot record.
func (w *writer) commit(s snapshot.Snapshot) {
	w.t.Helper()
	ctx := w.t.Context()
	if s.Tree.ID.IsZero() {
		var err error
		slices.SortFunc(w.recs, func(a, b snapshot.Record) int { return strings.Compare(string(a.Key), string(b.Key)) })
		b := snapshot.NewBuilder(w.pages, w.key)
		for i := range w.recs {
			w.fatal(b.Add(ctx, w.recs[i].Key, &w.recs[i].Entry))
		}
		s.Tree, err = b.Finish(ctx)
		w.fatal(err)
	}
	w.mailboxes(&s)
	w.fatal(w.pages.Flush(ctx))
	w.flush()
	w.fatal(w.s.Commit(ctx, func(int64) ([]byte, error) { return s.Encode() }))
}

// mailboxes stores the map of mailboxes, unless the snapshot has one.
func (w *writer) mailboxes(s *snapshot.Snapshot) {
	w.t.Helper()
	if !s.Mailboxes.ID.IsZero() {
		return
	}
	ctx := w.t.Context()
	m := snapshot.NewMailboxBuilder(w.pages, w.key)
	for _, who := range []string{"alice", "bob", "carol"} {
		w.fatal(m.Add(ctx, &snapshot.Mailbox{Name: who, Component: "messages", Ranges: []snapshot.Range{snapshot.Subtree(snapshot.Key(who))}}))
	}
	var err error
	s.Mailboxes, err = m.Finish(ctx)
	w.fatal(err)
}

// clumps returns the clumps of a pack.
func (f *fixture) clumps(t *testing.T, role string) []repo.ClumpInfo {
	t.Helper()
	name := f.names[role]
	clumps, err := f.open(t).Directory(t.Context(), packID(t, name), int64(len(f.get(t, name))))
	if err != nil {
		t.Fatal(err)
	}
	return clumps
}

func packID(t *testing.T, name string) blob.ID {
	t.Helper()
	id, err := blob.ParseID(path.Base(name))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func flip(data []byte, at int) []byte {
	if at < 0 {
		at += len(data)
	}
	out := bytes.Clone(data)
	out[at] ^= 0x10
	return out
}

// other returns a name of the same form that no object has.
func other(name string) string {
	if strings.HasPrefix(name, "config/") {
		return "config/00000002"
	}
	base := path.Base(name)
	b, err := hex.DecodeString(base)
	if err != nil {
		return "readme_2"
	}
	b[len(b)-1] ^= 1
	return path.Join(path.Dir(name), hex.EncodeToString(b))
}
