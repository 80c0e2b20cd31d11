package index

import (
	"os"

	"golang.org/x/sys/windows"
)

// tryLock takes a lock on f, exclusive or shared with others, without waiting.
// Closing f releases it.
func tryLock(f *os.File, exclusive bool) error {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
}
