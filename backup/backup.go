// Package backup takes a snapshot of a store: it walks the store, reads what
// changed since the last snapshot, cuts it into pieces, and records the whole.
//
// Data flows one way. One goroutine walks the folders in the order of the
// tree's keys and makes batches of neighbouring paths. What the parent cache
// knows to be unchanged is ready at once; the rest is read by a few workers.
// One recorder takes the batches in the order of the keys, and builds the tree
// and the next parent cache from them. Memory does not grow with the store,
// but for the names of the largest Maildir, for some three bytes for each
// section of the tree, which has 64 paths, and each folder of messages, and for
// some hundred bytes for each file with several names until all of them have
// come, which those outside the store never do.
//
// # What is not read
//
// A file is not read when the parent cache knows its path, and its size, mtime,
// ctime and inode are the same and settled. A time is settled when it lies more
// than two seconds before the start of the run that read the file: within the
// resolution of a file system's clock, a file may change and look the same. An
// mtime after the start of this run was set by hand, and the ctime stands for it.
// Options.Paranoid reads everything: a disk may lose what a file system does not notice.
//
// A message of a Maildir never changes, but its name does with its flags. Its
// content is not read when its Maildir had a message of another name and the
// same base name, size, settled mtime and inode. By the same name another ctime
// is a reason to read it.
//
// A folder of messages, "cur" or "new", is not even listed when it is at rest: its
// own times and those of dovecot-uidlist are those from before it was listed last,
// and all in it was settled then, files with one name, and saved. Whatever comes,
// goes or is renamed in a folder changes its times, so its messages are the
// parent's, and are taken over from there. That holds for file systems of this
// machine; those of servers, with clocks and caches of their own, are listed each
// night. What is done to a message in its place, such as a change of its owner,
// changes no folder: therefore each is listed anew every few days
// (Options.Rescan), some each night, and the snapshot says which were not.
//
// A file from 4 MiB on is read when it changed, but cut only where it did: see
// type grown.
//
// # A store in use
//
// See mailstore.Listing for how a Maildir is listed. A message that is not
// where it was listed is looked for under its base name and recorded as it was
// listed, so that a snapshot shows the flags of the moment of the listing. If
// it is nowhere, it was expunged, which is counted and no error. Folders are
// opened when they are listed, so that one that is renamed is saved as it was
// listed; where there are too many for that, a folder that is gone while
// another has come is an unsaved one. Control files,
// which say what is known of the messages, are read after the messages of their
// Maildir. A file that changes while it is read is read again, up to three
// times.
//
// An mbox is read under a shared lock. A large one would keep the mail server
// waiting, so the lock is only held to see that it did not change, or, when it
// changes each time, for the third reading. A lock that somebody keeps from the
// backup for too long is passed over with a note.
package backup

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"restante/internal/glob"
	"restante/mailstore"
	"restante/repo"
	"restante/snapshot"
)

// Options say what to back up and how.
type Options struct {
	Store       *mailstore.Store
	Name        string // of the store
	Host        string
	User        string // who runs the backup
	Program     string // name and version
	Tags        []string
	Description string

	Exclude     glob.Set
	Skip        []string // folders that are left out wherever they turn up: the program's own
	Jobs        int      // readers; 0 for one a processor
	DryRun      bool     // the storage keeps nothing: leave the caches alone too
	AllowShrink bool
	Paranoid    bool          // read every file, whatever its times say, and cut it by the newest rules
	Rescan      time.Duration // list each folder of messages at least this often, even if it is at rest; 0: each time
	Compression repo.Compression
	MinFree     uint64

	// Ready, if not nil, is called before anything is written. First says that
	// the store has no snapshot that can be read; with a key that cannot read
	// snapshots it is false. Last is the store's newest snapshot, or nil if none can
	// be read. Its error ends the run.
	Ready func(first bool, last *snapshot.Snapshot) error

	CacheDir string
	Progress *Progress    // may be nil
	Notice   func(Notice) // told of each thing that a person should know; called by one goroutine at a time

	// File, if not nil, is told of each file that was read, by one goroutine
	// and in the order of the paths.
	File func(path string, change Change)

	Warn *log.Logger // may be nil

	limits limits                // for tests: zero means the defaults
	hook   func(op, path string) // for tests: see run.event
}

