package backup

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"restante/snapshot"
)

// A handle is a folder. Windows has no folder handles that files are opened
// through; os.Root gives the same promise.
type handle struct {
	r    *os.Root
	name string
}

func openRoot(path string) (*folder, error) {
	r, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return newFolder(handle{r, path}), nil
}

func (h handle) close() { h.r.Close() }

func (h handle) sub(name string) (*folder, error) {
	r, err := h.r.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return newFolder(handle{r, filepath.Join(h.name, name)}), nil
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

func (h handle) eachName(fn func(string)) error {
	f, err := h.r.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(namesAtOnce)
		for _, name := range names {
			fn(name)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (h handle) lstat(name string) (stat, error) {
	if name == "" {
		name = "."
	}
	info, err := h.r.Lstat(name)
	if err != nil {
		return stat{}, err
	}
	return statOf(info), nil
}

func (h handle) readlink(name string) (string, error) { return h.r.Readlink(name) }

// xattrs returns nothing: Windows has streams where others have attributes;
// they are not saved.
func (h handle) xattrs(string) ([]snapshot.Xattr, error) { return nil, nil }

func (h handle) open(name string) (*file, error) {
	f, err := h.r.Open(name)
	if err != nil {
		return nil, err
	}
	return &file{f}, nil
}

// openLimit returns how many files this process may have open; Windows sets no
// such limit.
func openLimit() int { return 1 << 20 }

// A file is open for reading.
type file struct{ *os.File }

func (f *file) close() { f.Close() }

func (f *file) stat() (stat, error) {
	info, err := f.Stat()
	if err != nil {
		return stat{}, err
	}
	return statOf(info), nil
}

func (f *file) xattrs() ([]snapshot.Xattr, error) { return nil, nil }

func statOf(info fs.FileInfo) stat {
	st := stat{mode: uint32(info.Mode().Perm()), size: uint64(info.Size()), mtime: snapshot.TimeOf(info.ModTime()), links: 1}
	switch {
	case info.Mode().IsRegular():
		st.kind = snapshot.File
	case info.IsDir():
		st.kind = snapshot.Dir
	case info.Mode()&fs.ModeSymlink != 0:
		st.kind = snapshot.Symlink
	}
	return st
}

// isLocal is not known here.
func (h handle) isLocal() bool { return false }
