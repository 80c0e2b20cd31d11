package repair_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"restante/blob"
	"restante/repair"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
	"restante/storage/dryrun"
	"restante/storage/faulty"
	"restante/storage/mem"
	"restante/verify"
)

// A fixture is a repository with two snapshots, and what is in their files.
type fixture struct {
	store  storage.Store
	unlock seal.Unlocker
	files  map[int64]map[string][]byte // by the snapshot's time
}

const polynomial = 0x3DA3358B4DC173

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{store: mem.New(), files: map[int64]map[string][]byte{}}
	file, recipient, err := seal.NewIdentity("for a test")
	must(t, err)
	f.unlock, err = seal.Identities(file)
	must(t, err)
	must(t, repo.Create(t.Context(), f.store, repo.CreateOptions{Chunker: polynomial, Label: "test",
		Lock: func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) }}))
	f.backup(t, 1)
	f.backup(t, 2)
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) open(t *testing.T, store storage.Store) *repo.Repository {
	t.Helper()
	r, err := repo.Open(t.Context(), store, repo.OpenOptions{CacheDir: t.TempDir(), Unlock: f.unlock})
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

// A saver stores files and pages of one session.
type saver struct {
	t    *testing.T
	w    *repo.Writer
	long *snapshot.RecipeWriter
}

// recipe stores the bytes of a file: of a large one as a long list.
func (s *saver) recipe(data []byte) snapshot.Recipe {
	s.t.Helper()
	for part := range slices.Chunk(data, 300) {
		id, err := s.w.Save(s.t.Context(), blob.Text, part)
		must(s.t, err)
		must(s.t, s.long.Append(s.t.Context(), snapshot.Item{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: id, Size: uint32(len(part))}}))
	}
	out, err := s.long.Finish(s.t.Context())
	must(s.t, err)
	return out
}

// backup makes the snapshot of the n-th day, which has a file more than the one before.
func (f *fixture) backup(t *testing.T, n int64) {
	t.Helper()
	ctx, r := t.Context(), f.open(t, f.store)
	s, err := r.Begin(ctx, repo.SessionOptions{Intent: repo.Intent{Operation: "backup", Store: "mail", Host: "mx"}, Compression: repo.Fastest})
	must(t, err)
	w, err := s.NewWriter()
	must(t, err)
	sv := &saver{t: t, w: w, long: snapshot.NewRecipeWriter(w, r.PieceKey(), 1)}
	b := snapshot.NewBuilder(w, r.PieceKey())
	f.files[n] = map[string][]byte{}
	// A folder may be alone on a page, and be lost with it.
	must(t, b.Add(ctx, "", &snapshot.Entry{Kind: snapshot.Dir, Mode: 0o755}))
	f.files[n][""] = []byte(folder)
	for _, who := range []string{"alice", "bob", "carol"} {
		for i := range 70 {
			f.add(t, sv, b, n, fmt.Sprintf("%s/cur/%03d", who, i), 400)
		}
		must(t, w.Flush(ctx))
	}
	f.add(t, sv, b, n, "mail/box", 90_000) // with a long recipe
	f.add(t, sv, b, n, fmt.Sprintf("new/%d", n), 500)
	rec := snapshot.Snapshot{Store: "mail", Host: "mx", Started: snapshot.Time{Sec: n}, Ended: snapshot.Time{Sec: n + 1}, Tags: []string{"kept"}}
	rec.Tree, err = b.Finish(ctx)
	must(t, err)
	m := snapshot.NewMailboxBuilder(w, r.PieceKey())
	for _, who := range []string{"alice", "bob", "carol"} {
		must(t, m.Add(ctx, &snapshot.Mailbox{Name: who, Component: "messages", Ranges: []snapshot.Range{snapshot.Subtree(snapshot.Key(who))}}))
	}
	rec.Mailboxes, err = m.Finish(ctx)
	must(t, err)
	must(t, w.Flush(ctx))
	must(t, s.Commit(ctx, func(int64) ([]byte, error) { return rec.Encode() }))
}

