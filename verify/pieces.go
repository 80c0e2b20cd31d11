package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"restante/blob"
	"restante/repo"
	"restante/snapshot"
)

// maxWindow is how many pieces are looked up at once: some 20 MiB.
const maxWindow = 1 << 17

// A window holds pieces that are to be looked up, and the files that need them.
type window struct {
	needs []need
	files []file
}

// A need is one piece of one file.
type need struct {
	id   blob.ID
	size uint32
	file uint32 // in the window
}

// A file is a file, and the page that its entry is on.
type file struct {
	key  snapshot.Key
	leaf blob.ID
}

// A doubt is a need in a pack that is damaged.
type doubt struct {
	id    blob.ID
	place blob.Place
	file  file
}

// need takes a piece into the window, and looks the pieces up when it is full.
func (c *checker) need(ctx context.Context, f file, p snapshot.Piece) error {
	w := &c.window
	if n := len(w.files); n == 0 || w.files[n-1] != f {
		w.files = append(w.files, f)
	}
	w.needs = append(w.needs, need{p.ID, p.Size, uint32(len(w.files) - 1)})
	if len(w.needs) < c.opts.window {
		return nil
	}
	return c.lookUp(ctx)
}

// lookUp looks the window's pieces up, and empties it.
func (c *checker) lookUp(ctx context.Context) error {
	w := &c.window
	var doubts []doubt
	c.needed += len(w.needs)
	err := lookUp(ctx, c.r.Places, w.needs, func(n need, at blob.Place) {
		if at.Size == 0 {
			c.lacking++
		}
		f, isDoubt := c.judge(n, at)
		switch {
		case isDoubt:
			doubts = append(doubts, doubt{n.id, at, w.files[n.file]})
		case f != nil:
			c.hurt(f, w.files[n.file])
		}
	})
	if err != nil {
		return err
	}
	clear(w.files)
	w.needs, w.files = w.needs[:0], w.files[:0]
	return c.prove(ctx, doubts)
}

// lookUp sorts needs and calls fn for each with its place, of which places tells: all
// are looked up at once, which makes that a merge with the index.
func lookUp(ctx context.Context, places func(context.Context, []blob.ID) ([]blob.Place, error), needs []need, fn func(need, blob.Place)) error {
	slices.SortFunc(needs, func(a, b need) int { return a.id.Compare(b.id) })
	ids := make([]blob.ID, 0, len(needs))
	for i := range needs {
		if i == 0 || needs[i].id != needs[i-1].id {
			ids = append(ids, needs[i].id)
		}
	}
	found, err := places(ctx, ids)
	if err != nil {
		return err
	}
	at := 0
	for _, n := range needs {
		if n.id != ids[at] {
			at++
		}
		fn(n, found[at])
	}
	return nil
}

// judge returns the finding because of which a piece cannot be read, if there
// is one, or that reading it has to show.
func (c *checker) judge(n need, at blob.Place) (f *finding, isDoubt bool) {
	if at.Size == 0 {
		return c.lacks(n.id), false
	}
	p := c.packs[at.Pack]
	switch {
	case p == nil: // it came meanwhile
		return nil, false
	case p.size < 0:
		return p.suspect, false
	case at.Size != n.size:
		f := c.find(repo.PackName(at.Pack))
		f.tell(fmt.Sprintf("piece %s has %d bytes in the index, and %d in a snapshot", n.id.Short(), at.Size, n.size))
		return f, false
	}
	return nil, p.suspect != nil
}

// prove reads pieces in damaged packs.
func (c *checker) prove(ctx context.Context, doubts []doubt) error {
	pieces := make([]repo.Located, len(doubts))
	for i, d := range doubts {
		pieces[i] = repo.Located{ID: d.id, Place: d.place}
	}
	lost := make([]bool, len(doubts))
	var mu sync.Mutex // of findings
	err := c.r.EachPiece(ctx, pieces, func(i int, _ []byte, err error) error {
		var u *repo.UnreadableError
		if errors.As(err, &u) { // what is there may be whole
			mu.Lock()
			defer mu.Unlock()
			c.find(u.Object).flaw(err)
			return nil
		}
		lost[i] = err != nil
		return nil
	})
	if err != nil {
		return err
	}
	for i, d := range doubts {
		if lost[i] {
			c.hurt(c.packs[d.place.Pack].suspect, d.file)
		}
	}
	return nil
}

// hurt notes that a file cannot be read.
func (c *checker) hurt(f *finding, file file) {
	c.strike(file.leaf, f)
	c.lose(f, file.key)
}

// strike notes that on a page, or below it, something is lost.
func (c *checker) strike(page blob.ID, f *finding) {
	if !slices.Contains(c.hit[page], f) {
		c.hit[page] = append(c.hit[page], f)
	}
}
