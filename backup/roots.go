package backup

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"restante/snapshot"
)

// A rootAt is one root of the store and where it lies in the tree.
type rootAt struct {
	index int
	dir   string // where it lies on disk
	only  string // the one name in dir that is meant, or "" for dir itself
	key   snapshot.Key
}

// rootsOf says where the roots lie in the tree, in the order of their keys. A
// single folder is the tree; of several roots, each lies at its path below the
// folder that they have in common, so that moving them together changes no key.
func rootsOf(paths []string) ([]rootAt, error) {
	roots := make([]rootAt, len(paths))
	named := make([]string, len(paths)) // the folders as the user named them
	for i, p := range paths {
		roots[i] = rootAt{index: i, dir: p}
		named[i] = p
		info, err := os.Stat(p)
		if err != nil || !info.Mode().IsRegular() {
			continue // opening a folder says what is wrong
		}
		real, err := filepath.EvalSymlinks(p)
		if err != nil {
			return nil, err
		}
		roots[i].dir, roots[i].only = filepath.Dir(real), filepath.Base(real)
		named[i] = filepath.Dir(p)
	}
	common := commonFolder(named)
	for i, p := range paths {
		rel, err := filepath.Rel(common, p)
		if err != nil {
			return nil, err
		}
		if rel == "." {
			rel = ""
		}
		if roots[i].key, err = snapshot.KeyOf(filepath.ToSlash(rel)); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(roots, func(a, b rootAt) int { return cmp.Compare(a.key, b.key) })
	for i := 1; i < len(roots); i++ {
		if snapshot.Subtree(roots[i-1].key).Contains(roots[i].key) {
			return nil, fmt.Errorf("%s lies in %s: give only one of them", paths[roots[i].index], paths[roots[i-1].index])
		}
	}
	return roots, nil
}

// commonFolder returns the deepest folder that holds all folders, or is one.
func commonFolder(folders []string) string {
	common := folders[0]
	for _, f := range folders[1:] {
		for !within(f, common) && common != filepath.Dir(common) {
			common = filepath.Dir(common)
		}
	}
	return common
}

// within reports whether the clean absolute path lies in dir or is dir.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && (rel == "." || filepath.IsLocal(rel))
}

// ownFolders finds the folders to skip by what they are, not by their paths.
func ownFolders(paths []string) map[fileID]bool {
	own := map[fileID]bool{}
	for _, p := range paths {
		d, err := openRoot(p)
		if err != nil {
			continue // it is not there yet
		}
		if st, err := d.lstat(""); err == nil && st.id.inode != 0 {
			own[st.file()] = true
		}
		d.release()
	}
	return own
}

// join puts a name below a path that may be that of the root.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

func child(k snapshot.Key, name string) snapshot.Key {
	if k == "" {
		return snapshot.Key(name)
	}
	return k + "\x00" + snapshot.Key(name)
}
