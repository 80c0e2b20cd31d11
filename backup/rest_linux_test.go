package backup_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"restante/backup"
	"restante/internal/mailgen"
	"restante/snapshot"
	"restante/storage/mem"
)

// resting has folders taken over.
func resting(o *backup.Options) { o.Rescan = backup.DefaultRescan }

// rescanning is resting when all folders' turn has come.
func rescanning(o *backup.Options) {
	resting(o)
	o.Rescan = time.Nanosecond
}

// unlisted returns the folders that a snapshot says were taken over.
func (f *fixture) unlisted(r *backup.Result) []string {
	var found []string
	i := 0
	for rec, err := range f.tree(r).All(f.t.Context(), snapshot.Range{}) {
		must(f.t, err)
		if rec.Entry.Kind != snapshot.Dir || !snapshot.HoldsMessages(rec.Key) {
			continue
		}
		if r.Snapshot.UnlistedFolder(i) {
			found = append(found, rec.Key.Path())
		}
		i++
	}
	if n := r.Snapshot.UnlistedFolders(); n != len(found) {
		f.t.Errorf("%d folders are not listed, %d are known", n, len(found))
	}
	return found
}

// TestFolderAtRestIsNotListed changes messages in a way that no folder can
// show: a night passes it over, and the next listing finds it.
func TestFolderAtRestIsNotListed(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 500)
	f.maildir("alice/Maildir/.Sent", 40)
	f.maildir("bob/Maildir", 3)
	first := f.clean(resting)
	if got := f.unlisted(first); len(got) > 0 {
		t.Errorf("of a first snapshot %q were not listed", got)
	}
	path := f.root("alice/Maildir/cur/" + messageName(250) + ":2,S")
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.Chmod(path, 0o640))
	owner := os.Geteuid()
	if owner == 0 {
		owner = 12345
		must(t, os.Lchown(path, owner, -1))
	}
	other := f.root("alice/Maildir/.Sent/cur/" + messageName(5) + ":2,S")
	was, err := os.Stat(other)
	must(t, err)
	changed := strings.Repeat("x", int(was.Size()))
	must(t, os.WriteFile(other, []byte(changed), 0o600)) // in its place, and as old as before
	must(t, os.Chtimes(other, time.Time{}, was.ModTime()))
	second := f.clean(resting)
	run := second.Snapshot.Run
	if want := []string{"alice/Maildir/.Sent/cur", "alice/Maildir/.Sent/new", "alice/Maildir/cur", "alice/Maildir/new", "bob/Maildir/cur", "bob/Maildir/new"}; !slices.Equal(f.unlisted(second), want) {
		t.Errorf("%q were not listed", f.unlisted(second))
	}
	if second.Snapshot.Tree != first.Snapshot.Tree || run.Unchanged != 543 || run.NewMessages+run.RemovedMessages+run.BytesRead != 0 {
		t.Errorf("the night: %+v", run)
	}
	third := f.clean(rescanning)
	if e := f.entries(third)["alice/Maildir/cur/"+messageName(250)+":2,S"]; e.Mode != 0o640 || e.UID != uint32(owner) || len(f.unlisted(third)) > 0 {
		t.Errorf("listed anew, the message has the mode %o, not that of %v, and the owner %d, not %d", e.Mode, info.Mode(), e.UID, owner)
	}
	dir, _ := f.restore(third)
	if got := content(t, dir)["alice/Maildir/.Sent/cur/"+messageName(5)+":2,S"]; got != changed {
		t.Error("listed anew, a message that was written in its place is not the new one")
	}
	paranoid := f.clean(func(o *backup.Options) { resting(o); o.Paranoid = true })
	if got := f.unlisted(paranoid); len(got) > 0 {
		t.Errorf("a run that reads everything did not list %q", got)
	}
}