func (f *fixture) add(t *testing.T, sv *saver, b *snapshot.Builder, n int64, name string, size int) {
	t.Helper()
	data := make([]byte, size)
	var seed [32]byte
	copy(seed[:], name)
	rand.NewChaCha8(seed).Read(data)
	f.files[n][name] = data
	e := snapshot.Entry{Kind: snapshot.File, Mode: 0o600, Size: uint64(size), Messages: 1, Recipe: sv.recipe(data), Mtime: snapshot.Time{Sec: 7}}
	key, err := snapshot.KeyOf(name)
	must(t, err)
	must(t, b.Add(t.Context(), key, &e))
}

// clone returns a copy of the repository.
func (f *fixture) clone(t *testing.T) *mem.Store {
	t.Helper()
	c := mem.New()
	must(t, f.store.List(t.Context(), "", func(name string, _ int64) error {
		data, err := f.store.Get(t.Context(), name, 0, -1, nil)
		must(t, err)
		return c.Put(t.Context(), name, data)
	}))
	return c
}

// packs returns the packs of a storage, by name.
func packs(t *testing.T, store storage.Store) (ids []blob.ID, sizes []int64) {
	t.Helper()
	var names []string
	must(t, store.List(t.Context(), "packs/", func(name string, _ int64) error { names = append(names, name); return nil }))
	slices.Sort(names)
	for _, name := range names {
		id, err := blob.ParseID(path.Base(name))
		must(t, err)
		data, err := store.Get(t.Context(), name, 0, -1, nil)
		must(t, err)
		ids, sizes = append(ids, id), append(sizes, int64(len(data)))
	}
	return ids, sizes
}

// spoil damages a byte of a pack; at < 0 removes it.
func spoil(t *testing.T, store storage.Store, id blob.ID, at int64) {
	t.Helper()
	name := repo.PackName(id)
	data, err := store.Get(t.Context(), name, 0, -1, nil)
	must(t, err)
	must(t, store.Delete(t.Context(), name))
	if at >= 0 {
		data[at] ^= 8
		must(t, store.Put(t.Context(), name, data))
	}
}

// folder stands for the content of a folder.
const folder = "a folder"

// contents reads a snapshot: what each file holds, "lost" for those that it lists
// as lost, and nothing of those that cannot be read.
func contents(t *testing.T, r *repo.Repository, tree snapshot.Root) map[string]string {
	t.Helper()
	out := map[string]string{}
	for rec, err := range snapshot.OpenTree(r, tree).All(t.Context(), snapshot.Range{}) {
		if err != nil {
			continue
		}
		switch e := rec.Entry; {
		case e.Kind == snapshot.Unsaved && strings.HasPrefix(e.Reason, "lost in the repository"):
			out[rec.Key.Path()] = "lost"
		case e.Kind == snapshot.Dir:
			out[rec.Key.Path()] = folder
		case e.Kind == snapshot.File:
			if data, err := fileOf(t.Context(), r, &e.Recipe); err == nil {
				out[rec.Key.Path()] = string(data)
			}
		}
	}
	return out
}

func fileOf(ctx context.Context, r *repo.Repository, recipe *snapshot.Recipe) (data []byte, err error) {
	for it, err := range snapshot.Items(ctx, r, recipe, 0) {
		if err != nil {
			return nil, err
		}
		places, err := r.Places(ctx, []blob.ID{it.Piece.ID})
		if err != nil || places[0].Size == 0 {
			return nil, errors.Join(err, errors.New("missing"))
		}
		raw, err := r.Clump(ctx, nil, places[0].Clump)
		if err != nil {
			return nil, err
		}
		piece, err := r.Piece(raw, it.Piece.ID, places[0])
		if err != nil {
			return nil, err
		}
		data = append(data, piece...)
	}
	return data, nil
}

// snapshots returns the records of all snapshots, by their times.
func snapshots(t *testing.T, r *repo.Repository) map[int64]*snapshot.Snapshot {
	t.Helper()
	out := map[int64]*snapshot.Snapshot{}
	all, err := r.Snapshots(t.Context(), nil)
	must(t, err)
	for _, o := range all {
		rec, err := snapshot.DecodeSnapshot(o.Payload)
		must(t, err)
		if out[rec.Started.Sec] != nil {
			t.Errorf("there are two snapshots of time %d", rec.Started.Sec)
		}
		out[rec.Started.Sec] = rec
	}
	return out
}

