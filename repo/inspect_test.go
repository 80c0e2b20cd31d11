package repo_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage"
)

func TestPartOf(t *testing.T) {
	id, session := strings.Repeat("0a", 32), strings.Repeat("0a", 16)
	for name, want := range map[string]repo.Part{
		"README": repo.Readme, "config/00000001": repo.Configs, "config/123456789": repo.Configs, "keys/" + id: repo.KeyFiles,
		"packs/0a/" + id: repo.Packs, "index/" + id: repo.Indexes, "snapshots/" + session: repo.Snapshots, "intents/" + session: repo.Intents,
		"forgotten/" + session: repo.Forgotten, "holds/" + session + "-" + session: repo.Holds,
		"damaged/" + id:  repo.Damaged,
		"marks/00000001": repo.Marks, "seen/" + session: repo.Seen, "x": "", "README/x": "",
	} {
		if part, err := repo.PartOf(name); part != want || err != nil {
			t.Errorf("PartOf(%q) = %q, %v", name, part, err)
		}
	}
	for _, name := range []string{"config", "config/1", "config/-0000001", "keys/1", "packs/" + id, "packs/0b/" + id, "packs/0a/x/" + id,
		"index/" + strings.ToUpper(id), "index/" + id + "/x", "snapshots/" + id, "intents",
		"forgotten/" + id, "holds/" + session, "holds/" + session + "-" + session + "-", "holds/" + session + "-x"} {
		if part, err := repo.PartOf(name); part == "" || err == nil {
			t.Errorf("PartOf(%q) = %q, %v", name, part, err)
		}
	}
}

// inspected makes a repository with one backup, and returns what its objects
// of one part are called.
func inspected(t *testing.T) (f *fixture, names func(repo.Part) []string, pieces [][]byte) {
	t.Helper()
	f = newFixture(t)
	pieces = randomPieces(40, 9)
	large := make([]byte, repo.MaxPiece) // a clump longer than what is read at once
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(large)
	pieces = append(pieces, large, bytes.Clone(large[:5<<20]))
	s := begin(t, f.open(t))
	save(t, s, blob.Text, pieces...)
	save(t, s, blob.Page, []byte("a page"))
	if err := s.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	return f, func(part repo.Part) (found []string) {
		for name := range objects(t, f.store) {
			if p, err := repo.PartOf(name); err != nil {
				t.Errorf("the repository has an object %s: %v", name, err)
			} else if p == part {
				found = append(found, name)
			}
		}
		return found
	}, pieces
}