// TestWhatFoldersShowIsSeen has every change that a mail server makes.
func TestWhatFoldersShowIsSeen(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	for what, change := range map[string]func(f *fixture){
		"delivered": func(f *fixture) { f.write("alice/Maildir/new/9.new", mail("new")) },
		"seen": func(f *fixture) {
			must(f.t, os.Rename(f.root("alice/Maildir/new/1.first"), f.root("alice/Maildir/cur/1.first:2,S")))
		},
		"flagged": func(f *fixture) {
			must(f.t, os.Rename(f.root("alice/Maildir/cur/"+messageName(3)+":2,S"), f.root("alice/Maildir/cur/"+messageName(3)+":2,FS")))
		},
		"expunged": func(f *fixture) { must(f.t, os.Remove(f.root("alice/Maildir/cur/"+messageName(3)+":2,S"))) },
		"replaced": func(f *fixture) {
			f.write("alice/Maildir/tmp/x", "Subject: another\n\nthing\n")
			must(f.t, os.Rename(f.root("alice/Maildir/tmp/x"), f.root("alice/Maildir/cur/"+messageName(3)+":2,S")))
		},
		"all moved away": func(f *fixture) {
			must(f.t, os.Rename(f.root("alice/Maildir/cur"), f.root("alice/Maildir/old")))
			must(f.t, os.Mkdir(f.root("alice/Maildir/cur"), 0o700))
		},
		"folders exchanged": func(f *fixture) {
			must(f.t, unix.Renameat2(unix.AT_FDCWD, f.root("alice/Maildir/cur"), unix.AT_FDCWD, f.root("alice/Maildir/.Sent/cur"), unix.RENAME_EXCHANGE))
		},
		"numbers":             func(f *fixture) { f.write("alice/Maildir/dovecot-uidlist", "3 V1 N9\n") },
		"a folder's mode":     func(f *fixture) { must(f.t, os.Chmod(f.root("alice/Maildir/cur"), 0o750)) },
		"the Maildir is gone": func(f *fixture) { must(f.t, os.RemoveAll(f.root("alice/Maildir"))) },
		"a folder is a file": func(f *fixture) {
			must(f.t, os.RemoveAll(f.root("alice/Maildir/new")))
			f.write("alice/Maildir/new", "x")
		},
	} {
		f := newFixture(t)
		f.maildir("alice/Maildir", 150)
		f.maildir("alice/Maildir/.Sent", 70)
		f.maildir("bob/Maildir", 5)
		f.write("alice/Maildir/new/1.first", mail("first"))
		f.write("alice/Maildir/dovecot-uidlist", "3 V1 N1\n")
		f.clean(resting)
		change(f)
		night := f.clean(resting)
		if got := f.unlisted(night); !slices.Contains(got, "bob/Maildir/cur") {
			t.Errorf("%s: only %q were at rest", what, got)
		}
		if all := f.clean(func(o *backup.Options) { o.Paranoid = true }); all.Snapshot.Tree != night.Snapshot.Tree {
			t.Errorf("%s: a run that reads everything finds another tree", what)
		}
	}
}

// TestOtherNumbersAreNoRest has Dovecot give numbers anew, which no folder shows.
func TestOtherNumbersAreNoRest(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 20)
	f.maildir("bob/Maildir", 20)
	f.write("alice/Maildir/dovecot-uidlist", "3 V1 N1\n")
	f.clean(resting)
	f.write("alice/Maildir/dovecot-uidlist", "3 V2 N1\n")
	if got, want := f.unlisted(f.clean(resting)), []string{"bob/Maildir/cur", "bob/Maildir/new"}; !slices.Equal(got, want) {
		t.Errorf("%q are at rest, not %q", got, want)
	}
}

