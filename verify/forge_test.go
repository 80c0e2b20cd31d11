package verify_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/internal/cbor"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
)

// What a writer with the right keys can get wrong, by a fault of the program or
// on purpose, is made here from the description of the formats.

// An indexEntry is a piece as an index object names it.
type indexEntry struct {
	id                          blob.ID
	offset, length, inner, size uint32
}

// indexEntries returns what the index has to say of a pack.
func (f *fixture) indexEntries(t *testing.T, role string) []indexEntry {
	t.Helper()
	var entries []indexEntry
	for _, c := range f.clumps(t, role) {
		inner := uint32(0)
		for _, p := range c.Pieces {
			entries = append(entries, indexEntry{p.ID, c.Offset, c.Length, inner, p.Size})
			inner += p.Size
		}
	}
	slices.SortFunc(entries, func(a, b indexEntry) int { return bytes.Compare(a.id[:], b.id[:]) })
	return entries
}

type (
	forgedHead struct {
		Packs  []forgedPack  `cbor:"1,keyasint"`
		Blocks []forgedBlock `cbor:"2,keyasint"`
	}
	forgedPack struct {
		_    struct{} `cbor:",toarray"`
		ID   blob.ID
		Size uint32
	}
	forgedBlock struct {
		_      struct{} `cbor:",toarray"`
		First  blob.ID
		Length uint32
	}
)

// forgeIndex puts an index object of one pack in the place of another.
func (f *fixture) forgeIndex(t *testing.T, role string, kind seal.Kind, pack string, entries []indexEntry) {
	t.Helper()
	if err := f.store.Delete(t.Context(), f.names[role]); err != nil {
		t.Fatal(err)
	}
	name := f.putIndex(t, kind, f.names[pack], entries)
	f.names[role], f.roles[name] = name, role
}

// putIndex puts an index object of a pack, and returns its name.
func (f *fixture) putIndex(t *testing.T, kind seal.Kind, pack string, entries []indexEntry) string {
	t.Helper()
	keys := f.keys(t)
	obj, err := keys.NewObject(seal.Header{Kind: kind, Mode: seal.ModeIndex})
	if err != nil {
		t.Fatal(err)
	}
	head := forgedHead{Packs: []forgedPack{{ID: packID(t, pack), Size: uint32(len(f.get(t, pack)))}}, Blocks: []forgedBlock{}}
	out := bytes.Clone(obj.Prefix)
	for block := range slices.Chunk(entries, 1000) {
		var plain []byte
		for _, e := range block {
			plain = append(plain, e.id[:]...)
			for _, v := range []uint32{0, e.offset, e.length, e.inner, e.size} {
				plain = binary.AppendUvarint(plain, uint64(v))
			}
		}
		start := len(out)
		out = obj.Content.Seal(out, plain, 'b', uint64(len(head.Blocks)))
		head.Blocks = append(head.Blocks, forgedBlock{First: block[0].id, Length: uint32(len(out) - start)})
	}
	plain, err := cbor.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	start := len(out)
	out = obj.Directory.Seal(out, append(plain, 0x80), 'h', 0)
	out = obj.Directory.Seal(out, binary.LittleEndian.AppendUint32(nil, uint32(len(out)-start)), 'l', 0)
	sig := keys.Sign(blob.NameOf(out))
	out = append(out, sig[:]...)
	name := "index/" + blob.NameOf(out).String()
	if err := f.store.Put(t.Context(), name, out); err != nil {
		t.Fatal(err)
	}
	return name
}

// A forgedClump is what a clump holds, and what the directory says of it.
type forgedClump struct {
	class  blob.Class
	packed []byte // the byte that says how, and the bytes
	raw    uint32
	pieces []repo.Piece
}

