package backup_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"restante/backup"
	"restante/internal/glob"
	"restante/mailstore"
	"restante/snapshot"
)

// noise returns n bytes that do not compress.
func noise(seed uint64, n int) []byte {
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	rng.Read(b)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// setTime sets a path's own time, also that of a symbolic link.
func setTime(t *testing.T, path string, sec, nsec int64) {
	t.Helper()
	ts := []unix.Timespec{{Sec: sec, Nsec: nsec}, {Sec: sec, Nsec: nsec}}
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, ts, unix.AT_SYMLINK_NOFOLLOW))
}

// oddTree fills the store with whatever a file system may hold.
func oddTree(t *testing.T, f *fixture) {
	f.maildir("example.com/alice/Maildir", 5)
	f.maildir("example.com/alice/Maildir/.Sent", 2)
	f.maildir("example.com/bob/Maildir", 3)
	oddNames(t, f)
	oddContent(t, f)
	oddKinds(t, f)
	oddMetadata(t, f)
}

func oddNames(t *testing.T, f *fixture) {
	for i, name := range []string{"a\nb", "\xff", "\xff\x01", "caf\xe9", "käse", " ", "-n", "~", "*", `a"b'c\d`, "a:2,S", "tab\there", "\x01", strings.Repeat("x", 255)} {
		f.write("names/"+name, fmt.Sprint(i))
		f.write("names of folders/"+name+"/in it", fmt.Sprint(i))
		f.write("example.com/alice/Maildir/"+name, "beside the messages")
		f.write("example.com/alice/Maildir/new/"+name, mail(name))
	}
	f.write("order/a/b", "1")
	f.write("order/a.b", "2")
	f.write("order/a\x01", "3")
	f.write("order/ab", "4")
	must(t, os.MkdirAll(f.root("empty/of/all"), 0o711))
	f.write(strings.Repeat("deep/", 300)+"file", "far down")
}

func oddContent(t *testing.T, f *fixture) {
	f.write("content/empty", "")
	f.write("content/large", string(noise(1, 9<<20)))
	f.write("content/text", strings.Repeat("all work and no play ", 100_000))
	f.write("example.com/alice/Maildir/cur/1700000001.large.mx:2,", mail("large")+string(noise(2, 3<<20)))
	f.write("example.com/alice/Maildir/cur/1700000002.empty.mx:2,", "")
	for _, n := range []int{512<<10 - 1, 512 << 10, 512<<10 + 1} {
		f.write(fmt.Sprint("content/edge", n), string(noise(uint64(n), n)))
	}
	sparse, err := os.Create(f.root("content/sparse"))
	must(t, err)
	_, err = sparse.WriteAt([]byte("end"), 40<<20)
	must(t, err)
	must(t, sparse.Close())
	must(t, os.Truncate(f.root("content/sparse"), 48<<20))
}

func oddKinds(t *testing.T, f *fixture) {
	must(t, os.MkdirAll(f.root("kinds"), 0o755))
	for i, target := range []string{"../content/large", "/nowhere", "dangling\n\xff", strings.Repeat("l", 4000), "."} {
		must(t, os.Symlink(target, f.root(fmt.Sprint("kinds/symlink", i))))
	}
	must(t, unix.Mkfifo(f.root("kinds/fifo"), 0o640))
	must(t, unix.Mknod(f.root("kinds/socket"), unix.S_IFSOCK|0o600, 0))
	if os.Geteuid() == 0 {
		if err := unix.Mknod(f.root("kinds/char"), unix.S_IFCHR|0o620, int(unix.Mkdev(1, 3))); err != nil {
			t.Logf("no devices: %v", err)
		} else {
			must(t, unix.Mknod(f.root("kinds/block"), unix.S_IFBLK|0o600, int(unix.Mkdev(259, 300_000))))
		}
	}
	// The same file in two mailboxes, in a folder, and under a new name.
	first := f.root("example.com/alice/Maildir/cur/" + messageName(0) + ":2,S")
	must(t, os.Link(first, f.root("example.com/bob/Maildir/cur/"+messageName(900)+":2,S")))
	must(t, os.Link(first, f.root("example.com/alice/Maildir/.Sent/new/"+messageName(901))))
	must(t, os.Link(first, f.root("content/message")))
	must(t, os.Link(f.root("kinds/fifo"), f.root("kinds/same fifo")))
	must(t, os.Link(f.root("kinds/symlink0"), f.root("kinds/same symlink")))
}

