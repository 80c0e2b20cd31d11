package repo

import (
	"context"
	"fmt"

	"restante/blob"
)

// How large clumps grow, in raw bytes. DESIGN.md has the table behind the
// figures.
const (
	clumpSize     = 512 << 10
	pageClumpSize = 128 << 10

	// A clump of at least this size is closed where another mailbox begins,
	// so that reading one mailbox opens little of another; smaller ones are
	// shared, because small clumps compress badly.
	ownClump = clumpSize / 4
)

// A Writer takes pieces into a Session. Neighbours that are saved one after
// the other lie side by side. It serves one goroutine; a session may have
// several.
type Writer struct {
	s      *Session
	hasher *blob.Hasher
	comp   *compressor
	open   [blob.Page + 1]openClump // by class
	dense  openClump                // pieces of class Bin that are compressed already
}

// NewWriter returns a Writer of the session.
func (s *Session) NewWriter() (*Writer, error) {
	comp, err := newCompressor(s.opts.Compression)
	if err != nil {
		return nil, err
	}
	w := &Writer{s: s, hasher: blob.NewHasher(s.r.keys.ID), comp: comp}
	for c := range w.open {
		w.open[c].class = blob.Class(c)
	}
	w.dense = openClump{class: blob.Bin, dense: true}
	return w, nil
}

// Save stores data as a piece, unless the repository or the session has it,
// and returns its ID. The bytes are the caller's again when Save returns. The
// piece is durable only after Commit.
func (w *Writer) Save(ctx context.Context, class blob.Class, data []byte) (blob.ID, error) {
	if len(data) == 0 || len(data) > MaxPiece || !class.Valid() {
		return blob.ID{}, fmt.Errorf("saving a piece of %d bytes and %v: not within the format's limits", len(data), class)
	}
	id := w.hasher.Sum(data)
	if first, err := w.s.claim(id); err != nil || !first {
		return id, err
	}
	limit := clumpSize
	if class == blob.Page {
		limit = pageClumpSize
	}
	c := &w.open[class]
	if class == blob.Bin && isDense(data) {
		c = &w.dense
	}
	if len(c.raw) > 0 && len(c.raw)+len(data) > limit {
		if err := w.close(ctx, c); err != nil {
			return id, err
		}
	}
	if len(data) >= limit { // a clump of its own, with no copy made
		return id, w.store(ctx, c, data, []Piece{{id, uint32(len(data))}})
	}
	c.add(id, data)
	return id, nil
}

// Boundary says that what is saved next belongs to another mailbox.
func (w *Writer) Boundary(ctx context.Context) error {
	return w.closeFrom(ctx, ownClump)
}

// Flush hands everything saved so far to the session's packs.
func (w *Writer) Flush(ctx context.Context) error {
	return w.closeFrom(ctx, 1)
}

// closeFrom closes the open clumps of at least size bytes.
func (w *Writer) closeFrom(ctx context.Context, size int) error {
	for i := range w.open {
		if c := &w.open[i]; len(c.raw) >= size {
			if err := w.close(ctx, c); err != nil {
				return err
			}
		}
	}
	if len(w.dense.raw) >= size {
		return w.close(ctx, &w.dense)
	}
	return nil
}

func (w *Writer) close(ctx context.Context, c *openClump) error {
	err := w.store(ctx, c, c.raw, c.pieces)
	c.reset()
	return err
}

// store packs raw bytes as a clump of c's class.
func (w *Writer) store(ctx context.Context, c *openClump, raw []byte, pieces []Piece) error {
	pack := w.comp.pack
	if c.dense {
		pack = w.comp.keep
	}
	packed, err := pack(raw)
	if err != nil {
		return err
	}
	return w.s.addClump(ctx, c.class, packed, len(raw), pieces)
}

// A PageWriter saves the pages of trees. It serves one goroutine.
type PageWriter struct{ w *Writer }

// NewPageWriter returns a PageWriter of the session.
func (s *Session) NewPageWriter() (*PageWriter, error) {
	w, err := s.NewWriter()
	if err != nil {
		return nil, err
	}
	return &PageWriter{w}, nil
}

// SavePage stores a page as Save does.
func (p *PageWriter) SavePage(ctx context.Context, data []byte) (blob.ID, error) {
	return p.w.Save(ctx, blob.Page, data)
}

// Flush hands the pages saved so far to the session's packs.
func (p *PageWriter) Flush(ctx context.Context) error { return p.w.Flush(ctx) }
