package durable

import (
	"errors"
	"os"
	"syscall"
)

// Windows' own numbers, which package syscall does not name.
const (
	errorHandleDiskFull = syscall.Errno(39)
	errorDiskFull       = syscall.Errno(112)
	errorDiskQuota      = syscall.Errno(1295)
)

// IsFull reports whether err says that the disk, or what the user may have of
// it, is full.
func IsFull(err error) bool {
	return errors.Is(err, errorDiskFull) || errors.Is(err, errorHandleDiskFull) || errors.Is(err, errorDiskQuota)
}

// syncFolder would make the entries of the folder f durable; Windows has no
// way to ask for it.
func syncFolder(*os.File) error { return nil }
