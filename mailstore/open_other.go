//go:build !linux

package mailstore

import (
	"os"
	"syscall"
)

// openFile opens the regular file called name in dir for reading and does not
// wait for the other end of a FIFO.
func openFile(dir *os.Root, name string) (*os.File, error) {
	return dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}
