package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"restante/backup"
	"restante/cmd/restante/internal/cli"
	"restante/gc"
	"restante/repo"
	"restante/restore"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
	"restante/verify"
)

// The exit codes. Scripts rely on them: they never change their meaning.
const (
	exitDone          = 0
	exitFailed        = 1
	exitUsage         = 2
	exitIncomplete    = 3
	exitDamage        = 4
	exitShrunk        = 5
	exitNoRepository  = 10
	exitBusy          = 11
	exitWrongPassword = 12
	exitInterrupted   = 130
)

// exitHelp documents the codes; it is part of the help.
var exitHelp = []struct {
	code    int
	meaning string
}{
	{exitDone, "done"},
	{exitFailed, "failed"},
	{exitUsage, "wrong usage, nothing was done"},
	{exitIncomplete, "done, but something that exists could not be read or set"},
	{exitDamage, "damage found"},
	{exitShrunk, "refused because the store shrank (see backup --allow-shrink)"},
	{exitNoRepository, "no repository there"},
	{exitBusy, "the same store is being backed up or pruned"},
	{exitWrongPassword, "wrong password"},
	{exitInterrupted, "interrupted"},
}

func exitMeanings() string {
	var b strings.Builder
	for _, e := range exitHelp {
		fmt.Fprintf(&b, "  %-4d %s\n", e.code, e.meaning)
	}
	return b.String()
}

// An outcome is the error of a command that did its work and tells by its exit
// code what came out.
//
// Its text may have several lines, one for each thing that is to be said.
type outcome struct {
	code int
	text string
}

func (o outcome) Error() string { return o.text }

// errInterrupted is the error of any command that stopped because of Ctrl-C.
var errInterrupted = errors.New("interrupted")

// classify sorts out what the error of the whole run means: before a command
// began all errors are about the command line, and once the user interrupted
// it, whatever failed then failed because of that.
func (a *app) classify(ctx context.Context, err error) error {
	var result outcome
	switch {
	case err == nil || errors.As(err, &result):
		return err
	case !a.began:
		return &cli.UsageError{Err: err}
	case ctx.Err() != nil:
		return errInterrupted
	}
	return err
}

// exitCode maps errors to exit codes. It is the only place that does.
func exitCode(err error) int {
	var usage *cli.UsageError
	var result outcome
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &result):
		return result.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, new(*backup.ShrinkError)):
		return exitShrunk
	case errors.Is(err, repo.ErrNoRepository):
		return exitNoRepository
	case errors.As(err, new(*repo.LockedError)), errors.Is(err, repo.ErrPruning):
		return exitBusy
	case errors.Is(err, repo.ErrWrongKey):
		return exitWrongPassword
	case isDamage(err) && !repo.Unreadable(err):
		return exitDamage
	}
	return exitFailed
}

// isDamage reports whether an error is the repository's fault.
func isDamage(err error) bool {
	return errors.As(err, new(*repo.DamageError)) || errors.Is(err, repo.ErrBrokenIndex) || errors.Is(err, repo.ErrMostGone) ||
		errors.Is(err, repo.ErrMissingPiece) || errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, restore.ErrDamaged)
}

// isFlaw reports whether err says that something of the repository is damaged or cannot be read.
func isFlaw(err error) bool { return isDamage(err) || repo.Unreadable(err) }

// isLocal reports whether err, that something is damaged or cannot be read, leaves
// other things as they are: not that of the index, without which nothing is found.
func isLocal(ctx context.Context, err error) bool {
	var damage *repo.DamageError
	var unreadable *repo.UnreadableError
	if errors.As(err, &damage) && strings.HasPrefix(damage.Object, "index/") || errors.As(err, &unreadable) && strings.HasPrefix(unreadable.Object, "index/") {
		return false
	}
	return ctx.Err() == nil && isFlaw(err)
}

