package gc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"restante/blob"
)

const (
	// maxHeld is how many IDs a set keeps in memory: 16 MiB.
	maxHeld = 1 << 19
	// maxRuns is how many files a set has before they become one.
	maxRuns = 32
)

const (
	folderPrefix = "run-"
	// staleAfter is how old the folder of a prune is that was killed.
	staleAfter = 7 * 24 * time.Hour
)

// A folder for files of IDs is made when the first of them is: a small
// repository can be pruned where nothing can be written any more.
type folder struct {
	parent string
	path   string // "": it is not there yet
}

func (d *folder) create() (*os.File, error) {
	if d.path == "" {
		if err := os.MkdirAll(d.parent, 0o700); err != nil {
			return nil, err
		}
		d.clean()
		path, err := os.MkdirTemp(d.parent, folderPrefix)
		if err != nil {
			return nil, err
		}
		d.path = path
	}
	return os.CreateTemp(d.path, "ids-")
}

// clean removes what killed prunes left.
func (d *folder) clean() {
	entries, _ := os.ReadDir(d.parent)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), folderPrefix) && time.Since(info.ModTime()) > staleAfter {
			os.RemoveAll(filepath.Join(d.parent, e.Name()))
		}
	}
}

func (d *folder) remove() {
	if d.path != "" {
		os.RemoveAll(d.path)
	}
}

// An idSet is a set of IDs of any size in bounded memory. What is too much
// becomes sorted runs in files of dir. It serves one goroutine. After
// the first cursor nothing may be added.
type idSet struct {
	dir    *folder
	most   int // IDs in memory
	held   []blob.ID
	sorted bool       // held is, and none is there twice
	runs   []*os.File // each ascending
}

func (s *idSet) add(id blob.ID) error {
	if len(s.held) >= s.most {
		s.tidy()
		if len(s.held) > s.most/2 {
			if err := s.spill(); err != nil {
				return err
			}
		}
	}
	s.held, s.sorted = append(s.held, id), false
	return nil
}

func (s *idSet) tidy() {
	if !s.sorted {
		slices.SortFunc(s.held, blob.ID.Compare)
		s.held, s.sorted = slices.Compact(s.held), true
	}
}

// spill writes what is held to a run of its own.
func (s *idSet) spill() error {
	held := s.held
	err := s.write(func(put func(blob.ID) error) error {
		for _, id := range held {
			if err := put(id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.held = s.held[:0]
	if len(s.runs) < maxRuns {
		return nil
	}
	old := s.runs
	merged, err := s.cursor()
	if err != nil {
		return err
	}
	err = s.write(func(put func(blob.ID) error) error {
		for {
			id, ok, err := merged.next()
			if err != nil || !ok {
				return err
			}
			if err := put(id); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	s.runs = s.runs[len(old):]
	return remove(old)
}

func (s *idSet) write(fill func(put func(blob.ID) error) error) error {
	f, err := s.dir.create()
	if err != nil {
		return fmt.Errorf("making a file of IDs (choose another folder with --cache-dir): %w", err)
	}
	s.runs = append(s.runs, f)
	w := bufio.NewWriterSize(f, 256<<10)
	err = fill(func(id blob.ID) error {
		_, err := w.Write(id[:])
		return err
	})
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("writing a file of IDs (choose another folder with --cache-dir): %w", err)
	}
	return nil
}

// close removes the set's files.
func (s *idSet) close() error {
	runs := s.runs
	s.runs, s.held = nil, nil
	return remove(runs)
}

func remove(runs []*os.File) (err error) {
	for _, f := range runs {
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return err
}

// An idCursor goes through a set in ascending order, each ID once.
type idCursor struct {
	heads []*runHead
}

// A runHead is how far a run has been read.
type runHead struct {
	id   blob.ID
	next func() (blob.ID, bool, error)
}

func (s *idSet) cursor() (*idCursor, error) {
	s.tidy()
	c := &idCursor{}
	held := s.held
	nexts := []func() (blob.ID, bool, error){func() (blob.ID, bool, error) {
		if len(held) == 0 {
			return blob.ID{}, false, nil
		}
		id := held[0]
		held = held[1:]
		return id, true, nil
	}}
	for _, f := range s.runs {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		r := bufio.NewReaderSize(io.NewSectionReader(f, 0, info.Size()), 64<<10)
		nexts = append(nexts, func() (id blob.ID, ok bool, err error) {
			_, err = io.ReadFull(r, id[:])
			if err == io.EOF {
				return id, false, nil
			}
			return id, err == nil, err
		})
	}
	for _, next := range nexts {
		h := &runHead{next: next}
		id, ok, err := next()
		if err != nil {
			return nil, err
		}
		if ok {
			h.id = id
			c.heads = append(c.heads, h)
		}
	}
	return c, nil
}

// next returns the next ID, and false behind the last.
func (c *idCursor) next() (blob.ID, bool, error) {
	if len(c.heads) == 0 {
		return blob.ID{}, false, nil
	}
	least := c.heads[0].id
	for _, h := range c.heads[1:] {
		if h.id.Compare(least) < 0 {
			least = h.id
		}
	}
	for i := 0; i < len(c.heads); {
		h := c.heads[i]
		if h.id != least {
			i++
			continue
		}
		id, ok, err := h.next()
		if err != nil {
			return blob.ID{}, false, fmt.Errorf("reading a file of IDs: %w", err)
		}
		if !ok {
			c.heads = slices.Delete(c.heads, i, i+1)
		}
		h.id = id
	}
	return least, true, nil
}

// window reads up to n IDs that are not in other, which may be nil and is read
// along.
func (c *idCursor) window(n int, other *idBelow) ([]blob.ID, error) {
	var ids []blob.ID
	for len(ids) < n {
		id, ok, err := c.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		known, err := other.has(id)
		if err != nil {
			return nil, err
		}
		if !known {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// An idBelow answers whether IDs, asked for in ascending order, are in a set.
type idBelow struct {
	c    *idCursor
	id   blob.ID
	ok   bool
	read bool
}

func (b *idBelow) has(id blob.ID) (bool, error) {
	if b == nil {
		return false, nil
	}
	for !b.read || b.ok && b.id.Compare(id) < 0 {
		var err error
		b.read = true
		if b.id, b.ok, err = b.c.next(); err != nil {
			return false, err
		}
	}
	return b.ok && b.id == id, nil
}
