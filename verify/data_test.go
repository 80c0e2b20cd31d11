package verify_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"restante/repo"
	"restante/verify"
)

// A clock tells another second each time it is asked.
type clock struct {
	start time.Time
	asked atomic.Int64
}

func (c *clock) now() time.Time { return c.start.Add(time.Duration(c.asked.Add(1)) * time.Second) }

func newClock() *clock { return &clock{start: time.Unix(1e9, 0)} }

// readSome checks with options and the file of when packs were read.
func (f *fixture) readSome(t *testing.T, history string, now func() time.Time, opts verify.Options) *verify.Report {
	t.Helper()
	opts.ReadData, opts.History = true, history
	report, err := verify.Check(t.Context(), f.open(t), verify.WithClock(opts, now))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// rotten returns a copy in which these packs are damaged, so that a finding tells
// of each that was read.
func rotten(t *testing.T, whole *fixture, roles ...string) *fixture {
	t.Helper()
	f := whole.clone(t)
	for _, role := range roles {
		f.replace(t, f.names[role], flip(f.get(t, f.names[role]), -2000))
	}
	return f
}

// Whatever share is read, all packs have been read after a few runs, and those
// first that were not for longest.
func TestSubsets(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	whole := newFixture(t)
	for _, subset := range []verify.Subset{{Percent: 1}, {Percent: 30}, {Percent: 50}, {Bytes: 1}, {Bytes: 300 << 10}, {Percent: 100}, {}} {
		path, c := filepath.Join(t.TempDir(), "id", "verified"), newClock()
		var read uint64
		var first string
		for n := 0; ; n++ {
			if n > 4 {
				t.Fatalf("%+v: after %d runs not all packs are read", subset, n)
			}
			report := whole.readSome(t, path, c.now, verify.Options{Subset: subset})
			if report.PacksRead == 0 || report.Packs != 4 {
				t.Fatalf("%+v: read %d of %d packs", subset, report.PacksRead, report.Packs)
			}
			read += report.PacksRead
			if report.Verified != "" {
				first = report.Verified
				break
			}
		}
		if read < 4 || subset == (verify.Subset{Percent: 1}) && read != 4 {
			t.Errorf("%+v: all packs are said to be read after %d were", subset, read)
		}
		// From here on each run makes the oldest date a newer one.
		for range 4 {
			if report := whole.readSome(t, path, c.now, verify.Options{Subset: subset}); report.Verified < first {
				t.Errorf("%+v: %s, and before %s", subset, report.Verified, first)
			}
		}
	}
}

// A pack that was found damaged, or that came since, is the next to be read.
func TestWhatIsReadNext(t *testing.T) {
	whole := newFixture(t)
	path, c := filepath.Join(t.TempDir(), "verified"), newClock()
	whole.readSome(t, path, c.now, verify.Options{})
	f := rotten(t, whole, "tree2")
	for range 3 {
		wantLines(t, f.render(f.readSome(t, path, c.now, verify.Options{})), []string{"tree2: " + broken})
		report := f.readSome(t, path, c.now, verify.Options{Subset: verify.Subset{Bytes: 1}})
		wantLines(t, f.render(report), []string{"tree2: " + broken})
		if report.Verified != "" {
			t.Errorf("all packs were found whole after %s", report.Verified)
		}
	}
	path = filepath.Join(t.TempDir(), "verified")
	whole.readSome(t, path, c.now, verify.Options{})
	f = whole.clone(t)
	f.backup(t, 3, "3")
	f = rotten(t, f, "data3")
	wantLines(t, f.render(f.readSome(t, path, c.now, verify.Options{Subset: verify.Subset{Percent: 50}})), []string{"data3: " + broken})
}

// When the time is up no further pack is begun.
func TestMaxDuration(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(t.TempDir(), "verified")
	start := time.Unix(1e9, 0)
	var asked atomic.Int64
	late := func() time.Time { // after one pack was begun, or two
		if asked.Add(1) > 3 {
			return start.Add(time.Hour)
		}
		return start
	}
	report := f.readSome(t, path, late, verify.Options{MaxDuration: time.Hour})
	if report.PacksRead == 0 || report.PacksRead >= 4 || report.Pages == 0 {
		t.Errorf("read %d packs and %d pages", report.PacksRead, report.Pages)
	}
	c := newClock()
	if report = f.readSome(t, path, c.now, verify.Options{MaxDuration: time.Hour}); report.PacksRead != 4 {
		t.Errorf("in an hour %d packs were read", report.PacksRead)
	}
}

// What was read before an interruption is remembered.
func TestInterruptedReadingIsRemembered(t *testing.T) {
	f := newFixture(t)
	path, c := filepath.Join(t.TempDir(), "verified"), newClock()
	ctx, cancel := context.WithCancel(t.Context())
	opts := verify.Options{ReadData: true, History: path, Subset: verify.Subset{Percent: 30}, Done: func(objects, _ uint64) {
		if objects == 1 {
			cancel()
		}
	}}
	if _, err := verify.Check(ctx, f.open(t), verify.WithClock(opts, c.now)); err == nil {
		t.Fatal("it was not interrupted")
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() < 8+40+32 {
		t.Errorf("nothing is remembered: %v, %v", info, err)
	}
}

// A file that is damaged, or cannot be written, costs the order only.
func TestDamagedHistory(t *testing.T) {
	f := newFixture(t)
	path, c := filepath.Join(t.TempDir(), "verified"), newClock()
	f.readSome(t, path, c.now, verify.Options{})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{{}, whole[:50], flip(whole, 20), append(bytes.Clone(whole), 1)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if report := f.readSome(t, path, c.now, verify.Options{Subset: verify.Subset{Bytes: 1}}); report.PacksRead != 1 || report.Verified != "" || len(report.Notes) > 0 {
			t.Errorf("%d bytes: %+v", len(data), report)
		}
	}
	report := f.readSome(t, filepath.Join(path, "below a file"), c.now, verify.Options{})
	if report.PacksRead != 4 || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "the next check will not know") {
		t.Errorf("%+v", report)
	}
}

func FuzzDecodeHistory(f *testing.F) {
	f.Add([]byte("rst-vrfd"))
	again, _ := verify.DecodeHistory(nil)
	f.Add(again)
	f.Fuzz(func(t *testing.T, data []byte) {
		if again, err := verify.DecodeHistory(data); err == nil && !bytes.Equal(again, data) {
			t.Errorf("%x is read, and written as %x", data, again)
		}
	})
}

func (f *fixture) checkWithoutKey(t *testing.T, opts verify.Options) *verify.Report {
	t.Helper()
	k, err := repo.WithoutKey(t.Context(), f.store)
	if err != nil {
		t.Fatal(err)
	}
	report, err := verify.CheckWithoutKey(t.Context(), k, opts)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Without a key every byte that has changed is found in what is called by the
// hash of its bytes, and in the headers of the rest.
func TestWithoutKey(t *testing.T) {
	whole := newFixture(t)
	if report := whole.checkWithoutKey(t, verify.Options{}); len(report.Findings) > 0 || report.PacksRead != 4 || report.Snapshots != 2 || len(report.Notes) != 1 {
		t.Errorf("a sound repository: %+v", report)
	}
	ended := whole.clone(t)
	s, err := ended.open(t).Begin(t.Context(), repo.SessionOptions{})
	if err == nil {
		err = s.Abandon(t.Context())
	}
	if report := ended.checkWithoutKey(t, verify.Options{}); err != nil || report.Snapshots != 2 {
		t.Errorf("beside a session that ended without a snapshot: %d snapshots, %v", report.Snapshots, err)
	}
	const magic = `parsing header: damaged or tampered with: it does not begin with "restante"`
	for role, wants := range map[string][2]string{ // a byte of the beginning, and of the rest
		"data1": {magic, broken}, "tree2": {magic, broken}, "dataindex1": {magic, broken}, "treeindex2": {magic, broken}, "keys": {broken, broken}, "spare keys": {broken, broken}, "spare config": {magic, ""},
		"snapshot1": {magic, ""}, "intent2": {magic, ""},
	} {
		for i, want := range wants {
			f := whole.clone(t)
			f.replace(t, f.names[role], flip(f.get(t, f.names[role]), []int{2, -1}[i]))
			var lines []string
			if want != "" {
				lines = []string{role + ": " + want}
			}
			report := f.checkWithoutKey(t, verify.Options{})
			wantLines(t, f.render(report), lines)
			for _, found := range report.Findings {
				if !strings.Contains(found.Hint, "with a key") {
					t.Errorf("%s: the hint is %q", role, found.Hint)
				}
			}
		}
	}
}

// A repository without a key is damaged: nobody can open it. What is not compared with
// its name is told.
func TestWithoutKeyOrAnyKey(t *testing.T) {
	f := newFixture(t).clone(t)
	for _, role := range []string{"keys", "spare keys"} {
		if report := f.checkWithoutKey(t, verify.Options{}); len(report.Findings) > 0 {
			t.Errorf("%+v", report.Findings)
		}
		if err := f.store.Delete(t.Context(), f.names[role]); err != nil {
			t.Fatal(err)
		}
	}
	report := f.checkWithoutKey(t, verify.Options{})
	if len(report.Findings) != 1 || report.Findings[0].Object != "keys/" || report.Findings[0].Unreadable {
		t.Errorf("%+v", report.Findings)
	}
	if want := []string{"config", "forgotten", "holds", "intents", "marks", "seen", "snapshots", "spares"}; !slices.Equal(report.LookedAt, want) {
		t.Errorf("only looked at: %q", report.LookedAt)
	}
}

func TestWithoutKeyMisplaced(t *testing.T) {
	whole := newFixture(t)
	f := whole.clone(t)
	damages["copy"](t, f, f.names["snapshot1"])
	damages["copy"](t, f, f.names["data1"])
	f.replace(t, f.names["intent1"], f.get(t, f.names["snapshot1"]))
	f.replace(t, f.names["dataindex1"], f.get(t, f.names["data1"]))
	f.replace(t, f.names["treeindex1"], newFixture(t).byRole(t, "treeindex1"))
	wantLines(t, f.render(f.checkWithoutKey(t, verify.Options{})), []string{
		"dataindex1: it is a data pack of mode 1, which does not belong in index/",
		"intent1: it is a snapshot of mode 1, which does not belong in intents/",
		"packs/#: " + broken,
		"snapshots/#: it belongs to session #",
		"treeindex1: it belongs to repository #, not to #",
	})
}

func (f *fixture) byRole(t *testing.T, role string) []byte {
	t.Helper()
	return f.get(t, f.names[role])
}
