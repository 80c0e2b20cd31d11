package backup_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"restante/snapshot"
)

// TestUnreadable wants each thing that this user may not read to be named,
// every night until it is saved.
func TestUnreadable(t *testing.T) {
	if !asSomebody(t) {
		return
	}
	f := newFixture(t)
	f.maildir("alice/Maildir", 3)
	f.maildir("bob/Maildir", 2)
	f.maildir("carol/Maildir", 2)
	f.write("bob/Maildir/new/1.fresh", mail("fresh"))
	f.write("alice/list/only", "x") // may be listed and not entered
	f.write("alice/dark/file", "x")
	f.write("alice/blind/file", "x") // may be entered and not listed
	closed := map[string]os.FileMode{
		"alice/Maildir/cur/" + messageName(1) + ":2,S": 0,
		"alice/list":        0o400,
		"alice/dark":        0,
		"alice/blind":       0o100,
		"bob/Maildir/cur":   0,
		"carol/Maildir/new": 0o100,
	}
	for path, mode := range closed {
		must(t, os.Chmod(f.root(path), mode))
	}
	open := func() {
		for path := range closed {
			must(t, os.Chmod(f.root(path), 0o700))
		}
	}
	t.Cleanup(open)
	unsaved := []string{"alice/Maildir/cur/" + messageName(1) + ":2,S", "alice/list/only", "alice/dark", "alice/blind", "bob/Maildir/cur", "carol/Maildir/new"}
	for night := range 2 {
		result := f.run()
		entries := f.entries(result)
		for _, path := range unsaved {
			if e := entries[path]; e.Kind != snapshot.Unsaved || !strings.Contains(e.Reason, "permission denied") || strings.Contains(e.Reason, "/") {
				t.Errorf("night %d: %s is %v: %q", night, path, e.Kind, e.Reason)
			}
			if !strings.Contains(f.noticed(path), "permission denied") {
				t.Errorf("night %d: nobody is told of %s", night, path)
			}
		}
		if s := result.Snapshot; !s.Incomplete || s.Tree.Counts.Unsaved != uint64(len(unsaved)) || len(result.Unsaved) != len(unsaved) {
			t.Errorf("night %d: %d unsaved, %d named: %+v", night, s.Tree.Counts.Unsaved, len(result.Unsaved), result.Unsaved)
		}
		if e := entries["bob/Maildir/new/1.fresh"]; e.Messages != 1 {
			t.Errorf("night %d: new is not saved because cur could not be", night)
		}
		if e := entries["alice/list"]; e.Kind != snapshot.Dir {
			t.Errorf("night %d: the folder that can be listed is %v", night, e.Kind)
		}
		if night == 1 && (result.Snapshot.Run.BytesRead != 0 || result.Snapshot.Run.Removed != 0) {
			t.Errorf("the second night: %+v", result.Snapshot.Run)
		}
		if result.Snapshot.Run.Expunged != 0 {
			t.Errorf("night %d: what could not be read counts as expunged", night)
		}
	}
	open()
	result := f.clean()
	if run := result.Snapshot.Run; run.New != 6 || run.NewMessages != 3 {
		t.Errorf("then: %+v", run)
	}
	dir, _ := f.restore(result)
	if got, want := content(t, dir), content(t, f.roots[0]); len(got) != len(want) {
		t.Errorf("%d files came back, not %d", len(got), len(want))
	}
}

// A message that cannot be read any more is not removed.
func TestBecomesUnreadable(t *testing.T) {
	if !asSomebody(t) {
		return
	}
	f := newFixture(t)
	path := f.write("alice/file", "content")
	f.write("alice/folder/in it", "x")
	f.clean()
	must(t, os.Chmod(path, 0))
	result := f.run()
	if run := result.Snapshot.Run; run.Removed != 0 || result.Snapshot.Tree.Counts.Unsaved != 1 {
		t.Errorf("%d removed, %d unsaved", run.Removed, result.Snapshot.Tree.Counts.Unsaved)
	}
	if e := f.entries(result)["alice/file"]; e.Size != 7 || e.Mode != 0 {
		t.Errorf("the entry says %d bytes, mode %o", e.Size, e.Mode)
	}
}

func TestUnreadableRoot(t *testing.T) {
	if !asSomebody(t) {
		return
	}
	f := newFixture(t)
	f.write("alice/file", "content")
	o := f.options()
	must(t, os.Chmod(f.roots[0], 0o100))
	defer os.Chmod(f.roots[0], 0o700)
	if _, err := f.try(t.Context(), f.store, o); err == nil || !strings.Contains(err.Error(), f.roots[0]) {
		t.Errorf("error %v", err)
	}
}

// An entry that the format has no room for costs itself only.
func TestEntryOverTheLimits(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "restante-test-") // takes more attributes than disks do
	if err != nil {
		t.Skip("no memory file system: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(shm) })
	f := newFixture(t)
	f.roots[0] = shm
	path := f.write("alice/file", "content")
	for i := range 5000 {
		if err := unix.Setxattr(path, fmt.Sprint("user.", i), nil, 0); err != nil {
			t.Skip("it takes no more attributes: ", err)
		}
	}
	path = f.write("alice/heavy", "content")
	for i := range 70 {
		if err := unix.Setxattr(path, fmt.Sprint("user.", i), make([]byte, 64<<10), 0); err != nil {
			t.Skip("it takes no larger attributes: ", err)
		}
	}
	f.write("alice/other", "x")
	result := f.run()
	for _, path := range []string{"alice/file", "alice/heavy"} {
		if e := f.entries(result)[path]; e.Kind != snapshot.Unsaved || !strings.Contains(e.Reason, "too large") {
			t.Errorf("%s is %v: %q", path, e.Kind, e.Reason)
		}
	}
	if e := f.entries(result)["alice/other"]; e.Kind != snapshot.File {
		t.Errorf("the next is %v", e.Kind)
	}
}
