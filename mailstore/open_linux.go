package mailstore

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// openFile opens the regular file called name in dir for reading. It neither
// leaves dir by a symbolic link that took its place
// nor waits for the other end of a FIFO, and leaves
// the access time alone where it may: by that time, programs tell whether an
// mbox has new mail.
func openFile(dir *os.Root, name string) (*os.File, error) {
	const flags = os.O_RDONLY | unix.O_NONBLOCK
	f, err := dir.OpenFile(name, flags|unix.O_NOATIME, 0)
	if errors.Is(err, fs.ErrPermission) {
		return dir.OpenFile(name, flags, 0) // O_NOATIME is the owner's privilege
	}
	return f, err
}
