// Package verify checks that a repository is what its writers stored, and says
// of everything that is not what is lost by it.
//
// It goes by these steps, of which the later ones use what the earlier found:
//
//  1. All objects are listed: snapshots first, then the index, then the rest,
//     so that of a backup that ends meanwhile no snapshot is seen whose index
//     objects and packs are not. Names must be such as the repository gives;
//     configs, key files, intents, forgotten records and holds are opened.
//     Snapshots that are forgotten are of no account; one that is held, and neither
//     there nor forgotten, is lost.
//  2. Every index object is opened. The packs that it names must be there, with
//     the size that it says and a header of the right kind.
//  3. If asked to, packs are read from beginning to end; see
//     [repo.Repository.CheckPack]. Their directories must list the same pieces at
//     the same places as the index. Where not all are read, those come first
//     that were not read for longest, as far as this machine remembers.
//  4. Every snapshot is opened, and of its tree every page, each but once
//     however many snapshots share it, and with each leaf the lists of its long
//     recipes. Every piece that a recipe names must be
//     in the index with the size that the recipe says. Pieces are looked up in
//     windows, sorted, which bounds the memory and makes the look-up a merge.
//     Pieces in packs that the steps before found damaged are read, so that of
//     a damaged pack only that counts as lost which cannot be read, there or
//     wherever else it lies.
//  5. For what is lost, the snapshots and mailboxes that it belongs to are
//     looked up, going down only to pages above it.
//  6. Which packs are damaged is noted in the repository, unless that is not
//     wanted or not possible, so that backups store again what was there. A pack
//     that is noted is read in step 3, and its note goes when it is found whole.
//
// A prune or a repair that runs beside a check takes away objects that the check
// has listed, and puts others in their place before. So what seems to be damage
// counts only if of all that was listed nothing has gone until the end of step 5. Else steps 1, 2, 4 and 5 are done anew, a few times
// at most: what the last time shows is told, whatever goes on meanwhile.
//
// A damaged index object is left out of the index, and so are the pieces that
// only it names.
//
// A snapshot that nobody holds, an intent or the newest config that was deleted is not missed:
// no other object names it.
//
// [Complete] is a check of one snapshot that may have lost what it refers to.
//
// With a key that cannot read, steps 4 and 5 are left out and clumps are not
// opened: names, headers, signatures and the hashes of packs are checked.
// [CheckWithoutKey] goes without any: it compares bytes with names.
package verify

import (
	"cmp"
	"context"
	"time"

	"restante/blob"
	"restante/repo"
	"restante/snapshot"
)

// Options say how to check.
type Options struct {
	ReadData bool // read packs from beginning to end: all of them, but for what Subset and MaxDuration say
	Subset   Subset
	// MaxDuration, if not 0, is how long after its beginning the check begins to
	// read another pack. What it has begun, and all that is no pack, it ends.
	MaxDuration time.Duration
	NoMark      bool // write nothing: do not note in the repository which packs are damaged
	// History is the path of the file in which the check remembers when packs were
	// read, so that those come first that were not for longest; "" for none. It is
	// a cache: nothing but the order is lost with it.
	History string
	// Total, if not nil, is called when it is known how many objects and bytes
	// there are to read: the packs with ReadData, else that is not known.
	Total func(objects, bytes uint64)
	// Done, if not nil, is called with what has been read since the last call.
	// Several goroutines call it.
	Done func(objects, bytes uint64)

	window int              // pieces looked up at once; 0 for the default
	now    func() time.Time // nil for the clock
}

// A Report is what a check found.
type Report struct {
	Objects   uint64    `json:"objects" doc:"objects in the repository"`
	Packs     uint64    `json:"packs" doc:"how many of them are packs"`
	Snapshots uint64    `json:"snapshots" doc:"snapshots, damaged ones too"`
	Pages     uint64    `json:"pages" doc:"pages of snapshots that were read"`
	Pieces    uint64    `json:"pieces" doc:"pieces that the index names"`
	BytesRead uint64    `json:"bytes_read" doc:"bytes of objects and of pages that were read"`
	ReadData  bool      `json:"read_data" doc:"whether packs were read from beginning to end"`
	PacksRead uint64    `json:"packs_read" doc:"how many were"`
	Verified  string    `json:"verified,omitempty" doc:"every pack was read and found whole after this time; left out when one never was, as far as this machine remembers"`
	Marked    uint64    `json:"marked" doc:"packs that are noted in the repository as damaged; backups store again what was there"`
	LookedAt  []string  `json:"looked_at,omitempty" doc:"without a key: the folders of which names do not tell whether objects are what was stored"`
	Findings  []Finding `json:"findings" doc:"what is damaged, an object each; none: the repository is sound"`
	Notes     []string  `json:"notes" doc:"what is odd, but no damage"`

	losing   map[string]bool  // snapshots of which something is lost
	manyLose bool             // not all of them are known
	suspects map[blob.ID]bool // packs in which pieces are only there if they can be read
	mostGone bool
	inDoubt  bool
}

// InDoubt reports whether something only seems to be damaged, or lost, as far as is known: it is
// signed with a key that may be named in the newest config, which is damaged.
func (r *Report) InDoubt() bool { return r.inDoubt }