// readable returns what can be read of each snapshot.
func (f *fixture) readable(t *testing.T, store storage.Store) map[int64]map[string]string {
	t.Helper()
	r := f.open(t, store)
	out := map[int64]map[string]string{}
	for at, rec := range snapshots(t, r) {
		out[at] = contents(t, r, rec.Tree)
	}
	return out
}

// wantRepaired checks a repaired repository against what could be read before: that
// is there, all else is listed as lost, and nothing is missing.
func (f *fixture) wantRepaired(t *testing.T, store storage.Store, before map[int64]map[string]string) {
	t.Helper()
	r := f.open(t, store)
	report, err := verify.Check(t.Context(), r, verify.Options{NoMark: true})
	must(t, err)
	for _, found := range report.Findings {
		if found.Lost.Files.Count+found.Lost.Snapshots.Count+found.Lost.Mailboxes.Count > 0 {
			t.Errorf("after the repair this is lost: %+v", found)
		}
	}
	all := snapshots(t, r)
	if len(all) != 2 {
		t.Errorf("there are %d snapshots", len(all))
	}
	for at, rec := range all {
		got := contents(t, r, rec.Tree)
		for name, want := range before[at] {
			if got[name] != want {
				t.Errorf("snapshot %d: %s could be read before, and cannot be now", at, name)
			}
		}
		lost := 0
		for name, what := range got {
			if what == "lost" {
				lost++
			} else if what != string(f.files[at][name]) {
				t.Errorf("snapshot %d: %s has other bytes", at, name)
			}
		}
		repaired := rec.Repaired != [16]byte{}
		whole := len(before[at]) == len(f.files[at])
		if repaired == whole || lost == 0 != whole || rec.Tree.Counts.Unsaved != uint64(lost) || rec.Incomplete != repaired || rec.Store != "mail" || len(rec.Tags) != 1 || rec.Ended.Sec != at+1 {
			t.Errorf("snapshot %d, %d files of %d before, has lost %d: %+v", at, len(before[at]), len(f.files[at]), lost, rec)
		}
	}
}

// Whatever is lost, each snapshot says so afterwards, and the rest is there.
func TestSnapshots(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	ids, _ := packs(t, f.store)
	r := f.open(t, f.store)
	for p, id := range ids {
		data, err := f.store.Get(t.Context(), repo.PackName(id), 0, -1, nil)
		must(t, err)
		clumps, err := r.Directory(t.Context(), id, int64(len(data)))
		must(t, err)
		places := []int64{-1}
		for _, c := range clumps {
			places = append(places, int64(c.Offset+c.Length/2))
		}
		if testing.Short() {
			places = places[:min(len(places), 3)]
		}
		for _, at := range places {
			t.Run(fmt.Sprintf("pack %d at %d", p, at), func(t *testing.T) {
				store := f.clone(t)
				spoil(t, store, id, at)
				_, err := verify.Check(t.Context(), f.open(t, store), verify.Options{ReadData: true})
				must(t, err)
				before := f.readable(t, store)
				report, err := repair.Snapshots(t.Context(), f.open(t, store), repair.Options{User: "root"})
				must(t, err)
				f.wantRepaired(t, store, before)
				var lost int
				for at, files := range f.files {
					if len(files) != len(before[at]) {
						lost++
					}
				}
				if report.Snapshots != 2 || len(report.Repaired) != lost || len(report.Unreadable) > 0 {
					t.Errorf("%d snapshots have lost something; %+v", lost, report)
				}
				again, err := repair.Snapshots(t.Context(), f.open(t, store), repair.Options{})
				must(t, err)
				if len(again.Repaired) > 0 {
					t.Errorf("the second time: %+v", again)
				}
			})
		}
	}
}

