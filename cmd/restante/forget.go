package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/repo"
	"restante/retention"
)

// forgetOptions are the options of the forget command.
type forgetOptions struct {
	policy        retention.Policy
	groupBy       string
	defaultPolicy bool
	dryRun        bool
	prune         bool
	pruning       pruneOptions
	choice        choice
}

const forgetManual = `Forget snapshots: those that no rule keeps, or those that are named. They are no
longer listed, and nothing is restored from them; restante unforget takes one back until
a prune has deleted its data. The repository becomes smaller when restante prune deletes
what no snapshot needs any more; --prune does that at once, with the options of
restante prune that say what is left for later.

The rules are applied to each store of each host by itself (--group-by), and a snapshot
is kept if one of them keeps it. --keep-daily 7 keeps the newest complete snapshot of
each of the last 7 days that have one, so a server that was off loses none; weeks begin
on Monday, and days at this machine's midnight. N may be "all".

A snapshot is not complete if something could not be saved (exit code 3), or it was made
with --allow-shrink. Such never take the place of complete ones; they are kept beside
them where there is no complete one. Whatever the rules say, these are kept: snapshots
that are held (restante hold), the newest and the newest complete one of each store,
those whose time cannot be right, and those that are damaged.

Without a rule nothing is forgotten: what one week (--keep-daily 7) would leave is
shown, and --default-policy applies that. Snapshots named by ID go whatever the rules
say, but not while they are held. It needs an owner's password or key.

  restante forget --keep-daily 14 --keep-weekly 8 --keep-monthly 12 --dry-run
  restante forget --default-policy --prune
  restante forget --keep-within 30d --keep-yearly all --keep-tag before-upgrade
  restante forget 3f2a90c1`

func newForgetCommand(a *app) *cobra.Command {
	o := forgetOptions{pruning: defaultPrune()}
	cmd := &cobra.Command{
		Use:               "forget [SNAPSHOT…]",
		Short:             "Forget snapshots that are no longer wanted",
		Long:              forgetManual + "\n\n" + jsonHelp(forgetResult{}),
		ValidArgsFunction: a.completeSnapshots(false),
		RunE: a.run(func(ctx context.Context, out *output, args []string) error {
			return a.runForget(ctx, out, &o, args)
		}),
	}
	o.addFlags(cmd)
	return cmd
}

func (a *app) runForget(ctx context.Context, out *output, opts *forgetOptions, args []string) error {
	result, err := opts.read(args)
	if err != nil {
		return err
	}
	o, err := a.openAsOwner(ctx, out)
	if err != nil {
		return err
	}
	defer o.Close()
	all, damaged, err := o.snapshots(ctx)
	if err != nil {
		return err
	}
	if err := o.addHolds(ctx, all, a.now()); err != nil {
		return err
	}
	if len(args) > 0 {
		err = o.named(ctx, out, all, damaged, opts, args, result)
	} else {
		err = a.decide(o, all, opts, result)
	}
	if err != nil {
		return err
	}
	if !out.json && (!out.quiet || result.DryRun) {
		if err := result.table(digits(all)).Print(out); err != nil {
			return err
		}
	}
	if !result.DryRun {
		if err := o.forgetAll(ctx, result, a.person()); err != nil {
			return err
		}
	}
	return o.reportForget(ctx, out, opts, result, damaged)
}

// reportForget says what was forgotten, and prunes if that is wanted; in a dry run it says what
// that would do.
func (o *opened) reportForget(ctx context.Context, out *output, opts *forgetOptions, result *forgetResult, damaged uint64) error {
	var failed error
	if opts.prune {
		pruning := &opts.pruning
		pruning.DryRun = result.DryRun
		if pruning.Forgotten, failed = result.forgotten(); failed != nil {
			return failed
		}
		result.Prune, failed = o.prune(ctx, out, pruning)
	}
	err := result.report(out, damaged)
	if failed != nil {
		var o outcome
		if errors.As(err, &o) {
			out.warn("%s", o.text)
			err = nil
		}
		err = errors.Join(fmt.Errorf("pruning: %w", failed), err)
	}
	if result.Prune == nil {
		return err
	}
	if !out.json {
		err = errors.Join(err, printPrune(out, &opts.pruning, result.Prune))
	}
	return errors.Join(err, pruneDamage(result.Prune))
}

