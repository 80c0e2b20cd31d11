package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/seal"
)

func newReleaseCommand(a *app) *cobra.Command {
	var stale bool
	var c choice
	cmd := &cobra.Command{
		Use:   "release SNAPSHOT",
		Short: "End the hold of a snapshot",
		Long: `End the hold of a snapshot, so that the rules of restante forget apply to it again.
With --stale the holds that are over are removed, and those of snapshots that are gone,
but not those of snapshots that are missing without having been forgotten: that is
damage, which restante check names. Such a one is given up by its whole ID.
It needs an owner's password or key.

  restante release 3f2a90c1
  restante release --stale`,
		Args:              atMostOneArg("the snapshot"),
		ValidArgsFunction: a.completeSnapshots(false),
		RunE: a.run(func(ctx context.Context, out *output, args []string) error {
			if stale == (len(args) == 1) {
				return cli.Usagef("give a snapshot, or --stale")
			}
			if stale {
				return a.runReleaseStale(ctx, out)
			}
			c.snapshot = args[0]
			return a.runRelease(ctx, out, &c)
		}),
	}
	cmd.Flags().BoolVar(&stale, "stale", false, "remove the holds that are over and those of snapshots that are gone")
	c.addFilters(cmd.Flags())
	return cmd
}

func (a *app) runRelease(ctx context.Context, out *output, c *choice) error {
	o, err := a.openAsOwner(ctx, out)
	if err != nil {
		return err
	}
	defer o.Close()
	id, err := seal.ParseSession(c.snapshot) // in full it may be one that is gone, or damaged
	if err != nil {
		s, err := o.choose(ctx, out, c)
		if err != nil {
			return err
		}
		if id, err = seal.ParseSession(s.id); err != nil {
			return err
		}
	}
	n, err := o.Release(ctx, id)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("releasing snapshot %s: it is not held", id)
	}
	out.note("snapshot %s is no longer held", id)
	return nil
}

func (a *app) runReleaseStale(ctx context.Context, out *output) error {
	o, err := a.openAsOwner(ctx, out)
	if err != nil {
		return err
	}
	defer o.Close()
	records, err := o.holdRecords(ctx, a.now())
	if err != nil {
		return err
	}
	live := map[string]bool{} // snapshots with another hold, which Release would remove too
	for _, r := range records {
		live[r.Snapshot] = live[r.Snapshot] || r.State == holdActive || r.State == holdLost || r.State == holdDamaged
	}
	removed := 0
	for _, r := range records {
		if live[r.Snapshot] {
			continue
		}
		id, err := seal.ParseSession(r.Snapshot)
		if err != nil {
			return err
		}
		n, err := o.Release(ctx, id)
		if err != nil {
			return err
		}
		removed += n
	}
	out.note("%s removed", cli.Count(uint64(removed), "hold is", "holds are"))
	return nil
}
