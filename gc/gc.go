// Package gc deletes what no snapshot needs, while backups go on.
//
// The rules by which nothing is lost are part of the format: see "Deleting" in
// package repo. A prune goes by these steps:
//
//  1. It refuses where a snapshot is held and missing. It ends sessions that are dead: their process is
//     gone from this machine, or they were open for so long since this machine saw them first, or the user
//     names them. A tombstone takes the place of their snapshot.
//  2. It lists packs, then snapshots, then sessions, and finds what is needed.
//  3. It marks packs that nothing needed was found in, and packs that are worth
//     rewriting after what is needed of them has been copied.
//  4. It lists snapshots and sessions again, and finds what the new ones need.
//  5. It makes durable what it has listed, and deletes packs under marks: first from the index, then themselves, then
//     the mark. A pack waits until all open sessions have seen its mark, and for
//     the time of grace, so that whoever is reading from it can finish.
//  6. It removes intents of sessions that have ended, takes packs that are gone
//     off the records of damage, and puts small index objects together.
//
// It reads pages, and of packs what it rewrites, but no other data. Of several copies of a
// piece it keeps one: one of which no damage is noted, where there is such. Only a check
// that has read the data notes that, so it comes first.
//
// After any step it can be interrupted; the next prune goes on. One whose time is
// bounded stops while it reads pages, too; what those refer to that it has read is in a file in
// the cache directory then, about as large as the files of IDs below, and the next one does
// not read them again. It goes when a prune comes to its end in time.
//
// # Memory
//
// What is needed is found page by page, each page once. Pages and pieces are
// collected in sets that keep 16 MiB in memory each, and the rest sorted in files of
// the cache directory (32 bytes for each page, and for each piece that a page
// names), a handful of sets at a time. They are looked up in windows of 131,072
// pieces, which the index answers in one pass. What stays in memory is some 300
// bytes for each pack, and what the index itself takes. While packs are rewritten,
// the places of some 524,288 of their pieces at a time (100 MiB), and 32 MiB of
// pieces, come to that.
package gc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage"
)

// The defaults of options.
const (
	DefaultGrace      = 24 * time.Hour
	DefaultExpire     = 7 * 24 * time.Hour
	DefaultMinAgeLeft = 7 * 24 * time.Hour
	DefaultMaxUnused  = 5
)

// maxDamaged is how much of what cannot be read a Report tells.
const maxDamaged = 10

// Options say what may go.
type Options struct {
	User     string // who prunes
	CacheDir string // where this machine keeps its caches of all repositories

	// Grace is how long a pack stays marked at least, since this machine first saw
	// the mark; with 0 it may go in the run that marks it.
	Grace time.Duration
	// MinAge is how long a pack that nothing needs stays unmarked, since this
	// machine first saw that; MinAgeLeft the same for what sessions stored that
	// ended without a snapshot, so that the next backup can go on from there.
	MinAge, MinAgeLeft time.Duration
	// Expire is how long after this machine first saw it a session of another
	// machine is taken for dead. 0 never takes one for dead.
	Expire time.Duration
	// MaxUnused is how much of the repository, in per cent, may be unneeded pieces
	// in packs of which something is needed. While it is more, packs are rewritten.
	MaxUnused float64
	// MaxDuration, unless it is 0, is after how long no further page is read and no further
	// pack rewritten or deleted. Which pages were read is remembered: the next prune goes on.
	MaxDuration time.Duration
	// Drop are sessions that are dead, though nothing is known of them: their IDs, or
	// what these begin with. One whose process lives on this machine is refused.
	Drop   []string
	Force  bool // go on where ErrNoSnapshots stops it
	DryRun bool // only tell what would be done
	// Forgotten are snapshots that count as forgotten in a dry run.
	Forgotten []seal.Session

	// Done, if not nil, is called with the number and bytes of pages that have
	// been read since the last call, and of packs deleted.
	Done func(objects, bytes uint64)

	// Lives tells whether the process of a session lives on this machine; nil for the
	// intent's own method. It is for those whose clients are all one process.
	Lives func(*repo.Intent) bool

	held int // IDs that a set keeps in memory; 0 for the default
}

