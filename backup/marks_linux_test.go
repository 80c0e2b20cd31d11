package backup_test

import (
	"context"
	"path"
	"slices"
	"strings"
	"testing"

	"restante/backup"
	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage"
)

// namesOf returns the names of objects below a prefix.
func (f *fixture) namesOf(prefix string) (names []string) {
	f.t.Helper()
	must(f.t, f.store.List(f.t.Context(), prefix, func(name string, _ int64) error {
		names = append(names, name)
		return nil
	}))
	return names
}

// mark marks all packs; roots need none of them.
func (f *fixture) mark(number uint64, roots ...backup.Session) {
	f.t.Helper()
	f.markPacks(number, f.namesOf("packs/"), roots...)
}

func (f *fixture) markPacks(number uint64, packs []string, roots ...backup.Session) {
	f.t.Helper()
	m := repo.Mark{Number: number}
	for _, name := range packs {
		id, err := blob.ParseID(path.Base(name))
		must(f.t, err)
		m.Packs = append(m.Packs, id)
	}
	slices.SortFunc(m.Packs, blob.ID.Compare)
	for _, id := range roots {
		m.Roots = append(m.Roots, seal.Session(id))
	}
	must(f.t, f.open().PutMark(f.t.Context(), m))
}

// A backup takes over what its parent has, unread, but from under a mark of which
// the parent needs something: then it stores all of it again. Where the mark does not say so the
// parent's pages do, to who may read them.
func TestMarkedPacksAreStoredAgain(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 50)
	first := f.clean(resting)
	f.mark(1, first.Session)
	night := f.clean(resting)
	if n := night.Snapshot.Run.BytesRead; n != 0 {
		t.Errorf("%d bytes were read, though the parent needs nothing of what is marked", n)
	}
	s, err := f.open().ReadSession(t.Context(), seal.Session(night.Session))
	if err != nil || s.Intent.Root == nil || s.Intent.Root.ID != first.Snapshot.Tree.ID || s.Intent.Root.Level != first.Snapshot.Tree.Level ||
		s.Intent.Parent != seal.Session(first.Session) || !slices.Equal(s.Seen, []uint64{1}) {
		t.Errorf("its intent: %+v, %v", s, err)
	}

	f.mark(2)
	old := f.namesOf("packs/")
	if n := f.clean(resting).Snapshot.Run.BytesRead; n == 0 {
		t.Error("nothing was read, though all may be under a mark")
	}
	last := f.clean(resting)
	if n := last.Snapshot.Run.BytesRead; n != 0 {
		t.Errorf("%d bytes were read, though the parent has seen the mark", n)
	}
	f.markPacks(3, old)
	last = f.clean(resting)
	if n := last.Snapshot.Run.BytesRead; n != 0 {
		t.Errorf("%d bytes were read, though the parent needs nothing of what is marked", n)
	}
	for _, name := range old {
		must(t, f.store.Delete(t.Context(), name))
	}
	f.identical(last)
}

// A deleting storage deletes what a prune may have before the session's intent
// was there.
type deleting struct {
	storage.Store
	f    *fixture
	done bool
}

func (d *deleting) Put(ctx context.Context, name string, data []byte) error {
	if !d.done && strings.HasPrefix(name, "intents/") {
		d.done = true
		for _, prefix := range []string{"snapshots/", "intents/", "index/", "packs/"} {
			for _, name := range d.f.namesOf(prefix) {
				must(d.f.t, d.f.store.Delete(ctx, name))
			}
		}
	}
	return d.Store.Put(ctx, name, data)
}

// A parent that is gone when the intent is there is no parent.
func TestParentIsConfirmed(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 50)
	f.clean(resting)
	o := f.options()
	resting(&o)
	result, err := f.try(t.Context(), &deleting{Store: f.store, f: f}, o)
	must(t, err)
	if result.Snapshot.Parent != [16]byte{} {
		t.Error("it builds on what is gone")
	}
	f.identical(result)
}
