// Package chunking cuts one stream of bytes into pieces at places that its
// content chooses, so that an insertion moves only the cuts near it.
//
// The cutter is the Rabin fingerprint of github.com/restic/chunker v0.4.0:
// a window of 64 bytes, modulo an irreducible polynomial of degree 53 that is
// a secret of the repository. A piece ends where the low 20 bits of the
// fingerprint are zero, but not before 512 KiB, and at 8 MiB at the latest;
// the mean is about 1.4 MiB. The fingerprint starts anew after each cut, so a
// cut depends only on the bytes since the one before.
package chunking

import (
	"errors"
	"fmt"
	"io"

	"github.com/restic/chunker"
)

// The cutter's parameters. Part of the format: another value is another
// cutter version in the recipes.
const (
	MinSize = 512 << 10
	MaxSize = 8 << 20

	averageBits = 20
	degree      = 53
)

// NewPolynomial returns a fresh random irreducible polynomial.
func NewPolynomial() (uint64, error) {
	p, err := chunker.RandomPolynomial()
	if err != nil {
		return 0, fmt.Errorf("choosing a polynomial: %w", err)
	}
	return uint64(p), nil
}

// A Cutter cuts streams, one after the other. It serves one goroutine.
type Cutter struct {
	pol chunker.Pol
	c   *chunker.Chunker
}

// New returns a Cutter with the given polynomial, which must be one that
// NewPolynomial returned.
func New(polynomial uint64) (*Cutter, error) {
	p := chunker.Pol(polynomial)
	if p.Deg() != degree || !p.Irreducible() {
		return nil, errors.New("setting up chunking: the repository's polynomial is not irreducible of degree 53")
	}
	return &Cutter{pol: p}, nil
}

// Reset begins with the stream r.
func (c *Cutter) Reset(r io.Reader) {
	if c.c == nil {
		c.c = chunker.NewWithBoundaries(r, c.pol, MinSize, MaxSize)
	} else {
		c.c.ResetWithBoundaries(r, c.pol, MinSize, MaxSize)
	}
	c.c.SetAverageBits(averageBits) // ResetWithBoundaries forgets it
}

// Next returns the next piece in buf, which it lets grow, and whether the
// piece ended at a cut that its content chose, on which no later byte has a
// say. After the last piece it returns io.EOF. Errors of the stream come
// through as they are.
func (c *Cutter) Next(buf []byte) (piece []byte, cut bool, err error) {
	chunk, err := c.c.Next(buf[:0])
	if err != nil {
		return nil, false, err
	}
	n := len(chunk.Data)
	cut = n == MaxSize || n >= MinSize && chunk.Cut&(1<<averageBits-1) == 0
	return chunk.Data, cut, nil
}
