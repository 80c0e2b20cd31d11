package snapshot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"restante/blob"
)

// maxInline is the most bytes that the items of a recipe may take inside an
// entry; a recipe over it is a list of its own. Part of the format.
const maxInline = 4 << 10

// Forms of a recipe, and tags of items. Part of the format.
const (
	formInline = 0
	formLong   = 1

	tagPiece    = 1 // ended with its span
	tagCutPiece = 2 // ended at a content cut
	tagLiteral  = 3
	tagBase64   = 4
	tagHead     = 5 // a piece that ended with its span, and begins a message

	base64CRLF = 1 << 0
	base64Open = 1 << 1
)

func appendRecipe(dst []byte, r *Recipe) ([]byte, error) {
	dst = append(dst, r.Cutter)
	if l := r.Long; l != nil {
		if len(r.Items) > 0 || l.Items == 0 || l.Level > maxLevel {
			return dst, fmt.Errorf("a recipe has a list of %d items at level %d and %d items of its own", l.Items, l.Level, len(r.Items))
		}
		dst = append(dst, formLong)
		dst = append(dst, l.Root[:]...)
		dst = append(dst, l.Level)
		dst = binary.AppendUvarint(dst, l.Items)
		dst = binary.AppendUvarint(dst, l.Size)
		return append(dst, l.Hash[:]...), nil
	}
	dst = append(dst, formInline)
	start := len(dst)
	for i := range r.Items {
		var err error
		if dst, err = AppendItem(dst, &r.Items[i]); err != nil {
			return dst, err
		}
	}
	if n := len(dst) - start; n > maxInline {
		return dst, fmt.Errorf("a recipe of %d bytes stands in an entry: over %d it is a list", n, maxInline)
	}
	return dst, nil
}

// parseRecipe takes all that is left in r.
func parseRecipe(r *reader) Recipe {
	out := Recipe{Cutter: r.byte("version of the cutter")}
	switch form := r.byte("form of the recipe"); form {
	case formInline:
		if len(r.b) > maxInline {
			r.fail("the recipe has %d bytes, more than %d", len(r.b), maxInline)
		}
		var few [8]Item
		items := few[:0]
		for len(r.b) > 0 {
			items = append(items, parseItem(r))
		}
		if r.err == nil && len(items) > 0 {
			out.Items = append(make([]Item, 0, len(items)), items...)
		}
	case formLong:
		l := &Long{Root: r.id("root of the recipe's list"), Level: r.byte("level of the recipe's list")}
		l.Items = r.uvarint("number of items", math.MaxUint64)
		l.Size = r.uvarint("size", math.MaxUint64)
		l.Hash = r.id("content hash")
		if l.Items == 0 || l.Level > maxLevel {
			r.fail("the recipe's list has %d items at level %d", l.Items, l.Level)
		}
		out.Long = l
	default:
		r.fail("the recipe has the unknown form %d", form)
	}
	return out
}

// AppendItem appends an item as recipes have it. It fails for an item that the
// format has no room for.
func AppendItem(dst []byte, it *Item) ([]byte, error) {
	switch it.Kind {
	case PieceItem:
		if it.Piece.Head && !it.Piece.Cut {
			return appendTagged(dst, tagHead, &it.Piece)
		}
		return appendPiece(dst, &it.Piece)
	case LiteralItem:
		if len(it.Literal) == 0 || len(it.Literal) > MaxLiteral {
			return dst, fmt.Errorf("a literal item has %d bytes, not 1 to %d", len(it.Literal), MaxLiteral)
		}
		return appendSized(append(dst, tagLiteral), it.Literal), nil
	case Base64Item:
		return appendBase64(dst, it.Base64)
	}
	return dst, fmt.Errorf("an item has the unknown kind %d", it.Kind)
}

// DecodeItems reads what AppendItem wrote, one after the other. The items keep
// no reference to b.
func DecodeItems(b []byte) ([]Item, error) {
	r := &reader{b: b}
	var items []Item
	for len(r.b) > 0 {
		items = append(items, parseItem(r))
	}
	if r.err != nil {
		return nil, fmt.Errorf("items of a recipe: %w: %w", ErrDamaged, r.err)
	}
	return items, nil
}

func appendPiece(dst []byte, p *Piece) ([]byte, error) {
	tag := byte(tagPiece)
	if p.Cut {
		tag = tagCutPiece
	}
	if p.Head {
		return dst, fmt.Errorf("piece %v begins a message, and ends at a content cut or is one of attachments", p.ID)
	}
	return appendTagged(dst, tag, p)
}

func appendTagged(dst []byte, tag byte, p *Piece) ([]byte, error) {
	if p.Size == 0 || p.Size > MaxPiece {
		return dst, fmt.Errorf("piece %v has %d bytes, not 1 to %d", p.ID, p.Size, MaxPiece)
	}
	dst = append(append(dst, tag), p.ID[:]...)
	return binary.AppendUvarint(dst, uint64(p.Size)), nil
}

