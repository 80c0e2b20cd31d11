package gc_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"restante/gc"
	"restante/internal/torture"
	"restante/repo"
	"restante/seal"
	"restante/storage"
)

// at has fn called once, ahead of the first call of op for a name that begins so.
func (f *fixture) at(op, prefix string, fn func()) {
	f.store.before = func(o, name string) {
		if o == op && strings.HasPrefix(name, prefix) {
			f.store.before = func(string, string) {}
			fn()
			f.store.before = func(string, string) {}
		}
	}
}

// nth is like at, for the n-th such call, from 1.
func (f *fixture) nth(n int, op, prefix string, fn func()) {
	f.store.before = func(o, name string) {
		if o != op || !strings.HasPrefix(name, prefix) {
			return
		}
		if n--; n == 0 {
			fn()
		}
	}
}

// A session that found pieces before they were marked keeps them: it has not
// seen the mark. Once it has ended, its snapshot does.
func TestSessionThatHasNotSeenTheMark(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a", "b"))
	b := f.begin(nil).add("a")
	report := f.mustPrune()
	if report.Marked != 2 || report.Deleted != 0 || len(report.Waiting) != 1 || report.Waiting[0].Why != "session" ||
		report.Waiting[0].Session != b.s.ID().String() || report.Waiting[0].Packs != 2 {
		t.Errorf("%+v", report)
	}
	b.commit()
	f.sound(b)
	if report := f.mustPrune(); report.Deleted != 2 || report.Repacked != 1 { // the pack with "b" has "a", too
		t.Errorf("%+v", report)
	}
	f.sound(b)
}

// A session that has seen a mark stores again what is under it, and does not
// keep it.
func TestSessionThatHasSeenTheMark(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	old := f.names("packs/")
	f.mustPrune(grace(1))
	b := f.begin(nil).add("a")
	if seen := f.names("seen/"); len(seen) != 1 || seen[0] != "seen/"+b.s.ID().String() || !slices.Equal(b.s.Marks(), []uint64{1}) {
		t.Errorf("it has seen %v, and put %q", b.s.Marks(), seen)
	}
	if report := f.mustPrune(); report.Deleted != 2 {
		t.Errorf("%+v", report)
	}
	for _, name := range f.names("packs/") {
		if slices.Contains(old, name) {
			t.Errorf("%s is still there", name)
		}
	}
	b.commit()
	f.sound(b)
}

// A session that begins between the pruner's marking and its look at the
// sessions, and one that ends there, lose nothing.
func TestSessionsWhileMarking(t *testing.T) {
	for _, step := range []string{"put marks/", "list snapshots/", "list intents/", "list marks/", "list packs/", "list index/"} {
		for n := 1; n <= 4; n++ {
			op, prefix, _ := strings.Cut(step, " ")
			f := newFixture(t)
			first := f.backup("a")
			f.forget(f.backup("b", "c", "d"))
			ends := f.begin(first).takeOver("a").add("b")
			var begins *run
			f.nth(n, op, prefix, func() {
				ends.commit()
				begins = f.begin(nil).add("c")
			})
			f.mustPrune()
			f.store.before = nil
			ends.wantCommit(n, step)
			want := []*run{first, ends}
			if begins != nil {
				want = append(want, begins.add("d").commit())
			}
			f.mustPrune()
			f.sound(want...)
			if t.Failed() {
				t.Fatalf("at call %d: %s", n, step)
			}
		}
	}
}

// wantCommit commits unless that has been done.
func (b *run) wantCommit(int, string) {
	b.f.t.Helper()
	if !slices.Contains(b.f.names("snapshots/"), "snapshots/"+b.s.ID().String()) {
		b.commit()
	}
}

