package backup_test

import (
	"fmt"
	"log"
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
	"restante/internal/mailgen"
	"restante/mailstore"
	"restante/repo"
	"restante/snapshot"
)

// pieces returns how many pieces the repository has.
func (f *fixture) pieces() uint64 {
	f.t.Helper()
	n, err := f.open().Pieces(f.t.Context())
	must(f.t, err)
	return n
}

// parentCache returns the paths of the two files of the only parent cache.
func (f *fixture) parentCache() (sections, blocks string) {
	f.t.Helper()
	dir := filepath.Join(f.cache, "*", "parents", "*")
	found, err := filepath.Glob(filepath.Join(dir, "sections"))
	others, err2 := filepath.Glob(filepath.Join(dir, "blocks-*"))
	if err != nil || err2 != nil || len(found) != 1 || len(others) != 1 {
		f.t.Fatalf("parent caches: %q, %q", found, others)
	}
	return found[0], others[0]
}

// settled is the rule of the real world.
func settled(o *backup.Options) { backup.SetLimits(o, backup.Defaults) }

func TestUnchangedStoreIsNotRead(t *testing.T) {
	f := newFixture(t)
	oddTree(t, f)
	first := f.clean()
	before := f.pieces()
	second := f.clean()
	run := second.Snapshot.Run
	if run.BytesRead != 0 || run.New != 0 || run.Changed != 0 || run.Removed != 0 || run.Unchanged != first.Snapshot.Tree.Counts.Files {
		t.Errorf("the second run: %+v", run)
	}
	if second.Snapshot.Tree != first.Snapshot.Tree || second.Snapshot.Mailboxes != first.Snapshot.Mailboxes {
		t.Error("the second tree is another one")
	}
	if after := f.pieces(); after != before {
		t.Errorf("%d pieces became %d", before, after)
	}
	if second.Snapshot.Parent != [16]byte(first.Session) || first.Snapshot.Parent != [16]byte{} {
		t.Errorf("parents %x and %x", first.Snapshot.Parent, second.Snapshot.Parent)
	}
	if f.snapshots() != 2 {
		t.Error("a run with nothing changed made no snapshot")
	}
}

func TestParanoidReadsAll(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	oddTree(t, f)
	f.maildir("alice/Maildir", 5)
	first := f.clean()
	before := f.pieces()
	o := f.options()
	o.Paranoid = true
	told := uint64(0)
	o.File = func(path string, change backup.Change) {
		if told++; change != backup.Same {
			t.Errorf("%s is %s", path, change)
		}
	}
	second, err := f.try(t.Context(), f.store, o)
	must(t, err)
	run := second.Snapshot.Run
	if run.BytesRead != first.Snapshot.Run.BytesRead || run.Unchanged != first.Snapshot.Tree.Counts.Files || told != run.Unchanged {
		t.Errorf("%d files were read: %+v, the first run was %+v", told, run, first.Snapshot.Run)
	}
	if second.Snapshot.Tree != first.Snapshot.Tree || f.pieces() != before {
		t.Error("reading all of it again made another tree, or stored something")
	}
}

// Of paths as long as these the tree ends pages by their size.
func TestUnchangedLongPathsAreNotRead(t *testing.T) {
	f := newFixture(t)
	dir := strings.TrimSuffix(strings.Repeat(strings.Repeat("d", 200)+"/", 15), "/")
	for i := range 400 {
		f.write(filepath.Join(dir, fmt.Sprint("file", i)), fmt.Sprint(i))
	}
	first := f.clean().Snapshot
	f.write(filepath.Join(dir, "file200"), "changed")
	f.write(filepath.Join(dir, "file300"), "300")
	second := f.clean().Snapshot
	if run := second.Run; run.Changed != 2 || run.Unchanged != 398 || run.BytesRead != 7+3 {
		t.Errorf("the second run: %+v", run)
	}
	f.write(filepath.Join(dir, "file200"), "200")
	if third := f.clean().Snapshot; third.Tree.Counts != first.Tree.Counts || third.Run.Changed != 1 || third.Run.BytesRead != 3 {
		t.Errorf("the third run: %+v", third.Run)
	}
}

