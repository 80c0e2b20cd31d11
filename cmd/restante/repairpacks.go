package main

import (
	"context"
	"fmt"
	"path"

	"github.com/spf13/cobra"

	"restante/blob"
	"restante/cmd/restante/internal/cli"
	"restante/repo"
)

const repairPacksManual = `Save what is intact in damaged packs: every piece that can be read, and that no
other pack has, goes into a new pack. Then the damaged packs are taken out of the
index, and removed. Without names it does that to all that restante check has
noted as damaged, and to those that are gone or have another length than the index
says. It reads no other pack: restante check --read-data does that, and notes what is damaged.

If pieces stay lost the exit code is 4. Run restante backup before: what it stores again is no longer lost. What stays lost
the backups after it are told of, and read the whole store once for.

It needs an owner's key.

Examples:
  restante check --read-data
  restante repair packs --dry-run
  restante repair packs
  restante repair packs packs/3f/3f9a…`

func newRepairPacksCommand(a *app) *cobra.Command {
	return newRepair(a, &cobra.Command{
		Use:               "packs [PACK…]",
		Short:             "Save what is intact in damaged packs",
		Long:              repairPacksManual + "\n\n" + jsonHelp(repo.PacksRepair{}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}, a.runRepairPacks)
}

func (a *app) runRepairPacks(ctx context.Context, out *output, o *repairOptions, args []string) error {
	var only []blob.ID
	for _, arg := range args {
		id, err := blob.ParseID(path.Base(arg))
		if err != nil {
			return cli.Usagef("%q is no pack: give its name as restante check prints it", arg)
		}
		only = append(only, id)
	}
	open, err := a.openToRepair(ctx, out, o)
	if err != nil {
		return err
	}
	defer open.Close()
	if err := open.needOwner("saving what is in packs"); err != nil {
		return err
	}
	bar, stop := out.progress("repair")
	defer stop()
	report, err := open.RepairPacks(ctx, only, o.repairRun(bar))
	stop()
	if err != nil {
		return err
	}
	if out.json {
		err = out.object(report)
	} else {
		err = printPacksRepair(out, report)
	}
	if n := uint64(len(report.Kept)); err == nil && n > 0 && !o.dryRun {
		return outcome{exitDamage, cli.Count(n, "pack is", "packs are") + " of no use; copy back index objects that name them, or move them out of the repository"}
	}
	if lost := lostPieces(report); err == nil && lost > 0 && !o.dryRun {
		return outcome{exitDamage, cli.Count(lost, "piece", "pieces") + " cannot be read any more: run restante backup, then restante check, which says whose they are"}
	}
	found := len(report.Packs)+len(report.Kept)+len(report.Records) > 0
	if err == nil && !found && len(only) == 0 && report.Unread > 0 && !out.json {
		_, err = fmt.Fprintf(out, "there is nothing to repair of what is known; %s not read: restante check --read-data does that, and notes what is damaged\n",
			cli.Count(report.Unread, "pack was", "packs were"))
		return err
	}
	return o.repaired(out, err, found)
}

func lostPieces(r *repo.PacksRepair) (lost uint64) {
	for _, p := range r.Packs {
		lost += p.Lost
	}
	return lost
}

func printPacksRepair(out *output, r *repo.PacksRepair) error {
	for _, name := range r.Whole {
		fmt.Fprintf(out, "%s is whole\n", name)
	}
	for _, p := range r.Kept {
		fmt.Fprintf(out, "%s was left alone, as nobody knows what is in it: %s\n", p.Object, cli.Line(p.Why))
	}
	for _, p := range r.Packs {
		fmt.Fprintf(out, "%s: %s\n  %s saved, %s in other packs anyway, %s lost\n", p.Object, cli.Line(p.Why),
			cli.Count(p.Saved, "piece", "pieces"), cli.Number(p.Held), cli.Number(p.Lost))
	}
	for _, d := range r.Records {
		fmt.Fprintf(out, "%s, a record of damage, is of no use: %s\n  restante check --read-data notes again what is damaged\n", d.Object, cli.Line(d.Why))
	}
	return nil
}
