package local_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"restante/storage/local"
)

func TestRoomOfAFolderThatIsNotThereYet(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "a", "b")} {
		n, err := local.Room(path)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip("this system does not tell")
		}
		if err != nil || n == 0 {
			t.Errorf("room at %q is %d, %v", path, n, err)
		}
	}
	if n, err := local.Room(filepath.Join(file, "below")); err == nil {
		t.Errorf("room below a file is %d", n)
	}
	if _, err := os.Lstat(filepath.Join(dir, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("asking made a folder: %v", err)
	}
}
