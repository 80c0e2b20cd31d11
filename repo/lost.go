package repo

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"restante/blob"
	"restante/storage"
)

// lostPacks are the packs that the index names and the storage has not, or not
// whole, as far as is known: a session compares them all, a reader notices
// those that it needs. With them are those that are known to be damaged.
type lostPacks struct {
	mu     sync.Mutex             // held while it changes
	state  atomic.Pointer[absent] // what it points to is not changed
	probed map[blob.ID]uint64     // under mu: how long a pack is at least
}

// absent is what cannot be read, or may not be.
type absent struct {
	lost    packSet
	damaged map[blob.ID]Damage
	marked  packSet // under marks: can be read, and counts as not stored
}

// sum stands for what is lost or damaged, zero for nothing. What is marked tells
// of itself: see [Session.MayBuildOn].
func (a absent) sum() blob.ID {
	all := map[blob.ID]Damage{}
	for id, d := range a.damaged {
		if d.Loses() {
			all[id] = d.normal()
		}
	}
	for id := range a.lost {
		all[id] = Damage{Pack: id, Whole: true}
	}
	if len(all) == 0 {
		return blob.ID{}
	}
	var b []byte
	for _, d := range sorted(all) {
		b = append(b, d.Pack[:]...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(d.Clumps)))
		for _, offset := range d.Clumps {
			b = binary.LittleEndian.AppendUint32(b, offset)
		}
	}
	return blob.NameOf(b)
}

// now returns what is absent at present.
func (l *lostPacks) now() absent {
	if state := l.state.Load(); state != nil {
		return *state
	}
	return absent{}
}

type packSet = map[blob.ID]struct{}

// has reports whether the pack is known to be lost.
func (l *lostPacks) has(id blob.ID) bool {
	_, ok := l.now().lost[id]
	return ok
}

// isMarked reports whether the pack is under a mark.
func (l *lostPacks) isMarked(id blob.ID) bool {
	_, ok := l.now().marked[id]
	return ok
}

// hits reports whether a place is known to be lost or damaged.
func (a absent) hits(at blob.Place) bool {
	if _, ok := a.lost[at.Pack]; ok {
		return true
	}
	d, ok := a.damaged[at.Pack]
	return ok && d.Hits(at.Offset)
}

// denies reports whether what is at a place counts as not stored.
func (a absent) denies(at blob.Place) bool {
	_, marked := a.marked[at.Pack]
	return marked || a.hits(at)
}

// includes reports whether all that the damage makes absent counted as not stored already.
func (a absent) includes(d Damage) bool {
	if d.Whole {
		return a.denies(blob.Place{Clump: blob.Clump{Pack: d.Pack}}) // where no clump begins
	}
	return !slices.ContainsFunc(d.Clumps, func(offset uint32) bool {
		return !a.denies(blob.Place{Clump: blob.Clump{Pack: d.Pack, Offset: offset}})
	})
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
	old := r.lost.now()
	if _, known := old.lost[pack]; known {
		return false
	}
	lost := packSet{pack: {}}
	maps.Copy(lost, old.lost)
	old.lost = lost
	r.setAbsent(old)
	return true
}

// setAbsent makes that absent which a says. Look-ups prefer a place in a sound
// pack to one in a marked pack, which is sound for now, that to one in a damaged
// pack, which may be intact, and that to one in a lost pack. The caller holds lost.mu.
func (r *Repository) setAbsent(a absent) {
	r.lost.state.Store(&a)
	r.index.Avoid(slices.Collect(maps.Keys(a.marked)), slices.Collect(maps.Keys(a.damaged)), slices.Collect(maps.Keys(a.lost)))
}

// Shun has look-ups find a piece in one of packs only where it is in no sound
// one, and [Repository.Has] deny those pieces. It takes the place of
// the last call, and of the marks that the last session has seen.
func (r *Repository) Shun(packs map[blob.ID]struct{}) {
	r.lost.mu.Lock()
	defer r.lost.mu.Unlock()
	state := r.lost.now()
	state.marked = packs
	r.setAbsent(state)
}

// holds reports whether the index names the piece at a place that is neither
// lost nor damaged nor marked.
func (r *Repository) holds(id blob.ID) (bool, error) {
	place, ok, err := r.index.Lookup(id)
	if err != nil || !ok {
		return false, err
	}
	state := r.lost.now()
	place, err = r.better(id, place, state, state.denies)
	return !state.denies(place), err
}

// better returns a place of the piece that is not bad, place if there is none.
// Look-ups choose by packs, and of two damaged ones another may have the whole clump.
func (r *Repository) better(id blob.ID, place blob.Place, state absent, bad func(blob.Place) bool) (blob.Place, error) {
	if len(state.damaged) == 0 || !bad(place) {
		return place, nil
	}
	all, err := r.index.All(id)
	for _, p := range all {
		if !bad(p) {
			return p, nil
		}
	}
	return place, err
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
// named, or have another length, or are known to be damaged, count as not stored.
// Packs under marks that the session has seen are neither missed nor adopted: they
// are about to be deleted.
func (s *Session) comparePacks(ctx context.Context) error {
	found, err := s.r.listPacks(ctx)
	if err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	lost := packSet{}
	for _, p := range s.r.index.Packs() {
		if size, ok := found[p.ID]; (!ok || size != int64(p.Size)) && !s.r.lost.isMarked(p.ID) {
			lost[p.ID] = struct{}{}
		}
		delete(found, p.ID)
	}
	maps.DeleteFunc(found, func(id blob.ID, _ int64) bool { return s.r.lost.isMarked(id) })
	s.takeLost(lost)
	// A damaged pack that no index names is what a repair has left: it goes.
	for id := range s.r.lost.now().damaged {
		delete(found, id)
	}
	return s.adopt(ctx, found)
}

// namedInWarning is how many packs a warning names.
const namedInWarning = 8

func (s *Session) takeLost(lost packSet) {
	s.r.lost.mu.Lock()
	state := s.r.lost.now()
	state.lost = lost
	s.r.setAbsent(state)
	s.r.lost.mu.Unlock()
	s.began = s.r.lost.now()
	s.absent = s.began.sum()
	s.r.tellDamage()
	if len(lost) == 0 {
		return
	}
	var names []string
	for id := range lost {
		names = append(names, id.Short())
	}
	s.r.warnf("%s: what was there is stored again where the mail store still has it; run restante check", packList(names, "missing or cut off"))
}

// settle makes durable what other sessions have put that have not ended: one that was
// killed, or waits for the disk, may have put packs and index objects that are listed
// and would be gone after a crash, while the snapshot that relies on them is not. It
// comes after they are listed. Of sessions that have ended all is durable.
func (s *Session) settle(ctx context.Context) error {
	if _, ok := s.r.store.(storage.Settler); !ok {
		return nil
	}
	open, err := s.r.openSessions(ctx, s.id)
	if err != nil || len(open) == 0 {
		return err
	}
	return s.r.Settle(ctx, "")
}

// Settle makes durable what a listing with prefix would say, whoever put or deleted that.
func (r *Repository) Settle(ctx context.Context, prefix string) error {
	if settler, ok := r.store.(storage.Settler); ok {
		return settler.Settle(ctx, prefix)
	}
	return nil
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
