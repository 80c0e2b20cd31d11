package repo

import (
	"cmp"
	"context"
	"slices"

	"restante/blob"
)

// pageBatch is how many bytes of pages are looked up at a time.
const pageBatch = 1 << 20

// A PageWriter takes the pages of a tree into a Session. It saves many at a time, and
// beside its caller, who makes the next ones meanwhile. Neighbours that are saved one
// after the other lie side by side. It serves one goroutine; a session may have several.
type PageWriter struct {
	s      *Session
	hasher *blob.Hasher
	clumps *gatherer

	next  *pageSet      // gathers
	saved *pageSet      // is being saved
	done  chan struct{} // closed when that is done, and err is set
	err   error
}

// NewPageWriter returns a PageWriter of the session.
func (s *Session) NewPageWriter() (*PageWriter, error) {
	clumps, err := newGatherer(s.opts.Compression, s.opts.ClumpSize, s.addClump)
	if err != nil {
		return nil, err
	}
	w := &PageWriter{s: s, hasher: blob.NewHasher(s.r.keys.ID), clumps: clumps, next: &pageSet{}, saved: &pageSet{}, done: make(chan struct{})}
	close(w.done)
	return w, nil
}

// SavePage stores data as a page, unless the repository or the session has it, and
// returns its ID. The bytes are the caller's again when it returns. What hinders it
// may be told by a later call. The page is durable only after Flush and Commit.
func (w *PageWriter) SavePage(ctx context.Context, data []byte) (blob.ID, error) {
	if err := checkPiece(blob.Page, data); err != nil {
		return blob.ID{}, err
	}
	id := w.hasher.Sum(data)
	w.next.add(id, data)
	if len(w.next.raw) < pageBatch {
		return id, nil
	}
	return id, w.turn(ctx)
}

// Flush hands everything saved so far to the session's packs.
func (w *PageWriter) Flush(ctx context.Context) error {
	if err := w.turn(ctx); err != nil {
		return err
	}
	if <-w.done; w.err != nil {
		return w.err
	}
	return w.clumps.closeFrom(ctx, 1)
}

// turn has what was gathered saved, once what was gathered before is.
func (w *PageWriter) turn(ctx context.Context) error {
	if <-w.done; w.err != nil {
		return w.err
	}
	w.next, w.saved = w.saved, w.next
	done := make(chan struct{})
	w.done = done
	w.s.pages.Go(func() {
		defer close(done)
		if w.err = w.save(ctx, w.saved); w.err != nil {
			w.s.fail(w.err) // some were claimed, and others rely on that
		}
	})
	return nil
}

// save stores the pages of a set that nobody has yet, in the order in which they came, and empties it.
func (w *PageWriter) save(ctx context.Context, p *pageSet) error {
	if err := p.claim(w.s.claim); err != nil {
		return err
	}
	for _, page := range p.pages {
		if !page.first {
			continue
		}
		if err := w.clumps.add(ctx, blob.Page, page.id, p.raw[page.begin:page.end]); err != nil {
			return err
		}
	}
	p.raw, p.pages = p.raw[:0], p.pages[:0]
	return nil
}

// A pageSet has pages that nobody has looked up yet, in the order in which they came.
type pageSet struct {
	raw   []byte
	pages []newPage
	order []int32 // of pages, by their IDs
}

type newPage struct {
	id         blob.ID
	begin, end int  // in raw
	first      bool // nobody had it
}

func (p *pageSet) add(id blob.ID, data []byte) {
	begin := len(p.raw)
	p.raw = append(p.raw, data...)
	p.pages = append(p.pages, newPage{id: id, begin: begin, end: len(p.raw)})
}

// claim finds out which of the pages nobody has yet. It asks in the order of their IDs: each
// look-up finds what it needs of the index's tables, their filters above all, where the one
// before has left it, in the processor's caches and in this process's memory.
func (p *pageSet) claim(claim func(blob.ID) (bool, error)) (err error) {
	p.order = p.order[:0]
	for i := range p.pages {
		p.order = append(p.order, int32(i))
	}
	slices.SortFunc(p.order, func(a, b int32) int {
		return cmp.Or(p.pages[a].id.Compare(p.pages[b].id), cmp.Compare(a, b))
	})
	for _, i := range p.order {
		page := &p.pages[i]
		if page.first, err = claim(page.id); err != nil {
			return err
		}
	}
	return nil
}
