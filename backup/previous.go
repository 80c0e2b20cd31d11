package backup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"restante/blob"
	"restante/mailstore"
	"restante/repo"
	"restante/snapshot"
	"restante/verify"
)

// A previous is what is known of the newest snapshot of this store.
type previous struct {
	none      bool               // there is none, as far as can be known
	record    *snapshot.Snapshot // nil if it cannot be read
	parent    *snapshot.Snapshot // that which the parent cache describes; nil likewise
	mailboxes int
	byRoot    []int // of Store.Roots; nil if it had other roots, or only one
	leftOut   int   // snapshots that could not be read; the newest may be among them
}

// lastSnapshot tells of the newest snapshot of this store. It drops the parent
// cache when the snapshot that it describes is gone: what the cache refers to
// may go with it. A key that cannot read snapshots goes by the parent cache alone.
func (run *run) lastSnapshot(ctx context.Context) (last previous, err error) {
	objects, err := run.repo.Snapshots(ctx, run.opts.Warn)
	if errors.Is(err, repo.ErrCannotRead) {
		if run.parent != nil {
			last.mailboxes = int(run.parent.mailboxes)
		}
		return last, nil
	}
	if err != nil {
		return last, err
	}
	var newest *snapshot.Snapshot
	listed := false
	for _, o := range objects {
		s, err := snapshot.DecodeSnapshot(o.Payload)
		if [16]byte(o.ID) == run.parent.id() {
			listed, last.parent = true, s
		}
		if err != nil || s.Store != run.opts.Name || s.Host != run.opts.Host {
			continue
		}
		if newest == nil || !s.Started.Go().Before(newest.Started.Go()) {
			newest = s
		}
	}
	if !listed {
		run.dropParent(parentGone)
	}
	if newest == nil {
		last.none, last.leftOut = true, run.repo.LeftOut()
		return last, nil
	}
	last.record = newest
	last.mailboxes = int(newest.Mailboxes.Counts.Entries)
	last.byRoot, err = run.countByRoot(ctx, newest)
	return last, err
}

// countByRoot counts the mailboxes that a snapshot has in each of the roots.
func (run *run) countByRoot(ctx context.Context, s *snapshot.Snapshot) ([]int, error) {
	paths := run.opts.Store.Roots
	if len(paths) < 2 || !slices.Equal(paths, s.Roots) {
		return nil, nil
	}
	roots, err := rootsOf(paths)
	if err != nil {
		return nil, err
	}
	counts := make([]int, len(paths))
	for m, err := range snapshot.OpenMailboxes(run.repo, s.Mailboxes).All(ctx) {
		if err != nil {
			run.warnf("the mailboxes of the last snapshot cannot be counted: %v", err)
			return nil, nil
		}
		for _, root := range roots {
			in := snapshot.Subtree(root.key)
			if slices.ContainsFunc(m.Ranges, func(r snapshot.Range) bool { return in.Contains(r.From) }) {
				counts[root.index]++
			}
		}
	}
	return counts, nil
}

// A ShrinkError says that a store lost most of its mailboxes, as one does
// whose disk is not mounted.
type ShrinkError struct {
	Root        string // the path that lost them; "" for the store as a whole
	Before, Now int    // mailboxes
	Unreadable  int    // snapshots that could not be read; then Before is not known

	Denied []mailstore.Unreadable // what of the store could not be read: mailboxes may be in it
}

func (e *ShrinkError) Error() string {
	if len(e.Denied) == 0 {
		return e.lost()
	}
	return fmt.Sprintf("%s; %d of its folders cannot be read, the first is %q: %v", e.lost(), len(e.Denied), e.Denied[0].Path, e.Denied[0].Err)
}

func (e *ShrinkError) lost() string {
	what := "the store"
	if e.Root != "" {
		what = e.Root
	}
	if e.Unreadable > 0 {
		return fmt.Sprintf("%s has no mailbox, and what it had before cannot be known: %d snapshots cannot be read", what, e.Unreadable)
	}
	if e.Before == 1 {
		return fmt.Sprintf("%s had 1 mailbox and now has %d", what, e.Now)
	}
	return fmt.Sprintf("%s had %d mailboxes and now has %d", what, e.Before, e.Now)
}

