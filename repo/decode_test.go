package repo_test

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"testing"

	"restante/blob"
	"restante/index"
	"restante/internal/cbor"
	"restante/repo"
)

// firstOffset and endOffset are where the clumps of a decoded directory begin and end.
const (
	firstOffset = 1184
	endOffset   = 64 << 20
)

func numbered(n byte) blob.ID { return blob.ID{0: n, blob.IDSize - 1: n} }

func sampleDirectory() []repo.ClumpInfo {
	return []repo.ClumpInfo{
		{Class: blob.Text, Offset: firstOffset, Length: 300, Raw: 5, Tag: [16]byte{1, 2, 3}, Pieces: []repo.Piece{{ID: numbered(1), Size: 2}, {ID: numbered(2), Size: 3}}},
		{Class: blob.Bin, Offset: firstOffset + 300, Length: repo.MaxClumpLength, Raw: repo.MaxPiece, Pieces: []repo.Piece{{ID: numbered(3), Size: repo.MaxPiece}}},
	}
}

func TestDirectoryLimits(t *testing.T) {
	good := sampleDirectory()
	if got, err := repo.DecodeDirectory(repo.EncodeDirectory(good), firstOffset, endOffset); err != nil || !slices.EqualFunc(got, good, equalClumps) {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, spoil := range map[string]func(c *repo.ClumpInfo){
		"class":              func(c *repo.ClumpInfo) { c.Class = blob.Page + 1 },
		"no pieces":          func(c *repo.ClumpInfo) { c.Raw, c.Pieces = 0, nil },
		"an empty piece":     func(c *repo.ClumpInfo) { c.Pieces = append(c.Pieces, repo.Piece{}) },
		"sizes that differ":  func(c *repo.ClumpInfo) { c.Raw++ },
		"a piece too large":  func(c *repo.ClumpInfo) { c.Raw, c.Pieces = repo.MaxPiece+1, []repo.Piece{{Size: repo.MaxPiece + 1}} },
		"a clump too large":  func(c *repo.ClumpInfo) { c.Length = repo.MaxClumpLength + 1 },
		"nothing but a seal": func(c *repo.ClumpInfo) { c.Length = 16 },
	} {
		bad := sampleDirectory()
		spoil(&bad[0])
		if _, err := repo.DecodeDirectory(repo.EncodeDirectory(bad), firstOffset, endOffset); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := repo.DecodeDirectory(repo.EncodeDirectory(good), firstOffset, firstOffset+300+repo.MaxClumpLength-1); err == nil {
		t.Error("a clump that reaches into the directory is accepted")
	}
}

func equalClumps(a, b repo.ClumpInfo) bool {
	return a.Class == b.Class && a.Offset == b.Offset && a.Length == b.Length && a.Raw == b.Raw && a.Tag == b.Tag && slices.Equal(a.Pieces, b.Pieces)
}

// What is accepted encodes to the same bytes again.
func FuzzDecodeDirectory(f *testing.F) {
	f.Add(repo.EncodeDirectory(nil))
	whole := repo.EncodeDirectory(sampleDirectory())
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), 0))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0})
	f.Add([]byte{0x80, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		clumps, err := repo.DecodeDirectory(data, firstOffset, endOffset)
		if err != nil {
			if clumps != nil {
				t.Error("it returns something with an error")
			}
			return
		}
		if !bytes.Equal(repo.EncodeDirectory(clumps), data) {
			t.Errorf("%x encodes differently", data)
		}
		next := uint32(firstOffset)
		for _, c := range clumps {
			if c.Offset != next || c.Offset+c.Length > endOffset {
				t.Errorf("a clump lies at %d with %d bytes, the one before ends at %d", c.Offset, c.Length, next)
			}
			next += c.Length
		}
	})
}

func samplePacks(n byte) []index.Pack {
	packs := make([]index.Pack, n)
	for i := range packs {
		packs[i] = index.Pack{ID: numbered(byte(i)), Size: 1 << 20}
	}
	return packs
}

