package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"restante/blob"
)

var (
	// ErrDamaged marks every error about bytes that are not what this package
	// writes: a page, a recipe or a record. Errors of a Loader are passed on
	// without it.
	ErrDamaged = errors.New("damaged")

	// ErrTooLarge marks the refusal to store an entry or a mailbox over the
	// format's limits.
	ErrTooLarge = errors.New("too large")
)

// A reader takes a record's bytes apart. The first failure sticks; after it
// every method returns a zero value.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
		r.b = nil
	}
}

// uvarint reads a number of at most limit in its shortest form; a longer form
// would give one record several encodings.
func (r *reader) uvarint(what string, limit uint64) uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 && uint64(r.b[0]) <= limit { // nearly always
		v := uint64(r.b[0])
		r.b = r.b[1:]
		return v
	}
	v, n := binary.Uvarint(r.b)
	switch {
	case n <= 0:
		r.fail("%s ends early or is over 64 bits", what)
		return 0
	case n > 1 && r.b[n-1] == 0:
		r.fail("%s is not in its shortest form", what)
		return 0
	case v > limit:
		r.fail("%s is %d, more than %d", what, v, limit)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(what string, n int) []byte {
	if n > len(r.b) {
		r.fail("%s ends early", what)
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte(what string) byte {
	if b := r.bytes(what, 1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) id(what string) blob.ID {
	if b := r.bytes(what, blob.IDSize); b != nil {
		return blob.ID(b)
	}
	return blob.ID{}
}

// sized reads a length of at most limit and as many bytes.
func (r *reader) sized(what string, limit int) []byte {
	return r.bytes(what, int(r.uvarint(what, uint64(limit))))
}

// rest takes all that is left.
func (r *reader) rest() []byte {
	b := r.b
	r.b = nil
	return b
}

func (r *reader) counts() Counts {
	return Counts{
		Entries:  r.uvarint("count of entries", math.MaxUint64),
		Files:    r.uvarint("count of files", math.MaxUint64),
		Messages: r.uvarint("count of messages", math.MaxUint64),
		Bytes:    r.uvarint("count of bytes", math.MaxUint64),
		Unsaved:  r.uvarint("count of unsaved entries", math.MaxUint64),
	}
}

func appendCounts(dst []byte, c Counts) []byte {
	for _, v := range [...]uint64{c.Entries, c.Files, c.Messages, c.Bytes, c.Unsaved} {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

func appendSized[S ~string | ~[]byte](dst []byte, s S) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
