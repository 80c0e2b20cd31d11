package backup_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"restante/backup"
	"restante/mailstore"
	"restante/snapshot"
)

// A server is a mail server at work on one Maildir.
type server struct {
	t    *testing.T
	dir  string
	rng  *rand.Rand
	at   []string // where each message that stays is
	more []string // where others are
	made int
}

// step does one thing that mail servers do.
func (s *server) step() {
	switch s.rng.IntN(4) {
	case 0: // deliver
		s.made++
		name := fmt.Sprintf("1800000000.M%06d.mx", s.made)
		must(s.t, os.WriteFile(s.dir+"/tmp/"+name, []byte(mail(name)), 0o600))
		must(s.t, os.Rename(s.dir+"/tmp/"+name, s.dir+"/new/"+name))
		s.more = append(s.more, "new/"+name)
	case 1: // expunge
		if len(s.more) > 0 {
			i := s.rng.IntN(len(s.more))
			must(s.t, os.Remove(s.dir+"/"+s.more[i]))
			s.more = slices.Delete(s.more, i, i+1)
		}
	default: // see, or change flags
		i := s.rng.IntN(len(s.at))
		flags := []string{"", "S", "RS", "FS", "FRS", "T"}[s.rng.IntN(6)]
		to := "cur/" + mailstore.BaseName(filepath.Base(s.at[i])) + ":2," + flags
		must(s.t, os.Rename(s.dir+"/"+s.at[i], s.dir+"/"+to))
		s.at[i] = to
	}
}

// TestLiveMaildir backs up a Maildir in which everything moves all the time.
func TestLiveMaildir(t *testing.T) {
	rounds := 3
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		f := newFixture(t)
		const messages = 400
		f.maildir("alice/Maildir", messages/2)
		s := &server{t: t, dir: f.root("alice/Maildir"), rng: rand.New(rand.NewPCG(uint64(round), 0))}
		for i := range messages {
			at := "cur/" + messageName(i) + ":2,S"
			if i >= messages/2 {
				at = "new/" + messageName(i)
				f.write("alice/Maildir/"+at, mail("alice/Maildir"+messageName(i)+":2,S"))
			}
			s.at = append(s.at, at)
		}
		f.write("alice/Maildir/dovecot-uidlist", "3 V1 N1")
		for night := range 3 {
			result := duringWork(f, s)
			checkLive(t, fmt.Sprintf("round %d, night %d", round, night), f, result, messages)
		}
	}
}

// duringWork backs up while the server works.
func duringWork(f *fixture, s *server) *backup.Result {
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			s.step()
			time.Sleep(200 * time.Microsecond) // thousands a second are more than any server does
		}
	})
	defer wg.Wait()
	defer stop.Store(true)
	return f.clean()
}

func checkLive(t *testing.T, when string, f *fixture, r *backup.Result, messages int) {
	t.Helper()
	dir, failed := f.restore(r)
	if len(failed) > 0 {
		t.Fatalf("%s: %v", when, failed)
	}
	seen := map[string]int{}
	for path, data := range content(t, dir) {
		if !strings.Contains(path, "/cur/") && !strings.Contains(path, "/new/") {
			continue
		}
		base := mailstore.BaseName(filepath.Base(path))
		seen[base]++
		want := mail(base)
		if strings.HasPrefix(base, "17") {
			want = mail("alice/Maildir" + base + ":2,S")
		}
		if data != want {
			t.Errorf("%s: %s holds %.60q", when, path, data)
		}
	}
	for base, n := range seen {
		if n > 1 {
			t.Errorf("%s: message %s is there %d times", when, base, n)
		}
	}
	for i := range messages {
		if seen[messageName(i)] == 0 {
			t.Errorf("%s: message %s is missing", when, messageName(i))
		}
	}
}

// at makes a run that calls fn at the first event for a path.
func at(op, path string, fn func()) func(*backup.Options) {
	var once sync.Once
	return func(o *backup.Options) {
		o.Jobs = 1
		backup.SetHook(o, func(o, p string) {
			if o == op && p == path {
				once.Do(fn)
			}
		})
	}
}

