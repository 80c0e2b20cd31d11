package repo

import (
	"errors"
	"math/bits"
)

// padme returns the padded length for n bytes after Nikitin et al., "Reducing
// Metadata Leakage from Encrypted Files and Communication with PURBs" (2019),
// section 4: a length shows only the order of magnitude and a few leading
// bits, at a cost of at most 12 %, and of 3.2 % from 64 KiB on.
func padme(n uint64) uint64 {
	if n < 2 {
		return n
	}
	e := bits.Len64(n) - 1
	s := bits.Len(uint(e))
	mask := uint64(1)<<(e-s) - 1
	return (n + mask) &^ mask
}

// pad appends to a payload the byte 0x80 and as many zeros as bring it to
// padme's length, but at least to least bytes (ISO/IEC 7816-4).
func pad(payload []byte, least int) []byte {
	return padTo(payload, max(int(padme(uint64(len(payload))+1)), least))
}

// padTo pads to exactly want bytes, which must be more than the payload has.
func padTo(payload []byte, want int) []byte {
	padded := make([]byte, want)
	copy(padded, payload)
	padded[len(payload)] = 0x80
	return padded
}

var errPadding = errors.New("the padding is malformed")

// unpad returns the payload of what pad made.
func unpad(padded []byte) ([]byte, error) {
	for i := len(padded) - 1; i >= 0; i-- {
		switch padded[i] {
		case 0:
		case 0x80:
			return padded[:i], nil
		default:
			return nil, errPadding
		}
	}
	return nil, errPadding
}
