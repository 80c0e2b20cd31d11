package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	var s sizes
	if err := s.Set("10,200,3000"); err != nil || !slices.Equal(s, sizes{10, 200, 3000}) || s.String() != "10,200,3000" {
		t.Errorf("%v, %v", s, err)
	}
	if err := s.Set("7"); err != nil || !slices.Equal(s, sizes{7}) {
		t.Errorf("the second time %v, %v", s, err)
	}
	for _, text := range []string{"", "0", "-1", "10,10", "20,10", "10,", "10 20", "ten"} {
		if err := s.Set(text); err == nil {
			t.Errorf("%q is read as %v", text, s)
		}
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	p := newTable(&out, []string{"a", "b", "c"})
	values := []float64{2, 1, math.NaN()}
	p.row("times", "%.1f s", func(i int) float64 { return values[i] })
	p.row("nothing", "%.0f", func(i int) float64 { return float64(i) })
	want := `|  | a | b | c | b ÷ a | c ÷ a |
|---|--:|--:|--:|--:|--:|
| times | 2.0 s | 1.0 s | – | 0.50 | – |
| nothing | 0 | 1 | 2 | – | – |
`
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", &out, want)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []int64
		want   int64
	}{{nil, 0}, {[]int64{5}, 5}, {[]int64{9, 1, 5}, 5}, {[]int64{9, 1, 5, 7}, 5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %d, not %d", c.values, got, c.want)
		}
	}
	nights := []told{{read: 9}, {read: 4}, {read: 7}}
	if got := medianOf(nights, func(n told) int64 { return n.read }); got != 7 {
		t.Errorf("median of the nights is %v, not 7", got)
	}
}

