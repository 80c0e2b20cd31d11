package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"restante/blob"
	"restante/snapshot"
)

func TestTreeGivesBackWhatWasAdded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 31, 32, 33, 300, 1500} {
		set := map[snapshot.Key]snapshot.Entry{}
		for len(set) < n {
			set[randomKey(r)] = randomEntry(r)
		}
		var recs []snapshot.Record
		for k, e := range set {
			recs = append(recs, snapshot.Record{Key: k, Entry: e})
		}
		slices.SortFunc(recs, byKey)
		s := newStore()
		root := build(t, s, recs)
		tree := snapshot.OpenTree(s, root)
		if got := collect(t, tree, snapshot.Range{}); !reflect.DeepEqual(got, recs) {
			t.Fatalf("%d entries: the scan differs from what was added", n)
		}
		if again := build(t, newStore(), collect(t, tree, snapshot.Range{})); again != root {
			t.Fatalf("%d entries: built again the root is %+v, first %+v", n, again, root)
		}
		for range 40 {
			checkRange(t, tree, recs, randomRange(r, recs))
			checkGet(t, tree, set, randomRange(r, recs).From)
		}
		for k := range set {
			checkGet(t, tree, set, k)
		}
	}
}

func randomKey(r *rand.Rand) snapshot.Key {
	parts := make([]string, 1+r.IntN(3))
	for i := range parts {
		parts[i] = fmt.Sprintf("%c%c%x", "ab.\xff\x01"[r.IntN(5)], "xy"[r.IntN(2)], r.IntN(40))
	}
	return snapshot.Key(strings.Join(parts, "\x00"))
}

func randomRange(r *rand.Rand, recs []snapshot.Record) snapshot.Range {
	pick := func() snapshot.Key {
		if len(recs) == 0 || r.IntN(3) == 0 {
			return randomKey(r)
		}
		return recs[r.IntN(len(recs))].Key
	}
	out := snapshot.Range{From: pick(), To: pick()}
	switch r.IntN(5) {
	case 0:
		out.From = ""
	case 1:
		out.To = ""
	case 2:
		return snapshot.Subtree(out.From)
	}
	return out
}

func checkRange(t *testing.T, tree *snapshot.Tree, recs []snapshot.Record, rg snapshot.Range) {
	t.Helper()
	var want []snapshot.Record
	var sum snapshot.Counts
	for _, rec := range recs {
		if rg.Contains(rec.Key) {
			want = append(want, rec)
			sum.Add(rec.Entry.Counts())
		}
	}
	if got := collect(t, tree, rg); !reflect.DeepEqual(got, want) {
		t.Fatalf("range %q: %d records, want %d", rg, len(got), len(want))
	}
	if got, err := tree.Count(t.Context(), rg); err != nil || got != sum {
		t.Fatalf("range %q: counted %+v, %v, want %+v", rg, got, err, sum)
	}
}

func checkGet(t *testing.T, tree *snapshot.Tree, set map[snapshot.Key]snapshot.Entry, k snapshot.Key) {
	t.Helper()
	want, there := set[k]
	got, ok, err := tree.Get(t.Context(), k)
	if err != nil || ok != there || !reflect.DeepEqual(got, want) {
		t.Fatalf("Get(%q) = %+v, %v, %v, want %+v, %v", k, got, ok, err, want, there)
	}
}

func TestOneChangeRewritesOnePathOfPages(t *testing.T) {
	s := newStore()
	recs := entries(t, 30, 100)
	root := build(t, s, recs)
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		i := r.IntN(len(recs))
		changed := slices.Clone(recs)
		changed[i].Entry.Mode ^= 0o100
		s.fresh = 0
		if build(t, s, changed) == root {
			t.Fatal("a changed mode leaves the root as it was")
		}
		if limit := int(root.Level) + 1; s.fresh > limit {
			t.Errorf("changing entry %d wrote %d new pages, more than %d", i, s.fresh, limit)
		}
		without := slices.Delete(slices.Clone(recs), i, i+1)
		s.fresh = 0
		build(t, s, without)
		if limit := 2*int(root.Level) + 3; s.fresh > limit {
			t.Errorf("removing entry %d wrote %d new pages, more than %d", i, s.fresh, limit)
		}
	}
}

func TestPagesKeepTheirMean(t *testing.T) {
	s := newStore()
	recs := entries(t, 20, 1000)
	build(t, s, recs)
	if mean := len(recs) / s.saves; mean < 5 || mean > 10 {
		t.Errorf("%d records lie on %d pages: %d a page, not about 7", len(recs), s.saves, mean)
	}
}

