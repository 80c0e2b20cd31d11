package durable_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"restante/internal/durable"
)

func openDir(t *testing.T, path string) *durable.Dir {
	t.Helper()
	d, err := durable.OpenDir(path, "tmp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func create(t *testing.T, d *durable.Dir, data string) *durable.File {
	t.Helper()
	f, err := d.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	return f
}

// wantFile checks what name holds, and that no unfinished file is left.
func wantFile(t *testing.T, dir, name, data string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, name))
	if string(got) != data || err != nil {
		t.Errorf("%s holds %q, %v; want %q", name, got, err, data)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(entries) != 0 {
		t.Errorf("unfinished: %v, %v", entries, err)
	}
}

func TestCommit(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	for _, name := range []string{"a", "b/c", "d/e/f", "d/e/g", "d/h"} {
		if err := create(t, d, "x"+name).Commit(name); err != nil {
			t.Fatal(err)
		}
		wantFile(t, dir, name, "x"+name)
	}
	if err := create(t, d, "other").Commit("d/e/f"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Commit over a file: %v", err)
	}
	wantFile(t, dir, "d/e/f", "xd/e/f")
	if err := create(t, d, "other").Commit("d/e"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Commit over a folder: %v", err)
	}
	if err := create(t, d, "other").Commit("a/b"); err == nil {
		t.Error("Commit below a file succeeded")
	}
	if err := create(t, d, "other").Commit("../x"); err == nil {
		t.Error("Commit outside succeeded")
	}
	wantFile(t, dir, "a", "xa")
}

func TestFolderVanishes(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	for range 3 {
		if err := create(t, d, "x").Commit("a/b/c"); err != nil {
			t.Fatal(err)
		}
		wantFile(t, dir, "a/b/c", "x")
		if err := os.RemoveAll(filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnfinishedFileVanishes(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	f := create(t, d, "x")
	if err := os.RemoveAll(filepath.Join(dir, "tmp")); err != nil {
		t.Skipf("an open file cannot be removed here: %v", err)
	}
	if err := f.Commit("a"); err == nil || errors.Is(err, fs.ErrExist) {
		t.Errorf("Commit of a file that was removed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
		t.Error("the file is there")
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	if err := create(t, d, "x").Commit("a/b"); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove("a/b"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a/b", "a", "c"} {
		if err := d.Remove(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Remove(%q): %v", name, err)
		}
	}
	if err := create(t, d, "y").Commit("a/b"); err != nil {
		t.Error(err)
	}
	wantFile(t, dir, "a/b", "y")
}

// TestNoLinks is a file system without hard links.
func TestNoLinks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS} {
		dir := t.TempDir()
		d := openDir(t, dir)
		d.SetLink(func(_ *os.Root, oldname, newname string) error {
			return &os.LinkError{Op: "linkat", Old: oldname, New: newname, Err: errno}
		})
		err := create(t, d, "x").Commit("a/b")
		if runtime.GOOS != "linux" {
			if err == nil {
				t.Error("Commit without an exclusive operation succeeded")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, dir, "a/b", "x")
		if err := create(t, d, "y").Commit("a/b"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Commit over a file: %v", err)
		}
		wantFile(t, dir, "a/b", "x")
		race(t, d)
	}
}

// race lets several commit one name; one must win.
func race(t *testing.T, d *durable.Dir) {
	t.Helper()
	for round := range 5 {
		name := fmt.Sprintf("race/%d/x", round)
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			f := create(t, d, "x")
			wg.Go(func() {
				if err := f.Commit(name); err == nil {
					won.Add(1)
				} else if !errors.Is(err, fs.ErrExist) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d won", won.Load())
		}
	}
}

func TestRace(t *testing.T) { race(t, openDir(t, t.TempDir())) }

// TestLostAnswer is a network file system that links, and then, asked again
// because the answer was lost, says that the name exists.
func TestLostAnswer(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	d.SetLink(func(root *os.Root, oldname, newname string) error {
		if err := root.Link(oldname, newname); err != nil {
			return err
		}
		return root.Link(oldname, newname)
	})
	if err := create(t, d, "x").Commit("a/b"); err != nil {
		t.Error(err)
	}
	wantFile(t, dir, "a/b", "x")
	if err := create(t, d, "y").Commit("a/b"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Commit over a file: %v", err)
	}
	wantFile(t, dir, "a/b", "x")
}

// TestFailedWrite: what cannot be written whole is dropped at once.
func TestFailedWrite(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full, a file that is always full")
	}
	dir := t.TempDir()
	d := openDir(t, dir)
	f := create(t, d, "")
	f.Divert(t, "/dev/full")
	if _, err := f.Write([]byte("x")); !durable.IsFull(err) {
		t.Errorf("Write: %v", err)
	}
	if err := f.Commit("a"); !durable.IsFull(err) {
		t.Errorf("Commit: %v", err)
	}
	if err := f.Discard(); err != nil {
		t.Errorf("Discard: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(entries) != 0 {
		t.Errorf("unfinished: %v", entries)
	}
}

// TestFailedSync: a file whose bytes are perhaps not on the disk gets no name.
func TestFailedSync(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full, a file that cannot be synced")
	}
	dir := t.TempDir()
	f := create(t, openDir(t, dir), "x")
	f.Divert(t, "/dev/full")
	if err := f.Commit("a"); err == nil {
		t.Error("Commit without a sync succeeded")
	}
	for _, folder := range []string{"tmp", "."} {
		entries, err := os.ReadDir(filepath.Join(dir, folder))
		for _, e := range entries {
			if !e.IsDir() || err != nil {
				t.Errorf("%s is left, %v", e.Name(), err)
			}
		}
	}
}

func TestMakeDir(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := durable.MakeDir(deep); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(deep); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
	file := filepath.Join(deep, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if err := durable.MakeDir(path); err == nil {
			t.Errorf("MakeDir(%q) succeeded", path)
		}
	}
	t.Chdir(dir)
	if err := durable.MakeDir("relative/x"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "relative", "x")); err != nil {
		t.Error(err)
	}
}

// TestSettle has the names be synced that a process left when it was killed: all
// folders but that for unfinished files, or those of one folder and above it.
func TestSettle(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{"a/b", "a/c", "d", "tmp/x"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d := openDir(t, dir)
	var synced []string
	t.Cleanup(durable.Watch(func(c durable.Call, do func() error) error {
		synced = append(synced, fmt.Sprint(c.Op, " ", c.Name))
		return do()
	}))
	for folder, want := range map[string]string{
		".":    "[fsync folder . fsync folder a fsync folder a/b fsync folder a/c fsync folder d]",
		"a":    "[fsync folder a fsync folder a/b fsync folder a/c fsync folder .]",
		"a/c":  "[fsync folder a/c fsync folder a fsync folder .]",
		"none": "[fsync folder .]",
	} {
		synced = nil
		if err := d.Settle(t.Context(), folder); err != nil || fmt.Sprint(synced) != want {
			t.Errorf("Settle(%q): %v, %v, want %v", folder, synced, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Settle(ctx, "."); !errors.Is(err, context.Canceled) {
		t.Errorf("when the context is done: %v", err)
	}
}
