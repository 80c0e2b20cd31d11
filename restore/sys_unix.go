//go:build linux || darwin || freebsd

package restore

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"restante/snapshot"
)

// A handle is an open folder. Every operation takes the name of something
// directly in it, and none follows a symbolic link there, so that whatever is
// put in the way meanwhile, nothing is done elsewhere.
type handle int

// openTarget opens the folder at path, following symbolic links: the caller named it.
func openTarget(path string) (handle, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	return handle(fd), err
}

func (h handle) close() error { return unix.Close(int(h)) }

func (h handle) openDir(name string) (handle, error) {
	fd, err := h.open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	return handle(fd), err
}

func (h handle) mkdir(name string) error { return unix.Mkdirat(int(h), name, 0o700) }

// create makes a new file that only its owner can touch.
func (h handle) create(name string) (sysFile, error) {
	fd, err := h.open(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	return sysFile(fd), err
}

// reopen opens a file that create made.
func (h handle) reopen(name string) (sysFile, error) {
	fd, err := h.open(name, unix.O_RDWR|unix.O_NONBLOCK, 0)
	return sysFile(fd), err
}

// openRead opens a file to read. A FIFO in its place does not make it wait.
func (h handle) openRead(name string) (sysFile, error) {
	fd, err := h.open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	return sysFile(fd), err
}

func (h handle) open(name string, flags int, mode uint32) (int, error) {
	return retry(func() (int, error) {
		return unix.Openat(int(h), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	})
}

func (h handle) rename(from, to string) error { return unix.Renameat(int(h), from, int(h), to) }
func (h handle) remove(name string) error     { return unix.Unlinkat(int(h), name, 0) }
func (h handle) removeDir(name string) error  { return unix.Unlinkat(int(h), name, unix.AT_REMOVEDIR) }

func (h handle) symlink(target, name string) error { return unix.Symlinkat(target, int(h), name) }

// link gives a file of another folder a further name in this one.
func (h handle) link(from handle, fromName, name string) error {
	return unix.Linkat(int(from), fromName, int(h), name, 0)
}

// linkAndRemove renames without replacing where no system call does so.
func (h handle) linkAndRemove(from, to string) error {
	if err := h.link(h, from, to); err != nil {
		return err
	}
	return h.remove(from)
}

// each calls fn with the names in the folder, in no order.
func (h handle) each(fn func(name string) error) error {
	fd, err := h.open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return eachName(os.NewFile(uintptr(fd), "."), fn)
}

// stat describes what has a name, not what it points to. The name "." is the folder itself.
func (h handle) stat(name string) (info, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(h), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return info{}, err
	}
	sec, nsec := st.Mtim.Unix()
	return info{
		kind: kindOf(uint32(st.Mode)), mode: uint32(st.Mode) & 0o7777, uid: st.Uid, gid: st.Gid, size: uint64(st.Size),
		mtime: snapshot.Time{Sec: sec, Nsec: uint32(nsec)}, dev: uint64(st.Dev), ino: st.Ino, links: uint64(st.Nlink),
	}, nil
}

func kindOf(mode uint32) snapshot.Kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return snapshot.File
	case unix.S_IFDIR:
		return snapshot.Dir
	case unix.S_IFLNK:
		return snapshot.Symlink
	case unix.S_IFIFO:
		return snapshot.FIFO
	case unix.S_IFSOCK:
		return snapshot.Socket
	case unix.S_IFCHR:
		return snapshot.CharDevice
	}
	return snapshot.BlockDevice
}

// typeBits is the inverse of kindOf for what mknod makes.
func typeBits(k snapshot.Kind) uint32 {
	switch k {
	case snapshot.FIFO:
		return unix.S_IFIFO
	case snapshot.Socket:
		return unix.S_IFSOCK
	case snapshot.CharDevice:
		return unix.S_IFCHR
	}
	return unix.S_IFBLK
}

// permit gives the owner of the folder the right to work in it.
func (h handle) permit(mode uint32) error { return unix.Fchmod(int(h), mode|0o700) }

// inherits reports whether files made in the folder get an access list from it.
func (h handle) inherits() bool {
	n, err := unix.Fgetxattr(int(h), aclDefault, nil)
	return err == nil && n > 0
}

