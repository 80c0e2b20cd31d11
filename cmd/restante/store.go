package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/mailstore"
	"restante/snapshot"
)

// detectStore finds the mailboxes below the paths, and tells what is odd, but for
// [mailstore.Store.Clashes].
func detectStore(ctx context.Context, out *output, paths []string, opts mailstore.Options) (*mailstore.Store, error) {
	roots := make([]string, len(paths))
	for i, p := range paths {
		if p == "" {
			return nil, cli.Usagef("a PATH is empty")
		}
		abs, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(abs); err != nil {
			return nil, fmt.Errorf("looking at the store (is its disk mounted?): %w", err)
		}
		roots[i] = abs
	}
	store, err := mailstore.Detect(ctx, roots, opts)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil { // roots that overlap, or a pattern that means nothing
		return nil, &cli.UsageError{Err: err}
	}
	if store.PatternUnused {
		out.warn("--name-pattern %s matches nothing in the store; mailboxes are named by guess", opts.NamePattern)
	}
	return store, nil
}

// tellClashes says how homes are called of which several would have one name. What the
// last snapshot has by such a name is no news to warn of each night; nor is
// it where that cannot be known, as with a key that cannot read.
func (o *opened) tellClashes(ctx context.Context, out *output, clashes []mailstore.Clash, first bool, last *snapshot.Snapshot) {
	for _, c := range clashes {
		known := !first
		if last != nil {
			before := snapshot.OpenMailboxes(o, last.Mailboxes)
			known = slices.ContainsFunc(c.Names, func(name string) bool {
				_, found, err := before.Get(ctx, name)
				return err == nil && found
			})
		}
		if known {
			out.note("%s", clashText(c))
		} else {
			out.warn("%s", clashText(c))
		}
	}
}

// clashText says how homes are called of which several would have one name.
func clashText(c mailstore.Clash) string {
	return fmt.Sprintf("several homes would be called %q; they are called %s", c.Name, strings.Join(c.Names, ", "))
}

// storeName is what a store is called that the user gave no name.
func storeName(roots []string) string {
	names := make([]string, len(roots))
	for i, r := range roots {
		names[i] = filepath.Base(r)
	}
	return strings.Join(names, "+")
}

func hostName() (string, error) {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "", cli.Usagef("this machine does not tell its name (%v): give --host", err)
	}
	return name, nil
}

// userName returns who runs the program, for people.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// refuseNested refuses a repository in the store, which would back up itself,
// and a store in the repository.
func refuseNested(roots []string, repository string) error {
	for _, root := range roots {
		if inside(repository, root) {
			return cli.Usagef("the repository %s lies in the store %s: it would be part of every backup, and gone with the store's disk; put it elsewhere", repository, root)
		}
		if inside(root, repository) {
			return cli.Usagef("the store %s lies in the repository %s: a repository holds nothing but its own objects", root, repository)
		}
	}
	return nil
}

// inside reports whether path is dir or lies in it, or will, by what they are
// on disk. Both are absolute.
func inside(path, dir string) bool {
	want, err := os.Stat(dir)
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	for err != nil && filepath.Dir(path) != path { // it is not there yet
		path = filepath.Dir(path)
		real, err = filepath.EvalSymlinks(path)
	}
	for {
		if info, err := os.Stat(real); err == nil && os.SameFile(info, want) {
			return true
		}
		parent := filepath.Dir(real)
		if parent == real {
			return false
		}
		real = parent
	}
}

// excludePatterns joins the patterns given and those in files: a line each;
// empty lines and those that begin with "#" say nothing.
func excludePatterns(patterns, files []string) ([]string, error) {
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading --exclude-file: %w", err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
				patterns = append(patterns, line)
			}
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return nil, &fs.PathError{Op: "reading --exclude-file", Path: name, Err: err}
		}
	}
	return patterns, nil
}

func someArgs(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cli.Usagef("%s is missing", what)
		}
		return nil
	}
}

// repoFlag returns the option that the user named the repository with, for
// commands that are printed.
func (a *app) repoFlag() string {
	if a.repo == "" {
		return ""
	}
	return " -r " + shellWord(a.repo)
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord quotes a word so that a shell reads it as it is.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "$" + cli.Name(s)
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
