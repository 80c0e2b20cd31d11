// Package dryrun wraps a storage so that reading goes through and writing
// goes nowhere: what is put counts as stored, and is not there.
package dryrun

import (
	"context"
	"io"

	"restante/storage"
)

// A Store reads from another Store and drops what is written.
type Store struct {
	inner storage.Store
}

// New returns a Store over inner.
func New(inner storage.Store) *Store { return &Store{inner} }

// Put drops the object. It checks the name as inner would.
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	return s.drop(ctx, name)
}

// Stage returns a Staged whose bytes go nowhere.
func (s *Store) Stage(ctx context.Context) (storage.Staged, error) {
	return staged{Writer: io.Discard, s: s}, ctx.Err()
}

// Get reads from inner.
func (s *Store) Get(ctx context.Context, name string, offset, length int64, buf []byte) ([]byte, error) {
	return s.inner.Get(ctx, name, offset, length, buf)
}

// List lists inner.
func (s *Store) List(ctx context.Context, prefix string, fn func(name string, size int64) error) error {
	return s.inner.List(ctx, prefix, fn)
}

// Delete leaves the object where it is.
func (s *Store) Delete(ctx context.Context, name string) error { return s.drop(ctx, name) }

func (s *Store) drop(ctx context.Context, name string) error {
	if err := storage.CheckName(name); err != nil {
		return err
	}
	return ctx.Err()
}

type staged struct {
	io.Writer
	s *Store
}

func (g staged) Commit(ctx context.Context, name string) error { return g.s.drop(ctx, name) }

func (g staged) Discard() error { return nil }