func oddMetadata(t *testing.T, f *fixture) {
	for _, mode := range []uint32{0, 0o400, 0o4755, 0o2755, 0o1777, 0o7777, 0o2070} {
		path := f.write(fmt.Sprintf("modes/%o", mode), "x")
		must(t, unix.Chmod(path, mode))
		must(t, os.Mkdir(path+".d", 0o700))
		must(t, unix.Chmod(path+".d", mode|0o500))
	}
	for _, name := range []string{"file", "folder/in it"} {
		path := f.write("attributes/"+name, "x")
		if err := unix.Setxattr(path, "user.restante", []byte("v\x00\xff"), 0); err != nil {
			t.Logf("no attributes: %v", err)
			continue
		}
		must(t, unix.Setxattr(path, "user.empty", nil, 0))
		must(t, unix.Setxattr(path, "user.long", bytes.Repeat([]byte("long"), 200), 0))
		must(t, unix.Setxattr(filepath.Dir(path), "user.of a folder", []byte("x"), 0))
		// A POSIX ACL: version 2; owner rw-, user 1001 r--, group r--, mask r--, others ---.
		acl := "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xe9\x03\x00\x00" +
			"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
		if err := unix.Setxattr(path, "system.posix_acl_access", []byte(acl), 0); err != nil {
			t.Logf("no ACLs: %v", err)
		}
	}
	if os.Geteuid() == 0 {
		must(t, os.Lchown(f.root("content/empty"), 12345, 54321))
		must(t, os.Lchown(f.root("kinds/symlink1"), 4_000_000_000, 4_000_000_001))
		must(t, os.Lchown(f.root("empty/of"), 1000, 100))
		if err := unix.Lsetxattr(f.root("kinds/symlink2"), "trusted.restante", []byte("on a link"), 0); err != nil {
			t.Logf("no attributes of links: %v", err)
		}
	}
	// Folders last: what is made in them changes their times.
	for i, sec := range []int64{-1, -2_000_000_000, 0, 1, 1 << 31, 13_000_000_000} {
		nsec := int64(i) * 111_111_111
		setTime(t, f.write(fmt.Sprint("times/", sec), "x"), sec, nsec)
		must(t, os.Mkdir(f.root(fmt.Sprint("times/folder", sec)), 0o700))
		setTime(t, f.root(fmt.Sprint("times/folder", sec)), sec, nsec)
	}
	setTime(t, f.root("kinds/symlink0"), 1_000_000_000, 5)
	setTime(t, f.root("kinds/fifo"), 1_000_000_000, 6)
	setTime(t, f.roots[0], 1_234_567_890, 987_654_321)
}

func TestRoundTrip(t *testing.T) {
	f := newFixture(t)
	oddTree(t, f)
	before := describe(t, f.roots[0])
	result := f.clean()
	if after := describe(t, f.roots[0]); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("the backup changed the store")
	}
	dir, failed := f.restore(result)
	for _, fail := range failed {
		t.Errorf("%q: %v", fail.Path, fail.Err)
	}
	same(t, dir, f.roots[0])
	if got, want := result.Snapshot.Tree.Counts.Entries, uint64(len(before)); got != want {
		t.Errorf("the tree has %d entries, the store %d", got, want)
	}
	if got := result.Snapshot.Tree.Counts.Messages; got != 7+3+4+14 {
		t.Errorf("%d messages were counted", got)
	}
	for _, path := range []string{"kinds/socket", "kinds/char"} {
		if _, err := os.Lstat(f.root(path)); err == nil && !strings.Contains(f.noticed(path), "no content") {
			t.Errorf("nobody was told of %s: %+v", path, f.notices)
		}
	}
	if f.clean(); len(f.notices) > 0 {
		t.Errorf("the second night told again: %+v", f.notices)
	}
}

