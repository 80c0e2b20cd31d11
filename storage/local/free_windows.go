package local

import (
	"os"

	"golang.org/x/sys/windows"
)

// free returns how many bytes this user may still write in root's file system.
func free(root *os.Root) (uint64, error) {
	name, err := windows.UTF16PtrFromString(root.Name())
	if err != nil {
		return 0, err
	}
	var n uint64
	if err := windows.GetDiskFreeSpaceEx(name, &n, nil, nil); err != nil {
		return 0, os.NewSyscallError("GetDiskFreeSpaceEx", err)
	}
	return n, nil
}