func TestWhatChangedIsRead(t *testing.T) {
	f := newFixture(t)
	f.write("alice/file", "before")
	f.write("alice/gone", "x")
	f.write("alice/mode", "m")
	f.write("alice/same", "s")
	f.write("alice/kind", "k")
	f.clean()
	path := f.root("alice/file")
	info, err := os.Stat(path)
	must(t, err)
	f.write("alice/file", "after!") // as long as before, and then as old
	must(t, os.Chtimes(path, time.Time{}, info.ModTime()))
	must(t, os.Remove(f.root("alice/gone")))
	must(t, os.Chmod(f.root("alice/mode"), 0o640))
	must(t, os.Remove(f.root("alice/kind")))
	must(t, os.Symlink("file", f.root("alice/kind")))
	f.write("alice/new", "n")
	result := f.clean()
	want := snapshot.Run{New: 1, Changed: 2, Unchanged: 1, Removed: 1, BytesRead: 6 + 1 + 1}
	got := result.Snapshot.Run
	if got.BytesStored = 0; got != want {
		t.Errorf("run %+v, not %+v", got, want)
	}
	dir, _ := f.restore(result)
	same(t, dir, f.roots[0])
}

func TestLostParentCache(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	oddTree(t, f)
	first := f.clean()
	before := f.pieces()
	must(t, os.RemoveAll(f.cache))
	second := f.clean()
	if second.Snapshot.Tree != first.Snapshot.Tree {
		t.Error("the tree is another one")
	}
	if after := f.pieces(); after != before {
		t.Errorf("%d pieces became %d", before, after)
	}
	if got, want := second.Snapshot.Run.BytesRead, first.Snapshot.Run.BytesRead; got != want {
		t.Errorf("%d bytes were read, not %d", got, want)
	}
	if second.Snapshot.Parent != [16]byte{} {
		t.Error("it was compared with nothing, and has a parent")
	}
	if got, want := f.clean().Snapshot.Parent, [16]byte(second.Session); got != want {
		t.Errorf("the third run has the parent %x", got)
	}
}

// TestDamagedParentCache flips each byte of a parent cache and cuts it off at
// each length. The cache would be wrong about one file.
func TestDamagedParentCache(t *testing.T) {
	f := newFixture(t)
	f.write("a/file", "before")
	f.write("a/kept", "x")
	f.clean()
	sections, blocks := f.parentCache()
	good := map[string][]byte{}
	for _, path := range []string{sections, blocks} {
		data, err := os.ReadFile(path)
		must(t, err)
		good[path] = data
	}
	f.write("a/file", "after!")
	f.write("a/other", "x")
	if f.clean().Snapshot.Run.BytesRead != 6+1 {
		t.Error("the whole cache was not used")
	}
	want := f.clean().Snapshot.Tree
	r, rng := f.open(), rand.New(rand.NewPCG(1, 2))
	check := func(what, path string, data []byte) {
		t.Helper()
		now, err := filepath.Glob(filepath.Join(filepath.Dir(sections), "*"))
		must(t, err)
		for _, p := range now {
			must(t, os.Remove(p))
		}
		for p, d := range good {
			must(t, os.WriteFile(p, d, 0o600))
		}
		must(t, os.WriteFile(path, data, 0o600))
		o := f.options()
		o.Jobs = 1
		result, err := backup.Run(t.Context(), r, o)
		must(t, err)
		if result.Snapshot.Tree != want {
			t.Fatalf("%s of %s: the snapshot is wrong", what, filepath.Base(path))
		}
		f.remove(result)
	}
	step := 1
	if testing.Short() {
		step = 16
	}
	for path, data := range good {
		for i := 0; i < len(data); i += step {
			flipped := append([]byte(nil), data...)
			flipped[i] ^= byte(1 + rng.IntN(255))
			check(fmt.Sprintf("byte %d of %d", i, len(data)), path, flipped)
		}
		for i := 0; i < len(data); i += 5 * step {
			check(fmt.Sprintf("%d of %d bytes", i, len(data)), path, data[:i])
			check(fmt.Sprintf("more than %d bytes", len(data)), path, append(data[:len(data):len(data)], make([]byte, i+1)...))
		}
		check("nothing", path, nil)
	}
}

