package faults_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"restante/blob"
	"restante/gc"
	"restante/internal/torture"
	"restante/repair"
	"restante/repo"
	"restante/seal"
	"restante/storage"
	"restante/storage/faulty"
	"restante/storage/mem"
)

// A step is one thing that a user does.
type step struct {
	name string
	// before, if not nil, is what happens ahead of it, on a storage without faults.
	before func(w *world)
	// run does it. It is called again after a failure, with what was left.
	run func(ctx context.Context, w *world, store storage.Store) error
	// mended is called instead of the second run, unless it is nil.
	mended func(w *world) error
	states []string // of which there is a snapshot then
}

// A way is how a call goes wrong.
type way struct {
	name  string
	fault faulty.Fault
	// cancels says that instead the user interrupts.
	cancels bool
}

var ways = []way{
	{name: "refused", fault: faulty.Fault{Outcome: faulty.NotApplied}},
	{name: "answer lost", fault: faulty.Fault{Outcome: faulty.Applied}},
	{name: "storage gone", fault: faulty.Fault{Outcome: faulty.NotApplied, Dead: true}},
	{name: "storage gone after it", fault: faulty.Fault{Outcome: faulty.Applied, Dead: true}},
	{name: "interrupted", cancels: true},
	{name: "garbled", fault: faulty.Fault{Outcome: faulty.Garbled}},
}

// Whatever goes wrong in whatever is done, and whenever: nothing is lost, and
// doing it again mends it.
func TestFaults(t *testing.T) {
	w := newWorld(t)
	tried := 0
	for n, s := range w.steps() {
		if s.before != nil {
			s.before(w)
		}
		count := 0
		for i, way := range ways {
			count += w.eachCall(t, s, way, n+i)
			if t.Failed() {
				return
			}
		}
		t.Logf("%s: %d runs", s.name, count)
		tried += count
		must(t, s.run(t.Context(), w, w.objects))
		w.wantSound(s.states...)
		if t.Failed() {
			t.Fatalf("%s without a fault", s.name)
		}
	}
	torture.Report(t, "%d runs with a fault", tried)
}

// eachCall runs a step with calls of it going wrong in one way, and returns how many
// runs with a fault that were. The long form takes every call, until a run is through without
// having met the fault; the short one only one, and that of every other way.
func (w *world) eachCall(t *testing.T, s step, way way, nth int) (runs int) {
	if torture.Long() {
		for w.struck(t, s, way, runs) {
			runs++
		}
		return runs
	}
	if nth%2 == 1 {
		return 0
	}
	// How many calls there are differs a little, for some are made at the same time.
	calls := w.clone(t).calls(s, way)
	calls -= calls / 10
	if calls == 0 {
		return 0
	}
	if k := nth * 7919 % calls; !w.struck(t, s, way, k) {
		t.Errorf("%s, %s: the fault at call %d has not struck", s.name, way.name, k)
	}
	return 1
}

// struck tries a step with one call going wrong, and reports whether it came to that call. It
// reports false, too, when the test has failed.
func (w *world) struck(t *testing.T, s step, way way, call int) (fired bool) {
	ok := t.Run(fmt.Sprintf("%s, %s at call %d", s.name, way.name, call), func(t *testing.T) {
		fired = w.clone(t).try(s, way, call)
	})
	return ok && fired
}

// calls returns how many calls a step makes that can go wrong in this way.
func (w *world) calls(s step, way way) int {
	w.t.Helper()
	store := faulty.New(w.objects)
	store.Arm(faulty.Fault{Call: math.MaxInt, Outcome: way.fault.Outcome})
	must(w.t, s.run(w.t.Context(), w, store))
	return store.Calls()
}

// try runs a step with a fault, mends what that left, and checks what is there then.
// It reports whether the fault has struck.
func (w *world) try(s step, way way, call int) (fired bool) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	store := faulty.New(w.objects)
	fault := way.fault
	fault.Call = call
	if way.cancels {
		fault.Instead = cancel
	}
	store.Arm(fault)
	err := s.run(ctx, w, store)
	fired = store.Fired()
	if n := store.Unfinished(); n != 0 {
		w.t.Errorf("%d objects were neither put nor dropped", n)
	}
	if !fired && err != nil {
		w.t.Fatalf("without a fault: %v", err)
	}
	if !fired {
		return false // what is there then is looked at once for all ways
	}
	if !way.expects(err) {
		w.t.Errorf("another error than the fault's: %v", err)
	}
	if err != nil {
		w.t.Logf("it failed: %v", err)
		if err := w.again(s); err != nil {
			w.t.Fatalf("done again: %v", err)
		}
	}
	w.wantSound(s.states...)
	w.wantNothingLeft()
	w.wantSound(s.states...)
	return true
}

