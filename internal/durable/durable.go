// Package durable writes files that are whole or not there at all, and stay
// when the power goes. It is the one place that knows fsync.
//
// A file is written under a random name in one folder for unfinished files
// and then given its name, exclusively: of several writers, in this process
// or another, one gets the name. The wanted system calls are, on Linux,
//
//	openat(tmp/RANDOM, O_CREAT|O_EXCL)   fchmod when the folder is shared
//	flock(tmp/RANDOM, LOCK_EX), fstat    somebody writes it; made anew if a Sweep came between
//	write …                              straight from the caller's memory
//	fsync(tmp/RANDOM), close             the bytes are durable
//	linkat(tmp/RANDOM, a/b/NAME)         the commit: EEXIST when it is taken
//	unlinkat(tmp/RANDOM)
//	fsync(a/b)                           the name is durable
//	fsync(a), fsync(.)                   the first time a/b is used
//
// linkat is what all file systems that know it, NFS too, do exclusively.
// Where it is not known (FAT, some FUSE), renameat2 with RENAME_NOREPLACE takes
// its place. Folders are made on demand, by mkdirat when linkat finds none. A
// folder's parents are synced once in a Dir's life also when the folder was
// already there, for another process may have made it a moment ago; for the
// same reason the folders of a name that turns out to be taken are synced
// before that is reported. A removal is unlinkat and fsync of the folder.
//
// An unnamed file (O_TMPFILE) would leave nothing behind after a crash, but
// only Linux has it, and it needs /proc to get a name. Writing under the final
// name and removing what is left after a crash would need a way to tell the
// two apart.
//
// All names are looked up below one open folder by [os.Root]: a symbolic link
// that leads out of it is refused, whoever put it there.
package durable

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
)

// BUG(fsync): After a failed fsync Linux may count pages as clean that never reached
// the disk. The file being written is given up then, and fsync never tried
// again on it; but when it is the folder's fsync that failed, the name stays,
// and a later writer may be told that it is taken although the disk has not
// got it.

// BUG(order): Another process sees a name between linkat and fsync of the folder,
// that is, a moment before it is durable, or for long when the process was killed in
// that moment. Dir.Settle is for who relies on it.

// BUG(crash): A crash leaves an unfinished file in the folder for them, or a second
// name there of a finished one. Dir.Sweep removes them, on Linux and on file
// systems of one machine; elsewhere they stay.

// BUG(folders): Windows cannot sync a folder, and some network and FUSE file systems
// refuse to. There a name is as durable as the file system makes it by itself.

// BUG(links): Where neither linkat nor an exclusive rename is known (FAT outside
// Linux), no file can be made.

// BUG(umask): In a shared folder with a strict umask a new folder is closed to the
// other users between mkdirat and fchmod; a write of theirs may fail then.

// A Dir is an open folder in which files are made durably. It may be used by
// several goroutines at once. Names in it are slash-separated paths.
//
// Files are made with mode 0600 and folders with 0700; when the folder has
// the setgid bit they also get the group's bits that it has, whatever the
// umask is, so that several users of one group may share it.
type Dir struct {
	root *os.Root
	temp string // the folder for unfinished files
	link func(oldname, newname string) error

	shared   bool // whether the group's bits and setgid are set on all that is made
	fileMode fs.FileMode
	dirMode  fs.FileMode

	mu     sync.Mutex
	synced map[string]bool // guarded by mu; folders whose own names, up to the root, are durable
}

// OpenDir opens the folder dir, which exists. Unfinished files lie in its
// folder temp, which is made when it is needed.
func OpenDir(dir, temp string) (*Dir, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	d := &Dir{root: root, temp: temp, link: root.Link, synced: make(map[string]bool)}
	d.shared, d.fileMode, d.dirMode = modesIn(info)
	return d, nil
}

// modesIn returns the modes of files and folders made below the folder info.
func modesIn(info fs.FileInfo) (shared bool, file, dir fs.FileMode) {
	if info.Mode()&fs.ModeSetgid == 0 {
		return false, 0o600, 0o700
	}
	group := info.Mode().Perm() & 0o070
	return true, 0o600 | group&0o060, 0o700 | group | fs.ModeSetgid
}