// decide applies the rules to the snapshots of the stores that are meant.
func (a *app) decide(o *opened, all []listed, opts *forgetOptions, result *forgetResult) error {
	some, err := opts.choice.filter(all)
	if err != nil {
		return err
	}
	snapshots := make([]retention.Snapshot, len(some))
	for i, s := range some {
		r := s.record
		snapshots[i] = retention.Snapshot{ID: s.id, Time: r.Started.Go(), Host: r.Host, Store: r.Store, Tags: r.Tags,
			Incomplete: r.Incomplete || r.Tree.Counts.Unsaved > 0, Shrunk: r.Shrunk, Held: holdText(s.hold)}
	}
	policy := opts.policy
	policy.Made = o.Made()
	for i, d := range retention.Apply(snapshots, policy, a.now()) {
		result.add(some[i], !d.Keep(), d.Reasons)
	}
	return nil
}

// named takes the snapshots that the arguments name. It is an error if one is held. One
// that is forgotten already is not, so that an interrupted run can be repeated.
func (o *opened) named(ctx context.Context, out *output, all []listed, damaged uint64, opts *forgetOptions, args []string, result *forgetResult) error {
	for _, arg := range args {
		s, err := cli.Select(candidates(all), cli.Query{Snapshot: arg, Store: opts.choice.store, Host: opts.choice.host})
		if err != nil && o.isForgotten(ctx, arg) {
			out.note("snapshot %s is forgotten already", arg)
			continue
		}
		if err != nil && damaged > 0 && !errors.As(err, new(*cli.UsageError)) {
			err = o.damagedNamed(ctx, arg, damaged, err, result)
		} else if err == nil {
			err = result.addNamed(all[slices.IndexFunc(all, func(l listed) bool { return l.id == s.ID })])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A heldError is the refusal to forget a snapshot that is held.
type heldError struct{ id, why string }

func (e *heldError) Error() string { return "snapshot " + e.id + " is held: " + e.why }

// isForgotten reports whether a forgotten snapshot's ID begins with id, of which there
// are as many digits as listings show.
func (o *opened) isForgotten(ctx context.Context, id string) (found bool) {
	_ = o.EachForgotten(ctx, func(f repo.ForgottenObject, _ error) error {
		found = found || len(id) >= 8 && strings.HasPrefix(f.ID.String(), id)
		return nil
	})
	return found
}

// damagedNamed takes the damaged snapshot with this whole ID, unless that is held. If there
// is none its error is the outcome, with what kept another from being found.
func (o *opened) damagedNamed(ctx context.Context, id string, damaged uint64, cause error, result *forgetResult) error {
	var found []listed
	_ = o.EachSnapshot(ctx, func(obj repo.SnapshotObject, err error) error {
		if _, err = decode(obj, err); isDamage(err) && obj.ID.String() == id {
			found = []listed{{id: id}}
		}
		return nil
	})
	if len(found) == 0 {
		return damagedOutcome(cause.Error()+"; a damaged one is named by its whole ID", damaged)
	}
	if err := o.addHolds(ctx, found, o.Now()); err != nil {
		return err
	}
	return result.addNamed(found[0])
}

// forgetAll forgets what is to go. When it is interrupted what is forgotten stays so,
// and the next run decides again, with the same outcome.
func (o *opened) forgetAll(ctx context.Context, result *forgetResult, by string) error {
	ids, err := result.forgotten()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := o.Forget(ctx, id, by); err != nil {
			return err
		}
	}
	return nil
}