// expects reports whether a run may end so.
func (y way) expects(err error) bool {
	switch {
	case err == nil, errors.Is(err, errGone): // what cannot be read counts as missing, and is named
		return true
	case y.cancels:
		return errors.Is(err, context.Canceled)
	case y.fault.Outcome == faulty.Garbled:
		return !errors.Is(err, faulty.ErrInjected)
	}
	return errors.Is(err, faulty.ErrInjected)
}

// again does a step once more.
func (w *world) again(s step) error {
	if s.mended != nil {
		return s.mended(w)
	}
	w.endSessions()
	return s.run(w.t.Context(), w, w.objects)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t: t, cache: t.TempDir(), objects: mem.New(), target: filepath.Join(t.TempDir(), "restored"),
		user: &user{mail: t.TempDir(), states: map[string]files{}, key: newKeyring(t), other: newKeyring(t)}}
}

// message makes a message of which no two parts are equal.
func message(n int) string {
	return fmt.Sprintf("From: a@example.org\nTo: b@example.org\nSubject: message %d\nMessage-ID: <%d@example.org>\n\n%s", n, n,
		strings.Repeat(line(n), 40+n))
}

func line(n int) string { return fmt.Sprintf("This is a line of message %d.\n", n) }

// enter brings the mail to a state.
func (w *world) enter(state string, change files) {
	w.t.Helper()
	w.write(w.t, change)
	w.states[state] = filesIn(w.t, w.mail)
}

// steps returns all that is done, in its order. What they have in common is the
// repository, which each takes as the one before left it.
func (w *world) steps() []step {
	return slices.Concat(w.firstSteps(), w.forgettingSteps(), w.pruningSteps(), w.keySteps(), w.damageSteps())
}

func backingUp(state string) func(context.Context, *world, storage.Store) error {
	return func(ctx context.Context, w *world, store storage.Store) error { return w.backUp(ctx, store, state) }
}

func (w *world) firstSteps() []step {
	return []step{
		{name: "init", run: func(ctx context.Context, w *world, store storage.Store) error {
			return repo.Create(ctx, store, repo.CreateOptions{Chunker: polynomial, Label: "test", Lock: w.key.lock})
		}, mended: (*world).createAgain},
		{name: "first backup", states: []string{"first"}, before: func(w *world) {
			all := files{"alice/dovecot-uidlist": "3 V1 N9\n"}
			for n := range 6 {
				all[fmt.Sprintf("alice/cur/%d.M1.mx:2,", n)] = message(n)
				all[fmt.Sprintf("bob/cur/%d.M2.mx:2,S", n)] = message(10 + n)
			}
			for _, who := range []string{"alice", "bob"} {
				for _, dir := range []string{"new", "tmp"} {
					must(w.t, os.MkdirAll(filepath.Join(w.mail, who, dir), 0o755))
				}
			}
			w.enter("first", all)
		}, run: backingUp("first")},
		{name: "second backup", states: []string{"first", "second"}, before: func(w *world) {
			w.enter("second", files{"alice/cur/0.M1.mx:2,": "", "alice/cur/0.M1.mx:2,S": message(0), "alice/new/20.M3.mx": message(20),
				"bob/cur/3.M2.mx:2,S": "", "alice/dovecot-uidlist": "3 V1 N10\n"})
		}, run: backingUp("second")},
		{name: "restore", states: []string{"first", "second"}, run: restoreAll},
		{name: "check", states: []string{"first", "second"}, run: func(ctx context.Context, w *world, store storage.Store) error {
			_, err := w.check(ctx, store)
			return err
		}},
	}
}

// createAgain makes a repository after that has failed. What a crash leaves
// has to be removed by hand.
func (w *world) createAgain() error {
	r, err := w.open(w.t.Context(), w.objects)
	if err == nil {
		return r.Close()
	}
	if !errors.Is(err, repo.ErrNoRepository) {
		return err
	}
	for _, name := range w.names("") {
		if err := w.objects.Delete(w.t.Context(), name); err != nil {
			return err
		}
	}
	return repo.Create(w.t.Context(), w.objects, repo.CreateOptions{Chunker: polynomial, Label: "test", Lock: w.key.lock})
}

// restoreAll restores all snapshots, each to a folder of its own. What it writes is
// right, or missing and named.
func restoreAll(ctx context.Context, w *world, store storage.Store) error {
	return w.with(ctx, store, func(r *repo.Repository) error {
		all, err := snapshots(ctx, r, false, "")
		for _, s := range all {
			dir := filepath.Join(w.target, s.record.Description)
			result, failed := w.restore(ctx, r, s, dir)
			err = errors.Join(err, failed)
			named := map[string]bool{}
			for _, f := range result.Failed {
				err = errors.Join(err, fmt.Errorf("%s: %w", f.Path, f.Err))
				named[f.Path] = true
			}
			if _, gone := os.Stat(dir); gone != nil {
				continue
			}
			got := filesIn(w.t, dir)
			for name, content := range got {
				if w.states[s.record.Description][name] != content {
					w.t.Errorf("of state %q it wrote %q wrongly", s.record.Description, name)
				}
			}
			if failed == nil {
				for name := range w.states[s.record.Description] {
					if _, there := got[name]; !there && len(named) == 0 {
						w.t.Errorf("of state %q there is no %q, and nothing is said of it", s.record.Description, name)
					}
				}
			}
		}
		return err
	})
}

