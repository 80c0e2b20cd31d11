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
