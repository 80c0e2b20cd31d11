package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"restante/cmd/restante/internal/cli"
	"restante/gc"
)

// pruneOptions are the options of the prune command.
type pruneOptions struct {
	gc.Options
	explain bool
	given   []string // the flags of addFlags that were given
}

const pruneManual = `Delete from the repository what no snapshot needs any more, while backups go on.

What a snapshot needed stays until a prune finds it unneeded. Then it is marked:
backups that begin from then on do not use it, and store it again if they find
it in the store. It is deleted by a later prune, when it has been marked for --grace,
so that a restore which is reading can finish, and when no backup is running
that began before. So run it regularly, after forgetting snapshots. With --grace 0 and
no backup running, one run marks and deletes.

A backup whose process is gone from this machine is no obstacle; one of another
machine is waited for, up to --expire. If that machine is dead, --drop-intent
ends its backup now; should it still live, its backup fails and has to be run again,
and nothing is lost. A backup whose process lives on this machine is not ended: wait for
it, or end the process. --explain tells what is waited for.

It needs the repository's password or an owner's key file, and a folder for
caches (--cache-dir) that stays: times are counted from when this machine first
saw what waits. It can be interrupted at any point.`

const pruneExamples = `  restante prune
  restante prune --dry-run --explain
  restante prune --grace 0
  restante prune --max-duration 2h --log-file /var/log/restante.log
  restante prune --drop-intent 1f0c55`

func newPruneCommand(a *app) *cobra.Command {
	o := defaultPrune()
	c := &cobra.Command{
		Use:               "prune",
		Short:             "Delete what no snapshot needs",
		Long:              pruneManual + "\n\n" + jsonHelp(gc.Report{}),
		Example:           pruneExamples,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			return a.runPrune(ctx, out, &o)
		}),
	}
	fs := c.Flags()
	o.addFlags(fs)
	fs.Func("expire", "end a backup of another machine after this `DURATION`; 0: never (default 7d)", durationTo(&o.Expire))
	fs.StringArrayVar(&o.Drop, "drop-intent", nil, "end the backup with this `ID`, whose machine is dead; may be repeated")
	fs.BoolVar(&o.Force, "force", false, "go on though there is no snapshot at all: delete everything")
	fs.BoolVarP(&o.DryRun, "dry-run", "n", false, "say what would be done, change nothing")
	fs.BoolVar(&o.explain, "explain", false, "say what waits, for what, and until when")
	return c
}

// addFlags adds those that say what a prune leaves for later, which forget has too.
func (o *pruneOptions) addFlags(fs *pflag.FlagSet) {
	given := func(name, usage string, set func(s string) error) {
		fs.Func(name, usage, func(s string) error {
			o.given = append(o.given, "--"+name)
			return set(s)
		})
	}
	given("grace", "delete what has been marked for this `DURATION`; 0: at once (default 24h)", durationTo(&o.Grace))
	given("min-age", "mark only what has not been needed for this `DURATION` (default 7d for what an interrupted backup stored, so that the next one goes on from there; else 0)", func(s string) (err error) {
		o.MinAge, err = cli.ParseDuration(s)
		o.MinAgeLeft = o.MinAge
		return err
	})
	given("max-duration", "read and begin nothing more after `DURATION`; the next prune goes on (default: none)", durationTo(&o.MaxDuration))
	given("max-unused", "leave up to `PERCENT` of the repository unused in packs of which something is needed (default 5)", func(s string) (err error) {
		o.MaxUnused, err = strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
		if err != nil || !(o.MaxUnused >= 0 && o.MaxUnused <= 100) {
			return errors.New("it is a number from 0 to 100")
		}
		return nil
	})
}

// durationTo returns a function that reads a flag's duration.
func durationTo(d *time.Duration) func(s string) error {
	return func(s string) (err error) {
		*d, err = cli.ParseDuration(s)
		return err
	}
}