// A session that relies on its parent alone keeps what that needs, though it is
// under a mark that the session has seen, and though the parent is forgotten, whenever
// these things happen. That needs the parents of open sessions as roots, and
// snapshots to be listed before sessions: else a session comes between, and its parent goes.
func TestParentForgottenWhileListing(t *testing.T) {
	if testing.Short() {
		t.Skip("it prunes hundreds of repositories, one after the other")
	}
	isList := func(op, name string) bool {
		return op == "list" && (name == "snapshots/" || name == "intents/" || name == "forgotten/")
	}
	for commits := 1; ; commits++ {
		for begins := commits; begins < commits+torture.Rounds(5, 100); begins++ {
			f := newFixture(t)
			f.forget(f.backup("a"))
			parent := f.begin(nil).add("a") // it has not seen the mark of "a"
			f.mustPrune(grace(1))
			var b *run
			n := 0
			f.store.before = func(op, name string) {
				if !isList(op, name) {
					return
				}
				if n++; n == commits {
					parent.commit()
				}
				if n == begins {
					b = f.begin(parent)
					f.forget(parent)
				}
			}
			f.mustPrune()
			f.store.before = nil
			if b == nil {
				if begins == commits {
					return // there are no more calls
				}
				break
			}
			b.takeOver("a").commit()
			f.mustPrune()
			f.sound(b)
			if t.Failed() {
				t.Fatalf("the parent is there from listing %d on, and gone at %d", commits, begins)
			}
		}
	}
}

// The parent of an open session is kept though it is forgotten, for what the
// session takes over from it.
func TestParentForgottenInTheMiddle(t *testing.T) {
	f := newFixture(t)
	parent := f.backup("a", "b")
	b := f.begin(parent)
	f.forget(parent)
	f.mustPrune()
	if report := f.mustPrune(); report.Deleted != 0 {
		t.Errorf("%+v", report)
	}
	b.takeOver("a", "b").commit()
	f.mustPrune()
	f.sound(b)
}

// A pack of an open session stays, whatever needs it.
func TestPacksOfOpenSessionsStay(t *testing.T) {
	f := newFixture(t)
	b := f.begin(nil).add("a")
	f.at("put", "snapshots/", func() {
		report := f.mustPrune()
		if report.Marked != 0 || len(report.Waiting) != 1 || report.Waiting[0].Why != "unfinished" || report.Waiting[0].Packs != 2 {
			t.Errorf("%+v", report)
		}
	})
	b.commit()
	f.sound(b)
}

// TestIntentTakenAway: a session whose intent somebody has deleted makes no snapshot, for a pruner
// that did not know of it has deleted what it relies on.
func TestIntentTakenAway(t *testing.T) {
	f := newFixture(t)
	parent, kept := f.backup("a"), f.backup("b")
	b := f.begin(parent).takeOver("a")
	f.forget(parent)
	f.delete("intents/" + b.s.ID().String())
	if report := f.mustPrune(); report.Deleted == 0 {
		t.Errorf("nothing was deleted, so nothing is tested: %+v", report)
	}
	if err := b.tryCommit(); !errors.Is(err, repo.ErrUnannounced) {
		t.Errorf("it ends with %v", err)
	}
	if err := b.s.Abandon(t.Context()); err != nil {
		t.Error(err)
	}
	f.sound(kept, f.backup("a"))
}

// A session that the pruner ended loses when it wakes up, and another begins.
func TestEndedByThePruner(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	b := f.begin(nil).add("a")
	drop := func(o *gc.Options) { o.Drop = []string{b.s.ID().String()[:8]} }
	before := f.names("")
	if _, err := f.prune(drop); !errors.As(err, new(*gc.LivesError)) || !slices.Equal(f.names(""), before) {
		t.Errorf("dropping one that lives: %v, there are %q, were %q", err, f.names(""), before)
	}
	if report := f.mustPrune(drop, gc.Elsewhere); report.Ended != 1 || report.Deleted != 2 || len(report.Dead) != 1 ||
		report.Dead[0].Session != b.s.ID().String() || report.Dead[0].Began == nil {
		t.Errorf("%+v", report)
	}
	for range 3 {
		f.now = f.now.AddDate(10, 0, 0)
		f.mustPrune() // the tombstone stays
	}
	if err := b.tryCommit(); !errors.Is(err, repo.ErrClosed) {
		t.Errorf("waking up: %v", err)
	}
	f.sound(f.backup("a"))
	if _, err := f.prune(drop); !errors.Is(err, gc.ErrUnknownSession) {
		t.Errorf("dropping it again: %v", err)
	}
}