// A part of a large parent cache may be damaged; the rest serves, and the next
// run knows all of it again.
func TestDamagedBlockOfParentCache(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 1500)
	first := f.clean()
	_, blocks := f.parentCache()
	data, err := os.ReadFile(blocks)
	must(t, err)
	data[len(data)*3/4] ^= 1
	must(t, os.WriteFile(blocks, data, 0o600))
	second := f.clean()
	if second.Snapshot.Tree != first.Snapshot.Tree {
		t.Error("the tree is another one")
	}
	if run := second.Snapshot.Run; run.New == 0 || run.New > 500 || run.Unchanged+run.New != 1500 {
		t.Errorf("run %+v", run)
	}
	if run := f.clean().Snapshot.Run; run.Unchanged != 1500 {
		t.Errorf("the run after it: %+v", run)
	}
}

func TestChangedOptionsReadEverything(t *testing.T) {
	f := newFixture(t)
	f.write("alice/file", "content")
	f.clean()
	exclude, err := glob.New([]string{"nothing"})
	must(t, err)
	with := func(o *backup.Options) { o.Exclude = exclude }
	if n := f.clean(with).Snapshot.Run.BytesRead; n != 7 {
		t.Errorf("with a new pattern %d bytes were read", n)
	}
	if n := f.clean(with).Snapshot.Run.BytesRead; n != 0 {
		t.Errorf("with the same pattern %d bytes were read", n)
	}
	if n := f.clean().Snapshot.Run.BytesRead; n != 7 {
		t.Errorf("without it %d bytes were read", n)
	}
	other := func(o *backup.Options) { o.Name = "another store" }
	if r := f.clean(other); r.Snapshot.Run.BytesRead != 7 || r.Snapshot.Parent != [16]byte{} {
		t.Errorf("as another store %d bytes were read", r.Snapshot.Run.BytesRead)
	}
	if n := f.clean().Snapshot.Run.BytesRead; n != 0 {
		t.Errorf("the two stores share a parent: %d bytes were read", n)
	}
}

// What a file is to the mail server may change though the file does not.
func TestChangedLayoutCountsMessagesAnew(t *testing.T) {
	f := newFixture(t)
	f.write("mail/alice", mbox(3))
	f.write("mail/bob", mbox(2))
	f.maildir("carol/Maildir", 4)
	f.write("carol/Maildir/cur/5.x:2,S", "hello\n") // which look like none
	f.write("carol/Maildir/cur/6.x:2,S", "hello again\n")
	f.write("carol/Maildir/tmp/5.x", mail("delivery")) // and is none yet
	f.detect.Layout = mailstore.Plain
	if n := f.clean().Snapshot.Tree.Counts.Messages; n != 3+2+4+1 {
		t.Errorf("plain files have %d messages", n)
	}
	f.detect.Layout = mailstore.Auto
	result := f.clean()
	if c := result.Snapshot.Tree.Counts; c.Messages != 3+2+4+2 {
		t.Errorf("%d messages", c.Messages)
	}
	// The first mbox of a store of Maildirs is no reason to read them again.
	g := newFixture(t)
	g.maildir("carol/Maildir", 4)
	g.clean()
	g.write("mail/alice", mbox(3))
	if got := g.clean().Snapshot.Run.BytesRead; got != uint64(len(mbox(3))) {
		t.Errorf("%d bytes were read", got)
	}
}

func TestParentSnapshotIsGone(t *testing.T) {
	for how, take := range map[string]func(*fixture, *backup.Result){"forgotten": (*fixture).forget, "removed": (*fixture).remove} {
		t.Run(how, func(t *testing.T) {
			f := newFixture(t)
			f.write("alice/file", "content")
			first := f.clean()
			take(f, first)
			second := f.clean()
			if s := second.Snapshot; s.Run.BytesRead != 7 || s.Parent != [16]byte{} || s.Tree != first.Snapshot.Tree {
				t.Errorf("%d bytes were read, and the parent is %x", s.Run.BytesRead, s.Parent)
			}
		})
	}
}

// A parent that is forgotten while the session begins is not relied on.
func TestParentSnapshotGoesMeanwhile(t *testing.T) {
	f := newFixture(t)
	f.write("alice/file", "content")
	first := f.clean()
	forgetful := &forgetfulStore{Store: f.store, forget: func() { f.forget(first) }}
	result, err := f.try(t.Context(), forgetful, f.options())
	must(t, err)
	if !forgetful.done {
		t.Error("no intent was put")
	}
	if s := result.Snapshot; s.Run.BytesRead != 7 || s.Parent != [16]byte{} {
		t.Errorf("%d bytes were read, and the parent is %x", s.Run.BytesRead, s.Parent)
	}
}

