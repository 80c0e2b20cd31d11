// Package repair rewrites snapshots of which something is lost in the
// repository, so that each says itself what can be restored of it: a file that can
// no longer be made becomes an entry of kind Unsaved, with the reason and the size
// that it had, and all others stay what they are.
//
// What is lost is found by package verify; repairs of packs and of the index are
// those of package repo.
//
// The order for each snapshot: a session is begun, which refuses to work beside a
// backup of the same store on this machine; the new snapshot is put, with the time,
// store and host of the old one, and the old one's ID; then, if the old one is held, the new one
// is held for the same reason, by the same person and until the same time; then the old one goes.
// A crash leaves both, the old one held, and the next run goes on from there. A hold that is damaged
// counts: the new snapshot is held without an end, for a reason that says so.
//
// A record that cannot be read stays where it is: nobody knows what was in it. Where
// the page of a tree cannot be read, the names on it are lost but for the last,
// which the page above has: it stands for all of them. Where the root cannot be
// read, the root folder stands for all that there was.
package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/verify"
)

// Options say how to repair snapshots.
type Options struct {
	User  string // who runs it, for people
	Force bool   // go on where most packs are gone; see repo.ErrMostGone

	// Total and Done are told of the progress of the check; see verify.Options.
	Total, Done func(objects, bytes uint64)
}

// A Report tells what was done.
type Report struct {
	Snapshots  uint64       `json:"snapshots" doc:"snapshots that there were, damaged ones too"`
	Repaired   []Repaired   `json:"repaired" doc:"those of which something is lost, and what took their place"`
	Unreadable []Unreadable `json:"unreadable" doc:"those whose records cannot be read; they were left alone"`
}

// Repaired is a snapshot that was replaced.
type Repaired struct {
	Old     string `json:"old" doc:"its ID; it is gone, but for a dry run"`
	New     string `json:"new" doc:"the ID of the snapshot in its place, which a dry run has not made"`
	Store   string `json:"store" doc:"the store's name"`
	Host    string `json:"host" doc:"the host's name"`
	Started string `json:"time" doc:"when the backup began, which stays"`
	Lost    Lost   `json:"lost" doc:"what can no longer be restored"`
	Hold    *Hold  `json:"hold,omitempty" doc:"the hold of the old one, which the new one has now; left out for none"`
}

// Unreadable is a snapshot whose record cannot be read.
type Unreadable struct {
	Object string `json:"object" doc:"its name in the storage"`
	Why    string `json:"why" doc:"what is wrong with it"`
}

// Snapshots replaces each snapshot of which something is lost. It needs a key
// that can read, else it returns repo.ErrCannotRead; repo.LockedError says that a
// backup of the store of one of them is at work, repo.ErrMostGone that most packs are not there. Where
// anything cannot be read that may be whole it changes nothing. What it did before an error stands.
func Snapshots(ctx context.Context, r *repo.Repository, opts Options) (*Report, error) {
	if !r.CanRead() {
		return nil, repo.ErrCannotRead
	}
	found, err := verify.Check(ctx, r, verify.Options{Total: opts.Total, Done: opts.Done})
	if err != nil {
		return nil, err
	}
	if found.InDoubt() {
		return nil, r.ErrDoubt()
	}
	for _, f := range found.Findings {
		if f.Unread() {
			return nil, fmt.Errorf("%s: %s; %s", f.Object, f.What, f.Hint)
		}
	}
	if found.MostGone() && !opts.Force {
		return nil, repo.ErrMostGone
	}
	out := &Report{Repaired: []Repaired{}, Unreadable: []Unreadable{}}
	olds, err := read(ctx, r, out)
	if err != nil {
		return nil, err
	}
	instead := map[seal.Session]seal.Session{} // of those that have been replaced, by what
	for _, o := range olds {
		instead[o.record.Repaired] = o.id
	}
	olds = slices.DeleteFunc(olds, func(o old) bool { return !found.Loses(o.id.String()) })
	if olds, err = finish(ctx, r, olds, instead, opts); err != nil {
		return nil, err
	}
	for _, o := range olds {
		repaired, err := replace(ctx, r, found, o, opts)
		if err != nil {
			return nil, fmt.Errorf("repairing snapshot %s: %w", o.id, err)
		}
		if repaired != nil {
			out.Repaired = append(out.Repaired, *repaired)
		}
	}
	return out, nil
}

// finish ends what a run that was interrupted began: snapshots that others have replaced go. It
// returns the rest. It comes before those others may be replaced, so that no hold ends up on one that is gone.
func finish(ctx context.Context, r *repo.Repository, olds []old, instead map[seal.Session]seal.Session, opts Options) (rest []old, err error) {
	for _, o := range olds {
		in, ok := instead[o.id]
		if !ok {
			rest = append(rest, o)
		} else if _, err := retire(ctx, r, o.id, in, opts.User); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// An old is a snapshot that can be read.
type old struct {
	id     seal.Session
	record *snapshot.Snapshot
}

// read reads all snapshots; it notes those that cannot be read.
func read(ctx context.Context, r *repo.Repository, out *Report) (olds []old, err error) {
	err = r.EachSnapshot(ctx, func(o repo.SnapshotObject, err error) error {
		name := string(repo.Snapshots) + "/" + o.ID.String()
		var damage *repo.DamageError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &damage):
			name = damage.Object
		case err != nil:
			return err
		}
		out.Snapshots++
		var record *snapshot.Snapshot
		if err == nil {
			record, err = snapshot.DecodeSnapshot(o.Payload)
		}
		if err != nil {
			out.Unreadable = append(out.Unreadable, Unreadable{name, err.Error()})
			return nil
		}
		olds = append(olds, old{o.ID, record})
		return nil
	})
	return olds, err
}

// replace puts a snapshot in the place of an old one, unless nothing of it is lost.
func replace(ctx context.Context, r *repo.Repository, found *verify.Report, o old, opts Options) (*Repaired, error) {
	root := repo.PageRef{ID: o.record.Tree.ID, Level: o.record.Tree.Level}
	s, err := r.Begin(ctx, repo.SessionOptions{Compression: repo.Default,
		Intent: repo.Intent{Operation: "repair snapshots", Store: o.record.Store, Host: o.record.Host, User: opts.User, Parent: o.id, Root: &root}})
	if err != nil {
		return nil, err
	}
	w, err := s.NewPageWriter()
	var lost *losses
	record := *o.record
	if err == nil {
		rw := &rewriter{r: r, suspect: found.Suspect, builder: snapshot.NewBuilder(w, r.PieceKey()), saver: w}
		lost, err = rw.run(ctx, &record)
	}
	if err == nil {
		err = w.Flush(ctx)
	}
	if err != nil || lost.none() {
		return nil, errors.Join(err, s.Abandon(context.WithoutCancel(ctx)))
	}
	record.Repaired, record.Incomplete = o.id, true
	if err := s.Commit(ctx, func(int64) ([]byte, error) { return record.Encode() }); err != nil {
		if errors.Is(err, repo.ErrClosed) {
			return nil, err
		}
		return nil, errors.Join(err, s.Abandon(context.WithoutCancel(ctx)))
	}
	held, err := retire(ctx, r, o.id, s.ID(), opts.User)
	if err != nil {
		return nil, err
	}
	return &Repaired{Old: o.id.String(), New: s.ID().String(), Store: record.Store, Host: record.Host,
		Started: record.Started.Go().Format("2006-01-02T15:04:05Z07:00"), Lost: lost.result(), Hold: held}, nil
}
