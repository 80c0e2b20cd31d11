package repo

import (
	"encoding/binary"
	"hash/maphash"

	"restante/blob"
)

// A Tally stands for a set of pieces and their places in a pack, whatever
// their order: their number, and the sums of two hashes under seeds of one
// Tallier. So the index and a directory can be compared without keeping either.
type Tally struct{ n, a, b uint64 }

// A Tallier makes tallies that can be compared with each other. It is not
// changed by use, so several goroutines may use it.
type Tallier struct{ a, b maphash.Seed }

// NewTallier returns a Tallier.
func NewTallier() *Tallier { return &Tallier{maphash.MakeSeed(), maphash.MakeSeed()} }

// Add adds a piece and its place, but for the pack, to a tally.
func (s *Tallier) Add(t *Tally, id blob.ID, at blob.Place) {
	var key [blob.IDSize + 4*4]byte
	b := append(key[:0], id[:]...)
	for _, v := range [...]uint32{at.Offset, at.Length, at.Inner, at.Size} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	t.n++
	t.a += maphash.Bytes(s.a, b)
	t.b += maphash.Bytes(s.b, b)
}

// Clumps returns the tally of what a directory lists.
func (s *Tallier) Clumps(clumps []ClumpInfo) (t Tally) {
	for _, c := range clumps {
		at := blob.Place{Clump: blob.Clump{Offset: c.Offset, Length: c.Length}}
		for _, p := range c.Pieces {
			at.Size = p.Size
			s.Add(&t, p.ID, at)
			at.Inner += p.Size
		}
	}
	return t
}
