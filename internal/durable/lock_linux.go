package durable

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// hold takes the lock that says that somebody writes the file f. It reports
// false when a sweep was faster: the file has no name any more. The lock goes
// with the last descriptor of the open file, at the latest with the process. A
// file system that has no locks is left to its own ways; see sweepable.
func hold(f *os.File) (bool, error) {
	if err := flock(f, unix.LOCK_EX); err != nil {
		return true, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, os.NewSyscallError("fstat", err)
	}
	return st.Nlink > 0, nil
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// keep returns another descriptor of f, which keeps its lock when f is closed.
func keep(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// sweepable reports whether the folder f is on a file system whose locks all
// its users see, because they are all on this machine.
func sweepable(f *os.File) bool {
	var st unix.Statfs_t
	for {
		err := unix.Fstatfs(int(f.Fd()), &st)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return false
		}
	}
	switch uint32(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC,
		unix.OVERLAYFS_SUPER_MAGIC, zfsMagic, bcachefsMagic:
		return true
	}
	return false
}

// What package unix does not name.
const (
	zfsMagic      = 0x2fc12fc1
	bcachefsMagic = 0xca451a4e
)

// sweep removes the file temp of folder, that for unfinished files, unless somebody writes it.
func (d *Dir) sweep(folder *os.Root, temp string) (size int64, removed bool, err error) {
	info, err := folder.Lstat(temp)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false, ignoreMissing(err)
	}
	f, err := folder.OpenFile(temp, os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return 0, false, nil // another user's, whose own sweep removes it
		}
		return 0, false, ignoreMissing(err)
	}
	defer f.Close()
	if flock(f, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return 0, false, nil
	}
	// The name is that of the file that is locked: names are random, never
	// used twice, and only removed.
	err = d.do(Call{Op: Unlink, Name: path.Join(d.temp, temp)}, func() error { return folder.Remove(temp) })
	if err != nil {
		return 0, false, ignoreMissing(err)
	}
	return info.Size(), true, nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