func inspectedID(t *testing.T, name string) blob.ID {
	t.Helper()
	id, err := blob.ParseID(path.Base(name))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestCheckObject(t *testing.T) {
	f, names, _ := inspected(t)
	r := f.open(t)
	for _, part := range []repo.Part{repo.Configs, repo.KeyFiles, repo.Intents} {
		name := names(part)[0]
		whole, err := f.store.Get(t.Context(), name, 0, -1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.CheckObject(t.Context(), name, int64(len(whole))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.CheckObject(t.Context(), name, 1<<40); err == nil {
			t.Errorf("%s may have any size", name)
		}
		for _, bad := range [][]byte{nil, whole[:len(whole)-1], append(bytes.Clone(whole), 0)} {
			f.store.Delete(t.Context(), name)
			if err := f.store.Put(t.Context(), name, bad); err != nil {
				t.Fatal(err)
			}
			if err := r.CheckObject(t.Context(), name, int64(len(bad))); err == nil {
				t.Errorf("%s of %d bytes instead of %d passes", name, len(bad), len(whole))
			}
		}
		f.store.Delete(t.Context(), name)
		if err := r.CheckObject(t.Context(), name, int64(len(whole))); err != nil {
			t.Errorf("%s, deleted meanwhile: %v", name, err)
		}
	}
	if err := r.CheckObject(t.Context(), "keys/1", 5); err == nil {
		t.Error("a name that no key file has passes")
	}
}

func TestWithIndex(t *testing.T) {
	f, names, _ := inspected(t)
	r := f.open(t)
	var data, tree []blob.ID
	for _, name := range names(repo.Indexes) {
		o, isTree, err := r.OpenIndex(t.Context(), inspectedID(t, name), objects(t, f.store)[name])
		if err != nil {
			t.Fatal(err)
		}
		kind, err := r.PackKind(t.Context(), o.Packs[0].ID)
		if err != nil || kind != isTree {
			t.Errorf("a pack of %s is a tree pack: %t, %v", name, kind, err)
		}
		if isTree {
			tree = append(tree, inspectedID(t, name))
		} else {
			data = append(data, inspectedID(t, name))
		}
	}
	all, err := r.Pieces(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var sum uint64
	for _, ids := range [][]blob.ID{data, tree} {
		part, err := r.WithIndex(t.Context(), t.TempDir(), ids)
		if err != nil {
			t.Fatal(err)
		}
		n, err := part.Pieces(t.Context())
		if err != nil || n == 0 || n == all {
			t.Errorf("a part of the index has %d of %d pieces, %v", n, all, err)
		}
		sum += n
		// A miss does not make it read the rest of the index.
		if _, err := part.LoadPage(t.Context(), blob.ID{1}); !errors.Is(err, repo.ErrMissingPiece) {
			t.Errorf("a page that is nowhere: %v", err)
		}
		if again, _ := part.Pieces(t.Context()); again != n {
			t.Errorf("after a miss it has %d pieces instead of %d", again, n)
		}
		if err := part.Close(); err != nil {
			t.Error(err)
		}
	}
	if sum != all {
		t.Errorf("the parts of the index have %d pieces together, not %d", sum, all)
	}
	if _, _, err := r.OpenIndex(t.Context(), blob.ID{1}, 5); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("an index object that is not there: %v", err)
	}
	if _, _, err := r.OpenIndex(t.Context(), data[0], 1<<40); err == nil {
		t.Error("an index object may have any size")
	}
}

func TestCheckPack(t *testing.T) {
	f, names, pieces := inspected(t)
	r := f.open(t)
	var found int
	for _, name := range names(repo.Packs) {
		size := objects(t, f.store)[name]
		var read int64
		check, err := r.CheckPack(t.Context(), inspectedID(t, name), size, func(n int64) {
			if read += n; n > repo.MaxPiece+2<<10 {
				t.Errorf("%d bytes of a pack are read at once", n)
			}
		})
		if err != nil || len(check.Damage) > 0 || read != size {
			t.Fatalf("%s: %v, %v, %d of %d bytes read", name, err, check, read, size)
		}
		for _, c := range check.Clumps {
			found += len(c.Pieces)
		}
	}
	if found != len(pieces)+1 {
		t.Errorf("the packs hold %d pieces, not %d", found, len(pieces)+1)
	}
}

// Every byte of a pack is covered by its name.
func TestCheckPackFindsDamage(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f, names, _ := inspected(t)
	r := f.open(t)
	name := names(repo.Packs)[0]
	id := inspectedID(t, name)
	whole, err := f.store.Get(t.Context(), name, 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	damage := func(data []byte, size int64) []error {
		f.store.Delete(t.Context(), name)
		if err := f.store.Put(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		check, err := r.CheckPack(t.Context(), id, size, func(int64) {})
		if err != nil {
			t.Fatal(err)
		}
		return check.Damage
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for range 12 {
		bad := bytes.Clone(whole)
		at := rng.IntN(len(bad))
		bad[at] ^= 1 << rng.IntN(8)
		if len(damage(bad, int64(len(bad)))) == 0 {
			t.Errorf("a changed bit at %d is not found", at)
		}
	}
	if len(damage(whole[:len(whole)/2], int64(len(whole)))) == 0 {
		t.Error("a pack that was cut after it was listed is not found damaged")
	}
	if len(damage(whole, repo.MaxPack+1)) == 0 {
		t.Error("a pack may have any size")
	}
	if d := damage(whole, int64(len(whole))); len(d) > 0 {
		t.Errorf("the whole pack is damaged: %v", d)
	}
	if _, err := r.PackKind(t.Context(), blob.ID{1}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the kind of a pack that is not there: %v", err)
	}
	damage(append([]byte("restante"), make([]byte, 2000)...), 2008)
	if _, err := r.PackKind(t.Context(), id); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("the kind of a pack with a bad header: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.CheckPack(ctx, id, 2008, func(int64) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