func TestReadTold(t *testing.T) {
	out := &output{}
	out.stdout.WriteString(`{"snapshot": "12", "unlisted": 41}`)
	out.stderr.WriteString("new       a/cur/1\nunchanged a/cur/2\nwarning: of something\nchanged   a/dovecot-uidlist\nnewer is no change\n")
	if got, err := readTold(out); err != nil || got != (told{read: 3, unlisted: 41}) {
		t.Errorf("read %+v, %v", got, err)
	}
	for _, text := range []string{"", "snapshot 12", `{"snapshot": "12"}`} {
		out.stdout.Reset()
		out.stdout.WriteString(text)
		if got, err := readTold(out); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWeigh(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"packs/00/00": "restante" + "p" + "0123456", "packs/00/01": "restante" + "t" + "01", "index/02": "restante" + "i", "README": "p",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	before, err := weigh(dir)
	if want := (weight{bytes: 16 + 11 + 9 + 1, data: 16}); err != nil || before != want {
		t.Errorf("weighs %+v, %v, not %+v", before, err, want)
	}
	write(t, filepath.Join(dir, "packs/03/03"), "restante"+"p")
	write(t, filepath.Join(dir, "index/04"), "restante"+"i")
	after, err := weigh(dir)
	if want := (weight{bytes: 18, data: 9}); err != nil || after.minus(before) != want {
		t.Errorf("grew by %+v, %v, not %+v", after.minus(before), err, want)
	}
}

func TestMessageFolders(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/cur/new", "a/new/1", "a/tmp/1", "a/.Sent/cur/1"} {
		write(t, filepath.Join(dir, name), "")
	}
	if n, err := messageFolders(dir); err != nil || n != 3 {
		t.Errorf("%d folders of messages, %v, not 3", n, err)
	}
}

// A kept store is taken up with its nights; what is not whole is not touched.
func TestKeptStores(t *testing.T) {
	made := filepath.Join(t.TempDir(), "kept")
	write(t, filepath.Join(made, "vmail", "a"), "")
	if _, err := livingMaildirs(made, true); err == nil {
		t.Error("half a store is taken up")
	}
	write(t, filepath.Join(made, "nights"), "4")
	if l, err := livingMaildirs(made, true); err != nil || l.passed != 4 || l.dir != filepath.Join(made, "vmail") {
		t.Errorf("taken up as %+v, %v", l, err)
	}
	write(t, filepath.Join(made, "nights"), "many")
	if _, err := livingMaildirs(made, true); err == nil {
		t.Error("a number of nights that is none is taken")
	}
}

func TestModes(t *testing.T) {
	o := options{nights: true, mbox: 1, curve: sizes{1}, memory: sizes{1}, deliver: 1, upkeep: 1}
	if n := len(o.modes()); n != 6 {
		t.Errorf("%d modes, not 6", n)
	}
	for _, m := range o.modes() {
		if m.tools[0].peer {
			t.Errorf("%s comes first, to which the others are compared", m.tools[0].name)
		}
		for _, tool := range (options{}).available(os.Stderr, m.tools) {
			if tool.peer {
				t.Errorf("%s is measured, but no peers are wanted", tool.name)
			}
		}
	}
}

// The same changes in as many mailboxes need as many in the smallest store.
func TestCurveNeedsMailboxes(t *testing.T) {
	o := options{curve: sizes{5000, 10_000}, changed: 10, mailboxSize: 1000}
	err := measureCurve(os.Stdout, os.Stderr, nil, t.TempDir(), o)
	if err == nil || !strings.Contains(err.Error(), "5 mailboxes") {
		t.Errorf("ten of five mailboxes: %v", err)
	}
}

// The second store of --deliver is another one than the first.
func TestDeliverNeedsMessages(t *testing.T) {
	err := measureDeliveries(os.Stdout, os.Stderr, nil, t.TempDir(), options{deliver: 999})
	if err == nil || !strings.Contains(err.Error(), "two mailboxes") {
		t.Errorf("999 messages: %v", err)
	}
}

func TestPrintCurve(t *testing.T) {
	var stores []*sleepers
	for i := range 2 {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "cur", "1"), "")
		x := &sleeper{tool: telling("restante"), figures: newFigures(), grown: []weight{{bytes: 5 << 20, data: 3 << 20}}, told: []told{{read: 12}}}
		x.times[aNight] = []time.Duration{time.Duration(i+1) * time.Second}
		x.cpu[aNight] = []time.Duration{time.Duration(i+3) * time.Second}
		stores = append(stores, &sleepers{living: &living{store: store{dir: dir}, look: []string{"find"}}, all: []*sleeper{x}})
	}
	var out strings.Builder
	if err := printCurve(&out, stores, options{curve: sizes{10, 20}, changes: 100, changed: 7}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"### A night of 100 new messages, 100 flag changes, 30 moves and 30 deletions in 7 mailboxes,",
		"|  | 10 messages | 20 messages | 20 messages ÷ 10 messages |\n",
		"key file: a night | 1.00 s | 2.00 s | 2.00 |\n", "user and system | 3.00 s | 4.00 s | 1.33 |\n",
		"stored by a night, KiB | 5120 | 5120 | 1.00 |\n", "metadata of that, KiB | 2048 | 2048 | 1.00 |\n",
		"files read | 12 | 12 | 1.00 |\n", "folders listed | 1 | 1 | 1.00 |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &out)
		}
	}
}

// What a peer cannot do has no figure.
func TestPrintUpkeep(t *testing.T) {
	var all []*upkept
	for i, name := range []string{"a", "b"} {
		u := &upkept{sleeper: &sleeper{tool: tool{name: name}, figures: newFigures()}, room: weight{bytes: 9 << 20}, left: []weight{{bytes: 3 << 20}}}
		u.times[forgetNights] = []time.Duration{time.Duration(i+1) * time.Second}
		all = append(all, u)
	}
	all[0].times[withBackups], all[0].backups = []time.Duration{4 * time.Second}, []int64{5}
	var out strings.Builder
	printUpkeep(&out, store{name: "Maildirs"}, all, 30)
	for _, want := range []string{
		"### 30 nights over Maildirs, of which a week is left\n", "| forget to a week and prune | 1.00 s | 2.00 s | 2.00 |\n",
		"| the same, backups meanwhile | 4.00 s | – | – |\n", "| repository before, MiB | 9.0 | 9.0 | 1.00 |\n",
		"| repository after, MiB | 3.0 | 3.0 | 1.00 |\n", "| backups that ended meanwhile | 5 | – | – |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &out)
		}
	}
}