// A snapshot says nothing of where the store lies, nor of how it came to be as
// it is.
func TestMovedStoreHasTheSameTree(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	oddTree(t, f)
	f.maildir("alice/Maildir", 5)
	first := f.clean()
	before := f.pieces()
	moved := f.roots[0] + " elsewhere"
	must(t, os.Rename(f.roots[0], moved))
	f.roots[0] = moved
	next := f.clean()
	if next.Snapshot.Tree != first.Snapshot.Tree {
		t.Error("the tree of the moved store is another one")
	}
	// As on a snapshot of the volume, the inodes are the same.
	if next.Snapshot.Run.BytesRead != 0 || next.Snapshot.Parent != [16]byte(first.Session) {
		t.Errorf("of the moved store %d bytes were read, and its parent is %x", next.Snapshot.Run.BytesRead, next.Snapshot.Parent)
	}
	dir, _ := f.restore(first)
	f.roots[0] = dir
	second := f.clean()
	if second.Snapshot.Tree != first.Snapshot.Tree {
		t.Error("the tree of the restored store is another one")
	}
	if second.Snapshot.Run.BytesRead == 0 {
		t.Error("other files passed for those that are known")
	}
	if second.Snapshot.Parent != [16]byte(next.Session) || f.pieces() != before {
		t.Errorf("the restored store has the parent %x, and %d pieces became %d", second.Snapshot.Parent, before, f.pieces())
	}
}

func TestRootIsAFile(t *testing.T) {
	f := newFixture(t)
	f.write("alice", mbox(3))
	f.write("bob", mbox(1))
	f.roots[0] = f.root("alice")
	result := f.clean()
	if got := f.entries(result); len(got) != 1 || got["alice"].Messages != 3 {
		t.Errorf("the tree holds %v", got)
	}
	dir, _ := f.restore(result)
	if got := content(t, dir); got["alice"] != mbox(3) {
		t.Errorf("%d files came back", len(got))
	}
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(f.roots[0], link))
	f.roots[0] = link
	// Detect knows no mailbox by a link.
	if got := f.entries(f.clean(func(o *backup.Options) { o.AllowShrink = true })); len(got) != 1 || got["link"].Kind != snapshot.File {
		t.Errorf("by a link the tree holds %v", got)
	}
}

func TestSeveralRoots(t *testing.T) {
	f := newFixture(t)
	f.write("spool/alice", mbox(2))
	f.write("spool/bob", mbox(1))
	f.write("home/alice/mail/sent", mbox(4))
	f.maildir("home/bob/Maildir", 3)
	f.write("homestead/x", "y")
	f.roots = []string{f.root("spool/alice"), f.root("homestead"), f.root("home")}
	result := f.clean()
	entries := f.entries(result)
	for path, messages := range map[string]uint64{"spool/alice": 2, "home/alice/mail/sent": 4, "homestead/x": 0} {
		if e, ok := entries[path]; !ok || e.Messages != messages {
			t.Errorf("%s: %v, %d messages", path, ok, e.Messages)
		}
	}
	if _, ok := entries["spool/bob"]; ok {
		t.Error("what lies beside a root is in the snapshot")
	}
	dir, failed := f.restore(result)
	if len(failed) > 0 {
		t.Errorf("%v", failed)
	}
	same(t, filepath.Join(dir, "home"), f.roots[2])
	same(t, filepath.Join(dir, "homestead"), f.roots[1])
	ranges := mailboxRanges(t, f, result)
	for name, messages := range map[string]uint64{"alice": 6, "bob": 3} {
		if c := counts(t, f, result, ranges[name]); c.Messages != messages {
			t.Errorf("%s has %d messages", name, c.Messages)
		}
	}
	f.roots = append(f.roots, f.roots[2]+"/../spool")
	if _, err := mailstore.Detect(t.Context(), f.roots, f.detect); err == nil {
		t.Error("a root in another one was taken")
	}
}

// Who makes a Store otherwise than by Detect is refused, too.
func TestNestedRootsAreRefused(t *testing.T) {
	f := newFixture(t)
	f.write("a/b/c", "x")
	o := f.options()
	o.Store = &mailstore.Store{Roots: []string{f.root("a"), f.root("a/b")}}
	_, err := f.try(t.Context(), f.store, o)
	if err == nil || !strings.Contains(err.Error(), f.root("a/b")+" lies in "+f.root("a")) {
		t.Errorf("error %v", err)
	}
	if n := f.snapshots(); n != 0 {
		t.Errorf("%d snapshots", n)
	}
}

