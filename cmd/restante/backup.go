package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"restante/backup"
	"restante/cmd/restante/internal/cli"
	"restante/internal/glob"
	"restante/mailstore"
	"restante/repo"
	"restante/snapshot"
	"restante/storage"
	"restante/storage/dryrun"
)

// backupOptions are the options of the backup command.
type backupOptions struct {
	store, host, description string
	tags                     []string
	layout, namePattern      string
	exclude, excludeFiles    []string
	dryRun, allowShrink      bool
	paranoid                 bool
	rescan                   time.Duration
	jobs                     int
	compression              string
	minFree                  uint64
	retryLock                time.Duration
}

const backupManual = `Take a snapshot of a mail store while the mail server runs.

PATH is a folder of the store, such as /var/vmail; several belong to one store.
Each snapshot stores only what the repository does not have, and each can be
read as a whole. restante inspect PATH shows beforehand which mailboxes are
found and how they are named; messages are counted as it does. With --verbose each file that was read has a line.

A name pattern says where mailboxes lie below PATH and how they are called:
%d domain, %n local part, %u user, * anything; for example %d/%n/Maildir.`

func newBackupCommand(a *app) *cobra.Command {
	o := backupOptions{minFree: 64 << 20}
	c := &cobra.Command{
		Use:   "backup PATH…",
		Short: "Take a snapshot of a store",
		Long:  backupManual + "\n\n" + jsonHelp(backupJSON{}),
		Args:  someArgs("the PATH of the store"),
		RunE: a.run(func(ctx context.Context, out *output, args []string) error {
			return runBackup(ctx, out, a, &o, args)
		}),
	}
	fs := c.Flags()
	fs.StringVar(&o.store, "store", "", "the store's `NAME` (else the last element of PATH; of several PATHs, joined by \"+\")")
	fs.StringVar(&o.host, "host", "", "the host's `NAME` (else this machine's)")
	fs.StringVar(&o.layout, "layout", "auto", "what to look for: auto, maildir, mbox or plain")
	fs.StringVar(&o.namePattern, "name-pattern", "", "how mailboxes are named: a `PATTERN` such as %d/%n/Maildir")
	fs.StringArrayVar(&o.tags, "tag", nil, "a `WORD` to find the snapshot by; may be repeated")
	fs.StringVar(&o.description, "description", "", "a `TEXT` kept with the snapshot")
	fs.StringArrayVar(&o.exclude, "exclude", nil, "leave out what matches `PATTERN`; may be repeated")
	fs.StringArrayVar(&o.excludeFiles, "exclude-file", nil, "leave out what matches a line of `FILE`; may be repeated")
	fs.BoolVarP(&o.dryRun, "dry-run", "n", false, "read and say what would be stored, store nothing")
	fs.BoolVar(&o.allowShrink, "allow-shrink", false, "take the snapshot although the store lost half of its mailboxes")
	fs.Func("jobs", "read with `N` workers (else one a processor)", func(s string) (err error) {
		if o.jobs, err = strconv.Atoi(s); err != nil || o.jobs < 1 || o.jobs > 256 {
			return errors.New("it is a number from 1 to 256")
		}
		return nil
	})
	fs.StringVar(&o.compression, "compression", "default", "fastest (attachments stay as they are), default or max (slow)")
	fs.Func("min-free", "leave `SIZE` free where the repository lies; 0 writes until the disk is full (default 64 MiB)", func(s string) (err error) {
		o.minFree, err = cli.ParseSize(s)
		return err
	})
	fs.BoolVar(&o.paranoid, "paranoid", false, "read every file, whatever its times say")
	o.rescan = backup.DefaultRescan
	fs.Func("rescan", "list each folder of messages anew after `DURATION`, though its times say that nothing came or went; 0: always (default 7d)", durationTo(&o.rescan))
	fs.DurationVar(&o.retryLock, "retry-lock", 0, "if the store is being backed up, try again for `DURATION` (30m, 2h)")
	complete(c, "layout", "auto", "maildir", "mbox", "plain")
	complete(c, "compression", "fastest", "default", "max")
	return c
}

// A storeShrunk is a backup.ShrinkError that says which store it is.
type storeShrunk struct {
	name  string
	roots []string
	err   *backup.ShrinkError
}

