package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"restante/storage"
)

func testList(t *testing.T, s storage.Store) {
	objects := make(map[string][]byte)
	for i := range 60 {
		name := fmt.Sprintf("packs/%02x/%064x", i%7, i)
		if i%10 == 0 {
			name = fmt.Sprintf("index/%064x", i)
		}
		objects[name] = bytes.Repeat([]byte{1}, i)
	}
	objects["packs-old/00/1"] = []byte("1")
	objects["snapshots/1"] = nil
	for name, data := range objects {
		put(t, s, name, string(data))
	}
	for _, prefix := range []string{"", "packs/", "packs/03/", "packs-old/", "index/", "keys/", "snapshots/1/", "packs/ff/a/"} {
		below := maps.Clone(objects)
		maps.DeleteFunc(below, func(name string, _ []byte) bool { return !strings.HasPrefix(name, prefix) })
		wantList(t, s, prefix, below)
	}
}

func testListStops(t *testing.T, s storage.Store) {
	for i := range 5 {
		put(t, s, fmt.Sprintf("a/%d", i), "x")
	}
	stop, calls := errors.New("stop"), 0
	err := s.List(t.Context(), "", func(string, int64) error {
		calls++
		if calls == 2 {
			return stop
		}
		return nil
	})
	if err != stop || calls != 2 {
		t.Errorf("List stopped after %d calls with %v, want 2 and %v", calls, err, stop)
	}
	// fn may use the Store.
	err = s.List(t.Context(), "a/", func(name string, _ int64) error {
		want(t, s, name, []byte("x"))
		return s.Delete(t.Context(), name)
	})
	if err != nil {
		t.Errorf("List that deletes: %v", err)
	}
	wantList(t, s, "", nil)
}

// testListMeanwhile lists while others put and delete: what is there all the
// time must appear every time, once, and what appears must be whole.
func testListMeanwhile(t *testing.T, s storage.Store) {
	ctx := t.Context()
	const size = 1000
	lasting := make(map[string]int64)
	for i := range 40 {
		name := fmt.Sprintf("packs/%02x/lasting-%d", i%4, i)
		put(t, s, name, string(make([]byte, size)))
		lasting[name] = size
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				name := fmt.Sprintf("packs/%02x/passing-%d-%d", i%6, w, i)
				if err := s.Put(ctx, name, make([]byte, size)); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				if err := s.Delete(ctx, name); err != nil {
					t.Errorf("Delete: %v", err)
					return
				}
			}
		})
	}
	for range 20 {
		got := list(t, s, "packs/")
		for name, n := range got {
			if n != size {
				t.Errorf("%q is listed with %d bytes, not %d", name, n, size)
			}
		}
		for name := range lasting {
			if _, ok := got[name]; !ok {
				t.Errorf("%q is not listed", name)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	if got := list(t, s, ""); !maps.Equal(got, lasting) {
		t.Errorf("at the end %d objects are listed, not %d", len(got), len(lasting))
	}
}

// testPutRaced lets many put one name at the same moment, by Put and by
// Commit. Whoever is told that it exists must find it whole at once.
func testPutRaced(t *testing.T, s storage.Store) {
	ctx := t.Context()
	const racers, size = 12, 5000
	for round := range 12 {
		name := fmt.Sprintf("config/%d/%d", round%3, round)
		var won atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range racers {
			data := bytes.Repeat([]byte{byte(i)}, size)
			run := func() error { return s.Put(ctx, name, data) }
			if i%3 == 0 {
				st := stage(t, s, string(data))
				run = func() error { return st.Commit(ctx, name) }
			}
			wg.Go(func() {
				<-start
				err := run()
				if err == nil {
					won.Add(1)
					winner.Store(data)
				} else if !errors.Is(err, storage.ErrExists) {
					t.Errorf("racing for %q: %v", name, err)
				}
				got, err := s.Get(ctx, name, 0, -1, nil)
				if err != nil || len(got) != size || !bytes.Equal(got, bytes.Repeat(got[:1], size)) {
					t.Errorf("after the race %d bytes of %q, %v", len(got), name, err)
				}
			})
		}
		close(start)
		wg.Wait()
		if n := won.Load(); n != 1 {
			t.Fatalf("%d of %d won %q", n, racers, name)
		}
		want(t, s, name, winner.Load().([]byte))
		if n := len(list(t, s, "config/")); n != round+1 {
			t.Fatalf("%d objects are listed, want %d", n, round+1)
		}
	}
}

// testDeleteRaced lets several delete one object.
func testDeleteRaced(t *testing.T, s storage.Store) {
	ctx := t.Context()
	for round := range 10 {
		name := fmt.Sprintf("marks/%d", round)
		put(t, s, name, "x")
		var deleted atomic.Int32
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				err := s.Delete(ctx, name)
				if err == nil {
					deleted.Add(1)
				} else if !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("racing to delete %q: %v", name, err)
				}
			})
		}
		wg.Wait()
		if deleted.Load() == 0 {
			t.Errorf("nobody deleted %q", name)
		}
		_, err := s.Get(ctx, name, 0, -1, nil)
		wantErr(t, err, storage.ErrNotFound, name)
	}
}
