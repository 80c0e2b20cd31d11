package snapshot_test

import (
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"restante/blob"
	"restante/snapshot"
)

func recipe(t testing.TB, s *store, items []snapshot.Item) snapshot.Recipe {
	t.Helper()
	w := snapshot.NewRecipeWriter(s, testKey, 7)
	for _, it := range items {
		if err := w.Append(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
	out, err := w.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func items(t testing.TB, s *store, r *snapshot.Recipe, from uint64) []snapshot.ItemAt {
	t.Helper()
	var out []snapshot.ItemAt
	for it, err := range snapshot.Items(t.Context(), s, r, from) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, it)
	}
	return out
}

func TestRecipeSeekEqualsScan(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{0, 1, 20, 109, 110, 300, 2000} {
		s := newStore()
		var in []snapshot.Item
		var want []snapshot.ItemAt
		var size uint64
		for range n {
			it := randomItem(r, 3)
			in = append(in, it)
			want = append(want, snapshot.ItemAt{Item: it, Offset: size})
			size += it.Length()
		}
		rec := recipe(t, s, in)
		if rec.Cutter != 7 || rec.Length() != size || (rec.Long == nil) != (n <= 20) && n != 109 && n != 110 {
			t.Fatalf("%d items: recipe %+v", n, rec)
		}
		if got := items(t, s, &rec, 0); !reflect.DeepEqual(got, want) {
			t.Fatalf("%d items: the items differ from what was appended", n)
		}
		if items(t, s, &rec, size) != nil || items(t, s, &rec, ^uint64(0)) != nil {
			t.Fatalf("%d items: there are items behind the end", n)
		}
		for range 20 {
			if n == 0 {
				break
			}
			from := r.Uint64N(size)
			rest := want
			for rest[0].Offset+rest[0].Length() <= from {
				rest = rest[1:]
			}
			if got := items(t, s, &rec, from); !reflect.DeepEqual(got, rest) {
				t.Fatalf("%d items: from byte %d there are %d items, want %d", n, from, len(got), len(rest))
			}
		}
		whole := snapshot.Recipe{Items: in}
		h := blob.NewHasher(testKey)
		if whole.ContentHash(h) != rec.ContentHash(h) {
			t.Fatalf("%d items: the content hash depends on where the items are kept", n)
		}
	}
}

func TestContentHashTellsItemsApart(t *testing.T) {
	h := blob.NewHasher(testKey)
	r := rand.New(rand.NewPCG(7, 8))
	seen := map[blob.ID]int{}
	var in []snapshot.Item
	for n := range 600 {
		whole := snapshot.Recipe{Items: in}
		sum := whole.ContentHash(h)
		if other, ok := seen[sum]; ok {
			t.Fatalf("%d and %d items have one content hash", other, n)
		}
		seen[sum] = n
		in = append(in, randomItem(r, 2))
	}
}

func pieces(n int, seed uint64) []snapshot.Item {
	out := make([]snapshot.Item, n)
	for i := range out {
		out[i] = snapshot.Item{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: testID(seed<<32 + uint64(i)), Size: 4000}}
	}
	return out
}

func TestGrownListRewritesItsEnd(t *testing.T) {
	s := newStore()
	before := pieces(30_000, 1)
	recipe(t, s, before)
	total := s.fresh
	s.fresh = 0
	recipe(t, s, append(before, pieces(300, 2)...))
	if limit := total/50 + 4; s.fresh > limit {
		t.Errorf("1 %% more at the end wrote %d of %d pages, more than %d", s.fresh, total, limit)
	}
	s.fresh = 0
	middle := append(append(append([]snapshot.Item{}, before[:15_000]...), pieces(1, 3)...), before[15_000:]...)
	recipe(t, s, middle)
	if s.fresh > 8 {
		t.Errorf("one more in the middle wrote %d of %d pages", s.fresh, total)
	}
}

func TestEqualItemsStillEndInARoot(t *testing.T) {
	for seed := range uint64(300) { // some of these IDs cut behind every item, some behind none
		s := newStore()
		same := make([]snapshot.Item, 200)
		for i := range same {
			same[i] = snapshot.Item{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: testID(seed), Size: 1}}
		}
		rec := recipe(t, s, same)
		if got := items(t, s, &rec, 190); len(got) != 10 {
			t.Fatalf("ID %d: %d items left", seed, len(got))
		}
	}
}

