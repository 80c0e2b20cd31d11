package backup_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"restante/backup"
	"restante/snapshot"
	"restante/storage/mem"
)

// A growing is a large file of one kind, made of units that edits leave whole.
type growing struct {
	name  string
	begin string
	unit  func(rng *rand.Rand) string
}

func someText(rng *rand.Rand, most int) string {
	return letter(rng.Uint64(), rng.IntN(most))
}

// oddMessage returns a message of many sizes and kinds, some with what mboxes
// have trouble with.
func oddMessage(rng *rand.Rand) string {
	head := fmt.Sprintf("From: a@example.org\nMessage-ID: <%x@x>\n", rng.Uint64())
	body := someText(rng, 1500)
	switch rng.IntN(8) {
	case 0:
		body = ""
	case 1:
		head += "Content-Transfer-Encoding: base64\n"
		for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString([]byte(someText(rng, 9000)))), 76) {
			body += string(line) + "\n"
		}
	case 2:
		body += "\nFrom here on\n\n" + someText(rng, 200)
	case 3: // mboxcl2, and with a length that may lie
		body = "a\n\nFrom b@example.org Mon Jan  5 10:11:12 2026\n\nb\n"
		head += fmt.Sprintf("Content-Length: %d\n", len(body)-rng.IntN(2)+rng.IntN(2)*rng.IntN(4000))
	case 4, 5:
		head += "X-IMAP: 1 2\n"
	case 6:
		body = strings.Repeat("the same again\n", rng.IntN(200))
		head = "Subject: one of many\n"
	}
	return head + "\n" + body
}

var growings = []growing{
	{"mail/alice", "", func(rng *rand.Rand) string {
		return "From a@example.org Mon Jan  5 10:11:12 2026\n" + oddMessage(rng) + "\n"
	}},
	{"bob/mdbox/storage/m.1", "2 M1e C6b022e39\n", func(rng *rand.Rand) string {
		msg := oddMessage(rng)
		return fmt.Sprintf("\x01\x02N          %016X\n%s\n\x01\x03\nR6b022e39\nG%032x\n\n", len(msg), msg, rng.Uint64())
	}},
	{"carol/opaque.db", "", func(rng *rand.Rand) string {
		if rng.IntN(4) == 0 {
			return strings.Repeat("\x00", 1<<20+rng.IntN(1<<20))
		}
		data := make([]byte, 256<<10+rng.IntN(512<<10))
		rand.NewChaCha8([32]byte{byte(rng.Uint32()), byte(rng.Uint32())}).Read(data)
		return string(data)
	}},
}

// edit changes the units of a file as a night may: at its end, in its middle, at
// its beginning; by whole units, by bytes, and by what has no sense.
func (g *growing) edit(rng *rand.Rand, units []string) []string {
	at := 0
	if len(units) > 0 {
		at = rng.IntN(len(units))
	}
	switch op := rng.IntN(13); {
	case op < 3 || len(units) < 3:
		for range 1 + rng.IntN(6) {
			units = append(units, g.unit(rng))
		}
	case op == 3:
		units = append(units[:at:at], append([]string{g.unit(rng)}, units[at:]...)...)
	case op == 4:
		units = append(units[:at:at], units[at+1:]...)
	case op == 5: // a bit within
		u := []byte(units[at])
		u[rng.IntN(len(u))] ^= 1
		units[at] = string(u)
	case op == 6: // some bytes come or go within
		i := rng.IntN(len(units[at]))
		units[at] = units[at][:i] + "\n\n" + units[at][min(i+rng.IntN(5), len(units[at])):]
	case op >= 10: // what tells that a unit begins
		i := rng.IntN(min(8, len(units[at])))
		units[at] = units[at][:i] + "*" + units[at][i+1:]
	case op == 7: // the first or the last ones go
		if units = units[min(at, 3):]; len(units) > 3 && rng.IntN(2) == 0 {
			units = units[:len(units)-2]
		}
	case op == 8: // and what is at the beginning
		units = append([]string{g.unit(rng)}, units[rng.IntN(2):]...)
	default: // a part moves to the end
		units = append(append(units[:at:at], units[at+1:]...), units[at])
	}
	return units
}

