package backup_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"restante/backup"
	"restante/snapshot"
)

// IMAP RENAME renames a folder of a Maildir, perhaps while the backup is about
// to walk it. Its messages are there all the time.
func TestFolderIsRenamedBeforeItIsWalked(t *testing.T) {
	for what, names := range map[string][2]string{
		"to before":   {".zSent", ".Archive"},
		"to behind":   {".Sent", ".zArchive"},
		"its own cur": {"cur", "cur_"},
	} {
		f := newFixture(t)
		f.maildir("alice/Maildir", 3)
		f.maildir("alice/Maildir/.Sent", 2)
		f.maildir("alice/Maildir/.zSent", 2)
		want := content(t, f.roots[0])
		result := f.clean(at("listed", "alice/Maildir", func() {
			must(t, os.Rename(f.root("alice/Maildir/"+names[0]), f.root("alice/Maildir/"+names[1])))
		}))
		dir, failed := f.restore(result)
		if len(failed) > 0 {
			t.Errorf("%s: %v", what, failed)
		}
		got := content(t, dir)
		for path, data := range want {
			if got[path] != data {
				t.Errorf("%s: %s is not as it was listed", what, path)
			}
		}
	}
}

// In a folder with too many folders to hold them all, one that is gone while
// another has come is unsaved, and one that is just gone is not.
func TestOneOfManyFoldersIsRenamed(t *testing.T) {
	for renamed, kind := range map[bool]snapshot.Kind{true: snapshot.Unsaved, false: 0} {
		f := newFixture(t)
		for i := range 600 {
			f.write(fmt.Sprintf("d%03d/file", i), "x")
		}
		f.write("zz/file", "y")
		result := f.run(at("reading", "d000/file", func() {
			if renamed {
				must(t, os.Rename(f.root("zz"), f.root("aa")))
			} else {
				must(t, os.RemoveAll(f.root("zz")))
			}
		}), func(o *backup.Options) { backup.SetLimits(o, backup.Window(1)) })
		e := f.entries(result)["zz"]
		if e.Kind != kind || renamed && !strings.Contains(e.Reason, `"aa"`) || result.Snapshot.Incomplete != renamed {
			t.Errorf("renamed %v: %v, %q, incomplete %v", renamed, e.Kind, e.Reason, result.Snapshot.Incomplete)
		}
	}
}

// A disk of several that is not mounted is a root without mailboxes.
func TestOneRootLosesItsMailboxes(t *testing.T) {
	f := newFixture(t)
	other := t.TempDir()
	f.roots = append(f.roots, other)
	for i := range 4 {
		f.maildir(fmt.Sprintf("user%d/Maildir", i), 1)
	}
	must(t, os.MkdirAll(other+"/carol/Maildir/cur", 0o700))
	must(t, os.MkdirAll(other+"/carol/Maildir/new", 0o700))
	f.clean()
	must(t, os.RemoveAll(other+"/carol"))
	_, err := f.try(t.Context(), f.store, f.options())
	var shrink *backup.ShrinkError
	if !asShrink(err, &shrink) || shrink.Root != other || shrink.Before != 1 || shrink.Now != 0 {
		t.Fatalf("got %v", err)
	}
	o := f.options()
	o.AllowShrink = true
	result, err := f.try(t.Context(), f.store, o)
	if err != nil || !result.Snapshot.Shrunk {
		t.Errorf("%v", err)
	}
}

// The newest snapshot may be among those that cannot be read: an empty store
// must not take its place.
func TestAnEmptyStoreAfterDamage(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 1)
	f.clean()
	for name := range f.objects() {
		if strings.HasPrefix(name, "snapshots/") {
			data, err := f.store.Get(t.Context(), name, 0, -1, nil)
			must(t, err)
			data[len(data)/2] ^= 1
			must(t, f.store.Delete(t.Context(), name))
			must(t, f.store.Put(t.Context(), name, data))
		}
	}
	must(t, os.RemoveAll(f.root("alice")))
	_, err := f.try(t.Context(), f.store, f.options())
	var shrink *backup.ShrinkError
	if !asShrink(err, &shrink) || shrink.Unreadable != 1 {
		t.Fatalf("got %v", err)
	}
}

// The example is a mailbox that comes back whole, and what was read again and
// is as it was is no change.
func TestWhatIsToldAfterwards(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 0)
	f.maildir("bob/Maildir", 2)
	if r := f.clean(); r.Example != "bob" {
		t.Errorf("the example is %q", r.Example)
	}
	if run := f.clean().Snapshot.Run; run.Changed != 0 || run.New != 0 {
		t.Errorf("a second run at once: %+v", run)
	}
}

// Folders are held open on all levels, but leave room for the files.
func TestFoldersHeldAreBounded(t *testing.T) {
	f := newFixture(t)
	for _, dir := range []string{"", "d000/", "d000/d000/", "d000/d000/d000/"} {
		for i := range 450 {
			must(t, os.Mkdir(f.root(fmt.Sprintf("%sd%03d", dir, i)), 0o700))
		}
	}
	f.write("d000/d000/d000/d000/file", "far down")
	most := 0
	f.clean(at("reading", "d000/d000/d000/d000/file", func() { most = len(openFiles(t)) }))
	if most < 450 || most > 1100 {
		t.Errorf("%d files were open", most)
	}
}

// What has to be known before anything is written is asked then, and with the
// knowledge whether the backup is a first one.
func TestReadyIsAskedBeforeABackup(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 1)
	before := len(f.objects())
	o := f.options()
	full := errors.New("it does not fit")
	var asked []bool
	o.Ready = func(first bool, last *snapshot.Snapshot) error {
		asked = append(asked, first)
		if first != (last == nil) {
			t.Errorf("first is %v, and the last snapshot %v", first, last)
		}
		if first {
			return full
		}
		return nil
	}
	if _, err := f.try(t.Context(), f.store, o); !errors.Is(err, full) || len(f.objects()) != before {
		t.Errorf("%v, %d objects came", err, len(f.objects())-before)
	}
	f.clean()
	if _, err := f.try(t.Context(), f.store, o); err != nil {
		t.Errorf("a second backup: %v", err)
	}
	if !slices.Equal(asked, []bool{true, false}) {
		t.Errorf("asked %v", asked)
	}
}
