package repo

import (
	"context"

	"restante/blob"
)

// adopt names packs that no index object names: what a session left that ended
// before its index object. Those of a session that is still running are named
// twice then, which harms nothing. A pack whose directory cannot be read is
// left to check.
func (s *Session) adopt(ctx context.Context, orphans map[blob.ID]int64) error {
	for id, size := range orphans {
		if err := s.adoptPack(ctx, id, size); ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil {
			s.r.warnf("pack %s, which no index names, is left alone: %v", id.Short(), err)
			continue
		}
		if s.entries >= checkpointEntries {
			if err := s.indexAdopted(ctx); err != nil {
				return err
			}
		}
	}
	return s.indexAdopted(ctx)
}

// indexAdopted names what was adopted in index objects and makes the index know
// them.
func (s *Session) indexAdopted(ctx context.Context) error {
	if len(s.done) == 0 {
		return nil
	}
	made, err := s.checkpoint(ctx)
	if err != nil {
		return err
	}
	return s.r.reindex(ctx, made)
}

// adoptPack puts a pack among those that the next checkpoint names. The
// session has no other goroutines yet.
func (s *Session) adoptPack(ctx context.Context, id blob.ID, size int64) error {
	clumps, err := s.r.directory(ctx, id, size)
	if err != nil {
		return err
	}
	obj, err := s.r.packObject(ctx, id)
	if err != nil {
		return err
	}
	s.done = append(s.done, donePack{kind: obj.Header.Kind, id: id, size: uint32(size), clumps: clumps})
	s.entries += pieces(clumps)
	return nil
}