// hint says what the user can do about err, or nothing.
func (a *app) hint(ran *cobra.Command, err error) string {
	var usage *cli.UsageError
	var shrink *backup.ShrinkError
	var held *heldError
	var lives *gc.LivesError
	var older *repo.OlderError
	switch {
	case errors.Is(err, errPrinting):
		return ""
	case errors.As(err, &usage):
		return fmt.Sprintf("usage is %s; more: %s --help", ran.UseLine(), ran.CommandPath())
	case errors.Is(err, errInterrupted):
		return a.goOnHint(ran)
	case errors.As(err, &shrink) && len(shrink.Denied) > 0:
		return "run it as a user who may read all of the store; add --allow-shrink only if mailboxes were really removed"
	case errors.As(err, &shrink):
		return "if a disk is not mounted, mount it; if mailboxes were really removed, add --allow-shrink"
	case errors.Is(err, repo.ErrNoRepository):
		return "restante init makes a repository; -r or RESTANTE_REPOSITORY names another"
	case errors.As(err, new(*repo.LockedError)):
		if ran.Flags().Lookup("retry-lock") == nil {
			return "wait for it, then run this again"
		}
		return "wait for it, or give --retry-lock 1h"
	case errors.Is(err, repo.ErrPruning):
		return "nothing is lost; run it again when the other one has ended"
	case errors.Is(err, repo.ErrWrongKey):
		return "check RESTANTE_PASSWORD, the file or command it comes from, or the keyboard layout; every passphrase or key file added with restante key add opens it"
	case errors.Is(err, repo.ErrOwnerOnly):
		return "give the password or key file of an owner; restante key list says which keys are owners'"
	case errors.As(err, &held):
		return "restante release " + held.id + " ends that"
	case errors.As(err, &lives):
		return livesHint(lives)
	case errors.Is(err, seal.ErrTooNew):
		return "a newer restante made this repository; upgrade this one"
	case errors.Is(err, seal.ErrDraft) && !isDamage(err):
		return "restante init makes a repository elsewhere; what is in this one can be restored by the program that made it"
	case errors.Is(err, repo.ErrBrokenIndex):
		return "run restante repair index, then this again"
	case errors.As(err, &older):
		return "an older copy is opened with another --cache-dir; if the storage was rolled back on purpose, remove " + older.Note
	case errors.Is(err, gc.ErrNoSnapshots):
		return "is all of the repository there? put snapshots/ back from a copy; if nothing is to be kept, add --force"
	case errors.Is(err, repo.ErrMostGone):
		return "is all of the repository mounted? if the packs are gone for good, add --force"
	case repo.Unreadable(err):
		return "let this user read it, or see to the disk or the network, then run this again; nothing counts as lost because of it"
	case repo.InDoubt(err):
		return copyConfigBack
	case errors.Is(err, repo.ErrHeldLost):
		return heldLostHint(err)
	case isDamage(err):
		return damageHint(err)
	}
	return spaceHint(err, ran.CommandPath() == "restante restore")
}

// spaceHint says what the user can do where there is no room, or where what a restore makes is there already.
func spaceHint(err error, restoring bool) string {
	switch {
	case errors.Is(err, errEstimate):
		return "free space where the repository lies; --min-free 0 tries without asking"
	case errors.As(err, new(*repo.SpaceError)), errors.Is(err, storage.ErrNoSpace):
		return "free space where the repository lies, then run the same command again; it goes on from there"
	case errors.Is(err, errTargetFull):
		return "free space there, or restore less of it: mailboxes by their names, or --include"
	case errors.Is(err, restore.ErrExists):
		return "choose another --target, or give --resume (keep what is identical) or --overwrite"
	case restoring && errors.Is(err, syscall.ENOSPC):
		return "free space on the target, then run the same command with --resume"
	}
	return ""
}

// goOnHint says how to go on with what was interrupted, where there is
// something to go on with.
func (a *app) goOnHint(ran *cobra.Command) string {
	resume := ran.Flags().Lookup("resume")
	overwrite := ran.Flags().Lookup("overwrite")
	switch {
	case !a.opened: // at the password's prompt, say
		return ""
	case resume != nil && overwrite.Changed:
		return "what is restored so far stays; run it again with --resume instead of --overwrite to go on from there"
	case resume != nil && !resume.Changed:
		return "what is restored so far stays; run it again with --resume to go on from there"
	case ran.CommandPath() == "restante forget":
		return "what is forgotten so far stays forgotten; with rules or IDs the same command goes on from there"
	case resume != nil, ran.CommandPath() == "restante backup", ran.CommandPath() == "restante prune", ran.HasParent() && ran.Parent().CommandPath() == "restante repair":
		return "nothing that was finished is lost; the same command goes on from there"
	}
	return ""
}

const copyConfigBack = "put the config that is named back from a copy of the repository; until then change and delete nothing; " +
	"only if no key was added or removed in it, move it out of the repository"

// damageHint names the command that helps. It is not check where no command
// can open the repository.
func damageHint(err error) string {
	var damage *repo.DamageError
	if errors.As(err, &damage) {
		top, _, _ := strings.Cut(damage.Object, "/")
		switch top {
		case "config":
			return copyConfigBack
		case "keys":
			return "put what is named back from a copy of the repository"
		case "index":
			return "restore what is named from a copy of the repository; without one, run restante repair index"
		case string(repo.Snapshots):
			if _, err := repo.PartOf(damage.Object); err == nil {
				return verify.RecordHint(damage.Object)
			}
		}
	}
	return "restante check says what is affected; everything else can still be restored"
}

// livesHint says how to end a session that lives.
func livesHint(e *gc.LivesError) string {
	return fmt.Sprintf("wait for it, or end it (kill %d); a prune finds out by itself that it is gone", e.Intent.Process.PID)
}

// heldLostHint says what check says of a snapshot that is held and missing, of several the first.
func heldLostHint(err error) string {
	var damage *repo.DamageError
	if !errors.As(err, &damage) {
		return ""
	}
	return verify.HeldHint(strings.TrimPrefix(damage.Object, string(repo.Snapshots)+"/"))
}

// report prints err and what can be done about it, in a line each.
func (a *app) report(stderr io.Writer, ran *cobra.Command, err error) {
	if err == nil {
		return
	}
	text := cli.Line(err.Error())
	var result outcome
	if errors.As(err, &result) {
		text = strings.ReplaceAll(result.text, "\n", "\nrestante: ")
	}
	fmt.Fprintf(stderr, "restante: %s\n", text)
	if h := a.hint(ran, err); h != "" {
		fmt.Fprintf(stderr, "hint: %s\n", h)
	}
}
