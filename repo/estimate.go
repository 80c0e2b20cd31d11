package repo

import (
	"restante/blob"
)

// sealedExtra is what sealing adds to a clump.
const sealedExtra = 16

// An Estimator tells how many bytes data would take in packs: it gathers it
// into clumps and compresses these as a [Writer] does, and keeps none of it.
// It serves one goroutine.
type Estimator struct {
	comp   *compressor
	hasher *blob.Hasher
	seen   map[blob.ID]struct{}
	open   [blob.Page + 1]openClump // by class
	size   uint64
}

// NewEstimator returns an Estimator for an empty repository.
func NewEstimator(level Compression) (*Estimator, error) {
	comp, err := newCompressor(level)
	if err != nil {
		return nil, err
	}
	return &Estimator{comp: comp, hasher: blob.NewHasher(blob.Key{}), seen: map[blob.ID]struct{}{}}, nil
}

// Add takes a piece into account; one that came before counts nothing.
func (e *Estimator) Add(class blob.Class, data []byte) error {
	id := e.hasher.Sum(data)
	if _, known := e.seen[id]; known || len(data) == 0 {
		return nil
	}
	e.seen[id] = struct{}{}
	c := &e.open[class]
	if len(c.raw)+len(data) > clumpSize {
		if err := e.close(c); err != nil {
			return err
		}
	}
	c.add(id, data)
	return nil
}

// Boundary says that what comes next belongs to another mailbox.
func (e *Estimator) Boundary() error { return e.closeAll(ownClump) }

// Size returns how many bytes all that was added takes, and ends the clumps
// that were being filled.
func (e *Estimator) Size() (uint64, error) {
	err := e.closeAll(1)
	return e.size, err
}

// closeAll ends the clumps that hold so many bytes at least.
func (e *Estimator) closeAll(least int) error {
	for i := range e.open {
		if c := &e.open[i]; len(c.raw) >= least {
			if err := e.close(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Estimator) close(c *openClump) error {
	if len(c.raw) == 0 {
		return nil
	}
	packed, err := e.comp.pack(c.raw)
	e.size += uint64(len(packed) + sealedExtra)
	c.reset()
	return err
}