// A snapshot whose list of mailboxes was lost has an empty one. When that is lost in
// turn, the snapshot gets another.
func TestEmptyMapOfMailboxesIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	for range 2 {
		must(t, f.store.List(t.Context(), "packs/", func(name string, _ int64) error { return f.store.Delete(t.Context(), name) }))
		_, err := f.open(t, f.store).RepairPacks(t.Context(), nil, repo.RepairOptions{Force: true})
		must(t, err)
		_, err = repair.Snapshots(t.Context(), f.open(t, f.store), repair.Options{Force: true})
		must(t, err)
		report, err := verify.Check(t.Context(), f.open(t, f.store), verify.Options{ReadData: true})
		must(t, err)
		if len(report.Findings) > 0 {
			t.Fatalf("after the repair: %+v", report.Findings)
		}
	}
}

// Where neither packs nor an index are there, as where a disk is not mounted or a copy has not
// ended, nothing is given up, and when they are back nothing is lost. So it is where there is
// but one pack, be it in the index.
func TestNothingIsThere(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	ids, _ := packs(t, f.store)
	for _, keep := range []int{0, 1} {
		store, away := f.clone(t), f.clone(t)
		must(t, store.List(t.Context(), "", func(name string, _ int64) error {
			part, _ := repo.PartOf(name)
			if part == repo.Indexes || part == repo.Packs && (keep == 0 || name != repo.PackName(ids[0])) {
				return store.Delete(t.Context(), name)
			}
			return nil
		}))
		if _, err := f.open(t, store).RepairIndex(t.Context(), repo.RepairOptions{}); errors.Is(err, repo.ErrMostGone) != (keep == 0) {
			t.Errorf("repairing the index with %d packs: %v", keep, err)
		}
		if _, err := f.open(t, store).RepairPacks(t.Context(), nil, repo.RepairOptions{}); errors.Is(err, repo.ErrMostGone) != (keep == 0) {
			t.Errorf("repairing packs with %d packs: %v", keep, err)
		}
		if _, err := repair.Snapshots(t.Context(), f.open(t, store), repair.Options{}); !errors.Is(err, repo.ErrMostGone) {
			t.Errorf("repairing snapshots with %d packs: %v", keep, err)
		}
		must(t, away.List(t.Context(), "", func(name string, _ int64) error {
			data, err := away.Get(t.Context(), name, 0, -1, nil)
			if err == nil {
				err = store.Put(t.Context(), name, data)
			}
			if errors.Is(err, storage.ErrExists) {
				err = nil
			}
			return err
		}))
		f.wantRepaired(t, store, f.readable(t, f.store))
	}
}

// What is lost is told by mailbox.
func TestLostByMailbox(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	store := f.clone(t)
	r := f.open(t, store)
	ids, sizes := packs(t, store)
	for i, id := range ids {
		clumps, err := r.Directory(t.Context(), id, sizes[i])
		must(t, err)
		if len(clumps) > 2 && clumps[1].Class == blob.Text { // the clump of bob's
			spoil(t, store, id, int64(clumps[1].Offset)+20)
		}
	}
	_, err := verify.Check(t.Context(), f.open(t, store), verify.Options{ReadData: true})
	must(t, err)
	report, err := repair.Snapshots(t.Context(), f.open(t, store), repair.Options{})
	must(t, err)
	if len(report.Repaired) != 2 {
		t.Fatalf("%+v", report)
	}
	for _, s := range report.Repaired {
		if l := s.Lost; l.Files != 70 || len(l.First) != 10 || l.First[0] != "bob/cur/000" || len(l.Mailboxes) != 1 || l.Mailboxes[0] != (repair.MailboxLost{Name: "bob", Files: 70}) {
			t.Errorf("%+v", l)
		}
	}
}