func (w *world) forgettingSteps() []step {
	both, until := []string{"first", "second"}, time.Now().AddDate(1, 0, 0)
	return []step{
		{name: "hold", states: both, run: func(ctx context.Context, w *world, store storage.Store) error {
			return w.hold(ctx, store, "second", until)
		}},
		{name: "hold for longer", states: both, run: func(ctx context.Context, w *world, store storage.Store) error {
			return w.hold(ctx, store, "second", until.AddDate(1, 0, 0))
		}},
		{name: "release", states: both, run: func(ctx context.Context, w *world, store storage.Store) error {
			return w.release(ctx, store, "second")
		}},
		// What prune takes of a snapshot that is forgotten cannot be taken back, so here
		// it is forgotten and taken back in one.
		{name: "forget and unforget", states: both, run: func(ctx context.Context, w *world, store storage.Store) error {
			if err := w.forget(ctx, store, "first"); err != nil {
				return err
			}
			return w.unforget(ctx, store, "first")
		}},
		{name: "forget", states: []string{"second"}, run: func(ctx context.Context, w *world, store storage.Store) error {
			return w.forget(ctx, store, "first")
		}},
	}
}

func (w *world) pruningSteps() []step {
	pruning := func(change func(*gc.Options)) func(context.Context, *world, storage.Store) error {
		return func(ctx context.Context, w *world, store storage.Store) error {
			_, err := w.prune(ctx, store, change)
			return err
		}
	}
	return []step{
		{name: "third backup", states: []string{"second", "third"}, before: func(w *world) {
			w.enter("third", files{"bob/cur/1.M2.mx:2,S": "", "bob/new/21.M3.mx": message(21), "alice/cur/2.M1.mx:2,": ""})
		}, run: backingUp("third")},
		{name: "prune, marking", states: []string{"second", "third"}, before: (*world).interruptBackup,
			run: pruning(func(o *gc.Options) { o.Grace = time.Hour })},
		{name: "prune, deleting and rewriting", states: []string{"second", "third"}, run: pruning(func(o *gc.Options) { o.MaxUnused = 0 })},
		{name: "prune all at once", states: []string{"third"}, before: func(w *world) {
			must(w.t, w.forget(w.t.Context(), w.objects, "second"))
		}, run: pruning(func(o *gc.Options) { o.MaxUnused = 0 })},
	}
}

// interruptBackup leaves what a backup leaves that was killed.
func (w *world) interruptBackup() {
	w.enter("killed", files{"bob/new/30.M3.mx": message(30)})
	store := faulty.New(w.objects)
	store.Arm(faulty.Fault{Ops: faulty.Put, Call: 3, Outcome: faulty.NotApplied, Dead: true}) // behind the packs
	if err := w.backUp(w.t.Context(), store, "killed"); !errors.Is(err, faulty.ErrInjected) {
		w.t.Fatal(err)
	}
	w.endSessions()
}

func (w *world) keySteps() []step {
	return []step{
		{name: "key add", states: []string{"third"}, run: func(ctx context.Context, w *world, store storage.Store) error {
			return w.with(ctx, store, func(r *repo.Repository) error {
				if slices.ContainsFunc(r.Keys(), isOther) {
					return nil
				}
				_, err := r.AddKey(ctx, seal.Owner, other, w.other.lock)
				return err
			})
		}},
		{name: "key remove", states: []string{"third"}, before: func(w *world) {
			must(w.t, w.with(w.t.Context(), w.objects, func(r *repo.Repository) error {
				w.removed = r.Keys()[slices.IndexFunc(r.Keys(), isOther)].ID()
				return nil
			}))
		}, run: func(ctx context.Context, w *world, store storage.Store) error {
			return w.with(ctx, store, func(r *repo.Repository) error {
				k, err := r.FindKey(w.removed)
				if err != nil {
					return err
				}
				return r.RemoveKey(ctx, k)
			})
		}},
	}
}

const other = "other"

func isOther(k repo.KeyInfo) bool { return k.Label == other && k.Removed == 0 }

