package verify_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"restante/repo"
	"restante/seal"
	"restante/verify"
)

func TestSound(t *testing.T) {
	f := newFixture(t)
	for _, readData := range []bool{false, true} {
		report := f.check(t, readData)
		wantLines(t, f.render(report), nil)
		wantLines(t, report.Notes, nil)
		if report.Objects != 17 || report.Packs != 4 || report.Snapshots != 2 || report.Pages < 7 || report.Pieces < 700 {
			t.Errorf("the report counts wrongly: %+v", report)
		}
		if readData && report.BytesRead < 500_000 {
			t.Errorf("it says that it read %d bytes, which are not all", report.BytesRead)
		}
	}
}

func wantLines(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("missing: %s", want[i])
		case i >= len(want):
			t.Errorf("unwanted: %s", got[i])
		case got[i] != want[i]:
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

// Ways to damage an object.
var damages = map[string]func(t *testing.T, f *fixture, name string){
	"flip": func(t *testing.T, f *fixture, name string) {
		data := f.get(t, name)
		f.replace(t, name, flip(data, len(data)/2))
	},
	"cut": func(t *testing.T, f *fixture, name string) {
		data := f.get(t, name)
		f.replace(t, name, data[:len(data)*2/3])
	},
	"empty":  func(t *testing.T, f *fixture, name string) { f.replace(t, name, []byte{}) },
	"delete": func(t *testing.T, f *fixture, name string) { f.replace(t, name, nil) },
	"copy": func(t *testing.T, f *fixture, name string) {
		if err := f.store.Put(t.Context(), other(name), f.get(t, name)); err != nil {
			t.Fatal(err)
		}
	},
}

const (
	all1   = " | snapshot1 snapshot2 | (other) alice bob carol | 182" // all files that the first backup brought
	all2   = " | snapshot2 | alice bob | 2"                           // and the second
	tree1  = " | snapshot1 snapshot2 |  | pages"                      // a root and pages of both, and the map of mailboxes
	tree2  = " | snapshot2 | alice bob carol | pages"                 // a root
	broken = "its bytes do not match its name"
	sealed = "clump at #: opening part 'c' at position #: damaged or tampered with"
	absent = "pieces that snapshots need are in no index object that can be read"
)

// matrix says what is found: damage and role, findings without and with
// --read-data where that differs. What stands in the middle of a data pack is
// padding.
var matrix = []struct {
	damage, role string
	want, read   []string
}{
	{"flip", "data1", nil, []string{"data1: " + broken}},
	{"cut", "data1", []string{"data1: it has # bytes, and the index says #"},
		[]string{"data1: it has # bytes, and the index says #; " + broken + "; its directory: its trailer: damaged or tampered with"}},
	{"delete", "data1", []string{"data1: it is missing" + all1}, nil},
	{"copy", "data1", nil, []string{"packs/#: " + broken}},
	{"delete", "data2", []string{"data2: it is missing" + all2}, nil},

	{"flip", "tree1", []string{"tree1: " + sealed + tree1}, []string{"tree1: " + broken + "; " + sealed + tree1}},
	{"delete", "tree1", []string{"tree1: it is missing" + tree1}, nil},
	{"copy", "tree1", nil, []string{"packs/#: " + broken}},
	{"delete", "tree2", []string{"tree2: it is missing" + tree2}, nil},

	{"flip", "dataindex1", []string{"dataindex1: " + broken + "; 762 " + absent + all1}, nil},
	{"cut", "dataindex1", []string{"dataindex1: " + broken + "; 762 " + absent + all1}, nil},
	{"empty", "dataindex1", []string{"dataindex1: " + broken + "; 762 " + absent + all1}, nil},
	{"delete", "dataindex1", []string{"index/: 762 " + absent + all1}, nil},
	{"copy", "dataindex1", []string{"index/#: " + broken}, nil},
	{"flip", "dataindex2", []string{"dataindex2: " + broken + "; 4 " + absent + all2}, nil},
	{"delete", "dataindex2", []string{"index/: 4 " + absent + all2}, nil},
	{"flip", "treeindex2", []string{"treeindex2: " + broken + "; some " + absent + tree2}, nil},
	{"delete", "treeindex1", []string{"index/: some " + absent + tree1}, nil},

	{"flip", "snapshot1", []string{"snapshot1: its signature does not match | snapshot1 |  | 0"}, nil},
	{"cut", "snapshot1", []string{"snapshot1: its signature does not match | snapshot1 |  | 0"}, nil},
	{"empty", "snapshot1", []string{"snapshot1: parsing header: damaged or tampered with: it has 0 bytes, not 64 | snapshot1 |  | 0"}, nil},
	{"delete", "snapshot1", nil, nil}, // that is how a snapshot is given up
	{"copy", "snapshot1", []string{"snapshots/#: it belongs to session # | # |  | 0"}, nil},

	{"flip", "intent1", []string{"intent1: its signature does not match"}, nil},
	{"cut", "intent1", []string{"intent1: its signature does not match"}, nil},
	{"empty", "intent1", []string{"intent1: parsing header: damaged or tampered with: it has 0 bytes, not 64"}, nil},
	{"delete", "intent1", nil, nil},
	{"copy", "intent1", []string{"intents/#: it belongs to session #"}, nil},

	{"flip", "config", []string{"config: its signature does not match"}, nil},
	{"empty", "config", []string{"config: parsing header: damaged or tampered with: it has 0 bytes, not 64"}, nil},
	{"delete", "config", []string{"config: it is missing; its spare is used in its place"}, nil},
	{"copy", "config", []string{"config/#: it says it is config 1"}, nil},
	{"flip", "keys", []string{"keys: " + broken}, nil},
	{"cut", "keys", []string{"keys: " + broken}, nil},
	{"delete", "keys", []string{"keys: it is missing; its spare is used in its place"}, nil},
	{"copy", "keys", []string{"keys/#: " + broken}, nil},
	{"flip", "spare config", []string{"spare config: its signature does not match"}, nil},
	{"delete", "spare config", nil, nil}, // a crash leaves none
	{"flip", "spare keys", []string{"spare keys: " + broken}, nil},
	{"delete", "spare keys", nil, nil},
	{"flip", "README", nil, nil},
	{"delete", "README", nil, nil},
	{"copy", "README", nil, nil},
}

func TestMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	whole := newFixture(t)
	tried := map[string]bool{}
	for _, m := range matrix {
		tried[m.role] = true
		t.Run(m.damage+" "+m.role, func(t *testing.T) {
			f := whole.clone(t)
			damages[m.damage](t, f, f.names[m.role])
			if m.read == nil {
				m.read = m.want
			}
			wantLines(t, f.render(f.check(t, false)), m.want)
			wantLines(t, f.render(f.check(t, true)), m.read)
		})
	}
	for role := range whole.names {
		kind := strings.TrimRight(role, "0123456789")
		if !slices.ContainsFunc(slices.Collect(maps.Keys(tried)), func(r string) bool { return strings.HasPrefix(r, kind) }) {
			t.Errorf("no line of the matrix damages objects like %s", role)
		}
	}
}