// A Report is what a prune did. With Options.DryRun it says what it would have
// done.
type Report struct {
	DryRun        bool      `json:"dry_run" doc:"whether nothing was changed"`
	Snapshots     uint64    `json:"snapshots" doc:"snapshots that are kept"`
	Pages         uint64    `json:"pages" doc:"pages of their trees"`
	Packs         uint64    `json:"packs" doc:"packs there were"`
	Bytes         uint64    `json:"bytes" doc:"their size"`
	Needed        uint64    `json:"needed_packs" doc:"packs in which something is needed"`
	Marked        uint64    `json:"marked_packs" doc:"packs that this run marked: from now on they count as not stored"`
	MarkedBytes   uint64    `json:"marked_bytes" doc:"their size"`
	Deleted       uint64    `json:"deleted_packs" doc:"packs that were deleted"`
	DeletedBytes  uint64    `json:"deleted_bytes" doc:"their size: what was freed"`
	Repacked      uint64    `json:"repacked_packs" doc:"packs of which what is needed was written to new ones"`
	RepackedBytes uint64    `json:"repacked_bytes" doc:"size of the new ones"`
	Merged        uint64    `json:"merged_index_objects" doc:"small index objects that others have taken the place of"`
	Unused        uint64    `json:"unused_bytes" doc:"about what is not needed in packs of which something is"`
	Ended         uint64    `json:"ended_sessions" doc:"sessions that were taken for dead and ended"`
	Dead          []Dead    `json:"dead" doc:"which these were, at most 100 of them:"`
	Missing       uint64    `json:"missing_pieces" doc:"pieces of files that snapshots need and no pack has: damage"`
	Damaged       []string  `json:"damaged" doc:"what is damaged of packs that were to be rewritten or deleted, and therefore stays"`
	Full          bool      `json:"full" doc:"whether there was no room to rewrite packs"`
	Stopped       bool      `json:"stopped" doc:"whether it stopped after --max-duration, with work left"`
	Waiting       []Waiting `json:"waiting" doc:"what is not needed and could not be deleted yet, for each reason:"`
}

// A Dead is a session that was taken for dead: it had begun, and no snapshot of it is there.
type Dead struct {
	Session string     `json:"session" doc:"its ID, which its snapshot would have had"`
	What    string     `json:"what" doc:"backup, say; empty, as are the others, if its intent is damaged"`
	Store   string     `json:"store" doc:"the store's name"`
	Host    string     `json:"host" doc:"the machine it ran on"`
	Began   *time.Time `json:"began,omitempty" doc:"when it began"`
}

// maxDead is how many dead sessions a Report names.
const maxDead = 100

func (r *Report) ended(s *repo.OpenSession) {
	r.Ended++
	if len(r.Dead) == maxDead {
		return
	}
	d := Dead{Session: s.ID.String()}
	if i := s.Intent; i != nil {
		began := time.Unix(0, i.Started).UTC()
		d.What, d.Store, d.Host, d.Began = i.Operation, i.Store, i.Host, &began
	}
	r.Dead = append(r.Dead, d)
}

// A Waiting says what waits for one reason.
type Waiting struct {
	Why     string     `json:"why" doc:"grace, age, session or unfinished"`
	Packs   uint64     `json:"packs" doc:"how many packs wait"`
	Bytes   uint64     `json:"bytes" doc:"their size"`
	Until   *time.Time `json:"until,omitempty" doc:"when a prune by this machine will not wait for that any more"`
	Session string     `json:"session,omitempty" doc:"the session that is waited for"`
	Text    string     `json:"text" doc:"the same for a person"`
}

// ErrUnknownSession is returned when a session is to be dropped that is not open,
// or when several begin so.
var ErrUnknownSession = errors.New("it is not one open session's ID, nor the beginning of one's")

// A LivesError is the refusal to drop a session whose process lives on this machine.
type LivesError struct {
	ID     seal.Session
	Intent repo.Intent
}

func (e *LivesError) Error() string {
	return fmt.Sprintf("dropping session %s: it is not dead: %s is at work", e.ID, e.Intent.Where())
}

