package index

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"restante/blob"
)

const (
	// setMemory is how many IDs of a Set are in memory before they go to disk.
	setMemory = 1 << 15
	// setFan runs of one size become one run.
	setFan = 4
	// setShards is how many goroutines can add to a Set at once.
	setShards = 64
	// filterMemory bounds the filters of a Set's runs in bytes.
	filterMemory = 32 << 20

	setPrefix = "claims-"
)

// Millions of IDs may come, so half of each has to do: keyed, it is the same
// for two of 2^32 pieces with a chance of 2^-65.
const halfSize = blob.IDSize / 2

type half [halfSize]byte

func compareHalves(a, b half) int { return bytes.Compare(a[:], b[:]) }

// A Set is a set of pieces that only grows, and that one process has for as long
// as it runs. It takes a fixed part of the memory, as the package comment says,
// and the rest of it lies in the cache directory. Add may be called by several
// goroutines at once.
type Set struct {
	dir    string
	warn   func(error)
	limit  int // setMemory, but in tests
	filter int // filterMemory, but in tests

	shards [setShards]setShard
	count  atomic.Int64 // IDs in the shards' maps that are not on their way to disk
	doubt  sync.Once    // to warn of runs that cannot be read

	spilling sync.Mutex               // admits one change of the runs
	full     bool                     // under spilling: the disk takes no more
	runs     atomic.Pointer[[]setRun] // the slice is not changed
}

// A setShard has the IDs in memory whose first bytes say so.
type setShard struct {
	mu     sync.Mutex
	ids    map[half]struct{} // under mu
	frozen map[half]struct{} // under mu: on their way to disk
	block  []byte            // under mu: for reading runs
}

// NewSet returns an empty set. The caller closes it.
func (x *Index) NewSet() *Set {
	s := &Set{dir: x.dir, warn: x.warn, limit: setMemory, filter: filterMemory}
	s.runs.Store(new([]setRun))
	for i := range s.shards {
		s.shards[i].ids = map[half]struct{}{}
	}
	return s
}

// Close gives up what the set has on disk. Nobody adds to it any more.
func (s *Set) Close() {
	s.spilling.Lock()
	defer s.spilling.Unlock()
	closeRuns(*s.runs.Swap(new([]setRun)))
	for i := range s.shards {
		s.shards[i] = setShard{ids: map[half]struct{}{}}
	}
}

// Add adds a piece, and reports whether the set did not have it. Of several that
// add one piece at once, one is told so. Only where a part of the set cannot be
// read any more, of which Warn is told, a piece may be added twice.
func (s *Set) Add(id blob.ID) bool {
	h := half(id[blob.IDSize-halfSize:])
	if !s.shards[id[0]%setShards].add(s, h) {
		return false
	}
	if s.count.Add(1) >= int64(s.limit) {
		s.spill()
	}
	return true
}

// Has reports whether the set has a piece.
func (s *Set) Has(id blob.ID) bool {
	sh := &s.shards[id[0]%setShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.has(s, half(id[blob.IDSize-halfSize:]))
}

func (sh *setShard) add(s *Set, h half) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.has(s, h) {
		return false
	}
	sh.ids[h] = struct{}{}
	return true
}

// has is called with the shard's lock held.
func (sh *setShard) has(s *Set, h half) bool {
	if _, ok := sh.ids[h]; ok {
		return true
	}
	if _, ok := sh.frozen[h]; ok {
		return true
	}
	// Asked last, and with the lock held: what is no longer frozen is in a run.
	for _, r := range *s.runs.Load() {
		if !r.filter.mayHave(h) {
			continue
		}
		found, err := r.find(h, &sh.block)
		if err != nil {
			s.doubt.Do(func() {
				s.warn(fmt.Errorf("some of what is stored may be stored once more, because the cache in %q cannot be read: %w", s.dir, err))
			})
		}
		if found {
			return true
		}
	}
	return false
}

// spill moves what is in memory to a new run, and joins runs of one size. Those
// that bring more meanwhile wait, so that at most twice the limit is in memory.
func (s *Set) spill() {
	s.spilling.Lock()
	defer s.spilling.Unlock()
	if s.full || s.count.Load() < int64(s.limit) {
		return
	}
	old := *s.runs.Load()
	runs, err := s.join(old, s.freeze())
	if err != nil {
		// What is frozen stays so, and all that comes stays in memory.
		s.full = true
		s.warn(fmt.Errorf("keeping in memory what has been stored, because the cache in %q cannot be written: %w", s.dir, err))
		return
	}
	s.runs.Store(&runs)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.frozen = nil
		sh.mu.Unlock()
	}
	// Each lock was taken once, so nobody reads the runs that were joined.
	closeRuns(slices.DeleteFunc(slices.Clone(old), func(r setRun) bool {
		return slices.ContainsFunc(runs, func(kept setRun) bool { return kept.file == r.file })
	}))
}

// freeze returns what is in memory, ascending. It is found there until the
// caller thaws it.
func (s *Set) freeze() []half {
	all := make([]half, 0, s.limit+s.limit/64)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.frozen, sh.ids = sh.ids, make(map[half]struct{}, len(sh.ids))
		for h := range sh.frozen {
			all = append(all, h)
		}
		sh.mu.Unlock()
	}
	s.count.Add(-int64(len(all)))
	slices.SortFunc(all, compareHalves)
	return all
}

// join returns old, whose sizes descend, with a run of ids behind it; the last
// setFan runs of one size are one run instead, as often as there are so many.
// After an error nothing that it made is left.
func (s *Set) join(old []setRun, ids []half) ([]setRun, error) {
	r, err := s.write(0, len(ids), old, func(put func(half) error) error {
		for _, h := range ids {
			if err := put(h); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	runs := append(slices.Clone(old), r)
	for {
		first := len(runs) - setFan
		if first < 0 || runs[first].level != runs[len(runs)-1].level {
			return runs, nil
		}
		parts, count := runs[first:], 0
		for _, p := range parts {
			count += p.count
		}
		r, err := s.write(parts[0].level+1, count, runs[:first], func(put func(half) error) error { return mergeRuns(parts, put) })
		made := slices.DeleteFunc(slices.Clone(parts), func(p setRun) bool {
			return slices.ContainsFunc(old, func(o setRun) bool { return o.file == p.file })
		})
		closeRuns(made)
		if err != nil {
			return nil, err
		}
		runs = append(runs[:first], r)
	}
}
