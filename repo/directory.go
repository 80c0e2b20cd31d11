package repo

import (
	"encoding/binary"
	"errors"
	"fmt"

	"restante/blob"
)

// A Piece is one piece as a pack's directory lists it.
type Piece struct {
	ID   blob.ID
	Size uint32
}

// A ClumpInfo is what a pack's directory says of one clump.
type ClumpInfo struct {
	Class  blob.Class
	Offset uint32   // in the pack
	Length uint32   // sealed
	Raw    uint32   // opened and decompressed
	Tag    [16]byte // the last bytes of the sealed clump
	Pieces []Piece  // in the order of their bytes; their sizes add up to Raw
}

// Limits of the format.
const (
	// MaxPiece is the largest piece.
	MaxPiece = 8 << 20
	// maxClumpLength bounds a sealed clump: the largest piece, stored raw.
	maxClumpLength = MaxPiece + 1 + sealOverhead
	// MaxPack bounds a pack in bytes.
	MaxPack = 96 << 20
	// maxDirectory bounds a sealed directory in bytes.
	maxDirectory = 32 << 20

	// The longest a clump, without its pieces, and a piece are in a directory.
	maxClumpEntry = 1 + 4 + 4 + 16 + 4
	maxPieceEntry = blob.IDSize + 4
)

// encodeDirectory writes the clumps' descriptions as the package comment has it.
func encodeDirectory(clumps []ClumpInfo) []byte {
	var b []byte
	b = binary.AppendUvarint(b, uint64(len(clumps)))
	for _, c := range clumps {
		b = append(b, byte(c.Class))
		b = binary.AppendUvarint(b, uint64(c.Length))
		b = binary.AppendUvarint(b, uint64(c.Raw))
		b = append(b, c.Tag[:]...)
		b = binary.AppendUvarint(b, uint64(len(c.Pieces)))
		for _, p := range c.Pieces {
			b = append(b, p.ID[:]...)
			b = binary.AppendUvarint(b, uint64(p.Size))
		}
	}
	return b
}

var errDirectory = errors.New("the directory is malformed")

// decodeDirectory reads what encodeDirectory wrote and nothing else. first is
// the offset of the first clump and end the offset behind the last byte that a
// clump may have.
func decodeDirectory(b []byte, first, end uint32) ([]ClumpInfo, error) {
	d := decoder{b: b}
	n := d.uvarint(uint64(len(b)))
	clumps := make([]ClumpInfo, 0, min(n, 1<<12))
	offset := uint64(first)
	for range n {
		c := ClumpInfo{Class: blob.Class(d.byte()), Offset: uint32(offset)}
		c.Length = uint32(d.uvarint(maxClumpLength))
		c.Raw = uint32(d.uvarint(MaxPiece))
		copy(c.Tag[:], d.bytes(len(c.Tag)))
		pieces := d.uvarint(uint64(len(d.b)) / (blob.IDSize + 1))
		c.Pieces = make([]Piece, 0, pieces)
		var sum uint64
		for range pieces {
			var p Piece
			copy(p.ID[:], d.bytes(blob.IDSize))
			p.Size = uint32(d.uvarint(MaxPiece))
			d.bad = d.bad || p.Size == 0
			sum += uint64(p.Size)
			c.Pieces = append(c.Pieces, p)
		}
		offset += uint64(c.Length)
		if d.bad || !c.Class.Valid() || pieces == 0 || sum != uint64(c.Raw) || c.Length <= sealOverhead || offset > uint64(end) {
			return nil, errDirectory
		}
		clumps = append(clumps, c)
	}
	if d.bad || len(d.b) != 0 {
		return nil, errDirectory
	}
	return clumps, nil
}

// A decoder takes a byte string apart from its front. After the first thing
// that does not fit, bad is set and every further value is zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n int) []byte {
	if d.bad || n > len(d.b) {
		d.bad = true
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// uvarint takes a number of at most limit in its one shortest form.
func (d *decoder) uvarint(limit uint64) uint64 {
	if d.bad {
		return 0
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit || (n > 1 && d.b[n-1] == 0) {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

// checkTag reports whether a sealed clump is the one its directory means.
func (c *ClumpInfo) checkTag(sealed []byte) error {
	if len(sealed) != int(c.Length) || string(sealed[len(sealed)-len(c.Tag):]) != string(c.Tag[:]) {
		return fmt.Errorf("clump at offset %d is not the one that the directory names", c.Offset)
	}
	return nil
}