// setFile gives a file, open as f and named name or nameless, its owner, attributes, mode
// and times. The order matters: a change of owner takes setuid bits away, and
// an access list changes the mode.
func (h handle) setFile(f sysFile, name string, e *snapshot.Entry, o attrOptions) (u unset) {
	u.setOwner(o, func() error { return unix.Fchown(int(f), int(e.UID), int(e.GID)) })
	u.setFdXattrs(int(f), e, o)
	mode := e.Mode & 0o7777
	if !u.owned {
		mode &^= unix.S_ISUID | unix.S_ISGID // they would give away another's rights
	}
	u.add("mode", unix.Fchmod(int(f), mode))
	u.add("time", h.setFileTime(f, name, e))
	return u
}

// setSelf gives the folder itself what setFile gives a file.
func (h handle) setSelf(e *snapshot.Entry, o attrOptions) (u unset) {
	u.setOwner(o, func() error { return unix.Fchown(int(h), int(e.UID), int(e.GID)) })
	u.setFdXattrs(int(h), e, o)
	u.add("mode", unix.Fchmod(int(h), e.Mode&0o7777))
	u.add("time", h.setTime(".", e))
	return u
}

// setNode gives a symbolic link, FIFO, socket or device what setFile gives a file.
func (h handle) setNode(name string, e *snapshot.Entry, o attrOptions) (u unset) {
	u.setOwner(o, func() error {
		return unix.Fchownat(int(h), name, int(e.UID), int(e.GID), unix.AT_SYMLINK_NOFOLLOW)
	})
	for _, x := range o.wanted(e) {
		u.add("attribute "+x.Name, h.setNodeXattr(name, x))
	}
	if e.Kind != snapshot.Symlink {
		u.add("mode", h.chmodNode(name, e.Mode&0o7777))
	}
	u.add("time", h.setTime(name, e))
	return u
}

// setTime sets the time of change, and that of the last access to the same:
// readers of mbox files take a later change than access for new mail, so an
// access now would hide it.
func (h handle) setTime(name string, e *snapshot.Entry) error {
	return setTimeAt(int(h), name, e, unix.AT_SYMLINK_NOFOLLOW)
}

func setTimeAt(dir int, name string, e *snapshot.Entry, flags int) error {
	t, err := unix.TimeToTimespec(e.Mtime.Go())
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(dir, name, []unix.Timespec{t, t}, flags)
}

func (u *unset) setFdXattrs(fd int, e *snapshot.Entry, o attrOptions) {
	if o.clean {
		removeXattrs(fd, e)
	}
	for _, x := range o.wanted(e) {
		u.add("attribute "+x.Name, unix.Fsetxattr(fd, x.Name, x.Value, 0))
	}
}

// removeXattrs takes away what the entry does not have and a user can see:
// access lists inherited from the folder above, and attributes set before a
// restore over what was there. What cannot be taken away stays.
func removeXattrs(fd int, e *snapshot.Entry) {
	n, err := unix.Flistxattr(fd, nil)
	if err != nil || n == 0 {
		return
	}
	list := make([]byte, n)
	if n, err = unix.Flistxattr(fd, list); err != nil {
		return
	}
	for name := range strings.SplitSeq(string(list[:n]), "\x00") {
		has := slices.ContainsFunc(e.Xattrs, func(x snapshot.Xattr) bool { return x.Name == name })
		if !has && (strings.HasPrefix(name, "user.") || name == aclAccess || name == aclDefault) {
			_ = unix.Fremovexattr(fd, name)
		}
	}
}

// A sysFile is an open file.
type sysFile int

func (f sysFile) Close() error { return unix.Close(int(f)) }

func (f sysFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := retry(func() (int, error) { return unix.Pwrite(int(f), p[done:], off+int64(done)) })
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.ErrShortWrite
		}
		done += n
	}
	return done, nil
}

func (f sysFile) resize(size int64) error { return unix.Ftruncate(int(f), size) }

func (f sysFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := retry(func() (int, error) { return unix.Pread(int(f), p[done:], off+int64(done)) })
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}

// retry repeats a call that a signal interrupted.
func retry(fn func() (int, error)) (int, error) {
	for {
		n, err := fn()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// inTheWay reports whether err says that something other than a folder has a folder's name.
func inTheWay(err error) bool {
	return errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EMLINK)
}

// full reports whether err says that nothing more can be written to the file system.
func full(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS)
}

// denied reports whether err says that this user may not set an owner.
func denied(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL)
}
