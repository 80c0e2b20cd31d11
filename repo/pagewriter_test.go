package repo_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/storage"
	"restante/storage/mem"
)

// somePages returns pages that fill several batches.
func somePages(seed uint64) (pages [][]byte) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range 4000 {
		page := fmt.Appendf(nil, "page %d of %d ", i, seed)
		for n := rng.IntN(2000); n > 0; n -= 4 {
			page = fmt.Appendf(page, "%04d", rng.IntN(10_000))
		}
		pages = append(pages, page)
	}
	return pages
}

// savePages saves pages through one PageWriter, which it flushes.
func savePages(t *testing.T, s *repo.Session, pages [][]byte) (ids []blob.ID) {
	t.Helper()
	w, err := s.NewPageWriter()
	if err != nil {
		t.Error(err)
		return nil
	}
	var own []byte // which the writer must not keep
	for _, p := range pages {
		own = append(own[:0], p...)
		id, err := w.SavePage(t.Context(), own)
		if err != nil {
			t.Error(err)
		}
		ids = append(ids, id)
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	return ids
}

// Pages are stored once, also where two writers bring them at the same time or one
// brings them again, and in the order in which they came.
func TestPageWriter(t *testing.T) {
	f := newFixture(t)
	r := f.open(t)
	s := begin(t, r)
	pages := somePages(1)
	ids := savePages(t, s, slices.Concat(pages, pages[:50], pages[3000:]))[:len(pages)]
	var wg sync.WaitGroup
	others := somePages(2)
	for range 2 {
		wg.Go(func() { savePages(t, s, slices.Concat(others, pages)) })
	}
	wg.Wait()
	if err := s.Commit(t.Context(), payload("pages")); err != nil {
		t.Fatal(err)
	}
	want := uint64(len(pages) + len(others))
	if n, err := r.Pieces(t.Context()); n != want {
		t.Errorf("%d pages are stored, want %d: %v", n, want, err)
	}
	var before blob.Place
	for i, id := range ids {
		places, err := r.Places(t.Context(), []blob.ID{id})
		if err != nil {
			t.Fatal(err)
		}
		place := places[0]
		got, err := r.LoadPage(t.Context(), id)
		if err != nil || string(got) != string(pages[i]) {
			t.Fatalf("page %d is %d bytes, want %d: %v", i, len(got), len(pages[i]), err)
		}
		if place.Pack == before.Pack && cmp.Or(cmp.Compare(before.Offset, place.Offset), cmp.Compare(before.Inner, place.Inner)) >= 0 {
			t.Fatalf("page %d does not lie behind the one before", i)
		}
		before = place
	}

	s = begin(t, r)
	savePages(t, s, pages)
	if err := s.Commit(t.Context(), payload("again")); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Pieces(t.Context()); n != want {
		t.Errorf("%d pages are stored once they have come again, want %d: %v", n, want, err)
	}
}

var errFull = errors.New("the storage is full")

// A leakStore counts what is staged and neither committed nor discarded. It takes no
// more packs than it has room for, and begins none once it is full.
type leakStore struct {
	storage.Store
	open, room atomic.Int64
	full       atomic.Bool
}

const plenty = 1 << 30 // of room

func newLeakStore() *leakStore {
	s := &leakStore{Store: mem.New()}
	s.room.Store(plenty)
	return s
}

func (s *leakStore) Stage(ctx context.Context) (storage.Staged, error) {
	if s.full.Load() {
		return nil, errFull
	}
	staged, err := s.Store.Stage(ctx)
	if err == nil {
		s.open.Add(1)
		staged = &leakStaged{Staged: staged, s: s}
	}
	return staged, err
}

type leakStaged struct {
	storage.Staged
	s    *leakStore
	once sync.Once
}

func (st *leakStaged) end() { st.once.Do(func() { st.s.open.Add(-1) }) }

func (st *leakStaged) Commit(ctx context.Context, name string) error {
	if st.s.room.Add(-1) < 0 {
		return errFull
	}
	err := st.Staged.Commit(ctx, name)
	if err == nil {
		st.end()
	}
	return err
}

func (st *leakStaged) Discard() error {
	st.end()
	return st.Staged.Discard()
}

// givePages gives pages to a PageWriter of the session until one is refused, and does not flush it.
func givePages(t *testing.T, s *repo.Session, pages [][]byte) (*repo.PageWriter, error) {
	t.Helper()
	w, err := s.NewPageWriter()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if _, err := w.SavePage(t.Context(), p); err != nil {
			return w, err
		}
	}
	return w, nil
}

// A session that ends while pages are saved leaves nothing of them half done.
func TestAbandonWhilePagesAreSaved(t *testing.T) {
	leaks := newLeakStore()
	r := newFixtureOn(t, leaks).open(t)
	for i := range 8 {
		s := begin(t, r)
		s.SetPackSize(150 << 10)
		if _, err := givePages(t, s, somePages(uint64(i))[:1500]); err != nil {
			t.Fatal(err)
		}
		if err := s.Abandon(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := leaks.open.Load(); n != 0 {
			t.Fatalf("%d packs are neither there nor discarded", n)
		}
	}
}

// What a PageWriter could not save, it tells, and there is no snapshot.
func TestPagesThatCannotBeSaved(t *testing.T) {
	leaks := newLeakStore()
	r := newFixtureOn(t, leaks).open(t)
	s := begin(t, r)
	s.SetPackSize(150 << 10)
	leaks.room.Store(2)
	w, err := givePages(t, s, somePages(1))
	if err == nil {
		err = w.Flush(t.Context())
	}
	if err == nil {
		t.Error("saving pages says nothing of a full storage")
	}
	leaks.room.Store(plenty)
	if err := s.Commit(t.Context(), payload("pages")); err == nil {
		t.Error("there is a snapshot without its pages")
	}
	if err := s.Abandon(t.Context()); err != nil {
		t.Error(err)
	}
	if n := leaks.open.Load(); n != 0 {
		t.Errorf("%d packs are neither there nor discarded", n)
	}
}

// An error of a page is told once, be it noted by the session and by who saves pages for it.
func TestErrorOfAPageIsToldOnce(t *testing.T) {
	leaks := newLeakStore()
	r := newFixtureOn(t, leaks).open(t)
	s := begin(t, r)
	leaks.full.Store(true)
	w, err := givePages(t, s, somePages(1))
	for _, err := range []error{err, w.Flush(t.Context()), s.Commit(t.Context(), payload("pages"))} {
		if err == nil || strings.Count(err.Error(), errFull.Error()) != 1 {
			t.Errorf("saving pages where there is no room says %v", err)
		}
	}
}
