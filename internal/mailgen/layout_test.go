package mailgen_test

import (
	"bytes"
	"fmt"
	"io"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"restante/internal/mailgen"
)

var (
	curName = regexp.MustCompile(`^(\d+)\.M(\d+)P(\d+)\.mail1,S=(\d+),W=(\d+):2,([A-Z]*[a-z]*)$`)
	newName = regexp.MustCompile(`^(\d+)\.M(\d+)P(\d+)\.mail1,S=(\d+),W=(\d+)$`)
)

// messageFiles returns the messages of a Maildir store.
func messageFiles(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"vmail/*/*/Maildir/cur/*", "vmail/*/*/Maildir/new/*", "vmail/*/*/Maildir/.*/cur/*", "vmail/*/*/Maildir/.*/new/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatal("no message files")
	}
	return files
}

func TestMaildirNames(t *testing.T) {
	dir := generate(t, mailgen.Options{Layout: mailgen.Maildir, Messages: 300, Mailboxes: 4, Seed: 1})
	files := messageFiles(t, dir)
	if len(files) != 300 {
		t.Errorf("%d message files, not 300", len(files))
	}
	fresh := 0
	for _, path := range files {
		shape := curName
		if filepath.Base(filepath.Dir(path)) == "new" {
			shape = newName
			fresh++
		}
		checkName(t, shape, path)
	}
	if fresh == 0 {
		t.Error("no new mail")
	}
	for _, name := range []string{
		"vmail/example.com/alice/Maildir/.Archive.2025/maildirfolder", "vmail/example.com/alice/Maildir/.&ZeVnLIqe-/cur",
		"vmail/example.com/alice/Maildir/subscriptions", "vmail/example.com/alice/Maildir/dovecot-keywords",
		"vmail/example.com/alice/.dovecot.sieve", "vmail/example.org/bruno/Maildir/tmp",
	} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func checkName(t *testing.T, shape *regexp.Regexp, path string) {
	t.Helper()
	parts := shape.FindStringSubmatch(filepath.Base(path))
	if parts == nil {
		t.Fatalf("message is called %q", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int]int64{1: info.ModTime().Unix(), 4: info.Size(), 5: info.Size() + int64(bytes.Count(data, []byte("\n")))} {
		if parts[i] != strconv.FormatInt(want, 10) {
			t.Errorf("name %q, want %d in place %d", path, want, i)
		}
	}
}

// Every message in cur has exactly one UID, and a folder's UIDs rise.
func TestUIDLists(t *testing.T) {
	dir := generate(t, mailgen.Options{Layout: mailgen.Maildir, Messages: 200, Mailboxes: 3, Seed: 2})
	for number := 1; number <= 3; number++ {
		if _, err := mailgen.Night(dir, mailgen.NightOptions{Layout: mailgen.Maildir, Number: number, Percent: 10, Seed: 2}); err != nil {
			t.Fatal(err)
		}
	}
	lists := map[string]map[string]bool{}
	for _, path := range messageFiles(t, dir) {
		sub := filepath.Dir(path)
		if filepath.Base(sub) == "new" {
			continue
		}
		folder := filepath.Dir(sub)
		if lists[folder] == nil {
			lists[folder] = readUIDs(t, filepath.Join(folder, "dovecot-uidlist"))
		}
		base, _, _ := strings.Cut(filepath.Base(path), ":2,")
		if !lists[folder][base] {
			t.Errorf("%q has no UID", path)
		}
	}
}

func readUIDs(t *testing.T, path string) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, lines, _ := strings.Cut(string(data), "\n")
	var validity, next int
	var guid string
	if _, err := fmt.Sscanf(head, "3 V%d N%d G%s", &validity, &next, &guid); err != nil || len(guid) != 32 {
		t.Fatalf("%q begins with %q: %v", path, head, err)
	}
	names, last := map[string]bool{}, 0
	for line := range strings.Lines(lines) {
		uid, name, found := strings.Cut(strings.TrimSuffix(line, "\n"), " :")
		n, err := strconv.Atoi(uid)
		if err != nil || !found || n <= last || n >= next {
			t.Fatalf("%q: UID line %q after UID %d, before %d", path, line, last, next)
		}
		base, _, _ := strings.Cut(name, ":2,")
		names[base], last = true, n
	}
	return names
}

// Copies of one mail have one body; their first headers are each their own.
func TestCopiesShareTheirBodies(t *testing.T) {
	dir := generate(t, mailgen.Options{Layout: mailgen.Maildir, Messages: 600, Mailboxes: 10, Seed: 4})
	bodies, wholes, deliveries := map[string]string{}, map[string]bool{}, map[string]int{}
	for _, path := range messageFiles(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		body, err := io.ReadAll(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		id := m.Header.Get("Message-ID")
		if old, ok := bodies[id]; ok && old != string(body) {
			t.Fatalf("two mails are called %s", id)
		}
		if wholes[string(data)] {
			t.Errorf("%q is there twice, byte for byte", path)
		}
		bodies[id], wholes[string(data)] = string(body), true
		if m.Header.Get("Delivered-To") != "" {
			deliveries[id]++
		}
	}
	several := 0
	for _, n := range deliveries {
		if n > 1 {
			several++
		}
	}
	if share := several * 100 / len(deliveries); share < 15 || share > 35 {
		t.Errorf("%d %% of the mails went to several mailboxes, not a quarter", share)
	}
}

func TestNightChangesAMaildir(t *testing.T) {
	dir := generate(t, mailgen.Options{Layout: mailgen.Maildir, Messages: 1000, Mailboxes: 5, Seed: 6})
	before := messageFiles(t, dir)
	r, err := mailgen.Night(dir, mailgen.NightOptions{Layout: mailgen.Maildir, Number: 1, Percent: 3, Seed: 6})
	if err != nil {
		t.Fatal(err)
	}
	if r.Messages != 30 || r.Flagged == 0 || r.Moved == 0 || r.Deleted == 0 {
		t.Errorf("a night of 3 %% on 1000 messages: %+v", r)
	}
	after := messageFiles(t, dir)
	if want := len(before) + r.Messages - r.Deleted; len(after) != want {
		t.Errorf("%d messages after the night, not %d", len(after), want)
	}
	known := map[string]bool{}
	for _, path := range before {
		known[path] = true
	}
	fresh := 0
	for _, path := range after {
		if !known[path] {
			fresh++
		}
	}
	if want := r.Messages + r.Moved + r.Flagged; fresh != want {
		t.Errorf("%d names are new, not %d", fresh, want)
	}
}

// splitMbox returns the messages of an mbox file, their "From " lines cut off.
func splitMbox(t *testing.T, data []byte) [][]byte {
	t.Helper()
	if !bytes.HasPrefix(data, []byte("From ")) || !bytes.HasSuffix(data, []byte("\n\n")) {
		t.Fatalf("an mbox of %d bytes begins with %.20q", len(data), data)
	}
	var messages [][]byte
	for _, m := range bytes.Split(data[:len(data)-1], []byte("\n\nFrom ")) {
		_, m, _ = bytes.Cut(m, []byte("\n"))
		messages = append(messages, m)
	}
	return messages
}

func countMboxes(t *testing.T, dir string) (messages, files int) {
	t.Helper()
	for _, pattern := range []string{"mail/*", "home/*/mail/*", "home/*/mail/archive/*"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				continue // a directory
			}
			files++
			for _, m := range splitMbox(t, data) {
				messages++
				parsed, err := mail.ReadMessage(bytes.NewReader(m))
				if err != nil {
					t.Fatalf("%q: %v", path, err)
				}
				if parsed.Header.Get("Message-ID") == "" || parsed.Header.Get("Status") == "" {
					t.Fatalf("%q: a message without Message-ID or Status: %v", path, parsed.Header)
				}
			}
		}
	}
	return messages, files
}

func TestMboxStore(t *testing.T) {
	dir := generate(t, mailgen.Options{Layout: mailgen.Mbox, Messages: 600, Mailboxes: 4, Seed: 9})
	messages, files := countMboxes(t, dir)
	if messages != 600 || files < 8 {
		t.Errorf("%d messages in %d files, not 600 in at least 8", messages, files)
	}
	r, err := mailgen.Night(dir, mailgen.NightOptions{Layout: mailgen.Mbox, Number: 1, Percent: 5, Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	if r.Messages != 30 || r.Flagged == 0 || r.Deleted == 0 {
		t.Errorf("a night of 5 %% on 600 messages: %+v", r)
	}
	after, _ := countMboxes(t, dir)
	if want := messages + r.Messages - r.Deleted; after != want {
		t.Errorf("%d messages after the night, not %d", after, want)
	}
}
