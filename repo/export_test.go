package repo

import (
	"context"
	"encoding/binary"
	"time"

	"restante/blob"
	"restante/index"
	"restante/internal/cbor"
	"restante/seal"
)

// SetPackSize makes packs end at a size that tests fill quickly.
func (s *Session) SetPackSize(n int) { s.packSz = n }

// CheckpointDue makes the next pack that becomes durable end in a checkpoint.
func (s *Session) CheckpointDue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Time{}
}

// Decoders and their counterparts.
var (
	EncodeDirectory = encodeDirectory
	DecodeDirectory = decodeDirectory
	DecodeEntries   = decodeEntries
	AppendEntry     = appendEntry
	Padme           = padme
	Pad             = pad
	PadTo           = padTo
	Unpad           = unpad
)

// Limits and sizes that tests refer to.
const (
	BlockEntries   = blockEntries
	MaxClumpLength = maxClumpLength
	MaxIndexObject = maxIndexObject
	MinRecord      = minRecord
)

// DecodeHead decodes an index object's head.
func DecodeHead(plain []byte) (*indexHead, error) { return decodeHead(plain) }

// DecodeDamages decodes the payload of a record of damage.
var DecodeDamages = decodeDamages

// EncodeDamages returns the payload of the first record with packs.
func EncodeDamages(packs []Damage) ([]byte, error) {
	for rec := range damageRecords(packs) {
		return cbor.Marshal(rec)
	}
	return cbor.Marshal(damageRecord{Packs: []Damage{}})
}

// CountDamageRecords returns how many records packs need.
func CountDamageRecords(packs []Damage) (n int) {
	for range damageRecords(packs) {
		n++
	}
	return n
}

// NewEncoder returns an encoder as clumps are compressed with.
var NewEncoder = newEncoder

// KeptApart reports whether a piece goes to the clumps that are not worth compressing.
func KeptApart(class blob.Class, data []byte) bool { return mayBeDense(class, data) && isDense(data) }

// RoundTripClump packs a clump as a Writer does and unpacks it as a reader does.
func RoundTripClump(level Compression, raw []byte) (packed, unpacked []byte, err error) {
	c, err := newCompressor(level)
	if err != nil {
		return nil, nil, err
	}
	if packed, err = c.pack(blob.Text, raw); err != nil {
		return nil, nil, err
	}
	dec, err := newDecompressor()
	if err != nil {
		return nil, nil, err
	}
	unpacked, err = unpackClump(dec, nil, packed)
	return packed, unpacked, err
}

// UnpackClump decodes an opened clump.
func UnpackClump(packed []byte) ([]byte, error) {
	dec, err := newDecompressor()
	if err != nil {
		return nil, err
	}
	return unpackClump(dec, nil, packed)
}

// Packs returns what the index knows of packs, for tests of what was adopted.
func (r *Repository) Packs() []index.Pack { return r.index.Packs() }

// ForgeMark puts a mark with any key and any payload.
func (r *Repository) ForgeMark(ctx context.Context, name uint64, number uint64, packs, roots []byte) error {
	data, err := r.sealRecord(seal.Header{Kind: seal.KindMark, Mode: seal.ModeIndex}, markRecord{Number: number, Packs: packs, Roots: roots})
	if err != nil {
		return err
	}
	return putOnce(ctx, r.store, markName(name), data)
}

// ForgeSeen says that a session has seen marks.
func (r *Repository) ForgeSeen(ctx context.Context, id seal.Session, numbers ...uint64) error {
	data, err := r.sealRecord(seal.Header{Kind: seal.KindSeen, Mode: seal.ModeIndex, Session: id}, seenRecord{Marks: numbers})
	if err != nil {
		return err
	}
	return putOnce(ctx, r.store, seenName(id), data)
}

// Payloads returns a value for each kind of record to be decoded into.
func Payloads() []any {
	return []any{new(config), new(Intent), new(tombstone), new(forgotten), new(holdRecord), new(markRecord), new(seenRecord)}
}

// DecodeRecord decodes the payload of a record.
var DecodeRecord = decodeRecord

// TakeMark checks what a mark says, of which the number is n.
func TakeMark(record any, n uint64) (Mark, error) {
	m := Mark{Number: n}
	err := m.take(record.(*markRecord))
	return m, err
}

// ParseHoldName reads the name of a hold.
var ParseHoldName = parseHoldName

// SealIndex seals blocks and the plain head of an index object, of which nothing needs to be right;
// OpenSealedIndex opens it.
func (r *Repository) SealIndex(head, padding []byte, blocks [][]byte, length uint32) ([]byte, error) {
	obj, err := r.keys.NewObject(seal.Header{Kind: seal.KindDataIndex, Mode: seal.ModeIndex})
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), obj.Prefix...)
	for i, b := range blocks {
		out = obj.Content.Seal(out, b, partBlock, uint64(i))
	}
	start := len(out)
	out = obj.Directory.Seal(out, append(append([]byte(nil), head...), padding...), partHead, 0)
	out = obj.Directory.Seal(out, binary.LittleEndian.AppendUint32(nil, uint32(len(out)-start)+length), partLength, 0)
	sig := r.keys.Sign(blob.NameOf(out))
	return append(out, sig[:]...), nil
}

// OpenSealedIndex opens the bytes of an index object.
func (r *Repository) OpenSealedIndex(ctx context.Context, data []byte) (*index.Object, error) {
	return r.openIndex(ctx, data)
}
