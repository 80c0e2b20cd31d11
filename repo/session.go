package repo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"restante/blob"
	"restante/index"
	"restante/seal"
	"restante/storage"
)

const (
	// maxUnfinished is how many packs, of both kinds, are being filled or on their
	// way to the storage, and leastUnfinished what it takes to fill both kinds.
	maxUnfinished   = 3
	leastUnfinished = 2

	firstPackSize = 16 << 20
	lastPackSize  = 64 << 20

	// Packs are named in index objects before the session's end when so much
	// time has passed, so that little is done twice after a crash, or when
	// there are so many entries, which would fill the memory.
	checkpointAfter   = 5 * time.Minute
	checkpointEntries = 1 << 15
)

// ErrClosed is returned by Commit when somebody else ended the session: its
// process was taken for dead. Nothing is lost; the run has to be repeated.
var ErrClosed = errors.New("the session was closed by another process; run the backup again")

// ErrUnannounced is returned by Commit, and by Unforget, when the session's intent is gone.
var ErrUnannounced = errors.New("the record in intents/ that this run had begun is gone, so what it relies on may have been pruned: run it again")

// A SpaceError says that writing stopped to leave room on the storage.
type SpaceError struct{ Free, Keep uint64 }

func (e *SpaceError) Error() string {
	return fmt.Sprintf("the storage has %d MiB free, and %d MiB are to stay free", e.Free>>20, e.Keep>>20)
}

// SessionOptions describe a writer's session.
type SessionOptions struct {
	Intent      Intent
	Compression Compression
	ClumpSize   int    // raw bytes up to which clumps of heads and of texts grow; 0 for 1 MiB
	MinFree     uint64 // bytes that are to stay free on the storage; 0 for no limit

	// Workers is how many goroutines save pieces, 0 for not known. No more packs
	// than that are unfinished at a time, two at least and three at most: what is
	// in those is done again after a crash.
	Workers int
}

// A Session writes pieces, and ends in a snapshot or in nothing. It begins
// with its intent and ends with one exclusive Put at snapshots/<session>: the
// snapshot, or a tombstone by whoever gives the session up.
type Session struct {
	r    *Repository
	opts SessionOptions
	id   seal.Session

	data, tree packSlot

	// claimed are the pieces that this session stores. Its packs may still fail;
	// then there is no snapshot.
	claimed *index.Set

	pages      sync.WaitGroup // what PageWriters save beside their callers
	wg         sync.WaitGroup // the packs in flight
	unfinished chan struct{}  // a token for each pack that is being filled or in flight

	unseen bool            // its intent was not there once it was put, as in a dry run; set by Begin
	packSz int             // set by Begin
	absent blob.ID         // set by Begin
	began  absent          // what absent stands for, and what is marked; set by Begin
	marks  map[uint64]Mark // that were seen, those that name packs, without them; set by Begin

	mu      sync.Mutex // guards the following
	err     error      // of what claimed pieces and did not store them: there will be no snapshot
	done    []donePack // not named in an index object yet
	entries int        // in done
	last    time.Time  // when the last checkpoint was
	stored  int64
}

// A packSlot holds the pack of one kind that is being filled.
type packSlot struct {
	mu   sync.Mutex
	kind seal.Kind
	pack *packWriter
}

// A donePack is durable, and to be named by an index object.
type donePack struct {
	kind   seal.Kind
	id     blob.ID
	size   uint32
	clumps []ClumpInfo
}

// Begin starts a session: it puts the intent, and refuses with a LockedError
// when another live process on this machine works on the same store.
func (r *Repository) Begin(ctx context.Context, opts SessionOptions) (*Session, error) {
	if r.readsAround() {
		return nil, errors.New("beginning a session: the repository was opened to read around damage")
	}
	s, err := r.announce(ctx, opts)
	if err != nil {
		return nil, err
	}
	err = r.reindex(ctx, nil) // once more, if it has been read already
	if err == nil {
		err = s.comparePacks(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.bury(context.WithoutCancel(ctx)))
	}
	s.packSz = packSize(r.index.Packs())
	return s, nil
}