// A later backup of the same is whole, and heals snapshots that were not repaired.
func TestBackupHeals(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	store := f.clone(t)
	ids, _ := packs(t, store)
	for _, id := range ids {
		spoil(t, store, id, 1300)
	}
	_, err := verify.Check(t.Context(), f.open(t, store), verify.Options{ReadData: true})
	must(t, err)
	if got := f.readable(t, store); len(got[1])+len(got[2]) == len(f.files[1])+len(f.files[2]) {
		t.Fatal("nothing is lost")
	}
	whole := f.store
	f.store = store
	files := f.files
	f.files = map[int64]map[string][]byte{}
	f.backup(t, 1)
	f.backup(t, 2)
	f.store, f.files = whole, files
	r := f.open(t, store)
	all, err := r.Snapshots(t.Context(), nil)
	must(t, err)
	for _, o := range all {
		rec, err := snapshot.DecodeSnapshot(o.Payload)
		must(t, err)
		got := contents(t, r, rec.Tree)
		for name, want := range f.files[rec.Started.Sec] {
			if got[name] != string(want) {
				t.Errorf("%s of snapshot %d cannot be read", name, rec.Started.Sec)
			}
		}
	}
}

// damage spoils what both snapshots need, notes that, and returns what can be read.
func (f *fixture) damage(t *testing.T) map[int64]map[string]string {
	t.Helper()
	ids, sizes := packs(t, f.store)
	for i, id := range ids {
		clumps, err := f.open(t, f.store).Directory(t.Context(), id, sizes[i])
		must(t, err)
		if len(clumps) > 2 && clumps[0].Class == blob.Text {
			spoil(t, f.store, id, int64(clumps[0].Offset)+20)
		}
	}
	_, err := verify.Check(t.Context(), f.open(t, f.store), verify.Options{ReadData: true})
	must(t, err)
	return f.readable(t, f.store)
}

// What one read gets wrong, or does not get, is not lost: no more is listed as lost than is.
func TestReadsThatFailOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	before := f.damage(t)
	step := 13 // of each a few; the long form of internal/torture/faults takes all of many more
	if testing.Short() {
		step = 50
	}
	for _, outcome := range []faulty.Outcome{faulty.Garbled, faulty.NotApplied} {
		for k := 0; ; k += step {
			inner := f.clone(t)
			store := faulty.New(inner)
			r := f.open(t, store)
			store.Arm(faulty.Fault{Ops: faulty.Get, Call: k, Outcome: outcome})
			_, err := repair.Snapshots(t.Context(), r, repair.Options{})
			if !store.Fired() {
				must(t, err)
				if k < 50 {
					t.Errorf("there were only %d reads", k)
				}
				break
			}
			if err != nil { // then all is done by the next run
				endSessions(t, inner)
				_, err = repair.Snapshots(t.Context(), f.open(t, inner), repair.Options{})
				must(t, err)
			}
			f.wantRepaired(t, inner, before)
			if t.Failed() {
				t.Fatalf("read %d, outcome %d", k, outcome)
			}
		}
	}
}

// Whatever fails, and whenever: what could be read can be read, and the next run
// brings all in order.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("it repairs hundreds of repositories, one after the other")
	}
	f := newFixture(t)
	before := f.damage(t)
	f.hold(t)
	for _, outcome := range []faulty.Outcome{faulty.NotApplied, faulty.Applied} {
		for k := 0; ; k++ {
			inner := f.clone(t)
			store := faulty.New(inner)
			r := f.open(t, store)
			store.Arm(faulty.Fault{Ops: faulty.Changes, Call: k, Outcome: outcome, Dead: true})
			_, err := repair.Snapshots(t.Context(), r, repair.Options{})
			if fired := store.Fired(); !fired {
				must(t, err)
				if k < 8 {
					t.Errorf("there were only %d changes", k)
				}
				break
			}
			f.wantHeld(t, inner)
			endSessions(t, inner)
			_, err = repair.Snapshots(t.Context(), f.open(t, inner), repair.Options{})
			must(t, err)
			f.wantRepaired(t, inner, before)
			f.wantHeld(t, inner)
		}
	}
}

// until is when the hold of the first day's snapshot ends; that of the second has no end.
var until = time.Now().Add(1000 * time.Hour).Truncate(time.Second)

