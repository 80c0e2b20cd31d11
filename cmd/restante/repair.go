package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/repo"
	"restante/storage"
	"restante/storage/dryrun"
)

const repairManual = `Repair a damaged repository. Run restante check --read-data first: it says what is
damaged and what is lost by it, and notes it in the repository.

What can be done, in this order:
  1. Copy objects that are damaged or gone back from another copy of the repository.
  2. restante repair index, if objects in index/ are damaged or gone, or packs gone.
  3. restante backup of each store: it stores again what the mail store still has.
  4. restante repair packs, which saves what is intact in damaged packs.
  5. restante repair snapshots, which lists as lost what cannot be restored.

Each may run beside backups, and again after an interruption.`

func newRepairCommand(a *app) *cobra.Command {
	cmd := group(&cobra.Command{Use: "repair", Short: "Repair a damaged repository", Long: repairManual})
	cmd.AddCommand(newRepairIndexCommand(a), newRepairPacksCommand(a), newRepairSnapshotsCommand(a))
	return cmd
}

// repairOptions are options of the commands that repair.
type repairOptions struct{ dryRun, force bool }

// newRepair makes c a command that repairs as run does.
func newRepair(a *app, c *cobra.Command, run func(context.Context, *output, *repairOptions, []string) error) *cobra.Command {
	var o repairOptions
	c.RunE = a.run(func(ctx context.Context, out *output, args []string) error { return run(ctx, out, &o, args) })
	c.Flags().BoolVarP(&o.dryRun, "dry-run", "n", false, "say what would be done, change nothing")
	c.Flags().BoolVar(&o.force, "force", false, "go on although most of what snapshots need is gone")
	return c
}

// openToRepair opens the repository. In a dry run what is written goes nowhere.
func (a *app) openToRepair(ctx context.Context, out *output, o *repairOptions) (*opened, error) {
	if !o.dryRun {
		return a.open(ctx, out, nil)
	}
	return a.open(ctx, out, func(s storage.Store) storage.Store { return dryrun.New(s) })
}

// needOwner refuses a key that cannot read; why says what it would have to read for.
func (o *opened) needOwner(why string) error {
	if o.CanRead() {
		return nil
	}
	return fmt.Errorf("this key can write backups and not read them, and %s needs an owner's: run it where the password or an owner's key file is", why)
}

// repairRun is what repairs of the index and of packs have in common.
func (o *repairOptions) repairRun(bar *cli.Progress) repo.RepairOptions {
	return repo.RepairOptions{User: userName(), Force: o.force, Progress: bar.Add}
}

// repaired ends the printing of a repair: with what a dry run would have done
// there is something to do, which its exit code says.
func (o *repairOptions) repaired(out *output, err error, found bool) error {
	if err == nil && o.dryRun && found {
		return outcome{exitDamage, "there is something to repair; nothing was changed"}
	}
	if err == nil && !found && !out.json {
		_, err = fmt.Fprintln(out, "there is nothing to repair")
	}
	return err
}