// TestGrownFilesAreCutAsFromScratch edits large files at random for many
// nights, and compares each snapshot with that of a run that knows nothing.
func TestGrownFilesAreCutAsFromScratch(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	scratch := &fixture{t: t, store: mem.New(), roots: f.roots, cache: t.TempDir()}
	scratch.createWithKeyOf(f)
	rng := rand.New(rand.NewPCG(7, 7))
	units := make([][]string, len(growings))
	for i, g := range growings {
		for range 12 {
			units[i] = append(units[i], g.unit(rng))
		}
	}
	took := map[string]int{}
	limits := func(o *backup.Options) { backup.SetLimits(o, backup.Grown(1<<10, 2<<10)) }
	nights := 40
	if testing.Short() {
		nights = 6
	}
	for night := range nights {
		for i, g := range growings {
			f.write(g.name, g.begin+strings.Join(units[i], ""))
			units[i] = g.edit(rng, units[i])
		}
		grown := f.clean(limits, func(o *backup.Options) {
			backup.SetHook(o, func(op, path string) {
				if op == "took over" {
					f.mu.Lock()
					defer f.mu.Unlock()
					took[path]++
				}
			})
		})
		scratch.cache = t.TempDir()
		anew := scratch.clean(func(o *backup.Options) { backup.SetLimits(o, backup.Grown(1<<40, 0)) })
		if grown.Snapshot.Tree != anew.Snapshot.Tree {
			differences(t, f.entries(grown), scratch.entries(anew))
			t.Fatalf("night %d: the tree is not that of a run that knows nothing", night)
		}
		if night%16 == 0 {
			f.identical(grown)
		}
	}
	for _, g := range growings {
		if took[g.name] < nights {
			t.Errorf("%s: %d segments were taken over", g.name, took[g.name])
		}
	}
}

// differences names the files that differ, and the first item in which they do.
func differences(t *testing.T, got, want map[string]snapshot.Entry) {
	for path, e := range got {
		w := want[path]
		if reflect.DeepEqual(e, w) {
			continue
		}
		i := 0
		for i < min(len(e.Recipe.Items), len(w.Recipe.Items)) && reflect.DeepEqual(e.Recipe.Items[i], w.Recipe.Items[i]) {
			i++
		}
		t.Errorf("%s: %d messages, not %d; %d items, not %d; item %d: %v, not %v", path, e.Messages, w.Messages, len(e.Recipe.Items), len(w.Recipe.Items), i,
			e.Recipe.Items[i:min(i+1, len(e.Recipe.Items))], w.Recipe.Items[i:min(i+1, len(w.Recipe.Items))])
	}
}

// TestClaimsBehindABorder changes what a Content-Length leads to, behind messages
// that begin only as long as it leads nowhere.
func TestClaimsBehindABorder(t *testing.T) {
	f := newFixture(t)
	const from = "From a@example.org Mon Jan  5 10:11:12 2026\n"
	within := from + "\n" + letter(2, 3000) + "\n"
	text := from + "\n" + letter(1, 5000) + "\n" + from + fmt.Sprintf("Content-Length: %d\n\n", 3000+len(within)) + letter(3, 4000)[:2998] + "\n\n" +
		within + from + "\n" + letter(4, 5000)
	at := strings.LastIndex(text, from)
	f.write("mail/alice", text[:at]+"*"+text[at+1:])
	f.took()
	f.write("mail/alice", text)
	f.took()
	scratch := &fixture{t: t, store: mem.New(), roots: f.roots, cache: t.TempDir()}
	scratch.createWithKeyOf(f)
	want := scratch.entries(scratch.clean())
	if want["mail/alice"].Messages != 3 {
		t.Fatalf("%d messages", want["mail/alice"].Messages)
	}
	differences(t, f.entries(f.clean()), want)
}