// hold holds both snapshots.
func (f *fixture) hold(t *testing.T) {
	t.Helper()
	r := f.open(t, f.store)
	all, err := r.Snapshots(t.Context(), nil)
	must(t, err)
	for _, o := range all {
		rec, err := snapshot.DecodeSnapshot(o.Payload)
		must(t, err)
		h := repo.Hold{Snapshot: o.ID, Reason: fmt.Sprint("case ", rec.Started.Sec), By: "clerk"}
		if rec.Started.Sec == 1 {
			h.Until = until
		}
		_, err = r.Hold(t.Context(), h)
		must(t, err)
	}
}

// wantHeld checks that of each day a snapshot is held as hold did.
func (f *fixture) wantHeld(t *testing.T, store storage.Store) {
	t.Helper()
	r := f.open(t, store)
	holds := map[seal.Session]repo.Hold{}
	must(t, r.EachHold(t.Context(), func(h repo.Hold, err error) error { holds[h.Snapshot] = h; return err }))
	all, err := r.Snapshots(t.Context(), nil)
	must(t, err)
	held := map[int64]bool{}
	for _, o := range all {
		rec, err := snapshot.DecodeSnapshot(o.Payload)
		must(t, err)
		n, h := rec.Started.Sec, holds[o.ID]
		held[n] = held[n] || h.Reason == fmt.Sprint("case ", n) && h.By == "clerk" && h.Until.Equal(until) == (n == 1)
	}
	if !held[1] || !held[2] {
		t.Errorf("of the days %v are held", held)
	}
}

// A snapshot takes over the hold of the one in whose place it is: one that is damaged
// as well, and none that is over.
func TestHolds(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	f.damage(t)
	f.hold(t)
	r := f.open(t, f.store)
	var names []string
	must(t, r.EachHold(t.Context(), func(h repo.Hold, err error) error {
		if !h.Until.IsZero() {
			h.Until = time.Unix(1, 0)
			_, err := r.Hold(t.Context(), h)
			return err
		}
		names = append(names, h.Name())
		return err
	}))
	data, err := f.store.Get(t.Context(), names[0], 0, -1, nil)
	must(t, err)
	must(t, f.store.Delete(t.Context(), names[0]))
	data[len(data)-1] ^= 1
	must(t, f.store.Put(t.Context(), names[0], data))
	report, err := repair.Snapshots(t.Context(), f.open(t, f.store), repair.Options{User: "root"})
	must(t, err)
	held := map[string]bool{}
	for _, s := range report.Repaired {
		if h := s.Hold; h != nil {
			held[s.New] = true
			if !strings.Contains(names[0], s.Old) || h.Reason != "the hold of snapshot "+s.Old+" was damaged; what it said is not known" || h.By != "root" || h.Until != "" {
				t.Errorf("%s has the hold %+v", s.Old, h)
			}
		}
	}
	if len(held) != 1 {
		t.Errorf("%+v", report.Repaired)
	}
	must(t, r.EachHold(t.Context(), func(h repo.Hold, err error) error {
		if held[h.Snapshot.String()] && err == nil && h.Active(time.Now()) {
			delete(held, h.Snapshot.String())
		}
		return nil
	}))
	if len(held) > 0 {
		t.Error("the new snapshot is not held")
	}
}

// endSessions takes away intents whose process, which is this one, is taken for dead.
func endSessions(t *testing.T, store storage.Store) {
	t.Helper()
	var names []string
	must(t, store.List(t.Context(), "intents/", func(name string, _ int64) error { names = append(names, name); return nil }))
	for _, name := range names {
		if _, err := store.Get(t.Context(), "snapshots/"+path.Base(name), 0, 1, nil); err != nil {
			must(t, store.Delete(t.Context(), name))
		}
	}
}

