package index

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"restante/blob"
)

const (
	syncedName = "synced"
	tempPrefix = "synced-"
)

// restore returns the view that the cache on disk gives: an empty one if there
// is none or it cannot be used.
func (x *Index) restore() *view {
	x.untidy = x.generations() > 1
	for range 3 {
		s, sum, err := x.read()
		x.seen = sum
		if err != nil || s.generation == 0 {
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				x.reset(err)
			}
			if err != nil {
				s = &state{}
			}
			return newView(s, nil)
		}
		gen, err := findGeneration(x.dir, s.generation, s.files)
		if err == nil {
			gen.whole = x.limits.whole
			return newView(s, gen)
		}
		// Somebody published another generation meanwhile, or it is lost.
	}
	x.untidy = true
	return newView(&state{}, nil)
}

// read reads the file synced, and returns the hash at its end too.
func (x *Index) read() (s *state, sum blob.ID, err error) {
	path := filepath.Join(x.dir, syncedName)
	info, err := os.Stat(path)
	if err != nil {
		return nil, sum, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxState {
		return nil, sum, errState
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, sum, err
	}
	if s, err = decodeState(data); err != nil {
		return nil, sum, err
	}
	return s, blob.ID(data[len(data)-blob.IDSize:]), nil
}

// publish writes the file synced, unless another process did so meanwhile and
// knows no less. Two that publish at once overwrite each other, which costs
// the next run some loading.
//
// The file is not synced to disk: after a power cut it is old, whole or
// damaged, and each of them is dealt with.
func (x *Index) publish(s *state) {
	if x.memory {
		return
	}
	data := s.encode()
	sum, found := blob.ID(data[len(data)-blob.IDSize:]), x.hash()
	if found == sum {
		return // a fold has just written it
	}
	if found != x.seen {
		// What is read here is not what x goes on from: it stays another's.
		if other, _, err := x.read(); err == nil && len(other.objects) >= len(s.objects) {
			return
		}
	}
	if err := x.write(data); err != nil {
		x.forgo(err)
		return
	}
	x.seen = sum
}

// hash returns the hash at the end of the file synced, zero if there is none.
func (x *Index) hash() (sum blob.ID) {
	f, err := os.Open(filepath.Join(x.dir, syncedName))
	if err != nil {
		return sum
	}
	defer f.Close()
	if _, err := f.Seek(-blob.IDSize, io.SeekEnd); err != nil {
		return sum
	}
	if _, err := io.ReadFull(f, sum[:]); err != nil {
		return blob.ID{}
	}
	return sum
}

func (x *Index) write(data []byte) error {
	f, err := os.CreateTemp(x.dir, tempPrefix)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(x.dir, syncedName))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// current returns the number of the generation that the file synced names.
func (x *Index) current() uint64 {
	f, err := os.Open(filepath.Join(x.dir, syncedName))
	if err != nil {
		return 0
	}
	defer f.Close()
	var head [stateHead]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(head[24:])
}

// generations counts the generations on disk.
func (x *Index) generations() (n int) {
	entries, _ := os.ReadDir(x.dir)
	for _, e := range entries {
		if _, ok := parseGeneration(e.Name()); ok {
			n++
		}
	}
	return n
}

func parseGeneration(name string) (uint64, bool) {
	hex, ok := strings.CutPrefix(name, "g-")
	if !ok || len(hex) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(hex, 16, 64)
	return n, err == nil
}

// sweep removes generations that nobody uses and synced does not name, and
// what killed processes left of writing synced and of sets. Failures leave them
// to the next one.
func (x *Index) sweep() {
	entries, _ := os.ReadDir(x.dir)
	for _, e := range entries {
		path := filepath.Join(x.dir, e.Name())
		if number, ok := parseGeneration(e.Name()); ok {
			x.removeUnused(path, number)
		} else if strings.HasPrefix(e.Name(), tempPrefix) || strings.HasPrefix(e.Name(), setPrefix) {
			// An hour is long enough for a process that still writes it; what
			// it still reads cannot be removed where it has a name at all.
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Hour {
				os.Remove(path)
			}
		}
	}
}

func (x *Index) removeUnused(dir string, number uint64) {
	if x.current() == number {
		return
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return
	}
	// With the exclusive lock nobody uses it; and who used it last may have
	// published it just before.
	if tryLock(lock, true) == nil && x.current() != number {
		removeAll(dir, lock)
		return
	}
	lock.Close()
}

// removeAll removes a generation and closes its lock. Where a file cannot be
// removed while it is open, only the second attempt takes the lock file.
func removeAll(dir string, lock *os.File) {
	os.RemoveAll(dir)
	lock.Close()
	os.RemoveAll(dir)
}