// Every part of a pack is damaged in turn.
func TestPartsOfAPack(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	whole := newFixture(t)
	clumps := whole.clumps(t, "data1")
	prefix := seal.PrefixSize(seal.ModePublic)
	if len(clumps) != 4 {
		t.Fatalf("the pack has %d clumps, not one for each mailbox and one for the rest", len(clumps))
	}
	alice, bob := clumps[0], clumps[1]
	lost := func(mailbox string) string { return fmt.Sprintf(" | snapshot1 snapshot2 | %s | 60", mailbox) }
	noSecret := []string{"data1: " + broken + "; its directory: its trailer: damaged or tampered with" + all1}
	for _, c := range []struct {
		name       string
		at         int
		want, read []string
	}{
		{"magic", 3, []string{`data1: parsing header: damaged or tampered with: it does not begin with "restante"` + all1},
			[]string{`data1: parsing header: damaged or tampered with: it does not begin with "restante"; ` + broken +
				`; its directory: parsing header: damaged or tampered with: it does not begin with "restante"` + all1}},
		{"encapsulation", 500, nil, noSecret},
		{"a clump", int(alice.Offset) + 20, nil, []string{"data1: " + broken + "; " + sealed + lost("alice")}},
		{"the tag of a clump", int(bob.Offset+bob.Length) - 1, nil, []string{"data1: " + broken + "; clump at #: it is not the one that the directory names" + lost("bob")}},
		{"signature", -1, nil, []string{"data1: " + broken + "; its directory: its signature does not match"}},
		{"length of the directory", -66, nil, []string{"data1: " + broken + "; its directory: its trailer: damaged or tampered with"}},
		{"directory", -100, nil, []string{"data1: " + broken + "; its directory: its signature does not match"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := whole.clone(t)
			f.replace(t, f.names["data1"], flip(f.get(t, f.names["data1"]), c.at))
			wantLines(t, f.render(f.check(t, false)), c.want)
			wantLines(t, f.render(f.check(t, true)), c.read)
		})
	}
	t.Run("cut off behind a clump", func(t *testing.T) {
		f := whole.clone(t)
		f.replace(t, f.names["data1"], f.get(t, f.names["data1"])[:int(bob.Offset+bob.Length)])
		want := []string{"data1: it has # bytes, and the index says # | snapshot1 snapshot2 | (other) carol | 62"}
		wantLines(t, f.render(f.check(t, false)), want)
	})
	t.Run("cut off behind the prefix", func(t *testing.T) {
		f := whole.clone(t)
		f.replace(t, f.names["data1"], f.get(t, f.names["data1"])[:prefix])
		wantLines(t, f.render(f.check(t, false)), []string{"data1: it has # bytes, and the index says #" + all1})
	})
}