// announce makes a session, puts its intent, and sees the marks.
func (r *Repository) announce(ctx context.Context, opts SessionOptions) (*Session, error) {
	s := &Session{r: r, opts: opts, claimed: r.index.NewSet(), unfinished: make(chan struct{}, unfinishedPacks(opts.Workers)), last: r.Now()}
	rand.Read(s.id[:])
	s.data.kind, s.tree.kind = seal.KindDataPack, seal.KindTreePack
	// A look before leaves no trace of who waits for another.
	s.opts.Intent.Started = r.Now().UnixNano()
	if err := r.checkLocks(ctx, s.id, s.opts.Intent); err != nil {
		return nil, err
	}
	r.sweep(ctx)
	// The intent stands before the index is read, so that a pruner that comes
	// later sees it. A crash from here on leaves the intent; prune ends it.
	if err := r.putIntent(ctx, s.id, &s.opts.Intent); err != nil {
		return nil, err
	}
	there, err := s.intentThere(ctx)
	s.unseen = !there
	// Again: somebody may have begun in the same moment.
	if err == nil {
		err = r.checkLocks(ctx, s.id, s.opts.Intent)
	}
	// Before the index is listed: a pruner takes a pack out of the index before it
	// takes its mark away, so that a pack which is in that index and under no mark is there.
	if err == nil {
		err = s.seeMarks(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.bury(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// unfinishedPacks returns how many packs may be unfinished at a time.
func unfinishedPacks(workers int) int {
	if workers == 0 {
		return maxUnfinished
	}
	return min(max(workers, leastUnfinished), maxUnfinished)
}

// packSize returns how large packs grow: 16 MiB at first, and with the square
// root of the repository up to 64 MiB at 1 TiB, so that their number stays
// small without making small repositories move large packs. The result is a
// size that padding leaves alone.
func packSize(packs []index.Pack) int {
	var total float64
	for _, p := range packs {
		total += float64(p.Size)
	}
	size := min(max(math.Sqrt(total/(64<<30))*firstPackSize, firstPackSize), lastPackSize)
	return int(padme(uint64(size)))
}

// ID returns the session's ID, which is also the snapshot's.
func (s *Session) ID() seal.Session { return s.id }

// Absent stands for all that is known to be lost: packs that are missing that
// the index names, or have another length than it says, and what is noted as
// damaged, of packs that are gone by now too. It is zero if there is nothing. What
// earlier snapshots refer to may be lost then: Save stores again what it is given of
// that. What is not read, and saved, because it has not changed is as good as it was
// when a session with the same Absent saved it, and may be lost after any other.
// [Repository.Has] tells for a single piece.
func (s *Session) Absent() blob.ID { return s.absent }

// Harmed returns the packs in which damage was noted since the session began: it may rely on
// what it found there, for it did not store it. After Commit that is all that was known
// to be damaged before the snapshot came. A session that begins from then on has another Absent.
func (s *Session) Harmed(ctx context.Context) (packs []blob.ID, err error) {
	noted, err := s.r.Damages(ctx)
	for _, d := range noted {
		if !s.began.includes(d) {
			packs = append(packs, d.Pack)
		}
	}
	return packs, err
}

// Stored returns how many bytes the session has written to packs and index.
func (s *Session) Stored() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored
}

// Holds reports whether the repository had the piece when the session began, in
// a pack that is not known to be lost and was not marked for deletion.
func (s *Session) Holds(id blob.ID) (bool, error) { return s.r.holds(id) }

// claim reports whether the caller is the first to bring the piece.
func (s *Session) claim(id blob.ID) (bool, error) {
	if known, err := s.r.holds(id); err != nil || known {
		return false, err
	}
	return s.claimed.Add(id), nil
}

// addClump appends a packed clump to the pack of its kind, and sends the pack
// on its way when it is full. After an error the session makes no snapshot:
// its pieces were claimed, and others rely on that.
func (s *Session) addClump(ctx context.Context, class blob.Class, packed []byte, raw int, pieces []Piece) error {
	slot := &s.data
	if class == blob.Page {
		slot = &s.tree
	}
	slot.mu.Lock()
	defer slot.mu.Unlock()
	if err := s.failed(); err != nil {
		return err
	}
	err := s.fill(ctx, slot, class, packed, raw, pieces)
	if err != nil {
		s.fail(err)
	}
	return err
}

func (s *Session) fill(ctx context.Context, slot *packSlot, class blob.Class, packed []byte, raw int, pieces []Piece) error {
	// A pack that ends just under its size is hardly padded.
	if p := slot.pack; p != nil && len(p.clumps) > 0 && p.sizeWith(len(packed), len(pieces)) > s.packSz {
		s.send(ctx, slot)
	}
	if slot.pack == nil {
		if err := s.checkSpace(ctx); err != nil {
			return err
		}
		// Of the unfinished packs one at most is the other slot's, which may
		// fill for long; the others become durable without anybody's help.
		s.unfinished <- struct{}{}
		p, err := newPackWriter(ctx, s.r.store, s.r.keys, slot.kind, s.id)
		if err != nil {
			<-s.unfinished
			return err
		}
		slot.pack = p
	}
	if err := slot.pack.add(class, packed, raw, pieces); err != nil {
		p := slot.pack
		slot.pack = nil // what is in it is not what its directory would say
		<-s.unfinished
		return errors.Join(err, p.staged.Discard())
	}
	if slot.pack.directory >= maxDirectory/2 {
		s.send(ctx, slot)
	}
	return nil
}

// send finishes the slot's pack, if it has one, beside the caller. The caller
// holds slot.mu.
func (s *Session) send(ctx context.Context, slot *packSlot) {
	p := slot.pack
	if p == nil {
		return
	}
	slot.pack = nil
	s.wg.Go(func() {
		defer func() { <-s.unfinished }()
		if err := s.finish(ctx, p); err != nil {
			s.fail(err)
		}
	})
}

// finish makes a pack durable, and sees to checkpoints.
func (s *Session) finish(ctx context.Context, p *packWriter) error {
	id, err := p.finish(ctx)
	if err != nil {
		return errors.Join(err, p.staged.Discard())
	}
	s.mu.Lock()
	s.stored += int64(p.size)
	s.done = append(s.done, donePack{kind: p.kind, id: id, size: uint32(p.size), clumps: p.clumps})
	s.entries += p.pieces
	due := s.entries >= checkpointEntries || s.r.Now().Sub(s.last) >= checkpointAfter
	s.mu.Unlock()
	if !due {
		return nil
	}
	_, err = s.checkpoint(ctx)
	return err
}

// fail notes an error, once: who saves through others notes what these have noted, too.
func (s *Session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !errors.Is(s.err, err) {
		s.err = errors.Join(s.err, err)
	}
}

func (s *Session) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// checkSpace refuses to begin a pack that would leave too little room.
func (s *Session) checkSpace(ctx context.Context) error {
	spacer, ok := s.r.store.(storage.Spacer)
	if !ok || s.opts.MinFree == 0 {
		return nil
	}
	free, err := spacer.Free(ctx)
	if err != nil {
		return fmt.Errorf("asking the storage for its free space: %w", err)
	}
	if free < s.opts.MinFree+uint64(s.packSz) {
		return &SpaceError{Free: free, Keep: s.opts.MinFree}
	}
	return nil
}
