//go:build linux || darwin || freebsd

package local

import (
	"os"

	"golang.org/x/sys/unix"
)

// free returns how many bytes this user may still write in root's file system.
func free(root *os.Root) (uint64, error) {
	f, err := root.Open(".")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var st unix.Statfs_t
	for {
		if err = unix.Fstatfs(int(f.Fd()), &st); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return 0, os.NewSyscallError("fstatfs", err)
	}
	// FreeBSD's count is negative when only root's reserve is left.
	return uint64(max(int64(st.Bavail), 0)) * uint64(st.Bsize), nil
}
