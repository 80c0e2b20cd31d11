package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"restante/snapshot"
)

func TestBetweenIsWhatNoRangeCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	letter := func() snapshot.Key { return snapshot.Key(rune('a' + rng.IntN(10))) }
	for range 2000 {
		var ranges []snapshot.Range
		for range rng.IntN(5) {
			r := snapshot.Range{From: letter(), To: letter()}
			switch {
			case r.From == r.To:
				continue
			case r.From > r.To:
				r.From, r.To = r.To, r.From
			}
			if rng.IntN(8) == 0 {
				r.To = ""
			}
			if rng.IntN(8) == 0 {
				r.From = ""
			}
			ranges = append(ranges, r)
		}
		given := fmt.Sprint(ranges)
		rest := between(ranges)
		for _, k := range []snapshot.Key{"", "a", "b", "bb", "c", "d", "dx", "e", "f", "g", "h", "i", "j", "zz"} {
			n := 0
			for _, r := range append(ranges[:len(ranges):len(ranges)], rest...) {
				if r.Contains(k) {
					n++
				}
			}
			inRest := 0
			for _, r := range rest {
				if r.Contains(k) {
					inRest++
				}
			}
			if n == 0 || inRest > 1 || inRest == 1 && n > 1 {
				t.Fatalf("key %q: ranges %s and what is between, %v, hold it %d times", k, given, rest, n)
			}
		}
	}
}

func TestCountsNeverFallBelowNought(t *testing.T) {
	got := minus(snapshot.Counts{Entries: 5, Files: 1, Bytes: 7}, snapshot.Counts{Entries: 2, Files: 3, Bytes: 7, Unsaved: 1})
	if want := (snapshot.Counts{Entries: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestSnapshotTable(t *testing.T) {
	of := func(id string, s snapshot.Snapshot) listed { return listed{id: strings.Repeat(id, 16), record: &s} }
	one := of("ab", snapshot.Snapshot{Store: "st\x1bore"})
	two := of("cd", snapshot.Snapshot{Store: "b", Shrunk: true, Tree: snapshot.Root{Counts: snapshot.Counts{Unsaved: 1200}}})
	twin := of("ab", snapshot.Snapshot{})
	twin.id = twin.id[:10] + "0" + twin.id[11:]
	if n := digits([]listed{one, two}); n != 8 {
		t.Errorf("%d digits tell two IDs apart", n)
	}
	if n := digits([]listed{one, two, twin}); n != 11 {
		t.Errorf("%d digits tell IDs apart that are the same in ten", n)
	}
	var b bytes.Buffer
	if err := snapshotTable([]listed{one, two}, 8).Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`st\x1bore`, "incomplete: 1,200 unsaved, shrunk\n", "Marks\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	for _, not := range []string{"Tags", "Description", "Host", "\x1b"} {
		if strings.Contains(b.String(), not) {
			t.Errorf("%q is in\n%s", not, b.String())
		}
	}
}

// New and removed messages are shown of snapshots that were compared with the one before.
func TestComparedWithAnOlderSnapshot(t *testing.T) {
	of := func(id byte, parent byte, store string) listed {
		s := listed{id: strings.Repeat(fmt.Sprintf("%02x", id), 16), record: &snapshot.Snapshot{Store: store}}
		s.record.Run.NewMessages = 1234
		copy(s.record.Parent[:], bytes.Repeat([]byte{parent}, 16))
		return s
	}
	all := []listed{of(1, 0, "a"), of(2, 0, "b"), of(3, 1, "a"), of(4, 2, "b"), of(5, 1, "a"), of(6, 5, "a"), of(7, 99, "a")}
	markOvertaken(all)
	for i, want := range []string{"–", "–", "1,234", "1,234", "–", "1,234", "1,234"} {
		if got := all[i].compared(1234); got != want {
			t.Errorf("snapshot %d shows %q as new, want %q", i+1, got, want)
		}
	}
}

func TestModes(t *testing.T) {
	for want, e := range map[string]snapshot.Entry{
		"-rw-r-----": {Kind: snapshot.File, Mode: 0o640},
		"drwxrws--T": {Kind: snapshot.Dir, Mode: 0o3770},
		"-rwsr-Sr-t": {Kind: snapshot.File, Mode: 0o7745},
		"srwxrwxrwx": {Kind: snapshot.Socket, Mode: 0o777},
		"b---------": {Kind: snapshot.BlockDevice},
		"?r--------": {Kind: snapshot.Unsaved, Mode: 0o400},
	} {
		if got := modeString(&e); got != want {
			t.Errorf("mode %o of a %v is %s, want %s", e.Mode, e.Kind, got, want)
		}
	}
}

func TestEntriesOfHostileSnapshots(t *testing.T) {
	unsaved := snapshot.Record{Key: "a\x00cur\x00b\nc", Entry: snapshot.Entry{Kind: snapshot.Unsaved, Reason: "\x1b[2J",
		Mtime: snapshot.Time{Sec: 1 << 50}}}
	for _, line := range []string{messageLine(&unsaved), rawLine(&unsaved)} {
		if strings.ContainsAny(line, "\x1b\n") || !strings.Contains(line, `unsaved: \x1b[2J`) || !strings.Contains(line, `b\nc`) {
			t.Errorf("line %q", line)
		}
	}
	if got := infoOf(&unsaved); got.Time == "" || got.Kind != "unsaved" {
		t.Errorf("%+v", got)
	}
}