// TestUnknownFileSystemsAreNoRest has a Maildir on a file system that is not known to keep
// its times by this machine's clock, as one of a server.
func TestUnknownFileSystemsAreNoRest(t *testing.T) {
	f := newFixture(t)
	f.maildir("bob/Maildir", 20)
	disk := f.root("alice")
	must(t, os.Mkdir(disk, 0o700))
	if err := unix.Mount("ramfs", disk, "ramfs", 0, ""); err != nil {
		const text = "mounting another file system, which root may: %v"
		if os.Getenv("CI") != "" {
			t.Fatalf(text, err)
		}
		t.Skipf(text, err)
	}
	defer unix.Unmount(disk, unix.MNT_DETACH)
	f.maildir("alice/Maildir", 20)
	f.clean(resting)
	night := f.clean(resting)
	if got, want := f.unlisted(night), []string{"bob/Maildir/cur", "bob/Maildir/new"}; !slices.Equal(got, want) || night.Snapshot.Run.BytesRead > 0 {
		t.Errorf("%q are at rest, not %q; %d bytes are read", got, want, night.Snapshot.Run.BytesRead)
	}
}

// TestUnsavedIsNoRest has what could not be saved, and what is no file, in
// folders that do not change. They are looked at each night.
func TestUnsavedIsNoRest(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 100)
	f.maildir("bob/Maildir", 100)
	f.maildir("carol/Maildir", 3)
	must(t, unix.Mkfifo(f.root("bob/Maildir/cur/pipe"), 0o600))
	must(t, os.Mkdir(f.root("carol/Maildir/cur/folder"), 0o700))
	broken := f.root("alice/Maildir/cur/" + messageName(50) + ":2,S")
	must(t, os.Remove(broken))
	must(t, os.Symlink("nowhere", broken))
	f.run(resting)
	night := f.run(resting)
	if got, want := f.unlisted(night), []string{"alice/Maildir/new", "bob/Maildir/new", "carol/Maildir/new"}; !slices.Equal(got, want) {
		t.Errorf("%q are at rest, not %q", got, want)
	}
}

// TestSeenDuringTheListing moves a message from "new", which is at rest when
// the run begins, to "cur" after the listing, and back in time.
func TestSeenDuringTheListing(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 100)
	f.write("alice/Maildir/new/1.first", mail("first"))
	f.clean(resting)
	f.write("alice/Maildir/new/2.second", mail("second"))
	night := f.clean(resting, at("listed", "alice/Maildir", func() {
		must(t, os.Rename(f.root("alice/Maildir/new/1.first"), f.root("alice/Maildir/cur/1.first:2,S")))
	}))
	if got := night.Snapshot.Tree.Counts.Messages; got != 102 {
		t.Errorf("%d messages", got)
	}
	next := f.clean(resting)
	if all := f.clean(func(o *backup.Options) { o.Paranoid = true }); all.Snapshot.Tree != next.Snapshot.Tree {
		t.Error("the night after has another tree than a run that reads everything")
	}
}

// TestNightsAtRest lets nights pass over a store, and wants the snapshot of each
// to be that of a run that knows nothing.
func TestNightsAtRest(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	g := &fixture{t: t, store: mem.New(), cache: t.TempDir(), roots: f.roots}
	o := mailgen.Options{Layout: mailgen.Maildir, Messages: 1500, Mailboxes: 8, Seed: 9}
	if testing.Short() {
		o.Messages = 400
	}
	_, err := mailgen.Generate(f.roots[0], o)
	must(t, err)
	g.createWithKeyOf(f)
	rng := rand.New(rand.NewPCG(4, 4))
	var rested, night int
	for night = 1; night <= 6; night++ {
		got := f.clean(resting)
		rested += len(f.unlisted(got))
		must(t, os.RemoveAll(g.cache))
		if want := g.clean(); got.Snapshot.Tree != want.Snapshot.Tree {
			t.Fatalf("night %d has another tree than a run that knows nothing", night)
		}
		if night%2 == 0 { // one mailbox only
			_, boxes := f.aMaildir(rng)
			f.write(boxes+"/new/"+fmt.Sprint(night)+".more", mail("more"))
			continue
		}
		_, err := mailgen.Night(f.roots[0], mailgen.NightOptions{Layout: o.Layout, Number: night, Percent: 1, Seed: o.Seed})
		must(t, err)
	}
	if rested < 20 {
		t.Errorf("only %d folders were at rest in %d nights", rested, night)
	}
}

