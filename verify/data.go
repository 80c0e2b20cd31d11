package verify

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"restante/blob"
	"restante/repo"
)

// readers is how many packs are read at once: a disk likes to be read from few
// places, and a reader takes up to 30 MiB.
const readers = 2

// A packResult is what reading a pack showed.
type packResult struct {
	id    blob.ID
	check *repo.PackCheck
	err   error // of the check itself
}

// A dataReader reads packs from beginning to end: those that the options ask
// for, until the time is up.
type dataReader struct {
	opts   *Options
	report *Report
	begun  time.Time
	sizes  map[blob.ID]int64 // of the packs that are there
	check  func(ctx context.Context, id blob.ID, size int64, read func(n int64)) (*repo.PackCheck, error)
	took   func(packResult) // is told of each, one at a time
}

func (d *dataReader) run(ctx context.Context) error {
	h := loadHistory(d.opts.History)
	ids, bytes := h.choose(d.sizes, d.opts.Subset)
	d.opts.Total(uint64(len(ids)), bytes)
	err := d.each(ctx, ids, func(res packResult) {
		d.report.PacksRead++
		d.report.BytesRead += uint64(d.sizes[res.id])
		h.when[res.id] = 0
		if len(res.check.Damage) == 0 {
			h.when[res.id] = d.opts.now().Unix()
		}
		d.took(res)
	})
	// What was read before an interruption was read.
	if failed := h.save(func(id blob.ID) bool { _, there := d.sizes[id]; return there }); failed != nil {
		d.report.note("the next check will not know which packs this one has read: %v", failed)
	}
	if at := h.oldest(d.sizes); !at.IsZero() {
		d.report.Verified = at.Format(time.RFC3339)
	}
	return err
}

// late reports whether no further pack is to be begun.
func (d *dataReader) late() bool {
	return d.opts.MaxDuration > 0 && d.opts.now().Sub(d.begun) >= d.opts.MaxDuration
}

// each reads the packs, some at once, and tells took of them one at a time.
func (d *dataReader) each(ctx context.Context, ids []blob.ID, took func(packResult)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo, results := make(chan blob.ID), make(chan packResult)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(todo)
		for _, id := range ids {
			if d.late() {
				return
			}
			select {
			case todo <- id:
			case <-ctx.Done():
				return
			}
		}
	})
	for range readers {
		wg.Go(func() {
			for id := range todo {
				check, err := d.check(ctx, id, d.sizes[id], func(n int64) { d.opts.Done(0, uint64(n)) })
				d.opts.Done(1, 0)
				results <- packResult{id, check, err}
			}
		})
	}
	go func() { // ends before the loop below does
		wg.Wait()
		close(results)
	}()
	var first error
	for res := range results {
		if res.err != nil {
			first = cmp.Or(first, res.err)
			cancel()
			continue
		}
		took(res)
	}
	return cmp.Or(first, ctx.Err())
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}
