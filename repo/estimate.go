package repo

import (
	"context"

	"restante/blob"
)

// An Estimator tells how many bytes data would take in packs: it gathers it
// into clumps and compresses these as a [Writer] does, and keeps none of it.
// It serves one goroutine.
type Estimator struct {
	clumps *gatherer
	hasher *blob.Hasher
	seen   map[blob.ID]struct{}
	size   uint64
}

// NewEstimator returns an Estimator for an empty repository.
func NewEstimator(level Compression) (*Estimator, error) {
	e := &Estimator{hasher: blob.NewHasher(blob.Key{}), seen: map[blob.ID]struct{}{}}
	var err error
	e.clumps, err = newGatherer(level, 0, func(_ context.Context, _ blob.Class, packed []byte, _ int, _ []Piece) error {
		e.size += uint64(len(packed) + sealOverhead)
		return nil
	})
	return e, err
}

// Add takes a piece into account; one that came before counts nothing.
func (e *Estimator) Add(class blob.Class, data []byte) error {
	id := e.hasher.Sum(data)
	if _, known := e.seen[id]; known || len(data) == 0 {
		return nil
	}
	e.seen[id] = struct{}{}
	return e.clumps.add(context.Background(), class, id, data)
}

// Boundary says that what comes next belongs to another mailbox.
func (e *Estimator) Boundary() error { return e.clumps.boundary(context.Background()) }

// Size returns how many bytes all that was added takes, and ends the clumps
// that were being filled.
func (e *Estimator) Size() (uint64, error) {
	err := e.clumps.closeFrom(context.Background(), 1)
	return e.size, err
}