// putPack puts a pack with clumps, of which nothing needs to be right, and returns its
// name and what an index has to say of it.
func (f *fixture) putPack(t *testing.T, kind seal.Kind, clumps []forgedClump) (name string, entries []indexEntry) {
	t.Helper()
	keys := f.keys(t)
	obj, err := keys.NewObject(seal.Header{Kind: kind, Mode: seal.ModePublic})
	if err != nil {
		t.Fatal(err)
	}
	pack := bytes.Clone(obj.Prefix)
	dir := binary.AppendUvarint(nil, uint64(len(clumps)))
	for _, c := range clumps {
		offset := len(pack)
		pack = obj.Content.Seal(pack, c.packed, 'c', uint64(offset))
		length := uint32(len(pack) - offset)
		dir = binary.AppendUvarint(append(dir, byte(c.class)), uint64(length))
		dir = append(binary.AppendUvarint(dir, uint64(c.raw)), pack[len(pack)-16:]...)
		dir = binary.AppendUvarint(dir, uint64(len(c.pieces)))
		inner := uint32(0)
		for _, p := range c.pieces {
			dir = binary.AppendUvarint(append(dir, p.ID[:]...), uint64(p.Size))
			entries = append(entries, indexEntry{p.ID, uint32(offset), length, inner, p.Size})
			inner += p.Size
		}
	}
	tail := obj.Directory.Seal(nil, dir, 'd', 0)
	tail = obj.Directory.Seal(tail, binary.LittleEndian.AppendUint32(nil, uint32(len(tail))), 'l', 0)
	sig := keys.Sign(blob.NameOf(append(bytes.Clone(obj.Prefix), tail...)))
	pack = append(append(pack, tail...), sig[:]...)
	name = repo.PackName(blob.NameOf(pack))
	if err := f.store.Put(t.Context(), name, pack); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(entries, func(a, b indexEntry) int { return bytes.Compare(a.id[:], b.id[:]) })
	return name, entries
}

func TestIndexAgainstPacks(t *testing.T) {
	whole := newFixture(t)
	entries := whole.indexEntries(t, "data2")
	if len(entries) != 4 {
		t.Fatalf("the second pack has %d pieces, not the 4 of two messages", len(entries))
	}
	// In the order of the clumps: alice's message, then bob's.
	slices.SortFunc(entries, func(a, b indexEntry) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.inner, b.inner))
	})
	const unlike = "dataindex2: it does not name the pieces of pack # as the pack's directory does"
	for _, c := range []struct {
		name       string
		change     func(e []indexEntry) []indexEntry
		kind       seal.Kind
		want, read []string
	}{
		{"the same", func(e []indexEntry) []indexEntry { return e }, seal.KindDataIndex, nil, nil},
		{"one piece missing", func(e []indexEntry) []indexEntry { return e[1:] }, seal.KindDataIndex,
			[]string{"index/: 1 piece that snapshots need is in no index object that can be read | snapshot2 | alice | 1 alice/cur/099"},
			[]string{unlike, "index/: 1 piece that snapshots need is in no index object that can be read | snapshot2 | alice | 1 alice/cur/099"}},
		{"a piece at another's place", func(e []indexEntry) []indexEntry { e[1].inner = 0; return e }, seal.KindDataIndex,
			nil, []string{unlike + " | snapshot2 | alice | 1 alice/cur/099"}},
		{"a piece in another clump", func(e []indexEntry) []indexEntry { e[1].offset, e[1].length = e[2].offset, e[2].length; return e }, seal.KindDataIndex,
			nil, []string{unlike + " | snapshot2 | alice | 1 alice/cur/099"}},
		{"a piece of another size", func(e []indexEntry) []indexEntry { e[3].size--; return e }, seal.KindDataIndex,
			[]string{"data2: piece # has 206 bytes in the index, and 207 in a snapshot | snapshot2 | bob | 1 bob/cur/007"},
			[]string{"data2: piece # has 206 bytes in the index, and 207 in a snapshot | snapshot2 | bob | 1 bob/cur/007", unlike}},
		{"the other kind", func(e []indexEntry) []indexEntry { return e }, seal.KindTreeIndex,
			[]string{"data2: it is not of the kind that the index says"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := whole.clone(t)
			changed := c.change(slices.Clone(entries))
			slices.SortFunc(changed, func(a, b indexEntry) int { return bytes.Compare(a.id[:], b.id[:]) })
			f.forgeIndex(t, "dataindex2", c.kind, "data2", changed)
			wantLines(t, f.render(f.check(t, false)), c.want)
			if c.read == nil {
				c.read = c.want
			}
			got, want := f.render(f.check(t, true)), slices.Sorted(slices.Values(c.read))
			wantLines(t, got, want)
		})
	}
}