func TestMessageIsRenamedBeforeItIsRead(t *testing.T) {
	const md = "alice/Maildir/"
	name := messageName(1)
	for what, tc := range map[string]struct {
		listed string   // where it is at first
		moves  []string // where it goes, one after the other
		gone   bool     // and then it is expunged
	}{
		"flags":                     {"cur/" + name + ":2,S", []string{"cur/" + name + ":2,RS"}, false},
		"flags and back":            {"cur/" + name + ":2,S", []string{"cur/" + name + ":2,RS", "cur/" + name + ":2,S"}, false},
		"seen":                      {"new/" + name, []string{"cur/" + name + ":2,"}, false},
		"seen under the same name":  {"new/" + name, []string{"cur/" + name}, false},
		"renamed and then expunged": {"cur/" + name + ":2,S", []string{"cur/" + name + ":2,FS"}, true},
		"expunged":                  {"cur/" + name + ":2,S", nil, true},
	} {
		for _, early := range []int{20_000, 0} {
			f := newFixture(t)
			f.maildir("alice/Maildir", 1)
			f.write(md+tc.listed, mail("it"))
			result := f.clean(at("listed", "alice/Maildir", func() {
				from := tc.listed
				for _, to := range tc.moves {
					must(t, os.Rename(f.root(md+from), f.root(md+to)))
					from = to
				}
				if tc.gone {
					must(t, os.Remove(f.root(md+from)))
				}
			}), func(o *backup.Options) { backup.SetLimits(o, backup.Early(early)) })
			e, saved := f.entries(result)[md+tc.listed]
			switch run := result.Snapshot.Run; {
			case tc.gone && (saved || run.Expunged != 1 || run.Vanished != 0):
				t.Errorf("%s: saved %v, %d expunged, %d vanished", what, saved, run.Expunged, run.Vanished)
			case !tc.gone && (!saved || e.Messages != 1 || run.Expunged != 0):
				t.Errorf("%s: saved %v, %d expunged", what, saved, run.Expunged)
			case !tc.gone:
				dir, _ := f.restore(result)
				if got := content(t, dir)[md+tc.listed]; got != mail("it") {
					t.Errorf("%s: %q", what, got)
				}
			}
			if len(f.notices) > 0 {
				t.Errorf("%s: notices %+v", what, f.notices)
			}
		}
	}
}

// A message that is away under another name whenever it is looked for.
func TestMessageIsRenamedWheneverItIsLookedFor(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 300)
	name := f.root("alice/Maildir/cur/" + messageName(7) + ":2,")
	must(t, os.Rename(name+"S", name))
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			must(t, os.Rename(name, name+"S"))
			must(t, os.Rename(name+"S", name))
			time.Sleep(time.Millisecond) // no mail server is faster
		}
	})
	for range 20 {
		result := f.run()
		n := 0
		for path := range f.entries(result) {
			if strings.Contains(path, messageName(7)) {
				n++
			}
		}
		if n != 1 || result.Snapshot.Run.Expunged != 0 {
			t.Errorf("it is in the snapshot %d times, and %d were expunged", n, result.Snapshot.Run.Expunged)
		}
	}
	stop.Store(true)
	wg.Wait()
}

// A folder that is emptied meanwhile is not listed anew for each message.
func TestManyAreExpunged(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 2000)
	listed := 0
	o := f.options()
	o.Jobs = 1
	backup.SetHook(&o, func(op, path string) {
		if op == "listed" {
			listed++
			for i := 100; i < 2000; i++ {
				must(t, os.Remove(f.root("alice/Maildir/cur/"+messageName(i)+":2,S")))
			}
		}
	})
	result, err := f.try(t.Context(), f.store, o)
	must(t, err)
	if n := result.Snapshot.Run.Expunged; n != 1900 || result.Snapshot.Tree.Counts.Messages != 100 {
		t.Errorf("%d expunged", n)
	}
	if result.Snapshot.Incomplete || len(f.notices) > 0 {
		t.Errorf("notices %+v", f.notices)
	}
}

// readOrder backs up and returns the paths in the order in which their reading
// began, with all read that is known.
func readOrder(t *testing.T, f *fixture, change ...func(*backup.Options)) []string {
	t.Helper()
	var mu sync.Mutex
	var order, open []string
	change = append(change, func(o *backup.Options) {
		backup.SetHook(o, func(op, path string) {
			mu.Lock()
			defer mu.Unlock()
			switch op {
			case "reading":
				order, open = append(order, path), append(open, path)
				if isControl(path) && slices.ContainsFunc(open, func(p string) bool { return !isControl(p) }) {
					t.Errorf("%s is read together with %q", path, open)
				}
			case "read":
				open = slices.DeleteFunc(open, func(p string) bool { return p == path })
			}
		})
	})
	f.clean(change...)
	return order
}

func isControl(path string) bool {
	base := filepath.Base(path)
	return strings.HasPrefix(base, "dovecot") || strings.HasPrefix(base, "courier") || base == "subscriptions"
}

