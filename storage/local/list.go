package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"restante/storage"
)

// List implements [storage.Store].
func (s *Store) List(ctx context.Context, prefix string, fn func(name string, size int64) error) error {
	if err := storage.CheckPrefix(prefix); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("listing objects %q in %q: %w", prefix, s.path, err)
	}
	l := &lister{store: s, fn: fn}
	return l.enter(ctx, s.dir.Root(), folderOf(prefix), prefix)
}

// folderOf returns the folder of the objects whose names begin with prefix.
func folderOf(prefix string) string {
	if folder := strings.TrimSuffix(prefix, "/"); folder != "" {
		return folder
	}
	return "."
}

// A lister walks through one listing.
type lister struct {
	store *Store
	fn    func(name string, size int64) error
}

// errKind is the error of what is neither a file nor a folder: a symbolic link, say. What it
// leads to is not the repository's, but counting it as missing would be saying that it is lost.
var errKind = errors.New("it is neither a file nor a folder: put what belongs there in its place, or mount it there")

// enter lists the folder name of parent, whose objects begin with prefix. A
// folder that is not there holds none.
func (l *lister) enter(ctx context.Context, parent *os.Root, name, prefix string) error {
	info, err := parent.Lstat(name)
	var root *os.Root
	switch {
	case err != nil:
	case info.IsDir():
		root, err = parent.OpenRoot(name)
	case info.Mode().IsRegular():
		return nil // an object, in which there are no others
	default:
		err = errKind
	}
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return l.wrap(prefix, err)
	}
	defer root.Close()
	names, err := namesIn(root)
	if err != nil {
		return l.wrap(prefix, err)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return l.wrap(prefix, err)
		}
		if storage.CheckName(prefix+name) != nil {
			continue // also what is not finished
		}
		if err := l.entry(ctx, root, name, prefix+name); err != nil {
			return err
		}
	}
	return nil
}

// entry reports the object that is the file name in folder, or enters the
// folder of that name.
func (l *lister) entry(ctx context.Context, folder *os.Root, name, object string) error {
	info, err := folder.Lstat(name)
	switch {
	case isNotExist(err):
		return nil // deleted meanwhile
	case err != nil:
		return l.wrap(object, err)
	case info.IsDir():
		return l.enter(ctx, folder, name, object+"/")
	case info.Mode().IsRegular():
		return l.fn(object, info.Size())
	}
	return l.wrap(object, errKind)
}

// namesIn reads the whole folder before anything is done with it: some file
// systems skip entries when others are removed between two reads.
func namesIn(folder *os.Root) ([]string, error) {
	f, err := folder.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if isNotExist(err) {
		return nil, nil
	}
	return names, err
}

func (l *lister) wrap(prefix string, err error) error {
	return fmt.Errorf("listing objects %q in %q: %w", prefix, l.store.path, err)
}
