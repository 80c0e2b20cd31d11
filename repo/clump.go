package repo

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress"
	"github.com/klauspost/compress/zstd"

	"restante/blob"
)

// How a clump's bytes are kept: the first byte under the seal. Part of the format.
const (
	codecRaw  = 0
	codecZstd = 1
)

// Compression is the choice between speed and size. DESIGN.md says what it costs.
type Compression string

// The choices, as they are written on the command line.
const (
	Fastest Compression = "fastest" // quickly, and attachments and files of unknown kind not at all
	Default Compression = "default" // quickly
	Max     Compression = "max"     // as well as zstd can
)

// ParseCompression reads a choice as it is written on the command line.
func ParseCompression(s string) (Compression, error) {
	switch c := Compression(s); c {
	case Fastest, Default, Max:
		return c, nil
	}
	return "", fmt.Errorf("unknown compression %q: it is %s, %s or %s", s, Fastest, Default, Max)
}

func (c Compression) level() zstd.EncoderLevel {
	if c == Max {
		return zstd.SpeedBestCompression
	}
	return zstd.SpeedFastest
}

// keeps reports whether clumps of a class are kept as they are.
func (c Compression) keeps(class blob.Class) bool { return c == Fastest && class == blob.Bin }

// A compressor turns raw clumps into what is sealed, and proves that what is
// sealed turns into the raw bytes again. It serves one goroutine.
type compressor struct {
	texts  *zstd.Encoder // of clumps of texts
	others *zstd.Encoder
	dec    *zstd.Decoder
	packed []byte
	check  []byte
}

func newCompressor(choice Compression) (*compressor, error) {
	texts, err := newEncoder(choice.level(), blob.Text)
	if err != nil {
		return nil, err
	}
	others, err := newEncoder(choice.level(), blob.Bin)
	if err != nil {
		return nil, err
	}
	dec, err := newDecompressor()
	if err != nil {
		return nil, err
	}
	return &compressor{texts: texts, others: others, dec: dec}, nil
}

// newEncoder returns an encoder for clumps of a class. Texts are shortened also
// where nothing repeats, such as base64 that could not be decoded: attachments
// would hardly gain by it and take a fifth longer at the fastest level.
func newEncoder(level zstd.EncoderLevel, class blob.Class) (*zstd.Encoder, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20),
		zstd.WithEncoderCRC(false), zstd.WithAllLitEntropyCompression(class == blob.Text || level > zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("setting up compression: %w", err)
	}
	return enc, nil
}

// newDecompressor returns a decoder for clumps; it serves several goroutines.
func newDecompressor() (*zstd.Decoder, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxPiece), zstd.IgnoreChecksum(true))
	if err != nil {
		return nil, fmt.Errorf("setting up decompression: %w", err)
	}
	return dec, nil
}

// pack returns the codec byte and the shorter form of raw, a clump of the given
// class. The result is valid until the next call. Every compressed form is
// decompressed and compared here, before its source is dropped: a fault of
// memory or of the compressor must not become a backup that cannot be read.
func (c *compressor) pack(class blob.Class, raw []byte) ([]byte, error) {
	enc := c.others
	if class == blob.Text {
		enc = c.texts
	}
	c.packed = enc.EncodeAll(raw, append(c.packed[:0], codecZstd))
	if len(c.packed) > len(raw) {
		return c.keep(raw), nil
	}
	var err error
	c.check, err = unpackClump(c.dec, c.check[:0], c.packed)
	if err != nil || !bytes.Equal(c.check, raw) {
		return nil, fmt.Errorf("compressing a clump of %d bytes: it does not decompress to what it was made from; check this machine's memory (%v)", len(raw), err)
	}
	return c.packed, nil
}

// keep returns the codec byte and raw as it is.
func (c *compressor) keep(raw []byte) []byte {
	c.packed = append(append(c.packed[:0], codecRaw), raw...)
	return c.packed
}

const (
	// denseBelow is the estimate under which compression is not tried; images
	// and archives are far below it, documents far above.
	denseBelow = 0.1
	denseProbe = 4 << 10
	asciiProbe = 64
)

// mayBeDense reports whether a piece is worth the estimate: unless they are short,
// attachments are, and texts that are not written in ASCII, such as messages that the
// mail server keeps compressed.
func mayBeDense(class blob.Class, data []byte) bool {
	if len(data) < denseProbe {
		return false
	}
	if class != blob.Text {
		return class == blob.Bin
	}
	other := 0
	for _, b := range data[len(data)/2:][:asciiProbe] {
		other += int(b >> 7)
	}
	return other > asciiProbe/4
}

// isDense reports whether data, of denseProbe bytes or more, seems to be compressed
// already: its beginning, its middle and its end all do. Such bytes are kept apart from those that
// compression serves, and compression is not tried on them.
func isDense(data []byte) bool {
	for _, at := range []int{0, (len(data) - denseProbe) / 2, len(data) - denseProbe} {
		if compress.Estimate(data[at:at+denseProbe]) >= denseBelow {
			return false
		}
	}
	return true
}

// unpackClump appends the raw bytes of an opened clump to dst.
func unpackClump(dec *zstd.Decoder, dst, packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, errClump
	}
	switch packed[0] {
	case codecRaw:
		return append(dst, packed[1:]...), nil
	case codecZstd:
		out, err := dec.DecodeAll(packed[1:], dst)
		if err != nil {
			return nil, fmt.Errorf("decompressing: %w", err)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: codec %d is not known", errClump, packed[0])
}

var errClump = fmt.Errorf("the clump is malformed")

// A clump being filled: pieces of one class, side by side.
type openClump struct {
	class  blob.Class
	limit  int  // how large raw grows, if no single piece is larger
	keep   bool // it is not compressed
	raw    []byte
	pieces []Piece
}

func (c *openClump) add(id blob.ID, data []byte) {
	c.raw = append(c.raw, data...)
	c.pieces = append(c.pieces, Piece{id, uint32(len(data))})
}

func (c *openClump) reset() {
	c.raw = c.raw[:0]
	c.pieces = nil // handed over to the directory
}