func appendBase64(dst []byte, b *Base64) ([]byte, error) {
	if len(b.Pieces) == 0 || len(b.Pieces) > MaxBase64Pieces {
		return dst, fmt.Errorf("a base64 item has %d pieces, not 1 to %d", len(b.Pieces), MaxBase64Pieces)
	}
	if !b.lined() {
		return dst, fmt.Errorf("a base64 item of %d characters is one line that ends, or is not over %d", b.chars(), math.MaxUint16)
	}
	if b.LineEnd != LF && b.LineEnd != CRLF || b.Tail != TailEnded && b.Tail != TailOpen {
		return dst, fmt.Errorf("a base64 item has the unknown line end %d or tail %d", b.LineEnd, b.Tail)
	}
	var form byte
	if b.LineEnd == CRLF {
		form |= base64CRLF
	}
	if b.Tail == TailOpen {
		form |= base64Open
	}
	dst = binary.AppendUvarint(append(dst, tagBase64), uint64(b.LineLength))
	dst = append(append(dst, form), b.RawHash[:]...)
	dst = binary.AppendUvarint(dst, uint64(len(b.Pieces)))
	for i := range b.Pieces {
		var err error
		if dst, err = appendPiece(dst, &b.Pieces[i]); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// lined reports whether a line length of 0 is right, if it is that: then the
// item has no other encoding.
func (b *Base64) lined() bool {
	return b.LineLength > 0 || b.LineEnd == LF && b.Tail == TailOpen && b.chars() > math.MaxUint16
}

// parseItem reads one item, which keeps no reference to r's bytes.
func parseItem(r *reader) Item {
	switch tag := r.byte("tag of item"); tag {
	case tagPiece, tagCutPiece, tagHead:
		return Item{Kind: PieceItem, Piece: parsePiece(r, tag)}
	case tagLiteral:
		lit := r.sized("literal item", MaxLiteral)
		if len(lit) == 0 {
			r.fail("a literal item is empty")
		}
		return Item{Kind: LiteralItem, Literal: bytes.Clone(lit)}
	case tagBase64:
		return Item{Kind: Base64Item, Base64: parseBase64(r)}
	default:
		r.fail("an item has the unknown tag %d", tag)
		return Item{}
	}
}

func parsePiece(r *reader, tag byte) Piece {
	p := Piece{Cut: tag == tagCutPiece, Head: tag == tagHead, ID: r.id("ID of piece"), Size: uint32(r.uvarint("size of piece", MaxPiece))}
	if p.Size == 0 {
		r.fail("piece %v is empty", p.ID)
	}
	return p
}

func parseBase64(r *reader) *Base64 {
	b := &Base64{LineLength: uint16(r.uvarint("line length", math.MaxUint16)), LineEnd: LF, Tail: TailEnded}
	form := r.byte("form of lines")
	if form&base64CRLF != 0 {
		b.LineEnd = CRLF
	}
	if form&base64Open != 0 {
		b.Tail = TailOpen
	}
	b.RawHash = r.id("hash of base64 lines")
	n := r.uvarint("number of pieces", MaxBase64Pieces)
	if form > base64CRLF|base64Open || n == 0 {
		r.fail("a base64 item has form %d, %d pieces", form, n)
	}
	if r.err != nil {
		return b
	}
	b.Pieces = make([]Piece, 0, n)
	for ; n > 0; n-- {
		tag := r.byte("tag of piece")
		if tag != tagPiece && tag != tagCutPiece {
			r.fail("a base64 item holds an item with tag %d", tag)
			break
		}
		b.Pieces = append(b.Pieces, parsePiece(r, tag))
	}
	if r.err == nil && !b.lined() {
		r.fail("a base64 item of %d characters has line length 0, form %d", b.chars(), form)
	}
	return b
}

// A contentHash computes the keyed Merkle hash of a file from its items, as
// the package comment says, in constant memory.
type contentHash struct {
	h     *blob.Hasher
	state blob.ID
	block []byte
}

// Shape of the content hash. Part of the format.
const (
	contentTag    = "restante content v1\x00"
	contentRecord = 1 + 8 + blob.IDSize
	contentBlock  = 256 * contentRecord
)

func (c *contentHash) add(it *Item) {
	if len(c.block) == contentBlock {
		c.fold()
	}
	hash := it.Piece.ID
	switch it.Kind {
	case LiteralItem:
		hash = c.h.Sum(it.Literal)
	case Base64Item:
		hash = it.Base64.RawHash
	}
	c.block = append(c.block, byte(it.Kind))
	c.block = binary.LittleEndian.AppendUint64(c.block, it.Length())
	c.block = append(c.block, hash[:]...)
}

func (c *contentHash) fold() {
	c.state = c.h.Sum([]byte(contentTag), c.state[:], c.block)
	c.block = c.block[:0]
}

// sum returns the hash of the items added, and begins again.
func (c *contentHash) sum() blob.ID {
	c.fold()
	out := c.state
	c.state = blob.ID{}
	return out
}

// ContentHash returns the keyed Merkle hash of the file that the recipe makes.
// It follows from the items, with no look at the file's bytes. h hashes under
// the repository's ID key.
func (r *Recipe) ContentHash(h *blob.Hasher) blob.ID {
	if r.Long != nil {
		return r.Long.Hash
	}
	c := &contentHash{h: h}
	for i := range r.Items {
		c.add(&r.Items[i])
	}
	return c.sum()
}
