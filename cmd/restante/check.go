package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"restante/blob"
	"restante/cmd/restante/internal/cli"
	"restante/repo"
	"restante/verify"
)

const checkManual = `Check that the repository is whole: that every object is what was stored, that
every snapshot can be read, and that every piece of every file is there. With
--read-data all packs are read and every piece is compared with its name, which
finds bytes that have rotted on the disk; without it packs are only looked up.

A part of the data each time will do: --read-data-subset says how much, and
--max-duration for how long packs are read. Those come first that were not read
for longest, which this machine remembers in its cache.

--without-key needs no password: packs, index objects and key files are called
by a hash of their bytes, so who keeps a copy of the repository finds bytes that
have rotted. What is lost by them it cannot tell, nor what is missing, but for keys: where
there is none, nobody can open the repository. It says what it only looked at.

What is damaged is printed, an object each: what is wrong, what is lost by it,
and what helps. Then the exit code is 4. What cannot be read, because this user
may not or a disk fails, is printed too, and does not count as lost; if that is
all, the exit code is 3. Packs that are damaged are noted in the
repository: the next backup reads the whole store and stores again what it has of
what was there. A pack that was copied back is read, and its note goes.

Examples:
  restante check --read-data
  restante check --read-data-subset 10%          a tenth every night
  restante check --read-data-subset 50G --max-duration 20m
  restante check --without-key -r /mnt/copy`

// checkOptions are the options of the check command.
type checkOptions struct {
	readData    bool
	subset      verify.Subset
	maxDuration time.Duration
	withoutKey  bool
	noMark      bool
}

func newCheckCommand(a *app) *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:               "check",
		Short:             "Check that the repository is whole",
		Long:              checkManual + "\n\n" + jsonHelp(verify.Report{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			return a.runCheck(ctx, out, &o)
		}),
	}
	fs := c.Flags()
	fs.BoolVar(&o.readData, "read-data", false, "read all data, too")
	fs.Func("read-data-subset", "read as much of the data: a `SHARE` such as 10% or 50G; what was not read for longest comes first", func(s string) (err error) {
		o.subset, err = parseSubset(s)
		return err
	})
	fs.Func("max-duration", "read data, and begin no further pack after `DURATION` (20m, 2h)", func(s string) (err error) {
		if o.maxDuration, err = cli.ParseDuration(s); err == nil && o.maxDuration <= 0 {
			err = errors.New("it is more than 0")
		}
		return err
	})
	fs.BoolVar(&o.withoutKey, "without-key", false, "compare bytes with names, which needs no password, and nothing more")
	fs.BoolVar(&o.noMark, "no-mark", false, "write nothing: do not note in the repository which packs are damaged")
	complete(c, "read-data-subset", "5%", "10%", "25%")
	complete(c, "max-duration", "20m", "1h", "4h")
	return c
}

// parseSubset reads how much of the data is to be read.
func parseSubset(s string) (verify.Subset, error) {
	number, isShare := strings.CutSuffix(s, "%")
	if !isShare {
		if strings.Trim(s, "0123456789. ") == "" {
			return verify.Subset{}, errors.New("is it per cent, or GiB? write it as 10% or 10G")
		}
		size, err := cli.ParseSize(s)
		if err == nil && size == 0 {
			err = errors.New("it is more than 0")
		}
		return verify.Subset{Bytes: size}, err
	}
	percent, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(percent > 0 && percent <= 100) {
		return verify.Subset{}, errors.New("a share is more than 0% and at most 100%")
	}
	return verify.Subset{Percent: percent}, nil
}

func (a *app) runCheck(ctx context.Context, out *output, o *checkOptions) error {
	if o.readData && o.subset != (verify.Subset{}) {
		return cli.Usagef("--read-data reads all and --read-data-subset a part: give one of them")
	}
	opts := verify.Options{ReadData: o.readData || o.subset != (verify.Subset{}) || o.maxDuration > 0, Subset: o.subset, MaxDuration: o.maxDuration, NoMark: o.noMark}
	check := a.checkWithKey
	if o.withoutKey {
		check = a.checkWithoutKey
	}
	history, err := a.historyName()
	if err != nil {
		return err
	}
	report, err := check(ctx, out, opts, history)
	if err != nil {
		return err
	}
	makePrintable(report)
	if out.json {
		err = out.object(report)
	} else {
		err = printCheck(out, report)
	}
	if err != nil {
		return err
	}
	return checkOutcome(report)
}

// checkOutcome says what came out: damage, or that not all could be checked.
func checkOutcome(report *verify.Report) error {
	unreadable := uint64(0)
	for _, f := range report.Findings {
		if f.Unreadable {
			unreadable++
		}
	}
	text := cli.Count(unreadable, "object", "objects") + " could not be read, and nothing is known of what is there"
	switch damaged := uint64(len(report.Findings)) - unreadable; {
	case damaged > 0 && unreadable > 0:
		return outcome{exitDamage, cli.Count(damaged, "object is", "objects are") + " damaged\n" + text}
	case damaged > 0:
		return outcome{exitDamage, cli.Count(damaged, "object is", "objects are") + " damaged"}
	case unreadable > 0:
		return outcome{exitIncomplete, text}
	}
	return nil
}

// historyName returns the name of the file below a repository's cache in which check
// remembers when packs were read: those of one place, for a copy is not the original.
func (a *app) historyName() (string, error) {
	place, err := a.repository()
	if err == nil {
		place, err = filepath.Abs(place)
	}
	sum := blob.NameOf([]byte(place))
	return fmt.Sprintf("verified-%x", sum[:8]), err
}

func (a *app) checkWithKey(ctx context.Context, out *output, opts verify.Options, history string) (*verify.Report, error) {
	o, err := a.open(ctx, out, nil)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	opts.History = o.CachePath(o.cache, history)
	bar, stop := out.progress("check")
	defer stop()
	opts.Total, opts.Done = bar.SetTotal, bar.Add
	return verify.Check(ctx, o.Repository, opts)
}

// checkWithoutKey checks without asking for a password.
func (a *app) checkWithoutKey(ctx context.Context, out *output, opts verify.Options, history string) (*verify.Report, error) {
	path, folder, err := a.folder()
	if err != nil {
		return nil, err
	}
	k, err := repo.WithoutKey(ctx, folder)
	if err != nil {
		return nil, openingError(path, err)
	}
	cache, passing, err := a.makeCache(out)
	if err != nil {
		return nil, err
	}
	defer dropCache(cache, passing)
	opts.History = k.CachePath(cache, history)
	bar, stop := out.progress("check")
	defer stop()
	opts.Total, opts.Done = bar.SetTotal, bar.Add
	return verify.CheckWithoutKey(ctx, k, opts)
}
