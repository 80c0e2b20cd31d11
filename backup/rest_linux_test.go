package backup_test

import (
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
	if e := f.entries(third)["alice/Maildir/cur/"+messageName(250)+":2,S"]; e.Mode != 0o640 || len(f.unlisted(third)) > 0 {
		t.Errorf("listed anew, the message has the mode %o, not that of %v", e.Mode, info.Mode())
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
	f := newFixture(t)
	g := &fixture{t: t, store: mem.New(), cache: t.TempDir(), roots: f.roots}
	o := mailgen.Options{Layout: mailgen.Maildir, Messages: 1500, Mailboxes: 8, Seed: 9}
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

// Folders are listed at least once a period, some each day, and those that
// changed shortly before they were listed at once.
func TestDue(t *testing.T) {
	const day = 24 * time.Hour
	listed := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	old := listed.Add(-2 * time.Hour)
	perDay := map[int]int{}
	for i := range 700 {
		path := fmt.Sprintf("user%d/Maildir/cur", i)
		if backup.Due(path, old, listed, listed, listed.Add(time.Hour), 7*day) {
			t.Fatalf("%s is due an hour later", path)
		}
		turn := 0
		for n := 1; n <= 7; n++ {
			if backup.Due(path, old, listed, listed, listed.Add(time.Duration(n)*day), 7*day) {
				turn = n
				break
			}
		}
		if perDay[turn]++; turn == 0 {
			t.Fatalf("%s is not due within a week", path)
		}
		if !backup.Due(path, listed.Add(-2*time.Second), listed, listed, listed.Add(time.Hour), 7*day) {
			t.Fatalf("%s had changed two seconds before, and is not due", path)
		}
		if !backup.Due(path, old, listed, old.Add(2*time.Second), listed.Add(time.Hour), 7*day) {
			t.Fatalf("%s had changed when its file system showed the same time, and is not due", path)
		}
		if !backup.Due(path, old, listed, listed, listed.Add(-time.Hour), 7*day) {
			t.Fatalf("%s is not due before it was listed", path)
		}
	}
	for n := 1; n <= 7; n++ {
		if perDay[n] < 60 || perDay[n] > 140 {
			t.Errorf("on day %d %d of 700 are due", n, perDay[n])
		}
	}
}
