//go:build !linux

package durable

import "os"

// hold would say that somebody writes the file f; nobody asks here.
func hold(*os.File) (bool, error) { return true, nil }

// keep would keep what hold took.
func keep(*os.File) (*os.File, error) { return nil, nil }

// sweepable reports whether unfinished files can be told from abandoned ones.
func sweepable(*os.File) bool { return false }

// sweep would remove an abandoned file.
func (*Dir) sweep(*os.Root, string) (int64, bool, error) { return 0, false, nil }
