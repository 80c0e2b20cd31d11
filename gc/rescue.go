package gc

import (
	"context"
	"errors"
	"slices"

	"restante/repo"
	"restante/snapshot"
	"restante/storage"
)

// Rescue stores again, in a session, what a snapshot needs and only packs under marks have:
// these may be deleted at any time, and no mark is ever taken back. What is in no pack any more
// it passes over, for the caller to find. cacheDir is as in Options. What it has
// stored lasts, and is found, when it returns nil.
func Rescue(ctx context.Context, r *repo.Repository, s *repo.Session, record *snapshot.Snapshot, cacheDir string) error {
	p := newPruner(r, Options{CacheDir: cacheDir})
	defer p.close()
	marked, err := p.markedThere(ctx)
	if err != nil || len(marked) == 0 {
		return err
	}
	roots := []repo.PageRef{{ID: record.Tree.ID, Level: record.Tree.Level}, {ID: record.Mailboxes.ID, Level: record.Mailboxes.Level}}
	if err := p.reach.walk(ctx, roots, true); err != nil {
		return err
	}
	for batch := range batches(marked) {
		if err := p.rewrite(ctx, s, batch); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return s.Checkpoint(ctx)
}

// markedThere returns the packs under marks of which the index tells what is in them, and
// whose directories can be read.
func (p *pruner) markedThere(ctx context.Context) (marked []partly, err error) {
	for _, step := range []func(context.Context) error{p.readMarks, p.listPacks, p.readIndex} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	for id, k := range p.packs {
		if k.mark == 0 || k.size < 0 || !k.named {
			continue
		}
		if _, err := p.r.Directory(ctx, id, k.size); err == nil {
			marked = append(marked, partly{id: id, pack: k})
		} else if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	slices.SortFunc(marked, func(a, b partly) int { return a.id.Compare(b.id) })
	return marked, nil
}
