package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// TestMain makes the test binary serve the scripts as two programs: restante
// itself, and framed, the same frame with commands that show what a command
// gets from it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"restante": main,
		"framed":   func() { os.Exit(execute(newApp(), framedCommands)) },
		// restante in a year when snapshots can be older than a repository of today's.
		"later": func() {
			a := newApp()
			a.now = func() time.Time { return laterNow }
			os.Exit(execute(a, commands))
		},
	})
}

func TestScript(t *testing.T) {
	if testing.Short() {
		t.Skip("what runs at the same time are the packages, each of which has its own tests")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir+"/home")
			fixtures, err := filepath.Abs("../../testdata/repo")
			if err != nil {
				return err
			}
			if _, err := os.Stat(fixtures); err != nil { // where the scripts run from a copy
				fixtures = os.Getenv("RESTANTE_FIXTURES")
			}
			e.Setenv("FIXTURES", fixtures)
			e.Setenv("XDG_CACHE_HOME", e.WorkDir+"/cache") // root's default is the machine's
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"addsnapshots": addSnapshots,
			"addwriter":    addWriter,

			"exits":     exits,
			"patch":     patch,
			"damagekey": damageKey,
			"usedkey":   usedKey,
			"writerkey": writerKey,
		},
	})
}

// exits runs a program and wants its exit code: exits CODE PROGRAM [ARGUMENT…].
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	var status interface{ ExitCode() int }
	switch {
	case errors.As(err, &status):
		code = fmt.Sprint(status.ExitCode())
	case err != nil:
		ts.Fatalf("running %s: %v", args[1], err)
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// framedCommands show what the frame gives a command.
func framedCommands(a *app) []*cobra.Command {
	var file string
	var sources bool
	password := &cobra.Command{Use: "password", Args: noArgs,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			c, err := a.credential(ctx, out, "there")
			fmt.Fprintf(out, "source=%s passphrase=%q key=%q\n", c.source, c.passphrase, c.keyFile)
			return err
		})}
	newPassword := &cobra.Command{Use: "newpassword", Args: noArgs,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			p, err := a.newPassword(ctx, out, file, sources)
			fmt.Fprintf(out, "passphrase=%q\n", p)
			return err
		})}
	newPassword.Flags().StringVar(&file, "new-password-file", "", "")
	newPassword.Flags().BoolVar(&sources, "sources", false, "")
	places := &cobra.Command{Use: "places", Args: noArgs,
		RunE: a.run(func(_ context.Context, out *output, _ []string) error {
			repo, err := a.repository()
			if err != nil {
				return err
			}
			cache, err := a.cache()
			fmt.Fprintf(out, "repository=%s\ncache=%s\n", repo, cache)
			return err
		})}
	ends := &cobra.Command{Use: "ends WORD", Args: exactArgs(1, "the word"),
		RunE: a.run(func(_ context.Context, out *output, args []string) error { return runEnds(out, args[0]) })}
	waits := &cobra.Command{Use: "waits", Args: noArgs,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			p, stop := out.progress("waiting")
			defer stop()
			p.SetTotal(4, 4<<20)
			p.Add(1, 1<<20)
			<-ctx.Done()
			return errors.New("what fails when interrupted")
		})}
	stuck := &cobra.Command{Use: "stuck", Args: noArgs,
		RunE: a.run(func(_ context.Context, out *output, _ []string) error {
			p, stop := out.progress("stuck")
			defer stop()
			p.SetTotal(4, 4<<20)
			p.Add(1, 1<<20)
			select {} // whatever happens to its context
		})}
	list := &cobra.Command{Use: "list", RunE: a.run(func(_ context.Context, out *output, args []string) error {
		return out.list(func(add func(any) error) error {
			for _, arg := range args {
				if err := add(map[string]string{"name": arg}); err != nil {
					return err
				}
			}
			return nil
		})
	})}
	below := group(&cobra.Command{Use: "below", Short: "commands below"})
	below.AddCommand(&cobra.Command{Use: "deep", Args: noArgs, RunE: a.run(func(context.Context, *output, []string) error { return nil })})
	return []*cobra.Command{password, newPassword, places, ends, waits, stuck, list, below}
}

func runEnds(out *output, word string) error {
	fmt.Fprintln(out, "result")
	out.note("a note")
	out.detail("a detail")
	out.warn("a warning about %s", "a\x1b[31m\nb")
	switch word {
	case "failed":
		return fmt.Errorf("opening %s: %w", "a\x1b[31mb", errors.Join(errors.New("one"), errors.New("two")))
	case "incomplete":
		return outcome{exitIncomplete, "3 files could not be read"}
	case "damage":
		return outcome{exitDamage, "2 objects are damaged"}
	case "lines":
		return outcome{exitDamage, "one\ntwo"}
	}
	return nil
}

func TestExitCodesAreDocumentedOnce(t *testing.T) {
	seen := map[int]bool{}
	for _, e := range exitHelp {
		if seen[e.code] || e.meaning == "" {
			t.Errorf("exit code %d is documented twice or not at all", e.code)
		}
		seen[e.code] = true
	}
	for _, code := range []int{0, 1, 2, 3, 4, 5, 10, 11, 12, 130} {
		if !seen[code] {
			t.Errorf("exit code %d is not in the help", code)
		}
	}
}

// TestEveryCommandHasHelp keeps the manual whole: each command says what it is for.
func TestEveryCommandHasHelp(t *testing.T) {
	for _, c := range newRoot(newApp(), commands).Commands() {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short help is %q", c.Name(), c.Short)
		}
		if !c.Runnable() {
			t.Errorf("%s cannot be run", c.Name())
		}
	}
}