// What has another copy is not lost, and it is said so: where one of two packs with the
// same pieces is damaged, and where both are, but not at the same pieces.
func TestDamageOfCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	f.twice(t)
	const nothing = "nothing is lost: every piece has another sound copy; "
	spoil := func(role string, clump, at int) {
		f.replace(t, f.names[role], flip(f.get(t, f.names[role]), int(f.clumps(t, role)[clump].Offset)+at))
	}
	want := func(copied bool, lines ...string) {
		t.Helper()
		for range 2 { // the second time the damage is noted
			report := f.check(t, true)
			wantLines(t, f.render(report), lines)
			for _, found := range report.Findings {
				if strings.HasPrefix(found.Hint, nothing) != copied {
					t.Errorf("copied: %t, but %q", copied, found.Hint)
				}
			}
		}
	}
	spoil("data3", 0, 30)
	want(true, "data3: "+broken+"; "+sealed)
	sound := f.get(t, f.names["data4"])
	spoil("data4", 0, 30)
	lost := " | snapshot3 snapshot4 | (other) | 60"
	report := f.check(t, true)
	if got := strings.Join(f.render(report), ""); !strings.HasSuffix(got, lost) {
		t.Errorf("with both damaged: %q, want %q", got, lost)
	}
	f.replace(t, f.names["data4"], sound)
	want(true, "data3: "+broken+"; "+sealed)
	f.repairPacks(t)
	want(false)
	f.wantContents(t)
}

// However few pieces are looked up at once, the same is found.
func TestWindows(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	bob := f.clumps(t, "data1")[1]
	f.replace(t, f.names["data1"], f.get(t, f.names["data1"])[:int(bob.Offset+bob.Length)])
	damages["flip"](t, f, f.names["dataindex2"])
	for _, window := range []int{1, 7, 100, 1 << 20} {
		report, err := verify.Check(t.Context(), f.open(t), verify.WithWindow(verify.Options{NoMark: true}, window))
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, f.render(report), []string{
			"data1: it has # bytes, and the index says # | snapshot1 snapshot2 | (other) carol | 62",
			"dataindex2: " + broken + "; 4 " + absent + all2,
		})
	}
}

// Several damages at once stay apart.
func TestSeveralDamages(t *testing.T) {
	f := newFixture(t).clone(t)
	damages["delete"](t, f, f.names["data2"])
	damages["flip"](t, f, f.names["snapshot1"])
	damages["flip"](t, f, f.names["intent2"])
	wantLines(t, f.render(f.check(t, true)), []string{
		"data2: it is missing" + all2,
		"intent2: its signature does not match",
		"snapshot1: its signature does not match | snapshot1 |  | 0",
	})
	damages["flip"](t, f, f.names["dataindex1"])
	damages["flip"](t, f, f.names["treeindex2"])
	wantLines(t, f.render(f.check(t, false)), []string{
		"data2: it is missing",
		"dataindex1: " + broken,
		"index/: some " + absent + tree2,
		"intent2: its signature does not match",
		"snapshot1: its signature does not match | snapshot1 |  | 0",
		"treeindex2: " + broken,
	})
}