// aMaildir picks one of the store's Maildirs.
func (f *fixture) aMaildir(rng *rand.Rand) (n int, path string) {
	var all []string
	must(f.t, filepath.WalkDir(f.roots[0], func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "cur" {
			rel, _ := filepath.Rel(f.roots[0], filepath.Dir(p))
			all = append(all, rel)
		}
		return err
	}))
	return len(all), all[rng.IntN(len(all))]
}

// A folder whose records cannot be read is listed.
func TestDamagedRestIsListed(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	f.maildir("alice/Maildir", 300)
	f.maildir("bob/Maildir", 300)
	first := f.clean(resting)
	_, blocks := f.parentCache()
	good, err := os.ReadFile(blocks)
	must(t, err)
	rng := rand.New(rand.NewPCG(5, 5))
	for range 20 {
		bad := slices.Clone(good)
		bad[rng.IntN(len(bad))] ^= 1
		must(t, os.WriteFile(blocks, bad, 0o600))
		night := f.clean(resting)
		if night.Snapshot.Tree != first.Snapshot.Tree {
			t.Fatal("the tree is another one")
		}
		_, blocks = f.parentCache()
		good, err = os.ReadFile(blocks)
		must(t, err)
	}
	if night := f.clean(rescanning); night.Snapshot.Tree != first.Snapshot.Tree {
		t.Error("listed anew, the tree is another one")
	}
}

// So it is where a cache is written anew: it needs the records that nobody else looks at.
func TestDamagedRestOfAWornCacheIsListed(t *testing.T) {
	const messages = 1500
	f := newFixture(t)
	f.maildir("alice/Maildir", messages)
	f.maildir("bob/Maildir", messages)
	last := f.clean(resting)
	tree := last.Snapshot.Tree
	_, before := f.parentCache()
	data, err := os.ReadFile(before)
	must(t, err)
	data[len(data)/4] ^= 1 // in the middle of alice's
	must(t, os.WriteFile(before, data, 0o600))
	for anew, night := false, 0; !anew; night++ {
		if night == 6 {
			t.Fatal("the cache was never written anew")
		}
		for i := range messages { // their records are new
			must(t, os.Chmod(f.root("bob/Maildir/cur/"+messageName(i)+":2,S"), 0o600))
		}
		must(t, os.Chmod(f.root("bob/Maildir/cur"), 0o700))
		r := f.clean(resting)
		_, blocks := f.parentCache()
		anew = blocks != before
		if listed := !slices.Contains(f.unlisted(r), "alice/Maildir/cur"); listed != anew {
			t.Errorf("night %d: the cache was written anew: %t; the folder was listed: %t", night, anew, listed)
		}
		if r.Snapshot.Tree != tree || r.Snapshot.Parent != [16]byte(last.Session) {
			t.Errorf("night %d has another tree, or not the night before as its parent", night)
		}
		last = r
	}
	if next := f.clean(resting); next.Snapshot.Parent != [16]byte(last.Session) || next.Snapshot.Run.BytesRead > 0 {
		t.Errorf("there is no new cache: %+v", next.Snapshot.Run)
	}
}

// A cache that turns out to be damaged when it is too late to list the folder ends the run,
// which says what to do: the next one does without it.
func TestRestThatCannotBeTakenOver(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	f.maildir("alice/Maildir", 6000) // more than is kept of the list of sections
	first := f.clean(resting)
	sections, _ := f.parentCache()
	o := f.options()
	resting(&o)
	at("listed", "alice/Maildir", func() { must(t, os.Truncate(sections, 100)) })(&o)
	if _, err := f.try(t.Context(), f.store, o); err == nil || !strings.Contains(err.Error(), "run the backup again") {
		t.Errorf("the error is %v", err)
	}
	next := f.clean(resting)
	if run := next.Snapshot.Run; next.Snapshot.Tree != first.Snapshot.Tree || run.Unchanged > 0 {
		t.Errorf("the next run: %+v", run)
	}
}