// Two index objects may name one pack: maintenance leaves such for a moment.
func TestPackNamedTwice(t *testing.T) {
	f := newFixture(t)
	entries := f.indexEntries(t, "data2")
	twin := f.clone(t)
	twin.forgeIndex(t, "dataindex2", seal.KindDataIndex, "data2", entries)
	if err := f.store.Put(t.Context(), twin.names["dataindex2"], twin.get(t, twin.names["dataindex2"])); err != nil {
		t.Fatal(err)
	}
	wantLines(t, f.render(f.check(t, true)), nil)
}

// A pack may be sealed and signed rightly and hold other bytes than it says.
func TestPieceWithOtherBytes(t *testing.T) {
	f := newFixture(t)
	clump := forgedClump{class: blob.Text, packed: []byte{0}} // kept raw
	for _, e := range f.indexEntries(t, "data2") {
		clump.packed = append(clump.packed, make([]byte, e.size)...)
		clump.pieces = append(clump.pieces, repo.Piece{ID: e.id, Size: e.size})
		clump.raw += e.size
	}
	f.replace(t, f.names["data2"], nil)
	name, entries := f.putPack(t, seal.KindDataPack, []forgedClump{clump})
	f.names["data2"], f.roles[name] = name, "data2"
	f.forgeIndex(t, "dataindex2", seal.KindDataIndex, "data2", entries)
	wantLines(t, f.render(f.check(t, false)), nil)
	wantLines(t, f.render(f.check(t, true)), []string{"data2: clump at #: it holds other bytes than piece #" + all2})
}

// TestHostileSnapshots commits snapshots that a program without faults does
// not make.
func TestHostileSnapshots(t *testing.T) {
	if testing.Short() {
		t.Skip("it checks many repositories, one after the other")
	}
	whole := newFixture(t)
	for _, c := range []struct {
		name string
		make func(t *testing.T, w *writer, s *snapshot.Snapshot)
		want string
	}{
		{"root that is no page", func(t *testing.T, w *writer, s *snapshot.Snapshot) { s.Tree = w.root(0, []byte("rubbish")) },
			"damaged: it belongs to a tree of kind 114, not 1 | snapshot3 | "},
		{"interior root that is no page", func(t *testing.T, w *writer, s *snapshot.Snapshot) { s.Tree = w.root(1, []byte("rubbish")) },
			"damaged: it is no interior page of a tree of entries | snapshot3 | "},
		{"root at another level", func(t *testing.T, w *writer, s *snapshot.Snapshot) { s.Tree = w.root(3, []byte{1, 2}) },
			"damaged: it is at level 2, not 3 | snapshot3 | "},
		{"empty interior root", func(t *testing.T, w *writer, s *snapshot.Snapshot) { s.Tree = w.root(2, []byte{1, 2}) },
			"damaged: it has too few records | snapshot3 | "},
		{"wrong sums", func(t *testing.T, w *writer, s *snapshot.Snapshot) { s.Tree = w.tree(t); s.Tree.Counts.Files++ },
			"but its parent has {Entries:2 Files:3 Messages:0 Bytes:10 Unsaved:0} | snapshot3 | "},
		{"pages that nobody has", func(t *testing.T, w *writer, s *snapshot.Snapshot) { s.Tree = snapshot.Root{ID: blob.ID{1}, Level: 1} },
			"1 piece that snapshots need is in no index object that can be read | snapshot3 | "},
		{"mailboxes that are no page", func(t *testing.T, w *writer, s *snapshot.Snapshot) {
			s.Tree, s.Mailboxes = w.tree(t), w.root(0, []byte("rubbish"))
		}, "damaged: it belongs to a tree of kind 114, not 2 | snapshot3 |  | 0"},
		{"a list with another content hash", func(t *testing.T, w *writer, s *snapshot.Snapshot) {
			w.rest()
			i := slices.IndexFunc(w.recs, func(r snapshot.Record) bool { return r.Key.Path() == "etc/long" })
			w.recs[i].Entry.Recipe.Long.Hash[0] ^= 1
		}, "reading file \"etc/long\": damaged: its content hash is not that of its items | snapshot3 | (other) | 1 etc/long"},
		{"a list that is shorter than it says", func(t *testing.T, w *writer, s *snapshot.Snapshot) {
			long := w.multiplied(2)
			long.Items, long.Size = 1<<40, 1<<40
			w.add("etc/long", snapshot.Entry{Kind: snapshot.File, Recipe: snapshot.Recipe{Cutter: 1, Long: long}})
		}, "damaged: it sums up to {Entries:# Files:0 Messages:0 Bytes:# Unsaved:0}, but its parent has"},
		{"one page in several places", func(t *testing.T, w *writer, s *snapshot.Snapshot) {
			s.Tree = w.root(2, w.interior(2, 3, w.root(1, w.interior(1, 3, w.tree(t)))))
			s.Tree.Counts = snapshot.Counts{Entries: 6, Files: 6, Bytes: 30}
		}, "damaged: "},
		{"a list that is no page", func(t *testing.T, w *writer, s *snapshot.Snapshot) {
			root := w.root(1, []byte("rubbish"))
			w.add("etc/long", snapshot.Entry{Kind: snapshot.File, Recipe: snapshot.Recipe{Cutter: 1,
				Long: &snapshot.Long{Root: root.ID, Level: 1, Items: 5, Size: 5}}})
		}, "damaged: it belongs to a tree of kind 114, not 3 | snapshot3 | (other) | 1 etc/long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := whole.clone(t)
			w := f.begin(t, f.open(t))
			s := snapshot.Snapshot{Store: "mail", Host: "mx"}
			c.make(t, w, &s)
			w.commit(s)
			f.name(t, "3")
			got := f.render(f.check(t, true))
			if len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Errorf("got %q\nwant one with %s", got, c.want)
			}
			f.wantHarmless(t)
		})
	}
	t.Run("record", func(t *testing.T) {
		f := whole.clone(t)
		w := f.begin(t, f.open(t))
		w.fatal(w.s.Commit(t.Context(), func(int64) ([]byte, error) { return []byte{0, 0xa0}, nil }))
		f.name(t, "3")
		got := f.render(f.check(t, false))
		if len(got) != 1 || !strings.HasPrefix(got[0], "snapshot3: decoding snapshot record: damaged") {
			t.Errorf("got %q", got)
		}
	})
}