// Prune deletes from r what no snapshot needs. It needs an owner's key, else it
// returns repo.ErrOwnerOnly. It returns ErrUnknownSession or a LivesError for a session that is not to be
// dropped, and then has done nothing. It returns repo.ErrPruning where another prune began
// meanwhile, and a repo.DamageError, repo.ErrHeldLost among them, repo.ErrMissingPiece or snapshot.ErrDamaged
// when it cannot read what a snapshot needs; then nothing was marked or deleted
// for which that matters. The report is good, too, when the context is done.
func Prune(ctx context.Context, r *repo.Repository, opts Options) (*Report, error) {
	if !r.CanRead() {
		return nil, repo.ErrOwnerOnly
	}
	if opts.Lives == nil {
		opts.Lives = (*repo.Intent).Lives
	}
	p := newPruner(r, opts)
	defer p.close()
	dir := r.CachePath(opts.CacheDir, "prune")
	p.memo = openMemo(filepath.Join(dir, "seen"), p.started)
	err := p.all(ctx, filepath.Join(dir, "pages"))
	if isGone := errors.Is(err, storage.ErrNotFound) || errors.Is(err, repo.ErrMissingPiece); isGone && errors.Is(p.checkTurn(ctx), repo.ErrPruning) {
		err = fmt.Errorf("%w: %w", repo.ErrPruning, err) // which has taken it away
	}
	if !opts.DryRun {
		err = errors.Join(err, p.memo.save())
	}
	return &p.report, err
}

// newPruner returns a pruner without a memo. The caller closes it.
func newPruner(r *repo.Repository, opts Options) *pruner {
	if opts.Done == nil {
		opts.Done = func(uint64, uint64) {}
	}
	p := &pruner{r: r, opts: opts, started: r.Now(), report: Report{DryRun: opts.DryRun, Dead: []Dead{}, Waiting: []Waiting{}, Damaged: []string{}},
		packs: map[blob.ID]*pack{}, roots: map[seal.Session]bool{}, newest: map[store]newest{}}
	p.reach = &reacher{r: r, dir: &folder{parent: r.CachePath(opts.CacheDir, "prune")}, most: cmp.Or(opts.held, maxHeld), count: p.count, done: opts.Done, stop: p.timeUp}
	return p
}

// close removes the files of IDs.
func (p *pruner) close() {
	p.reach.close()
	p.reach.dir.remove()
}

// all prunes. Where its time is bounded it leaves a memo of pages, unless it comes to its end.
func (p *pruner) all(ctx context.Context, memo string) (err error) {
	if p.opts.MaxDuration > 0 && !p.opts.DryRun {
		if p.reach.memo, err = openPageMemo(memo); err != nil {
			return err
		}
	}
	err = p.run(ctx)
	isUp := errors.Is(err, errTimeUp)
	if isUp {
		err = nil // what was not found to be needed was not decided about
	}
	if err == nil && !isUp && !p.opts.DryRun {
		err = errors.Join(p.tidyDamage(ctx), p.mergeIndex(ctx))
	}
	return errors.Join(err, p.reach.memo.close(err == nil && !p.report.Stopped))
}

// A pruner is one prune. It belongs to the goroutine that called Prune.
type pruner struct {
	r       *repo.Repository
	opts    Options
	started time.Time
	report  Report
	memo    *memo
	reach   *reacher

	packs  map[blob.ID]*pack
	roots  map[seal.Session]bool // snapshots whose needs were found
	marks  []uint64              // numbers of the marks that there are
	last   uint64                // the highest number of a mark, 0 if there is none
	open   []*repo.OpenSession   // as last listed
	ended  []seal.Session        // sessions that have ended and still have an intent
	own    []seal.Session        // of this prune, and ended
	newest map[store]newest      // of each store
	tombs  map[seal.Session]bool // sessions that have ended in no snapshot that is there
	spent  map[seal.Session]bool // forgotten snapshots that have been removed
}

// A store is what a snapshot is of, newest the root of the one that began last.
type (
	store  struct{ name, host string }
	newest struct {
		started time.Time
		page    repo.PageRef
	}
)

// A pack is a pack that was listed, or that the index names.
type pack struct {
	size   int64  // as listed; -1: it was not
	named  bool   // by an index object
	needs  uint64 // pieces that are counted to it; those of several walks twice
	bytes  uint64 // their size
	pieces uint32 // as the index says
	mark   uint64 // under which it is, 0 for none
	lost   bool   // the index names it, and it is gone
}

// isThere reports whether there is anything of the pack that has to go with it.
func (k *pack) isThere() bool { return k.size >= 0 || k.named }