func TestNotes(t *testing.T) {
	f := newFixture(t).clone(t)
	damages["delete"](t, f, "README")
	damages["delete"](t, f, f.names["snapshot2"])
	damages["delete"](t, f, f.names["dataindex2"])
	damages["delete"](t, f, f.names["treeindex2"])
	for _, name := range []string{"photos/1", "photos/2"} {
		if err := f.store.Put(t.Context(), name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	report := f.check(t, true)
	wantLines(t, f.render(report), nil)
	wantLines(t, report.Notes, []string{
		"the object README is gone; it only tells people what this is",
		"2 objects are there, which restante has not made and does not read: photos/1, photos/2",
		"2 packs are in no index object that can be read, with 278528 bytes in all; an interrupted backup leaves such, or an index object that is gone, and the next backup takes up what is whole",
	})
}

// A snapshot that is forgotten is not missed, and what only it has is not checked.
func TestForgotten(t *testing.T) {
	f := newFixture(t).clone(t)
	r := f.open(t)
	forgotten := path.Base(f.names["snapshot2"])
	id, err := seal.ParseSession(forgotten)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Forget(t.Context(), id, "root"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Hold(t.Context(), repo.Hold{Snapshot: id, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	damages["delete"](t, f, f.names["data2"])
	report := f.check(t, false)
	wantLines(t, f.render(report), []string{"data2: it is missing"})
	wantLines(t, report.Notes, []string{"1 snapshot is forgotten; what is only in such is not checked"})
	for name, hints := range map[string][]string{
		"forgotten/" + forgotten:               {"its snapshot is gone"},
		"holds/" + forgotten + "-" + forgotten: {"counts as held", "restante release " + forgotten},
	} {
		c := newFixture(t)
		if err := c.store.Put(t.Context(), name, []byte("x")); err != nil {
			t.Fatal(err)
		}
		report := c.check(t, false)
		if len(report.Findings) != len(hints) || report.Findings[0].Object != name || len(report.Notes) != 0 {
			t.Fatalf("%s: %+v, %v", name, report.Findings, report.Notes)
		}
		for i, hint := range hints {
			if got := report.Findings[i].Hint; !strings.Contains(got, hint) {
				t.Errorf("%s: the hint %d is %q", name, i, got)
			}
		}
	}
}

// What is damaged and begins as a tombstone does is no snapshot that is lost for certain, and a
// config that nobody needs need not be had back.
func TestDamagedRecords(t *testing.T) {
	f := newFixture(t)
	w := f.begin(t, f.open(t))
	if err := w.s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.name(t, "3")
	f.addWriter(t)
	for role, want := range map[string]struct {
		what, hint string
		lost       uint64
	}{
		"tombstone3": {"; it begins as a tombstone does, with which a session ends that made no snapshot; then nothing is lost", "restante forget " + path.Base(f.names["tombstone3"]) + " gives it up", 0},
		"snapshot1":  {"", "restante forget " + path.Base(f.names["snapshot1"]) + " gives it up", 1},
		"config":     {"", "nothing is lost: " + f.names["spare config"] + " has the same bytes and is whole; copy it to this name", 0},
	} {
		c := f.clone(t)
		damages["flip"](t, c, f.names[role])
		report := c.check(t, false)
		if len(report.Findings) != 1 {
			t.Fatalf("%s: %+v", role, report.Findings)
		}
		found := report.Findings[0]
		if found.Object != f.names[role] || !strings.HasSuffix(found.What, want.what) || !strings.Contains(found.Hint, want.hint) || found.Lost.Snapshots.Count != want.lost {
			t.Errorf("%s: %+v", role, found)
		}
	}
}

// A snapshot that is held, and neither there nor forgotten, is lost.
func TestHeldSnapshotIsMissing(t *testing.T) {
	f := newFixture(t)
	name := f.names["snapshot1"]
	id, err := seal.ParseSession(path.Base(name))
	if err != nil {
		t.Fatal(err)
	}
	r := f.open(t)
	if _, err := r.Hold(t.Context(), repo.Hold{Snapshot: id, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	wantLines(t, f.render(f.check(t, false)), nil)
	damages["delete"](t, f, name)
	report := f.check(t, false)
	if len(report.Findings) != 1 {
		t.Fatalf("%+v", report.Findings)
	}
	found := report.Findings[0]
	if found.Object != name || found.What != "it is missing, though it is held and was not forgotten" || found.Hint != verify.HeldHint(id.String()) ||
		!slices.Equal(found.Lost.Snapshots.First, []string{id.String()}) {
		t.Errorf("%+v", found)
	}
	if _, err := r.Release(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	wantLines(t, f.render(f.check(t, false)), nil)
}

func TestNamesThatNoObjectHas(t *testing.T) {
	f := newFixture(t)
	whole := f.get(t, f.names["data1"])
	wrong := "packs/aa/"
	if strings.HasPrefix(f.names["data2"], wrong) {
		wrong = "packs/bb/"
	}
	for _, name := range []string{"packs/zz", wrong + path.Base(f.names["data2"]), "index/1", "keys/key", "config/1", "intents/x", "snapshots/x", "forgotten/x", "holds/x"} {
		c := f.clone(t)
		if err := c.store.Put(t.Context(), name, whole); err != nil {
			t.Fatal(err)
		}
		report := c.check(t, false)
		if len(report.Findings) != 1 || report.Findings[0].Object != name || report.Findings[0].Hint == "" {
			t.Errorf("%s: %+v", name, report.Findings)
		}
	}
}

// A key that cannot read finds damage all the same.
func TestWriterKey(t *testing.T) {
	f := newFixture(t)
	file := f.addWriter(t)
	w := f.clone(t)
	w.file = file
	report := w.check(t, true)
	wantLines(t, w.render(report), nil)
	if len(report.Notes) != 1 || report.Snapshots != 2 {
		t.Errorf("the report is %+v", report)
	}
	clump := f.clumps(t, "data1")[0]
	w.replace(t, w.names["data1"], flip(w.get(t, w.names["data1"]), int(clump.Offset+clump.Length)-1))
	damages["flip"](t, w, w.names["tree1"])
	damages["delete"](t, w, w.names["data2"])
	report = w.check(t, true)
	wantLines(t, w.render(report), []string{
		"data1: " + broken + "; clump at #: it is not the one that the directory names",
		"data2: it is missing",
		"tree1: " + broken,
	})
	for _, found := range report.Findings {
		if !strings.Contains(found.Hint, "a key that can read tells what is lost") {
			t.Errorf("%s: the hint is %q", found.Object, found.Hint)
		}
	}
}

func TestKeysAgainstConfig(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	r := f.open(t)
	lock := func(k *seal.Keys) ([]byte, error) { return seal.LockPassphrase(k, "x") }
	lostKey, err := r.AddKey(t.Context(), seal.Owner, "lost", lock)
	if err != nil {
		t.Fatal(err)
	}
	removed, err := r.AddKey(t.Context(), seal.Owner, "removed", lock)
	if err != nil {
		t.Fatal(err)
	}
	name := "keys/" + removed.Object.String()
	object := f.get(t, name)
	if err := r.RemoveKey(t.Context(), removed); err != nil {
		t.Fatal(err)
	}
	// A crash within RemoveKey leaves the object.
	if err := f.store.Put(t.Context(), name, object); err != nil {
		t.Fatal(err)
	}
	f.replace(t, "keys/"+lostKey.Object.String(), nil)
	f.replace(t, "spares/keys/"+lostKey.Object.String(), nil)
	report := f.check(t, false)
	wantLines(t, f.render(report), []string{`keys/#: it is missing: the key "lost" opens the repository no more`})
	if len(report.Notes) != 1 || !strings.HasPrefix(report.Notes[0], name+" is of no key in service") {
		t.Errorf("notes: %q", report.Notes)
	}
	if h := report.Findings[0].Hint; !strings.Contains(h, "restante key remove "+lostKey.ID()) {
		t.Errorf("hint: %s", h)
	}
}

// TestKeyRemovedMeanwhile: a key that was removed since the repository was opened is not missed.
func TestKeyRemovedMeanwhile(t *testing.T) {
	f := newFixture(t)
	added, err := f.open(t).AddKey(t.Context(), seal.Owner, "added", func(k *seal.Keys) ([]byte, error) { return seal.LockPassphrase(k, "x") })
	if err != nil {
		t.Fatal(err)
	}
	r := f.open(t)
	if err := f.open(t).RemoveKey(t.Context(), added); err != nil {
		t.Fatal(err)
	}
	report, err := verify.Check(t.Context(), r, verify.Options{})
	if err != nil || len(report.Findings) > 0 || len(report.Notes) > 0 {
		t.Errorf("%+v, %q, %v", report.Findings, report.Notes, err)
	}
}

// What the hints say is so.
func TestHintsHelp(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	whole := newFixture(t)
	repaired := func(t *testing.T, f *fixture) {
		t.Helper()
		if _, err := f.open(t).RepairIndex(t.Context(), repo.RepairOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, damage := range []string{"delete", "flip"} {
		t.Run(damage+" index", func(t *testing.T) {
			f := whole.clone(t)
			for _, role := range []string{"dataindex1", "treeindex1"} {
				damages[damage](t, f, f.names[role])
			}
			for _, found := range f.check(t, false).Findings {
				if !strings.Contains(found.Hint, "run restante repair index, which") {
					t.Errorf("hint for %s: %s", found.Object, found.Hint)
				}
			}
			repaired(t, f)
			wantLines(t, f.render(f.check(t, true)), nil)
		})
	}
	t.Run("delete pack", func(t *testing.T) {
		f := whole.clone(t)
		f.replace(t, f.names["data1"], nil)
		if h := f.check(t, false).Findings[0].Hint; !strings.Contains(h, "run restante backup, which reads") || !strings.Contains(h, "then restante repair index") {
			t.Errorf("hint: %s", h)
		}
		f.backup(t, 2, "3")
		wantLines(t, f.render(f.check(t, true)), []string{"data1: it is missing | snapshot1 | bob | 1 bob/cur/007"})
		repaired(t, f)
		// The message of bob's that only the first snapshot had stays lost.
		wantLines(t, f.render(f.check(t, true)), []string{"index/: 2 " + absent + " | snapshot1 | bob | 1 bob/cur/007"})
		if h := f.check(t, false).Findings[0].Hint; !strings.HasPrefix(h, "if no backup has been made since the repair, run restante backup") {
			t.Errorf("hint: %s", h)
		}
		f.backup(t, 1, "4")
		wantLines(t, f.render(f.check(t, true)), nil)
	})
	t.Run("rotten pack", func(t *testing.T) {
		f := whole.clone(t)
		alice := f.clumps(t, "data1")[0]
		f.replace(t, f.names["data1"], flip(f.get(t, f.names["data1"]), int(alice.Offset)+9))
		if h := f.check(t, true).Findings[0].Hint; !strings.Contains(h, "run restante backup, which reads") || !strings.Contains(h, "then restante repair packs") {
			t.Errorf("hint: %s", h)
		}
		f.backup(t, 2, "3")
		report, err := f.open(t).RepairPacks(t.Context(), nil, repo.RepairOptions{})
		if err != nil || len(report.Packs) != 1 || report.Packs[0].Lost != 0 {
			t.Errorf("%+v, %v", report, err)
		}
		wantLines(t, f.render(f.check(t, true)), nil)
	})
}

func TestProgress(t *testing.T) {
	f := newFixture(t)
	var totalObjects, totalBytes, objects, bytes atomic.Uint64
	_, err := verify.Check(t.Context(), f.open(t), verify.Options{ReadData: true,
		Total: func(o, b uint64) { totalObjects.Store(o); totalBytes.Store(b) },
		Done:  func(o, b uint64) { objects.Add(o); bytes.Add(b) }})
	if err != nil {
		t.Fatal(err)
	}
	if totalObjects.Load() != 4 || objects.Load() != 4 || bytes.Load() != totalBytes.Load() || bytes.Load() == 0 {
		t.Errorf("%d of %d packs, %d of %d bytes", objects.Load(), totalObjects.Load(), bytes.Load(), totalBytes.Load())
	}
}

func TestInterrupted(t *testing.T) {
	f := newFixture(t)
	for calls := range 12 {
		ctx, cancel := context.WithCancel(t.Context())
		left := atomic.Int64{}
		left.Store(int64(calls))
		report, err := verify.Check(ctx, f.open(t), verify.Options{ReadData: true, Done: func(uint64, uint64) {
			if left.Add(-1) < 0 {
				cancel()
			}
		}})
		cancel()
		if err == nil && left.Load() < 0 && len(report.Findings) > 0 || err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted after %d calls: %v, %v", calls, report, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := f.open(t)
	cancel()
	if _, err := verify.Check(ctx, r, verify.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted at once: %v", err)
	}
}
