package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"restante/backup"
	"restante/repo"
	"restante/storage"
	"restante/storage/dryrun"
	"restante/storage/faulty"
	"restante/storage/mem"
)

// A tidy checks that what ran in between left nothing behind.
type tidy struct {
	t          *testing.T
	goroutines int
	files      map[string]int
}

func newTidy(t *testing.T) *tidy {
	d := &tidy{t: t, goroutines: runtime.NumGoroutine(), files: map[string]int{}}
	for _, f := range openFiles(t) {
		d.files[f]++
	}
	return d
}

func (d *tidy) check(when string) {
	d.t.Helper()
	waitFor(d.t, fmt.Sprintf("%s: %d goroutines, and %d before", when, runtime.NumGoroutine(), d.goroutines), func() bool {
		return runtime.NumGoroutine() <= d.goroutines
	})
	now := map[string]int{}
	for _, f := range openFiles(d.t) {
		if now[f]++; now[f] > d.files[f] {
			d.t.Errorf("%s: %s is still open", when, f)
		}
	}
}

// mixedStore fills a store with some of everything that is read in its own
// way; of messages it has 500 times scale.
func mixedStore(f *fixture, scale float64) {
	f.maildir("alice/Maildir", int(300*scale))
	f.maildir("alice/Maildir/.Sent", int(20*scale))
	f.maildir("bob/Maildir", int(40*scale))
	for i := range int(150 * scale) {
		f.write("bob/Maildir/new/"+messageName(1000+i), mail(fmt.Sprint(i)))
	}
	for _, dir := range []string{"alice/Maildir/", "alice/Maildir/.Sent/", "bob/Maildir/"} {
		f.write(dir+"dovecot-uidlist", "control "+dir)
		f.write(dir+"courierimapuiddb", "control too "+dir)
	}
	f.write("mail/carol", mbox(30))
	f.write("alice/large", string(noise(7, 600<<10+int(scale*2e6))))
	f.write("dave/mail/attached", mail("large")+string(noise(8, 100<<10+int(scale*2e6))))
}

// TestCancel interrupts a run at each of its events, or some of them.
func TestCancel(t *testing.T) {
	reference := newFixture(t)
	mixedStore(reference, 1)
	var all atomic.Int64
	want := reference.clean(func(o *backup.Options) {
		backup.SetHook(o, func(string, string) { all.Add(1) })
	})
	events := int(all.Load())
	wantPieces := reference.pieces()
	rng, tries := rand.New(rand.NewPCG(9, 9)), 15
	if testing.Short() {
		tries = 8
	}
	for try := range tries {
		f := newFixture(t)
		f.store, f.roots = mem.New(), reference.roots
		f.createWithKeyOf(reference)
		tidy := newTidy(t)
		k := rng.IntN(events + 1)
		o := f.options()
		o.Jobs = 1 + try%3
		backup.SetLimits(&o, backup.Window([]int{64, 1, 0}[try%3]), backup.Early([]int{20_000, 10}[try%2]))
		ctx, cancel := context.WithCancel(t.Context())
		var n atomic.Int64
		backup.SetHook(&o, func(string, string) {
			if n.Add(1) == int64(k) {
				cancel()
			}
		})
		result, err := f.try(ctx, f.store, o)
		cancel()
		when := fmt.Sprintf("cancelled at event %d of %d", k, events)
		tidy.check(when)
		if n.Load() < int64(k) || k == 0 || err == nil {
			if err != nil {
				t.Errorf("not %s: %v", when, err)
			}
			continue // it had ended before
		}
		if !errors.Is(err, context.Canceled) || result != nil {
			t.Errorf("%s: %v", when, err)
		}
		if s := f.snapshots(); s != 0 {
			t.Errorf("%s: %d snapshots", when, s)
		}
		again := f.clean()
		if again.Snapshot.Tree != want.Snapshot.Tree {
			t.Errorf("%s: the next run has another tree", when)
		}
		if got := f.pieces(); got != wantPieces {
			t.Errorf("%s: after the next run there are %d pieces, not %d", when, got, wantPieces)
		}
	}
}

