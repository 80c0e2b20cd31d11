package verify

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"restante/blob"
)

// A history remembers when each pack was last read from beginning to end and
// found whole. It is a cache: without it packs are read in another order.
//
// The file has the packs in ascending order; numbers are little endian:
//
//	 8  "rst-vrfd"
//	    for each pack: 32 ID, 8 seconds since 1970
//	32  BLAKE3 of all before
type history struct {
	path string            // "" for none
	when map[blob.ID]int64 // 0, or no entry: never
}

const (
	historyMagic  = "rst-vrfd"
	historyRecord = blob.IDSize + 8
	maxHistory    = 1 << 30
)

var errHistory = errors.New("the file is damaged")

// loadHistory reads the file at path. One that is not there, or damaged, is as
// if no pack had been read.
func loadHistory(path string) *history {
	h := &history{path: path, when: map[blob.ID]int64{}}
	if path == "" {
		return h
	}
	if info, err := os.Stat(path); err != nil || info.Size() > maxHistory {
		return h
	}
	if data, err := os.ReadFile(path); err == nil {
		if when, err := decodeHistory(data); err == nil {
			h.when = when
		}
	}
	return h
}

// save writes what is known of the packs that are there, with what another
// check wrote meanwhile of those that this one did not come to.
func (h *history) save(there func(blob.ID) bool) error {
	if h.path == "" {
		return nil
	}
	for id, at := range loadHistory(h.path).when {
		if _, known := h.when[id]; !known {
			h.when[id] = at
		}
	}
	for id := range h.when {
		if !there(id) {
			delete(h.when, id)
		}
	}
	if err := os.MkdirAll(filepath.Dir(h.path), 0o700); err != nil {
		return fmt.Errorf("making the cache directory: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(h.path), filepath.Base(h.path)+"-")
	if err != nil {
		return fmt.Errorf("writing when packs were read: %w", err)
	}
	_, err = f.Write(h.encode())
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), h.path)
	}
	if err == nil {
		return nil
	}
	if gone := os.Remove(f.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return fmt.Errorf("writing when packs were read: %w", err)
}

func (h *history) encode() []byte {
	ids := make([]blob.ID, 0, len(h.when))
	for id := range h.when {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, blob.ID.Compare)
	out := []byte(historyMagic)
	for _, id := range ids {
		out = binary.LittleEndian.AppendUint64(append(out, id[:]...), uint64(h.when[id]))
	}
	sum := blob.NameOf(out)
	return append(out, sum[:]...)
}

// decodeHistory reads what encode wrote and nothing else.
func decodeHistory(data []byte) (map[blob.ID]int64, error) {
	n := len(data) - blob.IDSize
	if n < len(historyMagic) || string(data[:len(historyMagic)]) != historyMagic || (n-len(historyMagic))%historyRecord != 0 {
		return nil, errHistory
	}
	if sum := blob.NameOf(data[:n]); string(sum[:]) != string(data[n:]) {
		return nil, errHistory
	}
	when := make(map[blob.ID]int64, n/historyRecord)
	var last blob.ID
	for rest := data[len(historyMagic):n]; len(rest) > 0; rest = rest[historyRecord:] {
		id := blob.ID(rest[:blob.IDSize])
		if len(when) > 0 && last.Compare(id) >= 0 {
			return nil, errHistory
		}
		last = id
		when[id] = int64(binary.LittleEndian.Uint64(rest[blob.IDSize:historyRecord]))
	}
	return when, nil
}

// A Subset says how much of the data is read at most: the zero value, all of it.
type Subset struct {
	Percent float64 // of the bytes; 0 for no limit
	Bytes   uint64  // 0 for no limit
}

// limit returns how many of so many bytes the subset has.
func (s Subset) limit(all uint64) uint64 {
	n := all
	if s.Percent > 0 {
		n = min(n, uint64(float64(all)*s.Percent/100))
	}
	if s.Bytes > 0 {
		n = min(n, s.Bytes)
	}
	return n
}

// choose returns which of the packs are to be read, those first that were not
// read for longest: as many as the subset has, and one at least. bytes is how
// many bytes they have.
func (h *history) choose(sizes map[blob.ID]int64, subset Subset) (chosen []blob.ID, bytes uint64) {
	var all uint64
	for id, size := range sizes {
		chosen = append(chosen, id)
		all += uint64(size)
	}
	slices.SortFunc(chosen, func(a, b blob.ID) int { return cmp.Or(cmp.Compare(h.when[a], h.when[b]), a.Compare(b)) })
	limit := subset.limit(all)
	for i, id := range chosen {
		if i > 0 && bytes >= limit {
			return chosen[:i], bytes
		}
		bytes += uint64(sizes[id])
	}
	return chosen, bytes
}

// oldest returns the time since which all of the packs have been read and found
// whole: zero if one of them never was.
func (h *history) oldest(sizes map[blob.ID]int64) time.Time {
	least := int64(math.MaxInt64)
	for id := range sizes {
		least = min(least, h.when[id])
	}
	if len(sizes) == 0 || least == 0 {
		return time.Time{}
	}
	return time.Unix(least, 0).UTC()
}
