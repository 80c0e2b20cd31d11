package durable

import "sync/atomic"

// A Call is one system call that changes what is on the disk, or makes it durable.
type Call struct {
	Op   Op
	Dir  string // the folder that the names are below
	Name string // of what is made, written, synced or taken away
	From string // of Link and Rename: the name that the file has
	Data []byte // of Write; it is the caller's
}

// An Op says what a Call does.
type Op string

// The operations, all of which are named by the system call on Linux.
const (
	Create     Op = "openat"
	Write      Op = "write"
	Sync       Op = "fsync"
	Link       Op = "linkat"
	Rename     Op = "renameat2"
	Unlink     Op = "unlinkat"
	Mkdir      Op = "mkdirat"
	SyncFolder Op = "fsync folder"
)

var watcher atomic.Pointer[func(Call, func() error) error]

// Watch has fn called in the place of every system call of this package that a
// Call describes, with the function that makes it, until stop is called. So a test finds
// out what a crash between two of them leaves. The package itself never calls it.
func Watch(fn func(c Call, do func() error) error) (stop func()) {
	watcher.Store(&fn)
	return func() { watcher.Store(nil) }
}

// do makes a system call, or has who watches make it.
func (d *Dir) do(c Call, call func() error) error {
	fn := watcher.Load()
	if fn == nil {
		return call()
	}
	c.Dir = d.root.Name()
	return (*fn)(c, call)
}
