package repo_test

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage"
	"restante/storage/faulty"
)

// TestSpares: whatever becomes of a config or of a key file, or of both at once, its spare
// opens the repository, on a machine that has seen it and on another, and what a later key
// has written is whole. Of the spare alone nothing needs to be left either.
func TestSpares(t *testing.T) {
	store, k := newRepository(t)
	late := newKeyring(t)
	info, err := mustOpen(t, k, store).AddKey(t.Context(), seal.Owner, "late", late.lock)
	if err != nil {
		t.Fatal(err)
	}
	sess := begin(t, mustOpen(t, late, store))
	ids := save(t, sess, blob.Text, []byte("a message"))
	if err := sess.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	vital := []string{"config/00000002", "keys/" + info.Object.String()}
	for what, damage := range map[string]func(*testing.T, storage.Store, string){
		"a flipped bit": func(t *testing.T, store storage.Store, name string) { flipByte(t, store, name, 300) },
		"no beginning":  func(t *testing.T, store storage.Store, name string) { flipByte(t, store, name, 0) },
		"nothing there": func(t *testing.T, store storage.Store, name string) { replace(t, store, name, nil) },
		"empty":         func(t *testing.T, store storage.Store, name string) { replace(t, store, name, []byte{}) },
		"too large":     func(t *testing.T, store storage.Store, name string) { replace(t, store, name, make([]byte, 2<<20)) },
	} {
		for _, spare := range []bool{false, true} {
			damaged := copyStore(t, store)
			for _, name := range vital {
				if spare {
					name = repo.SpareOf(name)
				}
				damage(t, damaged, name)
			}
			r := mustOpen(t, late, damaged)
			if got, err := read(t, r, ids[0]); err != nil || string(got) != "a message" || r.BrokenConfig() != "" {
				t.Errorf("%s, of spares %v: %q, %v, broken: %q", what, spare, got, err, r.BrokenConfig())
			}
			if _, err := r.AddKey(t.Context(), seal.Owner, "next", newKeyring(t).lock); err != nil {
				t.Errorf("%s, of spares %v: the next key: %v", what, spare, err)
			}
			mustOpen(t, late, damaged)
			mustOpen(t, k, damaged)
		}
	}
}

// TestSpareOfWhatCannotBeRead: a bad sector under the only config costs nothing either.
func TestSpareOfWhatCannotBeRead(t *testing.T) {
	inner, k := newRepository(t)
	for _, name := range []string{"config/00000001", "keys/" + mustOpen(t, k, inner).CurrentKey().Object.String()} {
		store := faulty.New(inner)
		store.Refuse(name, fs.ErrPermission)
		if _, err := k.open(t, store); err != nil {
			t.Errorf("%s cannot be read: %v", name, err)
		}
	}
}

// TestSpareOfAnotherConfig: a spare counts only under its own number, and signed.
func TestSpareOfAnotherConfig(t *testing.T) {
	store, k := newRepository(t)
	first, err := store.Get(t.Context(), "config/00000001", 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := newRepository(t)
	foreign, err := other.Get(t.Context(), "config/00000001", 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"another number": first, "another repository": foreign} {
		planted := copyStore(t, store)
		replace(t, planted, "spares/config/00000002", data)
		r := mustOpen(t, k, planted)
		if r.BrokenConfig() != "config/00000002" || len(r.Keys()) != 1 {
			t.Errorf("%s: broken is %q, %d keys", name, r.BrokenConfig(), len(r.Keys()))
		}
	}
}

// TestNoSpares: what older programs made has none, and opens; where an object and its
// spare are both away it does not.
func TestNoSpares(t *testing.T) {
	store, k := newRepository(t)
	for name := range objects(t, store) {
		if repo.SpareOf(repo.SpareOf(name)) != name {
			t.Errorf("%s is not the spare of %s", repo.SpareOf(name), name)
		}
		if bytes.HasPrefix([]byte(name), []byte("spares/")) {
			replace(t, store, name, nil)
		}
	}
	mustOpen(t, k, store)
	flipByte(t, store, "config/00000001", 300)
	var damage *repo.DamageError
	if _, err := k.open(t, store); !errors.As(err, &damage) || damage.Object != "config/00000001" {
		t.Errorf("without a sound config: %v", err)
	}
}

// replace puts other bytes in the place of an object, none for nil.
func replace(t *testing.T, store storage.Store, name string, data []byte) {
	t.Helper()
	err := store.Delete(t.Context(), name)
	if errors.Is(err, storage.ErrNotFound) {
		err = nil
	}
	if err == nil && data != nil {
		err = store.Put(t.Context(), name, data)
	}
	if err != nil {
		t.Fatal(err)
	}
}