// limits bound memory and waiting, and say how mail is cut.
type limits struct {
	window   int           // batches by which the walk may be ahead of what is recorded
	early    int           // messages in a Maildir's "new" that are read before its "cur"
	lockWait time.Duration // for the lock of an mbox
	lockSize uint64        // up to which an mbox is read under a lock
	settle   time.Duration // how far before a run a file's times must lie to prove anything

	// Which runs of a message become pieces of their own. DESIGN.md has the
	// table behind the figures. They are part of the cutter's version.
	shareText   int // how long a body must be for that: reading a shared one opens a clump of another mailbox
	literalText int // below how many bytes a run between two attachments is kept in the recipe itself

	cutter uint8 // the version that recipes name

	clumpSize int // of [repo.SessionOptions]

	// From how many bytes on a file is read with its former state in mind, and
	// how long the segments of mail are for that. They have no say in the cuts.
	grown       uint64
	segmentSize int64
}

func defaultLimits() limits {
	return limits{
		window: 64, early: 20_000, lockWait: 10 * time.Second, lockSize: 64 << 20, settle: 2 * time.Second,
		shareText: 512, literalText: 512, cutter: repo.CutterVersion, grown: 4 << 20, segmentSize: 1 << 20,
	}
}

// A Change says what a file that was read is, compared to the parent.
type Change string

// The changes.
const (
	New     Change = "new"
	Changed Change = "changed"
	Same    Change = "unchanged" // it had to be read to know
)

// A Notice is something that a person should know of one path.
type Notice struct {
	Path  string // below the store
	Text  string
	Fatal bool // the path could not be saved
}

// Progress is what has been done so far. Its fields may be read at any time.
type Progress struct {
	Files   atomic.Uint64 // recorded, unchanged ones too
	Size    atomic.Uint64 // their bytes
	Bytes   atomic.Uint64 // read
	Stored  atomic.Int64  // written to the repository
	Skipped atomic.Uint64 // files that were not read
}

// A Session names a run and the snapshot that came of it.
type Session [16]byte

// String returns the session as 32 hexadecimal digits.
func (s Session) String() string { return hex.EncodeToString(s[:]) }

// A Result tells what a run did.
type Result struct {
	Session   Session
	Snapshot  snapshot.Snapshot
	First     bool   // no earlier snapshot of the store could be found
	Dropped   string // why nothing was taken over from the last snapshot, though the cache knows it
	Mailboxes int
	Example   string   // the name of one mailbox, for the command that would bring it back
	Unsaved   []Notice // the first of them; Snapshot.Tree.Counts.Unsaved has the number
	Harmed    int      // packs that were found damaged meanwhile: what it did not store because of them may be lost, and the next run stores it
}

// A run is one backup on its way.
type run struct {
	repo     *repo.Repository
	opts     Options
	limits   limits
	progress *Progress
	started  time.Time
	own      map[fileID]bool // folders that are left out
	session  *repo.Session
	parent   *parent // nil if nothing is known of an earlier snapshot
	dropped  string  // why there is none any more
	spare    shelf
	sketches sketches

	// keep is not cancelled by Ctrl-C: what was read is stored, so that the
	// next run need not read it again.
	keep context.Context

	noticeMu sync.Mutex // held while the user's function is called
}

// Run takes a snapshot of the store into the repository. When it is
// interrupted, or fails, there is no snapshot, and what it stored stays for
// the next run to take up. Errors: ShrinkError, repo.LockedError,
// repo.SpaceError, repo.ErrClosed, repo.ErrUnannounced, and those of the storage.
func Run(ctx context.Context, r *repo.Repository, opts Options) (*Result, error) {
	run := newRun(ctx, r, opts)
	// What the record cannot hold is refused now, and not after hours of work.
	record := run.describe()
	if _, err := record.Encode(); err != nil {
		return nil, err
	}
	others := false
	if run.parent, others = openParent(run.parentPath(), run.optionsHash()); others {
		run.dropped = "other files were excluded at the last backup"
	}
	defer func() { run.parent.close() }()
	last, err := run.lastSnapshot(ctx)
	if err != nil {
		return nil, err
	}
	shrink := run.checkShrink(last)
	if shrink != nil && !opts.AllowShrink {
		return nil, shrink
	}
	if opts.Ready != nil {
		if err := opts.Ready(last.none, last.record); err != nil {
			return nil, err
		}
	}
	intent := repo.Intent{Operation: repo.OpBackup, Store: opts.Name, Host: opts.Host, User: opts.User, Parent: run.parent.id(), Root: run.parent.rootPage()}
	run.session, err = r.Begin(ctx, repo.SessionOptions{Intent: intent, Compression: opts.Compression, ClumpSize: run.limits.clumpSize, MinFree: opts.MinFree,
		Workers: run.jobs() + 1}) // and the recorder
	if err != nil {
		return nil, err
	}
	result, err := run.record(ctx, last.parent, shrink != nil)
	if err == nil {
		result.First, result.Dropped = last.none, run.dropped
		return result, nil
	}
	if !errors.Is(err, repo.ErrClosed) {
		if abandon := run.session.Abandon(run.keep); abandon != nil {
			run.warnf("the session could not be ended: %v", abandon)
		}
	}
	return nil, err
}