func TestControlFilesAreReadLast(t *testing.T) {
	for _, tc := range []struct{ messages, fresh, window, early int }{
		{600, 300, 64, 20_000}, {0, 5, 64, 20_000}, {5, 0, 64, 20_000}, {0, 0, 64, 20_000},
	} {
		f := newFixture(t)
		f.maildir("alice/Maildir", tc.messages)
		for i := range tc.fresh {
			f.write("alice/Maildir/new/"+messageName(1000+i), mail(fmt.Sprint(i)))
		}
		control := []string{"courierimapuiddb", "dovecot-uidlist", "dovecot-keywords", "subscriptions", "dovecot.index.log"}
		for _, name := range control {
			f.write("alice/Maildir/"+name, "control")
		}
		order := readOrder(t, f, func(o *backup.Options) { backup.SetLimits(o, backup.Window(tc.window), backup.Early(tc.early)) })
		if len(order) != tc.messages+tc.fresh+len(control) {
			t.Errorf("%+v: %d files were read", tc, len(order))
		}
		for i, path := range order {
			if control := isControl(path); control != (i >= tc.messages+tc.fresh) {
				t.Errorf("%+v: %s is read as number %d of %d", tc, path, i, len(order))
			}
		}
		if new := slices.IndexFunc(order, func(p string) bool { return strings.Contains(p, "/new/") }); tc.fresh > 0 && new > 4*128 {
			t.Errorf("%+v: new is read after %d others", tc, new)
		}
	}
}

// A control file that sorts before "cur" waits for messages that the recorder
// cannot take before it. When there are more than the pipeline holds, it is let go.
func TestControlFileBeforeCurDoesNotBlock(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	for _, window := range []int{0, 3} {
		for _, jobs := range []int{1, 3} {
			f := newFixture(t)
			f.maildir("alice/Maildir", 700)
			f.maildir("alice/Maildir/.Sent", 200)
			f.maildir("alice/Maildir/coz", 200) // a folder of LAYOUT=fs between the control file and cur
			for _, dir := range []string{"", ".Sent/", "coz/"} {
				f.write("alice/Maildir/"+dir+"courierimapuiddb", "control")
				f.write("alice/Maildir/"+dir+"courierimapacl", "x")
			}
			for i := range 200 {
				f.write("alice/Maildir/new/"+messageName(2000+i), mail(fmt.Sprint(i)))
			}
			result := f.clean(func(o *backup.Options) {
				o.Jobs = jobs
				backup.SetLimits(o, backup.Window(window))
			})
			if n := result.Snapshot.Tree.Counts.Messages; n != 1300 {
				t.Errorf("window %d, %d jobs: %d messages", window, jobs, n)
			}
		}
	}
}

func TestHugeNew(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	f.maildir("alice/Maildir", 50)
	for i := range 300 {
		f.write("alice/Maildir/new/"+messageName(1000+i), mail(fmt.Sprint(i)))
	}
	f.write("alice/Maildir/dovecot-uidlist", "control")
	few := func(o *backup.Options) { backup.SetLimits(o, backup.Early(299)) }
	result := f.clean(few)
	dir, _ := f.restore(result)
	same(t, dir, f.roots[0])
	if run := f.clean(few).Snapshot.Run; run.BytesRead != 0 {
		t.Errorf("the second run: %+v", run)
	}
	// As many as are read early; and folders in new, which nobody makes.
	for _, change := range []func(){
		func() { must(t, os.Remove(f.root("alice/Maildir/new/"+messageName(1000)))) },
		func() { f.write("alice/Maildir/new/folder/in it", "x") },
		func() { f.maildir("alice/Maildir/cur/another", 2) },
	} {
		change()
		result := f.clean(few)
		dir, _ := f.restore(result)
		same(t, dir, f.roots[0])
		if run := f.clean(few).Snapshot.Run; run.BytesRead != 0 {
			t.Errorf("nothing changed: %+v", run)
		}
	}
}

func TestNestedFolders(t *testing.T) {
	f := newFixture(t)
	for _, dir := range []string{"", "/Archive", "/Archive/2020", "/cue", "/newer", "/.hidden"} {
		f.maildir("alice/Maildir"+dir, 3)
		f.write("alice/Maildir"+dir+"/dovecot-uidlist", "control")
	}
	result := f.clean()
	if n := result.Snapshot.Tree.Counts.Messages; n != 18 {
		t.Errorf("%d messages", n)
	}
	dir, _ := f.restore(result)
	same(t, dir, f.roots[0])
}

