package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/internal/glob"
	"restante/repo"
	"restante/restore"
	"restante/snapshot"
	"restante/storage/local"
)

// restoreOptions are the options of the restore command.
type restoreOptions struct {
	choice
	target                          string
	all, resume, overwrite, noOwner bool
	selinux, verify                 bool
	include                         []string
}

// restoreJSON is what restore --json prints.
type restoreJSON struct {
	Snapshot     string   `json:"snapshot" doc:"ID of the snapshot"`
	Target       string   `json:"target" doc:"folder restored to"`
	Files        uint64   `json:"files" doc:"files written"`
	Bytes        uint64   `json:"bytes" doc:"their size"`
	Skipped      uint64   `json:"skipped" doc:"files that were there and identical (--resume)"`
	Failed       uint64   `json:"failed" doc:"number of paths that could not be restored"`
	FailedAre    []string `json:"failed_paths" doc:"the first 10,000 of them, with the reason"`
	OwnersNotSet uint64   `json:"owners_not_set" doc:"paths whose owner this user may not set"`
	NotSet       uint64   `json:"not_set" doc:"paths that lack other attributes"`
	Seconds      float64  `json:"seconds" doc:"how long it took"`
}

const restoreManual = `Restore mailboxes, folders of mailboxes, or a whole store into a folder.

A mailbox lands in DIR/NAME/, as the files that the mail server had; a folder
too, at its place below that. --all restores the store itself to DIR. Nothing
outside DIR is touched, and what is there already is not overwritten unless
you say so. "(other)" names what belongs to no mailbox.`

func newRestoreCommand(a *app) *cobra.Command {
	var o restoreOptions
	c := &cobra.Command{
		Use:   "restore MAILBOX[/FOLDER]… --target DIR",
		Short: "Restore mailboxes by name, or everything",
		Long:  restoreManual + "\n\n" + jsonHelp(restoreJSON{}),
		RunE: a.run(func(ctx context.Context, out *output, args []string) error {
			return runRestore(ctx, out, a, &o, args)
		}),
	}
	fs := c.Flags()
	o.choice.addFlags(fs)
	fs.StringVar(&o.target, "target", "", "the folder `DIR` to restore to; made if it is not there")
	fs.BoolVar(&o.all, "all", false, "restore the whole store")
	fs.StringArrayVar(&o.include, "include", nil, "only what matches `PATTERN`, such as cur/*:2,*F* or /alice/**; may be repeated")
	fs.BoolVar(&o.resume, "resume", false, "go on: keep files that are identical, replace others")
	fs.BoolVar(&o.overwrite, "overwrite", false, "replace files that are there")
	fs.BoolVar(&o.noOwner, "no-owner", false, "leave owners as they come")
	fs.BoolVar(&o.selinux, "selinux", false, "set SELinux labels as they were")
	fs.BoolVar(&o.verify, "verify", false, "read each file again before it gets its name")
	return c
}