func (w *world) damageSteps() []step {
	repairPacks := func(ctx context.Context, w *world, store storage.Store) error {
		return w.with(ctx, store, func(r *repo.Repository) error {
			report, err := r.RepairPacks(ctx, nil, repo.RepairOptions{User: "tester"})
			if err == nil && len(report.Kept) > 0 {
				err = fmt.Errorf("%w: %+v", errGone, report.Kept)
			}
			return err
		})
	}
	return []step{
		{name: "repair index", states: []string{"third"}, before: (*world).loseIndex, run: func(ctx context.Context, w *world, store storage.Store) error {
			return w.with(ctx, store, func(r *repo.Repository) error {
				report, err := r.RepairIndex(ctx, repo.RepairOptions{User: "tester"})
				if err == nil && len(report.Unnamed) > 0 {
					err = fmt.Errorf("%w: %+v", errGone, report.Unnamed)
				}
				return err
			})
		}},
		// The check notes the damage, the backup stores again what was there, and the
		// repair takes away what is damaged.
		{name: "check, backup and repair packs", states: []string{"third", "fourth"}, before: func(w *world) {
			w.enter("fourth", files{"bob/new/22.M3.mx": message(22)})
			w.damagePacks()
		}, run: func(ctx context.Context, w *world, store storage.Store) error {
			if _, err := w.check(ctx, store); err != nil {
				return err
			}
			if err := w.backUp(ctx, store, "fourth"); err != nil {
				return err
			}
			if err := repairPacks(ctx, w, store); err != nil {
				return err
			}
			return w.checkAgain(ctx, store)
		}},
		{name: "repair packs and snapshots", states: []string{"third", "fourth"}, before: (*world).loseForGood, run: func(ctx context.Context, w *world, store storage.Store) error {
			if _, err := w.check(ctx, store); err != nil {
				return err
			}
			if err := repairPacks(ctx, w, store); err != nil {
				return err
			}
			err := w.with(ctx, store, func(r *repo.Repository) error {
				_, err := repair.Snapshots(ctx, r, repair.Options{User: "tester"})
				return err
			})
			if err != nil {
				return err
			}
			return w.checkAgain(ctx, store)
		}},
	}
}

// checkAgain is what a user does after a repair: what a check could not read before, it
// named, and did not note.
func (w *world) checkAgain(ctx context.Context, store storage.Store) error {
	report, err := w.check(ctx, store)
	if err == nil && len(report.Findings) > 0 {
		err = fmt.Errorf("%w: %+v", errGone, report.Findings)
	}
	return err
}

// loseIndex deletes one index object and damages another.
func (w *world) loseIndex() {
	names := w.names("index/")
	must(w.t, w.objects.Delete(w.t.Context(), names[0]))
	if len(names) > 1 {
		w.spoil(names[1], -100)
	}
}

// spoil changes a byte of an object.
func (w *world) spoil(name string, at int) {
	w.t.Helper()
	data := w.get(name)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 0x10
	must(w.t, w.objects.Delete(w.t.Context(), name))
	must(w.t, w.objects.Put(w.t.Context(), name, data))
}

// A spot is a clump in a pack.
type spot struct {
	pack   string
	offset int
	raw    string
}

// spots returns the clumps that have something of a message's text.
func (w *world) spots(message int) (found []spot) {
	w.t.Helper()
	must(w.t, w.with(w.t.Context(), w.objects, func(r *repo.Repository) error {
		for _, name := range w.names("packs/") {
			id, err := blob.ParseID(filepath.Base(name))
			if err != nil {
				return err
			}
			clumps, err := r.Directory(w.t.Context(), id, int64(len(w.get(name))))
			if err != nil {
				return err
			}
			for _, c := range clumps {
				raw, err := r.Clump(w.t.Context(), nil, blob.Clump{Pack: id, Offset: c.Offset, Length: c.Length})
				if err != nil {
					return err
				}
				if c.Class != blob.Page && strings.Contains(string(raw), line(message)) {
					found = append(found, spot{name, int(c.Offset), string(raw)})
				}
			}
		}
		return nil
	}))
	if len(found) == 0 {
		w.t.Fatalf("message %d is nowhere", message)
	}
	return found
}

// damagePacks spoils what the mail still has.
func (w *world) damagePacks() {
	w.t.Helper()
	for _, s := range w.spots(4) {
		w.spoil(s.pack, s.offset+5)
	}
}

// loseForGood spoils what the repository has of a message. No backup comes that
// would store it again, nor what lies in the same clump.
func (w *world) loseForGood() {
	w.t.Helper()
	for _, s := range w.spots(22) {
		w.spoil(s.pack, s.offset+5)
		for _, state := range w.states {
			maps.DeleteFunc(state, func(_, content string) bool {
				return strings.Contains(s.raw, content[strings.LastIndex(content, "\n\n")+2:])
			})
		}
	}
	if _, there := w.states["fourth"]["bob/new/22.M3.mx"]; there {
		w.t.Fatal("nothing is lost")
	}
}
