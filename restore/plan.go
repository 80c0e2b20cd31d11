package restore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"restante/blob"
	"restante/internal/glob"
	"restante/snapshot"
)

// limits bound the memory of a restore. The larger a window is, the less
// often a clump that several mailboxes share is opened again: DESIGN.md has figures.
type limits struct {
	steps int    // entries of a window
	items int    // items in a window's recipes, each piece of a base64 item counted too
	held  uint64 // bytes of pieces that wait for others of their file in memory
}

// The defaults: two windows take about 40 MiB, one at work and one planned.
func defaultLimits() limits { return limits{steps: 16 << 10, items: 64 << 10, held: 12 << 20} }

// The first window is a firstWindow-th of the limit, so that work begins
// soon, and each is twice as large as the one before until they reach it.
const firstWindow = 8

// segmentBytes is the size at which a file is cut into segments. Each is
// put together by itself.
const segmentBytes = 4 << 20

// A window is what is restored in one go.
type window struct {
	steps    []step
	segments []*segment
	ends     []*file // files whose last segment is in this window or before
	needs    []need  // sorted by place after lookUp
	jobs     []job
	ranks    []int // where in jobs the ranks end
	items    int

	// What comes next, so that folders that are done can be finished: the
	// number of a part and a key in it.
	part int
	key  snapshot.Key
	last bool
}

// A step is one entry at its turn.
type step struct {
	part int
	path string
	rec  *snapshot.Record
	file *file // of a file: else nil
	err  error // it cannot be restored: why
}

// weight is what an unusually large entry counts as, in items.
func (s *step) weight() int {
	n := len(s.path) + len(s.rec.Key) + len(s.rec.Entry.Target)
	for _, x := range s.rec.Entry.Xattrs {
		n += len(x.Name) + len(x.Value)
	}
	return n >> 10
}

// A segment is a run of whole items of one file.
type segment struct {
	file     *file
	off      uint64 // in the file
	size     uint64
	literals []snapshot.ItemAt
	base64   []snapshot.ItemAt
	pieces   int // pieces needed

	assembly
}

// A need is one piece at one place of one file.
type need struct {
	id    blob.ID
	place blob.Place // Size as the recipe has it
	off   uint64     // where in the file the bytes go
	seg   *segment
}

// A job is a clump and the window's needs[from:to] that lie in it.
type job struct {
	clump    blob.Clump
	from, to int
}

// rank puts clumps in an order of work. Those of which many pieces are needed
// come first: they hold heads and short texts, which can wait in memory for the
// attachments. Neighbours in rank are worked on in the order of the packs.
func (j *job) rank() int { return -bits.Len(uint(j.to-j.from)) / 2 }

// A planner reads entries and recipes, and makes windows of them.
type planner struct {
	src      Source
	tree     Tree
	parts    []Part
	include  glob.Set // empty for everything
	limits   limits
	compares bool // recipes are needed again, to compare files with them
	shrink   int  // what the limits of the window at hand are divided by

	// Of the run's one planning goroutine:
	out   chan<- *window
	w     *window
	above []step // folders on the way to the entry at hand that are not included themselves, or not yet
}

// run sends windows to out, in order, and closes it. It returns an error when
// planning cannot go on.
func (p *planner) run(ctx context.Context, out chan<- *window) error {
	defer close(out)
	p.out, p.w, p.shrink = out, &window{}, firstWindow
	for i := range p.parts {
		for _, r := range p.parts[i].Ranges {
			if err := p.scan(ctx, i, r); err != nil {
				return err
			}
		}
		p.above = nil
	}
	p.w.last = true
	return p.send(ctx)
}

// scan plans the entries of a range. When the tree is damaged in it, what
// comes after the last good entry is unknown: that is a failure with a name.
func (p *planner) scan(ctx context.Context, part int, r snapshot.Range) error {
	last := r.From
	for rec, err := range p.tree.All(ctx, r) {
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			s := step{part: part, path: p.parts[part].Path(last), rec: &snapshot.Record{Key: last}}
			s.err = fmt.Errorf("reading the entries that follow %q: %w", last.Path(), err)
			return p.add(ctx, s)
		}
		last = rec.Key
		if err := p.entry(ctx, part, &rec); err != nil {
			return err
		}
	}
	return nil
}

// entry plans one entry, and before it the folders above that only now have
// something to hold.
func (p *planner) entry(ctx context.Context, part int, rec *snapshot.Record) error {
	s := step{part: part, path: p.parts[part].Path(rec.Key), rec: rec}
	s.err = checkPath(s.path)
	for n := len(p.above); n > 0 && !snapshot.Subtree(p.above[n-1].rec.Key).Contains(rec.Key); n-- {
		p.above = p.above[:n-1]
	}
	if !p.include.Empty() && !p.include.Match(s.path) {
		if rec.Entry.Kind == snapshot.Dir && s.err == nil {
			p.above = append(p.above, s)
		}
		return nil
	}
	for _, dir := range p.above {
		if err := p.add(ctx, dir); err != nil {
			return err
		}
	}
	p.above = nil
	if s.err == nil && rec.Entry.Kind == snapshot.File {
		return p.file(ctx, s)
	}
	return p.add(ctx, s)
}

// add takes a step into the window, and sends the window before if it is full.
func (p *planner) add(ctx context.Context, s step) error {
	if len(p.w.steps) >= p.limits.steps/p.shrink || p.full() {
		p.w.part, p.w.key = s.part, s.rec.Key
		if err := p.send(ctx); err != nil {
			return err
		}
	}
	p.w.steps = append(p.w.steps, s)
	p.w.items += s.weight()
	return nil
}