func TestRefused(t *testing.T) {
	f := newFixture(t)
	store := f.clone(t)
	file, recipient, err := seal.NewIdentity("writer")
	must(t, err)
	_, err = f.open(t, store).AddKey(t.Context(), seal.Writer, "mx1", func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) })
	must(t, err)
	owner := f.unlock
	f.unlock, err = seal.Identities(file)
	must(t, err)
	if _, err := repair.Snapshots(t.Context(), f.open(t, store), repair.Options{}); !errors.Is(err, repo.ErrCannotRead) {
		t.Errorf("with a writer's key: %v", err)
	}
	f.unlock = owner
	ids, _ := packs(t, store)
	for _, id := range ids[1:] {
		spoil(t, store, id, -1)
	}
	before := f.readable(t, store)
	if _, err := repair.Snapshots(t.Context(), f.open(t, store), repair.Options{}); !errors.Is(err, repo.ErrMostGone) {
		t.Errorf("most packs are gone: %v", err)
	}
	r := f.open(t, dryrun.New(store))
	report, err := repair.Snapshots(t.Context(), r, repair.Options{Force: true})
	must(t, err)
	if len(report.Repaired) != 2 || len(snapshots(t, f.open(t, store))) != 2 {
		t.Errorf("a dry run: %+v", report)
	}
	_, err = repair.Snapshots(t.Context(), f.open(t, store), repair.Options{Force: true})
	must(t, err)
	f.wantRepaired(t, store, before)
}

// What cannot be read, and is not known to be damaged, is not lost: nothing is
// repaired as long as there is such, whatever else is damaged.
func TestUnreadable(t *testing.T) {
	f := newFixture(t)
	base := f.clone(t)
	ids, _ := packs(t, base)
	spoil(t, base, ids[0], -1)
	names := []string{}
	must(t, base.List(t.Context(), "", func(name string, _ int64) error { names = append(names, name); return nil }))
	before := f.readable(t, base)
	refused := 0
	for _, name := range names {
		if !strings.HasPrefix(name, "packs/") && !strings.HasPrefix(name, "snapshots/") || name == repo.PackName(ids[0]) {
			continue
		}
		for _, why := range []error{fs.ErrPermission, syscall.EIO} {
			store := faulty.New(base)
			store.Refuse(name, why)
			if report, err := repair.Snapshots(t.Context(), f.open(t, store), repair.Options{Force: true}); err == nil {
				t.Errorf("while %s cannot be read: %+v", name, report)
			}
			refused++
		}
	}
	if after := f.readable(t, base); refused < 6 || !reflect.DeepEqual(after, before) {
		t.Errorf("after %d repairs that were refused it is another repository", refused)
	}
}

// A failing storage fails one read of one object.
type failing struct {
	storage.Store
	name  string
	after atomic.Int32 // so many reads of it succeed
}

func (s *failing) Get(ctx context.Context, name string, offset, length int64, buf []byte) ([]byte, error) {
	if name == s.name && s.after.Add(-1) == -1 {
		return nil, syscall.EIO
	}
	return s.Store.Get(ctx, name, offset, length, buf)
}

// Nor is anything taken for whole because a read of what is damaged failed: whichever it
// is, all is repaired, or an error says that it is not.
func TestUnreadableDamage(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	before := f.damage(t)
	ids, _ := packs(t, f.store)
	for _, id := range ids {
		for n := int32(0); ; n++ {
			inner := f.clone(t)
			store := &failing{Store: inner, name: repo.PackName(id)}
			store.after.Store(n)
			_, err := repair.Snapshots(t.Context(), f.open(t, store), repair.Options{})
			if err == nil {
				f.wantRepaired(t, inner, before)
			}
			if store.after.Load() >= 0 {
				must(t, err)
				break
			}
		}
	}
}

// A record that cannot be read is named, and left alone.
func TestUnreadableRecord(t *testing.T) {
	f := newFixture(t)
	store := f.clone(t)
	var name string
	must(t, store.List(t.Context(), "snapshots/", func(n string, _ int64) error { name = n; return nil }))
	data, err := store.Get(t.Context(), name, 0, -1, nil)
	must(t, err)
	must(t, store.Delete(t.Context(), name))
	must(t, store.Put(t.Context(), name, bytes.ReplaceAll(data, data[len(data)-9:], []byte("otherwise"))))
	report, err := repair.Snapshots(t.Context(), f.open(t, store), repair.Options{})
	must(t, err)
	if len(report.Unreadable) != 1 || report.Unreadable[0].Object != name || len(report.Repaired) > 0 || report.Snapshots != 2 {
		t.Errorf("%+v", report)
	}
}
