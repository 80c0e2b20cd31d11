// Package blob is Restante's vocabulary: the identity of a piece of data, the
// class of data it belongs to, and the place where it lies.
//
// A piece is a run of bytes stored once. Its ID is BLAKE3 in keyed mode
// (https://github.com/BLAKE3-team/BLAKE3-specs), 32 bytes, under a key that
// is a secret of the repository: who does not hold the key can neither tell
// which content an ID stands for nor test a guess. Whole objects (packs, index
// objects) are named by the same hash without a key, so that anybody who
// holds the bytes can prove them intact.
//
// IDs are printed as 64 lower-case hexadecimal digits.
package blob

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
)

// IDSize is the length of an ID in bytes. It is part of the format.
const IDSize = 32

// An ID names a piece or an object by its content.
type ID [IDSize]byte

// ParseID reads the form that [ID.String] prints and no other.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*IDSize {
		return ID{}, fmt.Errorf("parsing ID %q: it has %d characters, not %d", s, len(s), 2*IDSize)
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("parsing ID %q: %w", s, err)
	}
	if id.String() != s {
		return ID{}, fmt.Errorf("parsing ID %q: it is not in lower case", s)
	}
	return id, nil
}

// String returns the ID as 64 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short returns the first eight digits, enough to tell objects apart in a message to a person.
func (id ID) Short() string { return hex.EncodeToString(id[:4]) }

// Compare orders IDs by their bytes, as slices.SortFunc wants it.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// IsZero reports whether the ID is the zero value, which names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// A Class says what kind of bytes a piece holds. Pieces of one class are
// compressed together.
type Class uint8

// The classes. They are part of the format: values are never reused.
const (
	Text Class = 1 // message text, and whole messages
	Head Class = 2 // message headers
	Bin  Class = 3 // decoded attachments and files of unknown kind
	Page Class = 4 // pages of a snapshot's trees
)

// Valid reports whether c is a class this version knows.
func (c Class) Valid() bool { return c >= Text && c <= Page }

// String returns the class's name as the documentation has it.
func (c Class) String() string {
	switch c {
	case Text:
		return "text"
	case Head:
		return "head"
	case Bin:
		return "bin"
	case Page:
		return "page"
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// A Clump says where a clump lies: Length sealed bytes from Offset in the pack
// named Pack.
type Clump struct {
	Pack   ID
	Offset uint32
	Length uint32
}

// Compare orders clumps by pack, and in a pack as they lie there.
func (c Clump) Compare(other Clump) int {
	if order := c.Pack.Compare(other.Pack); order != 0 {
		return order
	}
	return cmp.Or(cmp.Compare(c.Offset, other.Offset), cmp.Compare(c.Length, other.Length))
}

// A Place says where a piece lies: in a clump, Size bytes from Inner in the
// clump's raw (opened and decompressed) bytes.
type Place struct {
	Clump
	Inner uint32
	Size  uint32
}
