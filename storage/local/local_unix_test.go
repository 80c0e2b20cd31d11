//go:build unix

package local_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"restante/storage"
	"restante/storage/local"
)

// wantMode checks type, permissions and setgid of what is below dir.
func wantMode(t *testing.T, dir, name string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(filepath.Join(dir, name))
	if err != nil {
		t.Error(err)
	} else if info.Mode() != want {
		t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		folder, wantFolder, wantFile fs.FileMode
		umask                        int
	}{
		{0o700, 0o700, 0o600, 0o022},
		{0o777, 0o700, 0o600, 0},
		{0o770, 0o700, 0o600, 0o007},
		{0o770 | fs.ModeSetgid, 0o770 | fs.ModeSetgid, 0o660, 0o077},
		{0o775 | fs.ModeSetgid, 0o770 | fs.ModeSetgid, 0o660, 0o022},
		{0o750 | fs.ModeSetgid, 0o750 | fs.ModeSetgid, 0o640, 0o022},
		{0o700 | fs.ModeSetgid, 0o700 | fs.ModeSetgid, 0o600, 0o022},
	} {
		dir := t.TempDir()
		if err := os.Chmod(dir, c.folder); err != nil {
			t.Fatal(err)
		}
		old := syscall.Umask(c.umask)
		s, err := local.Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, "packs/00/a", "x")
		below, err := local.Create(filepath.Join(dir, ".more", "below"))
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		wantMode(t, dir, ".", c.folder|fs.ModeDir)
		for _, folder := range []string{"tmp", "packs", "packs/00", ".more", ".more/below"} {
			wantMode(t, dir, folder, c.wantFolder|fs.ModeDir)
		}
		wantMode(t, dir, "packs/00/a", c.wantFile)
		s.Close()
		below.Close()
	}
}

// TestSymlinksOut puts links that lead out of the repository folder
// everywhere: nothing outside may be read, written, listed or deleted.
func TestSymlinksOut(t *testing.T) {
	s, dir := create(t)
	put(t, s, "config/1", "x")
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link(outside, "packs")
	link(secret, "config/2")
	link(filepath.Join("..", "..", filepath.Base(outside), "secret"), "config/3")
	link(filepath.Join(outside, "new"), "config/4")
	link(".", "loop")

	for _, name := range []string{"packs/secret", "config/2", "config/3", "config/4"} {
		if got, err := s.Get(t.Context(), name, 0, -1, nil); err == nil {
			t.Errorf("Get(%q) = %q", name, got)
		}
		if err := s.Put(t.Context(), name, []byte("bad")); err == nil {
			t.Errorf("Put(%q) succeeded", name)
		}
		if err := s.Delete(t.Context(), name); err == nil {
			t.Errorf("Delete(%q) succeeded", name)
		}
	}
	if err := s.Put(t.Context(), "packs/new/a", []byte("bad")); err == nil {
		t.Error("Put behind a link succeeded")
	}
	for _, prefix := range []string{"", "packs/", "loop/", "config/"} {
		err := s.List(t.Context(), prefix, func(name string, _ int64) error {
			if name != "config/1" {
				t.Errorf("List(%q) has %q", prefix, name)
			}
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "neither a file nor a folder") {
			t.Errorf("List(%q), which leaves out what is behind a link: %v", prefix, err)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside there is now %v, %v", entries, err)
	}
	if got, err := os.ReadFile(secret); string(got) != "secret" || err != nil {
		t.Errorf("outside is now %q, %v", got, err)
	}
	wantEmptyTemp(t, dir)

	if err := os.RemoveAll(filepath.Join(dir, "tmp")); err != nil {
		t.Fatal(err)
	}
	link(outside, "tmp")
	if err := s.Put(t.Context(), "config/5", nil); err == nil {
		t.Error("an unfinished file was made outside")
	}
}

func TestFolderGivenByLink(t *testing.T) {
	s, dir := create(t)
	put(t, s, "config/1", "x")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if got := names(t, open(t, link), ""); len(got) != 1 {
		t.Errorf("listed %q", got)
	}
}

// TestNotRegular has a folder and a named pipe where objects would be; a pipe
// that is opened the plain way blocks for ever.
func TestNotRegular(t *testing.T) {
	s, dir := create(t)
	put(t, s, "config/1", "x")
	pipe := filepath.Join(dir, "config", "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no named pipe: %v", err)
	}
	watchdog := time.AfterFunc(20*time.Second, func() {
		t.Error("opening the pipe blocks")
		if f, err := os.OpenFile(pipe, os.O_RDWR, 0); err == nil { // which ends the blocking
			defer f.Close()
			time.Sleep(50 * time.Millisecond)
		}
	})
	defer watchdog.Stop()
	if err := os.Mkdir(filepath.Join(dir, "config", "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config/pipe", "config/folder", "config/pipe/x"} {
		if _, err := s.Get(t.Context(), name, 0, -1, nil); err == nil || errors.Is(err, storage.ErrNotFound) != (name != "config/pipe") {
			t.Errorf("Get: %v", err)
		}
		if err := s.Delete(t.Context(), name); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Delete: %v", err)
		}
	}
	for _, prefix := range []string{"config/", "config/pipe/"} {
		err := s.List(t.Context(), prefix, func(string, int64) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "config/pipe") || errors.Is(err, storage.ErrNotFound) {
			t.Errorf("List(%q): %v", prefix, err)
		}
	}
	if _, err := local.Open(pipe); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Open of a pipe: %v", err)
	}
	wantMode(t, dir, "config/folder", fs.ModeDir|0o700)
}

func TestNoPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	s, dir := create(t)
	put(t, s, "config/1", "x")
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	_, err := local.Open(dir)
	if !errors.Is(err, fs.ErrPermission) || errors.Is(err, storage.ErrNotFound) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open: %v", err)
	}
}
