package local

import (
	"fmt"
	"os"
	"path/filepath"
)

// Room returns how many bytes this user may write below dir, which need not
// be there yet: its nearest parent that is says so. Its error wraps
// errors.ErrUnsupported where that cannot be known.
func Room(dir string) (uint64, error) {
	dir = absolute(dir)
	root, err := os.OpenRoot(dir)
	for isNotExist(err) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		root, err = os.OpenRoot(dir)
	}
	if err != nil {
		return 0, fmt.Errorf("asking for the free space of %q: %w", dir, err)
	}
	defer root.Close()
	n, err := free(root)
	if err != nil {
		return 0, fmt.Errorf("asking for the free space of %q: %w", dir, err)
	}
	return n, nil
}
