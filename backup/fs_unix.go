//go:build unix

package backup

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"restante/snapshot"
)

// A handle is an open folder.
type handle struct{ f *os.File }

// openRoot opens a root of the store; a symbolic link to a root is followed,
// because the user named it.
func openRoot(path string) (*folder, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "opening", Path: path, Err: err}
	}
	return newFolder(handle{os.NewFile(uintptr(fd), path)}), nil
}

func (h handle) close() { h.f.Close() }

func (h handle) fd() int { return int(h.f.Fd()) }

// sub opens a folder in the folder.
func (h handle) sub(name string) (*folder, error) {
	fd, err := h.openat(name, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return newFolder(handle{os.NewFile(uintptr(fd), h.path(name))}), nil
}

func (h handle) openat(name string, flags int) (int, error) {
	flags |= unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := retry(func() (int, error) { return unix.Openat(h.fd(), name, flags|noAtime, 0) })
	if err == unix.EPERM { // noAtime is for the owner and root only
		fd, err = retry(func() (int, error) { return unix.Openat(h.fd(), name, flags, 0) })
	}
	if err != nil {
		return -1, h.error("opening", name, err)
	}
	return fd, nil
}

func (h handle) path(name string) string { return filepath.Join(h.f.Name(), name) }

func (h handle) error(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: h.path(name), Err: err}
}

// names lists the folder, sorted. Beside an error it returns those it got.
func (h handle) names() ([]string, error) {
	var names []string
	err := h.eachName(func(name string) { names = append(names, name) })
	slices.Sort(names)
	return names, err
}

// namesAtOnce bounds the memory for names that are only passing by.
const namesAtOnce = 4096

// eachName calls fn for each name in the folder. It can be called once.
func (h handle) eachName(fn func(string)) error {
	for {
		names, err := h.f.Readdirnames(namesAtOnce)
		for _, name := range names {
			fn(name)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return h.error("listing", "", err)
		}
	}
}

// lstat looks at a name in the folder; the empty name is the folder itself.
func (h handle) lstat(name string) (stat, error) {
	var st unix.Stat_t
	_, err := retry(func() (int, error) {
		if name == "" {
			return 0, unix.Fstat(h.fd(), &st)
		}
		return 0, unix.Fstatat(h.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return stat{}, h.error("looking at", name, err)
	}
	return statOf(&st), nil
}

func (h handle) readlink(name string) (string, error) {
	for size := 256; ; size *= 2 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(h.fd(), name, buf)
		if err != nil {
			return "", h.error("reading the link", name, err)
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

// xattrs reads the extended attributes of a name in the folder, or of the
// folder itself, without opening it.
func (h handle) xattrs(name string) ([]snapshot.Xattr, error) {
	if name == "" {
		return openXattrs(h.fd())
	}
	out, err := pathXattrs(h.attrPath(name))
	if err == unix.ENOENT { // or there is no /proc
		out, err = pathXattrs(h.path(name))
	}
	if err != nil {
		return nil, h.error("reading the attributes", name, err)
	}
	return out, nil
}

// open opens a regular file in the folder for reading. O_NONBLOCK keeps a FIFO
// that took its place meanwhile from holding the backup up.
func (h handle) open(name string) (*file, error) {
	fd, err := h.openat(name, unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return &file{fd: fd, dir: h, name: name}, nil
}

// A file is open for reading. It is a bare descriptor: an os.File costs three
// system calls more, to find out that a regular file cannot be polled.
type file struct {
	fd   int
	dir  handle
	name string
}

// Read implements [io.Reader].
func (f *file) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := retry(func() (int, error) { return unix.Read(f.fd, p) })
	if err != nil {
		return 0, f.dir.error("reading", f.name, err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// ReadAt implements [io.ReaderAt].
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	for done := 0; done < len(p); {
		n, err := retry(func() (int, error) { return unix.Pread(f.fd, p[done:], off+int64(done)) })
		if err != nil {
			return done, f.dir.error("reading", f.name, err)
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return len(p), nil
}

func (f *file) close() { unix.Close(f.fd) }

func (f *file) stat() (stat, error) {
	var st unix.Stat_t
	if _, err := retry(func() (int, error) { return 0, unix.Fstat(f.fd, &st) }); err != nil {
		return stat{}, f.dir.error("looking at", f.name, err)
	}
	return statOf(&st), nil
}

func (f *file) xattrs() ([]snapshot.Xattr, error) {
	out, err := openXattrs(f.fd)
	if err != nil {
		return nil, f.dir.error("reading the attributes", f.name, err)
	}
	return out, nil
}

// openLimit returns how many files this process may have open.
func openLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 256 // the least that POSIX systems give
	}
	return int(min(uint64(limit.Cur), 1<<20))
}

// retry makes a system call again when a signal interrupted it.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

func openXattrs(fd int) ([]snapshot.Xattr, error) {
	return readXattrs(
		func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) },
		func(name string, buf []byte) (int, error) { return unix.Fgetxattr(fd, name, buf) })
}

func pathXattrs(path string) ([]snapshot.Xattr, error) {
	return readXattrs(
		func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) },
		func(name string, buf []byte) (int, error) { return unix.Lgetxattr(path, name, buf) })
}

func readXattrs(list func([]byte) (int, error), get func(string, []byte) (int, error)) ([]snapshot.Xattr, error) {
	buf, err := growing(list)
	if err == unix.ENOTSUP || err == unix.EPERM || err == unix.ENOSYS {
		return nil, nil // the file system has none
	}
	if err != nil || len(buf) == 0 {
		return nil, err
	}
	var out []snapshot.Xattr
	for name := range strings.SplitSeq(strings.TrimRight(string(buf), "\x00"), "\x00") {
		value, err := growing(func(b []byte) (int, error) { return get(name, b) })
		if err == noXattr {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, err
		}
		out = append(out, snapshot.Xattr{Name: name, Value: value})
	}
	slices.SortFunc(out, func(a, b snapshot.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// growing calls a system call with larger buffers until the answer fits. Most
// files have no attributes, so it asks without a buffer first.
func growing(call func([]byte) (int, error)) ([]byte, error) {
	const attempts = 10 // for an answer that grows meanwhile
	for attempt := 1; ; attempt++ {
		n, err := call(nil)
		if err != nil || n <= 0 {
			return nil, err
		}
		buf := make([]byte, n)
		if n, err = call(buf); err == nil {
			return buf[:n], nil
		}
		if err != unix.ERANGE || attempt == attempts {
			return nil, err
		}
	}
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
	case unix.S_IFBLK:
		return snapshot.BlockDevice
	}
	return 0
}
