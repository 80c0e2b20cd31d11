package repo_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/storage"
	"restante/storage/mem"
)

// A slowStore counts packs that are not durable, and lets none become so before
// there are limit of them; then it takes its time.
type slowStore struct {
	storage.Store
	limit int

	mu         sync.Mutex
	many       sync.Cond // there are limit packs, or there will be no more
	unfinished int
	most       int
	ending     bool
}

func (s *slowStore) Stage(ctx context.Context) (storage.Staged, error) {
	staged, err := s.Store.Stage(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unfinished++
	s.most = max(s.most, s.unfinished)
	if s.unfinished >= s.limit {
		s.many.Broadcast()
	}
	return slowStaged{staged, s}, err
}

type slowStaged struct {
	storage.Staged
	s *slowStore
}

func (st slowStaged) Commit(ctx context.Context, name string) error {
	s := st.s
	s.mu.Lock()
	for s.unfinished < s.limit && !s.ending {
		s.many.Wait()
	}
	s.mu.Unlock()
	for range 1000 {
		runtime.Gosched() // who may begin another pack now does
	}
	err := st.Staged.Commit(ctx, name)
	s.mu.Lock()
	s.unfinished--
	s.mu.Unlock()
	return err
}

// However slow the storage is, no more packs are unfinished than there are
// workers, and a session with pages and data comes to its end.
func TestUnfinishedPacks(t *testing.T) {
	for workers, want := range map[int]int{0: 3, 1: 2, 2: 2, 3: 3, 8: 3} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			slow := &slowStore{Store: mem.New(), limit: want}
			slow.many.L = &slow.mu
			r := newFixtureOn(t, slow).open(t)
			s, err := r.Begin(t.Context(), repo.SessionOptions{Compression: repo.Default, Workers: workers,
				Intent: repo.Intent{Operation: "backup", Store: t.Name(), Host: "mx"}})
			if err != nil {
				t.Fatal(err)
			}
			s.SetPackSize(300 << 10)
			var wg sync.WaitGroup
			for n, class := range []blob.Class{blob.Bin, blob.Bin, blob.Page} {
				wg.Go(func() { saveMuch(t, s, class, uint64(n)) })
			}
			wg.Wait()
			slow.mu.Lock()
			slow.ending = true
			slow.many.Broadcast()
			slow.mu.Unlock()
			if err := s.Commit(t.Context(), payload("x")); err != nil {
				t.Fatal(err)
			}
			if slow.most != want || slow.unfinished != 0 {
				t.Errorf("%d packs were unfinished at a time, want %d; %d at the end", slow.most, want, slow.unfinished)
			}
		})
	}
}

// saveMuch saves what fills some packs.
func saveMuch(t *testing.T, s *repo.Session, class blob.Class, seed uint64) {
	w, err := s.NewWriter()
	if err != nil {
		t.Error(err)
		return
	}
	rnd := rand.NewChaCha8([32]byte{byte(seed)})
	data := make([]byte, 100<<10)
	for range 20 {
		rnd.Read(data)
		if _, err := w.Save(t.Context(), class, data); err != nil {
			t.Error(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}
