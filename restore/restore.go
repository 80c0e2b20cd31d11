// Package restore brings entries of a snapshot back as files in a folder, bit
// for bit and with their metadata.
//
// # How it goes
//
// The entries are taken in windows, in the order of their keys. The pieces
// that a window needs are looked up in one sorted call, grouped by the clump
// they lie in, and each clump is fetched and opened once for the window, by
// several workers. Clumps with many pieces of the window come first, and among
// those with about as many, those that lie first in their packs. Every piece
// is checked against its keyed ID, but for those of which only lines are made:
// the hash of the lines proves both. While one window is written the next is
// planned.
//
// Pieces wait in memory for the others of their file, which is put together
// when the last one comes. When the file is large or memory is short they wait
// in its temporary file, at the right offsets. The lines of a base64 item are
// made from the decoded bytes when the last of them has come: these lie at the
// end of the item's room, so the encoder can run forward over it in place. A recipe is read as it is needed, so neither
// the size of a file nor that of the snapshot is one of memory.
//
// # What is promised
//
// A file has its final name only when it is whole and has its metadata: it is
// written without a name, or under a temporary one in the same folder. Long runs
// of zeros become holes. Folders get
// their metadata when all below them is done. Nothing is synced: after a crash
// of the machine [Options.Resume] compares what is there by content.
//
// Nothing outside the target is written or changed, whatever the repository
// says and whoever changes the target meanwhile: every folder is opened by its
// name in the one above, and no symbolic link is followed.
//
// What cannot be restored costs only the files that need it; each is named.
//
// Hard links are kept: the first file of a group is given a further name in a
// folder ".restante-…" of the target, which later ones are linked to, and
// which is removed at the end.
package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"slices"
	"strings"

	"restante/blob"
	"restante/internal/glob"
	"restante/snapshot"
)

// ErrExists is returned by Run, which then has done nothing, when something
// is where it was to restore to and no option says what to do about it.
var ErrExists = errors.New("it is there already")

// ErrDamaged marks the failure of an entry that the repository cannot give
// back: a piece is missing, or is not what the recipe says.
var ErrDamaged = errors.New("damaged in the repository")

// A Source hands out what a repository holds. Its methods are called by
// several goroutines at once.
type Source interface {
	snapshot.Loader // pages of long recipes

	// Places looks up pieces by ids, sorted and without repeats. A piece that
	// is not there has the zero Place.
	Places(ctx context.Context, ids []blob.ID) ([]blob.Place, error)

	// Clump returns the raw bytes of a clump, in the memory of buf if that
	// has the room, else in new memory, which is the caller's.
	Clump(ctx context.Context, buf []byte, c blob.Clump) ([]byte, error)

	// Elsewhere returns a piece from another place than at, where it could not be
	// read because of cause, which it returns if that is the only one. The bytes
	// are not to be changed.
	Elsewhere(ctx context.Context, id blob.ID, at blob.Place, cause error) ([]byte, error)
}

// A Tree hands out the entries of a snapshot in the order of their keys.
// [snapshot.Tree] is one.
type Tree interface {
	All(ctx context.Context, r snapshot.Range) iter.Seq2[snapshot.Record, error]
}

// A Part says which entries are restored and where they go. No two parts may
// lead to the same folder below the target.
type Part struct {
	Ranges []snapshot.Range // not overlapping

	// Path returns where an entry goes: a path relative to the target with "/"
	// between its elements, or "" for the target itself. It keeps the order
	// and the nesting of keys. A path that leads out of the target is refused.
	Path func(snapshot.Key) string
}

// Options say how to restore. The zero value, with Parts and a Target,
// restores into a folder that has nothing in the way.
type Options struct {
	Target string // folder; made if it is not there
	Parts  []Part

	// Include restricts the restore to entries whose path below the target
	// matches one of these patterns of package glob, and all below them. The
	// folders above come along.
	Include []string

	// Overwrite replaces files that are there. Resume does so too, but leaves
	// those whose size, time and content are the entry's already, and brings
	// their other metadata in line. Neither puts a file in the place of a
	// folder, or a folder in that of anything else. With either, what a killed
	// restore left behind is removed.
	Overwrite, Resume bool

	NoOwner bool // do not try to set owners
	SELinux bool // set SELinux labels too
	Verify  bool // read each file again before it gets its name
	Workers int  // number of clumps opened at once; 0 means one per processor, at most 8

	// Progress, if not nil, is called with what is done so far. Warn, if not
	// nil, is called with each thing that could not be restored (those are in
	// Result.Failed too, up to a limit) or set (not owners that this user may
	// not set). Calls do not overlap.
	Progress func(Progress)
	Warn     func(path string, err error)

	hook   func(op, path string) error // for tests: see target
	limits limits                      // for tests: zero means the defaults
}