func TestRootThatIsGoneOrNoFolder(t *testing.T) {
	for name, remake := range map[string]func(string) error{
		"gone":  func(string) error { return nil },
		"empty": func(p string) error { return unix.Mkfifo(p, 0o600) },
	} {
		f := newFixture(t)
		o := f.options()
		must(t, os.Remove(f.roots[0]))
		must(t, remake(f.roots[0]))
		if _, err := f.try(t.Context(), f.store, o); err == nil || !strings.Contains(err.Error(), f.roots[0]) {
			t.Errorf("%s: error %v", name, err)
		}
		if n := f.snapshots(); n != 0 {
			t.Errorf("%s: %d snapshots", name, n)
		}
	}
}

func TestExcluded(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 3)
	f.maildir("alice/Maildir/.Trash", 2)
	f.maildir("bob/Maildir", 1)
	f.write("alice/Maildir/new/1.fresh", mail("fresh"))
	f.write("alice/Maildir/dovecot.index.cache", "x")
	f.write("bob/Maildir/courierimapuiddb", "x")
	var err error
	exclude, err := glob.New([]string{".Trash", "dovecot.index*", "/bob/Maildir/cur", "courierimapuiddb", "/alice/Maildir/new/1.*"})
	must(t, err)
	result := f.clean(func(o *backup.Options) { o.Exclude = exclude })
	var got []string
	for path, e := range f.entries(result) {
		if e.Kind == snapshot.File || strings.HasSuffix(path, "cur") {
			got = append(got, path)
		}
	}
	slices.Sort(got)
	want := []string{"alice/Maildir/cur", "alice/Maildir/cur/" + messageName(0) + ":2,S", "alice/Maildir/cur/" + messageName(1) + ":2,S", "alice/Maildir/cur/" + messageName(2) + ":2,S"}
	if !slices.Equal(got, want) {
		t.Errorf("the snapshot holds %q", got)
	}
	if fmt.Sprint(result.Snapshot.Excludes) != fmt.Sprint(exclude.Patterns()) {
		t.Errorf("the snapshot says %q was left out", result.Snapshot.Excludes)
	}
}

func TestOwnCacheIsLeftOut(t *testing.T) {
	f := newFixture(t)
	f.write("alice/file", "x")
	f.cache = f.root("alice/cache")
	must(t, os.Mkdir(f.cache, 0o700))
	result := f.clean()
	for path := range f.entries(result) {
		if strings.HasPrefix(path, "alice/cache") {
			t.Errorf("%s is in the snapshot", path)
		}
	}
	if f.noticed("alice/cache") == "" {
		t.Error("nobody was told")
	}
}

// A path may be too long for the system's calls, and for a key.
func TestDeepTree(t *testing.T) {
	f := newFixture(t)
	f.write("beside", "x")
	fd, err := unix.Open(f.roots[0], unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must(t, err)
	name := strings.Repeat("d", 250)
	depth := snapshot.MaxKey/(len(name)+1) + 2
	for i := range depth {
		must(t, unix.Mkdirat(fd, name, 0o700))
		sub, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		must(t, err)
		unix.Close(fd)
		fd = sub
		if i%10 == 9 {
			must(t, unix.Symlinkat("nowhere", fd, "link"))
			file, err := unix.Openat(fd, "file", unix.O_CREAT|unix.O_WRONLY, 0o600)
			must(t, err)
			_, err = unix.Write(file, []byte(fmt.Sprint(i)))
			must(t, err)
			unix.Close(file)
		}
	}
	unix.Close(fd)
	result := f.run()
	if got := result.Snapshot.Tree.Counts; got.Unsaved != 1 || got.Files < 5 || got.Entries < 5*12 {
		t.Errorf("counts %+v: %+v", got, f.notices)
	}
	if len(result.Unsaved) != 1 || !strings.Contains(result.Unsaved[0].Text, "too long") && !strings.Contains(result.Unsaved[0].Text, "more than") {
		t.Errorf("unsaved: %.100v", result.Unsaved)
	}
	for path, e := range f.entries(result) {
		if strings.HasSuffix(path, "/link") && e.Kind != snapshot.Symlink {
			t.Errorf("the link at %d is %v: %s", len(path), e.Kind, e.Reason)
		}
	}
	must(t, os.RemoveAll(f.roots[0])) // TempDir would do it as well, a name at a time
}

// mbox returns an mbox with n messages.
func mbox(n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "From alice@example.com Mon Jan  %d 10:00:00 2024\n%s\n", i%9+1, mail(fmt.Sprint("number ", i)))
	}
	return all.String()
}

// waitFor polls until ok holds, for work of other goroutines to end.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("waited in vain: %s", what)
}
