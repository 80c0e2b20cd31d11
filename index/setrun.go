package index

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/bits"
	"os"
	"sort"
)

const (
	// setBlock is how many IDs of a run are read at once: 4 KiB.
	setBlock = 256

	// filterBits is how many bits a filter has for each ID while there is room:
	// with the best number of probes one stranger in 120 passes.
	filterBits = 10

	setBuffer = 64 << 10
)

// A setRun is a file of ascending halves of IDs, which is not changed.
type setRun struct {
	file   *os.File
	level  int // setFan^level spilled maps are in it
	count  int
	fences []half // the first of each block
	filter filter
}

// find reports whether the run has h. It reads one block, into *mem.
func (r *setRun) find(h half, mem *[]byte) (bool, error) {
	// The first block that begins behind h, so that h is in the one before.
	n := sort.Search(len(r.fences), func(i int) bool { return compareHalves(r.fences[i], h) > 0 }) - 1
	if n < 0 {
		return false, nil
	}
	if *mem == nil {
		*mem = make([]byte, setBlock*halfSize)
	}
	length := min(setBlock, r.count-n*setBlock)
	block := (*mem)[:length*halfSize]
	if _, err := r.file.ReadAt(block, int64(n)*setBlock*halfSize); err != nil {
		return false, err
	}
	at := func(i int) half { return half(block[i*halfSize:]) }
	i := sort.Search(length, func(i int) bool { return compareHalves(at(i), h) >= 0 })
	return i < length && at(i) == h, nil
}

func closeRuns(runs []setRun) {
	for _, r := range runs {
		r.file.Close()
		os.Remove(r.file.Name()) // where it could not be removed while open
	}
}

// write makes a run of the count halves that each puts, ascending. The filter
// takes what the other runs' leave it.
func (s *Set) write(level, count int, others []setRun, each func(put func(half) error) error) (_ setRun, err error) {
	f, err := os.CreateTemp(s.dir, setPrefix+"*")
	if err != nil {
		return setRun{}, err
	}
	// Where an open file can be removed, a crash leaves nothing.
	os.Remove(f.Name())
	room := s.filter
	for _, r := range others {
		room -= r.filter.size()
	}
	r := setRun{file: f, level: level, count: count, fences: make([]half, 0, count/setBlock+1), filter: newFilter(count, room)}
	w, n := bufio.NewWriterSize(f, setBuffer), 0
	err = each(func(h half) error {
		if n%setBlock == 0 {
			r.fences = append(r.fences, h)
		}
		n++
		r.filter.add(h)
		_, err := w.Write(h[:])
		return err
	})
	if err = errors.Join(err, w.Flush()); err != nil {
		closeRuns([]setRun{r})
		return setRun{}, err
	}
	return r, nil
}

// mergeRuns puts what is in runs, ascending.
func mergeRuns(runs []setRun, put func(half) error) error {
	type source struct {
		in   *bufio.Reader
		left int
		next half
	}
	step := func(s *source) error {
		if s.left--; s.left < 0 {
			return nil
		}
		_, err := io.ReadFull(s.in, s.next[:])
		return err
	}
	var from []*source
	for _, r := range runs {
		s := &source{in: bufio.NewReaderSize(io.NewSectionReader(r.file, 0, int64(r.count)*halfSize), setBuffer), left: r.count}
		if err := step(s); err != nil {
			return err
		}
		from = append(from, s)
	}
	for {
		var least *source
		for _, s := range from {
			if s.left >= 0 && (least == nil || compareHalves(s.next, least.next) < 0) {
				least = s
			}
		}
		if least == nil {
			return nil
		}
		if err := put(least.next); err != nil {
			return err
		}
		if err := step(least); err != nil {
			return err
		}
	}
}

// A filter tells that a half is not in a run, or that it may be. It is a Bloom
// filter; the halves are keyed hashes and need no other.
type filter struct {
	words  []uint64
	probes int
}

// newFilter returns a filter for count halves in at most room bytes. If there is
// less than a bit for each, it is empty and lets all pass.
func newFilter(count, room int) filter {
	bits := min(count*filterBits, max(room, 0)*8)
	if bits < count {
		return filter{}
	}
	return filter{words: make([]uint64, max(bits/64, 1)), probes: max(1, int(math.Round(math.Ln2*float64(bits)/float64(max(count, 1)))))}
}

func (f *filter) size() int { return 8 * len(f.words) }

// each calls fn for each probe of h until it returns false.
func (f *filter) each(h half, fn func(word int, bit uint64) bool) bool {
	at, step := binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:])|1
	for range f.probes {
		n, _ := bits.Mul64(at, uint64(len(f.words))*64)
		if !fn(int(n/64), 1<<(n%64)) {
			return false
		}
		at += step
	}
	return true
}

func (f *filter) add(h half) {
	f.each(h, func(word int, bit uint64) bool { f.words[word] |= bit; return true })
}

func (f *filter) mayHave(h half) bool {
	return f.each(h, func(word int, bit uint64) bool { return f.words[word]&bit != 0 })
}
