package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"restante/blob"
	"restante/storage"
)

// ErrMissingPiece is returned when no index object names a piece.
var ErrMissingPiece = errors.New("the index does not name it")

// LoadPage returns the page named id, checked. Pages lie side by side and are
// asked for in order, so their clumps are kept for a while.
func (r *Repository) LoadPage(ctx context.Context, id blob.ID) ([]byte, error) {
	data, err := r.loadPiece(ctx, id)
	if errors.Is(err, ErrMissingPiece) || errors.Is(err, storage.ErrNotFound) {
		// Maintenance may have moved it since the index was read: once more.
		if err := r.refresh(ctx); err != nil {
			return nil, err
		}
		data, err = r.loadPiece(ctx, id)
	}
	if err != nil {
		return nil, fmt.Errorf("reading page %s: %w", id.Short(), err)
	}
	return data, nil
}

func (r *Repository) loadPiece(ctx context.Context, id blob.ID) ([]byte, error) {
	if err := r.syncIndex(ctx); err != nil {
		return nil, err
	}
	for {
		place, ok, err := r.index.Lookup(id)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, ErrMissingPiece
		}
		data, err := r.pieceAt(ctx, id, place)
		if isLoss(err) && r.lose(place.Pack) {
			continue // there may be another place
		}
		if err != nil {
			return r.Elsewhere(ctx, id, place, err)
		}
		return data, nil
	}
}

// pieceAt reads a piece at a place. Its bytes are not to be changed.
func (r *Repository) pieceAt(ctx context.Context, id blob.ID, place blob.Place) ([]byte, error) {
	raw, err := r.pageClump(ctx, place.Clump)
	if err != nil {
		return nil, err
	}
	return r.Piece(raw, id, place)
}

// Elsewhere returns the piece named id, checked, from another place than at, where
// it could not be read; cause says why. So damage costs no piece of which there is
// a whole copy. Its error is cause if there is no other place, else it tells of all.
// The bytes are not to be changed.
func (r *Repository) Elsewhere(ctx context.Context, id blob.ID, at blob.Place, cause error) ([]byte, error) {
	if ctx.Err() != nil || errors.Is(cause, ErrCannotRead) {
		return nil, cause
	}
	places, err := r.index.All(id)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	for _, p := range places {
		if p.Clump == at.Clump && p.Inner == at.Inner {
			continue
		}
		data, err := r.pieceAt(ctx, id, p)
		if err == nil {
			return data, nil
		}
		cause = fmt.Errorf("%w; nor is it in another place: %w", cause, err)
	}
	return nil, cause
}

func (r *Repository) pageClump(ctx context.Context, c blob.Clump) ([]byte, error) {
	if raw, ok := r.pages.get(c); ok {
		return raw, nil
	}
	raw, err := r.Clump(ctx, nil, c)
	if err == nil {
		r.pages.put(c, raw)
	}
	return raw, err
}

// Piece cuts the piece named id out of the raw bytes of its clump and checks
// it against its name.
func (r *Repository) Piece(raw []byte, id blob.ID, place blob.Place) ([]byte, error) {
	end := uint64(place.Inner) + uint64(place.Size)
	if end > uint64(len(raw)) {
		return nil, &DamageError{Object: packName(place.Pack), Err: fmt.Errorf("clump at %d ends before piece %s does", place.Offset, id.Short())}
	}
	data := raw[place.Inner:end:end]
	if h := r.hasher(); h.Sum(data) != id {
		return nil, &DamageError{Object: packName(place.Pack), Err: fmt.Errorf("clump at %d holds other bytes than piece %s", place.Offset, id.Short())}
	}
	return data, nil
}

// A Located is a piece, and where it lies.
type Located struct {
	ID blob.ID
	blob.Place
}

// EachPiece reads pieces, each clump once and as many at a time as there are
// processors, and elsewhere what cannot be read where it is said to lie. It calls fn for each piece,
// given by its index, in any order and by
// several goroutines at once: with its bytes, which are good until fn returns, or with
// one of the errors of [Repository.Clump] and [Repository.Piece]. It stops at fn's first
// error, which it returns, or when ctx ends.
func (r *Repository) EachPiece(ctx context.Context, pieces []Located, fn func(i int, data []byte, err error) error) error {
	order := make([]int, len(pieces))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return pieces[a].Clump.Compare(pieces[b].Clump) })
	var (
		mu     sync.Mutex // of all below
		failed error
		wg     sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	take := func() (some []int) { // the pieces of a clump
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for n < len(order) && pieces[order[n]].Clump == pieces[order[0]].Clump {
			n++
		}
		some, order = order[:n], order[n:]
		return some
	}
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var mem []byte
			for some := take(); len(some) > 0 && ctx.Err() == nil; some = take() {
				var err error
				if mem, err = r.eachPieceOf(ctx, mem, pieces, some, fn); err != nil {
					mu.Lock()
					failed = cmp.Or(failed, err)
					mu.Unlock()
					cancel()
				}
			}
		})
	}
	wg.Wait()
	return cmp.Or(failed, ctx.Err())
}