// One that commits before the pruner ends it has won.
func TestCommitBeforeTheTombstone(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	b := f.begin(nil).add("a")
	f.at("put", "snapshots/", func() { b.commit() })
	f.mustPrune(gc.Elsewhere, func(o *gc.Options) { o.Drop = []string{b.s.ID().String()[:8]} })
	f.sound(b)
}

// Two prunes at once: the one whose number is taken, or is not the highest any
// more, deletes nothing.
func TestTwoPrunes(t *testing.T) {
	for _, point := range []struct {
		n          int
		op, prefix string
	}{{1, "put", "marks/"}, {1, "list", "packs/"}, {2, "list", "snapshots/"}, {2, "list", "intents/"}, {3, "list", "intents/"}} {
		f := newFixture(t)
		first := f.backup("a")
		f.forget(f.backup("b"))
		f.forget(f.backup("c"))
		f.nth(point.n, point.op, point.prefix, func() {
			f.forget(first)
			f.mustPrune(grace(1))
		})
		report, err := f.prune()
		f.store.before = nil
		if point.n == 1 && point.op == "list" {
			continue // the other was first
		}
		if !errors.Is(err, repo.ErrPruning) || report.Deleted != 0 {
			t.Errorf("%+v: %+v, %v", point, report, err)
		}
		f.sound()
	}
}

// A prune that has nothing to delete takes away nothing either when another has begun.
func TestTidyingAfterAnother(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	f.mustPrune()
	f.forget(f.backup("b"))
	before := slices.Concat(f.names("marks/"), f.names("intents/"))
	f.nth(3, "list", "intents/", func() {
		if err := f.openWith(f.store.Store, io.Discard).PutMark(t.Context(), repo.Mark{Number: 77}); err != nil {
			t.Fatal(err)
		}
	})
	report, err := f.prune(grace(time.Hour))
	f.store.before = nil
	own, other := repo.MarkName(2), repo.MarkName(77)
	want := append(before, own, other)
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(slices.Concat(f.names("marks/"), f.names("intents/")))); !errors.Is(err, repo.ErrPruning) || !slices.Equal(got, want) {
		t.Errorf("%+v, %v: there are %q, not %q", report, err, got, want)
	}
	f.mustPrune()
	f.sound()
}

// A prune that another has overtaken says so, whatever it finds gone because of that.
func TestOvertaken(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	every, tried := torture.Rounds(5, 1), 0
	for at := 0; ; at += every {
		f := newFixture(t)
		kept := f.backup("a", "b", "c")
		f.forget(f.backup("a", "d"))
		kept2 := f.begin(kept).takeOver("a").commit()
		f.forget(kept)
		n := 0
		f.store.before = func(string, string) {
			if n++; n-1 != at {
				return
			}
			if _, err := f.prune(unused(0)); err != nil && !errors.As(err, new(*repo.LockedError)) { // both would rewrite packs
				t.Errorf("the other, at call %d: %v", at, err)
			}
		}
		_, err := f.prune(unused(0))
		f.store.before = nil
		if err != nil && !errors.Is(err, repo.ErrPruning) {
			t.Errorf("at call %d: %v", at, err)
		}
		f.sound(kept2)
		if n <= at {
			break
		}
		tried++
	}
	torture.Report(t, "%d moments of a prune", tried)
}

// The order of deleting: out of the index, then the pack, then the mark, then the snapshot that was forgotten.
func TestOrderOfDeleting(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	f.mustPrune(grace(1))
	f.store.calls = nil
	f.mustPrune()
	var order []string
	for _, call := range f.store.calls {
		if op, name, _ := strings.Cut(call, " "); op == "delete" {
			part, _, _ := strings.Cut(name, "/")
			order = append(order, part)
		}
	}
	if want := []string{"index", "packs", "index", "packs", "marks", "snapshots"}; !slices.Equal(order, want) {
		t.Errorf("deleted %q, want %q", order, want)
	}
}

