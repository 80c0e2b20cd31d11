package gc

import (
	"context"
	"fmt"
	"sync"

	"restante/blob"
	"restante/repo"
	"restante/snapshot"
)

const (
	maxLevels  = 64      // of pages; a page's level is less
	pageWindow = 1 << 15 // pages looked up and read at a time
	idWindow   = 1 << 17 // pieces looked up at a time
)

// A reacher finds what trees need. Trees share pages, which it reads once,
// level by level: the pages of a level are sorted, looked up in one pass over the
// index, and read in the order in which they lie in packs.
type reacher struct {
	r     *repo.Repository
	dir   *folder
	most  int                        // IDs that a set holds in memory
	count func(blob.ID, *blob.Place) // told of each piece and page that is needed, and where it lies; nil: nowhere
	done  func(pages, bytes uint64)
	stop  func() bool // whether no further page is to be read
	memo  *pageMemo   // of pages that earlier prunes have read
	fresh bool        // a page has been read that is not in it, so that each prune gets on

	known [2][maxLevels]*idSet // pages that were read: of trees, and of lists
	open  [2][maxLevels]*idSet // pages to be read
	files *idSet               // pieces of files that this walk finds
	found []*idSet             // pieces of files that earlier walks found
	pages uint64
}

func (c *reacher) set() *idSet { return &idSet{dir: c.dir, most: c.most} }

func (c *reacher) close() {
	for _, sets := range [][2][maxLevels]*idSet{c.known, c.open} {
		for _, list := range sets {
			for _, s := range list {
				if s != nil {
					s.close()
				}
			}
		}
	}
	for _, s := range append(c.found, c.files) {
		if s != nil {
			s.close()
		}
	}
}

// walk tells count of all that the trees with these roots need and that was
// not found before. lenient passes over pages that no index object names.
func (c *reacher) walk(ctx context.Context, roots []repo.PageRef, lenient bool) error {
	c.files = c.set()
	for _, root := range roots {
		if err := c.want(root.ID, root.Level, false); err != nil {
			return err
		}
	}
	for list := range 2 {
		for level := maxLevels - 1; level >= 0; level-- {
			if err := c.level(ctx, list, level, lenient); err != nil {
				return err
			}
		}
	}
	if err := c.pieces(ctx, lenient); err != nil {
		return err
	}
	if len(c.files.held)+len(c.files.runs) > 0 {
		c.found = append(c.found, c.files)
	}
	c.files = nil
	return nil
}

func (c *reacher) want(id blob.ID, level uint8, list bool) error {
	if level >= maxLevels {
		return fmt.Errorf("reading page %s: %w: it is at level %d", id.Short(), snapshot.ErrDamaged, level)
	}
	kind := 0
	if list {
		kind = 1
	}
	s := &c.open[kind][level]
	if *s == nil {
		*s = c.set()
	}
	return (*s).add(id)
}

// level reads the pages of a level that were not read before.
func (c *reacher) level(ctx context.Context, list, level int, lenient bool) error {
	todo := c.open[list][level]
	if todo == nil {
		return nil
	}
	defer todo.close()
	c.open[list][level] = nil
	cursor, err := todo.cursor()
	if err != nil {
		return err
	}
	old := c.known[list][level]
	var below *idBelow
	if old != nil {
		known, err := old.cursor()
		if err != nil {
			return err
		}
		below = &idBelow{c: known}
	}
	all := c.set()
	c.known[list][level] = all
	for {
		ids, err := cursor.window(pageWindow, below)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		if err := c.read(ctx, ids, uint8(level), list == 1, lenient); err != nil {
			return err
		}
		for _, id := range ids {
			if err := all.add(id); err != nil {
				return err
			}
		}
	}
	if old == nil {
		return nil
	}
	return all.addAll(old)
}

// addAll adds what other has, and closes it.
func (s *idSet) addAll(other *idSet) error {
	c, err := other.cursor()
	if err != nil {
		return err
	}
	for {
		id, ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			return other.close()
		}
		if err := s.add(id); err != nil {
			return err
		}
	}
}

// read finds what pages of one level refer to, given by ascending IDs: those that
// are not in the memo it reads, each clump once.
func (c *reacher) read(ctx context.Context, ids []blob.ID, level uint8, list, lenient bool) error {
	places, err := c.r.Places(ctx, ids)
	if err != nil {
		return err
	}
	pages := make([]repo.Located, 0, len(ids))
	for i, id := range ids {
		if places[i].Size == 0 {
			if lenient {
				continue
			}
			return fmt.Errorf("reading page %s: %w", id.Short(), repo.ErrMissingPiece)
		}
		at := repo.Located{ID: id, Place: places[i]}
		refs, known := c.memo.get(ref{id, level, true, list})
		if !known {
			pages = append(pages, at)
		} else if err := c.refer(&at, refs); err != nil {
			return err
		}
	}
	var mu sync.Mutex // of c
	return c.r.EachPiece(ctx, pages, func(i int, data []byte, err error) error {
		if err != nil {
			return err
		}
		refs, err := readRefs(data, level)
		if err != nil {
			return fmt.Errorf("page %s: %w", pages[i].ID.Short(), err)
		}
		mu.Lock()
		defer mu.Unlock()
		if c.fresh && c.stop() {
			return errTimeUp
		}
		c.fresh = true
		c.done(1, uint64(len(data)))
		if err := c.memo.put(ref{pages[i].ID, level, true, list}, refs); err != nil {
			return err
		}
		return c.refer(&pages[i], refs)
	})
}

// A ref is what a page refers to: a page, or a piece of a file.
type ref struct {
	id    blob.ID
	level uint8
	page  bool
	list  bool // a page of a list
}

// readRefs returns what a page refers to, in its order.
func readRefs(data []byte, level uint8) (refs []ref, err error) {
	err = snapshot.References(data, level,
		func(id blob.ID, level uint8, list bool) { refs = append(refs, ref{id, level, true, list}) },
		func(id blob.ID) { refs = append(refs, ref{id: id}) })
	return refs, err
}

// refer notes that a page is needed, and what it refers to.
func (c *reacher) refer(page *repo.Located, refs []ref) (err error) {
	c.count(page.ID, &page.Place)
	c.pages++
	for _, r := range refs {
		if r.page {
			err = c.want(r.id, r.level, r.list)
		} else {
			err = c.files.add(r.id)
		}
		if err != nil {
			return fmt.Errorf("page %s: %w", page.ID.Short(), err)
		}
	}
	return nil
}

// pieces looks up the pieces of the files that were found.
func (c *reacher) pieces(ctx context.Context, lenient bool) error {
	cursor, err := c.files.cursor()
	if err != nil {
		return err
	}
	for {
		ids, err := cursor.window(idWindow, nil)
		if err != nil || len(ids) == 0 {
			return err
		}
		places, err := c.r.Places(ctx, ids)
		if err != nil {
			return err
		}
		for i, id := range ids {
			if places[i].Size > 0 {
				c.count(id, &places[i])
			} else if !lenient {
				c.count(id, nil)
			}
		}
	}
}
