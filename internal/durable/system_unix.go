//go:build unix

package durable

import (
	"errors"
	"os"
	"syscall"
)

// IsFull reports whether err says that the disk, or what the user may have of
// it, is full.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// syncFolder makes the entries of the folder f durable. A file system that
// does not know how is left to its own ways.
func syncFolder(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}
