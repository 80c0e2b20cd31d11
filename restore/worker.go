package restore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"restante/blob"
)

// A worker is one of the goroutines that work on a window.
type worker struct {
	r     *runner
	ctx   context.Context
	h     *blob.Hasher
	buf   []byte // scratch
	whole []byte // for a segment
	mem   []byte // for clumps
	lineMaker

	file *file    // whose temporary file is open
	out  *outFile // that file
}

// parallel calls fn for all numbers from 0 on, each on some worker, and returns
// when all are done or ctx has ended. The numbers come in ranks, which end
// before the numbers in ends; no worker begins a rank while there is work
// in the one before. In a rank each worker has a run of numbers of its own and then
// helps with the others': neighbours make files in one folder, where two
// workers would wait for each other.
func (r *runner) parallel(ctx context.Context, ends []int, fn func(k *worker, i int)) {
	if len(ends) == 0 {
		return
	}
	workers := max(1, min(ends[len(ends)-1], len(r.workers)))
	next := make([]atomic.Int64, workers*len(ends)) // of each run
	var working sync.WaitGroup
	for own := range workers {
		working.Go(func() {
			k := r.workers[own]
			k.ctx = ctx
			defer k.closeFile()
			first := 0
			for rank, end := range ends {
				n := end - first
				for j := range workers {
					run := (own + j) % workers
					from, to := first+n*run/workers, first+n*(run+1)/workers
					k.run(&next[rank*workers+run], from, to, fn)
				}
				first = end
			}
		})
	}
	working.Wait()
}

// run calls fn for the numbers from next of the run [from, to) on.
func (k *worker) run(next *atomic.Int64, from, to int, fn func(k *worker, i int)) {
	for k.ctx.Err() == nil {
		i := from + int(next.Add(1)) - 1
		if i >= to {
			return
		}
		fn(k, i)
	}
}

// round writes the files of a window that pick chooses.
func (r *runner) round(ctx context.Context, w *window, pick func(*file) bool) {
	var last []func(*worker)
	for _, s := range w.segments {
		s.live, s.left = pick(s.file), s.pieces
		if !s.live {
			continue
		}
		s.file.left.Add(1)
		if s.pieces == 0 {
			last = append(last, func(k *worker) { k.finish(s, part{off: s.off}) })
		}
	}
	for _, f := range w.ends {
		if !pick(f) {
			continue
		}
		if f.planErr != nil {
			r.fail(f, f.planErr)
		} else if f.left.Add(-1) == 0 {
			last = append(last, func(k *worker) { k.complete(f) })
		}
	}
	r.parallel(ctx, w.ranks, func(k *worker, i int) { k.job(&w.jobs[i]) })
	r.parallel(ctx, []int{len(last)}, func(k *worker, i int) { last[i](k) })
	r.held.Store(0) // what was held for files that failed
}

// live reports whether any file of this round needs the clump.
func (j *job) live() bool {
	return slices.ContainsFunc(j.pieces, func(p piece) bool { return p.live() })
}

func (p *piece) live() bool {
	return slices.ContainsFunc(p.needs, func(n need) bool { return n.live() })
}

func (n *need) live() bool { return n.seg.live && !n.seg.file.failed() }

var errMissing = fmt.Errorf("%w: it is missing", ErrDamaged)

// job fetches a clump and hands out its pieces.
func (k *worker) job(j *job) {
	if !j.live() {
		return
	}
	var raw []byte
	err := errMissing
	if j.clump != (blob.Clump{}) {
		raw, err = k.r.src.Clump(k.ctx, k.mem, j.clump)
		if cap(raw) > cap(k.mem) {
			k.mem = raw
		}
	}
	for i := range j.pieces {
		k.piece(j.clump, raw, err, &j.pieces[i])
	}
}

// piece checks one piece and hands it to all that need it; they are done with
// it when piece returns. err says why its clump could not be had.
func (k *worker) piece(c blob.Clump, raw []byte, err error, p *piece) {
	var data []byte
	if err == nil {
		data, err = k.cut(c, raw, p)
	}
	if err != nil && c != (blob.Clump{}) && p.live() {
		data, err = k.elsewhere(c, p, err)
	}
	for i := range p.needs {
		n := &p.needs[i]
		switch {
		case k.ctx.Err() != nil || !n.live():
		case err != nil:
			k.r.fail(n.seg.file, fmt.Errorf("reading piece %s: %w", p.id.Short(), err))
		default:
			k.put(n, data)
		}
	}
}

// elsewhere returns the bytes of a piece that cannot be read in its clump.
func (k *worker) elsewhere(c blob.Clump, p *piece, cause error) ([]byte, error) {
	data, err := k.r.src.Elsewhere(k.ctx, p.id, blob.Place{Clump: c, Inner: p.inner, Size: p.size}, cause)
	if err == nil && len(data) != int(p.size) {
		return nil, fmt.Errorf("%w: it has %d bytes, not %d", ErrDamaged, len(data), p.size)
	}
	return data, err
}

// cut returns the bytes of a piece. They are checked against its ID, but for
// those of which lines are made, whose hash is checked then.
func (k *worker) cut(c blob.Clump, raw []byte, p *piece) ([]byte, error) {
	end := uint64(p.inner) + uint64(p.size)
	if end > uint64(len(raw)) {
		return nil, fmt.Errorf("%w: its clump at %d of pack %s ends before it does", ErrDamaged, c.Offset, c.Pack.Short())
	}
	data := raw[p.inner:end:end]
	if !p.lines && k.h.Sum(data) != p.id {
		return nil, fmt.Errorf("%w: the clump at %d of pack %s holds other bytes", ErrDamaged, c.Offset, c.Pack.Short())
	}
	return data, nil
}