// full reports whether the window holds as many items as it may.
func (p *planner) full() bool { return p.w.items >= p.limits.items/p.shrink }

// file plans a file, over several windows if it has very many pieces.
func (p *planner) file(ctx context.Context, s step) error {
	f := newFile(s)
	s.file = f
	if err := p.add(ctx, s); err != nil {
		return err
	}
	b := segmenter{w: p.w, file: f}
	for it, err := range snapshot.Items(ctx, p.src, &s.rec.Entry.Recipe, 0) {
		if err == nil {
			err = b.add(it)
		}
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			f.planErr = fmt.Errorf("reading its recipe: %w", err)
			break
		}
		if p.full() {
			b.flush()
			p.w.part, p.w.key = s.part, s.rec.Key
			if err := p.send(ctx); err != nil {
				return err
			}
			b.w = p.w
		}
	}
	b.flush()
	if !p.compares {
		s.rec.Entry.Recipe = snapshot.Recipe{} // most of what an entry takes
	}
	if f.planErr == nil && b.off != s.rec.Entry.Size {
		f.planErr = fmt.Errorf("%w: its recipe makes %d bytes, its entry says %d", ErrDamaged, b.off, s.rec.Entry.Size)
	}
	p.w.ends = append(p.w.ends, f)
	return nil
}

// send looks the window's pieces up and hands it over.
func (p *planner) send(ctx context.Context) error {
	if err := p.w.lookUp(ctx, p.src); err != nil {
		return err
	}
	select {
	case p.out <- p.w:
		p.w = &window{}
		p.shrink = max(p.shrink/2, 1)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A segmenter cuts one file into segments.
type segmenter struct {
	w    *window
	file *file
	seg  *segment // nil between two segments
	off  uint64   // bytes of the file so far
}

var errRecipe = fmt.Errorf("%w: it is not well formed", ErrDamaged)

func (b *segmenter) add(it snapshot.ItemAt) error {
	n := it.Length()
	if n == 0 || it.Offset != b.off || b.off+n < b.off {
		return errRecipe
	}
	if b.seg == nil {
		b.seg = &segment{file: b.file, off: b.off}
	}
	switch it.Kind {
	case snapshot.PieceItem:
		b.need(it.Piece, it.Offset)
	case snapshot.LiteralItem:
		b.seg.literals = append(b.seg.literals, it)
	case snapshot.Base64Item:
		off := it.Offset + n - it.Base64.Decoded() // the decoded bytes lie at the end of the item's room
		for _, piece := range it.Base64.Pieces {
			b.need(piece, off)
			off += uint64(piece.Size)
		}
		b.seg.base64 = append(b.seg.base64, it)
	}
	b.off += n
	b.seg.size += n
	b.w.items++
	if b.seg.size >= segmentBytes {
		b.flush()
	}
	return nil
}

func (b *segmenter) need(p snapshot.Piece, off uint64) {
	b.seg.pieces++
	b.w.items++
	b.w.needs = append(b.w.needs, need{id: p.ID, off: off, seg: b.seg, place: blob.Place{Size: p.Size}})
}

func (b *segmenter) flush() {
	if b.seg != nil {
		b.w.segments = append(b.w.segments, b.seg)
		b.seg = nil
	}
}

// lookUp finds the places of all pieces with one call and makes the jobs.
func (w *window) lookUp(ctx context.Context, src Source) error {
	slices.SortFunc(w.needs, func(a, b need) int { return bytes.Compare(a.id[:], b.id[:]) })
	var ids []blob.ID
	for i := range w.needs {
		if i == 0 || w.needs[i].id != w.needs[i-1].id {
			ids = append(ids, w.needs[i].id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	places, err := src.Places(ctx, ids)
	if err != nil {
		return fmt.Errorf("looking up %d pieces: %w", len(ids), err)
	}
	if len(places) != len(ids) {
		return fmt.Errorf("looking up %d pieces: %d places came back", len(ids), len(places))
	}
	at := -1
	for i := range w.needs {
		n := &w.needs[i]
		if i == 0 || n.id != w.needs[i-1].id {
			at++
		}
		n.place = n.checkPlace(places[at])
	}
	slices.SortStableFunc(w.needs, comparePlaces)
	for i := range w.needs {
		if i == 0 || w.needs[i].place.Clump != w.needs[i-1].place.Clump {
			w.jobs = append(w.jobs, job{clump: w.needs[i].place.Clump, from: i})
		}
		w.jobs[len(w.jobs)-1].to = i + 1
	}
	slices.SortStableFunc(w.jobs, func(a, b job) int { return cmp.Compare(a.rank(), b.rank()) })
	for i := range w.jobs {
		if i+1 == len(w.jobs) || w.jobs[i+1].rank() != w.jobs[i].rank() {
			w.ranks = append(w.ranks, i+1)
		}
	}
	return nil
}

// checkPlace returns the place, or the zero Place if it cannot be the piece's.
func (n *need) checkPlace(p blob.Place) blob.Place {
	if p.Size != n.place.Size {
		return blob.Place{}
	}
	return p
}

func comparePlaces(a, b need) int {
	if c := bytes.Compare(a.place.Pack[:], b.place.Pack[:]); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.place.Offset, b.place.Offset), cmp.Compare(a.place.Length, b.place.Length),
		cmp.Compare(a.place.Inner, b.place.Inner), bytes.Compare(a.id[:], b.id[:]))
}

// joinTarget returns where a path is, for a person.
func joinTarget(t *target, p string) string {
	if p == "" {
		return t.path
	}
	return strings.TrimSuffix(t.path, "/") + "/" + p
}
