package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"restante/blob"
	"restante/seal"
	"restante/storage"
)

// MaxMarked is how many packs one mark names at most.
const MaxMarked = 1 << 16

// maxMarkRoots is how many roots a mark lists at most. Of more it lists none.
const maxMarkRoots = 1 << 16

// ErrPruning is returned where another prune took the next number for its mark:
// only the one with the highest number goes on.
var ErrPruning = errors.New("the repository is being pruned by another process")

func markName(n uint64) string { return fmt.Sprintf("marks/%08d", n) }

func seenName(id seal.Session) string { return "seen/" + id.String() }

// A Mark says which packs a prune is going to delete. To sessions that have seen
// it, what is in them counts as not stored. It never loses one of them again.
type Mark struct {
	Number uint64
	Packs  []blob.ID // ascending, at most MaxMarked
	// Roots are the snapshots that need none of Packs, ascending.
	Roots []seal.Session
}

// markRecord is the payload of a mark, seenRecord that of what a session has seen.
type (
	markRecord struct {
		Number uint64 `cbor:"1,keyasint"`
		Packs  []byte `cbor:"2,keyasint"`
		Roots  []byte `cbor:"3,keyasint"`
	}
	seenRecord struct {
		Marks []uint64 `cbor:"1,keyasint"`
	}
)

// PutMark stores a mark, exclusively: it returns ErrPruning when the number is
// taken. It needs an owner's key.
func (r *Repository) PutMark(ctx context.Context, m Mark) error {
	if !r.CanRead() {
		return ErrOwnerOnly
	}
	if len(m.Packs) > MaxMarked {
		return fmt.Errorf("marking %d packs: more than %d at once", len(m.Packs), MaxMarked)
	}
	record := markRecord{Number: m.Number, Packs: []byte{}, Roots: []byte{}}
	for _, id := range m.Packs {
		record.Packs = append(record.Packs, id[:]...)
	}
	for _, id := range m.Roots[:listable(len(m.Roots))] {
		record.Roots = append(record.Roots, id[:]...)
	}
	data, err := r.sealRecord(seal.Header{Kind: seal.KindMark, Mode: seal.ModeIndex}, record)
	if err != nil {
		return err
	}
	err = putOnce(ctx, r.store, markName(m.Number), data)
	if errors.Is(err, storage.ErrExists) {
		return ErrPruning
	}
	return err
}

func listable(roots int) int {
	if roots > maxMarkRoots {
		return 0
	}
	return roots
}

// EachMark calls fn for each mark, in the order of their numbers, until fn
// fails. One that cannot be read is given to fn with a DamageError, or an error of
// the storage, and its number alone. Only marks that an owner signed can be read.
func (r *Repository) EachMark(ctx context.Context, fn func(Mark, error) error) error {
	sizes := map[uint64]int64{}
	err := listNames(ctx, r.store, "marks/", func(name string, size int64) error {
		if n, err := strconv.ParseUint(strings.TrimPrefix(name, "marks/"), 10, 64); err == nil && markName(n) == name {
			sizes[n] = size
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing marks: %w", err)
	}
	for _, n := range slices.Sorted(maps.Keys(sizes)) {
		m, err := r.readMark(ctx, n, sizes[n])
		if errors.Is(err, storage.ErrNotFound) {
			continue // its packs are gone, and it with them
		}
		if err := fn(m, err); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository) readMark(ctx context.Context, n uint64, size int64) (Mark, error) {
	name := markName(n)
	m, err := readChecked(ctx, r.store, name, size, maxRecord, func(data []byte) (Mark, error) {
		var record markRecord
		m := Mark{Number: n}
		_, err := r.openRecord(data, seal.KindMark, &record, r.owner(ctx))
		if err == nil {
			err = m.take(&record)
		}
		if err != nil {
			return Mark{}, &DamageError{Object: name, Err: err}
		}
		return m, nil
	})
	if err != nil {
		return Mark{Number: n}, err
	}
	return m, nil
}

func (m *Mark) take(record *markRecord) error {
	if record.Number != m.Number {
		return fmt.Errorf("it says it is mark %d", record.Number)
	}
	const session = len(seal.Session{})
	if len(record.Packs)%blob.IDSize != 0 || len(record.Packs) > MaxMarked*blob.IDSize || len(record.Roots)%session != 0 {
		return errors.New("it is malformed")
	}
	if !ascend(record.Packs, blob.IDSize) || !ascend(record.Roots, session) {
		return errors.New("its lists do not ascend")
	}
	for b := range slices.Chunk(record.Packs, blob.IDSize) {
		m.Packs = append(m.Packs, blob.ID(b))
	}
	for b := range slices.Chunk(record.Roots, session) {
		m.Roots = append(m.Roots, seal.Session(b))
	}
	return nil
}

// seeMarks reads the marks and puts on record which they were, if there are
// any: from then on the session has seen them, and what is under them counts as
// not stored. A mark that it cannot read it has not seen, so that nothing under it
// is deleted while the session is open.
func (s *Session) seeMarks(ctx context.Context) error {
	marked, seen := packSet{}, seenRecord{}
	s.marks = map[uint64]Mark{}
	err := s.r.EachMark(ctx, func(m Mark, err error) error {
		if errors.As(err, new(*DamageError)) {
			s.r.warnf("%v", err)
			return nil
		}
		if err != nil {
			return err
		}
		for _, id := range m.Packs {
			marked[id] = struct{}{}
		}
		seen.Marks = append(seen.Marks, m.Number)
		if len(m.Packs) > 0 {
			s.marks[m.Number] = Mark{Number: m.Number, Roots: m.Roots}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.r.Shun(marked)
	if len(seen.Marks) == 0 {
		return nil
	}
	data, err := s.r.sealRecord(seal.Header{Kind: seal.KindSeen, Mode: seal.ModeIndex, Session: s.id}, seen)
	if err != nil {
		return err
	}
	return putOnce(ctx, s.r.store, seenName(s.id), data)
}

// Marks returns the numbers of the marks that the session has seen and that name
// packs.
func (s *Session) Marks() []uint64 {
	var numbers []uint64
	for n := range s.marks {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers
}

// MayBuildOn reports whether marks tell that a snapshot needs nothing of what is under the marks
// that the session has seen, so that what it refers to can be taken over without
// a look at each piece. seen are the marks that the snapshot's session had seen: it
// took nothing from under them. Of the others, a mark names the snapshots that
// need nothing of it; the packs of any that it does not name may be among its own.
func (s *Session) MayBuildOn(parent seal.Session, seen []uint64) bool {
	for n, m := range s.marks {
		if slices.Contains(seen, n) {
			continue
		}
		if _, ok := slices.BinarySearchFunc(m.Roots, parent, func(a, b seal.Session) int { return slices.Compare(a[:], b[:]) }); !ok {
			return false
		}
	}
	return true
}

// ascend reports whether parts of this size, one after the other, ascend strictly.
func ascend(parts []byte, size int) bool {
	for i := size; i < len(parts); i += size {
		if bytes.Compare(parts[i-size:i], parts[i:i+size]) >= 0 {
			return false
		}
	}
	return true
}