func TestSeekReadsOnePathOfPages(t *testing.T) {
	s := newStore()
	rec := recipe(t, s, pieces(30_000, 1))
	s.loads = 0
	for it, err := range snapshot.Items(t.Context(), s, &rec, 4000*17_777) {
		if err != nil || it.Offset != 4000*17_777 {
			t.Fatal(it.Offset, err)
		}
		break
	}
	if limit := int(rec.Long.Level) + 1; s.loads > limit {
		t.Errorf("a seek read %d pages, more than %d", s.loads, limit)
	}
}

func TestRecipeWriterGoesOnAfterErrors(t *testing.T) {
	s := newStore()
	w := snapshot.NewRecipeWriter(s, testKey, 7)
	good := pieces(1000, 1)
	for _, it := range good[:900] {
		w.Append(t.Context(), it)
	}
	if err := w.Append(t.Context(), snapshot.Item{Kind: snapshot.LiteralItem}); err == nil {
		t.Error("an empty literal was taken")
	}
	if err := w.Append(t.Context(), good[0]); err == nil {
		t.Error("a lost recipe went on")
	}
	if _, err := w.Finish(t.Context()); err == nil {
		t.Error("a lost recipe was finished")
	}
	s.fail = errors.New("disk full")
	for _, it := range good {
		w.Append(t.Context(), it)
	}
	if _, err := w.Finish(t.Context()); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("a recipe with lost pages gave %v", err)
	}
	s.fail = nil
	for _, it := range good {
		if err := w.Append(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.Finish(t.Context()); err != nil || !reflect.DeepEqual(got, recipe(t, newStore(), good)) {
		t.Errorf("the recipe after errors is %+v, %v", got, err)
	}
	if got, err := w.Finish(t.Context()); err != nil || got.Long != nil || got.Items != nil {
		t.Errorf("the recipe of an empty file is %+v, %v", got, err)
	}
}

func TestLyingRecipe(t *testing.T) {
	s := newStore()
	good := recipe(t, s, pieces(5000, 1))
	short, _ := s.SavePage(t.Context(), append([]byte{3, 0, 3, 2}, "hi"...))
	for name, lie := range map[string]func(*snapshot.Long){
		"size":      func(l *snapshot.Long) { l.Size++ },
		"items":     func(l *snapshot.Long) { l.Items-- },
		"level":     func(l *snapshot.Long) { l.Level++ },
		"too short": func(l *snapshot.Long) { *l = snapshot.Long{Root: short, Items: 1, Size: 2} },
	} {
		long := *good.Long
		lie(&long)
		var err error
		for _, e := range snapshot.Items(t.Context(), s, &snapshot.Recipe{Long: &long}, 0) {
			err = e
		}
		if !errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("%s: reading gave %v", name, err)
		}
	}
}

func TestRawLengthIsThatOfTheEncoding(t *testing.T) {
	for decoded := uint32(1); decoded < 200; decoded++ {
		for _, line := range []int{1, 4, 60, 76} {
			for _, end := range []string{"\n", "\r\n"} {
				text := base64.StdEncoding.EncodeToString(make([]byte, decoded))
				var lines []string
				for len(text) > line {
					lines, text = append(lines, text[:line]), text[line:]
				}
				open := strings.Join(append(lines, text), end)
				b := snapshot.Base64{LineLength: uint16(line), LineEnd: snapshot.LineEnd(len(end)), Tail: snapshot.TailOpen,
					Pieces: []snapshot.Piece{{Size: decoded}}}
				if got := b.RawLength(); got != uint64(len(open)) {
					t.Fatalf("%d bytes in lines of %d%q: %d, want %d", decoded, line, end, got, len(open))
				}
				b.Tail = snapshot.TailEnded
				if got := b.RawLength(); got != uint64(len(open)+len(end)) {
					t.Fatalf("%d bytes in ended lines of %d%q: %d, want %d", decoded, line, end, got, len(open)+len(end))
				}
			}
		}
	}
}