// A file that changes within the two seconds before a run may look the same
// afterwards.
func TestRecentFilesAreReadAgain(t *testing.T) {
	f := newFixture(t)
	f.write("alice/recent", "content")
	setTime(t, f.write("alice/old time", "x"), 1_000_000_000, 0) // but its ctime is new
	setTime(t, f.write("alice/future", "x"), time.Now().Unix()+1_000_000, 0)
	f.clean(settled)
	if n := f.clean(settled).Snapshot.Run.BytesRead; n != 7+1+1 {
		t.Errorf("%d bytes were read", n)
	}
	if n := f.clean().Snapshot.Run.BytesRead; n != 0 {
		t.Errorf("%d bytes were read of settled files", n)
	}
}

func TestChangedInPlaceWithinTheSecond(t *testing.T) {
	f := newFixture(t)
	path := f.write("alice/file", "before")
	f.clean(settled)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteString("after!")
	must(t, err)
	must(t, file.Close())
	result := f.clean(settled)
	dir, _ := f.restore(result)
	if got := content(t, dir)["alice/file"]; got != "after!" {
		t.Errorf("%q was saved", got)
	}
}

// A change of a flag renames a message; a program that shows it moves it from
// new to cur. Neither is a reason to read it again.
func TestRenamedMessagesAreNotRead(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 10)
	for i := range 5 {
		f.write("alice/Maildir/new/"+messageName(100+i), mail(fmt.Sprint(i)))
	}
	f.write("alice/Maildir/cur/plain", mail("without flags"))
	f.write("alice/Maildir/cur/changed:2,", mail("will be another"))
	setTime(t, f.write("alice/Maildir/cur/replaced:2,", mail("one")), 1_700_000_000, 0)
	f.clean()
	cur := f.root("alice/Maildir/cur/")
	must(t, os.Rename(cur+"/"+messageName(0)+":2,S", cur+"/"+messageName(0)+":2,RS")) // sorts before
	must(t, os.Rename(cur+"/"+messageName(1)+":2,S", cur+"/"+messageName(1)+":2,ST")) // sorts behind
	must(t, os.Rename(cur+"/"+messageName(2)+":2,S", cur+"/"+messageName(2)))
	must(t, os.Rename(cur+"/plain", cur+"/plain:2,F"))
	must(t, os.Rename(f.root("alice/Maildir/new/"+messageName(100)), cur+"/"+messageName(100)+":2,"))
	must(t, os.Rename(f.root("alice/Maildir/new/"+messageName(101)), f.root("alice/Maildir/new/"+messageName(101)+":2,S")))
	must(t, os.Chmod(cur+"/"+messageName(3)+":2,S", 0o640))
	if err := unix.Setxattr(cur+"/"+messageName(1)+":2,ST", "user.new", []byte("x"), 0); err != nil {
		t.Log(err)
	}
	must(t, os.Remove(cur+"/changed:2,"))
	f.write("alice/Maildir/cur/changed:2,S", mail("was another one"))
	setTime(t, f.write("alice/Maildir/cur/replaced:2,S", mail("two")), 1_700_000_000, 0) // looks the same, but for its inode
	must(t, os.Remove(cur+"/replaced:2,"))
	result := f.clean()
	run := result.Snapshot.Run
	// What has the same name and another ctime is read: its content may be another.
	read := len(mail("was another one")) + len(mail("two")) + len(content(t, f.roots[0])["alice/Maildir/cur/"+messageName(3)+":2,S"])
	if run.BytesRead != uint64(read) || run.New+run.Changed != 3 || run.Removed > 1 || run.Unchanged != 15 {
		t.Errorf("run %+v", run)
	}
	if n := result.Snapshot.Tree.Counts.Messages; n != 18 {
		t.Errorf("%d messages", n)
	}
	dir, _ := f.restore(result)
	same(t, dir, f.roots[0])
	if n := f.clean().Snapshot.Run.BytesRead; n != 0 {
		t.Errorf("the next run reads %d bytes", n)
	}
}

