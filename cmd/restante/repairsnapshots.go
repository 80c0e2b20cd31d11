package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/repair"
)

const repairSnapshotsManual = `Replace each snapshot of which something is lost by one that lists it as lost: a
file that can no longer be restored is there as unsaved (restante ls --raw), with its
former size and the reason, and everything else is restored as before. The new
snapshot has the time, store, host and hold of the old one, which goes. Where the old
one's hold is damaged, the new one is held without an end.

Do everything else first: copy packs back, restante repair index, restante backup,
restante repair packs. What a later backup stores again heals a snapshot that is
damaged, but not one in which it is listed as lost. Until a prune has deleted its
data, restante unforget OLD takes an old one back: then all of it is there again, once
a backup or a pack that was copied back has healed it.

What is lost is printed by mailbox, and the exit code is 4 if something is. It needs an owner's key, and refuses to work
beside a backup of the same store. A snapshot whose own record cannot be read is left
alone.

Examples:
  restante repair snapshots --dry-run
  restante repair snapshots`

func newRepairSnapshotsCommand(a *app) *cobra.Command {
	return newRepair(a, &cobra.Command{
		Use:               "snapshots",
		Short:             "List as lost, in each snapshot, what can no longer be restored",
		Long:              repairSnapshotsManual + "\n\n" + jsonHelp(repair.Report{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}, a.runRepairSnapshots)
}

func (a *app) runRepairSnapshots(ctx context.Context, out *output, o *repairOptions, _ []string) error {
	open, err := a.openToRepair(ctx, out, o)
	if err != nil {
		return err
	}
	defer open.Close()
	if err := open.needOwner("reading snapshots"); err != nil {
		return err
	}
	bar, stop := out.progress("repair")
	defer stop()
	report, err := repair.Snapshots(ctx, open.Repository, repair.Options{User: userName(), Force: o.force, Total: bar.SetTotal, Done: bar.Add})
	stop()
	if err != nil {
		return err
	}
	makeLostPrintable(report)
	if out.json {
		err = out.object(report)
	} else {
		err = printSnapshotsRepair(out, report, o.dryRun)
	}
	if n := uint64(len(report.Unreadable)); err == nil && n > 0 {
		return outcome{exitDamage, cli.Count(n, "snapshot", "snapshots") + " cannot be read at all; copy back from another copy of the repository what is named; without one, restante forget gives up a snapshot by its whole ID"}
	}
	if n := uint64(len(report.Repaired)); err == nil && n > 0 && !o.dryRun {
		return outcome{exitDamage, cli.Count(n, "snapshot has", "snapshots have") + " lost something, which is listed as lost now"}
	}
	return o.repaired(out, err, len(report.Repaired) > 0)
}

// unlistedText says what became of the files of mailboxes whose names are lost.
func unlistedText(l *repair.Lost) string {
	if l.Files == 0 {
		return "what was in them is there (restante ls --raw)"
	}
	return "what is left of their files is listed by restante ls --raw"
}

// heldText says why a snapshot is held and until when.
func heldText(h *repair.Hold) string {
	if h.Until == "" {
		return h.Reason
	}
	return h.Reason + ", until " + localTime(h.Until)
}

// makeLostPrintable escapes the names in the report: they come from a disk.
func makeLostPrintable(r *repair.Report) {
	for _, s := range r.Repaired {
		for i, name := range s.Lost.First {
			s.Lost.First[i] = cli.Name(name)
		}
		for i := range s.Lost.Mailboxes {
			s.Lost.Mailboxes[i].Name = cli.Name(s.Lost.Mailboxes[i].Name)
		}
	}
}

func printSnapshotsRepair(out *output, r *repair.Report, dryRun bool) error {
	for _, u := range r.Unreadable {
		fmt.Fprintf(out, "%s: %s\n", cli.Name(u.Object), cli.Line(u.Why))
	}
	for _, s := range r.Repaired {
		become := "is now " + s.New[:8]
		if dryRun {
			become = "would be replaced"
		}
		fmt.Fprintf(out, "snapshot %s of store %q on %s %s; lost: %s\n", s.Old[:8], s.Store, cli.Name(s.Host), become, cli.Count(s.Lost.Files, "file", "files"))
		if s.Hold != nil {
			fmt.Fprintf(out, "  it is held as the old one was: %s\n", cli.Line(heldText(s.Hold)))
		}
		for _, m := range s.Lost.Mailboxes {
			more := ""
			if m.More {
				more = ", and others whose names are lost"
			}
			fmt.Fprintf(out, "  %s: %s%s\n", m.Name, cli.Number(m.Files), more)
		}
		if s.Lost.Unlisted > 0 {
			fmt.Fprintf(out, "  %s can no longer be named; %s\n", cli.Count(s.Lost.Unlisted, "mailbox", "mailboxes"), unlistedText(&s.Lost))
		}
		for _, name := range s.Lost.First {
			fmt.Fprintf(out, "    %s\n", name)
		}
		if s.Lost.Files > uint64(len(s.Lost.First)) {
			fmt.Fprintln(out, "    …")
		}
	}
	replaced := "replaced"
	if dryRun {
		replaced = "would be replaced"
	}
	if len(r.Repaired) > 0 && !dryRun {
		fmt.Fprintln(out, "until a prune, restante unforget OLD takes an old one back, which gives everything back once a backup or a pack that was copied back has healed it")
	}
	_, err := fmt.Fprintf(out, "%s, %s %s\n", cli.Count(r.Snapshots, "snapshot", "snapshots"), cli.Number(uint64(len(r.Repaired))), replaced)
	return err
}
