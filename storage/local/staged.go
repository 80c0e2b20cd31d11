package local

import (
	"context"
	"fmt"

	"restante/internal/durable"
	"restante/storage"
)

// Stage implements [storage.Store].
func (s *Store) Stage(ctx context.Context) (storage.Staged, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("beginning an object in %q: %w", s.path, err)
	}
	f, err := s.dir.Create()
	if err != nil {
		return nil, s.wrapUnnamed("beginning", err)
	}
	return &staged{store: s, file: f}, nil
}

// staged implements [storage.Staged].
type staged struct {
	store *Store
	file  *durable.File
}

func (s *staged) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	return n, s.store.wrapUnnamed("writing", err)
}

func (s *staged) Commit(ctx context.Context, name string) error {
	if err := s.store.check(ctx, "putting", name); err != nil {
		s.Discard() // the error at hand says more
		return err
	}
	return s.store.wrap("putting", name, s.file.Commit(name))
}

func (s *staged) Discard() error {
	return s.store.wrapUnnamed("discarding", s.file.Discard())
}

// wrapUnnamed is wrap for an object that has no name yet.
func (s *Store) wrapUnnamed(verb string, err error) error {
	switch {
	case err == nil:
		return nil
	case durable.IsFull(err):
		err = fmt.Errorf("%w: %w", storage.ErrNoSpace, err)
	}
	return fmt.Errorf("%s an object in %q: %w", verb, s.path, err)
}
