package local_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"restante/internal/torture"
	"restante/storage"
	"restante/storage/local"
)

func TestDiskFull(t *testing.T) {
	dir := torture.SmallDisk(t, 1<<20)
	s, err := local.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put(t, s, "config/1", strings.Repeat("x", 300_000))
	free, err := s.Free(t.Context())
	if err != nil || free > 800_000 || free < 500_000 {
		t.Errorf("Free() = %d, %v", free, err)
	}
	wantFull := func(err error) {
		t.Helper()
		if !errors.Is(err, storage.ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
			t.Errorf("on a full disk: %v", err)
		}
		wantEmptyTemp(t, dir)
		if now, err := s.Free(t.Context()); now != free || err != nil {
			t.Errorf("Free() = %d, %v, want %d as before", now, err, free)
		}
	}
	wantFull(s.Put(t.Context(), "packs/big", make([]byte, 1<<20)))

	st, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = st.Write(bytes.Repeat([]byte("y"), 100_000))
	}
	wantFull(err)
	if err := st.Discard(); err != nil {
		t.Error(err)
	}
	wantFull(st.Commit(t.Context(), "packs/big"))

	if got := names(t, s, ""); len(got) != 1 {
		t.Errorf("listed %q", got)
	}
	put(t, s, "packs/small", "there is room for this")
}

// TestNoInodes fills a file system's table of files, so that not even an
// empty file or a folder can be made.
func TestNoInodes(t *testing.T) {
	dir := torture.SmallDisk(t, 1<<20)
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "nr_inodes=8"); err != nil {
		t.Skipf("limiting the number of files: %v", err)
	}
	s, err := local.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := 0; err == nil; i++ {
		err = s.Put(t.Context(), fmt.Sprintf("packs/%d", i), nil)
	}
	if !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("with no inode left: %v", err)
	}
	wantEmptyTemp(t, dir)
	var all []storage.Staged
	for err = nil; err == nil; {
		var st storage.Staged
		if st, err = s.Stage(t.Context()); err == nil {
			all = append(all, st)
		}
	}
	if !errors.Is(err, storage.ErrNoSpace) || len(all) == 0 {
		t.Errorf("Stage with no inode left, after %d: %v", len(all), err)
	}
	if err := all[0].Commit(t.Context(), "folders/need/more"); !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("Commit with no inode left for a folder: %v", err)
	}
	for _, st := range all {
		if err := st.Discard(); err != nil {
			t.Error(err)
		}
	}
	wantEmptyTemp(t, dir)
}

func TestReadOnlyMount(t *testing.T) {
	dir := torture.SmallDisk(t, 1<<20)
	s, err := local.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "config/1", "x")
	s.Close()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("remounting read-only: %v", err)
	}
	s = open(t, dir)
	if got, err := s.Get(t.Context(), "config/1", 0, -1, nil); string(got) != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.Put(t.Context(), "config/2", nil); !errors.Is(err, unix.EROFS) {
		t.Errorf("Put: %v", err)
	}
	if err := s.Delete(t.Context(), "config/1"); !errors.Is(err, unix.EROFS) {
		t.Errorf("Delete: %v", err)
	}
}

// TestUnmountedDisk has a repository on a disk that is taken away: what is
// left is the empty folder that it was mounted on.
func TestUnmountedDisk(t *testing.T) {
	dir := torture.SmallDisk(t, 1<<20)
	s, err := local.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put(t, s, "config/1", "x")
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Open(dir); !errors.Is(err, storage.ErrNotFound) || !strings.Contains(err.Error(), "mounted") {
		t.Errorf("Open: %v", err)
	}
	put(t, s, "config/2", "the open handle still writes to the disk, not to the folder below")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("below the mount point there is %v, %v", entries, err)
	}
	// For the clean-up of SmallDisk.
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
}

// TestTwoUsersOfAGroup writes to one repository as root and as another user,
// whose only bond is the group of the folder.
func TestTwoUsersOfAGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becoming another user needs root")
	}
	const user, group = 54321, 54322
	dir, err := os.MkdirTemp("", "restante-group-") // t.TempDir's parent is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chown(dir, 0, group); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o770|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	root, err := local.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	put(t, root, "config/1", "root's")
	put(t, root, "packs/00/root", "root's")

	as(t, user, group, func() {
		other, err := local.Open(dir)
		if err != nil {
			t.Error(err)
			return
		}
		defer other.Close()
		if got, err := other.Get(t.Context(), "config/1", 0, -1, nil); string(got) != "root's" || err != nil {
			t.Errorf("the other user gets %q, %v", got, err)
		}
		for _, name := range []string{"packs/00/other", "packs/01/other"} {
			if err := other.Put(t.Context(), name, []byte("other's")); err != nil {
				t.Errorf("the other user: %v", err)
			}
		}
		if err := other.Delete(t.Context(), "packs/00/root"); err != nil {
			t.Errorf("the other user: %v", err)
		}
	})
	info, err := os.Stat(filepath.Join(dir, "packs/01/other"))
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != user || st.Gid != group {
		t.Errorf("the other user's object belongs to %d:%d", st.Uid, st.Gid)
	}
	put(t, root, "packs/01/root", "root's")

	as(t, user+1, group+1, func() {
		if _, err := local.Open(dir); !errors.Is(err, os.ErrPermission) {
			t.Errorf("a stranger: %v", err)
		}
	})
}

// as runs fn with the file system rights of another user.
func as(t *testing.T, user, group int, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		groups, err := unix.Getgroups()
		if err != nil || len(groups) > 1 || len(groups) == 1 && groups[0] == group {
			t.Logf("supplementary groups %v, %v", groups, err)
		}
		if err := unix.Setfsgid(group); err != nil {
			t.Error(err)
			return
		}
		if err := unix.Setfsuid(user); err != nil {
			t.Error(err)
			return
		}
		fn()
	}()
	<-done
}