func runRestore(ctx context.Context, out *output, a *app, o *restoreOptions, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	r, err := a.open(ctx, out, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	target, err := filepath.Abs(o.target)
	if err != nil {
		return err
	}
	if inside(target, r.path) {
		return cli.Usagef("--target %s lies in the repository", o.target)
	}
	s, err := r.choose(ctx, out, &o.choice)
	if err != nil {
		return err
	}
	parts, err := r.parts(ctx, s, args)
	if err != nil {
		return err
	}
	want, err := r.wanted(ctx, s, parts)
	if err != nil {
		return err
	}
	if err := checkTarget(target, want, o); err != nil {
		return err
	}
	started := time.Now()
	result, err := restoreParts(ctx, out, r, s, o, target, parts, want)
	if err != nil {
		return err
	}
	return printRestore(out, o, s, result, time.Since(started))
}

// check refuses options that make no sense together.
func (o *restoreOptions) check(args []string) error {
	switch {
	case o.target == "":
		return cli.Usagef("--target DIR is missing")
	case o.all && len(args) > 0:
		return cli.Usagef("--all and names of mailboxes exclude each other")
	case !o.all && len(args) == 0 && len(o.include) == 0:
		return cli.Usagef("name a mailbox (restante mailboxes lists them), or give --all")
	case o.resume && o.overwrite:
		return cli.Usagef("--resume and --overwrite exclude each other: --resume replaces what differs, too")
	}
	if _, err := glob.New(o.include); err != nil {
		return &cli.UsageError{Err: err}
	}
	return nil
}

func restoreParts(ctx context.Context, out *output, r *opened, s listed, o *restoreOptions, target string, parts []restore.Part, want snapshot.Counts) (restore.Result, error) {
	bar, stop := out.progress("restore")
	defer stop()
	if len(o.include) == 0 {
		bar.SetTotal(want.Files, want.Bytes)
	}
	var last restore.Progress
	return restore.Run(ctx, r, r.tree(s), r.PieceKey(), restore.Options{
		Target: target, Parts: parts, Include: o.include, Overwrite: o.overwrite, Resume: o.resume,
		NoOwner: o.noOwner, SELinux: o.selinux, Verify: o.verify,
		Progress: func(p restore.Progress) {
			bar.Add(p.Files-last.Files, p.Bytes-min(last.Bytes, p.Bytes))
			last = p
		},
		Warn: func(path string, err error) { out.warn("%s: %v", cli.Name(path), err) },
	})
}

// checkTarget refuses a restore that cannot fit, before it writes.
func checkTarget(target string, want snapshot.Counts, o *restoreOptions) error {
	if o.resume || o.overwrite || len(o.include) > 0 {
		return nil // how much of it is there already is not known
	}
	free, err := local.Room(target)
	if err != nil || free >= want.Bytes {
		return nil // what cannot be asked is found out by writing
	}
	return fmt.Errorf("restoring to %q: %s are to be written and %s are free", target, cli.Size(want.Bytes), cli.Size(free))
}

// printRestore prints what was done, and returns the outcome that the exit
// code tells.
func printRestore(out *output, o *restoreOptions, s listed, r restore.Result, took time.Duration) error {
	j := restoreJSON{Snapshot: s.id, Target: o.target, Files: r.Files, Bytes: r.Bytes, Skipped: r.Skipped, Failed: r.Failures,
		FailedAre: []string{}, OwnersNotSet: r.OwnersNotSet, NotSet: r.NotSet, Seconds: took.Seconds()}
	damaged := false
	for _, f := range r.Failed {
		j.FailedAre = append(j.FailedAre, cli.Name(f.Path)+": "+cli.Line(f.Err.Error()))
		damaged = damaged || isDamage(f.Err)
	}
	if out.json {
		if err := out.object(j); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "restored %s, %s, to %s in %s\n", cli.Count(r.Files, "file", "files"), cli.Size(r.Bytes), cli.Name(o.target), cli.Duration(took))
		if r.Skipped > 0 {
			fmt.Fprintf(out, "%s identical already\n", cli.Count(r.Skipped, "file was", "files were"))
		}
	}
	return restoreOutcome(j, damaged)
}

func restoreOutcome(j restoreJSON, damaged bool) error {
	switch {
	case damaged:
		return outcome{exitDamage, fmt.Sprintf("%s could not be restored because the repository is damaged; all others were (restante check says what is affected)",
			cli.Count(j.Failed, "path", "paths"))}
	case j.Failed > 0:
		return outcome{exitIncomplete, cli.Count(j.Failed, "path", "paths") + " could not be restored; all others were"}
	case j.NotSet > 0:
		return outcome{exitIncomplete, "attributes of " + cli.Count(j.NotSet, "path", "paths") + " could not be set"}
	case j.OwnersNotSet > 0:
		return outcome{exitIncomplete, "owners not set, which only root may; --no-owner restores without them"}
	}
	return nil
}

// isDamage reports whether an error is the repository's fault.
func isDamage(err error) bool {
	return errors.As(err, new(*repo.DamageError)) || errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, restore.ErrDamaged)
}
