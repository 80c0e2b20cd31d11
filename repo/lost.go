package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"restante/blob"
	"restante/storage"
)

// lostPacks are the packs that the index names and the storage has not, or not
// whole, as far as is known: a session compares them all, a reader notices
// those that it needs.
type lostPacks struct {
	mu     sync.Mutex              // held while it changes
	ids    atomic.Pointer[packSet] // the set is not changed
	marked atomic.Pointer[packSet] // packs under marks, which can be read and count as not stored; not changed either
	probed map[blob.ID]uint64      // under mu: how long a pack is at least
}

type packSet = map[blob.ID]struct{}

// has reports whether the pack is known to be lost.
func (l *lostPacks) has(id blob.ID) bool { return isIn(&l.ids, id) }

// absent reports whether what is in the pack counts as not stored.
func (l *lostPacks) absent(id blob.ID) bool { return l.has(id) || isIn(&l.marked, id) }

func isIn(set *atomic.Pointer[packSet], id blob.ID) bool {
	ids := set.Load()
	if ids == nil {
		return false
	}
	_, ok := (*ids)[id]
	return ok
}

// isLoss reports whether err, of reading a pack, says that it is missing or cut off.
func isLoss(err error) bool {
	return errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrShort)
}

// lose takes note that a pack is lost, so that look-ups prefer other places. It
// reports whether that is news.
func (r *Repository) lose(pack blob.ID) bool {
	r.lost.mu.Lock()
	defer r.lost.mu.Unlock()
	if r.lost.has(pack) {
		return false
	}
	ids := packSet{pack: {}}
	if old := r.lost.ids.Load(); old != nil {
		maps.Copy(ids, *old)
	}
	r.setLost(ids)
	return true
}

// setLost makes ids the lost packs. The caller holds lost.mu.
func (r *Repository) setLost(ids packSet) {
	r.lost.ids.Store(&ids)
	r.avoid()
}

// avoid has look-ups prefer packs that are neither lost nor marked, and marked
// ones to lost ones. The caller holds lost.mu.
func (r *Repository) avoid() {
	var tiers [][]blob.ID
	for _, set := range []*atomic.Pointer[packSet]{&r.lost.ids, &r.lost.marked} {
		var ids []blob.ID
		if set := set.Load(); set != nil {
			ids = slices.Collect(maps.Keys(*set))
		}
		tiers = append(tiers, ids)
	}
	r.index.Avoid(tiers...)
}

// Shun has look-ups find a piece in one of packs only where it is in no other
// that is not lost, and [Repository.Has] deny those pieces. It takes the place of
// the last call, and of the marks that the last session has seen.
func (r *Repository) Shun(packs map[blob.ID]struct{}) {
	r.lost.mu.Lock()
	defer r.lost.mu.Unlock()
	r.lost.marked.Store(&packs)
	r.avoid()
}

// holds reports whether the index names the piece in a pack that is neither
// lost nor marked.
func (r *Repository) holds(id blob.ID) (bool, error) {
	place, ok, err := r.index.Lookup(id)
	return ok && !r.lost.absent(place.Pack), err
}

// probe looks whether the packs of places reach as far as the places do. It
// reports whether that showed a loss. Any other error is for who reads them.
func (r *Repository) probe(ctx context.Context, places []blob.Place) (news bool, err error) {
	ends := map[blob.ID]uint64{}
	for _, p := range places {
		if end := uint64(p.Offset) + uint64(p.Length); end > ends[p.Pack] {
			ends[p.Pack] = end
		}
	}
	for pack, end := range ends {
		r.lost.mu.Lock()
		known := r.lost.has(pack) || r.lost.probed[pack] >= end
		r.lost.mu.Unlock()
		if known {
			continue
		}
		_, err := r.store.Get(ctx, packName(pack), int64(end)-1, 1, nil)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if isLoss(err) {
			news = r.lose(pack) || news
			continue
		}
		r.lost.mu.Lock()
		if r.lost.probed == nil {
			r.lost.probed = map[blob.ID]uint64{}
		}
		r.lost.probed[pack] = max(end, r.lost.probed[pack])
		r.lost.mu.Unlock()
	}
	return news, nil
}

// comparePacks compares the packs that are there with those that the index
// names. It adopts those that only are there. Pieces in those that only are
// named, or have another length, count as not stored. Packs under marks that the
// session has seen are neither missed nor adopted: they are about to be deleted.
func (s *Session) comparePacks(ctx context.Context) error {
	found := map[blob.ID]int64{}
	err := s.r.store.List(ctx, "packs/", func(name string, size int64) error {
		id, err := blob.ParseID(path.Base(name))
		if err == nil && packName(id) == name {
			found[id] = size
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing packs: %w", err)
	}
	lost := packSet{}
	for _, p := range s.r.index.Packs() {
		if size, ok := found[p.ID]; (!ok || size != int64(p.Size)) && !isIn(&s.r.lost.marked, p.ID) {
			lost[p.ID] = struct{}{}
		}
		delete(found, p.ID)
	}
	maps.DeleteFunc(found, func(id blob.ID, _ int64) bool { return isIn(&s.r.lost.marked, id) })
	s.takeLost(lost)
	return s.adopt(ctx, found)
}

// namedInWarning is how many lost packs a warning names.
const namedInWarning = 8

func (s *Session) takeLost(lost packSet) {
	s.r.lost.mu.Lock()
	s.r.setLost(lost)
	s.r.lost.mu.Unlock()
	s.damaged = len(lost) > 0
	if !s.damaged {
		return
	}
	var names []string
	for id := range lost {
		names = append(names, id.Short())
	}
	slices.Sort(names)
	what := "1 pack is"
	if len(names) > 1 {
		what = fmt.Sprintf("%d packs are", len(names))
	}
	more := ""
	if len(names) > namedInWarning {
		names, more = names[:namedInWarning], " and others"
	}
	s.r.warnf("%s missing or cut off (%s%s): what was there is stored again where the mail store still has it; run restante check",
		what, strings.Join(names, ", "), more)
}

// sweep removes what killed sessions left unfinished, if the storage knows
// that. What is left costs no more than space.
func (r *Repository) sweep(ctx context.Context) {
	if sweeper, ok := r.store.(storage.Sweeper); ok {
		if _, _, err := sweeper.Sweep(ctx); err != nil {
			r.warnf("removing what interrupted sessions left: %v", err)
		}
	}
}
