// Package cli turns what an administrator types into values and values into
// what an administrator reads: times, sizes, snapshot selectors and command
// lines in; numbers, names, tables, a progress bar and a log file out.
//
// It knows nothing of repositories and nothing of terminals but their width.
// What it prints is safe on a terminal: names from a mail store are never
// written raw (see [Name]).
package cli

import "fmt"

// A UsageError says that the command line cannot be meant as it stands. The
// program ends with exit code 2 because of it, and nothing was done.
type UsageError struct {
	Err error
}

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef returns a [UsageError] with a message made as by [fmt.Errorf].
func Usagef(format string, args ...any) error {
	return &UsageError{Err: fmt.Errorf(format, args...)}
}