// Progress is how far a restore has come. Skipped files count too.
type Progress struct {
	Files uint64
	Bytes uint64 // of Files, and of large files in work
}

// A Failure is an entry that was not restored.
type Failure struct {
	Path string // below the target
	Err  error
}

// maxFailures bounds Result.Failed: a snapshot may have millions of files.
const maxFailures = 10_000

// A Result says what a restore did.
type Result struct {
	Files   uint64 // written, hard links included
	Bytes   uint64 // in Files; a hard link adds nothing
	Skipped uint64 // files found identical
	Folders uint64
	Nodes   uint64 // symbolic links, FIFOs, sockets, devices

	Failed       []Failure // the first 10,000; of entries that a damaged page lists, one for all
	Failures     uint64    // all; of a page at the edge of a range, also those that are not in it
	OwnersNotSet uint64    // entries whose owner this user may not set
	NotSet       uint64    // entries that lack other metadata, or are a copy instead of a hard link
}

// Run restores. key is the repository's ID key.
//
// It returns an error when it could not go on: ErrExists, the target cannot
// be used, its disk is full, the index cannot be read, or ctx ended. The
// Result then says what was done before, and no file is there in part. Single
// things that could not be restored are no error, but in the Result.
func Run(ctx context.Context, src Source, tree Tree, key blob.Key, opts Options) (Result, error) {
	include, err := glob.New(opts.Include)
	if err != nil {
		return Result{}, err
	}
	if opts.Workers <= 0 {
		opts.Workers = min(runtime.GOMAXPROCS(0), 8)
	}
	if opts.limits == (limits{}) {
		opts.limits = defaultLimits()
	}
	if err := os.MkdirAll(opts.Target, 0o700); err != nil {
		return Result{}, fmt.Errorf("making target %q: %w", opts.Target, err)
	}
	t, err := newTarget(opts.Target, opts.hook)
	if err != nil {
		return Result{}, err
	}
	defer t.close()
	parts := sortRanges(opts.Parts)
	if !opts.Overwrite && !opts.Resume {
		if err := refuse(ctx, t, tree, parts); err != nil {
			return Result{}, err
		}
	}
	p := &planner{src: src, tree: tree, parts: parts, include: include, limits: opts.limits, compares: opts.Resume || opts.Verify}
	r := newRunner(src, key, opts, t)
	err = r.run(ctx, p)
	return r.result, err
}

// sortRanges returns parts with their ranges in the order of keys: a folder
// is finished when the keys have gone past it.
func sortRanges(parts []Part) []Part {
	out := slices.Clone(parts)
	for i := range out {
		out[i].Ranges = slices.Clone(out[i].Ranges)
		slices.SortFunc(out[i].Ranges, func(a, b snapshot.Range) int {
			return strings.Compare(string(a.From), string(b.From))
		})
	}
	return out
}

// refuse returns ErrExists if something is where the first entry of a range
// is to go. An empty folder may be there.
func refuse(ctx context.Context, t *target, tree Tree, parts []Part) error {
	for i := range parts {
		for _, r := range parts[i].Ranges {
			for rec, err := range tree.All(ctx, r) {
				if err != nil {
					continue // the planner will meet it again
				}
				p := parts[i].Path(rec.Key)
				if checkPath(p) != nil {
					break
				}
				if err := refusePath(t, p); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

func refusePath(t *target, p string) error {
	free, err := freePath(t, p)
	if err == nil && !free {
		err = fmt.Errorf("restoring to %q: %w (choose another target, or say whether to overwrite or to resume)", joinTarget(t, p), ErrExists)
	}
	return err
}

// freePath reports whether nothing is at p but perhaps an empty folder. The
// target itself may hold the folder "lost+found" of a new file system.
func freePath(t *target, p string) (bool, error) {
	if p == "" {
		return freeRoot(t)
	}
	dir, name := split(p)
	above, err := t.acquire(dir, false)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer t.release(above)
	st, ok, err := above.stat(name)
	if err != nil || !ok {
		return !ok, err
	}
	if st.kind != snapshot.Dir {
		return false, nil
	}
	f, err := t.acquire(p, false)
	if err != nil {
		return false, err
	}
	defer t.release(f)
	return f.empty()
}

// freeRoot reports whether nothing is in the target but perhaps the folder
// "lost+found", empty or closed to this user.
func freeRoot(t *target) (bool, error) {
	const lost = "lost+found"
	found := errors.New("not empty")
	err := t.root.do("reading folder", ".", func() error {
		return t.root.h.each(func(name string) error {
			if name == lost {
				return nil
			}
			return found
		})
	})
	if errors.Is(err, found) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	free, err := freePath(t, lost)
	if errors.Is(err, fs.ErrPermission) {
		return true, nil // what cannot be looked into is not overwritten either
	}
	return free, err
}
