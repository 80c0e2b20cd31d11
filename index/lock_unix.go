//go:build unix

package index

import (
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes a lock on f, exclusive or shared with others, without waiting.
// Closing f releases it.
func tryLock(f *os.File, exclusive bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err != unix.EINTR {
			return err
		}
	}
}
