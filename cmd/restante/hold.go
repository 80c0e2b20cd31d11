package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/repo"
	"restante/retention"
	"restante/seal"
)

// holdOptions are the options of the hold command.
type holdOptions struct {
	reason, until string
	choice        choice
}

func newHoldCommand(a *app) *cobra.Command {
	var o holdOptions
	cmd := &cobra.Command{
		Use:   "hold [SNAPSHOT]",
		Short: "Keep a snapshot from being forgotten",
		Long: `Keep a snapshot from being forgotten, for a reason that is recorded with it and shown
by restante snapshots and restante forget: a lawsuit, an audit, a mailbox whose owner
is away. A held snapshot is kept whatever the rules say, and not forgotten by its ID.
A new hold replaces the one before.

SNAPSHOT is an ID or its beginning, latest, or latest~2. Without it the holds are
listed, with those that are over and those of snapshots that are gone. While a snapshot that
is held is missing, restante check says so, and restante prune deletes nothing.
It needs an owner's password or key.

  restante hold 3f2a90c1 --reason 'case 4711' --until 2027-12-31
  restante hold latest --store vmail --reason 'before the migration' --until 8w
  restante hold

` + jsonHelp([]holdRecord{}),
		Args:              atMostOneArg("the snapshot"),
		ValidArgsFunction: a.completeSnapshots(false),
		RunE: a.run(func(ctx context.Context, out *output, args []string) error {
			if len(args) == 0 {
				return a.runHolds(ctx, out, o)
			}
			o.choice.snapshot = args[0]
			return a.runHold(ctx, out, &o)
		}),
	}
	cmd.Flags().StringVar(&o.reason, "reason", "", "why it is held, a `TEXT`")
	cmd.Flags().StringVar(&o.until, "until", "", "hold it until `TIME`: 2027-12-31, \"2027-12-31 18:00\", or 30d, 8w, 6mo, 1y from now")
	o.choice.addFilters(cmd.Flags())
	return cmd
}

// atMostOneArg takes an argument, or none; what names it.
func atMostOneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return exactArgs(1, what)(cmd, args)
	}
}

func (a *app) runHold(ctx context.Context, out *output, opts *holdOptions) error {
	if opts.reason == "" {
		return cli.Usagef("say why: --reason TEXT")
	}
	if len(opts.reason) > repo.MaxReason {
		return cli.Usagef("the reason has %d bytes; at most %d are kept", len(opts.reason), repo.MaxReason)
	}
	h := repo.Hold{Reason: opts.reason, By: a.person()}
	var err error
	if opts.until != "" {
		if h.Until, err = parseUntil(opts.until, a.now()); err != nil {
			return err
		}
	}
	o, err := a.openAsOwner(ctx, out)
	if err != nil {
		return err
	}
	defer o.Close()
	s, err := o.choose(ctx, out, &opts.choice)
	if err != nil {
		return err
	}
	if h.Snapshot, err = seal.ParseSession(s.id); err != nil {
		return err
	}
	if h, err = o.Hold(ctx, h); err != nil {
		return err
	}
	if out.json {
		return out.object(holdRecord{Snapshot: s.id, State: holdActive, holdInfo: *holdInfoOf(&h)})
	}
	out.note("snapshot %s is held: %s", s.id, holdText(&h))
	return nil
}

// parseUntil reads when a hold ends.
func parseUntil(text string, now time.Time) (time.Time, error) {
	span, err := retention.ParseSpan(text)
	if err == nil {
		return lastYear(text, span.After(now))
	}
	until, err := cli.ParseTime(text, now)
	if err != nil {
		return until, cli.Usagef("cannot read the time %q: write it as 2027-12-31, \"2027-12-31 18:00\", 30d, 8w, 6mo or 1y", text)
	}
	if !until.After(now) {
		return until, cli.Usagef("%s is over already", cli.Time(until))
	}
	return lastYear(text, until)
}

// lastYear refuses a time that cannot be written with four digits for the year.
func lastYear(text string, until time.Time) (time.Time, error) {
	if until.UTC().Year() > 9999 {
		return time.Time{}, cli.Usagef("%q is after the year 9999; without --until a hold has no end", text)
	}
	return until, nil
}

// openAsOwner opens the repository for a command that an owner's key is needed for.
func (a *app) openAsOwner(ctx context.Context, out *output) (*opened, error) {
	o, err := a.open(ctx, out, nil)
	if err == nil && !o.CanRead() {
		return nil, errors.Join(repo.ErrOwnerOnly, o.Close())
	}
	return o, err
}

// person names who runs the program, and where.
func (a *app) person() string {
	name := userName()
	if host, err := hostName(); err == nil {
		name += "@" + host
	}
	return name
}
