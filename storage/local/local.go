// Package local keeps objects as files below one folder of this machine: the
// object "a/b" is the file a/b. Unfinished objects lie in the folder "tmp",
// whose files are never listed; Sweep removes what a crash leaves there.
//
// Everything is looked up below the open folder: a symbolic link in it that
// leads out of it is an error, and no object is written, read or deleted
// outside. The folder itself may be given by a symbolic link. Only regular
// files with good names are objects; files with other names are not listed. Where something else
// than a file or a folder has the name of an object, or of a folder of objects, reading and
// listing it fail: what it stands for is not missing.
//
// Files have mode 0600 and folders 0700. When the folder given to Open has the
// setgid bit, all that is made in it also gets the group's bits that the
// folder has, so that several users of one group may share a repository:
//
//	chgrp vmail /srv/backup && chmod 2770 /srv/backup
//
// How objects become durable is package durable's affair.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"restante/internal/durable"
	"restante/storage"
)

// The folders by either of which Open knows a repository: what they hold is
// for others to judge, and what is missing besides.
const (
	configFolder = "config"
	keysFolder   = "keys"
)

// A Store keeps objects in a folder. It implements [storage.Store],
// [storage.Spacer], [storage.Sweeper] and [storage.Settler]. Any number of Stores, in several
// processes, may be open on one folder.
type Store struct {
	path string
	dir  *durable.Dir
}

// Open opens the repository folder dir. Its error wraps
// [storage.ErrNotFound] when there is no such folder or it is not that of a
// repository. It writes nothing, so that a folder may be opened that is
// mounted read-only.
func Open(dir string) (*Store, error) {
	info, err := os.Stat(dir)
	switch {
	case isNotExist(err):
		return nil, &missing{dir, "there is no such folder; if it is on a removable disk, is that mounted?"}
	case err != nil:
		return nil, fmt.Errorf("opening repository folder %q: %w", dir, err)
	case !info.IsDir():
		return nil, &missing{dir, "it is not a folder"}
	}
	s, err := open(dir)
	if err != nil {
		return nil, err
	}
	for _, mark := range []string{keysFolder, configFolder} {
		info, err = s.dir.Root().Stat(mark)
		if err == nil && info.IsDir() {
			return s, nil
		}
	}
	s.Close()
	if err != nil && !isNotExist(err) {
		return nil, fmt.Errorf("opening repository folder %q: %w", dir, err)
	}
	return nil, &missing{dir, fmt.Sprintf("it holds no repository (no folder %q); if it is on a removable disk, is that mounted?", configFolder)}
}

// Create makes the folder dir, and its parents, for a new repository. A
// folder that is there keeps its mode; its error wraps [storage.ErrExists]
// when that one is not empty, apart from what a file system puts there itself.
func Create(dir string) (*Store, error) {
	if err := durable.MakeDir(dir); err != nil {
		return nil, creating(dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, creating(dir, err)
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == configFolder:
			return nil, fmt.Errorf("creating repository folder %q: it holds a repository already: %w", dir, storage.ErrExists)
		case !incidental(name):
			return nil, fmt.Errorf("creating repository folder %q: it is not empty (%q is in it); choose a new folder: %w", dir, name, storage.ErrExists)
		}
	}
	return open(dir)
}

// incidental reports whether an empty folder may have the entry name: hidden
// files, the folders that file systems and desktops put into the root of a
// disk, and the folder of a Create that went no further.
func incidental(name string) bool {
	switch name {
	case storage.Temp, "lost+found", "System Volume Information", "$RECYCLE.BIN":
		return true
	}
	return strings.HasPrefix(name, ".")
}

func open(dir string) (*Store, error) {
	d, err := durable.OpenDir(dir, storage.Temp)
	if err != nil {
		return nil, fmt.Errorf("opening repository folder %q: %w", dir, err)
	}
	return &Store{path: absolute(dir), dir: d}, nil
}

// absolute is for messages: a relative path is still better than none.
func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

func creating(dir string, err error) error {
	if durable.IsFull(err) {
		return fmt.Errorf("creating repository folder %q: %w: %w", dir, storage.ErrNoSpace, err)
	}
	return fmt.Errorf("creating repository folder %q: %w", dir, err)
}