func (p *pruner) pack(id blob.ID) *pack {
	k := p.packs[id]
	if k == nil {
		k = &pack{size: -1}
		p.packs[id] = k
	}
	return k
}

func (p *pruner) count(_ blob.ID, at *blob.Place) {
	if at == nil {
		p.report.Missing++
		return
	}
	k := p.pack(at.Pack)
	k.needs++
	k.bytes += uint64(at.Size)
}

func (p *pruner) run(ctx context.Context) error {
	if err := p.readMarks(ctx); err != nil {
		return err
	}
	// First: a tombstone would take the name of the snapshot that is missing, and hide that.
	if err := p.checkHeld(ctx); err != nil {
		return err
	}
	if err := p.endDead(ctx); err != nil {
		return err
	}
	if err := p.listPacks(ctx); err != nil {
		return err
	}
	if err := p.checkSnapshots(ctx); err != nil {
		return err
	}
	if err := p.observe(ctx); err != nil {
		return err
	}
	if err := p.checkMissing(ctx); err != nil {
		return err
	}
	fresh, err := p.choose(ctx)
	if err != nil {
		return err
	}
	if err := p.round(ctx, fresh); err != nil {
		return err
	}
	// Only now: what was deleted has made room.
	moved, some, err := p.repack(ctx)
	if isFull(err) {
		p.report.Full = true // the next prune may find more room
		return nil
	}
	if err != nil || !some {
		return err
	}
	for _, id := range moved {
		p.report.Marked++
		p.report.MarkedBytes += uint64(p.packs[id].size)
	}
	return p.round(ctx, moved)
}

// round marks packs, looks again, deletes what may go, and tidies up.
func (p *pruner) round(ctx context.Context, fresh []blob.ID) error {
	p.report.Waiting = slices.DeleteFunc(p.report.Waiting, func(w Waiting) bool { return w.Why == "grace" || w.Why == "session" })
	if p.opts.DryRun {
		p.take(repo.Mark{Number: p.last + 1, Packs: fresh})
		return p.sweep(ctx)
	}
	begun, err := p.begin(ctx, fresh)
	if err != nil || !begun {
		return err
	}
	if err := p.observe(ctx); err != nil {
		return err
	}
	// What goes is not needed because of what was listed: that has to last.
	if err := p.r.Settle(ctx, ""); err != nil {
		return err
	}
	if err := p.sweep(ctx); err != nil {
		return err
	}
	return p.tidy(ctx)
}

// begin puts a mark of packs, also when there are none but there is something
// to delete or to remove: with its number this prune takes its turn. It reports
// whether there is anything to do.
func (p *pruner) begin(ctx context.Context, fresh []blob.ID) (bool, error) {
	waiting := slices.ContainsFunc(p.marks, func(number uint64) bool { return number < p.last })
	for _, k := range p.packs {
		waiting = waiting || k.isThere() && (k.mark != 0 || k.lost && k.needs == 0)
	}
	if len(fresh) == 0 && !waiting && len(p.ended) == 0 {
		old, err := p.oldTombs(ctx)
		if err != nil {
			return false, err
		}
		lost, err := p.lostForgotten(ctx) // by a prune that did not come to its end
		if err != nil || len(old)+len(p.oldForgotten())+len(lost) == 0 {
			return false, err
		}
	}
	roots := make([]seal.Session, 0, len(p.roots))
	for id := range p.roots {
		roots = append(roots, id)
	}
	slices.SortFunc(roots, func(a, b seal.Session) int { return slices.Compare(a[:], b[:]) })
	for first := true; first || len(fresh) > 0; first = false {
		n := min(len(fresh), repo.MaxMarked)
		m := repo.Mark{Number: p.last + 1, Packs: fresh[:n], Roots: roots}
		if err := p.r.PutMark(ctx, m); err != nil {
			return false, err
		}
		p.take(m)
		fresh = fresh[n:]
	}
	return true, nil
}

// take takes a mark into account.
func (p *pruner) take(m repo.Mark) {
	p.last = max(p.last, m.Number)
	p.marks = append(p.marks, m.Number)
	for _, id := range m.Packs {
		if k := p.pack(id); k.mark == 0 {
			k.mark = m.Number
		}
	}
	p.shun()
}
