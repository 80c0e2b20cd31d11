package restore_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"restante/restore"
	"restante/snapshot"
)

// describe says all that a restore brings back of a path, but for its bytes.
func describe(t *testing.T, p string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		return err.Error()
	}
	target, _ := os.Readlink(p)
	list := make([]byte, 4096)
	n, err := unix.Llistxattr(p, list)
	if err != nil {
		t.Fatal(err)
	}
	var attrs []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		if name == "" || name == "security.selinux" {
			continue
		}
		value := make([]byte, 4096)
		n, err := unix.Lgetxattr(p, name, value)
		if err != nil {
			t.Fatal(err)
		}
		attrs = append(attrs, fmt.Sprintf("%s=%x", name, value[:n]))
	}
	slices.Sort(attrs)
	return fmt.Sprintf("mode %o owner %d:%d time %d.%09d device %d to %q %v", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec, st.Rdev, target, attrs)
}

func (m *mail) describe() string {
	e := &m.entry
	types := map[snapshot.Kind]uint32{snapshot.File: unix.S_IFREG, snapshot.Dir: unix.S_IFDIR, snapshot.Symlink: unix.S_IFLNK, snapshot.FIFO: unix.S_IFIFO,
		snapshot.Socket: unix.S_IFSOCK, snapshot.CharDevice: unix.S_IFCHR, snapshot.BlockDevice: unix.S_IFBLK}
	var attrs []string
	for _, x := range e.Xattrs {
		if x.Name != "security.selinux" {
			attrs = append(attrs, fmt.Sprintf("%s=%x", x.Name, x.Value))
		}
	}
	return fmt.Sprintf("mode %o owner %d:%d time %d.%09d device %d to %q %v", types[e.Kind]|e.Mode, e.UID, e.GID, e.Mtime.Sec, e.Mtime.Nsec, e.Rdev, e.Target, attrs)
}

// acl is the attribute that holds user::rw-, user:1234:r--, group::---, mask::r--, other::---.
func acl(t *testing.T) []byte {
	b, err := hex.DecodeString("02000000" + "01000600ffffffff" + "02000400d2040000" + "04000000ffffffff" + "10000400ffffffff" + "20000000ffffffff")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// odd is a store of everything a file system has to offer.
func odd(t *testing.T, s *store) []*mail {
	node := func(p string, k snapshot.Kind, rdev uint64) *mail {
		return &mail{p, snapshot.Entry{Kind: k, Mode: 0o4620, UID: 77, GID: 88, Rdev: rdev, Mtime: snapshot.Time{Sec: -5, Nsec: 1}}, nil}
	}
	plain := func(p string, mode uint32) *mail {
		m := s.content().plain([]byte("content of " + p)).mail(p)
		m.entry.Mode, m.entry.UID, m.entry.GID = mode, 1234, 4321
		return m
	}
	setuid, setgid, none := plain("a/setuid", 0o4755), plain("a/setgid", 0o2710), plain("a/none", 0)
	attrs := plain("a/attrs", 0o640)
	attrs.entry.Xattrs = []snapshot.Xattr{{Name: "security.selinux", Value: []byte("some_label")}, {Name: "system.posix_acl_access", Value: acl(t)},
		{Name: "trusted.restante", Value: []byte{0, 1, 2}}, {Name: "user.empty", Value: nil}, {Name: "user.mime", Value: []byte("text/plain")}}
	old, future, newline := plain("a/old", 0o600), plain("a/future", 0o600), plain("a/new\nline\xff\xfe", 0o600)
	old.entry.Mtime, future.entry.Mtime = snapshot.Time{Sec: -1_000_000_000, Nsec: 999_999_999}, snapshot.Time{Sec: 14_000_000_000, Nsec: 1}
	link := &mail{"a/link", snapshot.Entry{Kind: snapshot.Symlink, Mode: 0o777, UID: 5, GID: 6, Target: "../../no/where\n\xff", Mtime: snapshot.Time{Sec: 99, Nsec: 98}}, nil}
	sticky, locked, shared := dir("b"), dir("b/locked"), dir("a")
	sticky.entry.Mode, sticky.entry.UID = 0o3777, 9
	sticky.entry.Xattrs = []snapshot.Xattr{{Name: "user.folder", Value: []byte("yes")}}
	locked.entry.Mode = 0
	shared.entry.Xattrs = []snapshot.Xattr{{Name: "system.posix_acl_default", Value: acl(t)}}
	first, second, third := plain("a/1first", 0o600), plain("b/2second", 0o600), plain("b/locked/3third", 0o600)
	for _, m := range []*mail{first, second, third} {
		one := *first
		m.bytes, m.entry = one.bytes, one.entry
		m.entry.Link = snapshot.LinkID{9}
	}
	fifo, fifo2 := node("b/fifo", snapshot.FIFO, 0), node("b/fifo2", snapshot.FIFO, 0)
	fifo.entry.Link, fifo2.entry.Link = snapshot.LinkID{8}, snapshot.LinkID{8}
	return []*mail{dir(""), shared, setuid, setgid, none, attrs, old, future, newline, link, sticky, locked, first, second, third, fifo, fifo2,
		node("b/socket", snapshot.Socket, 0), node("b/null", snapshot.CharDevice, unix.Mkdev(1, 3)), node("b/loop", snapshot.BlockDevice, unix.Mkdev(7, 200)),
		plain("b/"+strings.Repeat("n", 255), 0o600), s.content().mail("b/zero")}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may set owners and make devices")
	}
}