// eachPieceOf calls fn for some pieces, which lie in one clump. It reads that into the
// memory of mem, and returns memory for the next one.
func (r *Repository) eachPieceOf(ctx context.Context, mem []byte, pieces []Located, some []int, fn func(i int, data []byte, err error) error) ([]byte, error) {
	raw, err := r.Clump(ctx, mem, pieces[some[0]].Clump)
	if err != nil {
		raw = nil
	} else {
		mem = raw
	}
	for _, i := range some {
		if ctx.Err() != nil {
			return mem, ctx.Err()
		}
		var data []byte
		failed := err
		if err == nil {
			data, failed = r.Piece(raw, pieces[i].ID, pieces[i].Place)
		}
		if failed != nil {
			data, failed = r.Elsewhere(ctx, pieces[i].ID, pieces[i].Place, failed)
		}
		if err := fn(i, data, failed); err != nil {
			return mem, err
		}
	}
	return mem, nil
}

// hasher returns a hasher of its own, for checks that are few.
func (r *Repository) hasher() *blob.Hasher { return blob.NewHasher(r.keys.ID) }

// Clump fetches a clump and returns its raw bytes, in the memory of buf if that
// has the room, else in new memory, which is the caller's. The seal proves that
// a writer of this repository made the clump; which pieces it holds is proved
// piece by piece. Its error is a DamageError, an UnreadableError, ErrCannotRead, or the context's.
func (r *Repository) Clump(ctx context.Context, buf []byte, c blob.Clump) ([]byte, error) {
	raw, err := again(ctx, func() ([]byte, error) { return r.clump(ctx, buf, c) })
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrCannotRead) && !Unreadable(err) {
		return nil, &DamageError{Object: packName(c.Pack), Err: fmt.Errorf("clump at %d: %w", c.Offset, err)}
	}
	return raw, err
}

func (r *Repository) clump(ctx context.Context, buf []byte, c blob.Clump) (raw []byte, err error) {
	if c.Length > maxClumpLength {
		return nil, errClump
	}
	defer func() { r.doubt(c.Pack, err) }()
	obj, err := r.packObject(ctx, c.Pack)
	if err != nil {
		return nil, err
	}
	if obj.Content == nil {
		return nil, ErrCannotRead
	}
	mem, _ := r.mem.Get().(*[]byte)
	if mem == nil {
		mem = new([]byte)
	}
	defer r.mem.Put(mem)
	sealed, err := get(ctx, r.store, packName(c.Pack), int64(c.Offset), int64(c.Length), *mem)
	if err != nil {
		return nil, err
	}
	*mem = sealed
	packed, err := obj.Content.Open(sealed[:0], sealed, partClump, uint64(c.Offset))
	if err != nil {
		return nil, err
	}
	return unpackClump(r.dec, buf[:0], packed)
}

// Places looks up the pieces named by ids, sorted and without repeats, in one
// pass. A piece that is not there has a Place with Size 0 and a zero pack. One
// that has several places has one in a pack that the storage still has, if
// there is such.
func (r *Repository) Places(ctx context.Context, ids []blob.ID) ([]blob.Place, error) {
	if !slices.IsSortedFunc(ids, blob.ID.Compare) {
		return nil, errors.New("looking up pieces: the IDs are not sorted")
	}
	if err := r.syncIndex(ctx); err != nil {
		return nil, err
	}
	places, missing, err := r.places(ctx, ids)
	if err != nil || !missing {
		return places, err
	}
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	places, _, err = r.places(ctx, ids)
	return places, err
}

func (r *Repository) places(ctx context.Context, ids []blob.ID) (places []blob.Place, missing bool, err error) {
	places = make([]blob.Place, len(ids))
	for {
		missing = false
		err = r.index.LookupSorted(ctx, ids, func(i int, p blob.Place, ok bool) error {
			places[i] = p
			missing = missing || !ok || r.lost.has(p.Pack)
			return nil
		})
		if err != nil {
			return nil, false, err
		}
		state := r.lost.now()
		for i, p := range places {
			if places[i], err = r.better(ids[i], p, state, state.hits); err != nil {
				return nil, false, err
			}
		}
		if again, err := r.probe(ctx, places); !again || err != nil {
			return places, missing, err
		}
	}
}

// Places does as [Repository.Places], but a piece has none whose only places were
// lost, damaged or marked for deletion when the session began.
func (s *Session) Places(ctx context.Context, ids []blob.ID) ([]blob.Place, error) {
	places, err := s.r.Places(ctx, ids)
	if err != nil {
		return nil, err
	}
	state := s.r.lost.now()
	for i, p := range places {
		if p, err = s.r.better(ids[i], p, state, state.denies); err != nil {
			return nil, err
		}
		if state.denies(p) {
			p = blob.Place{}
		}
		places[i] = p
	}
	return places, nil
}

// Has reports whether the index names the piece in a pack that is not known to
// be lost, nor marked for deletion when the last session began.
func (r *Repository) Has(ctx context.Context, id blob.ID) (bool, error) {
	if err := r.syncIndex(ctx); err != nil {
		return false, err
	}
	return r.holds(id)
}
