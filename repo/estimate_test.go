package repo_test

import (
	"bytes"
	"slices"
	"testing"

	"restante/blob"
	"restante/internal/mailgen"
	"restante/repo"
)

// mails are pieces as a backup has them, one of which comes twice.
func mails(n int) [][]byte {
	var out [][]byte
	for m := range mailgen.Mails(7, n) {
		out = append(out, bytes.Clone(m))
	}
	return append(out, out[0])
}

func TestEstimateIsWhatASessionStores(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	pieces := mails(300)
	f := newFixture(t)
	s := begin(t, f.open(t))
	save(t, s, blob.Text, pieces...)
	if err := s.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	stored := float64(s.Stored())
	e, err := repo.NewEstimator(repo.Default)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pieces {
		if err := e.Add(blob.Text, p); err != nil {
			t.Fatal(err)
		}
	}
	size, err := e.Size()
	if err != nil {
		t.Fatal(err)
	}
	if got := float64(size); got < 0.9*stored || got > stored {
		t.Errorf("estimated %d bytes, but %d were stored", size, s.Stored())
	}
	if again, err := e.Size(); again != size || err != nil {
		t.Errorf("asked again, it says %d, %v", again, err)
	}
}

func TestEstimateOfWhatIsKnownIsNothing(t *testing.T) {
	e, err := repo.NewEstimator(repo.Fastest)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []uint64
	for range 3 {
		for _, p := range mails(20) {
			if err := e.Add(blob.Text, p); err != nil {
				t.Fatal(err)
			}
			if err := e.Boundary(); err != nil {
				t.Fatal(err)
			}
		}
		size, err := e.Size()
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, size)
	}
	if len(slices.Compact(sizes)) != 1 {
		t.Errorf("the same pieces thrice make %v bytes", sizes)
	}
}

func TestUsageCountsEveryObject(t *testing.T) {
	f := newFixture(t)
	r := f.open(t)
	s := begin(t, r)
	ids := save(t, s, blob.Text, mails(5)...)
	if err := s.Commit(t.Context(), payload("x")); err != nil {
		t.Fatal(err)
	}
	usage, err := r.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for i, u := range usage {
		got[u.Kind] = u.Objects
		if i > 0 && u.Bytes > usage[i-1].Bytes {
			t.Errorf("%s comes behind %s, but takes more", u.Kind, usage[i-1].Kind)
		}
	}
	objects, size := uint64(0), uint64(0)
	err = f.store.List(t.Context(), "", func(_ string, n int64) error {
		objects++
		size += uint64(n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range usage {
		objects -= u.Objects
		size -= u.Bytes
	}
	if objects != 0 || size != 0 {
		t.Errorf("%d objects and %d bytes are not in %+v", objects, size, usage)
	}
	if got["packs"] != 1 || got["snapshots"] != 1 || got["README"] != 1 {
		t.Errorf("the kinds are %v", got)
	}
	slices.SortFunc(ids, func(a, b blob.ID) int { return bytes.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	for _, opened := range []*repo.Repository{r, f.open(t)} {
		if n, err := opened.Pieces(t.Context()); err != nil || n != uint64(len(ids)) {
			t.Errorf("%d pieces, %v; want %d", n, err, len(ids))
		}
	}
}
