package restore

import (
	"encoding/base64"
	"fmt"
	"io"

	"restante/snapshot"
)

// room is where a run of a file's bytes is put together.
type room interface {
	io.ReaderAt
	io.WriterAt
}

// memory is a room in memory.
type memory []byte

func (m memory) ReadAt(p []byte, off int64) (int, error)  { return copy(p, m[off:]), nil }
func (m memory) WriteAt(p []byte, off int64) (int, error) { return copy(m[off:], p), nil }

// A lineEncoder makes the lines of base64 items.
type lineEncoder struct {
	in, chars, out []byte
}

// encoderStep is how many bytes are encoded at a time: a multiple of three, so
// that padding comes at the end only.
const encoderStep = 48 << 10

func newLineEncoder() *lineEncoder {
	return &lineEncoder{in: make([]byte, encoderStep), chars: make([]byte, base64.StdEncoding.EncodedLen(encoderStep))}
}

// encode makes the item's lines in the room from at on. Its decoded bytes lie
// at the end of the lines' place: what is written never passes what has been
// read, because each byte makes at least one.
func (e *lineEncoder) encode(r room, at int64, b *snapshot.Base64) error {
	left := int64(b.Decoded())
	from, to := at+int64(b.RawLength())-left, at
	column, width := 0, int(b.LineLength)
	end := "\n"
	if b.LineEnd == snapshot.CRLF {
		end = "\r\n"
	}
	for left > 0 {
		in := e.in[:min(left, encoderStep)]
		if _, err := r.ReadAt(in, from); err != nil {
			return fmt.Errorf("reading decoded bytes back: %w", err)
		}
		from, left = from+int64(len(in)), left-int64(len(in))
		chars := e.chars[:base64.StdEncoding.EncodedLen(len(in))]
		base64.StdEncoding.Encode(chars, in)
		e.out = e.out[:0]
		for len(chars) > 0 {
			if column == width {
				e.out = append(e.out, end...)
				column = 0
			}
			n := min(width-column, len(chars))
			e.out = append(e.out, chars[:n]...)
			chars, column = chars[n:], column+n
		}
		if left == 0 && b.Tail == snapshot.TailEnded {
			e.out = append(e.out, end...)
		}
		if _, err := r.WriteAt(e.out, to); err != nil {
			return err
		}
		to += int64(len(e.out))
	}
	return nil
}
