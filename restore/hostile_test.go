package restore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restante/restore"
	"restante/snapshot"
)

// sandbox returns a target, and a check that nothing beside it has changed.
func sandbox(t *testing.T) (target string, check func()) {
	t.Helper()
	outer := t.TempDir()
	outside := filepath.Join(outer, "outside")
	if err := os.MkdirAll(filepath.Join(outside, "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	state := func() string {
		var b strings.Builder
		err := filepath.Walk(outer, func(p string, st os.FileInfo, err error) error {
			if p == filepath.Join(outer, "target") {
				return filepath.SkipDir
			}
			if err == nil && p != outer {
				fmt.Fprintln(&b, p, st.Mode(), st.Size(), st.ModTime())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	before := state()
	return filepath.Join(outer, "target"), func() {
		t.Helper()
		if after := state(); after != before {
			t.Errorf("outside the target was\n%sand is\n%s", before, after)
		}
	}
}

func TestHostilePaths(t *testing.T) {
	for _, p := range []string{"../outside/x", "/etc/x", "a/../../outside/x", "..", ".", "a//b", "a/", "/", "a/./b", "a\x00b", "a/.."} {
		target, check := sandbox(t)
		s := newStore(t, 4000)
		good := s.content().plain([]byte("good")).mail("good")
		bad := s.content().plain([]byte("bad")).mail("bad")
		o := everything(target)
		o.Overwrite = true
		o.Parts[0].Path = func(k snapshot.Key) string {
			if k == "bad" {
				return p
			}
			return string(k)
		}
		for _, kind := range []snapshot.Kind{snapshot.File, snapshot.Dir, snapshot.Symlink, snapshot.FIFO} {
			bad.entry.Kind = kind
			bad.entry.Target = "../outside"
			tree := rawTree{{Key: "bad", Entry: bad.entry}, {Key: "good", Entry: good.entry}}
			res, err := restore.Run(context.Background(), s, tree, testKey, o)
			if err != nil || res.Failures != 1 || res.Failed[0].Path != p {
				t.Errorf("%q: %+v, %v", p, res, err)
			}
			s.forget()
		}
		compare(t, target, good)
		check()
	}
}

// A symbolic link of the snapshot or of the target leads nowhere.
func TestSymlinksAreNotFollowed(t *testing.T) {
	s := newStore(t, 4000)
	s.again = true
	link := &mail{"a", snapshot.Entry{Kind: snapshot.Symlink, Target: "../outside", Mode: 0o777}, nil}
	below := s.content().plain([]byte("evil")).mail("a/secret")
	deeper := s.content().plain([]byte("evil")).mail("a/deep/new")
	folder := dir("a/deep")
	target, check := sandbox(t)
	o := everything(target)
	o.Overwrite = true
	tree := rawTree{}
	for _, m := range []*mail{link, folder, deeper, below} {
		tree = append(tree, snapshot.Record{Key: snapshot.Key(strings.ReplaceAll(m.path, "/", "\x00")), Entry: m.entry})
	}
	for _, steps := range []int{1, 100} { // the link comes before, or after what is below it
		restore.SetLimits(&o, steps, 100, 1<<20)
		if res, err := restore.Run(context.Background(), s, tree, testKey, o); err != nil || res.Failures == 0 {
			t.Errorf("%+v, %v", res, err)
		}
		check()
		if err := os.RemoveAll(target); err != nil {
			t.Fatal(err)
		}
	}

	// The target has the link already, in the place of a folder and of a file.
	if err := os.MkdirAll(filepath.Join(target, "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, l := range []string{"a", "b/file"} {
		if err := os.Symlink(filepath.Join(filepath.Dir(target), "outside", "secret"), filepath.Join(target, l)); err != nil {
			t.Fatal(err)
		}
	}
	file := s.content().plain([]byte("file")).mail("b/file")
	both := s.tree(dir("a"), below, dir("b"), file)
	for _, resume := range []bool{false, true} {
		o.Overwrite, o.Resume = !resume, resume
		res, err := restore.Run(context.Background(), s, both, testKey, o)
		if err != nil || res.Failures != 2 || !strings.Contains(res.Failed[0].Err.Error(), "in the way") {
			t.Errorf("%+v, %v", res, err)
		}
		check()
	}
	if st, err := os.Lstat(filepath.Join(target, "b", "file")); err != nil || !st.Mode().IsRegular() {
		t.Errorf("a symbolic link is not replaced: %v, %v", st, err)
	}
}

// At each operation in turn, the folder being restored is replaced by a
// symbolic link to a place outside.
func TestFolderReplacedMeanwhile(t *testing.T) {
	s := newStore(t, 4000)
	s.again = true
	mails := mailboxes(s, 11, 1, 6)
	mails = append(mails, &mail{"user0/cur/link", snapshot.Entry{Kind: snapshot.Symlink, Target: "x"}, nil})
	tree := s.tree(mails...)
	for k := 1; ; k++ {
		target, check := sandbox(t)
		o := everything(target)
		o.Workers = 1
		n := 0
		restore.SetHook(&o, func(string, string) error {
			if n++; n != k {
				return nil
			}
			for _, d := range []string{"user0/cur", "user0"} {
				p := filepath.Join(target, d)
				if os.Rename(p, filepath.Join(target, "moved"+filepath.Base(d))) == nil {
					_ = os.Symlink(filepath.Join(filepath.Dir(target), "outside"), p)
				}
			}
			return nil
		})
		if _, err := restore.Run(context.Background(), s, tree, testKey, o); err != nil {
			t.Fatal(err)
		}
		check()
		if n < k {
			return
		}
	}
}

// A file in the place of a folder, and the reverse, are left alone and named.
func TestOtherKindInTheWay(t *testing.T) {
	s := newStore(t, 4000)
	target := t.TempDir()
	if err := os.WriteFile(filepath.Join(target, "folder"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(target, "file", "mine"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := everything(target)
	o.Overwrite = true
	tree := s.tree(dir("folder"), s.content().plain([]byte("1")).mail("folder/1"), s.content().plain([]byte("2")).mail("file"))
	res, err := restore.Run(context.Background(), s, tree, testKey, o)
	if err != nil || res.Failures != 3 {
		t.Errorf("%+v, %v", res, err)
	}
	if data, err := os.ReadFile(filepath.Join(target, "folder")); err != nil || string(data) != "mine" {
		t.Errorf("%q, %v", data, err)
	}
	entries, err := os.ReadDir(target)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}
