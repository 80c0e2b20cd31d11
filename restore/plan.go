package restore

import (
	"cmp"
	"context"
	"errors"
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

// The defaults: two windows take about 45 MiB, one at work and one planned.
func defaultLimits() limits { return limits{steps: 20 << 10, items: 80 << 10, held: 6 << 20} }

// segmentBytes is the size at which a file is cut into segments. Each is
// put together by itself.
const segmentBytes = 4 << 20

// A window is what is restored in one go.
type window struct {
	steps    []step
	segments []*segment
	ends     []*file // files whose last segment is in this window or before
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

	lost uint64 // entries that cannot even be named; the path is that of one of them, or of the one before
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
	literals []literal
	base64   []encoded
	pieces   int // pieces needed

	assembly
}

// A literal is a literal item at its offset in the file.
type literal struct {
	off  uint64
	data []byte
}

// An encoded is a base64 item at its offset in the file.
type encoded struct {
	off  uint64
	form *snapshot.Base64
}

// A need is a place in a file where the bytes of a piece go.
type need struct {
	seg *segment
	off uint64 // in the file
}

// A piece is one that a window needs, at one place or at several.
type piece struct {
	id    blob.ID
	inner uint32 // where it lies in the raw bytes of its clump
	size  uint32 // as the recipe has it
	lines bool   // it is needed only to make lines, whose hash proves its bytes too
	needs []need
}

// A job is a clump and the pieces of it that the window needs.
type job struct {
	clump  blob.Clump // zero: the pieces are missing
	pieces []piece    // in the order of the clump
}

// rank puts clumps in an order of work. Those of which many pieces are needed
// come first: they hold heads and short texts, which can wait in memory for the
// attachments. Neighbours in rank are worked on in the order of the packs.
func (j *job) rank() int { return -bits.Len(uint(len(j.pieces))) / 2 }

// plan makes the jobs of a window from its pieces, sorted by place.
func (w *window) plan(found []found) {
	pieces := make([]piece, len(found))
	for i, from := 0, 0; i < len(found); i++ {
		pieces[i] = found[i].piece
		if i+1 == len(found) || found[i+1].place.Clump != found[i].place.Clump {
			w.jobs = append(w.jobs, job{found[i].place.Clump, pieces[from : i+1]})
			from = i + 1
		}
	}
	slices.SortStableFunc(w.jobs, func(a, b job) int { return cmp.Compare(a.rank(), b.rank()) })
	for i := range w.jobs {
		if i+1 == len(w.jobs) || w.jobs[i+1].rank() != w.jobs[i].rank() {
			w.ranks = append(w.ranks, i+1)
		}
	}
}

// A planner reads entries and recipes, and makes windows of them.
type planner struct {
	src      Source
	tree     Tree
	parts    []Part
	include  glob.Set // empty for everything
	limits   limits
	compares bool // recipes are needed again, to compare files with them

	// Of the run's one planning goroutine:
	out   chan<- *window
	w     *window
	wants []want // the pieces of w
	above []step // folders on the way to the entry at hand that are not included themselves, or not yet
}

// run sends windows to out, in order, and closes it. It returns an error when
// planning cannot go on.
func (p *planner) run(ctx context.Context, out chan<- *window) error {
	defer close(out)
	p.out, p.w = out, &window{}
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

// scan plans the entries of a range. Where the tree is damaged, the entries of
// a page are a failure, and those behind it are restored.
func (p *planner) scan(ctx context.Context, part int, r snapshot.Range) error {
	last := r.From
	for rec, err := range p.tree.All(ctx, r) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			err = p.lost(ctx, part, r, last, err)
		} else {
			last = rec.Key
			err = p.entry(ctx, part, &rec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lost plans the failure of entries that cannot be read, which come after
// last. It goes by the path of one of them: the last, if that is known and in the range.
func (p *planner) lost(ctx context.Context, part int, r snapshot.Range, last snapshot.Key, err error) error {
	s := step{part: part, rec: &snapshot.Record{Key: last}, lost: 1, err: fmt.Errorf("reading the list of files: %w", err)}
	one := last
	var gap *snapshot.Gap
	if errors.As(err, &gap) {
		s.lost = gap.Counts.Entries
		if gap.Last != "" && r.Contains(gap.Last) {
			one = gap.Last
		}
	}
	s.path = p.parts[part].Path(one)
	return p.add(ctx, s)
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
	if len(p.w.steps) >= p.limits.steps || p.full() {
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
func (p *planner) full() bool { return p.w.items >= p.limits.items }

// file plans a file, over several windows if it has very many pieces.
func (p *planner) file(ctx context.Context, s step) error {
	f := newFile(s)
	s.file = f
	if err := p.add(ctx, s); err != nil {
		return err
	}
	b := segmenter{p: p, file: f}
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
	pieces, err := lookUp(ctx, p.src, p.wants)
	if err != nil {
		return err
	}
	p.w.plan(pieces)
	p.wants = nil // the window may wait for long
	select {
	case p.out <- p.w:
		p.w = &window{}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A segmenter cuts one file into segments.
type segmenter struct {
	p    *planner
	file *file
	seg  *segment // nil between two segments
	off  uint64   // bytes of the file so far
}

var errRecipe = fmt.Errorf("%w: it is not well formed", ErrDamaged)

func (b *segmenter) add(it snapshot.ItemAt) error {
	n := it.Length()
	if n == 0 || it.Offset != b.off {
		return errRecipe
	}
	if b.seg == nil {
		b.seg = &segment{file: b.file, off: b.off}
	}
	switch it.Kind {
	case snapshot.PieceItem:
		b.want(it.Piece, it.Offset, false)
	case snapshot.LiteralItem:
		b.seg.literals = append(b.seg.literals, literal{it.Offset, it.Literal})
		b.p.w.items += len(it.Literal) >> 8
	case snapshot.Base64Item:
		off := it.Offset + n - it.Base64.Decoded() // the decoded bytes lie at the end of the item's room
		for _, piece := range it.Base64.Pieces {
			b.want(piece, off, true)
			off += uint64(piece.Size)
		}
		b.seg.base64 = append(b.seg.base64, encoded{it.Offset, it.Base64})
	}
	b.off += n
	b.seg.size += n
	b.p.w.items++
	if b.seg.size >= segmentBytes {
		b.flush()
	}
	return nil
}

func (b *segmenter) want(p snapshot.Piece, off uint64, lines bool) {
	b.seg.pieces++
	b.p.w.items++
	b.p.wants = append(b.p.wants, want{id: p.ID, size: p.Size, lines: lines, need: need{b.seg, off}})
}

func (b *segmenter) flush() {
	if b.seg != nil {
		b.p.w.segments = append(b.p.w.segments, b.seg)
		b.seg = nil
	}
}

// joinTarget returns where a path is, for a person.
func joinTarget(t *target, p string) string {
	if p == "" {
		return t.path
	}
	return strings.TrimSuffix(t.path, "/") + "/" + p
}