// What is written over a message whose times are set back, and which then gets
// other flags, only a run finds that reads all. DESIGN.md says so.
func TestOverwrittenRenamedMessagesNeedParanoid(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 0)
	old, name := mail("one"), "alice/Maildir/cur/1.a:2,"
	setTime(t, f.write(name, old), 1_700_000_000, 0)
	f.clean(resting)
	setTime(t, f.write(name, mail("two")), 1_700_000_000, 0)
	must(t, os.Rename(f.root(name), f.root(name+"S")))
	paranoid := func(o *backup.Options) { o.Paranoid = true }
	for i, run := range []struct {
		change func(*backup.Options)
		want   string
	}{{resting, old}, {rescanning, old}, {paranoid, mail("two")}} {
		dir, _ := f.restore(f.clean(run.change))
		if got := content(t, dir)[name+"S"]; got != run.want {
			t.Errorf("run %d: %q came back, want %q", i, got, run.want)
		}
	}
}

// In another mailbox the same base name says nothing.
func TestBaseNamesOfOtherMaildirsSayNothing(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 3)
	f.maildir("bob/Maildir", 0)
	f.clean()
	must(t, os.Rename(f.root("alice/Maildir/cur/"+messageName(0)+":2,S"), f.root("bob/Maildir/cur/"+messageName(0)+":2,S")))
	must(t, os.Rename(f.root("alice/Maildir/cur/"+messageName(1)+":2,S"), f.root("alice/not mail:2,S")))
	result := f.clean()
	if run := result.Snapshot.Run; run.New != 2 || run.Removed != 2 || run.NewMessages != 1 {
		t.Errorf("run %+v", run)
	}
	dir, _ := f.restore(result)
	same(t, dir, f.roots[0])
}

// A writer's key cannot read snapshots. It goes by its parent cache.
func TestWriterKey(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		f.write(name+"/file", "content of "+name)
	}
	f.useWriterKey()
	if r := f.open(); r.CanRead() {
		t.Fatal("the key can read")
	}
	first := f.clean()
	second := f.clean()
	if s := second.Snapshot; s.Run.BytesRead != 0 || s.Tree != first.Snapshot.Tree || s.Parent != [16]byte(first.Session) {
		t.Errorf("%d bytes were read, and the parent is %x", s.Run.BytesRead, s.Parent)
	}
	for _, name := range []string{"a", "b", "c"} {
		must(t, os.RemoveAll(f.root(name)))
	}
	var shrunk *backup.ShrinkError
	if _, err := f.try(t.Context(), f.store, f.options()); !asShrink(err, &shrunk) || shrunk.Before != 4 || shrunk.Now != 1 {
		t.Errorf("the store shrank, and the error is %v", err)
	}
	f.forget(second)
	if s := f.clean(func(o *backup.Options) { o.AllowShrink = true }).Snapshot; s.Run.BytesRead == 0 || s.Parent != [16]byte{} {
		t.Errorf("the parent is gone: %d bytes were read", s.Run.BytesRead)
	}
}

