package repo_test

import (
	"errors"
	"io/fs"
	"maps"
	"strings"
	"syscall"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/storage/faulty"
)

// whyUnreadable is why a pack that may be whole cannot be read.
var whyUnreadable = []error{fs.ErrPermission, syscall.EIO}

// wantUnreadable checks that err says that the pack cannot be read, and not that it is damaged.
func wantUnreadable(t *testing.T, what string, err error, pack blob.ID) {
	t.Helper()
	var u *repo.UnreadableError
	if !errors.As(err, &u) || u.Object != repo.PackName(pack) || errors.As(err, new(*repo.DamageError)) {
		t.Errorf("%s: %v", what, err)
	}
}

// A pack that cannot be read is none that is damaged: nothing is noted, and no
// repair gives up or takes away anything.
func TestUnreadablePacks(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	h := newHoard(t)
	for _, why := range whyUnreadable {
		store := faulty.New(copyStore(t, h.base))
		pack := h.packs[0]
		size := objects(t, store)[repo.PackName(pack)]
		r := mustOpen(t, h.keys, store)
		places, err := r.Places(t.Context(), []blob.ID{h.ids[0][0]})
		if err != nil {
			t.Fatal(err)
		}
		store.Refuse(repo.PackName(pack), why)
		_, err = r.Clump(t.Context(), nil, places[0].Clump)
		wantUnreadable(t, "a clump", err, pack)
		_, err = r.LoadPage(t.Context(), h.ids[0][0])
		wantUnreadable(t, "a page", err, pack)
		_, err = r.PackKind(t.Context(), pack)
		wantUnreadable(t, "its header", err, pack)
		check, err := r.CheckPack(t.Context(), pack, size, func(int64) {})
		if err != nil || check.Note != nil {
			t.Errorf("a check notes %+v, %v", check.Note, err)
		}
		wantUnreadable(t, "a check", errors.Join(check.Damage...), pack)

		// However it is asked for, and be it noted.
		_, err = r.RepairPacks(t.Context(), h.packs[:1], repo.RepairOptions{})
		if err == nil || !errors.Is(err, why) {
			t.Errorf("repairing it: %v", err)
		}
		note(t, r, repo.Damage{Pack: pack, Whole: true})
		before := objects(t, store)
		_, err = r.RepairPacks(t.Context(), nil, repo.RepairOptions{})
		if err == nil || !errors.Is(err, why) {
			t.Errorf("repairing what is noted: %v", err)
		}
		_, err = r.RepairIndex(t.Context(), repo.RepairOptions{})
		wantUnreadable(t, "repairing the index", err, pack)
		after := objects(t, store)
		maps.DeleteFunc(after, func(name string, _ int64) bool {
			return strings.HasPrefix(name, "intents/") || strings.HasPrefix(name, "snapshots/")
		})
		for name, size := range after {
			if before[name] != size {
				t.Errorf("a repair has put %s", name)
			}
		}
		store.Refuse("", nil)
		h.wantAll(t, store)
	}
}

// What lies in another pack, too, is read there.
func TestUnreadablePacksOfWhichThereAreCopies(t *testing.T) {
	w := newTwins(t)
	for _, why := range whyUnreadable {
		for which := range 2 {
			store := faulty.New(copyStore(t, w.base))
			store.Refuse(repo.PackName(w.places[0][which].Pack), why)
			w.wantAll(t, store, -1)
		}
	}
}
