package gc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"restante/blob"
	"restante/gc"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/verify"
)

// What only a forgotten snapshot needed goes, the rest stays and is whole.
func TestPrune(t *testing.T) {
	f := newFixture(t)
	first := f.backup("a", "b")
	second := f.backup("b", "c")
	f.forget(first)
	packs := len(f.names("packs/"))
	report := f.mustPrune()
	// The tree of the first goes; its data pack has "b".
	if report.Deleted != 1 || report.Marked != 1 || report.DeletedBytes == 0 || len(f.names("packs/")) != packs-1 || len(report.Waiting) != 0 {
		t.Errorf("%+v", report)
	}
	f.sound(second)
	f.forget(second)
	if f.mustPrune(); len(f.names("packs/")) != 0 || len(f.names("index/")) != 0 || len(f.names("intents/")) != 0 || len(f.names("marks/")) != 1 {
		t.Errorf("there is left: %q", f.names(""))
	}
	f.sound()
	f.sound(f.backup("a", "b", "c"))
}

// A forgotten snapshot can be taken back as long as its tree is there. Its record
// stays for a day longer: until then a snapshot that is put late is forgotten.
func TestForgotten(t *testing.T) {
	f := newFixture(t)
	left := func() (n int) {
		err := f.open().EachForgotten(t.Context(), func(_ repo.ForgottenObject, err error) error { n++; return err })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	b := f.backup("a")
	f.forget(b)
	f.mustPrune(func(o *gc.Options) { o.MinAge = time.Hour })
	if left() != 1 {
		t.Error("a snapshot of which all is there cannot be taken back")
	}
	f.mustPrune()
	if left() != 0 || len(f.names("snapshots/")) != 0 || len(f.names("forgotten/")) != 1 {
		t.Errorf("of a snapshot that lost its tree there is left: %q", f.names(""))
	}
	f.mustPrune()
	f.now = f.now.Add(24*time.Hour - 1)
	if f.mustPrune(); len(f.names("forgotten/")) != 1 {
		t.Error("its record is gone before a day is over")
	}
	f.now = f.now.Add(1)
	if f.mustPrune(); len(f.names("forgotten/")) != 0 {
		t.Error("its record stays")
	}
	f.sound()
}

// A snapshot whose record is damaged keeps prune from deciding what is needed, until it
// is forgotten; then it goes.
func TestDamagedSnapshot(t *testing.T) {
	f := newFixture(t)
	kept, bad := f.backup("a"), f.backup("b")
	name := "snapshots/" + bad.s.ID().String()
	data, err := f.store.Get(t.Context(), name, 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	f.delete(name)
	if err := f.store.Store.Put(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
	packs := len(f.names("packs/"))
	if _, err := f.prune(); !errors.As(err, new(*repo.DamageError)) || len(f.names("packs/")) != packs {
		t.Errorf("with a damaged snapshot: %v", err)
	}
	f.forget(bad)
	if report := f.mustPrune(); report.Deleted != 2 || slices.Contains(f.names("snapshots/"), name) {
		t.Errorf("when it is forgotten: %+v, %q", report, f.names("snapshots/"))
	}
	f.sound(kept)
}

// A prune that fails when packs and marks have gone leaves forgotten snapshots to the next.
func TestForgottenLeftByAPrune(t *testing.T) {
	f := newFixture(t)
	kept, gone := f.backup("a"), f.backup("b")
	f.mustPrune() // the intents go
	f.forget(gone)
	ctx, cancel := context.WithCancel(t.Context())
	f.at("delete", "snapshots/", cancel)
	if _, err := gc.Prune(ctx, f.openWith(f.store, io.Discard), gc.Options{CacheDir: f.cache}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	f.store.before = nil
	if name := "snapshots/" + gone.s.ID().String(); !slices.Contains(f.names("snapshots/"), name) || len(f.names("packs/")) != 2 {
		t.Fatalf("there is left %q", f.names(""))
	}
	if f.mustPrune(); len(f.names("snapshots/")) != 1 {
		t.Errorf("there is left %q", f.names("snapshots/"))
	}
	f.sound(kept)
}

// takeBack takes a snapshot back as the command does.
func (f *fixture) takeBack(b *run) error {
	r := f.open()
	var record *snapshot.Snapshot
	err := r.EachForgotten(f.t.Context(), func(o repo.ForgottenObject, err error) error {
		if err == nil && o.ID == b.s.ID() {
			record, err = snapshot.DecodeSnapshot(o.Payload)
		}
		return err
	})
	if err != nil || record == nil {
		return errors.Join(err, errors.New("it is not forgotten"))
	}
	return r.Unforget(f.t.Context(), b.s.ID(), repo.Intent{Store: "mail", Host: "mx", Root: &b.root}, func(s *repo.Session) error {
		if err := gc.Rescue(f.t.Context(), r, s, record, f.cache); err != nil {
			return err
		}
		gone, err := verify.Complete(f.t.Context(), r, s, record)
		if err == nil && !gone.None() {
			err = fmt.Errorf("there is missing %+v", gone)
		}
		return err
	})
}

// What is marked can be taken back until it is deleted: it is stored again.
func TestUnforgetWhatIsMarked(t *testing.T) {
	f := newFixture(t)
	b, other := f.backup("a", "b", "c"), f.backup("b", "d")
	f.forget(b)
	if err := f.takeBack(b); err != nil {
		t.Fatal(err)
	}
	f.forget(b)
	grace := func(o *gc.Options) { o.Grace, o.MaxUnused = 24*time.Hour, 0 }
	if report := f.mustPrune(grace); report.Marked == 0 || report.Deleted > 0 {
		t.Fatalf("%+v", report)
	}
	if err := f.takeBack(b); err != nil {
		t.Fatal(err)
	}
	f.sound(b, other)
	f.now = f.now.Add(25 * time.Hour)
	if report := f.mustPrune(grace); report.Deleted == 0 {
		t.Errorf("what was marked stays: %+v", report)
	}
	f.sound(b, other)

	f.forget(b)
	f.mustPrune(grace)
	f.now = f.now.Add(25 * time.Hour)
	f.mustPrune(grace)
	if err := f.takeBack(b); err == nil {
		t.Error("what is deleted was taken back")
	}
	f.sound(other)
}

// A snapshot that is being taken back while the packs that were marked are deleted stays: what
// of it was stored again may not be named yet. Here all was gone before that, and it stays forgotten.
func TestUnforgetWhileDeleting(t *testing.T) {
	f := newFixture(t)
	b := f.backup("a")
	f.forget(b)
	f.mustPrune(func(o *gc.Options) { o.Grace = 24 * time.Hour })
	f.now = f.now.Add(25 * time.Hour)
	began, pruned, ended := make(chan bool), make(chan bool), make(chan error)
	f.at("delete", "index/", func() { // it has listed sessions, and has not deleted anything
		go func() {
			r := f.open()
			ended <- r.Unforget(t.Context(), b.s.ID(), repo.Intent{Store: "mail", Host: "mx", Root: &b.root}, func(*repo.Session) error {
				if _, err := r.LoadPage(t.Context(), b.root.ID); err != nil {
					t.Error(err)
				}
				close(began)
				<-pruned
				return errors.New("it stays forgotten")
			})
		}()
		<-began
	})
	if report := f.mustPrune(func(o *gc.Options) { o.Grace = 24 * time.Hour }); report.Deleted == 0 {
		t.Fatalf("%+v", report)
	}
	name := "snapshots/" + b.s.ID().String()
	if !slices.Contains(f.names("snapshots/"), name) {
		t.Error("a snapshot that is being taken back was removed")
	}
	close(pruned)
	<-ended
	f.mustPrune()
	if f.mustPrune(); slices.Contains(f.names("snapshots/"), name) {
		t.Error("it stays when its session has ended")
	}
	f.sound()
}

// A snapshot that is being taken back while its packs are marked stays, and they do.
func TestUnforgetWhilePruning(t *testing.T) {
	f := newFixture(t)
	b := f.backup("a")
	f.forget(b)
	began, pruned, ended := make(chan bool), make(chan bool), make(chan error)
	f.at("put", "marks/", func() {
		r := f.open()
		go func() {
			ended <- r.Unforget(t.Context(), b.s.ID(), repo.Intent{Store: "mail", Host: "mx", Root: &b.root}, func(*repo.Session) error {
				close(began) // it has found all there
				<-pruned
				return nil
			})
		}()
		<-began
	})
	if report := f.mustPrune(); report.Marked != 2 || report.Deleted != 0 {
		t.Errorf("%+v", report)
	}
	close(pruned)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	f.sound(b)
}

// A clock that is set back makes things wait for as long as ever, and no longer.
func TestClockSetBack(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	f.mustPrune(grace(24 * time.Hour))
	f.now = f.now.AddDate(-1, 0, 0)
	if report := f.mustPrune(grace(24 * time.Hour)); report.Deleted != 0 {
		t.Errorf("%+v", report)
	}
	f.now = f.now.Add(24 * time.Hour)
	if report := f.mustPrune(grace(24 * time.Hour)); report.Deleted != 2 {
		t.Errorf("a day later: %+v", report)
	}
}

// Nothing is written where there is nothing to do.
func TestNothingToDo(t *testing.T) {
	f := newFixture(t)
	b := f.backup("a")
	f.mustPrune() // the intent goes
	before := len(f.names(""))
	f.store.calls = nil
	if report := f.mustPrune(); report.Marked+report.Deleted != 0 || len(f.names("")) != before {
		t.Errorf("%+v", report)
	}
	f.sound(b)
}

// A pack stays marked for the time of grace, by this machine's own clock, and
// counts as not stored meanwhile.
func TestGrace(t *testing.T) {
	f := newFixture(t)
	first := f.backup("a")
	f.forget(first)
	for _, step := range []struct {
		after   time.Duration
		deleted uint64
	}{{0, 0}, {23 * time.Hour, 0}, {59 * time.Minute, 0}, {time.Minute, 2}} {
		f.now = f.now.Add(step.after)
		report := f.mustPrune(grace(24 * time.Hour))
		if report.Deleted != step.deleted {
			t.Errorf("after %v: %+v", step.after, report)
		}
		if step.deleted == 0 && (len(report.Waiting) != 1 || report.Waiting[0].Why != "grace" || report.Waiting[0].Packs != 2) {
			t.Errorf("after %v: %+v", step.after, report.Waiting)
		}
	}
	if left := f.names("packs/"); len(left) != 0 {
		t.Errorf("there are %q", left)
	}
}

// The age of a pack counts before it is marked.
func TestMinAge(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	aged := func(o *gc.Options) { o.MinAge = time.Hour }
	if report := f.mustPrune(aged); report.Marked != 0 || len(report.Waiting) != 1 || report.Waiting[0].Why != "age" || !report.Waiting[0].Until.Equal(f.now.Add(time.Hour)) {
		t.Errorf("%+v", report)
	}
	f.now = f.now.Add(time.Hour)
	if report := f.mustPrune(aged); report.Deleted != 2 {
		t.Errorf("%+v", report)
	}
}

// What an interrupted session stored stays for the next one, for a while.
func TestLeftOfInterruptedSessions(t *testing.T) {
	f := newFixture(t)
	b := f.begin(nil).add("a")
	if err := errors.Join(b.w.Flush(t.Context()), b.s.Abandon(t.Context())); err != nil {
		t.Fatal(err)
	}
	left := func(o *gc.Options) { o.MinAgeLeft = 7 * 24 * time.Hour }
	packs := uint64(len(f.names("packs/"))) // two where the key cuts the tree behind "a"
	f.forget(f.backup("z"))
	for range 7 {
		report := f.mustPrune(left)
		if uint64(len(f.names("packs/"))) != packs || len(report.Waiting) != 1 || report.Waiting[0].Why != "age" || report.Waiting[0].Packs != packs {
			t.Fatalf("%+v", report)
		}
		f.now = f.now.AddDate(0, 0, 1)
	}
	if report := f.mustPrune(left); report.Deleted != packs || len(f.names("snapshots/")) != 0 {
		t.Errorf("%+v, %q", report, f.names(""))
	}
}

// slowly has the clock go on with each page that is read, and each pack that is deleted,
// and stops prunes after an hour.
func (f *fixture) slowly(d time.Duration) func(*gc.Options) {
	return func(o *gc.Options) {
		o.MaxDuration = time.Hour
		o.Done = func(objects, _ uint64) { f.now = f.now.Add(time.Duration(objects) * d) }
	}
}

// After its time a prune begins nothing more, and the next one goes on.
func TestMaxDuration(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a", "b"))
	f.forget(f.backup("c"))
	kept := f.backup("d")
	for n := range 6 {
		report := f.mustPrune(f.slowly(31 * time.Minute))
		f.sound(kept)
		if report.Deleted > 2 {
			t.Errorf("in an hour it deleted %d packs", report.Deleted)
		}
		if left := len(f.names("packs/")); left == 2 && !report.Stopped {
			if n == 0 {
				t.Error("all was done at once")
			}
			return
		}
	}
	t.Errorf("there are left %q", f.names(""))
}

// A prune whose time is over while it reads pages has decided nothing, and the next
// one does not read them again.
func TestMaxDurationWhileReading(t *testing.T) {
	f := newFixture(t)
	var kept []*run
	for i := range 8 {
		kept = append(kept, f.backup(fmt.Sprint("kept", i)))
	}
	gone := f.backup("gone")
	f.forget(gone)
	f.mustPrune(grace(1)) // so that there are marks
	pages := uint64(0)
	for n := range 50 {
		read := uint64(0)
		report := f.mustPrune(f.slowly(10*time.Minute), func(o *gc.Options) {
			slow := o.Done
			o.Done = func(objects, bytes uint64) {
				read += objects
				slow(objects, bytes)
			}
		})
		f.sound(kept...)
		if read -= report.Deleted; read > 6 {
			t.Errorf("in an hour it read %d pages", read)
		}
		pages += read
		left, _ := filepath.Glob(filepath.Join(f.cache, "*", "prune", "pages"))
		if report.Deleted == 0 {
			if !report.Stopped || len(left) != 1 {
				t.Fatalf("%+v, and there is the memo %q", report, left)
			}
			continue
		}
		if n < 2 || pages > report.Pages || report.Pages < 16 || (left != nil) != report.Stopped {
			t.Errorf("after %d runs and %d pages: %+v, and there is the memo %q", n, pages, report, left)
		}
		return
	}
	t.Error("it comes to no end")
}

// A memo of pages that is damaged or cut off says less, and nothing wrong.
func TestDamagedPageMemo(t *testing.T) {
	f := newFixture(t)
	first, second := f.backup("a", "b"), f.backup("b", "c")
	f.forget(first)
	if report := f.mustPrune(f.slowly(31 * time.Minute)); !report.Stopped {
		t.Fatalf("%+v", report)
	}
	paths, err := filepath.Glob(filepath.Join(f.cache, "*", "prune", "pages"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%q, %v", paths, err)
	}
	whole, err := os.ReadFile(paths[0])
	if err != nil || len(whole) < 100 {
		t.Fatalf("the memo has %d bytes, %v", len(whole), err)
	}
	base := f.copyOf()
	for at := 0; at < len(whole); at += 23 {
		flipped := slices.Clone(whole)
		flipped[at] ^= 0x10
		for _, memo := range [][]byte{whole[:at], flipped} {
			if err := os.WriteFile(paths[0], memo, 0o600); err != nil {
				t.Fatal(err)
			}
			f.store = &hooked{Store: base}
			f.store = &hooked{Store: f.copyOf()} // of the base
			report := f.mustPrune(func(o *gc.Options) { o.MaxDuration = time.Hour })
			if report.Stopped || report.Deleted != 1 || report.Missing != 0 {
				t.Fatalf("at byte %d: %+v", at, report)
			}
			if at%230 == 0 {
				f.sound(second)
			}
		}
	}
}

func TestDryRun(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	before := f.names("")
	report := f.mustPrune(func(o *gc.Options) { o.DryRun = true })
	if after := f.names(""); len(after) != len(before) || report.Marked != 2 || report.Deleted != 2 {
		t.Errorf("%+v, %q", report, after)
	}
}

// Where all snapshots are gone, and with them each trace of a session, nothing is
// deleted unless that is wanted.
func TestNoSnapshots(t *testing.T) {
	f := newFixture(t)
	f.mustPrune() // of what is empty
	f.backup("a")
	f.mustPrune()
	for _, name := range f.names("snapshots/") {
		if err := f.store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	before := f.names("packs/")
	if _, err := f.prune(); !errors.Is(err, gc.ErrNoSnapshots) || !slices.Equal(f.names("packs/"), before) {
		t.Errorf("%v left of %q %q", err, before, f.names("packs/"))
	}
	f.mustPrune(func(o *gc.Options) { o.Force = true })
	if left := f.names("packs/"); len(left) > 0 {
		t.Errorf("with force there is left %q", left)
	}
}

// A writer's key prunes nothing.
func TestOwnerOnly(t *testing.T) {
	f := newFixture(t)
	file, recipient, err := seal.NewIdentity("a writer")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.open().AddKey(t.Context(), seal.Writer, "writer", func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) })
	if err != nil {
		t.Fatal(err)
	}
	if f.unlock, err = seal.Identities(file); err != nil {
		t.Fatal(err)
	}
	if _, err := f.prune(); !errors.Is(err, repo.ErrOwnerOnly) {
		t.Errorf("with a writer's key: %v", err)
	}
}

// note notes packs as damaged, all that a session has stored but for its tree.
func (f *fixture) note(b *run) {
	f.t.Helper()
	_, err := f.open().NoteDamage(f.t.Context(), func(all map[blob.ID]repo.Damage) {
		for _, name := range f.names("packs/") {
			data, err := f.store.Get(f.t.Context(), name, 0, seal.HeaderSize, nil)
			if err != nil {
				f.t.Fatal(err)
			}
			id := packID(f.t, name)
			if h, err := seal.ParseHeader(data); err == nil && h.Session == b.s.ID() && h.Kind == seal.KindDataPack {
				all[id] = repo.Damage{Pack: id, Whole: true}
			}
		}
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// A record of damage goes when its packs have gone.
func TestRecordsOfDamage(t *testing.T) {
	f := newFixture(t)
	kept, gone := f.backup("a"), f.backup("b")
	f.note(gone)
	if f.mustPrune(); len(f.names("damaged/")) != 1 {
		t.Error("it goes while its pack is there")
	}
	f.forget(gone)
	if f.mustPrune(); len(f.names("damaged/")) != 0 {
		t.Error("it stays when its pack has gone")
	}
	f.sound(kept)
}

// Of two copies of a piece, of which one is noted as damaged, the other one is kept,
// also where its pack is damaged, too, but elsewhere.
func TestDamagedCopiesAreNotKept(t *testing.T) {
	for _, both := range []bool{false, true} {
		for first := range 2 {
			f := newFixture(t)
			runs := []*run{f.begin(nil), f.begin(nil)}
			for _, b := range runs {
				for _, path := range []string{"a", "b"} { // a clump each
					b.add(path)
					if err := b.w.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				b.commit()
			}
			f.spoil(runs[first], "a")
			if both {
				f.spoil(runs[1-first], "b")
			}
			if _, err := verify.Check(t.Context(), f.open(), verify.Options{ReadData: true}); err != nil {
				t.Fatal(err)
			}
			for _, percent := range []float64{100, 0} {
				if _, err := gc.Prune(t.Context(), f.openWith(f.store, io.Discard), gc.Options{CacheDir: f.cache, MaxUnused: percent}); err != nil {
					t.Fatal(err)
				}
				report, err := verify.Check(t.Context(), f.open(), verify.Options{ReadData: true})
				if err != nil {
					t.Fatal(err)
				}
				for _, b := range runs {
					if report.Loses(b.s.ID().String()) {
						t.Fatalf("damaged in both: %t, the %d. first: a prune has lost something: %+v", both, first, report.Findings)
					}
				}
			}
		}
	}
}

// spoil damages a file's piece in the pack that a session has stored.
func (f *fixture) spoil(b *run, path string) {
	f.t.Helper()
	r := f.open()
	for _, name := range f.names("packs/") {
		data, err := f.store.Get(f.t.Context(), name, 0, -1, nil)
		if err != nil {
			f.t.Fatal(err)
		}
		if h, err := seal.ParseHeader(data); err != nil || h.Session != b.s.ID() || h.Kind != seal.KindDataPack {
			continue
		}
		clumps, err := r.Directory(f.t.Context(), packID(f.t, name), int64(len(data)))
		if err != nil {
			f.t.Fatal(err)
		}
		for _, c := range clumps {
			if c.Pieces[0].ID == f.id(path) {
				data[c.Offset+7] ^= 1
			}
		}
		f.delete(name)
		if err := f.store.Store.Put(f.t.Context(), name, data); err != nil {
			f.t.Fatal(err)
		}
	}
}

// packID returns what a pack is called.
func packID(t *testing.T, name string) blob.ID {
	t.Helper()
	id, err := blob.ParseID(path.Base(name))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// It stays while a session is open, which may have found something in that pack.
func TestRecordsOfDamageAndSessions(t *testing.T) {
	f := newFixture(t)
	gone := f.backup("a")
	f.forget(gone)
	f.mustPrune(grace(1))
	b := f.begin(nil).add("b") // it has seen the mark
	f.note(gone)
	if report := f.mustPrune(); report.Deleted == 0 || len(f.names("damaged/")) != 1 {
		t.Errorf("beside a session: %q, %+v", f.names("damaged/"), report)
	}
	b.commit()
	if f.mustPrune(); len(f.names("damaged/")) != 0 {
		t.Error("it stays when the session has ended")
	}
	f.sound(b)
}

// It stays while a snapshot misses something: who takes that over unread learns from it.
func TestRecordsOfDamageOfWhatIsMissing(t *testing.T) {
	f := newFixture(t)
	b := f.backup("a")
	f.note(b)
	for _, lost := range []seal.Kind{seal.KindDataPack, seal.KindDataIndex} { // named by the index, and by nothing
		f.lose(b, lost)
		if report := f.mustPrune(); report.Missing != 1 || len(f.names("damaged/")) != 1 {
			t.Errorf("without the object of kind %v: %q, %+v", lost, f.names("damaged/"), report)
		}
	}
	again := f.backup("a")
	if report := f.mustPrune(); report.Missing != 0 || len(f.names("damaged/")) != 0 {
		t.Errorf("when all is there again: %q, %+v", f.names("damaged/"), report)
	}
	f.sound(b, again)
}

// A snapshot that is held and missing stops a prune before anything goes, and
// what is left of the hold of a forgotten one goes before the forgotten record.
func TestHeldSnapshotIsMissing(t *testing.T) {
	f := newFixture(t)
	lost, kept := f.backup("a", "b"), f.backup("b", "c")
	r := f.open()
	hold := func(b *run) {
		t.Helper()
		if _, err := r.Hold(t.Context(), repo.Hold{Snapshot: b.s.ID(), Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
	}
	hold(lost)
	name := "snapshots/" + lost.s.ID().String()
	record, err := f.store.Store.Get(t.Context(), name, 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.delete(name)
	before := f.names("")
	for _, force := range []bool{false, true} {
		_, err = f.prune(func(o *gc.Options) { o.Force = force })
		if damage := new(repo.DamageError); !errors.As(err, &damage) || damage.Object != name || !errors.Is(err, repo.ErrHeldLost) {
			t.Errorf("prune: %v", err)
		}
	}
	if after := f.names(""); !slices.Equal(after, before) {
		t.Errorf("there were %q and are %q", before, after)
	}
	// Put back, all of it is there.
	if err := f.store.Store.Put(t.Context(), name, record); err != nil {
		t.Fatal(err)
	}
	f.mustPrune()
	f.sound(lost, kept)
	// A hold may be left of one that is forgotten: then it ends with that.
	f.forget(lost)
	f.mustPrune()
	f.mustPrune()
	f.now = f.now.Add(8 * 24 * time.Hour)
	f.store.calls = nil
	f.mustPrune()
	var gone []string
	for _, call := range f.store.calls {
		if strings.Contains(call, lost.s.ID().String()) && strings.HasPrefix(call, "delete ") {
			gone = append(gone, call[:len("delete hold")])
		}
	}
	if want := []string{"delete hold", "delete forg"}; !slices.Equal(gone, want) {
		t.Errorf("it did %q, want %q", gone, want)
	}
	f.sound(kept)
}

// TestTombstoneHidesNoHeldSnapshot: the session of a snapshot that was lost before the
// first prune after it looks as if it had died. A tombstone would take the snapshot's
// name, so that the next run misses nothing.
func TestTombstoneHidesNoHeldSnapshot(t *testing.T) {
	f := newFixture(t)
	lost, kept := f.backup("a", "b"), f.backup("b", "c")
	if _, err := f.open().Hold(t.Context(), repo.Hold{Snapshot: lost.s.ID(), Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	id := lost.s.ID().String()
	record, err := f.store.Store.Get(t.Context(), "snapshots/"+id, 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.delete("snapshots/" + id)
	before := f.names("")
	for range 3 {
		_, err := f.prune(gc.Elsewhere, func(o *gc.Options) { o.Drop = []string{id} })
		if !errors.Is(err, repo.ErrHeldLost) {
			t.Errorf("prune: %v", err)
		}
	}
	if after := f.names(""); !slices.Equal(after, before) {
		t.Errorf("there were %q and are %q", before, after)
	}
	if err := f.store.Store.Put(t.Context(), "snapshots/"+id, record); err != nil {
		t.Fatal(err)
	}
	f.mustPrune()
	f.sound(lost, kept)
}

// A dry run tells what would go if snapshots were forgotten; another run does not listen to that.
func TestAsIfForgotten(t *testing.T) {
	f := newFixture(t)
	gone, kept := f.backup("a"), f.backup("b")
	asIf := func(o *gc.Options) {
		o.Forgotten, o.MinAgeLeft = []seal.Session{gone.s.ID()}, time.Hour // it was not interrupted
	}
	if report := f.mustPrune(asIf); report.Snapshots != 2 || report.Marked != 0 {
		t.Errorf("%+v", report)
	}
	before := f.names("")
	would := f.mustPrune(asIf, func(o *gc.Options) { o.DryRun = true })
	if !slices.Equal(f.names(""), before) {
		t.Errorf("there were %q and are %q", before, f.names(""))
	}
	f.forget(gone)
	if did := f.mustPrune(); would.Deleted != 2 || would.Deleted != did.Deleted || would.DeletedBytes != did.DeletedBytes || would.Snapshots != 1 {
		t.Errorf("it would have done %+v, and did %+v", would, did)
	}
	f.sound(kept)
}
