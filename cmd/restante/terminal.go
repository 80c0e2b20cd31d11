package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// terminalWidth returns a function that tells the columns of the terminal
// that w is, or nil if it is none, or one that cannot go back on a line.
func terminalWidth(w io.Writer) func() int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return func() int {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
		return 80
	}
}

// askSecret asks on w for a line typed at the terminal in, which does not show
// it. When ctx is cancelled the terminal shows what is typed again.
func askSecret(ctx context.Context, in *os.File, w io.Writer, question string) (string, error) {
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("asking for password: %w", err)
	}
	fmt.Fprint(w, question)
	type answer struct {
		line []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // a read from a terminal cannot be broken off: after a Ctrl-C it ends with the program
		line, err := term.ReadPassword(fd)
		answers <- answer{line, err}
	}()
	select {
	case a := <-answers:
		fmt.Fprintln(w)
		if a.err != nil {
			return "", fmt.Errorf("asking for password: %w", a.err)
		}
		return string(a.line), nil
	case <-ctx.Done():
		fmt.Fprintln(w)
		if err := term.Restore(fd, before); err != nil {
			return "", fmt.Errorf("making the terminal show what is typed: %w", err)
		}
		return "", ctx.Err()
	}
}
