package repo_test

import (
	"errors"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/storage/mem"
)

func TestWithoutKey(t *testing.T) {
	if _, err := repo.WithoutKey(t.Context(), mem.New()); !errors.Is(err, repo.ErrNoRepository) {
		t.Errorf("in an empty storage: %v", err)
	}
	f, names, _ := inspected(t)
	note(t, f.open(t), repo.Damage{Pack: blob.ID{1}, Whole: true})
	alone := mem.New()
	if err := alone.Put(t.Context(), repo.PackName(blob.ID{1}), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.WithoutKey(t.Context(), alone); !errors.As(err, new(*repo.DamageError)) {
		t.Errorf("with packs, and neither config nor keys: %v", err)
	}
	k, err := repo.WithoutKey(t.Context(), f.store)
	if err != nil {
		t.Fatal(err)
	}
	r := f.open(t)
	if k.CachePath("x", "y") != r.CachePath("x", "y") {
		t.Errorf("the cache is at %s, with a key at %s", k.CachePath("x", "y"), r.CachePath("x", "y"))
	}
	for name, size := range objects(t, f.store) {
		var read int64
		if err := k.CheckObject(t.Context(), name, size, func(n int64) { read += n }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if isPack := strings.HasPrefix(name, "packs/"); isPack && read != size {
			t.Errorf("%s: read %d bytes of %d", name, read, size)
		}
	}
	// What is larger than any object is not read.
	for _, part := range []repo.Part{repo.Packs, repo.Indexes, repo.KeyFiles, repo.Configs, repo.Snapshots, repo.Intents, repo.Damaged} {
		read := func(int64) { t.Errorf("%s: it is read", part) }
		if err := k.CheckObject(t.Context(), names(part)[0], 1<<40, read); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s of 1 TiB: %v", part, err)
		}
	}
}