// MakeDir makes the folder dir and, where they are missing, its parents, all
// durably, with the modes that a Dir opened on the parent would give them. A
// folder that is there is left as it is.
func MakeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("making folder %q: it is there, and not a folder", dir)
		}
		return nil
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if parent == filepath.Clean(dir) {
		return fmt.Errorf("making folder %q: %w", dir, fs.ErrNotExist)
	}
	if err := MakeDir(parent); err != nil {
		return err
	}
	d, err := OpenDir(parent, "")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.mkdir(filepath.Base(dir)); err != nil {
		return err
	}
	return d.sync(".")
}

// Root returns the open folder, for reading.
func (d *Dir) Root() *os.Root { return d.root }

// Close closes the folder. Files being written may still be discarded, but
// not committed.
func (d *Dir) Close() error { return d.root.Close() }

// Create begins a file that has no name yet.
func (d *Dir) Create() (*File, error) {
	for {
		file, err := d.create()
		if err != nil {
			return nil, err
		}
		held, err := hold(file.f)
		if err == nil && held {
			return file, nil
		}
		if err != nil {
			file.Discard()
			return nil, err
		}
		file.f.Close() // swept away before it was locked
	}
}

func (d *Dir) create() (*File, error) {
	temp := path.Join(d.temp, rand.Text())
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	var f *os.File
	open := func() (err error) {
		f, err = d.root.OpenFile(temp, flags, d.fileMode)
		return err
	}
	err := d.do(Call{Op: Create, Name: temp}, open)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.mkdirs(d.temp); err != nil {
			return nil, err
		}
		err = d.do(Call{Op: Create, Name: temp}, open)
	}
	if err != nil {
		return nil, err
	}
	file := &File{dir: d, f: f, temp: temp}
	if d.shared {
		if err := f.Chmod(d.fileMode); err != nil {
			file.Discard()
			return nil, err
		}
	}
	return file, nil
}

// Remove removes the file name durably. What is not a regular file does not
// exist for it.
func (d *Dir) Remove(name string) error {
	info, err := d.root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "remove regular file", Path: name, Err: fs.ErrNotExist}
	}
	if err := d.unlink(name); err != nil {
		return err
	}
	return d.sync(path.Dir(name))
}

// mkdirs makes folder and its parents below d where they are missing.
// Committing a file in it makes them durable.
func (d *Dir) mkdirs(folder string) error {
	if folder == "." {
		return nil
	}
	d.mu.Lock()
	delete(d.synced, folder)
	d.mu.Unlock()
	if err := d.mkdirs(path.Dir(folder)); err != nil {
		return err
	}
	return d.mkdir(folder)
}

func (d *Dir) mkdir(folder string) error {
	err := d.do(Call{Op: Mkdir, Name: folder}, func() error { return d.root.Mkdir(folder, d.dirMode.Perm()) })
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil || !d.shared {
		return err
	}
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Chmod(d.dirMode)
}

// syncName makes the entry name durable: syncs the folder it is in and, the
// first time, those that this one is in. The root's own name is MakeDir's work.
func (d *Dir) syncName(name string) error {
	folder := path.Dir(name)
	if err := d.sync(folder); err != nil {
		return err
	}
	for ; folder != "."; folder = path.Dir(folder) {
		d.mu.Lock()
		done := d.synced[folder]
		d.mu.Unlock()
		if done {
			return nil
		}
		if err := d.sync(path.Dir(folder)); err != nil {
			return err
		}
		d.mu.Lock()
		d.synced[folder] = true
		d.mu.Unlock()
	}
	return nil
}

// sync makes the entries of folder durable.
func (d *Dir) sync(folder string) error {
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return d.do(Call{Op: SyncFolder, Name: folder}, func() error { return syncFolder(f) })
}

// unlink takes the name away, for as long as no crash comes.
func (d *Dir) unlink(name string) error {
	return d.do(Call{Op: Unlink, Name: name}, func() error { return d.root.Remove(name) })
}
