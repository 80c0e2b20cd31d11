package main

import (
	"cmp"
	"context"
	"slices"

	"restante/blob"
	"restante/diff"
	"restante/message"
	"restante/repo"
	"restante/snapshot"
)

// A comparison is what changed between two snapshots.
type comparison []change

// A change is one that belongs to somebody.
type change struct {
	diff.Change
	mailbox, folder             string
	mailboxBefore, folderBefore string // of what is in both snapshots
}

// compare finds out what changed. With damage the changes are those that can
// be known, and its error says so.
func (o *opened) compare(ctx context.Context, out *output, filter choice, args []string) (comparison, error) {
	a, b := filter, filter
	a.snapshot, b.snapshot = args[0], args[1]
	before, err := o.choose(ctx, out, &a)
	if err != nil {
		return nil, err
	}
	after, err := o.choose(ctx, out, &b)
	if err != nil {
		return nil, err
	}
	if x, y := before.record, after.record; x.Store != y.Store || x.Host != y.Host {
		out.warn("these are snapshots of two stores: %q on %q, %q on %q", x.Store, x.Host, y.Store, y.Host)
	}
	ranges := []snapshot.Range{{}}
	if len(args) > 2 {
		if ranges, err = o.rangesIn(ctx, before, after, args[2]); err != nil {
			return nil, err
		}
	}
	var damage error // the first; the changes are then those that can be known
	failed := func(err error) bool {
		if err != nil && isLocal(ctx, err) {
			damage = cmp.Or(damage, err)
			return false
		}
		return err != nil
	}
	ownersBefore, err := diff.OwnersOf(ctx, o.mailboxes(before))
	if failed(err) {
		return nil, err
	}
	ownersAfter, err := diff.OwnersOf(ctx, o.mailboxes(after))
	if failed(err) {
		return nil, err
	}
	changes, err := diff.Between(ctx, o.tree(before), o.tree(after), ranges, blob.NewHasher(o.PieceKey()))
	if failed(err) {
		return nil, err
	}
	if err := diff.Within(ctx, headReader{o}, changes); failed(err) {
		return nil, err
	}
	return newComparison(changes, ownersBefore, ownersAfter), damage
}

// A headReader is a repository as [diff.Within] reads it.
type headReader struct{ *opened }

// MessageIDs implements [diff.Source].
func (r headReader) MessageIDs(ctx context.Context, heads []blob.ID) ([]string, error) {
	places, err := r.Places(ctx, heads)
	if err != nil {
		return nil, err
	}
	pieces := make([]repo.Located, len(heads))
	for i := range heads {
		pieces[i] = repo.Located{ID: heads[i], Place: places[i]}
	}
	ids := make([]string, len(heads))
	err = r.EachPiece(ctx, pieces, func(i int, data []byte, err error) error {
		if err == nil { // else the message came or went, as far as anybody knows
			ids[i] = message.EnvelopeOf(data).MessageID
		}
		return nil
	})
	return ids, err
}

// rangesIn returns where a mailbox or a folder lies in either snapshot. It may
// be missing in one of them.
func (o *opened) rangesIn(ctx context.Context, before, after listed, query string) ([]snapshot.Range, error) {
	var all []snapshot.Range
	var failed error
	found := false
	for _, s := range []listed{after, before} {
		ranges, err := o.findRanges(ctx, s, query)
		if err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		all, found = append(all, ranges...), true
	}
	if !found {
		return nil, failed
	}
	return union(nil, all), nil
}

func newComparison(changes []diff.Change, before, after *diff.Owners) comparison {
	c := comparison{} // never nil
	for _, d := range changes {
		x := change{Change: d}
		if d.After != nil {
			x.mailbox, x.folder = after.Of(d.After.Key)
		} else {
			x.mailbox, x.folder = before.Of(d.Before.Key)
		}
		if d.Before != nil && d.After != nil {
			x.mailboxBefore, x.folderBefore = before.Of(d.Before.Key)
		}
		c = append(c, x)
	}
	slices.SortStableFunc(c, func(x, y change) int {
		return cmp.Or(nobodyLast(x.mailbox, y.mailbox), cmp.Compare(x.folder, y.folder))
	})
	return c
}

// nobodyLast orders mailboxes by name, and what belongs to nobody behind them.
func nobodyLast(a, b string) int {
	if a == "" || b == "" {
		return cmp.Compare(b, a)
	}
	return cmp.Compare(a, b)
}

// sums adds up by mailbox, in the order of their names.
func (c comparison) sums() (names []string, sums map[string]*diff.Sums) {
	sums = map[string]*diff.Sums{}
	of := func(name string) *diff.Sums {
		if sums[name] == nil {
			sums[name] = &diff.Sums{}
			names = append(names, name)
		}
		return sums[name]
	}
	for i := range c {
		x := &c[i]
		of(x.mailbox).Add(&x.Change)
		if x.Kind == diff.Moved && x.mailboxBefore != x.mailbox {
			of(x.mailboxBefore).Moved++
		}
	}
	slices.SortFunc(names, nobodyLast)
	return names, sums
}
