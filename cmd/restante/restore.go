package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/internal/glob"
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
	Snapshot     string       `json:"snapshot" doc:"ID of the snapshot"`
	Target       string       `json:"target" doc:"folder restored to"`
	Files        uint64       `json:"files" doc:"files written"`
	Bytes        uint64       `json:"bytes" doc:"their size"`
	Skipped      uint64       `json:"skipped" doc:"files that were there and identical (--resume)"`
	Failed       uint64       `json:"failed" doc:"number of paths that could not be restored; where a list of files is damaged, the most there can be"`
	FailedAre    []failedPath `json:"failed_paths" doc:"the first 10,000 of them; for all that were in one damaged list, one:"`
	OwnersNotSet uint64       `json:"owners_not_set" doc:"paths whose owner this user may not set"`
	NotSet       uint64       `json:"not_set" doc:"paths that lack other attributes"`
	Interrupted  bool         `json:"interrupted" doc:"it was interrupted before the end; --resume goes on"`
	Seconds      float64      `json:"seconds" doc:"how long it took"`
}

type failedPath struct {
	Path   string `json:"path" doc:"below the target"`
	Base64 string `json:"path_base64,omitempty" doc:"the same, when it is not UTF-8"`
	Reason string `json:"reason" doc:"why it could not be restored"`
}

const restoreManual = `Restore mailboxes, folders of mailboxes, or a whole store into a folder.

A mailbox lands in DIR/NAME/, as the files that the mail server had; a folder
too, at its place below that. --all restores the store itself to DIR. Nothing
outside DIR is touched, and what is there already is not overwritten unless
you say so. "(other)" names what belongs to no mailbox.`

func newRestoreCommand(a *app) *cobra.Command {
	var o restoreOptions
	c := &cobra.Command{
		Use:               "restore MAILBOX[/FOLDER]… --target DIR",
		Short:             "Restore mailboxes by name, or everything",
		Long:              restoreManual + "\n\n" + jsonHelp(restoreJSON{}),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, args []string) error {
			return runRestore(ctx, out, a, &o, args)
		}),
	}
	fs := c.Flags()
	o.choice.addFlags(fs)
	fs.StringVar(&o.target, "target", "", "the folder `DIR` to restore to; made if it is not there")
	fs.BoolVar(&o.all, "all", false, "restore the whole store")
	fs.StringArrayVar(&o.include, "include", nil, "only what matches `PATTERN` below DIR, such as 'cur/*:2,*F*' or, with --all, /example.com/alice; may be repeated")
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
	r, err := a.openToRead(ctx, out)
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
	if err := o.checkIncluded(ctx, r.tree(s), parts); err != nil {
		return err
	}
	started := time.Now()
	warned := newCauses(out)
	result, err := restoreParts(ctx, out, r, s, o, restore.Options{Target: target, Parts: parts, Warn: warned.warn}, want)
	warned.end()
	if err != nil && ctx.Err() == nil {
		return err
	}
	// What an interrupted one has done it says, too; its error is that it was interrupted.
	printed := printRestore(out, o, s, result, warned.damaged, time.Since(started), err != nil)
	return cmp.Or(err, printed)
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

func restoreParts(ctx context.Context, out *output, r *opened, s listed, o *restoreOptions, opts restore.Options, want snapshot.Counts) (restore.Result, error) {
	bar, stop := out.progress("restore")
	defer stop()
	if len(o.include) == 0 {
		bar.SetTotal(want.Files, want.Bytes)
	}
	var last restore.Progress
	opts.Include, opts.Overwrite, opts.Resume = o.include, o.overwrite, o.resume
	opts.NoOwner, opts.SELinux, opts.Verify = o.noOwner, o.selinux, o.verify
	opts.Progress = func(p restore.Progress) {
		bar.Add(p.Files-last.Files, p.Bytes-min(last.Bytes, p.Bytes))
		last = p
	}
	return restore.Run(ctx, r, r.tree(s), r.PieceKey(), opts)
}