// MostGone reports whether most of what snapshots need is not there: most of the packs that
// the index names, all packs, or, where the index does not name them and no repair took away what
// had them, most roots of trees or most pieces of files.
func (r *Report) MostGone() bool { return r.mostGone }

// Loses reports whether something of a snapshot is lost, or may be where very
// many snapshots have lost something.
func (r *Report) Loses(snapshotID string) bool { return r.manyLose || r.losing[snapshotID] }

// Suspect reports whether a piece that the index places in the pack is only there
// if it can be read.
func (r *Report) Suspect(pack blob.ID) bool { return r.suspects[pack] }

// Check checks the repository. Damage is in the report; an error means that
// the check could not be done.
func Check(ctx context.Context, r *repo.Repository, opts Options) (*Report, error) {
	opts.fill()
	reads := &readings{packs: map[blob.ID]reading{}, sums: repo.NewTallier()}
	for n := 1; ; n++ {
		c := newChecker(r, opts)
		c.reads, c.sums = reads, reads.sums
		again, err := c.run(ctx, n == rounds)
		c.close()
		if err == nil && again {
			err = r.EachPack(ctx, func(blob.ID, uint32) {}) // brings the index up to date
		}
		if err != nil {
			return nil, err
		}
		if !again {
			return c.finish(), nil
		}
	}
}

// rounds is how often a check is done at most because something went meanwhile.
const rounds = 4

func newChecker(r *repo.Repository, opts Options) *checker {
	return &checker{
		r: r, close: func() {}, opts: opts, report: Report{ReadData: opts.ReadData, Findings: []Finding{}, Notes: []string{}},
		names: map[string]bool{}, listed: map[string]bool{}, index: map[blob.ID]int64{}, keys: map[blob.ID]bool{}, packs: map[blob.ID]*pack{},
		findings: map[string]*finding{}, missing: map[blob.ID]bool{},
		seen: map[blob.ID]bool{}, hit: map[blob.ID][]*finding{}, maps: map[snapshot.Root]*finding{},
		hasher: blob.NewHasher(r.PieceKey()), keep: maxKept,
		begun: opts.now(),
	}
}

// run does one check. It reports whether it has to be done again, because what
// seems to be damaged may only have gone: never if it is the last.
func (c *checker) run(ctx context.Context, last bool) (again bool, err error) {
	for _, step := range []func(context.Context) error{c.objects, c.held, c.indexes, c.present, c.readPacks, c.known, c.trees, c.attribute} {
		if err = step(ctx); err != nil {
			break
		}
	}
	if (err != nil || len(c.findings) > 0) && !last && ctx.Err() == nil {
		gone, failed := c.vanished(ctx)
		if gone {
			return true, nil
		}
		err = cmp.Or(err, failed)
	}
	if err != nil {
		return false, err
	}
	if err := c.mark(ctx); err != nil {
		return false, err
	}
	return false, c.copies(ctx)
}

// fill sets what was left out.
func (o *Options) fill() {
	none := func(uint64, uint64) {}
	if o.Total == nil {
		o.Total = none
	}
	if o.Done == nil {
		o.Done = none
	}
	if o.now == nil {
		o.now = time.Now
	}
	o.window = cmp.Or(o.window, maxWindow)
}

// A checker is one check. It belongs to the goroutine that called Check.
type checker struct {
	r      *repo.Repository
	close  func() // ends what indexes began
	opts   Options
	begun  time.Time
	report Report

	reads *readings

	names     map[string]bool   // of all objects that were listed
	listed    map[string]bool   // names of the snapshots that there were at the beginning
	index     map[blob.ID]int64 // index objects and their sizes
	keys      map[blob.ID]bool  // key files that are there
	packs     map[blob.ID]*pack
	snapshots []tree // that can be read
	forgotten uint64 // snapshots
	spare     uint64 // packs that no index object names
	wentAway  bool   // a repair took a pack away that had lost pieces

	sums     *repo.Tallier
	hasher   *blob.Hasher
	findings map[string]*finding // by object
	broken   []*finding          // of index objects that cannot be opened
	missing  map[blob.ID]bool    // pieces that are needed and not in the index, up to maxNamed
	needed   int                 // pieces that files need, those of each page once
	lacking  int                 // how many of them are not in the index
	keep     int                 // how many more keys all findings together may keep

	seen   map[blob.ID]bool           // pages, and what their parents say of them
	hit    map[blob.ID][]*finding     // pages that cannot be read, or with files that cannot
	maps   map[snapshot.Root]*finding // of mailboxes that were read, with what damaged them
	window window
}

// A pack is a pack that is there, or that an index object names.
type pack struct {
	size  int64 // as listed; -1: it is not there
	names []naming
	read  bool         // from beginning to end
	note  *repo.Damage // that reading it showed
	blind bool         // reading it showed no directory
	// suspect, if not nil, is why pieces in the pack are only there if they
	// can be read.
	suspect *finding
}

// A naming is what one index object says of a pack.
type naming struct {
	index blob.ID
	tree  bool
	size  uint32
	tally repo.Tally
}

// A tree is what a snapshot whose record was read holds.
type tree struct {
	id              string // of the snapshot
	root, mailboxes snapshot.Root
}

// read counts what was read but for whole packs, beside which it is little.
func (c *checker) read(objects, bytes uint64) {
	c.report.BytesRead += bytes
	if !c.opts.ReadData {
		c.opts.Done(objects, bytes)
	}
}