func TestReadsOnlyWhatIsNeeded(t *testing.T) {
	s := newStore()
	recs := entries(t, 50, 200)
	root := build(t, s, recs)
	mailbox := snapshot.Subtree(keyOf(t, "example.com/user00025"))
	s.loads = 0
	counts, err := snapshot.OpenTree(s, root).Count(t.Context(), mailbox)
	if err != nil || counts.Messages != 200 || counts.Entries != 203 {
		t.Fatalf("counted %+v, %v", counts, err)
	}
	if limit := 2*int(root.Level) + 1; s.loads > limit {
		t.Errorf("counting a mailbox read %d pages, more than %d", s.loads, limit)
	}
	s.loads = 0
	if got := collect(t, snapshot.OpenTree(s, root), mailbox); len(got) != 203 {
		t.Fatalf("scanned %d entries", len(got))
	}
	if s.loads > 40 {
		t.Errorf("scanning 203 entries read %d pages", s.loads)
	}
}

func TestLargeRecordsGetPagesOfTheirOwn(t *testing.T) {
	s := newStore()
	var recs []snapshot.Record
	for i := range 60 {
		size := []int{10, 30 << 10, 60 << 10, 100 << 10}[i%4]
		e := snapshot.Entry{Kind: snapshot.Dir, Xattrs: []snapshot.Xattr{{Name: "user.big", Value: make([]byte, size)}}}
		long := snapshot.Key(fmt.Sprintf("%02d", i) + strings.Repeat("k", snapshot.MaxKey-2))
		recs = append(recs, snapshot.Record{Key: long, Entry: e})
	}
	root := build(t, s, recs)
	if got := collect(t, snapshot.OpenTree(s, root), snapshot.Range{}); !reflect.DeepEqual(got, recs) {
		t.Fatal("the scan differs from what was added")
	}
	for _, data := range s.pages {
		if len(data) > snapshot.MaxPage+2 && !strings.Contains(string(data), "user.big") {
			t.Errorf("a page has %d bytes", len(data))
		}
	}
}

func TestBuilderRefuses(t *testing.T) {
	ctx := t.Context()
	dir := snapshot.Entry{Kind: snapshot.Dir}
	piece := []snapshot.Item{{Kind: snapshot.PieceItem, Piece: snapshot.Piece{Size: 5}}}
	for name, tc := range map[string]struct {
		key   snapshot.Key
		entry snapshot.Entry
	}{
		"a key behind":           {"a", dir},
		"the same key":           {"b", dir},
		"a parent folder":        {"c\x00..", dir},
		"a slash":                {"c/d", dir},
		"a long key":             {snapshot.Key(strings.Repeat("k", snapshot.MaxKey+1)), dir},
		"no kind":                {"c", snapshot.Entry{}},
		"a kind to come":         {"c", snapshot.Entry{Kind: 9}},
		"a wide mode":            {"c", snapshot.Entry{Kind: snapshot.Dir, Mode: 0o40700}},
		"nanoseconds":            {"c", snapshot.Entry{Kind: snapshot.Dir, Mtime: snapshot.Time{Nsec: 1e9}}},
		"a folder's size":        {"c", snapshot.Entry{Kind: snapshot.Dir, Size: 4096}},
		"a folder's link":        {"c", snapshot.Entry{Kind: snapshot.Dir, Link: snapshot.LinkID{1}}},
		"a folder's target":      {"c", snapshot.Entry{Kind: snapshot.Dir, Target: "x"}},
		"a folder's messages":    {"c", snapshot.Entry{Kind: snapshot.Dir, Messages: 1}},
		"a link to nowhere":      {"c", snapshot.Entry{Kind: snapshot.Symlink}},
		"a wrong size":           {"c", snapshot.Entry{Kind: snapshot.File, Size: 4, Recipe: snapshot.Recipe{Items: piece}}},
		"a FIFO's device number": {"c", snapshot.Entry{Kind: snapshot.FIFO, Rdev: 3}},
		"no reason":              {"c", snapshot.Entry{Kind: snapshot.Unsaved}},
		"attributes in disorder": {"c", snapshot.Entry{Kind: snapshot.Dir, Xattrs: []snapshot.Xattr{{Name: "b"}, {Name: "a"}}}},
		"an empty piece":         {"c", snapshot.Entry{Kind: snapshot.File, Recipe: snapshot.Recipe{Items: []snapshot.Item{{Kind: snapshot.PieceItem}}}}},
	} {
		s := newStore()
		b := snapshot.NewBuilder(s, testKey)
		if err := b.Add(ctx, "b", &dir); err != nil {
			t.Fatal(err)
		}
		if err := b.Add(ctx, tc.key, &tc.entry); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if err := b.Add(ctx, "d", &dir); err != nil {
			t.Errorf("%s: the builder is of no use after it: %v", name, err)
		}
		root, err := b.Finish(ctx)
		if err != nil || root.Counts.Entries != 2 {
			t.Errorf("%s: the tree has %d entries, %v", name, root.Counts.Entries, err)
		}
	}
}