// TestInterruptedRunIsTakenUp wants what was read before to be stored.
func TestInterruptedRunIsTakenUp(t *testing.T) {
	f := newFixture(t)
	f.write("alice/a", string(noise(1, 400<<10)))
	f.write("alice/b", string(noise(2, 6<<20)))
	f.write("alice/c", string(noise(3, 400<<10)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := f.options()
	o.Jobs = 1
	backup.SetHook(&o, func(op, path string) {
		if op == "checking" && path == "alice/b" {
			cancel()
		}
	})
	if _, err := f.try(ctx, f.store, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if n := f.clean().Snapshot.Run.BytesStored; n > 1<<20 {
		t.Errorf("the next run stored %d bytes", n)
	}
}

// TestStorageFails lets each call to the storage fail, with and without effect.
func TestStorageFails(t *testing.T) {
	reference := newFixture(t)
	mixedStore(reference, 0.1)
	want := reference.clean()
	step := 1
	if testing.Short() {
		step = 5
	}
	for _, ops := range []faulty.Op{faulty.Changes, faulty.Stage | faulty.Write, faulty.Get | faulty.List} {
		for _, dead := range []bool{true, false} {
			for _, outcome := range []faulty.Outcome{faulty.NotApplied, faulty.Applied} {
				for k := 0; storageFails(t, reference, want, faulty.Fault{Ops: ops, Call: k, Outcome: outcome, Dead: dead}); k += step {
					if k == 200 {
						t.Fatal("no end")
					}
				}
			}
		}
	}
}

// storageFails runs with one fault and then without, and reports whether the
// fault struck.
func storageFails(t *testing.T, reference *fixture, want *backup.Result, fault faulty.Fault) bool {
	t.Helper()
	f := newFixture(t)
	inner := mem.New()
	f.store, f.roots = inner, reference.roots
	f.createWithKeyOf(reference)
	store := faulty.New(inner)
	o := f.options()
	r, err := f.tryOpen(store)
	must(t, err)
	tidy := newTidy(t)
	store.Arm(fault)
	_, err = backup.Run(t.Context(), r, o)
	when := fmt.Sprintf("%+v", fault)
	tidy.check(when)
	r.Close()
	if n := store.Unfinished(); n != 0 {
		t.Errorf("%s: %d objects were left unfinished", when, n)
	}
	if !store.Fired() {
		if err != nil {
			t.Errorf("%s: it did not strike, and the error is %v", when, err)
		}
		return false
	}
	if err != nil && !errors.Is(err, faulty.ErrInjected) {
		t.Errorf("%s: error %v", when, err)
	}
	if n := f.snapshots(); err == nil && n != 1 || n == 1 && err != nil && fault.Outcome != faulty.Applied {
		t.Errorf("%s: error %v, %d snapshots", when, err, n)
	}
	f.unlockIntents()
	if again := f.clean(); again.Snapshot.Tree != want.Snapshot.Tree {
		t.Errorf("%s: the next run has another tree", when)
	}
	return true
}

// unlockIntents takes away the intents of sessions that could not be closed.
// The processes of others would be dead; this one is not.
func (f *fixture) unlockIntents() {
	f.t.Helper()
	var names []string
	err := f.store.List(f.t.Context(), "intents/", func(name string, _ int64) error {
		names = append(names, name)
		return nil
	})
	for _, name := range names {
		err = errors.Join(err, f.store.Delete(f.t.Context(), name))
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestShrinkingStore(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		f.write(name+"/file", "content of "+name)
	}
	f.clean()
	for i, name := range []string{"a", "b", "c"} {
		if i == 2 { // two of five are fewer than half
			must(t, os.RemoveAll(f.root(name)))
			break
		}
		must(t, os.RemoveAll(f.root(name)))
	}
	tidy := newTidy(t)
	objects := f.objects()
	_, err := f.try(t.Context(), f.store, f.options())
	var shrink *backup.ShrinkError
	if !errors.As(err, &shrink) || shrink.Before != 5 || shrink.Now != 2 {
		t.Fatalf("error %v", err)
	}
	tidy.check("refused")
	if now := f.objects(); fmt.Sprint(now) != fmt.Sprint(objects) {
		t.Errorf("the refusal left %v, and there was %v", now, objects)
	}
	result := f.clean(func(o *backup.Options) { o.AllowShrink = true })
	if !result.Snapshot.Shrunk || result.Snapshot.Run.Removed != 3 {
		t.Errorf("shrunk %v, %d removed", result.Snapshot.Shrunk, result.Snapshot.Run.Removed)
	}
	must(t, os.RemoveAll(f.root("d"))) // half
	if result := f.clean(); result.Snapshot.Shrunk {
		t.Error("half is not fewer than half")
	}
	must(t, os.RemoveAll(f.root("e"))) // none: the usual sign of an unmounted disk
	if _, err := f.try(t.Context(), f.store, f.options()); !errors.As(err, &shrink) || shrink.Now != 0 {
		t.Errorf("error %v", err)
	}
	other := func(o *backup.Options) { o.Name = "another store" }
	if f.clean(other).Snapshot.Shrunk {
		t.Error("it was compared with another store")
	}
}

// objects lists the repository.
func (f *fixture) objects() map[string]int64 {
	f.t.Helper()
	all := map[string]int64{}
	err := f.store.List(f.t.Context(), "", func(name string, size int64) error {
		all[name] = size
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// TestDryRun wants nothing to be left of a dry run, neither in the repository
// nor in the cache, and its figures to be those of the run that follows.
func TestDryRun(t *testing.T) {
	f := newFixture(t)
	mixedStore(f, 0.1)
	dry := func() *backup.Result {
		t.Helper()
		o := f.options()
		o.DryRun = true
		f.open() // which makes caches
		objects, cache := f.objects(), listing(t, f.cache)
		result, err := f.try(t.Context(), dryrun.New(f.store), o)
		must(t, err)
		if now := f.objects(); fmt.Sprint(now) != fmt.Sprint(objects) {
			t.Errorf("the repository had %v and has %v", objects, now)
		}
		if now := listing(t, f.cache); fmt.Sprint(now) != fmt.Sprint(cache) {
			t.Errorf("the cache had %q and has %q", cache, now)
		}
		return result
	}
	for night := range 2 {
		expected, got := dry(), f.clean()
		a, b := expected.Snapshot, got.Snapshot
		if a.Tree != b.Tree || a.Run.BytesRead != b.Run.BytesRead || a.Run.New != b.Run.New || a.Run.Unchanged != b.Run.Unchanged {
			t.Errorf("night %d: %+v was expected, and it is %+v", night, a.Run, b.Run)
		}
		if diff := int64(a.Run.BytesStored) - int64(b.Run.BytesStored); diff > 1<<20 || diff < -1<<20 {
			t.Errorf("night %d: %d bytes were expected, and %d were stored", night, a.Run.BytesStored, b.Run.BytesStored)
		}
		f.write("alice/new", "n")
	}
}

// listing returns the files and folders below dir with their sizes and times.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		all = append(all, fmt.Sprint(strings.TrimPrefix(path, dir), info.Size(), info.Mode(), info.ModTime()))
		return nil
	})
	must(t, err)
	return all
}

func TestNoSpace(t *testing.T) {
	f := newFixture(t)
	mixedStore(f, 0.1)
	tidy := newTidy(t)
	_, err := f.try(t.Context(), fullStore{f.store}, f.options())
	if !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("error %v", err)
	}
	tidy.check("full")
	if f.snapshots() != 0 {
		t.Error("there is a snapshot")
	}
	f.clean()
}

// A fullStore has no room for packs.
type fullStore struct{ storage.Store }

func (s fullStore) Stage(ctx context.Context) (storage.Staged, error) {
	staged, err := s.Store.Stage(ctx)
	return &fullStaged{Staged: staged}, err
}

type fullStaged struct {
	storage.Staged
	size int
}

func (s *fullStaged) Write(p []byte) (int, error) {
	if s.size += len(p); s.size > 1<<20 {
		return 0, fmt.Errorf("writing: %w", storage.ErrNoSpace)
	}
	return s.Staged.Write(p)
}

// Where too little room is left, no message is to blame.
func TestTooLittleRoom(t *testing.T) {
	f := newFixture(t)
	mixedStore(f, 0.1)
	o := f.options()
	o.MinFree = 1 << 30
	_, err := f.try(t.Context(), smallStore{f.store}, o)
	var space *repo.SpaceError
	if !errors.As(err, &space) || space.Keep != 1<<30 || strings.Contains(err.Error(), "storing") {
		t.Errorf("error %v", err)
	}
	if f.snapshots() != 0 {
		t.Error("there is a snapshot")
	}
	f.clean()
}

// A smallStore has a megabyte free.
type smallStore struct{ storage.Store }

func (smallStore) Free(context.Context) (uint64, error) { return 1 << 20, nil }