// checkShrink returns a ShrinkError if the store, or one of its roots, has
// fewer than half of the mailboxes that it had.
func (run *run) checkShrink(last previous) *ShrinkError {
	e := run.shrunk(last)
	if e != nil {
		e.Denied = run.opts.Store.Unreadable
	}
	return e
}

func (run *run) shrunk(last previous) *ShrinkError {
	store := run.opts.Store
	now := len(store.Mailboxes)
	if now == 0 && last.leftOut > 0 {
		return &ShrinkError{Unreadable: last.leftOut}
	}
	if last.mailboxes > 0 && 2*now < last.mailboxes {
		return &ShrinkError{Before: last.mailboxes, Now: now}
	}
	for i, before := range last.byRoot {
		now := 0
		for _, m := range store.Mailboxes {
			if slices.ContainsFunc(m.Places, func(p mailstore.Place) bool { return p.Root == i }) {
				now++
			}
		}
		if before > 0 && 2*now < before {
			return &ShrinkError{Root: store.Roots[i], Before: before, Now: now}
		}
	}
	return nil
}

// confirmParent drops the parent cache unless its snapshot is still there, and
// not forgotten. It is called after the session's intent has been put, which keeps
// what the parent refers to from being removed.
func (run *run) confirmParent(ctx context.Context) error {
	if run.parent == nil {
		return nil
	}
	listed, err := run.repo.Listed(ctx, [16]byte(run.parent.id()))
	if err == nil && !listed {
		run.dropParent(parentGone)
	}
	return err
}

// checkMarks drops the parent cache if its snapshot needs something that a prune is about to
// delete. Where marks do not tell, as of one that was made beside the prune, the pages of
// the snapshot do, if the key may read them: that costs what its tree does, and not what the store does.
func (run *run) checkMarks(ctx context.Context, parent *snapshot.Snapshot) error {
	if run.parent == nil || run.session.MayBuildOn(run.parent.session, run.parent.marks) {
		return nil
	}
	if parent != nil && run.repo.CanRead() {
		gone, err := verify.Complete(ctx, run.repo, run.session, parent)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && gone.None() {
			return nil
		}
	}
	run.dropParent("a prune is about to delete packs, of which the last backup needs some or may need some")
	return nil
}

// parentGone is why a parent cannot be used whose snapshot is not listed.
const parentGone = "the snapshot of the last backup is gone, forgotten or damaged"

// dropParent does without the parent cache, if there is one.
func (run *run) dropParent(why string) {
	if run.parent != nil {
		run.dropped = why
	}
	run.parent.close()
	run.parent = nil
}

// parentPath returns the folder of the parent cache of the store and host. Other
// machines' caches of stores with these names are elsewhere.
func (run *run) parentPath() string {
	store := blob.NewHasher(run.repo.PieceKey()).Sum([]byte(run.opts.Host), []byte{0}, []byte(run.opts.Name))
	return run.repo.CachePath(run.opts.CacheDir, filepath.Join("parents", store.String()[:16]))
}

// optionsHash covers the options that decide what a snapshot holds. After a
// change of them everything is read anew. Of the folders to skip those count that lie in
// the store: where a repository beside it is mounted changes nothing.
func (run *run) optionsHash() blob.ID {
	outside := func(path string) bool { // of a relative one that is not known
		return filepath.IsAbs(path) && !slices.ContainsFunc(run.opts.Store.Roots, func(root string) bool { return within(path, root) })
	}
	skipped := slices.DeleteFunc(slices.Clone(run.opts.Skip), outside)
	var b []byte
	for _, p := range slices.Concat(run.opts.Exclude.Patterns(), []string{""}, skipped) {
		b = append(binary.AppendUvarint(b, uint64(len(p))), p...)
	}
	return blob.NewHasher(run.repo.PieceKey()).Sum(b)
}
