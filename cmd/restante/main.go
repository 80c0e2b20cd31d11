// Restante keeps snapshots of a mail server's store in an encrypted
// repository and gives back one mailbox by its name.
//
// "restante help" is its manual. This package is the wiring: one file a
// command, which parses, calls one library function and prints. What is
// typed and printed is the matter of package cli; errors become exit codes in
// one place, exit.go.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// ballast is memory that nobody touches, so that it takes no room. The garbage
// collector counts it: where little else lives, as in a night in which nothing changed,
// it would run every few megabytes.
const ballast = 8 << 20

func main() {
	// Half the usual garbage costs a few per cent of time and saves a third of
	// the memory. GOGC in the environment still decides.
	var untouched []byte
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
		untouched = make([]byte, ballast)
	}
	code := execute(newApp(), commands)
	runtime.KeepAlive(untouched)
	os.Exit(code)
}

// commands lists the program's commands. Each call returns new ones.
func commands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newInitCommand(a),
		newBackupCommand(a),
		newSnapshotsCommand(a),
		newMailboxesCommand(a),
		newLsCommand(a),
		newDiffCommand(a),
		newRestoreCommand(a),
		newForgetCommand(a),
		newUnforgetCommand(a),
		newHoldCommand(a),
		newReleaseCommand(a),
		newCheckCommand(a),
		newPruneCommand(a),
		newRepairCommand(a),
		newStatsCommand(a),
		newInspectCommand(a),
		newKeyCommand(a),
		newCompletionCommand(a),
		newVersionCommand(a),
	}
}

// execute runs the command that the program's arguments name, of those that
// list returns, and returns the exit code.
func execute(a *app, list func(*app) []*cobra.Command) int {
	ctx, stop := interruptible(os.Stderr)
	defer stop()
	root := newRoot(a, list)
	root.SetIn(os.Stdin)
	root.SetOut(os.Stdout)
	root.SetErr(os.Stderr)
	ran, err := root.ExecuteContextC(ctx)
	err = a.classify(ctx, err)
	a.report(os.Stderr, ran, err)
	return exitCode(err)
}

// interruptible returns a context that the first Ctrl-C (or SIGTERM, which is
// how systemd stops a service, or SIGHUP, when a terminal goes away and nohup
// was not used) cancels; the second ends the program at once,
// which loses nothing but time, for what is committed stays.
func interruptible(stderr io.Writer) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() { // ends with the program
		<-signals
		cancel()
		<-signals
		fmt.Fprintln(stderr, "\nrestante: stopped at once")
		os.Exit(exitInterrupted)
	}()
	return ctx, cancel
}
