package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"restante/cmd/restante/internal/cli"
)

// app is one run of the program: the options that all commands have. Its
// fields but opened are set before a command's function begins and not changed then.
type app struct {
	repo        string
	cacheDir    string
	logFile     string
	quiet       bool
	verbose     bool
	json        bool
	credentials credentialFlags

	now   func() time.Time // what snapshots are held against
	stdin *os.File         // the terminal that is asked for passwords, if it is one
	began bool             // the command line was understood and the command's function began

	opened bool // the repository is open, and the command's work goes on
}

func newApp() *app { return &app{now: time.Now, stdin: os.Stdin} }

func (a *app) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&a.repo, "repo", "r", "", "the repository's `PATH` (else RESTANTE_REPOSITORY, else in your data folder)")
	fs.StringVar(&a.cacheDir, "cache-dir", "", "`DIR` for caches, which may be deleted at any time")
	fs.StringVar(&a.logFile, "log-file", "", "append events to `FILE`")
	fs.BoolVarP(&a.quiet, "quiet", "q", false, "print what was asked for and warnings only")
	fs.BoolVarP(&a.verbose, "verbose", "v", false, "print more")
	fs.BoolVar(&a.json, "json", false, "print results as JSON")
	a.credentials.addFlags(fs)
}

// run makes a cobra run function of a command's own: it checks the global
// options, opens the log file, and sees to it that what was printed is out
// when the command ends.
func (a *app) run(f func(ctx context.Context, out *output, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		if err := a.checkFlags(cmd.Flags()); err != nil {
			return err
		}
		a.began = true
		log, err := a.openLog()
		if err != nil {
			return err
		}
		out := newOutput(cmd.OutOrStdout(), cmd.ErrOrStderr(), a, log)
		ctx, started := cmd.Context(), time.Now()
		defer announceInterrupt(ctx, out)()
		log.Event(cli.Info, "begin: "+cmd.CommandPath())
		err = f(ctx, out, args)
		err = out.finish(err)
		if err != nil {
			log.Event(cli.Error, err.Error())
		}
		log.Event(cli.Info, fmt.Sprintf("end: %s, exit code %d, after %s",
			cmd.CommandPath(), exitCode(a.classify(ctx, err)), cli.Duration(time.Since(started))))
		if closeErr := log.Close(); closeErr != nil {
			out.warn("%v", closeErr)
		}
		return err
	}
}

// announceInterrupt tells the user who interrupts that this was understood. It
// returns a function that ends the waiting for that.
func announceInterrupt(ctx context.Context, out *output) (end func()) {
	announced := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(announced)
		out.warn("interrupted, stopping; once more stops at once")
	})
	return func() {
		if !stop() {
			<-announced
		}
	}
}

// checkFlags refuses an option given as an empty string, which is what an
// unset variable makes of --repo "$REPO".
func (a *app) checkFlags(fs *pflag.FlagSet) (err error) {
	fs.VisitAll(func(f *pflag.Flag) {
		if !f.Changed {
			return
		}
		list, isList := f.Value.(pflag.SliceValue)
		if isList && slices.Contains(list.GetSlice(), "") || f.Value.Type() == "string" && f.Value.String() == "" {
			err = cli.Usagef("--%s is given, but empty", f.Name)
		}
	})
	if a.quiet && a.verbose {
		return cli.Usagef("--quiet and --verbose exclude each other")
	}
	return err
}

func (a *app) openLog() (*cli.Log, error) {
	if a.logFile == "" {
		return nil, nil
	}
	return cli.OpenLog(a.logFile)
}

// repository returns the path of the repository to work on.
func (a *app) repository() (string, error) {
	if a.repo != "" {
		return a.repo, nil
	}
	if path := os.Getenv("RESTANTE_REPOSITORY"); path != "" {
		return path, nil
	}
	return thisSystem().DefaultRepository()
}

// cache returns the folder for caches. It may not exist yet.
func (a *app) cache() (string, error) {
	if a.cacheDir != "" {
		return a.cacheDir, nil
	}
	return thisSystem().CacheDir()
}

func thisSystem() cli.System {
	return cli.System{
		Getenv: os.Getenv,
		Home: func() string {
			u, err := user.Current()
			if err != nil {
				return ""
			}
			return u.HomeDir
		},
		OS:   runtime.GOOS,
		Root: os.Geteuid() == 0,
	}
}

// jsonHelp is the part of a command's help that documents what --json prints,
// a value (or a list of values) of v's type.
func jsonHelp(v any) string {
	return "With --json the fields are:\n" + strings.TrimRight(cli.Fields(v), "\n")
}
