package repo

import (
	"context"
	"errors"
	"slices"

	"restante/blob"
	"restante/index"
	"restante/seal"
	"restante/storage"
)

// flush sends the last packs and waits until all have become durable or failed.
func (s *Session) flush(ctx context.Context) {
	s.pages.Wait() // where a PageWriter was not flushed, after an error, it may fill a pack yet
	for _, slot := range []*packSlot{&s.data, &s.tree} {
		slot.mu.Lock()
		s.send(ctx, slot)
		slot.mu.Unlock()
	}
	s.wg.Wait()
}

// checkpoint names the packs that have become durable since the last one in
// index objects, which it returns. What is named there, a later session finds.
// A crash before leaves packs that no index object names; the next session
// adopts them.
func (s *Session) checkpoint(ctx context.Context) (map[blob.ID]*index.Object, error) {
	s.mu.Lock()
	done := s.done
	s.done, s.entries, s.last = nil, 0, s.r.Now()
	s.mu.Unlock()
	own := map[blob.ID]*index.Object{}
	for _, kind := range []struct{ pack, index seal.Kind }{{seal.KindDataPack, seal.KindDataIndex}, {seal.KindTreePack, seal.KindTreeIndex}} {
		for o := range indexObjects(done, kind.pack) {
			data, err := s.r.sealIndex(kind.index, s.id, o)
			if err != nil {
				return nil, err
			}
			name := blob.NameOf(data)
			if err := putOnce(ctx, s.r.store, indexName(name), data); err != nil {
				return nil, err
			}
			s.mu.Lock()
			s.stored += int64(len(data))
			s.mu.Unlock()
			own[name] = o
		}
	}
	return own, nil
}

// indexObjects yields index objects for the packs of one kind, each within the
// format's limit.
func indexObjects(done []donePack, kind seal.Kind) func(func(*index.Object) bool) {
	return func(yield func(*index.Object) bool) {
		left := 0
		for _, p := range done {
			if p.kind == kind {
				left += pieces(p.clumps)
			}
		}
		o := &index.Object{}
		flush := func() bool {
			if len(o.Packs) == 0 {
				return true
			}
			slices.SortFunc(o.Entries, compareEntries)
			full := o
			o = &index.Object{}
			return yield(full)
		}
		for _, p := range done {
			if p.kind != kind {
				continue
			}
			n := pieces(p.clumps)
			if len(o.Entries)+n > maxIndexEntries && !flush() {
				return
			}
			if o.Entries == nil { // at once: growing would take three times the room
				o.Entries = make([]index.Entry, 0, min(left, maxIndexEntries))
			}
			o.Packs = append(o.Packs, index.Pack{ID: p.id, Size: p.size})
			o.Entries, left = appendEntries(o.Entries, p.id, p.clumps), left-n
		}
		flush()
	}
}

func pieces(clumps []ClumpInfo) (n int) {
	for _, c := range clumps {
		n += len(c.Pieces)
	}
	return n
}

// appendEntries adds the index entries of one pack.
func appendEntries(entries []index.Entry, pack blob.ID, clumps []ClumpInfo) []index.Entry {
	for _, c := range clumps {
		inner := uint32(0)
		for _, p := range c.Pieces {
			entries = append(entries, index.Entry{ID: p.ID, Place: blob.Place{
				Clump: blob.Clump{Pack: pack, Offset: c.Offset, Length: c.Length}, Inner: inner, Size: p.Size}})
			inner += p.Size
		}
	}
	return entries
}

// Commit makes everything durable in this order: packs, index objects, and
// last the snapshot, whose payload is the caller's affair. All Writers must have been flushed.
// When it returns nil the snapshot exists.
func (s *Session) Commit(ctx context.Context, payload func(stored int64) ([]byte, error)) error {
	s.flush(ctx)
	if err := s.failed(); err != nil {
		return err
	}
	s.claimed.Close() // nothing more is saved
	own, err := s.checkpoint(ctx)
	if err != nil {
		return err
	}
	record, err := payload(s.Stored())
	if err != nil {
		return err
	}
	data, err := s.r.sealBytes(seal.Header{Kind: seal.KindSnapshot, Mode: seal.ModePublic, Session: s.id}, record)
	if err != nil {
		return err
	}
	if err := s.announced(ctx); err != nil {
		return err
	}
	// The one step that makes the backup exist.
	if err := putOnce(ctx, s.r.store, snapshotName(s.id), data); err != nil {
		if errors.Is(err, storage.ErrExists) {
			return ErrClosed
		}
		return err
	}
	if err := s.r.reindex(ctx, own); err != nil {
		s.r.warnf("the local index could not be brought up to date, the next run will: %v", err)
	}
	return nil
}

// announced returns ErrUnannounced if the session's intent is gone before the session has
// ended: no pruner takes it away, but a person may have, or a disk. It is asked last of all:
// a pruner that came later has deleted nothing yet because of that.
func (s *Session) announced(ctx context.Context) error {
	if s.unseen {
		return nil
	}
	there, err := s.intentThere(ctx)
	if there || err != nil {
		return err
	}
	if _, err := get(ctx, s.r.store, snapshotName(s.id), 0, 1, nil); err == nil {
		return ErrClosed // by a pruner, which removes the intent then
	}
	return ErrUnannounced
}

// intentThere reports whether the session's intent is there, be it damaged: pruners wait for
// it all the same.
func (s *Session) intentThere(ctx context.Context) (bool, error) {
	_, err := get(ctx, s.r.store, intentName(s.id), 0, 1, nil)
	return present(err)
}

// Checkpoint makes durable what Writers that have been flushed were given, and names it: all
// look-ups find it when it returns nil, those of others too. The session goes on.
func (s *Session) Checkpoint(ctx context.Context) error {
	s.flush(ctx)
	if err := s.failed(); err != nil {
		return err
	}
	own, err := s.checkpoint(ctx)
	if err != nil {
		return err
	}
	return s.r.reindex(ctx, own)
}

// Abandon ends the session without a snapshot. What was flushed stays in the
// repository, so that the next run finds it. It may be called after an error
// of any other method, and does what can still be done; its own error says
// what could not. After a Commit that failed the snapshot may exist all the
// same: then it stays.
func (s *Session) Abandon(ctx context.Context) error {
	s.flush(ctx)
	s.claimed.Close()
	_, err := s.checkpoint(ctx)
	return errors.Join(err, s.bury(ctx))
}

// Keep makes everything durable, as Commit does, and ends the session without a
// snapshot. After an error some of it may not be there.
func (s *Session) Keep(ctx context.Context) error {
	s.flush(ctx)
	if err := s.failed(); err != nil {
		return err
	}
	s.claimed.Close() // what it has on disk; nothing is saved any more
	if _, err := s.checkpoint(ctx); err != nil {
		return err
	}
	return s.bury(ctx)
}

// bury puts the tombstone that ends the session, unless it has ended.
func (s *Session) bury(ctx context.Context) error {
	_, err := s.r.bury(ctx, s.id, tombstone{Time: s.r.now()})
	return err
}

// bury puts a tombstone, and reports false if the session has ended already.
func (r *Repository) bury(ctx context.Context, id seal.Session, t tombstone) (bool, error) {
	data, err := r.sealRecord(seal.Header{Kind: seal.KindTombstone, Mode: seal.ModeIndex, Session: id}, t)
	if err != nil {
		return false, err
	}
	err = putOnce(ctx, r.store, snapshotName(id), data)
	if errors.Is(err, storage.ErrExists) {
		return false, nil
	}
	return err == nil, err
}
