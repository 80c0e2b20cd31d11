package torture

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Memory returns a new folder that is not on a disk, where the machine has one: for
// tests that make very many files, and lose nothing when the power goes.
func Memory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "restante-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// SmallDisk mounts a file system of size bytes and returns its folder. A test that may not
// do that is skipped, but where the variable CI says that all has to be tried it fails.
func SmallDisk(t testing.TB, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		const text = "mounting a small file system, which root may: %v"
		if os.Getenv("CI") != "" {
			t.Fatalf(text, err)
		}
		t.Skipf(text, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}
