package repo

import (
	"context"

	"restante/blob"
)

// How large clumps grow, in raw bytes. DESIGN.md says what other figures cost.
const (
	clumpSize     = 1 << 20   // of heads and of texts: they gain most from many neighbours
	binClumpSize  = 256 << 10 // larger ones gain nothing, and attachments are what mailboxes share
	pageClumpSize = 128 << 10 // few pages are read at a time
)

// A gatherer fills clumps with pieces, by class, and packs those that are
// full. It serves one goroutine.
type gatherer struct {
	comp  *compressor
	open  [blob.Page + 1]openClump // by class
	dense openClump                // pieces that are compressed already
	size  int                      // of clumps of heads and of texts

	// out takes a packed clump, valid until it returns, and what it is made of.
	out func(ctx context.Context, class blob.Class, packed []byte, raw int, pieces []Piece) error
}

// newGatherer returns a gatherer whose clumps of heads and of texts grow up to
// size, or the usual size if that is 0.
func newGatherer(choice Compression, size int, out func(context.Context, blob.Class, []byte, int, []Piece) error) (*gatherer, error) {
	comp, err := newCompressor(choice)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		size = clumpSize
	}
	g := &gatherer{comp: comp, dense: openClump{class: blob.Bin, limit: binClumpSize, keep: true}, size: size, out: out}
	for i := range g.open {
		class := blob.Class(i)
		g.open[i] = openClump{class: class, limit: size, keep: choice.keeps(class)}
	}
	g.open[blob.Bin].limit, g.open[blob.Page].limit = binClumpSize, pageClumpSize
	return g, nil
}

// add takes a piece in.
func (g *gatherer) add(ctx context.Context, class blob.Class, id blob.ID, data []byte) error {
	c := &g.open[class]
	if mayBeDense(class, data) && isDense(data) {
		c = &g.dense
	}
	if len(c.raw) > 0 && len(c.raw)+len(data) > c.limit {
		if err := g.close(ctx, c); err != nil {
			return err
		}
	}
	if len(data) >= c.limit { // a clump of its own, with no copy made
		return g.pack(ctx, c, data, []Piece{{id, uint32(len(data))}})
	}
	c.add(id, data)
	return nil
}

// boundary closes clumps where another mailbox begins, so that reading one
// mailbox opens little of another. Small ones are shared, because they would
// compress badly.
func (g *gatherer) boundary(ctx context.Context) error { return g.closeFrom(ctx, g.size/4) }

// closeFrom closes the open clumps of at least size bytes.
func (g *gatherer) closeFrom(ctx context.Context, size int) error {
	for i := range g.open {
		if c := &g.open[i]; len(c.raw) >= size {
			if err := g.close(ctx, c); err != nil {
				return err
			}
		}
	}
	if len(g.dense.raw) >= size {
		return g.close(ctx, &g.dense)
	}
	return nil
}

func (g *gatherer) close(ctx context.Context, c *openClump) error {
	err := g.pack(ctx, c, c.raw, c.pieces)
	c.reset()
	return err
}

// pack packs raw bytes as a clump of c's class.
func (g *gatherer) pack(ctx context.Context, c *openClump, raw []byte, pieces []Piece) error {
	if c.keep {
		return g.out(ctx, c.class, g.comp.keep(raw), len(raw), pieces)
	}
	packed, err := g.comp.pack(c.class, raw)
	if err != nil {
		return err
	}
	return g.out(ctx, c.class, packed, len(raw), pieces)
}