// root saves a page that is the root of a tree by what the snapshot says.
func (w *writer) root(level uint8, page []byte) snapshot.Root {
	w.t.Helper()
	id, err := w.pages.SavePage(w.t.Context(), page)
	w.fatal(err)
	return snapshot.Root{ID: id, Level: level}
}

// tree makes a small tree.
func (w *writer) tree(t *testing.T) snapshot.Root {
	t.Helper()
	b := snapshot.NewBuilder(w.pages, w.key)
	for _, name := range []string{"a", "b"} {
		e := snapshot.Entry{Kind: snapshot.File, Size: 5, Recipe: snapshot.Recipe{Cutter: 1,
			Items: []snapshot.Item{{Kind: snapshot.LiteralItem, Literal: []byte("hello")}}}}
		w.fatal(b.Add(t.Context(), snapshot.Key(name), &e))
	}
	root, err := b.Finish(t.Context())
	w.fatal(err)
	return root
}

// A page may lie under two parents of which one lies.
func TestSharedPageWithALyingParent(t *testing.T) {
	f, last := newFixture(t), snapshot.Root{}
	for last = f.newestTree(t); last.Level == 0; last = f.newestTree(t) { // how pages are cut is a matter of chance
		f = newFixture(t)
	}
	r := f.open(t)
	page, err := r.LoadPage(t.Context(), last.ID)
	if err != nil {
		t.Fatal(err)
	}
	// The last byte counts the last child's unsaved entries.
	w := f.begin(t, r)
	lie := bytes.Clone(page)
	lie[len(lie)-1]++
	root := w.root(last.Level, lie)
	root.Counts = last.Counts
	root.Counts.Unsaved++
	w.commit(snapshot.Snapshot{Store: "mail", Host: "mx", Tree: root})
	f.name(t, "3")
	got := f.render(f.check(t, false))
	if len(got) != 1 || !strings.HasPrefix(got[0], "snapshot3: reading page #: damaged: it sums up to") {
		t.Errorf("got %q", got)
	}
}

// newestTree returns the tree of the snapshot that is listed last.
func (f *fixture) newestTree(t *testing.T) (last snapshot.Root) {
	t.Helper()
	err := f.open(t).EachSnapshot(t.Context(), func(o repo.SnapshotObject, err error) error {
		if err != nil {
			return err
		}
		s, err := snapshot.DecodeSnapshot(o.Payload)
		if err == nil {
			last = s.Tree
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}
