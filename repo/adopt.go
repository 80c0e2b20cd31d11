package repo

import (
	"context"
	"maps"

	"restante/blob"
	"restante/index"
)

// adopt names packs that no index object names: what a session left that ended
// before its index object. Those of a session that is still running are named
// twice then, which harms nothing. A pack whose directory cannot be read is
// left to check.
func (s *Session) adopt(ctx context.Context, orphans map[blob.ID]int64) error {
	own := map[blob.ID]*index.Object{}
	for id, size := range orphans {
		if err := s.adoptPack(ctx, id, size); ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil {
			s.r.warnf("pack %s, which no index names, is left alone: %v", id.Short(), err)
			continue
		}
		if s.entries >= checkpointEntries {
			if err := s.checkpointInto(ctx, own); err != nil {
				return err
			}
		}
	}
	if len(s.done) == 0 && len(own) == 0 {
		return nil
	}
	if err := s.checkpointInto(ctx, own); err != nil {
		return err
	}
	return s.r.reindex(ctx, own)
}

func (s *Session) checkpointInto(ctx context.Context, own map[blob.ID]*index.Object) error {
	made, err := s.checkpoint(ctx)
	maps.Copy(own, made)
	return err
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
