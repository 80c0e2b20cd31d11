package repo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"restante/blob"
	"restante/index"
	"restante/internal/cbor"
	"restante/seal"
)

const (
	// blockEntries is how many entries a full block of an index object has.
	blockEntries = 1 << 10
	// maxIndexEntries bounds one index object; a session with more writes several.
	maxIndexEntries = 1 << 20
	// maxIndexObject bounds its bytes: every entry at its longest.
	maxIndexObject = maxIndexEntries*(blob.IDSize+5*5) + 16<<20
	// An entry has minEntry bytes at least, and entrySpace with its share of
	// blocks and padding, mostly.
	minEntry   = blob.IDSize + 5
	entrySpace = 56
)

func indexName(id blob.ID) string { return "index/" + id.String() }

// indexHead stands at the end of an index object.
type indexHead struct {
	Packs  []indexPack  `cbor:"1,keyasint"`
	Blocks []indexBlock `cbor:"2,keyasint"`
}

type indexPack struct {
	_    struct{} `cbor:",toarray"`
	ID   blob.ID
	Size uint32
}

// An indexBlock is a fence: the first ID of a block, and the sealed block's length.
type indexBlock struct {
	_      struct{} `cbor:",toarray"`
	First  blob.ID
	Length uint32
}

// sealIndex makes the bytes of an index object, which is kind's, from entries
// sorted by ID.
func (r *Repository) sealIndex(kind seal.Kind, session seal.Session, o *index.Object) ([]byte, error) {
	obj, err := r.keys.NewObject(seal.Header{Kind: kind, Mode: seal.ModeIndex, Session: session})
	if err != nil {
		return nil, err
	}
	head := indexHead{Packs: make([]indexPack, len(o.Packs)), Blocks: []indexBlock{}}
	ordinal := make(map[blob.ID]uint64, len(o.Packs))
	for i, p := range o.Packs {
		head.Packs[i] = indexPack{ID: p.ID, Size: p.Size}
		ordinal[p.ID] = uint64(i)
	}
	out := append(make([]byte, 0, entrySpace*len(o.Entries)+64<<10), obj.Prefix...) // at once, not in many steps
	var plain []byte
	for block := range slices.Chunk(o.Entries, blockEntries) {
		plain = plain[:0]
		for _, e := range block {
			plain = appendEntry(plain, e, ordinal[e.Place.Pack])
		}
		start := len(out)
		out = obj.Content.Seal(out, plain, partBlock, uint64(len(head.Blocks)))
		head.Blocks = append(head.Blocks, indexBlock{First: block[0].ID, Length: uint32(len(out) - start)})
	}
	plain, err = cbor.Marshal(head)
	if err != nil {
		return nil, err
	}
	// The head's padding brings the whole object to a padded length.
	fixed := len(out) + 2*sealOverhead + 4 + signatureSize
	want := max(padme(uint64(fixed+len(plain)+1)), minRecord)
	start := len(out)
	out = obj.Directory.Seal(out, padTo(plain, int(want)-fixed), partHead, 0)
	out = obj.Directory.Seal(out, binary.LittleEndian.AppendUint32(nil, uint32(len(out)-start)), partLength, 0)
	sig := r.keys.Sign(blob.NameOf(out))
	return append(out, sig[:]...), nil
}

func appendEntry(b []byte, e index.Entry, pack uint64) []byte {
	b = append(b, e.ID[:]...)
	b = binary.AppendUvarint(b, pack)
	b = binary.AppendUvarint(b, uint64(e.Place.Offset))
	b = binary.AppendUvarint(b, uint64(e.Place.Length))
	b = binary.AppendUvarint(b, uint64(e.Place.Inner))
	return binary.AppendUvarint(b, uint64(e.Place.Size))
}

var errIndex = errors.New("the index object is malformed")

// loadIndex reads, checks and decodes the index object named id.
func (r *Repository) loadIndex(ctx context.Context, id blob.ID) (*index.Object, error) {
	o, _, err := r.readIndex(ctx, id)
	if Unreadable(err) {
		return nil, err
	}
	if err != nil {
		return nil, &DamageError{Object: indexName(id), Err: err}
	}
	return o, nil
}

// readIndex reads the index object named id, and tells whether it is one of tree packs.
func (r *Repository) readIndex(ctx context.Context, id blob.ID) (o *index.Object, tree bool, err error) {
	o, err = again(ctx, func() (*index.Object, error) {
		data, err := get(ctx, r.store, indexName(id), 0, -1, nil)
		if err != nil {
			return nil, err
		}
		if len(data) > maxIndexObject {
			return nil, errIndex
		}
		if blob.NameOf(data) != id {
			return nil, errName
		}
		h, err := seal.ParseHeader(data)
		if err != nil {
			return nil, err
		}
		tree = h.Kind == seal.KindTreeIndex
		return r.openIndex(ctx, data)
	})
	return o, tree, err
}