// Folders are listed at least once a period, some each day, and those that
// changed shortly before they were listed at once.
func TestDue(t *testing.T) {
	const day = 24 * time.Hour
	listed := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	old := listed.Add(-2 * time.Hour)
	perDay := map[int]int{}
	for i := range 700 {
		path := fmt.Sprintf("user%d/Maildir/cur", i)
		if backup.Due(path, old, old, listed, listed.Add(time.Hour), 7*day) {
			t.Fatalf("%s is due an hour later", path)
		}
		turn := 0
		for n := 1; n <= 7; n++ {
			if backup.Due(path, old, old, listed, listed.Add(time.Duration(n)*day), 7*day) {
				turn = n
				break
			}
		}
		if perDay[turn]++; turn == 0 {
			t.Fatalf("%s is not due within a week", path)
		}
		just := listed.Add(-2 * time.Second)
		if !backup.Due(path, just, just, listed, listed.Add(time.Hour), 7*day) || !backup.Due(path, old, just, listed, listed.Add(time.Hour), 7*day) {
			t.Fatalf("%s had changed two seconds before, and is not due", path)
		}
		if !backup.Due(path, old, old, listed, listed.Add(-time.Hour), 7*day) {
			t.Fatalf("%s is not due before it was listed", path)
		}
	}
	for n := 1; n <= 7; n++ {
		if perDay[n] < 60 || perDay[n] > 140 {
			t.Errorf("on day %d %d of 700 are due", n, perDay[n])
		}
	}
}

// A message that has other names, which may come to be those of other files,
// keeps its folder from being at rest: its group in a snapshot is named by them.
func TestLinkedMessagesAreNoRest(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 20)
	f.maildir("alice/Maildir/.Sent", 20)
	first, second := "alice/Maildir/cur/"+messageName(3)+":2,S", "alice/Maildir/.Sent/cur/"+messageName(4)+":2,S"
	must(t, os.Link(f.root(first), f.root("alice/Latest.eml")))
	f.clean(resting)
	must(t, os.Link(f.root(second), f.root("alice/x")))
	must(t, os.Rename(f.root("alice/x"), f.root("alice/Latest.eml")))
	for range 2 {
		f.identical(f.clean(resting))
	}
}

// TestTornMessageIsNoRest appends to a message while it is read, and later once
// more, which no folder shows.
func TestTornMessageIsNoRest(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 20)
	path := f.write("alice/Maildir/new/slow", mail("slow"))
	more := func(text string) {
		g, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = g.WriteString(text)
		must(t, errors.Join(err, g.Close()))
	}
	time.Sleep(1100 * time.Millisecond) // the folder is older than the run
	exact := func(o *backup.Options) {
		resting(o)
		backup.SetLimits(o, backup.SettleTime(0))
	}
	f.run(exact, at("checking", "alice/Maildir/new/slow", func() { more("half a li") }))
	more("ne.\n")
	f.identical(f.run(exact))
}