func (a *app) runPrune(ctx context.Context, out *output, o *pruneOptions) error {
	r, err := a.open(ctx, out, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	report, err := r.prune(ctx, out, o)
	if errors.Is(err, gc.ErrUnknownSession) {
		return &cli.UsageError{Err: err}
	}
	if report == nil {
		return err
	}
	if out.json {
		err = errors.Join(err, out.object(report))
	} else {
		err = errors.Join(err, printPrune(out, o, report))
	}
	if err == nil {
		err = pruneDamage(report)
	}
	return err
}

// defaultPrune returns the options of a prune to which nothing was said.
func defaultPrune() pruneOptions {
	return pruneOptions{Options: gc.Options{Grace: gc.DefaultGrace, Expire: gc.DefaultExpire, MinAgeLeft: gc.DefaultMinAgeLeft, MaxUnused: gc.DefaultMaxUnused}}
}

// prune prunes the repository. Its report is nil if an error came before anything was
// marked or deleted: then there is nothing to report.
func (o *opened) prune(ctx context.Context, out *output, opts *pruneOptions) (*gc.Report, error) {
	if o.passing && opts.Grace > 0 {
		out.warn("times are counted in a cache that is for this run only, so that what is marked will never have been marked for --grace; --cache-dir DIR names a folder that lasts")
	}
	bar, stop := out.progress("prune")
	defer stop()
	opts.CacheDir, opts.User, opts.Done = o.cache, userName(), bar.Add
	report, err := gc.Prune(ctx, o.Repository, opts.Options)
	if err != nil && report != nil && report.Deleted == 0 && report.Marked == 0 {
		report = nil
	}
	return report, err
}

// pruneDamage returns the damage that a prune met, which it left alone.
func pruneDamage(r *gc.Report) error {
	var lines []string
	if r.Missing > 0 {
		lines = append(lines, cli.Count(r.Missing, "piece that snapshots need is", "pieces that snapshots need are")+" in no pack; restante check says what is affected")
	}
	for _, text := range r.Damaged {
		lines = append(lines, cli.Line(text)+"; its pack stays")
	}
	if len(r.Damaged) > 0 {
		lines[len(lines)-1] += "; restante check --read-data says what helps"
	}
	if lines == nil {
		return nil
	}
	return outcome{exitDamage, strings.Join(lines, "\n")}
}

// printPrune prints the report and puts it into the log file.
func printPrune(out *output, o *pruneOptions, r *gc.Report) error {
	would := ""
	if r.DryRun {
		would = "would have "
	}
	text := fmt.Sprintf("%sdeleted %s with %s; %smarked %s with %s\n", would, cli.Count(r.Deleted, "pack", "packs"), cli.Size(r.DeletedBytes),
		would, cli.Count(r.Marked, "pack", "packs"), cli.Size(r.MarkedBytes))
	if r.Repacked > 0 {
		text += fmt.Sprintf("%swritten anew what is needed of %s: %s\n", would, cli.Count(r.Repacked, "pack", "packs"), cli.Size(r.RepackedBytes))
	}
	if r.Ended > 0 {
		text += fmt.Sprintf("%sended %s that %s dead, without a snapshot:\n", would, cli.Count(r.Ended, "session", "sessions"), plural(r.Ended, "is", "are"))
		for _, d := range r.Dead {
			text += deadText(d)
		}
	}
	if r.Full {
		out.warn("there was no room to write anew what is needed of packs that are mostly not; run it again when there is")
	}
	if r.Stopped {
		text += "stopped after --max-duration; run it again to go on\n"
	}
	var packs, bytes uint64
	for _, w := range r.Waiting {
		packs, bytes = packs+w.Packs, bytes+w.Bytes
	}
	if packs > 0 {
		text += fmt.Sprintf("%s with %s %s", cli.Count(packs, "pack", "packs"), cli.Size(bytes), plural(packs, "waits", "wait"))
		if !o.explain {
			text += "; restante prune --dry-run --explain says for what"
		}
		text += "\n"
	}
	if o.explain {
		for _, w := range r.Waiting {
			text += explain(w)
		}
	}
	if !r.Stopped || r.Snapshots > 0 { // else they were not counted
		text += cli.Count(r.Snapshots, "snapshot is left", "snapshots are left") + "; "
	}
	text += fmt.Sprintf("before there were %s with %s\n", cli.Count(r.Packs, "pack", "packs"), cli.Size(r.Bytes))
	out.record(text)
	if out.quiet && !o.explain && !o.DryRun {
		return nil
	}
	_, err := fmt.Fprint(out, text)
	return err
}

// deadText names a session that was ended. Who knows it as a backup that had ended well
// learns so that its snapshot was lost.
func deadText(d gc.Dead) string {
	if d.Began == nil {
		return fmt.Sprintf("  %s, of which nothing is known: its intent is damaged\n", d.Session)
	}
	text := fmt.Sprintf("  %s: %s", d.Session, cli.Line(d.What))
	if d.Store != "" {
		text += fmt.Sprintf(" of store %q", d.Store)
	}
	return text + fmt.Sprintf(" on %s, begun %s\n", cli.Line(d.Host), cli.Time(*d.Began))
}

func explain(w gc.Waiting) string {
	text := fmt.Sprintf("  %s, %s: %s", cli.Count(w.Packs, "pack", "packs"), cli.Size(w.Bytes), cli.Line(w.Text))
	if w.Until != nil {
		text += ", until " + cli.Time(*w.Until)
	}
	if w.Session != "" {
		text += "; if its machine is dead: --drop-intent " + w.Session
	}
	return text + "\n"
}

func plural(n uint64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