// openIndex opens the bytes of an index object.
func (r *Repository) openIndex(ctx context.Context, data []byte) (*index.Object, error) {
	h, err := seal.ParseHeader(data)
	if err != nil {
		return nil, err
	}
	kind := seal.KindDataIndex
	if h.Kind == seal.KindTreeIndex {
		kind = h.Kind
	}
	obj, err := r.openSigned(data, kind, r.signer(ctx))
	if err != nil {
		return nil, err
	}
	body := data[len(obj.Prefix) : len(data)-signatureSize]
	if len(body) < 4+sealOverhead {
		return nil, errIndex
	}
	length, err := obj.Directory.Open(nil, body[len(body)-4-sealOverhead:], partLength, 0)
	if err != nil || len(length) != 4 {
		return nil, errIndex
	}
	body = body[:len(body)-4-sealOverhead]
	n := int(binary.LittleEndian.Uint32(length))
	if n > len(body) {
		return nil, errIndex
	}
	padded, err := obj.Directory.Open(nil, body[len(body)-n:], partHead, 0)
	if err != nil {
		return nil, err
	}
	plain, err := unpad(padded)
	if err != nil {
		return nil, err
	}
	head, err := decodeHead(plain)
	if err != nil {
		return nil, err
	}
	return openBlocks(obj, head, body[:len(body)-n])
}

// decodeHead reads the one encoding of an index object's head.
func decodeHead(plain []byte) (*indexHead, error) {
	head := new(indexHead)
	if err := cbor.Unmarshal(plain, head); err != nil {
		return nil, err
	}
	if head.Packs == nil || head.Blocks == nil { // null, which is no empty array
		return nil, errIndex
	}
	seen := make(map[blob.ID]bool, len(head.Packs))
	for _, p := range head.Packs {
		if seen[p.ID] || p.Size > MaxPack {
			return nil, errIndex
		}
		seen[p.ID] = true
	}
	again, err := cbor.Marshal(head)
	if err != nil || !bytes.Equal(again, plain) {
		return nil, errIndex
	}
	return head, nil
}

func openBlocks(obj *seal.Object, head *indexHead, body []byte) (*index.Object, error) {
	o := &index.Object{Packs: make([]index.Pack, len(head.Packs))}
	for i, p := range head.Packs {
		o.Packs[i] = index.Pack{ID: p.ID, Size: p.Size}
	}
	// At once, not in many steps, and no more than the bytes can hold.
	o.Entries = make([]index.Entry, 0, min(len(head.Blocks)*blockEntries, maxIndexEntries, len(body)/minEntry))
	var plain []byte
	for i, block := range head.Blocks {
		if int64(block.Length) > int64(len(body)) {
			return nil, errIndex
		}
		var err error
		if plain, err = obj.Content.Open(plain[:0], body[:block.Length], partBlock, uint64(i)); err != nil {
			return nil, err
		}
		body = body[block.Length:]
		first := len(o.Entries)
		if o.Entries, err = decodeEntries(o.Entries, plain, o.Packs); err != nil {
			return nil, err
		}
		full := len(o.Entries)-first == blockEntries
		if !full && i < len(head.Blocks)-1 || o.Entries[first].ID != block.First || len(o.Entries) > maxIndexEntries {
			return nil, errIndex
		}
	}
	if len(body) != 0 {
		return nil, errIndex
	}
	return o, nil
}

// decodeEntries appends the entries of one block, of which there is one at
// least, and which ascend from the last of entries on.
func decodeEntries(entries []index.Entry, plain []byte, packs []index.Pack) ([]index.Entry, error) {
	d := decoder{b: plain}
	first := len(entries)
	for len(d.b) > 0 && !d.bad {
		var e index.Entry
		copy(e.ID[:], d.bytes(blob.IDSize))
		pack := d.uvarint(uint64(len(packs)))
		e.Place.Offset = uint32(d.uvarint(MaxPack))
		e.Place.Length = uint32(d.uvarint(maxClumpLength))
		e.Place.Inner = uint32(d.uvarint(MaxPiece))
		e.Place.Size = uint32(d.uvarint(MaxPiece))
		if d.bad || pack >= uint64(len(packs)) || e.Place.Size == 0 || uint64(e.Place.Inner)+uint64(e.Place.Size) > MaxPiece {
			return nil, errIndex
		}
		e.Place.Pack = packs[pack].ID
		n := len(entries)
		if n-first == blockEntries || n > 0 && compareEntries(entries[n-1], e) >= 0 {
			return nil, errIndex
		}
		entries = append(entries, e)
	}
	if d.bad || len(entries) == first {
		return nil, errIndex
	}
	return entries, nil
}

// compareEntries orders entries by ID, then by place: one piece may lie in
// several packs.
func compareEntries(a, b index.Entry) int {
	return cmp.Or(a.ID.Compare(b.ID), a.Place.Pack.Compare(b.Place.Pack),
		cmp.Compare(a.Place.Offset, b.Place.Offset), cmp.Compare(a.Place.Inner, b.Place.Inner))
}
