package gc_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"restante/gc"
	"restante/repo"
	"restante/seal"
)

// A settling storage may list what is not durable yet.
type settling struct{ *hooked }

func (s settling) Settle(_ context.Context, prefix string) error {
	s.call("settle", prefix)
	return nil
}

// What was listed is made durable before anything is done because of it, by each who does that.
func TestSettling(t *testing.T) {
	for name, c := range map[string]struct {
		listed, done string // it comes after the last call of the one kind, and before the first of the other
		prepare      func(f *fixture) seal.Session
		do           func(f *fixture, r *repo.Repository, id seal.Session) error
	}{
		"a session beside another": {"list packs/", "put snapshots/",
			func(f *fixture) seal.Session { return f.begin(nil).s.ID() },
			func(_ *fixture, r *repo.Repository, _ seal.Session) error {
				s, err := r.Begin(t.Context(), repo.SessionOptions{Intent: repo.Intent{Operation: "backup", Store: "mail", Host: "other"}})
				if err != nil {
					return err
				}
				return s.Commit(t.Context(), func(int64) ([]byte, error) { return nil, nil })
			}},
		"who ends a session": {"", "put snapshots/",
			func(f *fixture) seal.Session { return f.begin(nil).s.ID() },
			func(_ *fixture, r *repo.Repository, id seal.Session) error {
				_, err := r.EndSession(t.Context(), id)
				return err
			}},
		"a prune": {"list intents/", "delete packs/", forgotten,
			func(f *fixture, r *repo.Repository, _ seal.Session) error {
				_, err := gc.Prune(t.Context(), r, gc.Options{CacheDir: f.cache, MaxUnused: 100})
				return err
			}},
		"who forgets": {"get snapshots/", "put forgotten/",
			func(f *fixture) seal.Session { return f.backup("b").s.ID() },
			func(_ *fixture, r *repo.Repository, id seal.Session) error {
				return r.Forget(t.Context(), id, "tester")
			}},
		"who holds": {"", "put holds/",
			func(f *fixture) seal.Session { return f.backup("b").s.ID() },
			func(_ *fixture, r *repo.Repository, id seal.Session) error {
				_, err := r.Hold(t.Context(), repo.Hold{Snapshot: id, Reason: "a test"})
				return err
			}},
		"repair index": {"list packs/", "put index/", without(seal.KindDataIndex),
			func(_ *fixture, r *repo.Repository, _ seal.Session) error {
				_, err := r.RepairIndex(t.Context(), repo.RepairOptions{User: "tester"})
				return err
			}},
		"repair packs": {"list packs/", "put damaged/", without(seal.KindDataPack),
			func(_ *fixture, r *repo.Repository, _ seal.Session) error {
				_, err := r.RepairPacks(t.Context(), nil, repo.RepairOptions{User: "tester"})
				return err
			}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.backup("a")
			id := c.prepare(f)
			r := f.openWith(settling{f.store}, warned{t})
			f.store.calls = nil
			if err := c.do(f, r, id); err != nil {
				t.Fatal(err)
			}
			find := func(calls []string, prefix string) int {
				return slices.IndexFunc(calls, func(call string) bool { return strings.HasPrefix(call, prefix) })
			}
			done := find(f.store.calls, c.done)
			if done < 0 {
				t.Fatalf("there is no %q in %q", c.done, f.store.calls)
			}
			before := slices.Clone(f.store.calls[:done])
			slices.Reverse(before)
			settled, listed := find(before, "settle "), find(before, c.listed)
			if settled < 0 || c.listed != "" && settled > listed {
				t.Errorf("what was listed is not made durable before %q: %q", c.done, f.store.calls[:done])
			}
		})
	}
}

// forgotten makes a snapshot, and forgets it.
func forgotten(f *fixture) seal.Session {
	b := f.backup("b")
	f.forget(b)
	return b.s.ID()
}

// without makes a snapshot, and loses objects of a kind that it has put.
func without(kind seal.Kind) func(*fixture) seal.Session {
	return func(f *fixture) seal.Session {
		b := f.backup("b")
		f.lose(b, kind)
		return b.s.ID()
	}
}
