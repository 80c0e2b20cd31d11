package message

import (
	"math"

	"github.com/segmentio/asm/base64"
)

// EncodeStep is the most that a LineEncoder encodes in one go, in decoded
// bytes: a multiple of three, so that padding comes at the end only.
const EncodeStep = 48 << 10

// A LineEncoder makes the lines of a Base64 span out of what they encode: the
// way back from Block.Decoded to Block.Raw. Its zero value waits for Reset. It
// keeps a buffer of 64 KiB, and serves one goroutine.
type LineEncoder struct {
	length, column int
	end            LineEnd
	chars          []byte
}

// Reset begins with a span with lines of the given form. With a length of 0 it
// is one line, however long.
func (e *LineEncoder) Reset(length int, end LineEnd) {
	if e.chars == nil {
		e.chars = make([]byte, base64.StdEncoding.EncodedLen(EncodeStep)+slack)
	}
	if length == 0 {
		length = math.MaxInt
	}
	e.length, e.column, e.end = length, 0, end
}

// Encode puts the lines of the next decoded bytes at the beginning of dst and
// returns how long they are; there must be room for them. Decoded is EncodeStep
// bytes, or less at the end of the span. It may lie anywhere in dst. The line end of the last
// line at hand is missing: it comes with the next call, or by End.
func (e *LineEncoder) Encode(dst, decoded []byte) int {
	chars := e.chars[:base64.StdEncoding.EncodedLen(len(decoded))]
	base64.StdEncoding.Encode(chars, decoded)
	n := copy(dst, chars[:min(e.length-e.column, len(chars))])
	e.column += n
	for chars = chars[n:]; len(chars) > 0; chars = chars[e.column:] {
		if e.end == CRLF {
			dst[n] = '\r'
			n++
		}
		dst[n] = '\n'
		n++
		e.column = copy(dst[n:], chars[:min(e.length, len(chars))])
		n += e.column
	}
	return n
}

// End puts the end of a line at the beginning of dst and returns how long it is.
func (e *LineEncoder) End(dst []byte) int {
	e.column = 0
	return copy(dst, "\r\n"[CRLF-e.end:])
}