// An index object that names other packs, too, goes only when another that names
// those is there.
func TestOrderOfReplacing(t *testing.T) {
	f := newFixture(t)
	first, second := f.backup("a"), f.backup("b")
	for _, name := range f.names("index/") {
		f.delete(name)
	}
	third := f.backup("c") // it names the packs of both in one object
	f.forget(first)
	f.store.before = func(op, name string) {
		if op == "delete" && strings.HasPrefix(name, "packs/") {
			f.sound(second, third)
		}
	}
	if report := f.mustPrune(); report.Deleted != 2 {
		t.Errorf("%+v", report)
	}
	put := false
	for _, call := range f.store.calls {
		put = put || strings.HasPrefix(call, "put index/")
		if strings.HasPrefix(call, "put marks/") {
			put = false
		}
		if strings.HasPrefix(call, "delete index/") {
			if !put {
				t.Errorf("%s, and there is no other in its place", call)
			}
			put = false
		}
	}
}

// Index objects that a prune takes away while a session reads them are not missed:
// it lists them again.
func TestIndexGoesWhileItIsRead(t *testing.T) {
	f := newFixture(t)
	kept := f.backup("a")
	f.forget(f.backup("b", "c"))
	f.mustPrune(grace(1))
	f.at("get", "index/", func() {
		if report := f.mustPrune(); report.Deleted != 2 {
			t.Errorf("%+v", report)
		}
	})
	b := f.begin(nil).add("b")
	f.store.before = nil
	f.sound(kept, b.commit())
}

// What a session does when it begins, in order. Each step relies on the one
// before: the intent keeps what the marks do not name yet; the index of a pack goes before its mark.
func TestOrderOfBeginning(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	f.mustPrune(grace(1))
	f.store.calls = nil
	f.begin(nil)
	at := 0
	for _, want := range []string{"put intents/", "list marks/", "get marks/", "put seen/", "list index/", "list packs/"} {
		i := slices.IndexFunc(f.store.calls[at:], func(call string) bool { return strings.HasPrefix(call, want) })
		if i < 0 {
			t.Fatalf("after call %d there is no %q in %q", at, want, f.store.calls)
		}
		at += i
	}
	for _, once := range []string{"put intents/", "list marks/", "put seen/", "list index/", "list packs/"} {
		n := 0
		for _, call := range f.store.calls {
			if strings.HasPrefix(call, once) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d calls %q", n, once)
		}
	}
}

// A pack that is on its way out is not taken up by a session that begins then,
// and not missed.
func TestBeginningWhileDeleting(t *testing.T) {
	for _, call := range []string{"delete index/", "delete packs/", "delete marks/"} {
		f := newFixture(t)
		f.forget(f.backup("a"))
		f.mustPrune(grace(1))
		op, prefix, _ := strings.Cut(call, " ")
		var b *run
		f.at(op, prefix, func() { b = f.begin(nil).add("a") })
		f.mustPrune()
		b.commit()
		f.sound(b, f.backup("a", "b"))
	}
}

// On a full storage packs that nothing needs go before anything is written,
// also when an index object names others besides.
func TestFullStorage(t *testing.T) {
	f := newFixture(t)
	first, second := f.backup("a"), f.backup("b")
	for _, name := range f.names("index/") {
		f.delete(name)
	}
	third := f.backup("c") // it names the packs of both in one object
	f.forget(first)
	f.mustPrune(grace(1))
	deleted := false
	f.store.full = func(name string) bool { return !deleted }
	f.store.before = func(op, name string) {
		if op == "delete" && strings.HasPrefix(name, "packs/") {
			deleted = true
		}
		if op == "put" && strings.HasPrefix(name, "index/") && deleted {
			f.begin(nil) // it misses nothing
		}
	}
	_, err := f.prune()
	if !errors.Is(err, storage.ErrNoSpace) {
		t.Fatalf("without room for a mark: %v", err)
	}
	f.store.full = func(name string) bool { return !deleted && !strings.HasPrefix(name, "marks/") }
	if report := f.mustPrune(); report.Deleted != 2 {
		t.Errorf("%+v", report)
	}
	f.store.before, f.store.full = nil, nil
	f.sound(second, third)
}

