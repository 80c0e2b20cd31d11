package main

import (
	"context"
	"fmt"

	"restante/backup"
	"restante/cmd/restante/internal/cli"
	"restante/mailstore"
	"restante/storage"
	"restante/storage/local"
)

// A fit finds out whether a first backup fits on the repository's disk. It
// measures the store while the passphrase is tried, which leaves the disk and
// all processors but one idle.
type fit struct {
	minFree uint64 // 0: whether it fits is not asked
	stop    context.CancelFunc
	done    chan struct{} // closed when the two below are set
	size    mailstore.Counts
	err     error
}

// measure begins to measure the store, until stop is called.
func (o *backupOptions) measure(ctx context.Context, store *mailstore.Store) *fit {
	ctx, stop := context.WithCancel(ctx)
	f := &fit{minFree: o.minFree, stop: stop, done: make(chan struct{})}
	if o.dryRun {
		f.minFree = 0
	}
	go func() {
		defer close(f.done)
		if f.minFree > 0 {
			f.size, f.err = store.Size(ctx)
		}
	}()
	return f
}

// errEstimate marks the refusal of a first backup that will not fit.
var errEstimate = fmt.Errorf("%w, it seems", storage.ErrNoSpace)

// check refuses a first backup that cannot fit. The estimate knows little
// of mail that is there more than once, which may be half of it. Later backups
// store what is new only, and how much that is cannot be known before. When the
// store is found locked and tried again, it is checked no more.
func (f *fit) check(ctx context.Context, out *output, r *opened, opts backup.Options, first bool) error {
	if !first {
		f.stop()
	}
	<-f.done
	minFree := f.minFree
	if !first || minFree == 0 || f.err != nil {
		return ctx.Err()
	}
	f.minFree = 0
	free, err := local.Room(r.path)
	if err != nil || uint64(f.size.Bytes)+minFree <= free {
		return err
	}
	need, err := backup.Estimate(ctx, opts.Store, f.size)
	if err != nil || need+minFree <= free {
		return err
	}
	if need/2+minFree <= free {
		out.note("about %s are to be stored and %s are free: it fits if the store holds much mail twice", cli.Size(need), cli.Size(free))
		return nil
	}
	return fmt.Errorf("backing up %q: about %s are to be stored and %s stay free (--min-free), but the repository's disk has %s free: %w",
		opts.Name, cli.Size(need), cli.Size(minFree), cli.Size(free), errEstimate)
}
