package durable

import (
	"os"
	"testing"
)

// SetLink replaces the system's link, to be a file system that has none or
// that lies.
func (d *Dir) SetLink(link func(root *os.Root, oldname, newname string) error) {
	d.link = func(oldname, newname string) error { return link(d.root, oldname, newname) }
}

// Divert lets the file's further bytes go to the file at path.
func (f *File) Divert(t *testing.T, path string) {
	t.Helper()
	other, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.f.Close()
	f.f = other
}
