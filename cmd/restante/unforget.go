package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/gc"
	"restante/repo"
	"restante/seal"
	"restante/verify"
)

func newUnforgetCommand(a *app) *cobra.Command {
	var filter choice
	cmd := &cobra.Command{
		Use:   "unforget SNAPSHOT",
		Short: "Take a forgotten snapshot back",
		Long: `Take a forgotten snapshot back. That works as long as all that it refers to is there,
which is looked up first: if something is gone, it is said what, and the snapshot stays
forgotten. So it does after a prune that has marked its data for deletion, until one deletes
it, a day later by default (prune --grace); what is marked is stored again then, which takes
time and room. restante snapshots --forgotten lists those that there are. Others than these
cannot be taken back. It needs an owner's password or key.

  restante unforget 3f2a90c1

` + jsonHelp(snapshotInfo{}),
		Args:              exactArgs(1, "the snapshot"),
		ValidArgsFunction: a.completeSnapshots(true),
		RunE: a.run(func(ctx context.Context, out *output, args []string) error {
			filter.snapshot = args[0]
			return a.runUnforget(ctx, out, &filter)
		}),
	}
	filter.addFilters(cmd.Flags())
	return cmd
}

func (a *app) runUnforget(ctx context.Context, out *output, c *choice) error {
	o, err := a.openAsOwner(ctx, out)
	if err != nil {
		return err
	}
	defer o.Close()
	s, err := o.chooseForgotten(ctx, out, c)
	if err != nil {
		return err
	}
	id, err := seal.ParseSession(s.id)
	if err != nil {
		return err
	}
	root := repo.PageRef{ID: s.record.Tree.ID, Level: s.record.Tree.Level}
	intent := repo.Intent{Store: s.record.Store, Host: s.record.Host, User: userName(), Root: &root}
	err = o.Unforget(ctx, id, intent, func(session *repo.Session) error {
		if err := gc.Rescue(ctx, o.Repository, session, s.record, o.cache); err != nil {
			return err
		}
		gone, err := verify.Complete(ctx, o.Repository, session, s.record)
		if err == nil && !gone.None() {
			err = goneError(s.id, gone)
		}
		return err
	})
	if err != nil {
		return err
	}
	if out.json {
		s.forgotten = nil
		return out.object(s.info())
	}
	out.note("snapshot %s is listed again", s.id)
	return nil
}

// chooseForgotten returns the forgotten snapshot that is meant.
func (o *opened) chooseForgotten(ctx context.Context, out *output, c *choice) (listed, error) {
	all, failed := o.readableForgotten(ctx, out)
	if failed != nil && !errors.As(failed, new(outcome)) {
		return listed{}, failed
	}
	if len(all) == 0 {
		return listed{}, errors.Join(errors.New("selecting a snapshot: none is forgotten"), failed)
	}
	q, err := c.query()
	if err != nil {
		return listed{}, err
	}
	chosen, err := cli.Select(candidates(all), q)
	if err != nil {
		return listed{}, fmt.Errorf("among the forgotten ones: %w", err)
	}
	out.note("%s", chosen)
	for _, s := range all {
		if s.id == chosen.ID {
			return s, nil
		}
	}
	return listed{}, fmt.Errorf("snapshot %s is gone", chosen.ID)
}

// goneError says what a snapshot lacks.
func goneError(id string, gone *verify.Gone) error {
	var parts []string
	if n := gone.Files.Count; n > 0 {
		names := make([]string, len(gone.Files.First))
		for i, name := range gone.Files.First {
			names[i] = fmt.Sprintf("%q", name)
		}
		more := ""
		if gone.Files.More {
			more = "more than "
		}
		parts = append(parts, fmt.Sprintf("content of %s%s (%s)", more, cli.Count(n, "file", "files"), strings.Join(names, ", ")))
	}
	if gone.Unlisted > 0 {
		parts = append(parts, "the list of "+cli.Count(gone.Unlisted, "file", "files"))
	}
	if gone.Names {
		parts = append(parts, "the list of mailboxes")
	}
	return fmt.Errorf("snapshot %s stays forgotten, as the repository no longer has all of it; missing: %s", id, strings.Join(parts, ", "))
}
