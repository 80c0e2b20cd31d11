package gc_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"restante/gc"
	"restante/repo"
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
	if report := f.mustPrune(); report.Deleted != 1 { // the tree of the one that was forgotten
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

// Snapshots are listed before sessions. Else a session could come between that
// takes over what is under a mark it has seen, from a parent that goes.
func TestSnapshotsAreListedFirst(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	// A parent that needs what is under a mark: it had not seen it.
	parent := f.begin(nil).add("a")
	f.mustPrune(grace(1))
	parent.commit()
	f.mustPrune(grace(1))
	for _, second := range []string{"snapshots/", "intents/"} {
		var b *run
		listed := 0
		f.store.before = func(op, name string) {
			if op != "list" || name != "snapshots/" && name != "intents/" {
				return
			}
			// Before the second of the two listings of the last look.
			if listed++; name == second && b == nil && listed >= 6 {
				b = f.begin(parent).takeOver("a")
				f.forget(parent)
			}
		}
		f.mustPrune()
		f.store.before = nil
		if b != nil {
			b.commit()
			f.sound(b)
			parent = b
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

// A session that the pruner ended loses when it wakes up, and another begins.
func TestEndedByThePruner(t *testing.T) {
	f := newFixture(t)
	f.forget(f.backup("a"))
	b := f.begin(nil).add("a")
	drop := func(o *gc.Options) { o.Drop = []string{b.s.ID().String()[:8]} }
	if report := f.mustPrune(drop); report.Ended != 1 || report.Deleted != 2 {
		t.Errorf("%+v", report)
	}
	f.now = f.now.AddDate(10, 0, 0)
	for range 3 {
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
	f.mustPrune(func(o *gc.Options) { o.Drop = []string{b.s.ID().String()[:8]} })
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

// The order of deleting: out of the index, then the pack, then the mark.
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
	if want := []string{"index", "packs", "index", "packs", "marks"}; !slices.Equal(order, want) {
		t.Errorf("deleted %q, want %q", order, want)
	}
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
