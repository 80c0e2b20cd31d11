package local_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"restante/storage"
	"restante/storage/local"
	"restante/storage/storagetest"
)

// create returns a new Store and the folder that it is in.
func create(t *testing.T) (*local.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repository")
	s, err := local.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

func open(t *testing.T, dir string) *local.Store {
	t.Helper()
	s, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s storage.Store, name, data string) {
	t.Helper()
	if err := s.Put(t.Context(), name, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, s storage.Store, prefix string) []string {
	t.Helper()
	var out []string
	err := s.List(t.Context(), prefix, func(name string, _ int64) error {
		out = append(out, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wantEmptyTemp checks that no unfinished file is left.
func wantEmptyTemp(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("unfinished file %q is left", e.Name())
	}
}

func TestStore(t *testing.T) {
	storagetest.Test(t, func(t *testing.T) storage.Store {
		s, dir := create(t)
		t.Cleanup(func() { wantEmptyTemp(t, dir) })
		return s
	})
}

func TestOpenWithoutRepository(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	odd := filepath.Join(dir, "odd")
	for _, d := range []string{empty, odd} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(odd, "config"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, reason := range map[string]string{
		filepath.Join(dir, "absent"):         "there is no such folder",
		filepath.Join(dir, "absent", "more"): "there is no such folder",
		filepath.Join(file, "below"):         "there is no such folder",
		file:                                 "it is not a folder",
		empty:                                "it holds no repository",
		odd:                                  "it holds no repository",
	} {
		_, err := local.Open(path)
		if !errors.Is(err, storage.ErrNotFound) || !strings.Contains(err.Error(), fmt.Sprintf("%q: %s", path, reason)) {
			t.Errorf("Open(%q): %v, want %q", path, err, reason)
		}
	}
	if entries, _ := os.ReadDir(empty); len(entries) != 0 {
		t.Errorf("Open wrote %v", entries)
	}
}

func TestCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "parents", "repository")
	s, err := local.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Path() != dir {
		t.Errorf("Path() = %q, want %q", s.Path(), dir)
	}
	if _, err := local.Open(dir); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Open before there is a config: %v", err)
	}
	if again, err := local.Create(dir); err != nil {
		t.Errorf("Create after a Create that went no further: %v", err)
	} else {
		again.Close()
	}
	put(t, s, "config/1", "x")
	open(t, dir)
	if _, err := local.Create(dir); !errors.Is(err, storage.ErrExists) || !strings.Contains(err.Error(), "repository already") {
		t.Errorf("Create where a repository is: %v", err)
	}
	used := t.TempDir()
	if err := os.WriteFile(filepath.Join(used, "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Create(used); !errors.Is(err, storage.ErrExists) || !strings.Contains(err.Error(), "letter.txt") {
		t.Errorf("Create in a used folder: %v", err)
	}
	if _, err := local.Create(filepath.Join(used, "letter.txt")); err == nil {
		t.Error("Create over a file succeeded")
	}
}

func TestCreateAtDiskRoot(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"lost+found", ".Trash-1000"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s, err := local.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put(t, s, "config/1", "x")
	if got := names(t, s, ""); len(got) != 1 {
		t.Errorf("listed %q", got)
	}
}

func TestSecondHandle(t *testing.T) {
	first, dir := create(t)
	put(t, first, "config/1", "one")
	put(t, first, "packs/00/a", "pack")
	st, err := first.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Write([]byte("unfinished")); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	if got := names(t, second, ""); len(got) != 2 {
		t.Errorf("the second handle lists %q", got)
	}
	if got, err := second.Get(t.Context(), "packs/00/a", 1, 2, nil); string(got) != "ac" || err != nil {
		t.Errorf("the second handle gets %q, %v", got, err)
	}
	if err := second.Put(t.Context(), "config/1", nil); !errors.Is(err, storage.ErrExists) {
		t.Errorf("the second handle put over an object: %v", err)
	}
	if err := second.Delete(t.Context(), "packs/00/a"); err != nil {
		t.Error(err)
	}
	if err := st.Commit(t.Context(), "packs/00/a"); err != nil {
		t.Error(err)
	}
	first.Close()
	if got, err := second.Get(t.Context(), "packs/00/a", 0, -1, nil); string(got) != "unfinished" || err != nil {
		t.Errorf("the second handle gets %q, %v", got, err)
	}
	wantEmptyTemp(t, dir)
}

// TestHandlesRace races the exclusive Put among handles that each see the
// folder for the first time, and so make its folders too.
func TestHandlesRace(t *testing.T) {
	s, dir := create(t)
	put(t, s, "config/1", "x")
	for round := range 8 {
		name := fmt.Sprintf("config/new-%d/2", round)
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 6 {
			handle := open(t, dir)
			wg.Go(func() {
				err := handle.Put(t.Context(), name, bytes.Repeat([]byte{byte(i)}, 1000))
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, storage.ErrExists) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d won %q", won.Load(), name)
		}
	}
	wantEmptyTemp(t, dir)
}

// TestHostileFiles fills the folder with what is not an object.
func TestHostileFiles(t *testing.T) {
	s, dir := create(t)
	put(t, s, "config/1", "x")
	put(t, s, "packs/00/good", "good")
	made := 0
	for _, name := range []string{
		"new\nline", "esc\x1b[2J", "\xff\xfe", "Capital", "dot.", ".hidden", " ", "quote\"", "back\\slash", "*",
		strings.Repeat("n", 220),
	} {
		for _, folder := range []string{"", "packs", "packs/00", "tmp"} {
			path := filepath.Join(dir, folder, name)
			if os.WriteFile(path, []byte("bad"), 0o600) == nil {
				made++
			}
			if os.MkdirAll(filepath.Join(dir, folder, name+"d", "inner"), 0o700) == nil {
				os.WriteFile(filepath.Join(dir, folder, name+"d", "inner", "a"), nil, 0o600)
			}
		}
	}
	if made == 0 {
		t.Fatal("no odd file could be made")
	}
	if err := os.WriteFile(filepath.Join(dir, "tmp", "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := names(t, s, ""); len(got) != 2 {
		t.Errorf("listed %q", got)
	}
	if got := names(t, s, "packs/"); len(got) != 1 || got[0] != "packs/00/good" {
		t.Errorf("listed %q", got)
	}
}

// TestFileWhereFolderIsNeeded puts a file in the way of a folder.
func TestFileWhereFolderIsNeeded(t *testing.T) {
	s, dir := create(t)
	put(t, s, "packs", "in the way")
	if err := s.Put(t.Context(), "packs/00/a", nil); err == nil || errors.Is(err, storage.ErrExists) {
		t.Errorf("Put below a file: %v", err)
	}
	if got := names(t, s, "packs/"); len(got) != 0 {
		t.Errorf("listed %q", got)
	}
	wantEmptyTemp(t, dir)
}

func TestTempFolderIsRemade(t *testing.T) {
	s, dir := create(t)
	put(t, s, "config/1", "x")
	if err := os.RemoveAll(filepath.Join(dir, "tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "config")); err != nil {
		t.Fatal(err)
	}
	put(t, s, "config/2", "y")
	open(t, dir)
}

// TestSparse opens an object that somebody blew up to more than memory holds.
func TestSparse(t *testing.T) {
	s, dir := create(t)
	put(t, s, "config/1", "x")
	if err := os.Truncate(filepath.Join(dir, "config", "1"), 1<<40); err != nil {
		t.Skipf("the file system has no sparse files: %v", err)
	}
	if _, err := s.Get(t.Context(), "config/1", 0, -1, nil); err == nil {
		t.Error("an object of 1 TiB was read into memory")
	}
	if got, err := s.Get(t.Context(), "config/1", 1<<39, 2, nil); err != nil || len(got) != 2 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestFree(t *testing.T) {
	s, _ := create(t)
	var spacer storage.Spacer = s
	n, err := spacer.Free(t.Context())
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the free space is not known on " + runtime.GOOS)
	}
	if err != nil || n == 0 || n > 1<<60 {
		t.Errorf("Free() = %d, %v", n, err)
	}
}