// A mailbox whose messages lie behind a symbolic link is not saved, and
// somebody has to know.
func TestCurBecomesSymlink(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 2)
	f.write("alice/Maildir/new/1", mail("fresh"))
	o := f.options() // detects it as a Maildir
	must(t, os.Rename(f.root("alice/Maildir/cur"), f.root("elsewhere")))
	must(t, os.Symlink("../../elsewhere", f.root("alice/Maildir/cur")))
	result, err := f.try(t.Context(), f.store, o)
	must(t, err)
	if e := f.entries(result)["alice/Maildir/cur"]; e.Kind != snapshot.Symlink || result.Snapshot.Incomplete {
		t.Errorf("cur is saved as %v", e.Kind)
	}
	if !strings.Contains(f.noticed("alice/Maildir/cur"), "are not saved") || len(f.notices) != 1 {
		t.Errorf("notices %+v", f.notices)
	}
	dir, _ := f.restore(result)
	same(t, dir, f.roots[0])
}

// Deliveries come and go in tmp, and nobody wants to read about each.
func TestDeliveryIsFinishedMeanwhile(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 1)
	f.write("alice/Maildir/tmp/1.half", "half")
	f.write("alice/other", "x")
	result := f.clean(at("listed", "alice/Maildir", func() {
		must(t, os.Rename(f.root("alice/Maildir/tmp/1.half"), f.root("alice/Maildir/new/1.half")))
	}), func(o *backup.Options) { backup.SetLimits(o, backup.Early(0)) })
	if len(f.notices) > 0 || result.Snapshot.Run.Expunged > 0 {
		t.Errorf("notices %+v", f.notices)
	}
	result = f.clean(at("reading", "alice/other", func() { must(t, os.Remove(f.root("alice/other"))) }), func(o *backup.Options) { o.Name = "other" })
	if result.Snapshot.Run.Vanished != 1 || f.noticed("alice/other") == "" {
		t.Errorf("another file vanished: %+v, %+v", result.Snapshot.Run, f.notices)
	}
}

func TestFileChangesWhileItIsRead(t *testing.T) {
	f := newFixture(t)
	path := f.root("alice/log")
	grow := func() {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = file.WriteString("more\n")
		must(t, errors.Join(err, file.Close()))
	}
	for _, times := range []int{1, 2, 3} {
		f.write("alice/log", strings.Repeat("line\n", 1000*times))
		left := times
		result := f.clean(func(o *backup.Options) {
			backup.SetHook(o, func(op, _ string) {
				if op == "checking" && left > 0 {
					left--
					grow()
				}
			})
		})
		dir, failed := f.restore(result)
		if len(failed) > 0 {
			t.Errorf("%d changes: %v", times, failed)
		}
		now, err := os.ReadFile(path)
		must(t, err)
		got := content(t, dir)["alice/log"]
		if note := f.noticed("alice/log"); (note != "") != (times == 3) || times < 3 && got != string(now) || !strings.HasPrefix(string(now), got) {
			t.Errorf("%d changes: %d of %d bytes, %q", times, len(got), len(now), note)
		}
	}
}

func TestSomethingElseTakesAFilesPlace(t *testing.T) {
	for what, replace := range map[string]func(path string) error{
		"a folder":  func(p string) error { return os.Mkdir(p, 0o700) },
		"a symlink": func(p string) error { return os.Symlink("/etc/passwd", p) },
		"a FIFO":    func(p string) error { return unix.Mkfifo(p, 0o600) },
	} {
		f := newFixture(t)
		path := f.write("alice/file", "content")
		result := f.run(at("reading", "alice/file", func() {
			must(t, os.Remove(path))
			must(t, replace(path))
		}))
		if e := f.entries(result)["alice/file"]; e.Kind != snapshot.Unsaved || !result.Snapshot.Incomplete {
			t.Errorf("%s took its place, and it was saved as %v", what, e.Kind)
		}
	}
}

// Two messages may have the same base name by some mishap: both are kept.
func TestTwins(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 3)
	f.write("alice/Maildir/cur/"+messageName(0)+":2,RS", mail("a twin"))
	f.write("alice/Maildir/new/"+messageName(1), mail("another"))
	must(t, os.Link(f.root("alice/Maildir/cur/"+messageName(2)+":2,S"), f.root("alice/Maildir/cur/"+messageName(2)+":2,FS")))
	result := f.clean()
	if n := result.Snapshot.Tree.Counts.Messages; n != 6 {
		t.Errorf("%d messages", n)
	}
	dir, _ := f.restore(result)
	same(t, dir, f.roots[0])
	if run := f.clean().Snapshot.Run; run.BytesRead != 0 || run.Unchanged != 6 || run.Removed != 0 {
		t.Errorf("the second run: %+v", run)
	}
}
