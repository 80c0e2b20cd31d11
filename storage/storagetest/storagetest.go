// Package storagetest holds what every [storage.Store] must do, as tests.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"restante/storage"
)

// Test runs the conformance suite. open returns a new Store without objects;
// what it needs to clean up it registers with its argument.
func Test(t *testing.T, open func(t *testing.T) storage.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s storage.Store)
	}{
		{"PutGet", testPutGet},
		{"Ranges", testRanges},
		{"Exclusive", testExclusive},
		{"Missing", testMissing},
		{"Staged", testStaged},
		{"StagedFinished", testStagedFinished},
		{"List", testList},
		{"ListStops", testListStops},
		{"ListMeanwhile", testListMeanwhile},
		{"BadNames", testBadNames},
		{"Cancelled", testCancelled},
		{"PutRaced", testPutRaced},
		{"DeleteRaced", testDeleteRaced},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func testPutGet(t *testing.T, s storage.Store) {
	ctx := t.Context()
	large := bytes.Repeat([]byte("a large object. "), 1<<16)
	objects := map[string][]byte{
		"README":                        []byte("read me\n"),
		"config/1":                      {0, 1, 2, 0xff},
		"empty":                         {},
		"a/b/c/d/e":                     []byte("deep"),
		"packs/00/" + digits('0', 64):   large,
		"-/_":                           []byte("odd"),
		strings.Repeat("x", 200):        []byte("long name"),
		strings.Repeat("y/", 99) + "zz": []byte("deepest"),
	}
	for name, data := range objects {
		given := slices.Clone(data)
		if err := s.Put(ctx, name, given); err != nil {
			t.Fatalf("Put: %v", err)
		}
		clear(given) // the Store may not have kept it
	}
	for name, data := range objects {
		got := want(t, s, name, data)
		clear(got) // it is the caller's
		want(t, s, name, data)
	}
	wantList(t, s, "", objects)
	if err := s.Delete(ctx, "a/b/c/d/e"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	delete(objects, "a/b/c/d/e")
	wantList(t, s, "", objects)
	if err := s.Put(ctx, "a/b/c/d/e", []byte("again")); err != nil {
		t.Errorf("Put of a name that was deleted: %v", err)
	}
	want(t, s, "a/b/c/d/e", []byte("again"))
}

func testRanges(t *testing.T, s storage.Store) {
	ctx := t.Context()
	const data = "0123456789"
	put(t, s, "ten", data)
	put(t, s, "none", "")
	for _, c := range []struct {
		name           string
		offset, length int64
		want           string
		err            error
	}{
		{"ten", 0, 10, data, nil},
		{"ten", 0, -1, data, nil},
		{"ten", 3, 4, "3456", nil},
		{"ten", 9, 1, "9", nil},
		{"ten", 7, -1, "789", nil},
		{"ten", 5, 0, "", nil},
		{"ten", 10, 0, "", nil},
		{"ten", 10, -1, "", nil},
		{"ten", 0, 11, "", storage.ErrShort},
		{"ten", 9, 2, "", storage.ErrShort},
		{"ten", 11, 0, "", storage.ErrShort},
		{"ten", 11, -1, "", storage.ErrShort},
		{"ten", 1, 1<<63 - 1, "", storage.ErrShort},
		{"ten", 1 << 62, 1 << 62, "", storage.ErrShort},
		{"none", 0, -1, "", nil},
		{"none", 0, 0, "", nil},
		{"none", 0, 1, "", storage.ErrShort},
		{"absent", 0, 1, "", storage.ErrNotFound},
	} {
		for _, buf := range [][]byte{nil, make([]byte, 2), bytes.Repeat([]byte("x"), 64), make([]byte, 0, 64)} {
			got, err := s.Get(ctx, c.name, c.offset, c.length, buf)
			if string(got) != c.want || !errors.Is(err, c.err) {
				t.Errorf("Get(%q, %d, %d) = %q, %v; want %q, %v", c.name, c.offset, c.length, got, err, c.want, c.err)
			}
			if len(got) > 0 && cap(buf) >= len(got) && &got[0] != &buf[:1][0] {
				t.Errorf("Get(%q, %d, %d) made memory of its own", c.name, c.offset, c.length)
			}
		}
	}
	if _, err := s.Get(ctx, "ten", -1, 1, nil); err == nil {
		t.Error("Get from a negative offset succeeded")
	}
}

func testExclusive(t *testing.T, s storage.Store) {
	ctx := t.Context()
	put(t, s, "config/1", "first")
	wantErr(t, s.Put(ctx, "config/1", []byte("other")), storage.ErrExists, "config/1")
	wantErr(t, s.Put(ctx, "config/1", []byte("first")), storage.ErrExists, "config/1")
	wantErr(t, stage(t, s, "staged").Commit(ctx, "config/1"), storage.ErrExists, "config/1")
	want(t, s, "config/1", []byte("first"))
	wantList(t, s, "", map[string][]byte{"config/1": []byte("first")})
}

func testMissing(t *testing.T, s storage.Store) {
	ctx := t.Context()
	put(t, s, "a/b", "")
	for _, name := range []string{"x", "x/y/z", "a/c", "a/b/c"} {
		_, err := s.Get(ctx, name, 0, -1, nil)
		wantErr(t, err, storage.ErrNotFound, name)
		wantErr(t, s.Delete(ctx, name), storage.ErrNotFound, name)
	}
	_, err := s.Get(ctx, "a", 0, -1, nil)
	wantErr(t, err, storage.ErrNotFound, "a")
	wantErr(t, s.Delete(ctx, "a"), storage.ErrNotFound, "a")
	if err := s.Delete(ctx, "a/b"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	wantErr(t, s.Delete(ctx, "a/b"), storage.ErrNotFound, "a/b")
	wantErr(t, s.Delete(ctx, "a"), storage.ErrNotFound, "a")
}

func testStaged(t *testing.T, s storage.Store) {
	ctx := t.Context()
	var all []byte
	st := stage(t, s, "")
	for i := range 5 {
		part := bytes.Repeat([]byte{byte(i)}, i*100_000)
		all = append(all, part...)
		if n, err := st.Write(part); n != len(part) || err != nil {
			t.Fatalf("Write of %d bytes: %d, %v", len(part), n, err)
		}
		clear(part) // the Store may not have kept it
	}
	other := stage(t, s, "two at once")
	nothing := stage(t, s, "")
	dropped := stage(t, s, "dropped")
	wantList(t, s, "", nil)
	if err := dropped.Discard(); err != nil {
		t.Errorf("Discard: %v", err)
	}
	for name, staged := range map[string]storage.Staged{"packs/a": st, "packs/b": other, "packs/c": nothing} {
		if err := staged.Commit(ctx, name); err != nil {
			t.Fatalf("Commit: %v", err)
		}
	}
	objects := map[string][]byte{"packs/a": all, "packs/b": []byte("two at once"), "packs/c": nil}
	wantList(t, s, "", objects)
	for name, data := range objects {
		want(t, s, name, data)
	}
}

func testStagedFinished(t *testing.T, s storage.Store) {
	ctx := t.Context()
	put(t, s, "taken", "first")
	for name, finish := range map[string]func(storage.Staged) error{
		"Commit":           func(st storage.Staged) error { return st.Commit(ctx, "done") },
		"Discard":          storage.Staged.Discard,
		"Commit, taken":    func(st storage.Staged) error { wantErr(t, st.Commit(ctx, "taken"), storage.ErrExists); return nil },
		"Commit, bad name": func(st storage.Staged) error { wantErr(t, st.Commit(ctx, "../x"), nil); return nil },
		"Commit, cancelled": func(st storage.Staged) error {
			wantErr(t, st.Commit(cancelled(ctx), "x"), context.Canceled)
			return nil
		},
	} {
		st := stage(t, s, name)
		if err := finish(st); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := st.Write([]byte("more")); err == nil {
			t.Errorf("Write after %s succeeded", name)
		}
		if err := st.Commit(ctx, "x"); err == nil {
			t.Errorf("Commit after %s succeeded", name)
		}
		if err := st.Discard(); err != nil {
			t.Errorf("Discard after %s: %v", name, err)
		}
	}
	wantList(t, s, "", map[string][]byte{"taken": []byte("first"), "done": []byte("Commit")})
	want(t, s, "done", []byte("Commit"))
}

func testBadNames(t *testing.T, s storage.Store) {
	ctx := t.Context()
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "A", "a.b", "a b", "a\x00", "a\n", "a\\b",
		"tmp", "tmp/a", "\xff", "ä", "con:", strings.Repeat("a", 201), "x/README", "README/x",
	} {
		err := s.Put(ctx, name, []byte("x"))
		wantErr(t, err, nil)
		wantErr(t, stage(t, s, "x").Commit(ctx, name), nil)
		wantErr(t, s.Delete(ctx, name), nil)
		if _, err := s.Get(ctx, name, 0, -1, nil); err == nil {
			t.Errorf("Get(%q) succeeded", name)
		}
		if errors.Is(err, storage.ErrExists) || errors.Is(err, storage.ErrNotFound) {
			t.Errorf("the error for the bad name %q says something about an object: %v", name, err)
		}
	}
	for _, prefix := range []string{"/", "a", "packs/a", "../", "a//", "a/../", "tmp/", "A/", "\xff/"} {
		if err := s.List(ctx, prefix, func(string, int64) error { return nil }); err == nil {
			t.Errorf("List(%q) succeeded", prefix)
		}
	}
	wantList(t, s, "", nil)
}

func testCancelled(t *testing.T, s storage.Store) {
	put(t, s, "a", "a")
	ctx := cancelled(t.Context())
	wantErr(t, s.Put(ctx, "b", nil), context.Canceled)
	wantErr(t, s.Delete(ctx, "a"), context.Canceled)
	_, err := s.Get(ctx, "a", 0, -1, nil)
	wantErr(t, err, context.Canceled)
	_, err = s.Stage(ctx)
	wantErr(t, err, context.Canceled)
	wantErr(t, stage(t, s, "c").Commit(ctx, "c"), context.Canceled)
	wantErr(t, s.List(ctx, "", func(string, int64) error {
		t.Error("List with a cancelled context called fn")
		return nil
	}), context.Canceled)
	wantList(t, s, "", map[string][]byte{"a": []byte("a")})
}

// put stores an object that must not be there yet.
func put(t *testing.T, s storage.Store, name, data string) {
	t.Helper()
	if err := s.Put(t.Context(), name, []byte(data)); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

// stage begins an object with data.
func stage(t *testing.T, s storage.Store, data string) storage.Staged {
	t.Helper()
	st, err := s.Stage(t.Context())
	if err != nil {
		t.Fatalf("Stage: %v", err)
	}
	t.Cleanup(func() { st.Discard() })
	if n, err := st.Write([]byte(data)); n != len(data) || err != nil {
		t.Fatalf("Write of %d bytes: %d, %v", len(data), n, err)
	}
	return st
}

// want gets the whole object and compares it.
func want(t *testing.T, s storage.Store, name string, data []byte) []byte {
	t.Helper()
	got, err := s.Get(t.Context(), name, 0, -1, nil)
	if err != nil {
		t.Errorf("Get: %v", err)
	} else if !bytes.Equal(got, data) {
		t.Errorf("Get(%q) = %d bytes, %.40q, want %d, %.40q", name, len(got), got, len(data), data)
	}
	return got
}

// wantList lists and compares names and sizes.
func wantList(t *testing.T, s storage.Store, prefix string, objects map[string][]byte) {
	t.Helper()
	sizes := make(map[string]int64)
	for name, data := range objects {
		sizes[name] = int64(len(data))
	}
	if got := list(t, s, prefix); !maps.Equal(got, sizes) {
		t.Errorf("List(%q) = %v, want %v", prefix, got, sizes)
	}
}

// list returns sizes by name. A name that comes twice is an error.
func list(t *testing.T, s storage.Store, prefix string) map[string]int64 {
	t.Helper()
	got := make(map[string]int64)
	err := s.List(t.Context(), prefix, func(name string, size int64) error {
		if _, twice := got[name]; twice {
			return fmt.Errorf("%q appears twice", name)
		}
		got[name] = size
		return nil
	})
	if err != nil {
		t.Errorf("List(%q): %v", prefix, err)
	}
	return got
}

// wantErr checks that err is an error, that it is target unless that is nil,
// and that it names the object.
func wantErr(t *testing.T, err, target error, names ...string) {
	t.Helper()
	if err == nil || target != nil && !errors.Is(err, target) {
		t.Errorf("error %v, want one that is %v", err, target)
		return
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("the error %q does not name %q", err, name)
		}
	}
}

func cancelled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

func digits(c byte, n int) string { return strings.Repeat(string(c), n) }
