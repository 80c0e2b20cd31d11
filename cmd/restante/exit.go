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
	"restante/repo"
	"restante/restore"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
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
	case errors.As(err, new(*repo.LockedError)):
		return exitBusy
	case errors.Is(err, repo.ErrWrongKey):
		return exitWrongPassword
	case errors.As(err, new(*repo.DamageError)), errors.Is(err, snapshot.ErrDamaged):
		return exitDamage
	}
	return exitFailed
}

// hint says what the user can do about err, or nothing.
func hint(ran *cobra.Command, err error) string {
	var usage *cli.UsageError
	switch {
	case errors.As(err, &usage):
		return fmt.Sprintf("usage is %s; more: %s --help", ran.UseLine(), ran.CommandPath())
	case errors.Is(err, errInterrupted):
		return "nothing that was finished is lost; the same command goes on from there"
	case errors.As(err, new(*backup.ShrinkError)):
		return "if a disk is not mounted, mount it; if mailboxes were really removed, add --allow-shrink"
	case errors.Is(err, repo.ErrNoRepository):
		return "restante init makes a repository; -r or RESTANTE_REPOSITORY names another"
	case errors.As(err, new(*repo.LockedError)):
		return "wait for it, or give --retry-lock 1h"
	case errors.Is(err, repo.ErrWrongKey):
		return "any passphrase or key file that restante key list shows opens it"
	case errors.Is(err, seal.ErrTooNew):
		return "a newer restante made this repository; upgrade this one"
	case errors.As(err, new(*repo.DamageError)), errors.Is(err, snapshot.ErrDamaged):
		return "restante check says what is affected; everything else can still be restored"
	case errors.As(err, new(*repo.SpaceError)), errors.Is(err, storage.ErrNoSpace):
		return "free space where the repository lies, then run the same command again; it goes on from there"
	case errors.Is(err, restore.ErrExists):
		return "choose another --target, or give --resume (keep what is identical) or --overwrite"
	case errors.Is(err, syscall.ENOSPC):
		return "free space on the target, then run the same command with --resume"
	}
	return ""
}

// report prints err and what can be done about it, in a line each.
func report(stderr io.Writer, ran *cobra.Command, err error) {
	if err == nil {
		return
	}
	fmt.Fprintf(stderr, "restante: %s\n", cli.Line(err.Error()))
	if h := hint(ran, err); h != "" {
		fmt.Fprintf(stderr, "hint: %s\n", h)
	}
}
