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

// createNameless makes a new file that has no name yet, and vanishes if it
// never gets one. That saves renaming it, which costs more than making it.
func (h handle) createNameless() (sysFile, error) {
	fd, err := h.open(".", unix.O_RDWR|unix.O_TMPFILE, 0o600)
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		err = errors.ErrUnsupported // not every file system can
	}
	return sysFile(fd), err
}

// giveName names a nameless file, and fails when the name is taken.
func (h handle) giveName(f sysFile, name string) error {
	return unix.Linkat(unix.AT_FDCWD, fdPath(int(f)), int(h), name, unix.AT_SYMLINK_FOLLOW)
}

// canNameless reports whether this system can name a nameless file.
func canNameless() bool {
	var st unix.Stat_t
	return unix.Stat(fdPath(0)[:len("/proc/self/fd")], &st) == nil
}

// setFileTime sets the times of an open file that may have no name.
func (h handle) setFileTime(f sysFile, name string, e *snapshot.Entry) error {
	if name != "" {
		return h.setTime(name, e)
	}
	return setTimeAt(unix.AT_FDCWD, fdPath(int(f)), e, 0)
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
