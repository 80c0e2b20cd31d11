package restore

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"restante/snapshot"
)

// Extended attributes that hold POSIX access lists.
const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

// renameNew renames, and fails when the new name is taken.
func (h handle) renameNew(from, to string) error {
	err := unix.Renameat2(int(h), from, int(h), to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not every file system can
		return h.linkAndRemove(from, to)
	}
	return err
}

// node makes a FIFO, socket or device.
func (h handle) node(name string, e *snapshot.Entry) error {
	return unix.Mknodat(int(h), name, typeBits(e.Kind)|0o600, int(e.Rdev))
}

// chmodNode sets the mode of what cannot be opened. Before Linux 6.6 no call
// does so without following a symbolic link, but the path of an open handle can.
func (h handle) chmodNode(name string, mode uint32) error {
	fd, err := h.open(name, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Chmod(fdPath(fd), mode)
}

// setNodeXattr sets an attribute of what cannot be opened.
func (h handle) setNodeXattr(name string, x snapshot.Xattr) error {
	return unix.Lsetxattr(fdPath(int(h))+"/"+name, x.Name, x.Value, 0)
}

func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