// checkIncluded refuses patterns that match nothing, before anything is made.
func (o *restoreOptions) checkIncluded(ctx context.Context, tree *snapshot.Tree, parts []restore.Part) error {
	include, err := glob.New(o.include)
	if err != nil || include.Empty() {
		return err
	}
	damaged := false
	for _, p := range parts {
		for _, r := range p.Ranges {
			for record, err := range tree.All(ctx, r) {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err == nil && include.Match(p.Path(record.Key)) {
					return nil
				}
				damaged = damaged || err != nil
			}
		}
	}
	if damaged {
		return nil // the restore meets it, and says so
	}
	return fmt.Errorf("nothing matches --include %s; patterns are matched with paths below the target, as restante restore makes them", strings.Join(o.include, ", --include "))
}

// lostInBlock is what a file takes beside its bytes, on the average: half a block.
const lostInBlock = 2 << 10

var errTargetFull = errors.New("there is too little room")

// checkTarget refuses a restore that cannot fit, before it writes.
func checkTarget(target string, want snapshot.Counts, o *restoreOptions) error {
	if o.resume || o.overwrite || len(o.include) > 0 {
		return nil // how much of it is there already is not known
	}
	need := want.Bytes + want.Files*lostInBlock
	free, err := local.Room(target)
	if err != nil || free >= need {
		return nil // what cannot be asked is found out by writing
	}
	return fmt.Errorf("restoring to %q: %s are to be written and %s are free: %w", target, cli.Size(need), cli.Size(free), errTargetFull)
}

// printRestore prints what was done, and returns the outcome that the exit
// code tells.
func printRestore(out *output, o *restoreOptions, s listed, r restore.Result, damaged uint64, took time.Duration, interrupted bool) error {
	j := restoreJSON{Snapshot: s.id, Target: o.target, Files: r.Files, Bytes: r.Bytes, Skipped: r.Skipped, Failed: r.Failures,
		FailedAre: []failedPath{}, OwnersNotSet: r.OwnersNotSet, NotSet: r.NotSet, Interrupted: interrupted, Seconds: took.Seconds()}
	for _, f := range r.Failed {
		j.FailedAre = append(j.FailedAre, failedPath{f.Path, exactBytes(f.Path), f.Err.Error()})
	}
	text := fmt.Sprintf("restored %s, %s, to %s in %s", cli.Count(r.Files, "file", "files"), cli.Size(r.Bytes), cli.Name(o.target), cli.Duration(took))
	if interrupted {
		text += ", until it was interrupted"
	}
	text += "\n"
	if r.Skipped > 0 {
		text += cli.Count(r.Skipped, "file was", "files were") + " identical already\n"
	}
	if out.json {
		if err := out.object(j); err != nil {
			return err
		}
	} else if !out.quiet {
		fmt.Fprint(out, text)
	}
	out.record("snapshot " + s.id + "; " + text)
	return restoreOutcome(j, damaged)
}

// restoreOutcome says all that is not as it was, a line each. The exit code is
// that of the worst.
func restoreOutcome(j restoreJSON, damaged uint64) error {
	var lines []string
	code := exitIncomplete
	if j.Failed > 0 {
		line := cli.Count(j.Failed, "path", "paths") + " could not be restored"
		if damaged > 0 {
			code = exitDamage
			line += fmt.Sprintf(", %s because the repository is damaged (restante check says what is affected)", cli.Number(damaged))
		}
		lines = append(lines, line)
	}
	if j.NotSet > 0 {
		lines = append(lines, "attributes of "+cli.Count(j.NotSet, "path", "paths")+" could not be set")
	}
	if j.OwnersNotSet > 0 {
		lines = append(lines, "owners not set, which only root may; --no-owner restores without them")
	}
	if len(lines) == 0 {
		return nil
	}
	return outcome{code, strings.Join(lines, "\n")}
}