// jobs returns how many readers there are.
func (run *run) jobs() int {
	if run.opts.Jobs > 0 {
		return run.opts.Jobs
	}
	return runtime.GOMAXPROCS(0)
}

func newRun(ctx context.Context, r *repo.Repository, opts Options) *run {
	run := &run{repo: r, opts: opts, limits: opts.limits, progress: opts.Progress, started: r.Now(), own: ownFolders(opts.Skip), keep: context.WithoutCancel(ctx)}
	if run.progress == nil {
		run.progress = &Progress{}
	}
	if run.limits == (limits{}) {
		run.limits = defaultLimits()
	}
	run.spare = make(shelf, run.limits.window)
	return run
}

// record walks, reads, records and commits. parent is what the parent cache describes, if that is
// known; shrunk says that the store lost most of its mailboxes.
func (run *run) record(ctx context.Context, parent *snapshot.Snapshot, shrunk bool) (*Result, error) {
	if err := run.confirmParent(ctx); err != nil {
		return nil, err
	}
	if run.parent != nil && run.parent.absent != run.session.Absent() {
		// What the parent refers to may have been lost since: everything is read,
		// and what is missing is stored again.
		run.dropParent("what is damaged or missing in the repository is not what it was at the last backup, so something of that may be lost")
	}
	if err := run.checkMarks(ctx, parent); err != nil {
		return nil, err
	}
	cache := run.createParent()
	defer cache.discard()
	rec, err := newRecorder(run, cache)
	if err != nil {
		return nil, err
	}
	if err := run.pipeline(ctx, rec); err != nil {
		if errors.Is(err, errParent) {
			run.forgetParent()
			err = fmt.Errorf("taking over what has not changed: %w; run the backup again, which will read everything", err)
		}
		return nil, err
	}
	result, err := rec.finish(shrunk)
	if err != nil {
		return nil, err
	}
	if err := cache.commit(); err != nil {
		run.warnf("the next backup will read again what this one has read: %v", err)
	}
	if !run.opts.DryRun {
		harmed, err := run.session.Harmed(run.keep)
		if err != nil {
			run.warnf("whether packs were found damaged meanwhile is not known; restante check tells whether the snapshot is whole: %v", err)
		}
		result.Harmed = len(harmed)
		if err := run.sketches.clean(run.parentPath()); err != nil {
			run.warnf("removing what is known of old states of large files: %v", err)
		}
	}
	return result, nil
}

// describe returns the record of the snapshot as far as it is known beforehand.
func (run *run) describe() snapshot.Snapshot {
	o := &run.opts
	return snapshot.Snapshot{
		Store: o.Name, Host: o.Host, User: o.User, Program: o.Program, Tags: o.Tags, Description: o.Description,
		Roots: o.Store.Roots, Layout: o.Store.Format, Excludes: o.Exclude.Patterns(),
		Started: snapshot.TimeOf(run.started), Parent: run.parent.id(),
	}
}

// notice tells a person of something; any goroutine may call it.
func (run *run) notice(n Notice) {
	if run.opts.Notice == nil {
		return
	}
	run.noticeMu.Lock()
	defer run.noticeMu.Unlock()
	run.opts.Notice(n)
}

func (run *run) warnf(format string, args ...any) {
	if run.opts.Warn != nil {
		run.opts.Warn.Printf(format, args...)
	}
}

// event tells a test what happens: a Maildir's messages are "listed", a path is
// about to be looked at by a reader ("reading"), a file is "opened" and about to
// be read, a segment of it was taken over ("took over"), its content has been read
// ("checking"), a path is done with ("read").
func (run *run) event(op string, key snapshot.Key) {
	if run.opts.hook != nil {
		run.opts.hook(op, key.Path())
	}
}
