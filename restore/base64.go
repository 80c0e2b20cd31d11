package restore

import (
	"fmt"
	"io"

	"restante/blob"
	"restante/message"
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

// A lineMaker makes the lines of base64 items.
type lineMaker struct {
	enc     message.LineEncoder
	h       *blob.Hasher
	in, out []byte // for rooms that are files; nil before the first
}

// lines makes the item's lines in the room from at on, and checks them as they
// are made. Its decoded bytes lie at the end of the lines' place: what is
// written never passes what has been read, because each byte makes at least one.
func (l *lineMaker) lines(r room, at int64, b *snapshot.Base64) error {
	l.h.Begin()
	l.enc.Reset(int(b.LineLength), message.LineEnd(b.LineEnd))
	left := int64(b.Decoded())
	from, to := at+int64(b.RawLength())-left, at
	for left > 0 {
		n := min(left, message.EncodeStep)
		end := n == left && b.Tail == snapshot.TailEnded
		made, err := l.step(r, from, to, int(n), end)
		if err != nil {
			return err
		}
		from, to, left = from+n, to+int64(made), left-n
	}
	if l.h.ID() != b.RawHash {
		return fmt.Errorf("%w: the lines made of piece %s, the first of %d, are other than they were", ErrDamaged, b.Pieces[0].ID.Short(), len(b.Pieces))
	}
	return nil
}

// step makes the lines of n bytes, and returns how long they are.
func (l *lineMaker) step(r room, from, to int64, n int, end bool) (int, error) {
	if m, ok := r.(memory); ok {
		return l.encode(m[to:], m[from:from+int64(n)], end), nil
	}
	if l.in == nil {
		l.in, l.out = make([]byte, message.EncodeStep), make([]byte, maxLines)
	}
	if _, err := r.ReadAt(l.in[:n], from); err != nil {
		return 0, fmt.Errorf("reading decoded bytes back: %w", err)
	}
	return r.WriteAt(l.out[:l.encode(l.out, l.in[:n], end)], to)
}

// maxLines is how long the lines of one step may be: each character one, and
// one end more.
const maxLines = (message.EncodeStep/3*4 + 1) * (1 + int(message.CRLF))

func (l *lineMaker) encode(dst, decoded []byte, end bool) int {
	n := l.enc.Encode(dst, decoded)
	if end {
		n += l.enc.End(dst[n:])
	}
	_, _ = l.h.Write(dst[:n]) // it never fails
	return n
}
