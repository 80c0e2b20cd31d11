package restore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"restante/restore"
	"restante/snapshot"
)

// Killed before the k-th operation, for every k, a restore leaves no file in
// part under its name, and resumed it ends as if nothing had been.
func TestKilledAtEveryOperation(t *testing.T) {
	s := newStore(t, 3000)
	s.again = true
	mails := append(mailboxes(s, 12, 2, 4), dir(""))
	linked := snapshot.LinkID{1}
	for _, m := range mails {
		if m.entry.Kind == snapshot.File && m.path[len("user0/cur/")] == '1' { // one in each mailbox
			m.entry.Link = linked
			m.entry.Recipe, m.entry.Size, m.bytes, m.entry.Mtime = mails[3].entry.Recipe, mails[3].entry.Size, mails[3].bytes, mails[3].entry.Mtime
		}
	}
	tree := s.tree(mails...)
	for k := int64(1); ; k++ {
		o := everything(t.TempDir())
		restore.SetLimits(&o, 5, 20, 2000)
		var n atomic.Int64
		restore.SetHook(&o, func(string, string) error {
			if n.Add(1) >= k {
				return errors.New("killed")
			}
			return nil
		})
		_, _ = restore.Run(context.Background(), s, tree, testKey, o)
		done := n.Load() < k
		compareNamed(t, o.Target, mails)
		restore.SetHook(&o, nil)
		o.Resume = true
		run(t, s, tree, o)
		compare(t, o.Target, mails...)
		a, err1 := os.Stat(filepath.Join(o.Target, "user0/cur/1.mail:2,S"))
		b, err2 := os.Stat(filepath.Join(o.Target, "user1/cur/1.mail:2,S"))
		if err1 != nil || err2 != nil || !os.SameFile(a, b) && canLink {
			t.Errorf("killed at %d, the hard link is lost (%v, %v)", k, err1, err2)
		}
		if t.Failed() {
			t.Fatalf("killed at operation %d", k)
		}
		if done {
			return
		}
	}
}

// compareNamed is comparePart without what a killed restore leaves.
func compareNamed(t *testing.T, target string, mails []*mail) {
	t.Helper()
	leftovers, err := filepath.Glob(filepath.Join(target, "*/*/.restante-*"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(target, ".restante-*"))
	if err != nil {
		t.Fatal(err)
	}
	keep := t.TempDir()
	for i, p := range append(leftovers, more...) {
		aside := filepath.Join(keep, string(rune('a'+i)))
		if err := os.Rename(p, aside); err != nil {
			t.Fatal(err)
		}
		defer os.Rename(aside, p)
	}
	comparePart(t, target, mails)
}

// A file of the store that merely looks like a temporary file is restored,
// and one that does not look like ours is left alone.
func TestSweepTakesOnlyItsOwn(t *testing.T) {
	s := newStore(t, 3000)
	odd := s.content().plain([]byte("odd")).mail("d/.restante-0123456789abcdef-1.tmp")
	o := everything(t.TempDir())
	o.Resume = true
	if err := os.MkdirAll(filepath.Join(o.Target, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	others := []string{".restante-0123456789abcdeg-1.tmp", ".restante-0123456789abcdef-1", ".restante-1.tmp", "x.tmp"}
	for _, name := range append(others, ".restante-fedcba9876543210-zz.tmp") {
		if err := os.WriteFile(filepath.Join(o.Target, "d", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, s, s.tree(dir("d"), odd), o)
	entries, err := os.ReadDir(filepath.Join(o.Target, "d"))
	if err != nil || len(entries) != len(others)+1 {
		t.Errorf("%v, %v", entries, err)
	}
	data, err := os.ReadFile(filepath.Join(o.Target, odd.path))
	if err != nil || string(data) != "odd" {
		t.Errorf("%q, %v", data, err)
	}
}
