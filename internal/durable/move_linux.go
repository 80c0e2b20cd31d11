package durable

import (
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// moveExclusive renames oldname to newname unless newname is taken.
func moveExclusive(root *os.Root, oldname, newname string) error {
	from, err := root.Open(path.Dir(oldname))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := root.Open(path.Dir(newname))
	if err != nil {
		return err
	}
	defer to.Close()
	for {
		err = unix.Renameat2(int(from.Fd()), path.Base(oldname), int(to.Fd()), path.Base(newname), unix.RENAME_NOREPLACE)
		if err != unix.EINTR {
			break
		}
	}
	if err == unix.EINVAL { // the file system does not know the flag
		err = unix.ENOTSUP
	}
	if err != nil {
		return &os.LinkError{Op: "renameat2", Old: oldname, New: newname, Err: err}
	}
	return nil
}
