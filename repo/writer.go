package repo

import (
	"context"
	"fmt"

	"restante/blob"
)

// A Writer takes pieces into a Session. Neighbours that are saved one after
// the other lie side by side. It serves one goroutine; a session may have
// several.
type Writer struct {
	s      *Session
	hasher *blob.Hasher
	clumps *gatherer
}

// NewWriter returns a Writer of the session.
func (s *Session) NewWriter() (*Writer, error) {
	clumps, err := newGatherer(s.opts.Compression, s.opts.ClumpSize, s.addClump)
	if err != nil {
		return nil, err
	}
	return &Writer{s: s, hasher: blob.NewHasher(s.r.keys.ID), clumps: clumps}, nil
}

// Save stores data as a piece, unless the repository or the session has it,
// and returns its ID. The bytes are the caller's again when Save returns. The
// piece is durable only after Commit.
func (w *Writer) Save(ctx context.Context, class blob.Class, data []byte) (blob.ID, error) {
	if err := checkPiece(class, data); err != nil {
		return blob.ID{}, err
	}
	id := w.hasher.Sum(data)
	if first, err := w.s.claim(id); err != nil || !first {
		return id, err
	}
	return id, w.clumps.add(ctx, class, id, data)
}

// SavePage stores a page of a file's list as Save does. A tree's pages are a [PageWriter]'s.
func (w *Writer) SavePage(ctx context.Context, data []byte) (blob.ID, error) {
	return w.Save(ctx, blob.Page, data)
}

// Boundary says that what is saved next belongs to another mailbox.
func (w *Writer) Boundary(ctx context.Context) error {
	return w.clumps.boundary(ctx)
}

// Flush hands everything saved so far to the session's packs.
func (w *Writer) Flush(ctx context.Context) error {
	return w.clumps.closeFrom(ctx, 1)
}

// checkPiece checks what is about to be saved.
func checkPiece(class blob.Class, data []byte) error {
	if len(data) == 0 || len(data) > MaxPiece || !class.Valid() {
		return fmt.Errorf("saving a piece of %d bytes and %v: not within the format's limits", len(data), class)
	}
	return nil
}
