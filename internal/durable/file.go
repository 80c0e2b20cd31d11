package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// A File is a file being written, which has no name yet. It serves one
// goroutine, which ends it by Commit or Discard.
type File struct {
	dir  *Dir
	f    *os.File // nil when finished with
	temp string
	err  error // the failed Write, if one did
}

// Write appends p. It is not buffered. After an error, which may be one that
// [IsFull] knows, what was written is dropped at once, so that its space is
// free, and Commit returns the error.
func (f *File) Write(p []byte) (int, error) {
	if f.f == nil {
		return 0, f.finished()
	}
	var n int
	err := f.dir.do(Call{Op: Write, Name: f.temp, Data: p}, func() (err error) {
		n, err = f.f.Write(p)
		return err
	})
	if err != nil {
		f.err = err
		f.Discard()
	}
	return n, err
}

// Commit gives the file its name, makes the folders that the name needs, and
// returns nil when all of it is durable. It returns an error for which
// errors.Is(err, fs.ErrExist) holds when the name is taken, then by a durable
// entry; what has it is not touched. After another error the name may or may not be
// there, but then it names the whole file. The File is finished with in any case.
func (f *File) Commit(name string) error {
	if f.f == nil {
		return f.finished()
	}
	if err := f.dir.do(Call{Op: Sync, Name: f.temp}, f.f.Sync); err != nil {
		f.Discard()
		return err
	}
	lock, err := keep(f.f) // or else a Sweep might come before the name is given
	if err != nil {
		f.Discard()
		return err
	}
	if lock != nil {
		defer lock.Close()
	}
	err = f.f.Close() // NFS may report only now that the disk is full
	f.f = nil
	if err == nil {
		err = f.dir.publish(f.temp, name)
	}
	// A name that stays in the folder for unfinished files costs nothing when
	// the file has its own, and is what a crash leaves as well.
	f.dir.unlink(f.temp)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if syncErr := f.dir.syncName(name); syncErr != nil {
		return syncErr
	}
	return err
}

// Discard drops the file. It is a no-op after Commit or Discard.
func (f *File) Discard() error {
	if f.f == nil {
		return nil
	}
	closeErr := f.f.Close()
	f.f = nil
	if err := f.dir.unlink(f.temp); err != nil {
		return err
	}
	return closeErr
}

func (f *File) finished() error {
	if f.err != nil {
		return f.err
	}
	return fmt.Errorf("writing %q: %w", f.temp, fs.ErrClosed)
}

// publish gives the file temp the name name unless that is taken.
func (d *Dir) publish(temp, name string) error {
	err := d.give(temp, name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.mkdirs(path.Dir(name)); err != nil {
			return err
		}
		err = d.give(temp, name)
	}
	return err
}

func (d *Dir) give(temp, name string) error {
	err := d.do(Call{Op: Link, From: temp, Name: name}, func() error { return d.link(temp, name) })
	if errors.Is(err, fs.ErrExist) && d.same(temp, name) {
		// A network file system did it, lost the answer, and asked again.
		return nil
	}
	if !cannotLink(err) {
		return err
	}
	moveErr := d.do(Call{Op: Rename, From: temp, Name: name}, func() error { return moveExclusive(d.root, temp, name) })
	if errors.Is(moveErr, errors.ErrUnsupported) {
		return fmt.Errorf("the file system knows neither hard links nor a rename that does not overwrite: %w", err)
	}
	return moveErr
}

// same reports whether both names are names of one file.
func (d *Dir) same(a, b string) bool {
	x, err := d.root.Lstat(a)
	if err != nil {
		return false
	}
	y, err := d.root.Lstat(b)
	return err == nil && os.SameFile(x, y)
}

// cannotLink reports whether err is how a file system without hard links says so.
func cannotLink(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported)
}
