package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"restante/cmd/restante/internal/cli"
	"restante/snapshot"
)

// A choice is how the options of a command name one snapshot.
type choice struct {
	snapshot, at, store, host string
}

func (c *choice) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&c.snapshot, "snapshot", "", "the snapshot: an `ID` or its beginning, latest, latest~2")
	fs.StringVar(&c.at, "at", "", "the newest snapshot not later than `TIME`: 2026-11-01, \"2026-11-01 18:30\", \"3 days ago\"")
	c.addFilters(fs)
}

func (c *choice) addFilters(fs *pflag.FlagSet) {
	fs.StringVar(&c.store, "store", "", "only snapshots of the store called `NAME`")
	fs.StringVar(&c.host, "host", "", "only snapshots of the host called `NAME`")
}

// query reads the options.
func (c *choice) query() (cli.Query, error) {
	q := cli.Query{Snapshot: c.snapshot, Store: c.store, Host: c.host}
	if c.at == "" {
		return q, nil
	}
	var err error
	q.At, err = cli.ParseTime(c.at, time.Now())
	return q, err
}

// choose returns the snapshot that the options name, and tells which it is.
func (o *opened) choose(ctx context.Context, out *output, c *choice) (listed, error) {
	q, err := c.query()
	if err != nil {
		return listed{}, err
	}
	all, damaged, err := o.snapshots(ctx)
	if err != nil {
		return listed{}, err
	}
	if len(all) == 0 && damaged > 0 {
		return listed{}, damagedOutcome("selecting a snapshot: there is no sound one", damaged)
	}
	chosen, err := cli.Select(candidates(all), q)
	if err != nil && damaged > 0 && !errors.As(err, new(*cli.UsageError)) {
		return listed{}, damagedOutcome(err.Error(), damaged) // it may be the one that is meant
	}
	if err != nil {
		return listed{}, err
	}
	out.note("%s", chosen)
	return all[slices.IndexFunc(all, func(s listed) bool { return s.id == chosen.ID })], nil
}

// damagedOutcome is the outcome of a command that found no snapshot to work
// on, but damaged ones.
func damagedOutcome(text string, damaged uint64) outcome {
	return outcome{exitDamage, cli.Line(text) + "; " + cli.Count(damaged, "snapshot is", "snapshots are") + " damaged; restante check says what is affected"}
}

// candidates are the snapshots as package cli knows them.
func candidates(all []listed) []cli.Snapshot {
	out := make([]cli.Snapshot, len(all))
	for i, s := range all {
		out[i] = cli.Snapshot{ID: s.id, Store: s.record.Store, Host: s.record.Host, Time: s.record.Started.Go()}
	}
	return out
}

// sortListed puts the oldest first.
func sortListed(all []listed) {
	slices.SortFunc(all, func(a, b listed) int {
		return cmp.Or(a.record.Started.Go().Compare(b.record.Started.Go()), cmp.Compare(a.id, b.id))
	})
}

// tree opens the tree of the snapshot.
func (o *opened) tree(s listed) *snapshot.Tree { return snapshot.OpenTree(o, s.record.Tree) }

// mailboxes opens the mailboxes of the snapshot.
func (o *opened) mailboxes(s listed) *snapshot.Mailboxes {
	return snapshot.OpenMailboxes(o, s.record.Mailboxes)
}
