package snapshot_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/snapshot"
)

var update = flag.Bool("update", false, "write testdata/golden.txt anew; only for a wanted change of the format")

// pageSet makes pages of every kind and level.
func pageSet(t testing.TB) *store {
	t.Helper()
	s := newStore()
	r := rand.New(rand.NewPCG(9, 10))
	var recs []snapshot.Record
	for i := range 1500 {
		recs = append(recs, snapshot.Record{Key: snapshot.Key(fmt.Sprintf("%05d", i)), Entry: randomEntry(r)})
	}
	build(t, s, recs)
	var in []snapshot.Item
	for range 500 {
		in = append(in, randomItem(r, 2))
	}
	recipe(t, s, in)
	b := snapshot.NewMailboxBuilder(s, testKey)
	for i := range 200 {
		m := mailbox(i)
		if err := b.Add(t.Context(), &m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPagesRewriteToTheSameBytes(t *testing.T) {
	kinds := map[string]int{}
	for id, data := range pageSet(t).pages {
		again, err := snapshot.RewritePage(data)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("page %v rewritten differs: %v", id, err)
		}
		kinds[fmt.Sprintf("%d at level %d", data[0], data[1])]++
	}
	for _, want := range []string{"1 at level 0", "1 at level 1", "2 at level 0", "2 at level 1", "3 at level 0", "3 at level 1"} {
		if kinds[want] == 0 {
			t.Errorf("no page of kind %s was tried: %v", want, kinds)
		}
	}
}

// Any changed byte is either refused or a different content, never the same
// content in a second form.
func TestChangedPagesAreStrict(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	smallest := map[[2]byte][]byte{} // of each kind and level
	for _, data := range pageSet(t).pages {
		kind := [2]byte(data)
		if old := smallest[kind]; old == nil || len(data) < len(old) || len(data) == len(old) && bytes.Compare(data, old) < 0 {
			smallest[kind] = data
		}
	}
	for kind, data := range smallest {
		for i := range min(len(data), 600) {
			for _, flip := range []byte{1, 0x80, 0xff} {
				changed := bytes.Clone(data)
				changed[i] ^= flip
				if again, err := snapshot.RewritePage(changed); err == nil && !bytes.Equal(again, changed) {
					t.Fatalf("kind %v: byte %d changed by %x is accepted and rewritten otherwise", kind, i, flip)
				}
			}
			if again, err := snapshot.RewritePage(data[:i]); err == nil && !bytes.Equal(again, data[:i]) {
				t.Fatalf("kind %v: the first %d bytes are accepted and rewritten otherwise", kind, i)
			}
		}
	}
}

func TestPageLimits(t *testing.T) {
	big := make([]byte, 2+snapshot.MaxRecord+1)
	big[0] = 1
	two := append([]byte{3, 0}, bytes.Repeat(append([]byte{3, 128, 8}, make([]byte, 1024)...), 65)...)
	for name, page := range map[string][]byte{
		"nothing":            {},
		"half a header":      {1},
		"an unknown kind":    {9, 0},
		"a high level":       {1, 255},
		"no children":        {1, 1},
		"a huge page":        big,
		"records over 64 KB": two,
		"a long number":      {3, 0, 3, 0x81, 0x00, 'x'},
		"a huge number":      append([]byte{1, 0}, bytes.Repeat([]byte{0xff}, 11)...),
		"a long key":         {1, 0, 0xff, 0xff, 0x7f},
	} {
		if _, err := snapshot.RewritePage(page); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzPage(f *testing.F) {
	n := 0
	for _, data := range pageSet(f).pages {
		if len(data) < 4000 {
			f.Add(data)
			n++
		}
	}
	if n == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if again, err := snapshot.RewritePage(data); err == nil && !bytes.Equal(again, data) {
			t.Fatalf("%x became %x", data, again)
		} else if err != nil && strings.Contains(err.Error(), "cannot be written") {
			t.Fatal(err)
		}
	})
}

// headAndEndless returns a recipe of the beginning of a message and an endless line of base64.
func headAndEndless(t testing.TB) []byte {
	t.Helper()
	b64 := &snapshot.Base64{LineEnd: snapshot.LF, Tail: snapshot.TailOpen, RawHash: testID(3), Pieces: []snapshot.Piece{{ID: testID(1), Size: 49150}}}
	b, err := snapshot.AppendRecipe(nil, &snapshot.Recipe{Cutter: 1, Items: []snapshot.Item{
		{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: testID(2), Size: 200, Head: true}},
		{Kind: snapshot.Base64Item, Base64: b64}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestItemsHaveOneForm refuses items that have another form, written and read.
func TestItemsHaveOneForm(t *testing.T) {
	endless := func(size int, end snapshot.LineEnd, tail snapshot.Tail) snapshot.Item {
		return snapshot.Item{Kind: snapshot.Base64Item, Base64: &snapshot.Base64{LineEnd: end, Tail: tail,
			Pieces: []snapshot.Piece{{Size: uint32(size)}}}}
	}
	head := snapshot.Piece{Size: 5, Head: true}
	for name, it := range map[string]snapshot.Item{
		"one line that ends":               endless(100_000, snapshot.LF, snapshot.TailEnded),
		"one line with CRLF":               endless(100_000, snapshot.CRLF, snapshot.TailOpen),
		"one line that has a length":       endless(49_149, snapshot.LF, snapshot.TailOpen),
		"a head that ends at a cut":        {Kind: snapshot.PieceItem, Piece: snapshot.Piece{Size: 5, Head: true, Cut: true}},
		"an attachment that is also head":  {Kind: snapshot.Base64Item, Base64: &snapshot.Base64{LineLength: 76, LineEnd: snapshot.LF, Tail: snapshot.TailOpen, Pieces: []snapshot.Piece{head}}},
		"an attachment without any pieces": {Kind: snapshot.Base64Item, Base64: &snapshot.Base64{LineLength: 76, LineEnd: snapshot.LF, Tail: snapshot.TailOpen}},
	} {
		if _, err := snapshot.AppendRecipe(nil, &snapshot.Recipe{Items: []snapshot.Item{it}}); err == nil {
			t.Errorf("%s is written", name)
		}
	}
	good := headAndEndless(t)
	if r, err := snapshot.ParseRecipe(good); err != nil || !r.Items[0].Piece.Head || r.Items[1].Length() != 65536 {
		t.Fatalf("%+v, %v", r, err)
	}
	base := len(good) - (1 + 1 + 1 + 32 + 1 + 1 + 32 + 3) // the tag of the base64 item
	for name, change := range map[string]struct {
		at int
		to byte
	}{
		"one line that ends":              {base + 2, 0},
		"one line with CRLF":              {base + 2, 3},
		"one line of 65,532 characters":   {len(good) - 3, 0xfd},
		"an attachment that is a head":    {base + 3 + 32 + 1, 5},
		"an item with a tag nobody knows": {base, 6},
	} {
		bad := bytes.Clone(good)
		bad[change.at] = change.to
		if _, err := snapshot.ParseRecipe(bad); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

func FuzzRecipe(f *testing.F) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 10 {
		rec := snapshot.Recipe{Cutter: 1, Items: []snapshot.Item{randomItem(r, 3), randomItem(r, 3), randomItem(r, 3)}}
		b, err := snapshot.AppendRecipe(nil, &rec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	long, err := snapshot.AppendRecipe(nil, &snapshot.Recipe{Long: &snapshot.Long{Items: 3, Size: 400}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(long)
	f.Add(headAndEndless(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := snapshot.ParseRecipe(data)
		if err != nil {
			return
		}
		if again, err := snapshot.AppendRecipe(nil, &rec); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%x became %x, %v", data, again, err)
		}
	})
}

// The bytes that the package comment explains.
func TestWorkedExample(t *testing.T) {
	s := newStore()
	root := build(t, s, exampleTree(t)[:2])
	const want = "0100" + "0007" + "02ed0300000000" + "0361006e0d" + "01a40300000200" + "010003026869"
	if got := hex.EncodeToString(s.pages[root.ID]); got != want {
		t.Errorf("the example is\n%s, the package comment has\n%s", got, want)
	}
}

// TestGolden notices every change of the format: of bytes, of where pages are
// cut, and of hashes.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	line := func(name string, v any) { fmt.Fprintf(&out, "%s\t%v\n", name, v) }
	dump := func(name string, s *store) {
		var all []string
		for _, data := range s.pages {
			all = append(all, hex.EncodeToString(data))
		}
		slices.Sort(all)
		for _, p := range all {
			line(name+" page", p)
		}
	}
	s := newStore()
	line("example root", build(t, s, exampleTree(t)))
	dump("example", s)
	s = newStore()
	line("empty root", build(t, s, nil))
	dump("empty", s)

	line("large root", build(t, newStore(), entries(t, 20, 300)))
	long := recipe(t, newStore(), pieces(5000, 1))
	line("list", fmt.Sprintf("%+v", *long.Long))
	short := snapshot.Recipe{Items: exampleTree(t)[2].Entry.Recipe.Items}
	line("content hash", short.ContentHash(blob.NewHasher(testKey)))
	line("link", hex.EncodeToString(linkOf("a\x00b")))

	s = newStore()
	b := snapshot.NewMailboxBuilder(s, testKey)
	m := mailbox(1)
	if err := b.Add(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	root, err := b.Finish(t.Context())
	line("mailboxes root", root)
	dump("mailboxes", s)
	data, err2 := fullSnapshot().Encode()
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	line("snapshot", hex.EncodeToString(data))
	line("head and endless line", hex.EncodeToString(headAndEndless(t)))

	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/golden.txt", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	wantLines, gotLines := strings.Split(string(want), "\n"), strings.Split(out.String(), "\n")
	for i := range max(len(wantLines), len(gotLines)) {
		if i >= len(wantLines) || i >= len(gotLines) || wantLines[i] != gotLines[i] {
			t.Fatalf("the format has changed from line %d of testdata/golden.txt on; now it is:\n%s", i+1, out.String())
		}
	}
}

func linkOf(k snapshot.Key) []byte {
	id := snapshot.LinkOf(blob.NewHasher(testKey), k)
	return id[:]
}

// exampleTree is a small tree with an entry of each shape. The first two
// records are the worked example of the package comment.
func exampleTree(t testing.TB) []snapshot.Record {
	piece := snapshot.Piece{ID: testID(1), Size: 300, Cut: true}
	b64 := &snapshot.Base64{LineLength: 76, LineEnd: snapshot.CRLF, Tail: snapshot.TailOpen, RawHash: testID(3), Pieces: []snapshot.Piece{piece}}
	file := snapshot.Entry{Kind: snapshot.File, Mode: 0o600, UID: 5000, GID: 5000, Mtime: snapshot.Time{Sec: 1700000000, Nsec: 5}, Messages: 1,
		Link: snapshot.LinkID{0xaa}, Xattrs: []snapshot.Xattr{{Name: "user.a", Value: []byte{1, 2}}, {Name: "user.b"}},
		Recipe: snapshot.Recipe{Cutter: 1, Items: []snapshot.Item{
			{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: testID(2), Size: 200}},
			{Kind: snapshot.LiteralItem, Literal: []byte("\r\n")},
			{Kind: snapshot.Base64Item, Base64: b64}}}}
	file.Size = file.Recipe.Length()
	large := snapshot.Entry{Kind: snapshot.File, Mtime: snapshot.Time{Sec: -1}, Size: 1 << 40,
		Recipe: snapshot.Recipe{Long: &snapshot.Long{Root: testID(4), Level: 2, Items: 1 << 20, Size: 1 << 40, Hash: testID(5)}}}
	note := snapshot.Entry{Kind: snapshot.File, Mode: 0o644, Mtime: snapshot.Time{Sec: 1}, Size: 2,
		Recipe: snapshot.Recipe{Cutter: 1, Items: []snapshot.Item{{Kind: snapshot.LiteralItem, Literal: []byte("hi")}}}}
	return []snapshot.Record{
		{Key: "", Entry: snapshot.Entry{Kind: snapshot.Dir, Mode: 0o755}},
		{Key: keyOf(t, "a/n"), Entry: note},
		{Key: keyOf(t, "b"), Entry: file},
		{Key: keyOf(t, "c"), Entry: large},
		{Key: keyOf(t, "d"), Entry: snapshot.Entry{Kind: snapshot.Symlink, Mode: 0o777, Target: "../x"}},
		{Key: keyOf(t, "e"), Entry: snapshot.Entry{Kind: snapshot.FIFO}},
		{Key: keyOf(t, "f"), Entry: snapshot.Entry{Kind: snapshot.Socket}},
		{Key: keyOf(t, "g"), Entry: snapshot.Entry{Kind: snapshot.CharDevice, Rdev: 0x103}},
		{Key: keyOf(t, "h"), Entry: snapshot.Entry{Kind: snapshot.BlockDevice, Rdev: 0x800}},
		{Key: keyOf(t, "i"), Entry: snapshot.Entry{Kind: snapshot.Unsaved, Size: 77, Reason: "permission denied"}},
	}
}
