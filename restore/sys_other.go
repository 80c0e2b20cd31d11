//go:build !linux && !darwin && !freebsd

package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"restante/snapshot"
)

// Here a handle is an [os.Root], which keeps every operation below its folder.
// What this system does not know (owners as numbers, FIFOs, attributes) is reported.
type handle struct{ root *os.Root }

// Extended attributes that hold access lists: here they are not kept as such.
const (
	aclAccess  = ""
	aclDefault = ""
)

func openTarget(path string) (handle, error) {
	r, err := os.OpenRoot(path)
	return handle{r}, err
}

func (h handle) close() error { return h.root.Close() }

// openDir refuses a symbolic link, which OpenRoot would follow as long as it stays below h.
func (h handle) openDir(name string) (handle, error) {
	st, err := h.root.Lstat(name)
	if err != nil {
		return handle{}, err
	}
	if !st.IsDir() {
		return handle{}, errNotFolder
	}
	r, err := h.root.OpenRoot(name)
	return handle{r}, err
}

func (h handle) mkdir(name string) error { return h.root.Mkdir(name, 0o700) }

func (h handle) create(name string) (sysFile, error) {
	f, err := h.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return sysFile{f}, err
}

func (h handle) reopen(name string) (sysFile, error) {
	f, err := h.root.OpenFile(name, os.O_RDWR, 0)
	return sysFile{f}, err
}

func (h handle) openRead(name string) (sysFile, error) {
	f, err := h.root.Open(name)
	return sysFile{f}, err
}

func (h handle) rename(from, to string) error      { return h.root.Rename(from, to) }
func (h handle) remove(name string) error          { return h.root.Remove(name) }
func (h handle) removeDir(name string) error       { return h.root.Remove(name) }
func (h handle) symlink(target, name string) error { return h.root.Symlink(target, name) }

// link fails: there is no call that links between two open folders.
func (h handle) link(handle, string, string) error {
	return errors.New("this system makes no hard links between open folders")
}

// renameNew looks before it renames: there is no call for both at once.
func (h handle) renameNew(from, to string) error {
	if _, err := h.root.Lstat(to); err == nil {
		return fs.ErrExist
	}
	return h.root.Rename(from, to)
}

func (h handle) node(_ string, e *snapshot.Entry) error {
	return fmt.Errorf("this system cannot make a %v", e.Kind)
}

func (h handle) each(fn func(name string) error) error {
	f, err := h.root.Open(".")
	if err != nil {
		return err
	}
	return eachName(f, fn)
}

func (h handle) stat(name string) (info, error) {
	st, err := h.root.Lstat(name)
	if err != nil {
		return info{}, err
	}
	kind := snapshot.File
	switch {
	case st.IsDir():
		kind = snapshot.Dir
	case st.Mode()&fs.ModeSymlink != 0:
		kind = snapshot.Symlink
	case !st.Mode().IsRegular():
		kind = snapshot.Socket
	}
	return info{kind: kind, mode: uint32(st.Mode().Perm()), size: uint64(st.Size()), mtime: snapshot.TimeOf(st.ModTime()), links: 1}, nil
}

func (h handle) permit(mode uint32) error { return h.root.Chmod(".", fs.FileMode(mode&0o777|0o700)) }
func (h handle) inherits() bool           { return false }

func (h handle) setFile(_ sysFile, name string, e *snapshot.Entry, o attrOptions) unset {
	return h.set(name, e, o)
}

func (h handle) setSelf(e *snapshot.Entry, o attrOptions) unset { return h.set(".", e, o) }

// setNode leaves a symbolic link as it is made: all calls here follow it.
func (h handle) setNode(string, *snapshot.Entry, attrOptions) unset { return unset{} }

func (h handle) set(name string, e *snapshot.Entry, o attrOptions) (u unset) {
	u.setOwner(o, func() error { return h.root.Lchown(name, int(e.UID), int(e.GID)) })
	for _, x := range o.wanted(e) {
		u.add("attribute "+x.Name, errors.New("this system keeps no such attributes"))
	}
	u.add("time", h.root.Chtimes(name, e.Mtime.Go(), e.Mtime.Go()))
	u.add("mode", h.root.Chmod(name, fs.FileMode(e.Mode&0o777)))
	return u
}

type sysFile struct{ *os.File }

func (f sysFile) resize(size int64) error { return f.Truncate(size) }

var errNotFolder = errors.New("it is no folder")

func inTheWay(err error) bool {
	return errors.Is(err, errNotFolder) || errors.Is(err, syscall.ENOTDIR)
}

func full(err error) bool {
	const diskFull, handleDiskFull = syscall.Errno(112), syscall.Errno(39) // ERROR_DISK_FULL, ERROR_HANDLE_DISK_FULL
	return errors.Is(err, diskFull) || errors.Is(err, handleDiskFull)
}

// denied takes every refusal for a lack of rights: owners as numbers are not known here.
func denied(error) bool { return true }

// This system has no nameless files.

func (h handle) createNameless() (f sysFile, err error) { return f, errors.ErrUnsupported }
func (h handle) giveName(sysFile, string) error         { return errors.ErrUnsupported }
func canNameless() bool                                 { return false }
