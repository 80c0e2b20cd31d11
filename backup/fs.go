package backup

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"restante/snapshot"
)

// A stat is what the system tells of one path.
type stat struct {
	kind     snapshot.Kind // zero for what this program has no kind for
	mode     uint32
	uid, gid uint32
	size     uint64
	mtime    snapshot.Time
	rdev     uint64
	id       identity
	dev      uint64
	links    uint64
}

// An identity tells whether a file is still the one that was read. It is kept
// in the parent cache only: the tree must not change when a store is moved.
type identity struct {
	inode uint64
	ctime snapshot.Time
}

// A fileID names a file with several names.
type fileID struct{ dev, inode uint64 }

func (st *stat) file() fileID { return fileID{st.dev, st.id.inode} }

// A folder is an open folder of the store. Files below it are reached through
// its handle, so that nobody can lead the backup elsewhere by swapping a
// folder for a symbolic link. It is closed when its last user releases it.
type folder struct {
	handle
	users atomic.Int32
}

func newFolder(h handle) *folder {
	d := &folder{handle: h}
	d.retain()
	return d
}

func (d *folder) retain() { d.users.Add(1) }

func (d *folder) release() {
	if d.users.Add(-1) == 0 {
		d.close()
	}
}

// Names implements [mailstore.MaildirReader]. A name that is no folder has no
// names in it.
func (d *folder) Names(dir string, fn func(string)) error {
	st, err := d.lstat(dir)
	if err != nil {
		return err
	}
	if st.kind != snapshot.Dir {
		return fs.ErrNotExist
	}
	sub, err := d.sub(dir)
	if err != nil {
		return err
	}
	defer sub.release()
	return sub.eachName(fn)
}

// ModTime implements [mailstore.MaildirReader].
func (d *folder) ModTime(dir string) (time.Time, error) {
	st, err := d.lstat(dir)
	return st.mtime.Go(), err
}

// vanished reports whether an error says that the path is not there any more.
func vanished(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// maxReason is how much of a reason a snapshot keeps, in bytes.
const maxReason = 1 << 10

// reason puts an error into the words that a snapshot keeps: without the path,
// which the entry has.
func reason(err error) string {
	text := err.Error()
	var pe *fs.PathError
	var se *os.SyscallError
	if errors.As(err, &pe) {
		text = pe.Op + ": " + pe.Err.Error()
	} else if errors.As(err, &se) {
		text = se.Error()
	}
	return text[:min(len(text), maxReason)]
}