// A needed piece that is under a mark and stored again counts to its new place,
// so that the marked pack goes.
func TestMarkedCopyIsNotCounted(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	for range 8 { // which of the two packs a look-up finds first is a matter of chance
		f := newFixture(t)
		f.forget(f.backup("a"))
		f.mustPrune(grace(1))
		b := f.backup("a")
		if report := f.mustPrune(); report.Deleted != 2 || report.Marked != 0 {
			t.Errorf("%+v", report)
		}
		f.sound(b)
	}
}

// Whole backups that come while a prune looks around disturb nothing, and none
// of their packs is marked.
func TestBackupsWhilePruning(t *testing.T) {
	for _, prefix := range []string{"packs/", "snapshots/", "intents/", "index/", "marks/"} {
		f := newFixture(t)
		f.forget(f.backup("z"))
		var all []*run
		f.store.before = func(op, name string) {
			if op == "list" && name == prefix {
				all = append(all, f.backup("a", strings.Repeat("b", 1+len(all))))
			}
		}
		report := f.mustPrune()
		f.store.before = nil
		if report.Marked != 2 {
			t.Errorf("at listings of %s: %+v", prefix, report)
		}
		f.mustPrune()
		f.sound(all...)
	}
}

// What a session may take over unseen: nothing that may be under a mark it has seen.
func TestMayBuildOn(t *testing.T) {
	f := newFixture(t)
	sound := f.backup("s")
	f.forget(f.backup("a"))
	unseen := f.begin(nil).add("a")
	f.mustPrune(grace(1))
	unseen.commit()
	seen := f.begin(nil).add("a").commit()
	late := f.begin(nil)
	f.mustPrune(grace(1)) // its mark names no packs
	late.add("l").commit()
	for i, c := range []struct {
		parent *run
		want   bool
	}{{sound, true}, {unseen, false}, {seen, true}, {late, true}} {
		b := f.begin(c.parent)
		if got := b.s.MayBuildOn(c.parent.s.ID(), c.parent.s.Marks()); got != c.want {
			t.Errorf("%d: MayBuildOn() = %t", i, got)
		}
	}
}

// A session may have named a parent and found it gone.
func TestParentThatWasDeleted(t *testing.T) {
	f := newFixture(t)
	parent := f.backup("a", "b")
	f.forget(parent)
	f.mustPrune()
	b := f.begin(parent)
	f.forget(f.backup("c"))
	f.mustPrune()
	b.add("a", "b").commit()
	f.sound(b)

	// Of another its tree is left, and its pieces are not: it was being deleted.
	parent = f.begin(nil).add("x", "y").commit()
	f.forget(parent)
	f.lose(parent, seal.KindDataIndex, seal.KindDataPack)
	f.begin(parent)
	if report := f.mustPrune(); report.Missing != 0 {
		t.Errorf("%+v", report)
	}
}

// A snapshot that was forgotten has ended its session, whose intent is waited
// for no longer.
func TestForgottenSessionsHaveEnded(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	if report := f.mustPrune(); report.Deleted != 2 || len(report.Waiting) != 0 || len(f.names("intents/")) != 0 {
		t.Errorf("%+v", report)
	}
}

