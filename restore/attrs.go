package restore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"restante/snapshot"
)

// info is what a file system says of a name.
type info struct {
	kind     snapshot.Kind
	mode     uint32
	uid, gid uint32
	size     uint64
	mtime    snapshot.Time
	dev, ino uint64
	links    uint64
}

// sameFile reports whether two infos are of one file under two names.
func (i info) sameFile(j info) bool { return i.ino != 0 && i.ino == j.ino && i.dev == j.dev }

// attrOptions say which attributes are set.
type attrOptions struct {
	noOwner bool
	selinux bool
	clean   bool // something may have attributes that its entry has not
}

const selinuxLabel = "security.selinux"

// wanted returns the entry's attributes that are to be set.
func (o attrOptions) wanted(e *snapshot.Entry) []snapshot.Xattr {
	if o.selinux || !slices.ContainsFunc(e.Xattrs, isLabel) {
		return e.Xattrs
	}
	return slices.DeleteFunc(slices.Clone(e.Xattrs), isLabel)
}

func isLabel(x snapshot.Xattr) bool { return x.Name == selinuxLabel }

// unset says what could not be set.
type unset struct {
	owned  bool // the owner is as the entry has it
	refuse bool // this user may not set the owner
	err    error
}

// setOwner sets the owner by fn, as far as it is wanted.
func (u *unset) setOwner(o attrOptions, fn func() error) {
	if o.noOwner {
		return
	}
	err := fn()
	switch {
	case err == nil:
		u.owned = true
	case denied(err):
		u.refuse = true
	default:
		u.add("owner", err)
	}
}

func (u *unset) add(what string, err error) {
	switch {
	case err == nil:
	case u.err == nil:
		u.err = fmt.Errorf("setting its %s: %w", what, err)
	default:
		u.err = fmt.Errorf("%w; setting its %s: %w", u.err, what, err)
	}
}

// eachName calls fn with the names in a folder, closing it at the end. It
// reads some at a time: a folder may hold a million.
func eachName(f *os.File, fn func(name string) error) error {
	defer f.Close()
	for {
		names, err := f.Readdirnames(1024)
		for _, name := range names {
			if err := fn(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