func TestBuilderSaysTooLarge(t *testing.T) {
	big := snapshot.Entry{Kind: snapshot.Dir, Xattrs: []snapshot.Xattr{{Name: "user.big", Value: make([]byte, snapshot.MaxRecord)}}}
	if err := snapshot.NewBuilder(newStore(), testKey).Add(t.Context(), "a", &big); !errors.Is(err, snapshot.ErrTooLarge) {
		t.Errorf("an entry over the limit gave %v", err)
	}
}

func TestBuilderStaysFailedAfterSaver(t *testing.T) {
	s := newStore()
	s.fail = errors.New("disk full")
	b := snapshot.NewBuilder(s, testKey)
	for _, rec := range entries(t, 2, 400) {
		b.Add(t.Context(), rec.Key, &rec.Entry)
	}
	s.fail = nil
	if _, err := b.Finish(t.Context()); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("a tree with lost pages was finished: %v", err)
	}
}

func TestCancelStopsBuilding(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := snapshot.Entry{Kind: snapshot.Dir}
	if err := snapshot.NewBuilder(newStore(), testKey).Add(ctx, "a", &e); !errors.Is(err, context.Canceled) {
		t.Errorf("Add after cancelling gave %v", err)
	}
}

// Each page that goes missing or is swapped for another good page must be
// found by a scan.
func TestScanFindsSwappedPages(t *testing.T) {
	s := newStore()
	root := build(t, s, entries(t, 6, 100))
	var ids []blob.ID
	for id := range s.pages {
		ids = append(ids, id)
	}
	for i, id := range ids {
		good := s.pages[id]
		s.pages[id] = s.pages[ids[(i+1)%len(ids)]]
		if err := scanError(t, s, root); !errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("page %v swapped: %v", id, err)
		}
		delete(s.pages, id)
		if err := scanError(t, s, root); !errors.Is(err, errMissing) || errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("page %v gone: %v", id, err)
		}
		s.pages[id] = good
	}
	if err := scanError(t, s, root); err != nil {
		t.Error(err)
	}
}

func scanError(t *testing.T, s *store, root snapshot.Root) error {
	for _, err := range snapshot.OpenTree(s, root).All(t.Context(), snapshot.Range{}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// A hostile writer can give every page its right ID. Sums and keys that do
// not fit the pages below are errors all the same.
func TestLyingInteriorPages(t *testing.T) {
	s := newStore()
	ctx := t.Context()
	leaf := func(keys ...snapshot.Key) snapshot.Root {
		var recs []snapshot.Record
		for _, k := range keys {
			recs = append(recs, snapshot.Record{Key: k, Entry: message(uint64(len(k)))})
		}
		root := build(t, s, recs)
		if root.Level != 0 {
			t.Fatal("the test's keys need several pages")
		}
		return root
	}
	a, b := leaf("a", "b"), leaf("m", "n")
	more := b
	more.Counts.Messages++
	huge := b
	huge.Counts.Bytes = ^uint64(0)
	for name, tc := range map[string]struct {
		keys  []snapshot.Key
		roots []snapshot.Root
		ok    bool
	}{
		"honest":            {[]snapshot.Key{"b", "n"}, []snapshot.Root{a, b}, true},
		"wrong sum":         {[]snapshot.Key{"b", "n"}, []snapshot.Root{a, more}, false},
		"overflowing sum":   {[]snapshot.Key{"b", "n"}, []snapshot.Root{a, huge}, false},
		"wrong last key":    {[]snapshot.Key{"b", "o"}, []snapshot.Root{a, b}, false},
		"keys out of order": {[]snapshot.Key{"n", "b"}, []snapshot.Root{b, a}, false},
		"page too early":    {[]snapshot.Key{"mm", "n"}, []snapshot.Root{a, b}, false},
		"repeated page":     {[]snapshot.Key{"a", "b"}, []snapshot.Root{a, a}, false},
		"lone child":        {[]snapshot.Key{"b"}, []snapshot.Root{a}, false},
		"no child":          {nil, nil, false},
	} {
		id, _ := s.SavePage(ctx, snapshot.WriteChildren(1, tc.keys, tc.roots))
		root := snapshot.Root{ID: id, Level: 1}
		for _, r := range tc.roots {
			root.Counts.Add(r.Counts)
		}
		if err := scanError(t, s, root); (err == nil) != tc.ok || err != nil && !errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("%s: scanning gave %v", name, err)
		}
		wrong := root
		wrong.Counts.Files++
		if _, err := snapshot.OpenTree(s, wrong).Count(ctx, snapshot.Range{}); !errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("%s: a root with a wrong sum gave %v", name, err)
		}
		wrong = root
		wrong.Level = 2
		if _, _, err := snapshot.OpenTree(s, wrong).Get(ctx, "a"); !errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("%s: a root of a wrong level gave %v", name, err)
		}
	}
}

