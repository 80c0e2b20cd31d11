package faulty_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"restante/storage"
	"restante/storage/faulty"
	"restante/storage/mem"
	"restante/storage/storagetest"
)

// TestStore: unarmed, and armed for a call that never comes, it is a Store
// like others.
func TestStore(t *testing.T) {
	storagetest.Test(t, func(t *testing.T) storage.Store {
		s := faulty.New(mem.New())
		t.Cleanup(func() {
			if s.Fired() {
				t.Error("Fired, unarmed")
			}
		})
		return s
	})
	storagetest.Test(t, func(t *testing.T) storage.Store {
		s := faulty.New(mem.New())
		s.Arm(faulty.Fault{Call: 1 << 30, Dead: true})
		return s
	})
}

// What is refused cannot be read, and all else is as it was.
func TestRefuse(t *testing.T) {
	s := faulty.New(mem.New())
	for _, name := range []string{"a/1", "a/2", "b"} {
		if err := s.Put(t.Context(), name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(refused string) {
		t.Helper()
		for name := range objects(t, s) {
			data, err := s.Get(t.Context(), name, 0, -1, nil)
			if is := refused != "" && strings.HasPrefix(name, refused); is != errors.Is(err, fs.ErrPermission) || !is && string(data) != name {
				t.Errorf("with %q refused, %q is %q, %v", refused, name, data, err)
			}
		}
		if s.Fired() {
			t.Error("Fired, unarmed")
		}
	}
	for _, refused := range []string{"a/", "b", ""} {
		s.Refuse(refused, fs.ErrPermission)
		want(refused)
	}
}

// script makes each operation once and returns the errors by step.
func script(ctx context.Context, s storage.Store) []error {
	var errs []error
	errs = append(errs, s.Put(ctx, "put", []byte("put")))
	st, err := s.Stage(ctx)
	errs = append(errs, err)
	if err == nil {
		_, err = st.Write([]byte("staged"))
		errs = append(errs, err, st.Commit(ctx, "staged"), st.Discard())
	}
	_, err = s.Get(ctx, "old", 0, -1, nil)
	errs = append(errs, err)
	errs = append(errs, s.List(ctx, "", func(string, int64) error { return nil }))
	return append(errs, s.Delete(ctx, "old"))
}

// objects returns what inner holds, by name.
func objects(t *testing.T, inner storage.Store) map[string]bool {
	t.Helper()
	got := make(map[string]bool)
	err := inner.List(t.Context(), "", func(name string, _ int64) error {
		got[name] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func set(names ...string) map[string]bool {
	m := make(map[string]bool)
	for _, n := range names {
		m[n] = true
	}
	return m
}

func TestEveryCallInBothOutcomes(t *testing.T) {
	type result struct {
		failed int
		left   map[string]bool
	}
	all := set("put", "staged")
	noStaged, noPut := set("put"), set("staged")
	notDeleted := set("put", "staged", "old")
	for outcome, want := range map[faulty.Outcome][]result{
		faulty.NotApplied: {
			{1, noPut}, {1, noStaged}, {2, noStaged}, {1, noStaged}, {1, all}, {1, all}, {1, notDeleted}, {0, all},
		},
		faulty.Applied: {
			{1, all}, {1, noStaged}, {2, noStaged}, {1, all}, {1, all}, {1, all}, {1, all}, {0, all},
		},
	} {
		for k, w := range want {
			inner := mem.New()
			if err := inner.Put(t.Context(), "old", nil); err != nil {
				t.Fatal(err)
			}
			s := faulty.New(inner)
			s.Arm(faulty.Fault{Call: k, Outcome: outcome})
			failed := 0
			for _, err := range script(t.Context(), s) {
				if errors.Is(err, faulty.ErrInjected) {
					failed++
				} else if err != nil {
					t.Errorf("outcome %d, call %d: %v", outcome, k, err)
				}
			}
			if got := objects(t, inner); failed != w.failed || !maps.Equal(got, w.left) {
				t.Errorf("outcome %d, call %d: %d calls failed and %v is left, want %d and %v", outcome, k, failed, got, w.failed, w.left)
			}
			if last := k == len(want)-1; s.Fired() == last {
				t.Errorf("outcome %d, call %d: Fired() = %v", outcome, k, s.Fired())
			}
			if s.Unfinished() != 0 {
				t.Errorf("outcome %d, call %d: %d unfinished", outcome, k, s.Unfinished())
			}
		}
	}
}

func TestDead(t *testing.T) {
	ctx := t.Context()
	inner := mem.New()
	s := faulty.New(inner)
	st, err := s.Stage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.Arm(faulty.Fault{Ops: faulty.Changes, Call: 1, Outcome: faulty.Applied, Dead: true, Err: storage.ErrNoSpace})
	if err := s.Put(ctx, "a", nil); err != nil {
		t.Error(err)
	}
	if _, err := s.Get(ctx, "a", 0, -1, nil); err != nil {
		t.Error(err)
	}
	_, writeErr := st.Write(nil)
	if writeErr != nil || s.Calls() != 1 || s.Fired() {
		t.Errorf("%v, %d calls, fired %v", writeErr, s.Calls(), s.Fired())
	}
	if err := s.Put(ctx, "b", nil); !errors.Is(err, storage.ErrNoSpace) || !errors.Is(err, faulty.ErrInjected) {
		t.Errorf("the fault: %v", err)
	}
	for i, err := range append(script(ctx, s), st.Commit(ctx, "c")) {
		if !errors.Is(err, faulty.ErrInjected) {
			t.Errorf("call %d after the crash: %v", i, err)
		}
	}
	if got := objects(t, inner); !maps.Equal(got, set("a", "b")) {
		t.Errorf("%v is left", got)
	}
	s.Arm(faulty.Fault{Ops: faulty.Delete, Call: 5})
	if err := s.Put(ctx, "d", nil); err != nil {
		t.Errorf("after the resurrection: %v", err)
	}
}

// TestOwnErrorFirst: a call that fails by itself, not in doubt, says so.
func TestOwnErrorFirst(t *testing.T) {
	s := faulty.New(mem.New())
	if err := s.Put(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	s.Arm(faulty.Fault{Outcome: faulty.Applied})
	if err := s.Put(t.Context(), "a", nil); !errors.Is(err, storage.ErrExists) {
		t.Errorf("Put: %v", err)
	}
	if !s.Fired() {
		t.Error("the call was not counted")
	}
}

func TestUnfinished(t *testing.T) {
	s := faulty.New(mem.New())
	var all []storage.Staged
	for range 3 {
		st, err := s.Stage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, st)
	}
	if err := all[0].Discard(); err != nil {
		t.Error(err)
	}
	if err := all[1].Commit(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if s.Unfinished() != 1 {
		t.Errorf("%d unfinished", s.Unfinished())
	}
}

// TestOneOfMany: with many goroutines exactly one call fails.
func TestOneOfMany(t *testing.T) {
	s := faulty.New(mem.New())
	s.Arm(faulty.Fault{Ops: faulty.Put, Call: 20})
	var failed atomic.Int32
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 10 {
				if s.Put(t.Context(), fmt.Sprintf("a/%d-%d", w, i), nil) != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if failed.Load() != 1 || s.Calls() != 80 {
		t.Errorf("%d of %d calls failed", failed.Load(), s.Calls())
	}
}

// A Get that is garbled returns other bytes, once, and the object stays what it is.
func TestGarbled(t *testing.T) {
	inner := mem.New()
	s := faulty.New(inner)
	if err := s.Put(t.Context(), "a", []byte("bytes")); err != nil {
		t.Fatal(err)
	}
	s.Arm(faulty.Fault{Call: 1, Outcome: faulty.Garbled})
	for n, want := range []bool{true, false, true} {
		if err := s.List(t.Context(), "", func(string, int64) error { return nil }); err != nil {
			t.Errorf("List: %v", err)
		}
		data, err := s.Get(t.Context(), "a", 0, -1, nil)
		if err != nil || len(data) != 5 || (string(data) == "bytes") != want {
			t.Errorf("Get %d: %q, %v", n, data, err)
		}
	}
	if !s.Fired() || s.Calls() != 3 {
		t.Errorf("fired: %v, after %d calls", s.Fired(), s.Calls())
	}
}

// Something else happens at the time of a call, which may use the storage.
func TestInstead(t *testing.T) {
	s := faulty.New(mem.New())
	called := 0
	s.Arm(faulty.Fault{Ops: faulty.Put, Call: 1, Instead: func() {
		called++
		if err := s.Put(t.Context(), "b", nil); err != nil {
			t.Error(err)
		}
	}})
	for _, name := range []string{"a", "c", "d"} {
		if err := s.Put(t.Context(), name, nil); err != nil {
			t.Error(err)
		}
	}
	if got := objects(t, s); called != 1 || !s.Fired() || len(got) != 4 {
		t.Errorf("called %d times, %v", called, got)
	}
}