func TestOddFiles(t *testing.T) {
	needRoot(t)
	s := newStore(t, 100)
	s.again = true
	mails := odd(t, s)
	tree := s.tree(mails...)
	o := everything(filepath.Join(t.TempDir(), "target"))
	o.NoOwner = false
	check := func(what string) {
		t.Helper()
		for _, m := range mails {
			p := filepath.Join(o.Target, m.path)
			if got, want := describe(t, p), m.describe(); got != want {
				t.Errorf("%s: %q is\n%s, want\n%s", what, m.path, got, want)
			}
			if m.entry.Kind == snapshot.File {
				if data, err := os.ReadFile(p); err != nil || !bytes.Equal(data, m.bytes) {
					t.Errorf("%s: %q: %q, %v", what, m.path, data, err)
				}
			}
		}
		var links []string
		for _, p := range []string{"a/1first", "b/2second", "b/locked/3third", "b/fifo", "b/fifo2"} {
			var st unix.Stat_t
			if err := unix.Lstat(filepath.Join(o.Target, p), &st); err != nil {
				t.Fatal(err)
			}
			links = append(links, fmt.Sprint(st.Nlink, st.Ino))
		}
		if links[0] != links[1] || links[0] != links[2] || links[3] != links[4] || links[0][0] != '3' || links[3][0] != '2' {
			t.Errorf("%s: links and inodes are %q", what, links)
		}
		entries, err := os.ReadDir(o.Target)
		if err != nil || len(entries) != 2 {
			t.Errorf("%s: in the target are %v, %v", what, entries, err)
		}
	}
	res := run(t, s, tree, o)
	if res.NotSet != 0 || res.OwnersNotSet != 0 {
		t.Errorf("%+v", res)
	}
	check("restored")

	// What was changed comes back; in "a" new files inherit an access list.
	for p, mode := range map[string]uint32{"a/setuid": 0o600, "b/locked": 0o700, "b": 0o700} {
		if err := os.Chmod(filepath.Join(o.Target, p), os.FileMode(mode)); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"a/none", "a/link", "b/2second"} {
		if err := os.Remove(filepath.Join(o.Target, p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Setxattr(filepath.Join(o.Target, "a/old"), "user.more", []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	o.Resume = true
	if res := run(t, s, tree, o); res.Skipped != 10 || res.Files != 2 {
		t.Errorf("%+v", res)
	}
	check("resumed")
	o.Resume, o.Overwrite = false, true
	run(t, s, tree, o)
	check("overwritten")
}

func TestSELinuxLabelsOnRequest(t *testing.T) {
	needRoot(t)
	s := newStore(t, 100)
	m := s.content().plain([]byte("x")).mail("x")
	m.entry.Xattrs = []snapshot.Xattr{{Name: "security.selinux", Value: []byte("system_u:object_r:mail_spool_t:s0\x00")}}
	for _, want := range []bool{false, true} {
		s.forget()
		o := everything(t.TempDir())
		o.SELinux = want
		res := run(t, s, s.tree(m), o)
		value := make([]byte, 100)
		n, err := unix.Getxattr(filepath.Join(o.Target, "x"), "security.selinux", value)
		if want && res.NotSet > 0 {
			t.Skip("this file system takes no labels")
		}
		if got := err == nil && bytes.Equal(value[:n], m.entry.Xattrs[0].Value); got != want {
			t.Errorf("label %q, %v", value[:max(n, 0)], err)
		}
	}
}

// asNobody runs fn without the rights of root.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	needRoot(t)
	if err := unix.Setreuid(-1, 65534); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setreuid(-1, 0); err != nil {
			t.Fatal(err)
		}
	}()
	fn()
}

func TestUnprivileged(t *testing.T) {
	s := newStore(t, 100)
	s.again = true
	target := t.TempDir()
	if err := os.Chmod(target, 0o777); err != nil {
		t.Fatal(err)
	}
	for p := filepath.Dir(target); p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mails := []*mail{dir("d"), s.content().plain([]byte("x")).mail("d/setuid"), s.content().plain([]byte("y")).mail("d/y"), s.content().plain([]byte("z")).mail("own"),
		{"null", snapshot.Entry{Kind: snapshot.CharDevice, Rdev: unix.Mkdev(1, 3)}, nil}}
	for _, m := range mails[:3] {
		m.entry.UID, m.entry.GID = 1234, 1234
	}
	mails[0].entry.Mode = 0o500
	mails[1].entry.Mode = 0o4711
	mails[3].entry.UID, mails[3].entry.GID = 65534, uint32(os.Getegid())
	tree := s.tree(mails...)
	asNobody(t, func() {
		o := everything(filepath.Join(target, "t"))
		o.NoOwner = false
		for _, resume := range []bool{false, true} {
			o.Resume = resume
			res, err := restore.Run(context.Background(), s, tree, testKey, o)
			if err != nil || res.OwnersNotSet != 3 || res.Failures != 1 || res.Failed[0].Path != "null" || !errors.Is(res.Failed[0].Err, unix.EPERM) {
				t.Errorf("%+v, %v", res, err)
			}
			if resume != (res.Skipped == 3) || res.NotSet != 0 {
				t.Errorf("%+v", res)
			}
			if err := os.Remove(filepath.Join(o.Target, "d", "y")); !errors.Is(err, unix.EACCES) {
				t.Errorf("removing from a folder of mode 0500: %v", err)
			}
		}
		o.Target, o.NoOwner, o.Resume = filepath.Join(target, "u"), true, false
		if res, err := restore.Run(context.Background(), s, tree, testKey, o); err != nil || res.OwnersNotSet != 0 {
			t.Errorf("%+v, %v", res, err)
		}
		for _, p := range []string{"t", "u"} {
			if st, err := os.Stat(filepath.Join(target, p, "d/setuid")); err != nil || st.Mode() != 0o711 {
				t.Errorf("a setuid file of somebody else's came back as %v, %v", st, err)
			}
		}
	})
}

// A small file costs few system calls: making, writing, owner, mode, time,
// closing, naming.
func TestOperationsOfASmallFile(t *testing.T) {
	s := newStore(t, 1<<20)
	count := func(n int) (ops int) {
		var mails []*mail
		for i := range n {
			mails = append(mails, s.content().plain(fmt.Appendf(nil, "mail %d", i)).mail(fmt.Sprint(i)))
		}
		o := everything(t.TempDir())
		o.Workers = 1
		restore.SetHook(&o, func(string, string) error { ops++; return nil })
		s.forget()
		run(t, s, s.tree(mails...), o)
		return ops
	}
	// Setting metadata is one operation of three calls.
	if few, many := count(10), count(110); many-few > 100*5 {
		t.Errorf("100 more files take %d more operations", many-few)
	}
}

// TestHolesComeBackAsHoles restores a large file that is nearly all zeros,
// which takes little room, and one whose zeros are encoded, which has none.
func TestHolesComeBackAsHoles(t *testing.T) {
	s := newStore(t, 1<<20)
	zeros := make([]byte, 1<<20)
	c := s.content().plain([]byte("the beginning"))
	for range 20 {
		c.plain(zeros)
	}
	c.plain([]byte("the middle"))
	for range 9 {
		c.plain(zeros)
	}
	sparse := c.mail("sparse") // which ends in a hole
	encoded := s.content().plain([]byte("x")).lines(zeros, 76, snapshot.LF, snapshot.TailEnded).mail("encoded")
	for _, held := range []uint64{0, 64 << 20} {
		target := t.TempDir()
		o := everything(target)
		o.NoOwner, o.Verify = true, true
		restore.SetLimits(&o, 100, 1000, held)
		if r := run(t, s, s.tree(encoded, sparse), o); r.Failures != 0 || r.Files != 2 {
			t.Fatalf("%+v", r)
		}
		compare(t, target, encoded, sparse)
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(target, "sparse"), &st); err != nil {
			t.Fatal(err)
		}
		if used := st.Blocks * 512; used > st.Size/2 {
			t.Errorf("with %d bytes held, %d bytes take %d on the disk", held, st.Size, used)
		}
		s.forget()
	}
}

// What waits in memory for the rest of its file counts until it is written. A
// file that found no room is one with a temporary name, which is renamed.
func TestMemoryHeldIsGivenBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	s := newStore(t, 1<<20)
	mails := []*mail{s.content().plain(randomBytes(rng, 5000)).plain(randomBytes(rng, 100)).mail("large")}
	for i := range 50 {
		mails = append(mails, s.content().plain(randomBytes(rng, 1000)).plain(randomBytes(rng, 100)).mail(fmt.Sprintf("mail%02d", i)))
	}
	o := everything(t.TempDir())
	o.Workers = 1
	restore.SetLimits(&o, 1000, 1000, 1500)
	var renamed []string
	restore.SetHook(&o, func(op, path string) error {
		if op == "renaming into place" {
			renamed = append(renamed, path)
		}
		return nil
	})
	run(t, s, s.tree(mails...), o)
	compare(t, o.Target, mails...)
	if want := []string{"large"}; !slices.Equal(renamed, want) {
		t.Errorf("%q found no room in memory, not %q", renamed, want)
	}
}
