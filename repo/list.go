package repo

import (
	"context"
	"fmt"
	"path"

	"restante/blob"
	"restante/storage"
)

// listNames is the List of a store; an error of the store's own, which is not fn's and does not
// say that bytes are missing, or that the context is done, is an UnreadableError that names prefix.
func listNames(ctx context.Context, store storage.Store, prefix string, fn func(name string, size int64) error) error {
	var stopped error
	err := store.List(ctx, prefix, func(name string, size int64) error {
		stopped = fn(name, size)
		return stopped
	})
	if err == nil || stopped != nil || ctx.Err() != nil || isLoss(err) {
		return err
	}
	return &UnreadableError{Object: prefix, Err: err}
}

// listPacks returns the packs that are there, and the size of each.
func (r *Repository) listPacks(ctx context.Context) (map[blob.ID]int64, error) {
	sizes, err := r.listHashed(ctx, "packs/", packName)
	if err != nil {
		return nil, fmt.Errorf("listing packs: %w", err)
	}
	return sizes, nil
}

// listIndexes returns the index objects that are there, and the size of each.
func (r *Repository) listIndexes(ctx context.Context) (map[blob.ID]int64, error) {
	sizes, err := r.listHashed(ctx, "index/", indexName)
	if err != nil {
		return nil, fmt.Errorf("listing the index: %w", err)
	}
	return sizes, nil
}

// listHashed returns the sizes of the objects that are called by the hash of their bytes, as
// nameOf does. What is called otherwise is none of ours; check names it.
func (r *Repository) listHashed(ctx context.Context, prefix string, nameOf func(blob.ID) string) (map[blob.ID]int64, error) {
	sizes := map[blob.ID]int64{}
	err := listNames(ctx, r.store, prefix, func(name string, size int64) error {
		if id, err := blob.ParseID(path.Base(name)); err == nil && nameOf(id) == name {
			sizes[id] = size
		}
		return nil
	})
	return sizes, err
}