// TestNotesBehindABlankLine puts an empty line before the notes that a mail
// program keeps about an mbox: they stay notes, and no message. Behind a message
// they are one, and what follows a message that went is the first.
func TestNotesBehindABlankLine(t *testing.T) {
	f := newFixture(t)
	const from = "From a@example.org Mon Jan  5 10:11:12 2026\n"
	text := from + "X-IMAP: 1 2\n\nnotes\n\n"
	for i := range uint64(8) {
		text += from + "\n" + letter(i, 1500) + "\n"
	}
	f.write("mail/alice", text)
	f.took()
	f.write("mail/alice", "\n"+text)
	f.took()
	if n := f.entries(f.clean())["mail/alice"].Messages; n != 8 {
		t.Errorf("%d messages", n)
	}
	first := from + "\n" + letter(9, 3000) + "\n"
	f.write("mail/alice", first+text)
	f.took()
	if n := f.entries(f.clean())["mail/alice"].Messages; n != 10 {
		t.Errorf("%d messages with one before the notes", n)
	}
	f.write("mail/alice", text)
	f.took()
	if n := f.entries(f.clean())["mail/alice"].Messages; n != 8 {
		t.Errorf("%d messages without the one before the notes", n)
	}
}

// mails returns n messages of an mbox.
func mails(rng *rand.Rand, n int) (text string) {
	for range n {
		text += growings[0].unit(rng)
	}
	return text
}

// TestSegmentsOfAnotherVersion has the former state cut by other rules.
func TestSegmentsOfAnotherVersion(t *testing.T) {
	f := newFixture(t)
	rng := rand.New(rand.NewPCG(4, 4))
	text := ""
	for i, version := range []uint8{8, 9, 9} {
		text += mails(rng, 20)
		f.write("mail/alice", text)
		n := f.took(func(o *backup.Options) { backup.SetLimits(o, backup.Cutter(version)) })
		if same := i == 2; same != (n > 0) {
			t.Errorf("run %d took over %d segments", i, n)
		}
	}
}

// sketches returns the paths of the sketches in the only parent cache.
func (f *fixture) sketches() []string {
	f.t.Helper()
	found, err := filepath.Glob(filepath.Join(f.cache, "*", "parents", "*", "sketch-*"))
	must(f.t, err)
	return found
}

// took backs up and returns how many segments were taken over.
func (f *fixture) took(change ...func(*backup.Options)) (n int) {
	f.t.Helper()
	f.clean(append(change, func(o *backup.Options) {
		backup.SetLimits(o, backup.Grown(1<<10, 2<<10))
		backup.SetHook(o, func(op, _ string) {
			if op == "took over" {
				n++
			}
		})
	})...)
	return n
}

// TestSketches wants each state of a file to have one, and no other to be kept.
func TestSketches(t *testing.T) {
	f := newFixture(t)
	rng := rand.New(rand.NewPCG(1, 1))
	text := ""
	grow := func() {
		text += mails(rng, 20)
		f.write("mail/alice", text)
	}
	grow()
	if n := f.took(); n != 0 || len(f.sketches()) != 1 {
		t.Fatalf("the first run took over %d segments and left %q", n, f.sketches())
	}
	first := f.sketches()[0]
	data, err := os.ReadFile(first)
	must(t, err)
	if !strings.HasPrefix(string(data), "restante sketch 2\n") { // 1 did not count the messages of dbox files
		t.Errorf("the sketch begins with %q", data[:min(len(data), 20)])
	}
	grow()
	o := f.options()
	o.DryRun = true
	if _, err := f.try(t.Context(), f.store, o); err != nil || !slices.Equal(f.sketches(), []string{first}) {
		t.Errorf("a dry run left %q: %v", f.sketches(), err)
	}
	left := filepath.Join(filepath.Dir(first), "sketch-123.new") // by a run that was killed
	write(t, left, []byte("x"))
	if n := f.took(); n == 0 || len(f.sketches()) != 1 || f.sketches()[0] == first {
		t.Errorf("the second run took over %d segments and left %q", n, f.sketches())
	}
	if n := f.took(); n != 0 || len(f.sketches()) != 1 {
		t.Errorf("a run with nothing changed took over %d segments and left %q", n, f.sketches())
	}
	grow()
	if n := f.took(func(o *backup.Options) { o.Paranoid = true }); n != 0 || len(f.sketches()) != 1 {
		t.Errorf("a paranoid run took over %d segments and left %q", n, f.sketches())
	}
	must(t, os.Remove(f.root("mail/alice")))
	f.took()
	old := time.Now().AddDate(0, 0, -91)
	must(t, os.Chtimes(f.sketches()[0], old, old))
	if f.took(); len(f.sketches()) != 0 {
		t.Errorf("what nobody needs was left: %q", f.sketches())
	}
}

