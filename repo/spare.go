package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"restante/storage"
)

// sparePrefix begins the names of spares. Configs and key files, without which nothing opens,
// are there twice, so that no single object is the whole repository: the spare of an object
// has the same bytes and this before its name. It is put after the other, and may be
// missing: a crash came between, or an older program made the object.
const sparePrefix = string(Spares) + "/"

// SpareOf returns the name of an object's spare, and of a spare that of the object.
func SpareOf(name string) string {
	if of, is := strings.CutPrefix(name, sparePrefix); is {
		return of
	}
	return sparePrefix + name
}

// putTwice puts an object and its spare, both as putOnce does.
func putTwice(ctx context.Context, store storage.Store, name string, data []byte) error {
	if err := putOnce(ctx, store, name, data); err != nil {
		return err
	}
	return putOnce(ctx, store, SpareOf(name), data)
}

// deleteTwice deletes an object and its spare, if they are there.
func deleteTwice(ctx context.Context, store storage.Store, name string) error {
	for _, name := range []string{name, SpareOf(name)} {
		if err := store.Delete(ctx, name); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return fmt.Errorf("removing %s: %w", name, err)
		}
	}
	return nil
}

// listTwice returns the names below prefix of which there is an object or a spare of at
// most limit bytes.
func listTwice(ctx context.Context, store storage.Store, prefix string, limit int64) (map[string]bool, error) {
	names := map[string]bool{}
	for _, in := range []string{prefix, sparePrefix + prefix} {
		err := listNames(ctx, store, in, func(name string, size int64) error {
			if size <= limit {
				names[prefix+strings.TrimPrefix(name, in)] = true
			}
			return nil
		})
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
	}
	return names, nil
}

// either returns what read makes of an object or, where that is missing, damaged or
// cannot be read, of its spare. used is the error that the object had then.
func either[T any](ctx context.Context, name string, read func(name string) (T, error)) (v T, used, err error) {
	v, err = read(name)
	if err == nil || ctx.Err() != nil {
		return v, nil, err
	}
	spare, spareErr := read(SpareOf(name))
	if spareErr == nil {
		return spare, err, nil
	}
	if errors.Is(err, storage.ErrNotFound) {
		err = spareErr
	}
	return v, nil, err
}