func FuzzDecodeIndexEntries(f *testing.F) {
	place := blob.Place{Clump: blob.Clump{Pack: numbered(1), Offset: 1184, Length: 400}, Inner: 300, Size: 70}
	one := repo.AppendEntry(nil, index.Entry{ID: numbered(5), Place: place}, 1)
	f.Add(one, byte(2))
	f.Add(one, byte(1))
	f.Add(append(bytes.Clone(one), one...), byte(2))
	f.Add(repo.AppendEntry(bytes.Clone(one), index.Entry{ID: numbered(6), Place: place}, 1), byte(200))
	f.Add([]byte{}, byte(1))
	f.Fuzz(func(t *testing.T, data []byte, n byte) {
		packs := samplePacks(n)
		entries, err := repo.DecodeEntries(nil, data, packs)
		if err != nil {
			return
		}
		if len(entries) == 0 || len(entries) > repo.BlockEntries {
			t.Errorf("a block of %d entries is accepted", len(entries))
		}
		var again []byte
		for _, e := range entries {
			if e.Place.Size == 0 || e.Place.Inner+e.Place.Size > repo.MaxPiece {
				t.Errorf("the place %+v is accepted", e.Place)
			}
			again = repo.AppendEntry(again, e, uint64(e.Place.Pack[0]))
		}
		if !bytes.Equal(again, data) {
			t.Errorf("%x encodes differently", data)
		}
	})
}

func TestIndexEntriesAscend(t *testing.T) {
	e := index.Entry{ID: numbered(5), Place: blob.Place{Clump: blob.Clump{Pack: numbered(0), Offset: 9, Length: 99}, Size: 1}}
	next := e
	next.Place.Inner++
	block := repo.AppendEntry(nil, next, 0)
	if _, err := repo.DecodeEntries([]index.Entry{e}, block, samplePacks(1)); err != nil {
		t.Errorf("an entry that follows: %v", err)
	}
	for _, before := range []index.Entry{next, {ID: numbered(6)}} {
		if _, err := repo.DecodeEntries([]index.Entry{before}, block, samplePacks(1)); err == nil {
			t.Errorf("an entry that does not follow %+v is accepted", before)
		}
	}
	block = block[:0]
	for i := range repo.BlockEntries + 1 {
		next.Place.Inner = uint32(i)
		block = repo.AppendEntry(block, next, 0)
	}
	if _, err := repo.DecodeEntries(nil, block, samplePacks(1)); err == nil {
		t.Error("a block of too many entries is accepted")
	}
}

func FuzzDecodeIndexHead(f *testing.F) {
	for _, v := range []any{
		map[int]any{1: []any{}, 2: []any{}},
		map[int]any{1: []any{[]any{numbered(1), 99}}, 2: []any{[]any{numbered(2), 40}}},
		map[int]any{1: []any{[]any{numbered(1), 99}, []any{numbered(1), 99}}, 2: []any{}},
		map[int]any{1: nil, 2: nil},
		map[int]any{1: []any{}},
	} {
		data, err := cbor.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		head, err := repo.DecodeHead(data)
		if err != nil {
			return
		}
		again, err := cbor.Marshal(head)
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x encodes differently, %v", data, err)
		}
	})
}

func FuzzUnpad(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x80})
	f.Add([]byte{0x80, 0x80, 0, 0})
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if payload, err := repo.Unpad(data); err == nil && !bytes.Equal(repo.PadTo(payload, len(data)), data) {
			t.Errorf("%x pads differently", data)
		}
		if payload, err := repo.Unpad(repo.Pad(data, 0)); err != nil || !bytes.Equal(payload, data) {
			t.Errorf("%x comes back as %x, %v", data, payload, err)
		}
	})
}

