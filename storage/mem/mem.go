// Package mem keeps objects in memory, for tests and as the plainest example
// of what package storage asks for. What it keeps is gone with the process.
package mem

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"restante/storage"
)

// A Store keeps objects in memory. It implements [storage.Store].
type Store struct {
	mu      sync.RWMutex
	objects map[string][]byte // guarded by mu; the bytes never change
}

// New returns a Store without objects.
func New() *Store { return &Store{objects: make(map[string][]byte)} }

// Put implements [storage.Store].
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	return s.add(ctx, name, slices.Clone(data))
}

// add makes data, which nobody else holds, an object.
func (s *Store) add(ctx context.Context, name string, data []byte) error {
	if err := check(ctx, "putting", name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.objects[name]; taken {
		return fmt.Errorf("putting object %q: %w", name, storage.ErrExists)
	}
	s.objects[name] = data
	return nil
}

// Get implements [storage.Store].
func (s *Store) Get(ctx context.Context, name string, offset, length int64, buf []byte) ([]byte, error) {
	if err := check(ctx, "getting", name); err != nil {
		return nil, err
	}
	s.mu.RLock()
	data, ok := s.objects[name]
	s.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("getting object %q: %w", name, storage.ErrNotFound)
	}
	n, err := storage.Span(int64(len(data)), offset, length)
	if err != nil {
		return nil, fmt.Errorf("getting object %q: %w", name, err)
	}
	return append(buf[:0], data[offset:offset+n]...), nil
}

// List implements [storage.Store].
func (s *Store) List(ctx context.Context, prefix string, fn func(name string, size int64) error) error {
	if err := storage.CheckPrefix(prefix); err != nil {
		return err
	}
	sizes := make(map[string]int64)
	s.mu.RLock()
	for name, data := range s.objects {
		if strings.HasPrefix(name, prefix) {
			sizes[name] = int64(len(data))
		}
	}
	s.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("listing objects %q: %w", prefix, err)
	}
	for name, size := range sizes {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("listing objects %q: %w", prefix, err)
		}
		if err := fn(name, size); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements [storage.Store].
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := check(ctx, "deleting", name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[name]; !ok {
		return fmt.Errorf("deleting object %q: %w", name, storage.ErrNotFound)
	}
	delete(s.objects, name)
	return nil
}

// Stage implements [storage.Store].
func (s *Store) Stage(ctx context.Context) (storage.Staged, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("beginning an object: %w", err)
	}
	return &staged{store: s}, nil
}

func check(ctx context.Context, verb, name string) error {
	if err := storage.CheckName(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s object %q: %w", verb, name, err)
	}
	return nil
}

// staged implements [storage.Staged].
type staged struct {
	store *Store // nil when finished with
	data  []byte
}

func (s *staged) Write(p []byte) (int, error) {
	if s.store == nil {
		return 0, fmt.Errorf("writing to an object: %w", fs.ErrClosed)
	}
	s.data = append(s.data, p...)
	return len(p), nil
}

func (s *staged) Commit(ctx context.Context, name string) error {
	store, data := s.store, s.data
	if store == nil {
		return fmt.Errorf("putting object %q: %w", name, fs.ErrClosed)
	}
	s.store, s.data = nil, nil
	return store.add(ctx, name, data)
}

func (s *staged) Discard() error {
	s.store, s.data = nil, nil
	return nil
}