// A sketch that cannot be written is no reason not to back up, and is told of.
func TestSketchCannotBeWritten(t *testing.T) {
	f := newFixture(t)
	rng := rand.New(rand.NewPCG(3, 3))
	text := mails(rng, 20)
	f.write("mail/alice", text)
	must(t, os.WriteFile(f.open().CachePath(f.cache, "parents"), []byte("a file where the folder was to be"), 0o600))
	var warnings strings.Builder
	f.clean(func(o *backup.Options) {
		backup.SetLimits(o, backup.Grown(1<<10, 2<<10))
		o.Warn = log.New(&warnings, "", 0)
	})
	if want := `the next backup will have to cut all of "mail/alice": `; !strings.Contains(warnings.String(), want) {
		t.Errorf("the warnings are %q", warnings.String())
	}
}

// TestDamagedSketches damages a sketch everywhere: the snapshot stays what it is.
func TestDamagedSketches(t *testing.T) {
	f := newFixture(t)
	rng := rand.New(rand.NewPCG(2, 2))
	text := mails(rng, 12)
	f.write("mail/alice", text)
	f.took()
	path := f.sketches()[0]
	whole, err := os.ReadFile(path)
	must(t, err)
	text += mails(rng, 1)
	f.write("mail/alice", text)
	places := 150
	if testing.Short() {
		places = 20
	}
	cache, want := f.cache, snapshot.Root{}
	for i := -1; i < len(whole); i += 1 + len(whole)/places {
		bad := bytes.Clone(whole)
		if i >= 0 {
			bad[i] ^= 0x41
		}
		if i%2 == 1 {
			bad = bad[:i]
		}
		f.cache = filepath.Join(t.TempDir(), "cache")
		must(t, os.CopyFS(f.cache, os.DirFS(cache)))
		must(t, os.WriteFile(strings.Replace(path, cache, f.cache, 1), bad, 0o600))
		r := f.clean(func(o *backup.Options) { backup.SetLimits(o, backup.Grown(1<<10, 2<<10)) })
		if i < 0 {
			want = r.Snapshot.Tree
			f.identical(r)
		}
		if r.Snapshot.Tree != want {
			t.Fatalf("byte %d: another tree", i)
		}
	}
}

// lettersOf returns an mbox of 13 MB in which some messages have other flags, behind
// what a segment is looked for by.
func lettersOf(seen func(i int) bool) string {
	var b strings.Builder
	for i := range 1500 {
		flags := "O"
		if seen(i) {
			flags = "RO"
		}
		fmt.Fprintf(&b, "From a@example.org Mon Jan  5 10:11:12 2026\nSubject: %d\nReceived: %0600d\nStatus: %s\n\n%s\n", i, 0, flags, letter(uint64(i), 8000))
	}
	return b.String()
}

// TestRewrittenFilesAreNotReadTwice changes each message of an mbox in its place,
// so that no segment is there again.
func TestRewrittenFilesAreNotReadTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	f.write("mail/alice", lettersOf(func(int) bool { return false }))
	f.clean()
	f.write("mail/alice", lettersOf(func(int) bool { return true }))
	r := f.clean()
	if read, size := r.Snapshot.Run.BytesRead, r.Snapshot.Tree.Counts.Bytes; read > size*7/4 {
		t.Errorf("%d bytes were read of %d", read, size)
	}
}

// TestSegmentsBehindChangesAreTakenOver changes messages at the beginning, or now and then.
func TestSegmentsBehindChangesAreTakenOver(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	for name, seen := range map[string]func(int) bool{
		"at the beginning": func(i int) bool { return i < 150 && i%8 == 0 },
		"now and then":     func(i int) bool { return i%50 == 0 },
	} {
		f := newFixture(t)
		f.write("mail/alice", lettersOf(func(int) bool { return false }))
		limits := func(o *backup.Options) { backup.SetLimits(o, backup.Grown(1<<20, 64<<10)) }
		f.clean(limits)
		f.write("mail/alice", lettersOf(seen))
		took := 0
		f.clean(limits, func(o *backup.Options) {
			backup.SetHook(o, func(op, _ string) {
				if op == "took over" {
					took++
				}
			})
		})
		if took < 120 { // of 167
			t.Errorf("%s: %d segments were taken over", name, took)
		}
	}
}