// missing is a folder that is not there or holds no repository. Its text
// leaves out storage.ErrNotFound's, which speaks of an object.
type missing struct{ dir, reason string }

func (m *missing) Error() string {
	return fmt.Sprintf("opening repository folder %q: %s", m.dir, m.reason)
}
func (m *missing) Unwrap() error { return storage.ErrNotFound }

// Path returns the folder's absolute path.
func (s *Store) Path() string { return s.path }

// Close gives the open folder back. The Store is of no use afterwards.
func (s *Store) Close() error { return s.dir.Close() }

// Put implements [storage.Store].
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	if err := s.check(ctx, "putting", name); err != nil {
		return err
	}
	f, err := s.dir.Create()
	if err != nil {
		return s.wrap("putting", name, err)
	}
	if _, err := f.Write(data); err != nil {
		return s.wrap("putting", name, err)
	}
	return s.wrap("putting", name, f.Commit(name))
}

// Get implements [storage.Store].
func (s *Store) Get(ctx context.Context, name string, offset, length int64, buf []byte) ([]byte, error) {
	if err := s.check(ctx, "getting", name); err != nil {
		return nil, err
	}
	data, err := s.read(name, offset, length, buf)
	if err != nil {
		return nil, s.wrap("getting", name, err)
	}
	return data, nil
}

func (s *Store) read(name string, offset, length int64, buf []byte) ([]byte, error) {
	// Without nonblock, opening a named pipe would wait for ever.
	f, err := s.dir.Root().OpenFile(filepath.FromSlash(name), os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, fs.ErrNotExist // it may hold objects, and is none
	case !info.Mode().IsRegular():
		return nil, errKind
	}
	n, err := storage.Span(info.Size(), offset, length)
	if err != nil {
		return nil, err
	}
	data := slices.Grow(buf[:0], int(n))[:n]
	if _, err := f.ReadAt(data, offset); err == io.EOF {
		return nil, storage.ErrShort // somebody cuts it off as we read
	} else if err != nil {
		return nil, err
	}
	return data, nil
}

// Delete implements [storage.Store].
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.check(ctx, "deleting", name); err != nil {
		return err
	}
	return s.wrap("deleting", name, s.dir.Remove(name))
}

// Free implements [storage.Spacer].
func (s *Store) Free(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("asking for the free space of %q: %w", s.path, err)
	}
	n, err := free(s.dir.Root())
	if err != nil {
		return 0, fmt.Errorf("asking for the free space of %q: %w", s.path, err)
	}
	return n, nil
}

// Sweep implements [storage.Sweeper].
func (s *Store) Sweep(ctx context.Context) (files int, bytes int64, err error) {
	files, bytes, err = s.dir.Sweep(ctx)
	if err != nil {
		err = fmt.Errorf("removing unfinished objects in %q: %w", s.path, err)
	}
	return files, bytes, err
}

// Settle implements [storage.Settler].
func (s *Store) Settle(ctx context.Context, prefix string) error {
	if err := storage.CheckPrefix(prefix); err != nil {
		return err
	}
	if err := s.dir.Settle(ctx, folderOf(prefix)); err != nil {
		return fmt.Errorf("making durable which objects %q there are in %q: %w", prefix, s.path, err)
	}
	return nil
}

func (s *Store) check(ctx context.Context, verb, name string) error {
	if err := storage.CheckName(name); err != nil {
		return err
	}
	return s.wrap(verb, name, ctx.Err())
}

// wrap names what was done to which object where, and puts the sentinel of
// package storage in the place of the system's error. It keeps nil.
func (s *Store) wrap(verb, name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && path.Path == name { // which is said once
		err = path.Err
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		err = storage.ErrExists
	case durable.IsFull(err):
		err = fmt.Errorf("%w: %w", storage.ErrNoSpace, err)
	case verb != "putting" && isNotExist(err):
		err = storage.ErrNotFound
	}
	return fmt.Errorf("%s object %q in %q: %w", verb, name, s.path, err)
}

// isNotExist reports whether err says that nothing is there, be it that a file
// lies where a folder of the path would.
func isNotExist(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