// What a killed run left in the cache goes with the next.
func TestLeftoversOfTheParentCache(t *testing.T) {
	f := newFixture(t)
	f.write("alice/file", "content")
	f.clean()
	sections, blocks := f.parentCache()
	left := []string{sections + "-12345", filepath.Join(filepath.Dir(blocks), "blocks-0123456789abcdef")}
	for _, path := range left {
		must(t, os.WriteFile(path, []byte("half"), 0o600))
	}
	f.clean()
	for _, path := range left {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

// The file of blocks holds no more than twice what is of use, before a night adds to it.
func TestParentCacheDoesNotGrow(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 300)
	f.clean()
	_, blocks := f.parentCache()
	first := size(t, blocks)
	names := map[string]bool{blocks: true}
	for range 12 {
		must(t, os.Chmod(f.root("alice/Maildir"), 0o700)) // its record is new each night
		for i := range 300 {
			must(t, os.Chmod(f.root("alice/Maildir/cur/"+messageName(i)+":2,S"), 0o600))
		}
		if run := f.clean().Snapshot.Run; run.Unchanged != 300 {
			t.Fatalf("run %+v", run)
		}
		_, blocks = f.parentCache()
		names[blocks] = true
		if n := size(t, blocks); n > 7*first/2 { // twice, and what one night writes
			t.Fatalf("it has %d bytes, %d at first", n, first)
		}
	}
	if len(names) < 3 {
		t.Errorf("it was written anew %d times", len(names)-1)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}

// A cache that cannot be written is no reason not to back up.
func TestParentCacheCannotBeWritten(t *testing.T) {
	f := newFixture(t)
	f.write("alice/file", "content")
	r := f.open()
	dir := r.CachePath(f.cache, "parents")
	must(t, os.WriteFile(dir, []byte("a file where the folder was to be"), 0o600))
	result := f.clean()
	if got, _ := f.restore(result); content(t, got)["alice/file"] != "content" {
		t.Error("the file was not saved")
	}
	if result := f.clean(); result.Snapshot.Run.BytesRead != 7 || !strings.HasPrefix(result.Snapshot.Program, "restante") {
		t.Error("the second run knows something")
	}
}

// A cache that cannot be put in its place leaves the older one, and the next run reads what
// this one has read.
func TestParentCacheCannotBeReplaced(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 300)
	first := f.clean()
	sections, _ := f.parentCache()
	text := mail("new")
	f.write("alice/Maildir/new/1.new", text)
	var warnings strings.Builder
	second := f.clean(at("read", "alice/Maildir/new/1.new", func() {
		begun, err := filepath.Glob(sections + "-*")
		must(t, err)
		for _, path := range begun {
			must(t, os.Remove(path))
		}
	}), func(o *backup.Options) { o.Warn = log.New(&warnings, "", 0) })
	if !strings.Contains(warnings.String(), "the next backup will read again what this one has read") {
		t.Errorf("the warnings are %q", warnings.String())
	}
	third := f.clean()
	if run := third.Snapshot.Run; run.BytesRead != uint64(len(text)) || third.Snapshot.Parent != [16]byte(first.Session) || third.Snapshot.Tree != second.Snapshot.Tree {
		t.Errorf("the next run: %+v", run)
	}
}

func TestUnfitDescriptionIsRefusedAtOnce(t *testing.T) {
	f := newFixture(t)
	f.write("alice/file", "content")
	o := f.options()
	o.Tags = []string{"caf\xe9"}
	backup.SetHook(&o, func(op, path string) { t.Errorf("%s %q", op, path) })
	if _, err := f.try(t.Context(), f.store, o); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("error %v", err)
	}
}

func TestTwoAtOnce(t *testing.T) {
	f := newFixture(t)
	f.write("alice/file", "content")
	o := f.options()
	other := f.options()
	backup.SetHook(&o, func(op, path string) {
		if op != "reading" {
			return
		}
		_, err := f.try(t.Context(), f.store, other)
		if _, locked := err.(*repo.LockedError); !locked {
			t.Errorf("the second gets %v", err)
		}
	})
	_, err := f.try(t.Context(), f.store, o)
	must(t, err)
}

// A snapshot says how its mail differs from its parent's.
func TestNightIsCounted(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	o := mailgen.Options{Layout: mailgen.Maildir, Messages: 600, Mailboxes: 4, Seed: 5}
	_, err := mailgen.Generate(f.roots[0], o)
	must(t, err)
	f.write("archive", letters(3))
	first := f.clean().Snapshot
	if run := first.Run; run.NewMessages != 603 || run.RemovedMessages+run.FlaggedMessages != 0 {
		t.Errorf("the first run: %+v", run)
	}
	night, err := mailgen.Night(f.roots[0], mailgen.NightOptions{Layout: o.Layout, Number: 1, Percent: 5, Seed: o.Seed})
	must(t, err)
	f.write("archive", letters(5))
	second := f.clean().Snapshot
	want := []uint64{uint64(night.Messages+night.Moved) + 2, uint64(night.Deleted + night.Moved), uint64(night.Flagged)}
	if run := second.Run; !slices.Equal([]uint64{run.NewMessages, run.RemovedMessages, run.FlaggedMessages}, want) {
		t.Errorf("%+v, want %d; the night was %+v", run, want, night)
	}
	f.write("archive", letters(1))
	if run := f.clean().Snapshot.Run; run.NewMessages != 0 || run.RemovedMessages != 4 || run.FlaggedMessages != 0 {
		t.Errorf("an mbox lost messages: %+v", run)
	}
}

// letters returns an mbox.
func letters(n int) string {
	return strings.Repeat("From a@example.org Mon Jan  5 10:11:12 2026\nSubject: x\n\nhello\n\n", n)
}
