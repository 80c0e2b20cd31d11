package snapshot

import (
	"restante/blob"
)

// Limits of a recipe. They are part of the format.
const (
	MaxLiteral      = 1 << 10 // bytes of a literal item
	MaxBase64Pieces = 256     // pieces of a base64 item; a longer span becomes several items, cut at line ends
	MaxPiece        = 8 << 20 // bytes of a piece, as the repository stores it
)

// A Recipe says how to make the bytes of a file: its items one after the
// other. A short recipe has them in Items. A long one has Long instead, which
// only a [RecipeWriter] makes. [Items] reads both.
type Recipe struct {
	Cutter uint8 // version of the rules by which the file was cut
	Items  []Item
	Long   *Long
}

// Long is a recipe kept outside its entry, as a list of items in pages.
type Long struct {
	Root  blob.ID // root page of the list
	Level uint8   // of the root page; 0 if it holds items itself
	Items uint64  // how many items the list has
	Size  uint64  // bytes of the file
	Hash  blob.ID // what ContentHash would compute from the items
}

// An ItemKind says which field of an Item is set.
type ItemKind uint8

// The kinds of items. They are part of the format: values are never reused.
const (
	PieceItem   ItemKind = 1
	LiteralItem ItemKind = 2
	Base64Item  ItemKind = 3
)

// An Item makes one run of a file's bytes.
type Item struct {
	Kind    ItemKind
	Piece   Piece   // PieceItem: the piece's bytes
	Literal []byte  // LiteralItem: these bytes, 1 to MaxLiteral
	Base64  *Base64 // Base64Item: the encoding of some pieces' bytes
}

// A Piece is one piece in a recipe.
type Piece struct {
	ID   blob.ID
	Size uint32 // 1 to MaxPiece
	Cut  bool   // it ended at a content cut, which depends on no later byte; false: its span ended there
	Head bool   // a message begins with it: its header comes first. Only of an item, and not if Cut
}

// LineEnd says how the lines of a base64 item end.
type LineEnd uint8

// The line ends. They are part of the format.
const (
	LF   LineEnd = 1
	CRLF LineEnd = 2
)

// Tail says how the last line of a base64 item ends.
type Tail uint8

// The tails. They are part of the format.
const (
	TailEnded Tail = 1 // with a line end, as the others
	TailOpen  Tail = 2 // with no line end
)

// Base64 is a run of lines that encode, with the standard alphabet and padded
// at their end, the joined bytes of Pieces. All lines are LineLength long but
// the last, which may be shorter and is never empty.
type Base64 struct {
	LineLength uint16 // characters of a full line, without its end; 0: it is one line, of more than 65,535, with TailOpen and LF
	LineEnd    LineEnd
	Tail       Tail
	RawHash    blob.ID // keyed hash of the encoded bytes: the ID they would have as a piece
	Pieces     []Piece // 1 to MaxBase64Pieces, of the decoded bytes
}

// Decoded returns the length of the decoded bytes.
func (b *Base64) Decoded() uint64 {
	var n uint64
	for i := range b.Pieces {
		n += uint64(b.Pieces[i].Size)
	}
	return n
}

// chars returns how many characters encode the decoded bytes.
func (b *Base64) chars() uint64 { return (b.Decoded() + 2) / 3 * 4 }

// RawLength returns the length of the encoded bytes with their line ends,
// which is what the item adds to the file.
func (b *Base64) RawLength() uint64 {
	chars := b.chars()
	if b.LineLength == 0 || chars == 0 {
		return chars
	}
	ends := (chars + uint64(b.LineLength) - 1) / uint64(b.LineLength)
	if b.Tail == TailOpen {
		ends--
	}
	return chars + ends*uint64(b.LineEnd)
}

// Length returns how many bytes of the file the item makes.
func (it *Item) Length() uint64 {
	switch it.Kind {
	case PieceItem:
		return uint64(it.Piece.Size)
	case LiteralItem:
		return uint64(len(it.Literal))
	case Base64Item:
		return it.Base64.RawLength()
	}
	return 0
}

// Length returns the length of the file that the recipe makes.
func (r *Recipe) Length() uint64 {
	if r.Long != nil {
		return r.Long.Size
	}
	var n uint64
	for i := range r.Items {
		n += r.Items[i].Length()
	}
	return n
}