// A session that has been open for too long, as this machine saw it, is ended.
func TestExpire(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	b := f.begin(nil).add("a")
	week := func(o *gc.Options) { o.Expire = 7 * 24 * time.Hour }
	f.mustPrune(week)
	f.now = f.now.AddDate(1, 0, 0)
	if report := f.mustPrune(week); report.Ended != 0 {
		t.Errorf("its process lives: %+v", report)
	}
	f.cache = t.TempDir()
	here := week
	week = func(o *gc.Options) { here(o); gc.Elsewhere(o) }
	f.mustPrune(week)
	f.now = f.now.Add(7*24*time.Hour - 1)
	if report := f.mustPrune(week); report.Ended != 0 || report.Deleted != 0 {
		t.Errorf("%+v", report)
	}
	f.now = f.now.Add(1)
	if report := f.mustPrune(week); report.Ended != 1 || report.Deleted != 2 {
		t.Errorf("%+v", report)
	}
	if err := b.tryCommit(); !errors.Is(err, repo.ErrClosed) {
		t.Errorf("the session ends with %v", err)
	}
	f.sound()
}

// A tombstone of the session's own goes after a while; nothing waits for it.
func TestOwnTombstonesGo(t *testing.T) {
	f := newFixture(t)
	b := f.begin(nil).add("a")
	if err := b.s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.mustPrune()
	f.mustPrune()
	if n := len(f.names("snapshots/")); n != 1 {
		t.Errorf("%d are left at first", n)
	}
	f.now = f.now.AddDate(0, 0, 1)
	if f.mustPrune(); len(f.names("snapshots/")) != 0 || len(f.names("packs/")) != 0 {
		t.Errorf("there is left %q", f.names(""))
	}
}

// A session that was ended and lives on may name packs that are gone. The next
// prune takes such out of the index, unless something of them is needed.
func TestNamedAndGone(t *testing.T) {
	f := newFixture(t)
	kept, gone := f.backup("a"), f.backup("b")
	f.forget(gone)
	f.lose(gone, seal.KindDataPack, seal.KindTreePack)
	f.mustPrune()
	f.begin(nil) // it misses nothing
	f.sound(kept)
	if n := len(f.names("index/")); n != 2 {
		t.Errorf("there are %d index objects", n)
	}
}

// A mark that cannot be read says nothing: what it named is marked again, and it goes.
func TestDamagedMark(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	f.mustPrune(grace(1))
	data, err := f.store.Get(t.Context(), "marks/00000001", 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	data[200] ^= 1
	f.delete("marks/00000001")
	if err := f.store.Put(t.Context(), "marks/00000001", data); err != nil {
		t.Fatal(err)
	}
	report := f.mustPrune()
	if marks := f.names("marks/"); report.Marked != 2 || report.Deleted != 2 || len(marks) != 1 || marks[0] != "marks/00000002" {
		t.Errorf("%+v, %q", report, marks)
	}
}

// Where pieces are missing that a snapshot needs, that is told, and packs that no
// index object names stay: they may hold them.
func TestMissingPieces(t *testing.T) {
	f := newFixture(t)
	damaged, orphans := f.backup("a", "b"), f.backup("z")
	f.forget(orphans)
	f.lose(orphans, seal.KindDataIndex, seal.KindTreeIndex)
	f.lose(damaged, seal.KindDataPack)
	report, err := gc.Prune(t.Context(), f.openWith(f.store, io.Discard), gc.Options{CacheDir: f.cache})
	if err != nil || report.Missing != 2 || report.Marked != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A prune, which reads intents again and again, and a backup warn once of one that is damaged.
func TestDamagedIntentIsToldOnce(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	name := "intents/" + f.begin(nil).s.ID().String()
	f.delete(name)
	if err := f.store.Store.Put(t.Context(), name, []byte("no intent")); err != nil {
		t.Fatal(err)
	}
	var warnings strings.Builder
	for _, do := range []func(*repo.Repository) error{
		func(r *repo.Repository) error {
			_, err := gc.Prune(t.Context(), r, gc.Options{CacheDir: f.cache, MaxUnused: 100})
			return err
		},
		func(r *repo.Repository) error {
			s, err := r.Begin(t.Context(), repo.SessionOptions{Intent: repo.Intent{Operation: "backup", Store: "mail", Host: "mx"}})
			if err != nil {
				return err
			}
			return s.Abandon(t.Context())
		},
	} {
		warnings.Reset()
		if err := do(f.openWith(f.store, &warnings)); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(warnings.String(), name+" is damaged"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, warnings.String())
		}
	}
}
