//go:build darwin || freebsd

package restore

import (
	"errors"

	"golang.org/x/sys/unix"

	"restante/snapshot"
)

// Extended attributes that hold access lists: here they are not kept as such.
const (
	aclAccess  = ""
	aclDefault = ""
)

// renameNew renames, and fails when the new name is taken.
func (h handle) renameNew(from, to string) error { return h.linkAndRemove(from, to) }

func (h handle) chmodNode(name string, mode uint32) error {
	return unix.Fchmodat(int(h), name, mode, unix.AT_SYMLINK_NOFOLLOW)
}

func (h handle) setNodeXattr(string, snapshot.Xattr) error {
	return errors.New("this system sets attributes of files and folders only")
}

// This system has no nameless files.

func (h handle) createNameless() (f sysFile, err error) { return f, errors.ErrUnsupported }
func (h handle) giveName(sysFile, string) error         { return errors.ErrUnsupported }
func canNameless() bool                                 { return false }

func (h handle) setFileTime(_ sysFile, name string, e *snapshot.Entry) error {
	return h.setTime(name, e)
}
