package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/repo"
)

const repairIndexManual = `Make the index say again what is in the packs: index objects that are damaged,
that name packs which are gone, or that say other things than the packs' own
directories, are replaced, and packs that none names are named.

What was in packs that are gone stays lost until a backup stores it again, which
each store's next backup tries: it reads the whole store once. The exit code is 4 if
packs are gone, also where other packs have what was in them: restante check says what
is lost. A key that can only write will do.

If most packs are gone it does nothing: perhaps a disk is not mounted.

Examples:
  restante repair index --dry-run
  restante repair index`

func newRepairIndexCommand(a *app) *cobra.Command {
	return newRepair(a, &cobra.Command{
		Use:               "index",
		Short:             "Make the index say again what is in the packs",
		Long:              repairIndexManual + "\n\n" + jsonHelp(repo.IndexRepair{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}, a.runRepairIndex)
}

func (a *app) runRepairIndex(ctx context.Context, out *output, o *repairOptions, _ []string) error {
	open, err := a.openToRepair(ctx, out, o)
	if err != nil {
		return err
	}
	defer open.Close()
	bar, stop := out.progress("repair")
	defer stop()
	report, err := open.RepairIndex(ctx, o.repairRun(bar))
	stop()
	if err != nil {
		return err
	}
	if out.json {
		err = out.object(report)
	} else {
		err = printIndexRepair(out, report)
	}
	found := len(report.Replaced)+len(report.Gone)+len(report.Unnamed) > 0 || report.Named > 0
	if n := uint64(len(report.Unnamed)); err == nil && n > 0 && !o.dryRun {
		return outcome{exitDamage, cli.Count(n, "pack is", "packs are") + " too damaged to be named; copy them back from another copy of the repository"}
	}
	if n := uint64(len(report.Gone)); err == nil && n > 0 && !o.dryRun {
		return outcome{exitDamage, cli.Count(n, "pack is", "packs are") + " gone: run restante backup, then restante check, which says what stays lost"}
	}
	return o.repaired(out, err, found)
}

func printIndexRepair(out *output, r *repo.IndexRepair) error {
	for _, o := range r.Replaced {
		fmt.Fprintf(out, "%s replaced: %s\n", o.Object, cli.Line(o.Why))
	}
	for _, name := range r.Gone {
		fmt.Fprintf(out, "%s is gone: what was in it is lost, unless another pack has it\n", name)
	}
	for _, o := range r.Unnamed {
		fmt.Fprintf(out, "%s cannot be named: %s\n", o.Object, cli.Line(o.Why))
	}
	_, err := fmt.Fprintf(out, "%s: %s replaced, %s named anew\n", cli.Count(r.Objects, "index object", "index objects"),
		cli.Number(uint64(len(r.Replaced))), cli.Count(r.Named, "pack", "packs"))
	return err
}
