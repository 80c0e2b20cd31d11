package repo_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"log"
	"path"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage"
	"restante/storage/faulty"
	"restante/storage/mem"
)

// breakPacks deletes or cuts off all packs of the repository.
func breakPacks(t *testing.T, store storage.Store, cutOff bool) (n int) {
	t.Helper()
	for name := range objects(t, store) {
		if !strings.HasPrefix(name, "packs/") {
			continue
		}
		data, err := store.Get(t.Context(), name, 0, -1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if cutOff {
			if err := store.Put(t.Context(), name, data[:1200]); err != nil {
				t.Fatal(err)
			}
		}
		n++
	}
	return n
}

// What a lost pack held is stored again when it is saved again, and then read
// from its new place, also by who does not compare all packs.
func TestLostPacks(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	for _, cutOff := range []bool{false, true} {
		for _, freshCache := range []bool{false, true} {
			t.Run(fmt.Sprintf("cut off %t, fresh cache %t", cutOff, freshCache), func(t *testing.T) {
				testLostPacks(t, cutOff, freshCache)
			})
		}
	}
}

func testLostPacks(t *testing.T, cutOff, freshCache bool) {
	f := newFixture(t)
	pieces := randomPieces(60, 9)
	s := begin(t, f.open(t))
	if !s.Absent().IsZero() {
		t.Error("a new repository is damaged")
	}
	ids := save(t, s, blob.Text, pieces...)
	page := save(t, s, blob.Page, []byte("a page"))[0]
	gone := save(t, s, blob.Text, []byte("the store has it no more"))[0]
	if err := s.Commit(t.Context(), payload("first")); err != nil {
		t.Fatal(err)
	}
	n := breakPacks(t, f.store, cutOff)
	if freshCache {
		f.cache = t.TempDir()
	}

	var warned bytes.Buffer
	r, err := repo.Open(t.Context(), f.store, repo.OpenOptions{CacheDir: f.cache, Unlock: f.unlock, Warn: log.New(&warned, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s = begin(t, r)
	if s.Absent().IsZero() || strings.Count(warned.String(), fmt.Sprintf("%d packs are missing", n)) != 1 || strings.Count(warned.String(), "\n") != 1 {
		t.Errorf("damaged: %t, warned of %q", !s.Absent().IsZero(), warned.String())
	}
	if has, err := r.Has(t.Context(), ids[0]); has || err != nil {
		t.Errorf("a lost piece: Has() = %t, %v", has, err)
	}
	save(t, s, blob.Text, append(pieces, pieces...)...)
	save(t, s, blob.Page, []byte("a page"))
	if err := s.Commit(t.Context(), payload("second")); err != nil {
		t.Fatal(err)
	}

	f.cache = t.TempDir()
	for _, r := range []*repo.Repository{r, f.open(t), f.open(t)} {
		for i, id := range ids {
			if got, err := read(t, r, id); err != nil || !bytes.Equal(got, pieces[i]) {
				t.Fatalf("piece %d: %v", i, err)
			}
		}
		if got, err := r.LoadPage(t.Context(), page); err != nil || string(got) != "a page" {
			t.Errorf("page: %q, %v", got, err)
		}
		if _, err := read(t, r, gone); err == nil || !strings.Contains(err.Error(), "packs/") {
			t.Errorf("what nobody stored again: %v", err)
		}
	}
}

// Snapshots that are damaged, or not for this user to read, are left out,
// counted, and told of once.
func TestSnapshotsLeftOut(t *testing.T) {
	d := faulty.New(mem.New())
	f := newFixtureOn(t, d)
	r := f.open(t)
	var sessions []seal.Session
	for range 3 {
		s := begin(t, r)
		if err := s.Commit(t.Context(), payload("snap")); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s.ID())
	}
	name := path.Join("snapshots", sessions[0].String())
	data, err := f.store.Get(t.Context(), name, 0, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := f.store.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if err := f.store.Put(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
	denied := path.Join("snapshots", sessions[1].String())
	d.Refuse(denied, fs.ErrPermission)
	var warned bytes.Buffer
	for _, warn := range []*log.Logger{nil, log.New(&warned, "", 0), log.New(&warned, "", 0)} {
		all, err := r.Snapshots(t.Context(), warn)
		if err != nil || len(all) != 1 || all[0].ID != sessions[2] || r.LeftOut() != 2 {
			t.Errorf("%d snapshots, %d left out, %v", len(all), r.LeftOut(), err)
		}
	}
	text := warned.String()
	if strings.Count(text, "\n") != 2 || !strings.Contains(text, name+" is damaged") || !strings.Contains(text, denied) || !strings.Contains(text, "g+rwX,g+s") {
		t.Errorf("warned of %q", text)
	}
	d.Refuse("", nil)
	if _, err := r.Snapshots(t.Context(), nil); err != nil || r.LeftOut() != 1 {
		t.Errorf("%d left out, %v", r.LeftOut(), err)
	}
}
