package mailgen_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restante/internal/mailgen"
)

// night lets a night pass over a store of small messages.
func night(t *testing.T, dir string, o mailgen.NightOptions) mailgen.Report {
	t.Helper()
	o.Small = true
	r, err := mailgen.Night(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The numbers of a night are exact, whatever the store's size and however many take part.
func TestExactChanges(t *testing.T) {
	for _, layout := range []mailgen.Layout{mailgen.Maildir, mailgen.Mbox} {
		for _, o := range []mailgen.NightOptions{{Changes: 1}, {Changes: 30}, {Changes: 30, Mailboxes: 3}, {Changes: 101, Mailboxes: 6}} {
			t.Run(fmt.Sprintf("%s %d in %d", layout, o.Changes, o.Mailboxes), func(t *testing.T) {
				dir := generate(t, mailgen.Options{Layout: layout, Messages: 400, Mailboxes: 6, Seed: 3, Small: true})
				o.Layout, o.Seed = layout, 3
				for o.Number = 1; o.Number <= 3; o.Number++ {
					checkChanges(t, night(t, dir, o), o)
				}
			})
		}
	}
}

func checkChanges(t *testing.T, r mailgen.Report, o mailgen.NightOptions) {
	t.Helper()
	rare := o.Changes * 3 / 10
	want := mailgen.Report{Messages: o.Changes, Bytes: r.Bytes, Flagged: o.Changes, Moved: rare, Deleted: rare}
	if o.Layout == mailgen.Mbox {
		want.Moved, want.Deleted = 0, 2*rare
	}
	if r != want {
		t.Errorf("night %d: %+v, not %+v", o.Number, r, want)
	}
}

// As many messages as are asked for come to the inbox of each mailbox that takes
// part, and nothing else changes.
func TestDeliver(t *testing.T) {
	for _, layout := range []mailgen.Layout{mailgen.Maildir, mailgen.Mbox} {
		t.Run(string(layout), func(t *testing.T) {
			dir := generate(t, mailgen.Options{Layout: layout, Messages: 300, Mailboxes: 6, Seed: 4, Small: true, Inbox: true})
			before := messagesByInbox(t, layout, dir)
			for number := 1; number <= 2; number++ {
				r := night(t, dir, mailgen.NightOptions{Layout: layout, Number: number, Deliver: 5, Mailboxes: 4, Seed: 4})
				if want := (mailgen.Report{Messages: 20, Bytes: r.Bytes}); r != want {
					t.Errorf("night %d: %+v, not %+v", number, r, want)
				}
			}
			grown, all := 0, 0
			for inbox, n := range messagesByInbox(t, layout, dir) {
				all += n
				switch n - before[inbox] {
				case 10:
					grown++
				case 0:
				default:
					t.Errorf("%s has %d messages, and had %d", inbox, n, before[inbox])
				}
			}
			if grown != 4 || all != 340 {
				t.Errorf("%d mailboxes grew, and all have %d messages", grown, all)
			}
		})
	}
}

// messagesByInbox counts the messages of each mailbox, which all lie in its inbox.
func messagesByInbox(t *testing.T, layout mailgen.Layout, dir string) map[string]int {
	t.Helper()
	count := map[string]int{}
	if layout == mailgen.Mbox {
		files, err := filepath.Glob(filepath.Join(dir, "mail", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			count[path] = len(splitMbox(t, text))
		}
		return count
	}
	for _, path := range messageFiles(t, dir) {
		inbox := filepath.Dir(filepath.Dir(path))
		if filepath.Base(inbox) != "Maildir" {
			t.Errorf("%s lies in no inbox", path)
		}
		count[inbox]++
	}
	return count
}

// What a night reports is what is found on disk.
func TestExactChangesOnDisk(t *testing.T) {
	dir := generate(t, mailgen.Options{Layout: mailgen.Maildir, Messages: 1000, Mailboxes: 5, Seed: 6, Small: true})
	before := map[string]string{} // folder by the name without flags
	names := map[string]bool{}
	for _, path := range messageFiles(t, dir) {
		base, _, _ := strings.Cut(filepath.Base(path), ":2,")
		before[base] = filepath.Dir(filepath.Dir(path))
		names[filepath.Base(path)] = true
	}
	night(t, dir, mailgen.NightOptions{Layout: mailgen.Maildir, Number: 1, Changes: 100, Seed: 6})
	var came, flagged, moved, stayed int
	for _, path := range messageFiles(t, dir) {
		base, _, _ := strings.Cut(filepath.Base(path), ":2,")
		folder, known := before[base]
		switch {
		case !known:
			came++
		case folder != filepath.Dir(filepath.Dir(path)):
			moved++
		case !names[filepath.Base(path)]:
			flagged++
		default:
			stayed++
		}
	}
	if came != 100 || flagged != 100 || moved != 30 || stayed != 1000-160 {
		t.Errorf("%d came, %d flagged, %d moved, %d as they were", came, flagged, moved, stayed)
	}
}

// statuses returns the X-Status of each message of an mbox store, by its identity.
func statuses(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name := range digest(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(data) == 0 {
			continue // a directory, or all was expunged
		}
		for i, text := range splitMbox(t, data) {
			m, err := mail.ReadMessage(bytes.NewReader(text))
			if err != nil {
				t.Fatalf("message %d of %q: %v", i, name, err)
			}
			all[name+m.Header.Get("Message-ID")+m.Header.Get("Delivered-To")] = m.Header.Get("X-Status")
		}
	}
	return all
}

// In an mbox too as many flags change as a night reports, when most have changed before.
func TestExactFlagsInMboxes(t *testing.T) {
	dir := generate(t, mailgen.Options{Layout: mailgen.Mbox, Messages: 200, Mailboxes: 3, Seed: 3, Small: true})
	for number := 1; number <= 3; number++ {
		before := statuses(t, dir)
		r := night(t, dir, mailgen.NightOptions{Layout: mailgen.Mbox, Number: number, Changes: 100, Seed: 3})
		changed := 0
		for id, status := range statuses(t, dir) {
			if old, known := before[id]; known && old != status {
				changed++
			}
		}
		if changed != r.Flagged {
			t.Errorf("night %d: %d flags changed, reported are %d", number, changed, r.Flagged)
		}
	}
}

// Each night has its own messages to change, not those at the same places again.
func TestNightsDiffer(t *testing.T) {
	o := mailgen.Options{Layout: mailgen.Maildir, Messages: 300, Mailboxes: 3, Seed: 7, Small: true}
	var gone [2]map[string]bool
	for i := range gone {
		dir := generate(t, o)
		before := messageFiles(t, dir)
		night(t, dir, mailgen.NightOptions{Layout: o.Layout, Number: i + 1, Changes: 30, Seed: 7})
		gone[i] = map[string]bool{}
		for _, path := range before {
			if _, err := os.Stat(path); err != nil {
				name, _ := filepath.Rel(dir, path)
				gone[i][name] = true
			}
		}
	}
	if maps.Equal(gone[0], gone[1]) {
		t.Error("two nights change the same messages")
	}
}

func TestSameChangesOnSameStores(t *testing.T) {
	for _, layout := range []mailgen.Layout{mailgen.Maildir, mailgen.Mbox} {
		t.Run(string(layout), func(t *testing.T) {
			o := mailgen.Options{Layout: layout, Messages: 300, Mailboxes: 5, Seed: 7, Small: true, Even: true}
			a, b := generate(t, o), generate(t, o)
			compare(t, digest(t, a), digest(t, b))
			for number := 1; number <= 2; number++ {
				n := mailgen.NightOptions{Layout: layout, Number: number, Changes: 40, Mailboxes: 2, Seed: 7}
				night(t, a, n)
				night(t, b, n)
				compare(t, digest(t, a), digest(t, b))
			}
		})
	}
}

// As many mailboxes as were asked for change, far apart, and nothing in the
// others does. In those that change, changes are everywhere.
func TestChangesAreSpread(t *testing.T) {
	for _, messages := range []int{1200, 3600} {
		mailboxes := messages / 100
		dir := generate(t, mailgen.Options{Layout: mailgen.Maildir, Messages: messages, Mailboxes: mailboxes, Seed: 2, Small: true, Even: true})
		homes, err := filepath.Glob(filepath.Join(dir, "vmail", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		before := make([]map[string]string, len(homes))
		for i, home := range homes {
			before[i] = digest(t, home)
		}
		night(t, dir, mailgen.NightOptions{Layout: mailgen.Maildir, Number: 1, Changes: 100, Mailboxes: 4, Seed: 2})
		var places []int
		for i, home := range homes {
			changed := changedFolders(before[i], digest(t, home))
			if changed > 0 {
				places = append(places, i)
			}
			if changed > 0 && changed < 7 {
				t.Errorf("of %q only %d folders changed", home, changed)
			}
		}
		if len(places) != 4 {
			t.Fatalf("of %d mailboxes %v changed, not four", mailboxes, places)
		}
		for i := range places[1:] {
			if apart := places[i+1] - places[i]; apart != mailboxes/4 {
				t.Errorf("of %d mailboxes %v changed, which are not evenly apart", mailboxes, places)
			}
		}
	}
}

// In an mbox store too, what does not take part stays as it is.
func TestChangedMboxes(t *testing.T) {
	dir := generate(t, mailgen.Options{Layout: mailgen.Mbox, Messages: 600, Mailboxes: 12, Seed: 2, Small: true, Even: true})
	before := digest(t, dir)
	night(t, dir, mailgen.NightOptions{Layout: mailgen.Mbox, Number: 1, Changes: 60, Mailboxes: 3, Seed: 2})
	users := map[string]bool{}
	for name, line := range digest(t, dir) {
		if parts := strings.Split(name, "/"); len(parts) > 1 && before[name] != line {
			users[parts[1]] = true
		}
	}
	homes, err := os.ReadDir(filepath.Join(dir, "home"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{homes[2].Name(): true, homes[6].Name(): true, homes[10].Name(): true}
	if !maps.Equal(users, want) {
		t.Errorf("of %v changed, not %v", users, want)
	}
}

// changedFolders counts the cur and new of a home that differ.
func changedFolders(a, b map[string]string) int {
	n := 0
	for name, line := range a {
		if base := filepath.Base(name); (base == "cur" || base == "new") && b[name] != line {
			n++
		}
	}
	return n
}

// Even mail makes mailboxes alike; else some have several times as much as others.
func TestEvenMailboxes(t *testing.T) {
	for _, even := range []bool{false, true} {
		dir := generate(t, mailgen.Options{Layout: mailgen.Maildir, Messages: 3000, Mailboxes: 10, Seed: 5, Small: true, Even: even})
		each := map[string]int{}
		for _, path := range messageFiles(t, dir) {
			name, _ := filepath.Rel(dir, path)
			each[strings.Join(strings.Split(name, "/")[:3], "/")]++
		}
		least, most := 3000, 0
		for _, n := range each {
			least, most = min(least, n), max(most, n)
		}
		if alike := most < 2*least; alike != even {
			t.Errorf("even %v: mailboxes have %d to %d messages", even, least, most)
		}
	}
}

// What cannot be is refused before anything is changed.
func TestRefusedChanges(t *testing.T) {
	dir := generate(t, mailgen.Options{Layout: mailgen.Maildir, Messages: 100, Mailboxes: 4, Seed: 1, Small: true})
	before := digest(t, dir)
	for _, o := range []mailgen.NightOptions{
		{Number: 1, Changes: 10, Percent: 1},
		{Number: 1, Changes: -1},
		{Number: 1, Changes: -1, Percent: 1},
		{Number: 1, Changes: 10, Mailboxes: 5},
		{Number: 1, Changes: 10, Mailboxes: -1},
		{Number: 1, Changes: 10, Deliver: 1},
		{Number: 1, Deliver: -1},
		{Number: 1, Deliver: 1, Mailboxes: 5},
		{Number: 1, Changes: 64}, // 102 messages with the 19 moved and the 19 deleted
	} {
		o.Layout, o.Small = mailgen.Maildir, true
		if r, err := mailgen.Night(dir, o); err == nil {
			t.Errorf("%+v: %+v", o, r)
		}
		compare(t, before, digest(t, dir))
	}
	night(t, dir, mailgen.NightOptions{Layout: mailgen.Maildir, Number: 1, Changes: 63})
}

func TestGrowMbox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox")
	grow := func(path string, number int, bytes int64) []byte {
		t.Helper()
		before, _ := os.ReadFile(path)
		r, err := mailgen.GrowMbox(path, mailgen.GrowOptions{Bytes: bytes, Number: number, Seed: 4})
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(after), string(before)) || int64(len(after)-len(before)) != r.Bytes || r.Bytes < bytes {
			t.Fatalf("an mbox of %d bytes grew to %d by %+v, not %d", len(before), len(after), r, bytes)
		}
		if n := len(splitMbox(t, after[len(before):])); n != r.Messages {
			t.Errorf("%d messages came, reported are %d", n, r.Messages)
		}
		return after
	}
	first := grow(path, 0, 3<<20)
	second := grow(path, 1, 1<<18)
	other := filepath.Join(t.TempDir(), "inbox")
	if string(grow(other, 0, 3<<20)) != string(first) || string(grow(other, 1, 1<<18)) != string(second) {
		t.Error("two mboxes that grew alike differ")
	}
	if !strings.Contains(string(first), "Content-Transfer-Encoding: base64") {
		t.Error("no attachments")
	}
	if strings.Contains(string(first), string(second[len(first):len(first)+1000])) {
		t.Error("what came is what was there")
	}
	for _, o := range []mailgen.GrowOptions{{}, {Bytes: 1, Number: -1}} {
		if _, err := mailgen.GrowMbox(path, o); err == nil {
			t.Errorf("GrowMbox accepted %+v", o)
		}
	}
}