func (e *storeShrunk) Error() string {
	return fmt.Sprintf("backing up store %q (%s): %v", e.name, strings.Join(e.roots, ", "), e.err)
}

func (e *storeShrunk) Unwrap() error { return e.err }

func runBackup(ctx context.Context, out *output, a *app, o *backupOptions, args []string) error {
	opts, err := o.read()
	if err != nil {
		return err
	}
	if err := o.detect(ctx, out, args, &opts); err != nil {
		return err
	}
	var wrap func(storage.Store) storage.Store
	if o.dryRun {
		wrap = func(s storage.Store) storage.Store { return dryrun.New(s) }
	}
	fit := o.measure(ctx, opts.Store)
	defer fit.stop()
	r, err := a.open(ctx, out, wrap)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := refuseNested(opts.Store.Roots, r.path); err != nil {
		return err
	}
	opts.CacheDir, opts.Skip, opts.Warn = r.cache, []string{r.cache, r.path}, r.warn
	told := false // when the store is found locked and tried again
	opts.Ready = func(first bool, last *snapshot.Snapshot) error {
		if !told {
			r.tellClashes(ctx, out, opts.Store.Clashes, first, last)
		}
		told = true
		return fit.check(ctx, out, r, opts, first)
	}
	result, err := runOnce(ctx, out, r, o, opts)
	var shrunk *backup.ShrinkError
	if errors.As(err, &shrunk) {
		return &storeShrunk{opts.Name, opts.Store.Roots, shrunk}
	}
	if err != nil {
		return err
	}
	return printBackup(out, a, o, result)
}

// runOnce runs the backup with its progress shown, again while the store is
// being backed up by another, as long as the user wants to wait.
func runOnce(ctx context.Context, out *output, r *opened, o *backupOptions, opts backup.Options) (*backup.Result, error) {
	deadline := time.Now().Add(o.retryLock)
	for {
		result, err := withProgress(ctx, out, r, opts)
		var locked *repo.LockedError
		if !errors.As(err, &locked) || time.Now().After(deadline) {
			return result, err
		}
		out.note("%v; waiting", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(lockPoll, time.Until(deadline)+time.Millisecond)):
		}
	}
}

// read turns the options into those of the library.
func (o *backupOptions) read() (backup.Options, error) {
	opts := backup.Options{Name: o.store, Host: o.host, User: userName(), Program: "restante " + thisVersion().Version, Tags: o.tags,
		Description: o.description, Jobs: o.jobs, DryRun: o.dryRun, AllowShrink: o.allowShrink, Paranoid: o.paranoid, Rescan: o.rescan, MinFree: o.minFree}
	var err error
	for _, tag := range o.tags {
		if err := checkTag(tag); err != nil {
			return opts, err
		}
	}
	if opts.Compression, err = repo.ParseCompression(o.compression); err != nil {
		return opts, &cli.UsageError{Err: err}
	}
	patterns, err := excludePatterns(o.exclude, o.excludeFiles)
	if err != nil {
		return opts, err
	}
	if opts.Exclude, err = glob.New(patterns); err != nil {
		return opts, &cli.UsageError{Err: err}
	}
	if opts.Host == "" {
		opts.Host, err = hostName()
	}
	return opts, err
}

// maxTag bounds a tag in bytes.
const maxTag = 100

// checkTag refuses what cannot be told apart in a list of tags, or typed again.
func checkTag(tag string) error {
	if len(tag) > maxTag || !utf8.ValidString(tag) || strings.ContainsFunc(tag, func(r rune) bool { return r == ',' || unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return cli.Usagef("cannot take the tag %q: it is a word of at most %d bytes, without a comma", tag, maxTag)
	}
	return nil
}

// detect finds the mailboxes below the paths.
func (o *backupOptions) detect(ctx context.Context, out *output, paths []string, opts *backup.Options) error {
	layout, err := mailstore.ParseLayout(o.layout)
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	opts.Store, err = detectStore(ctx, out, paths, mailstore.Options{Layout: layout, NamePattern: o.namePattern})
	if err == nil && opts.Name == "" {
		opts.Name = storeName(opts.Store.Roots)
	}
	return err
}