func TestPadme(t *testing.T) {
	var before uint64
	rng := rand.New(rand.NewPCG(7, 7))
	numbers := []uint64{0, 1, 2, 3, 8, 9, 1 << 10, 1<<10 + 1, 1 << 40, 1<<40 - 1}
	for range 20_000 {
		numbers = append(numbers, rng.Uint64N(1<<(1+rng.Uint64N(40))))
	}
	slices.Sort(numbers)
	distinct := map[uint64]bool{}
	for _, n := range numbers {
		p := repo.Padme(n)
		distinct[p] = true
		switch {
		case p < n, float64(p) > 1.12*float64(n)+1, n >= 64<<10 && float64(p) > 1.032*float64(n):
			t.Errorf("%d is padded to %d", n, p)
		case p < before:
			t.Errorf("%d is padded to %d, less than a smaller one", n, p)
		case repo.Padme(p) != p:
			t.Errorf("%d is padded to %d, which is padded to %d", n, p, repo.Padme(p))
		}
		before = p
	}
	if len(distinct) > 1300 {
		t.Errorf("%d numbers are padded to as many as %d", len(numbers), len(distinct))
	}
	if n := len(repo.Pad(nil, repo.MinRecord)); n != repo.MinRecord {
		t.Errorf("an empty record is padded to %d bytes", n)
	}
}

func TestClumpsOfAllSizes(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for _, size := range []int{1, 2, 100, 512 << 10, repo.MaxPiece} {
		random := make([]byte, size)
		for i := range random {
			random[i] = byte(rng.Uint32())
		}
		for name, raw := range map[string][]byte{"zeros": make([]byte, size), "random": random} {
			packed, unpacked, err := repo.RoundTripClump(repo.Fastest, raw)
			if err != nil || !bytes.Equal(unpacked, raw) {
				t.Fatalf("%d %s: %d bytes, %v", size, name, len(unpacked), err)
			}
			if len(packed) > len(raw)+1 {
				t.Errorf("%d %s take %d bytes", size, name, len(packed))
			}
		}
	}
}

func FuzzUnpackClump(f *testing.F) {
	for _, raw := range [][]byte{{1}, bytes.Repeat([]byte("mail "), 100)} {
		packed, _, err := repo.RoundTripClump(repo.Default, raw)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Add([]byte{})
	f.Add([]byte{2, 0})
	f.Fuzz(func(t *testing.T, packed []byte) {
		raw, err := repo.UnpackClump(packed)
		if err != nil {
			return
		}
		if len(raw) > max(repo.MaxPiece, len(packed)) {
			t.Errorf("%d bytes unpack to %d", len(packed), len(raw))
		}
		_, again, err := repo.RoundTripClump(repo.Fastest, raw)
		if err != nil || !bytes.Equal(again, raw) {
			t.Errorf("what it unpacks to does not come back: %v", err)
		}
	})
}

// What is compressed already is told from what is not, whatever class it has.
func TestKeptApart(t *testing.T) {
	noise := make([]byte, 50_000)
	rand.NewChaCha8([32]byte{9}).Read(noise)
	prose := bytes.Repeat([]byte("words and words; "), 3000)
	russian := bytes.Repeat([]byte("слова и слова; "), 3000)
	half := slices.Concat(noise[:25_000], prose[:25_000])
	for _, tt := range []struct {
		name string
		data []byte
		want bool
	}{{"noise", noise, true}, {"short noise", noise[:3000], false}, {"prose", prose, false}, {"prose of other letters", russian, false},
		{"noise and prose", half, false}, {"base64", []byte(base64.StdEncoding.EncodeToString(noise)), false}} {
		for _, class := range []blob.Class{blob.Bin, blob.Text} {
			if got := repo.KeptApart(class, tt.data); got != tt.want {
				t.Errorf("%s of class %v: %v", tt.name, class, got)
			}
		}
		if repo.KeptApart(blob.Head, tt.data) || repo.KeptApart(blob.Page, tt.data) {
			t.Errorf("%s in a head or a page", tt.name)
		}
	}
}
