package repo_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/storage"
	"restante/storage/faulty"
)

// indexes returns the names of the index objects of h.
func (h *hoard) indexes(t *testing.T) (names []string) {
	t.Helper()
	for name := range objects(t, h.base) {
		if strings.HasPrefix(name, "index/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// wantAround checks that who reads around finds all but what is lost.
func (h *hoard) wantAround(t *testing.T, store storage.Store, lost ...blob.ID) {
	t.Helper()
	r := mustOpen(t, h.keys, store)
	r.ReadAround()
	for id, want := range h.pieces {
		got, err := read(t, r, id)
		if isLost := slices.Contains(lost, id); isLost != (err != nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("piece %s, which is lost: %t: %v", id.Short(), isLost, err)
		}
	}
}

// Who reads around finds all that there is, whichever index objects are damaged, cannot be
// read, or are gone. Everybody else is told, but for what is gone.
func TestBrokenIndexObjects(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	h := newHoard(t)
	names := h.indexes(t)
	ways := map[string]func(t *testing.T, store *faulty.Store, name string){
		"a byte is another": func(t *testing.T, store *faulty.Store, name string) { flipByte(t, store, name, 300) },
		"it is empty":       func(t *testing.T, store *faulty.Store, name string) { replace(t, store, name, []byte{}) },
		"it is far too large": func(t *testing.T, store *faulty.Store, name string) {
			replace(t, store, name, make([]byte, repo.MaxIndexObject+1))
		},
		"it cannot be read": func(_ *testing.T, store *faulty.Store, name string) { store.Refuse(name, syscall.EIO) },
		"it is gone": func(t *testing.T, store *faulty.Store, name string) {
			if err := store.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		},
	}
	for way, harm := range ways {
		t.Run(way, func(t *testing.T) {
			for _, broken := range [][]string{names[:1], names[1:3], names} {
				store := faulty.New(copyStore(t, h.base))
				for _, name := range broken {
					harm(t, store, name)
				}
				if way == "it cannot be read" && len(broken) > 1 {
					continue // a faulty store refuses one
				}
				h.wantAround(t, store)
				if way == "it is gone" {
					continue
				}
				_, err := mustOpen(t, h.keys, store).Begin(t.Context(), repo.SessionOptions{})
				if !errors.As(err, new(*repo.DamageError)) && !errors.As(err, new(*repo.UnreadableError)) {
					t.Errorf("a session begins: %v", err)
				}
			}
		})
	}
}

// A pack without a directory costs what is in it.
func TestNoIndexObjects(t *testing.T) {
	h := newHoard(t)
	store := copyStore(t, h.base)
	for _, name := range h.indexes(t) {
		if err := store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	h.wantAround(t, store)
	name := repo.PackName(h.packs[1])
	flipByte(t, store, name, int(objects(t, store)[name])-70) // in the sealed length of the directory
	h.wantAround(t, store, h.ids[1]...)
}

// What was found by directories the next opening of the same cache does not go by.
func TestReadAroundIsForReaders(t *testing.T) {
	h := newHoard(t)
	store := copyStore(t, h.base)
	if err := store.Delete(t.Context(), h.indexes(t)[0]); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	reopen := func() *repo.Repository {
		r, err := repo.Open(t.Context(), store, repo.OpenOptions{CacheDir: dir, Unlock: h.keys.unlock})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := reopen()
	r.ReadAround()
	for id := range h.pieces {
		if _, err := read(t, r, id); err != nil {
			t.Error(err)
		}
	}
	all := len(r.Packs())
	if _, err := r.Begin(t.Context(), repo.SessionOptions{}); err == nil {
		t.Error("a session begins")
	}
	r.Close()
	r = reopen()
	defer r.Close()
	named := 0
	if err := r.EachPack(t.Context(), func(blob.ID, uint32) { named++ }); err != nil {
		t.Fatal(err)
	}
	if all != 6 || named >= all {
		t.Errorf("who reads around knows %d packs, and others %d", all, named)
	}
}
