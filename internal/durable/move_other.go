//go:build !linux

package durable

import (
	"errors"
	"os"
)

// moveExclusive would rename oldname to newname unless newname is taken.
func moveExclusive(_ *os.Root, oldname, newname string) error {
	return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: errors.ErrUnsupported}
}
