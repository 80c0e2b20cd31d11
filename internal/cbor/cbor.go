// Package cbor fixes how records are written: deterministic CBOR (RFC 8949,
// section 4.2.1, "core deterministic encoding"), so that equal records are
// equal bytes and therefore one piece.
//
// Decoding is strict. It refuses duplicate and unknown map keys,
// indefinite-length items, tags, trailing bytes and invalid UTF-8 in text
// strings, and it bounds nesting and the number of elements, because what it
// reads comes from a storage that may be hostile.
package cbor

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Limits of what is decoded. A page of a tree is the largest record; it stays
// far below them.
const (
	maxElements = 1 << 17
	maxNesting  = 16
)

// A Raw value is encoded CBOR that is decoded later or not at all.
type Raw = cbor.RawMessage

var (
	encoder = must(cbor.CoreDetEncOptions().EncMode())
	decoder = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   maxNesting,
		MaxArrayElements:  maxElements,
		MaxMapPairs:       maxElements,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode())
)

// Marshal returns the deterministic encoding of v.
func Marshal(v any) ([]byte, error) {
	b, err := encoder.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", v, err)
	}
	return b, nil
}

// Unmarshal decodes data, all of it, into v. On error v may be half filled and
// must not be used.
func Unmarshal(data []byte, v any) error {
	if err := decoder.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decoding %T: %w", v, err)
	}
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("cbor: the fixed options are refused: %v", err)) // cannot happen: they are constants
	}
	return v
}