// TestPagesThatEndByTheirSize has attributes so large that pages of the tree
// end where no key ends them.
func TestPagesThatEndByTheirSize(t *testing.T) {
	f := newFixture(t)
	rng := rand.New(rand.NewPCG(1, 2))
	add := func(path string) {
		f.write(path, mail(path))
		if rng.IntN(3) == 0 {
			value := make([]byte, 500+rng.IntN(3000))
			rand.NewChaCha8([32]byte{byte(rng.Uint32())}).Read(value)
			if err := unix.Setxattr(f.root(path), "user.big", value, 0); err != nil {
				t.Skip("no attributes here: ", err)
			}
		}
	}
	var boxes []string
	for u := range 5 {
		boxes = append(boxes, fmt.Sprintf("u%d/Maildir", u))
		f.maildir(boxes[u], 0)
		for i := range 150 {
			add(fmt.Sprintf("%s/cur/%d.M%dP.mx:2,S", boxes[u], 1700000000+i, i))
		}
	}
	f.clean(resting)
	for night := range 6 {
		box := boxes[rng.IntN(len(boxes))]
		add(fmt.Sprintf("%s/cur/%d.MxP%d.mx:2,S", box, 1700000000+rng.IntN(150), night))
		os.Remove(f.root(fmt.Sprintf("%s/cur/%d.M%dP.mx:2,S", box, 1700000000+night*7, night*7)))
		got := f.clean(resting)
		if all := f.clean(func(o *backup.Options) { o.Paranoid, o.DryRun = true, true }); all.Snapshot.Tree != got.Snapshot.Tree {
			t.Fatalf("night %d has another tree than a run that reads everything", night)
		}
	}
}

// TestLostPagesAreStoredAgain loses packs with their index, so that nothing
// names them, and keeps the parent cache.
func TestLostPagesAreStoredAgain(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 300)
	f.clean(resting)
	f.lose(f.stored())
	night := f.clean(resting)
	if n := len(f.entries(night)); n < 300 {
		t.Errorf("the night after, %d entries can be read", n)
	}
	f.identical(f.clean(func(o *backup.Options) { o.Paranoid = true }))
}

// TestLostLeavesAreStoredAgain loses leaves below pages that are still there.
func TestLostLeavesAreStoredAgain(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 300)
	f.clean()
	first := f.stored()
	f.write("alice/Maildir/cur/"+messageName(150)+":2,S", mail("another, which makes pages of few new leaves and many old ones"))
	f.clean()
	f.lose(first)
	f.identical(f.clean(func(o *backup.Options) { o.Paranoid = true }))
}

// stored returns the names of all packs and index objects.
func (f *fixture) stored() (names []string) {
	f.t.Helper()
	for _, prefix := range []string{"packs/", "index/"} {
		must(f.t, f.store.List(f.t.Context(), prefix, func(name string, _ int64) error {
			names = append(names, name)
			return nil
		}))
	}
	return names
}

// lose deletes objects, and what this machine knows of them.
func (f *fixture) lose(names []string) {
	f.t.Helper()
	for _, name := range names {
		must(f.t, f.store.Delete(f.t.Context(), name))
	}
	indexes, err := filepath.Glob(filepath.Join(f.cache, "*", "index"))
	must(f.t, err)
	for _, dir := range indexes {
		must(f.t, os.RemoveAll(dir))
	}
}

// TestMovedBetweenTheLooks moves a message from "new" to "cur" after each look
// at one of the two that says that it is at rest.
func TestMovedBetweenTheLooks(t *testing.T) {
	for look := 1; look <= 4; look++ {
		f := newFixture(t)
		f.maildir("alice/Maildir", 100)
		f.write("alice/Maildir/new/1.first", mail("first"))
		f.clean(resting)
		if look > 2 { // so that the Maildir is listed, and looked at twice
			f.write("alice/Maildir/new/2.second", mail("second"))
		}
		looks := 0
		moved := false
		night := f.clean(resting, func(o *backup.Options) {
			o.Jobs = 1
			backup.SetHook(o, func(op, path string) {
				if op != "looked" {
					return
				}
				if looks++; !moved && looks == (look+1)/2 {
					moved = true
					must(t, os.Rename(f.root("alice/Maildir/new/1.first"), f.root("alice/Maildir/cur/1.first:2,S")))
				}
			})
		})
		found := 0
		for path := range f.entries(night) {
			if strings.Contains(path, "/1.first") {
				found++
			}
		}
		if !moved || found != 1 {
			t.Errorf("look %d: moved %v, found %d times", look, moved, found)
		}
	}
}