func TestScanStopsWhenAsked(t *testing.T) {
	s := newStore()
	root := build(t, s, entries(t, 10, 100))
	s.loads = 0
	for range snapshot.OpenTree(s, root).All(t.Context(), snapshot.Range{}) {
		break
	}
	if limit := int(root.Level) + 1; s.loads > limit {
		t.Errorf("the first record cost %d pages, more than %d", s.loads, limit)
	}
}

func TestEntryAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 300 {
		e := randomEntry(r)
		data, err := snapshot.AppendEntry([]byte("x"), &e)
		if err != nil || data[0] != 'x' {
			t.Fatal(err)
		}
		got, err := snapshot.DecodeEntry(data[1:])
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Fatalf("%+v became %+v, %v", e, got, err)
		}
		if e.Kind == snapshot.Dir {
			if _, err := snapshot.DecodeEntry(append(data[1:], 0)); err == nil {
				t.Error("a byte too many was accepted")
			}
		}
	}
}

func TestTreeServesSeveralGoroutines(t *testing.T) {
	s := newStore()
	recs := entries(t, 20, 200)
	tree := snapshot.OpenTree(s, build(t, s, recs))
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := g; i < len(recs); i += 7 {
				if e, ok, err := tree.Get(t.Context(), recs[i].Key); err != nil || !ok || e.Mode != recs[i].Entry.Mode {
					t.Errorf("Get(%q) = %+v, %v, %v", recs[i].Key, e, ok, err)
				}
				if _, err := tree.Count(t.Context(), snapshot.Range{From: recs[i].Key}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkBuild(b *testing.B) {
	recs := entries(b, 30, 1000)
	for b.Loop() {
		build(b, newStore(), recs)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(recs)), "ns/entry")
}

func BenchmarkScan(b *testing.B) {
	recs := entries(b, 30, 1000)
	s := newStore()
	root := build(b, s, recs)
	for b.Loop() {
		n := 0
		for range snapshot.OpenTree(s, root).All(b.Context(), snapshot.Range{}) {
			n++
		}
		if n != len(recs) {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(recs)), "ns/entry")
}

// Who goes on behind a page that cannot be read gets all records but its own,
// and is told which and how many these are.
func TestGapsCostTheirPageOnly(t *testing.T) {
	s := newStore()
	all := entries(t, 6, 400)
	root := build(t, s, all)
	pages := maps.Clone(s.pages)
	for id, page := range pages {
		delete(s.pages, id)
		tree := snapshot.OpenTree(s, root)
		var good []snapshot.Key
		var gaps []*snapshot.Gap
		var counts snapshot.Counts
		for rec, err := range tree.All(t.Context(), snapshot.Range{}) {
			var gap *snapshot.Gap
			switch {
			case err == nil:
				good = append(good, rec.Key)
				counts.Add(rec.Entry.Counts())
			case errors.As(err, &gap) && errors.Is(err, errMissing):
				gaps = append(gaps, gap)
				counts.Add(gap.Counts)
			default:
				t.Fatal(err)
			}
		}
		if len(gaps) != 1 || counts != root.Counts || len(good)+int(gaps[0].Counts.Entries) != len(all) {
			t.Fatalf("without page %v there are %d gaps and %d records, %+v", id, len(gaps), len(good), counts)
		}
		for _, rec := range all {
			lost := (!gaps[0].Bounded || rec.Key > gaps[0].After) && (gaps[0].Last == "" || rec.Key <= gaps[0].Last)
			if _, found := slices.BinarySearch(good, rec.Key); found == lost {
				t.Errorf("without page %v: %q is lost %v, found %v", id, rec.Key.Path(), lost, found)
			}
		}
		// The sums stay what they are, at the edges at most a page more.
		half := snapshot.Range{From: all[len(all)/2].Key}
		want, _ := snapshot.OpenTree(everything{pages}, root).Count(t.Context(), half)
		got, err := tree.Count(t.Context(), half)
		if got.Entries < want.Entries || got.Entries > want.Entries+gaps[0].Counts.Entries || err == nil && got != want {
			t.Errorf("without page %v the half has %d entries, not %d: %v", id, got.Entries, want.Entries, err)
		}
		s.pages[id] = page
	}
}

// A loader of all pages.
type everything struct{ pages map[blob.ID][]byte }

func (e everything) LoadPage(_ context.Context, id blob.ID) ([]byte, error) { return e.pages[id], nil }

// A scan whose context ends yields no more.
func TestGapsEndWithTheContext(t *testing.T) {
	s := newStore()
	root := build(t, s, entries(t, 6, 400))
	clear(s.pages)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for range snapshot.OpenTree(s, root).All(ctx, snapshot.Range{}) {
		n++
	}
	if n != 1 {
		t.Errorf("%d errors came", n)
	}
}
