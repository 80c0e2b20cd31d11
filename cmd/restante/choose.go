package main

import (
	"cmp"
	"context"
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
	all, err := o.snapshots(ctx)
	if err != nil {
		return listed{}, err
	}
	candidates := make([]cli.Snapshot, len(all))
	for i, s := range all {
		candidates[i] = cli.Snapshot{ID: s.id, Store: s.record.Store, Host: s.record.Host, Time: s.record.Started.Go()}
	}
	chosen, err := cli.Select(candidates, q)
	if err != nil {
		return listed{}, err
	}
	out.note("%s", chosen)
	return all[slices.IndexFunc(all, func(s listed) bool { return s.id == chosen.ID })], nil
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
