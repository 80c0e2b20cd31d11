package backup_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/message"
	"restante/repo"
	"restante/snapshot"
)

// numbered returns a message whose subject is its number, and whose body is long
// enough to be a piece of its own if n is even.
func numbered(n int) string {
	body := "hello\n"
	if n%2 == 0 {
		body = letter(uint64(n), 2000)
	}
	return fmt.Sprintf("From: a@example.org\nMessage-ID: <%d@example.org>\nDate: Mon, 5 Jan 2026 10:11:12 +0100\nSubject: %d\n\n%s", n, n, body)
}

// TestMessagesOfEachKindOfFile finds the messages in every kind of file, with
// what a list shows of them, from recipes and head pieces alone.
func TestMessagesOfEachKindOfFile(t *testing.T) {
	const from = "From a@example.org Mon Jan  5 10:11:12 2026\n"
	f := newFixture(t)
	f.maildir("alice/Maildir", 0)
	frame := func(msg string) string {
		return fmt.Sprintf("\x01\x02N          %016X\n%s\n\x01\x03\nR6b022e39\nV1f0\n\n", len(msg), msg)
	}
	notes := "From MAILER-DAEMON Mon Jan  5 10:11:12 2026\nX-IMAP: 1 2\nSubject: notes\n\nof the folder\n\n"
	quoting := fmt.Sprintf("Content-Length: %d\n%s", len("hello\n\n"+from+"\nbye\n"), "Subject: 7\n\nhello\n\n"+from+"\nbye\n")
	long := ""
	for n := range 300 {
		long += from + numbered(n) + "\n"
	}
	large := "Subject: 6\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(letter(6, 100_000)))
	files := map[string]struct {
		text     string
		subjects []string
		starts   string // of each message
	}{
		"alice/Maildir/cur/1.a:2,S": {numbered(1), []string{"1"}, "From: "},
		"alice/Maildir/cur/2.a:2,S": {large, []string{"6"}, "Subject: "},
		"alice/Maildir/cur/3.a:2,S": {"hello\n", []string{""}, "hello"},
		"alice/Maildir/cur/4.a:2,S": {"Subject: 9\n" + strings.Repeat("A: b\n", 60_000) + "\nhello\n", []string{"9"}, "Subject: 9"},
		"bob/mail/inbox":            {from + numbered(1) + "\n" + from + numbered(2) + "\n" + from + large + "\n", []string{"1", "2", "6"}, "From "},
		"bob/mail/notes":            {notes + from + numbered(2) + "\n" + from + numbered(1), []string{"2", "1"}, "From a@"},
		"bob/mail/quoting":          {"\n" + from + quoting + "\n" + from + numbered(3) + "\n", []string{"7", "3"}, "From "},
		"bob/mail/long":             {long, nil, "From "},
		"bob/mail/8.eml":            {numbered(8), []string{"8"}, "From: "},
		"carol/mdbox/storage/m.1":   {"2 M1e C6b022e39\n" + frame(numbered(4)) + frame(numbered(5)), []string{"4", "5"}, "From: "},
	}
	for path, file := range files {
		f.write(path, file.text)
	}
	entries, src := f.entries(f.clean()), f.open()
	for path, file := range files {
		e := entries[path]
		if file.subjects == nil {
			for n := range 300 {
				file.subjects = append(file.subjects, fmt.Sprint(n))
			}
		}
		subjects := subjectsOf(t, src, path, &e, file.text, file.starts)
		if !slices.Equal(subjects, file.subjects) {
			t.Errorf("%s: messages %q, want %q", path, subjects, file.subjects)
		}
		counted := !strings.HasSuffix(path, ".eml") // which is mail that somebody keeps beside mboxes
		if counted && e.Messages != uint64(len(subjects)) || !counted && e.Messages != 0 {
			t.Errorf("%s: %d messages are counted, %d found", path, e.Messages, len(subjects))
		}
	}
	f.identical(f.clean())
}

// subjectsOf lists the messages of a file that holds text, each of which begins
// with starts. They follow each other up to the end of the file.
func subjectsOf(t *testing.T, src *repo.Repository, path string, e *snapshot.Entry, text, starts string) (subjects []string) {
	t.Helper()
	end := uint64(0)
	for m, err := range snapshot.Messages(t.Context(), src, e) {
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if len(subjects) > 0 && m.Offset != end {
			t.Errorf("%s: a message at %d, and the one before ends at %d", path, m.Offset, end)
		}
		end = m.Offset + m.Size
		if !strings.HasPrefix(text[m.Offset:], starts) {
			t.Errorf("%s: a message begins with %.40q", path, text[m.Offset:])
		}
		subject := ""
		if m.Head.Size > 0 {
			subject = envelope(t, src, m.Head.ID).Subject
		}
		subjects = append(subjects, subject)
	}
	if end != uint64(len(text)) {
		t.Errorf("%s: the last message ends at %d of %d", path, end, len(text))
	}
	return subjects
}

// envelope reads one piece.
func envelope(t *testing.T, src *repo.Repository, id blob.ID) message.Envelope {
	t.Helper()
	places, err := src.Places(t.Context(), []blob.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := src.Clump(t.Context(), nil, places[0].Clump)
	if err != nil {
		t.Fatal(err)
	}
	head, err := src.Piece(raw, id, places[0])
	if err != nil {
		t.Fatal(err)
	}
	return message.EnvelopeOf(head)
}

// TestOneLineIsThePartThatOthersWrap has an attachment in lines, in one endless
// line, and in one that is broken.
func TestOneLineIsThePartThatOthersWrap(t *testing.T) {
	data := make([]byte, 2<<20)
	rand.NewChaCha8([32]byte{9}).Read(data)
	chars := base64.StdEncoding.EncodeToString(data)
	var wrapped strings.Builder
	for line := range slices.Chunk([]byte(chars), 76) {
		wrapped.WriteString(string(line) + "\r\n")
	}
	const head = "From: a@example.org\r\nSubject: %d\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: application/x-thing\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	f := newFixture(t)
	f.maildir("alice/Maildir", 0)
	for n, body := range []string{wrapped.String(), chars + "\r\n", chars[:1<<20] + "!" + chars[1<<20:] + "\r\n", chars} {
		f.write(fmt.Sprintf("alice/Maildir/cur/%d.a:2,S", n), fmt.Sprintf(head, n)+body+"--b--\r\n")
	}
	r := f.clean()
	entries := f.entries(r)
	_, want := ids(entries["alice/Maildir/cur/0.a:2,S"])
	if _, got := ids(entries["alice/Maildir/cur/1.a:2,S"]); !slices.Equal(got, want) || len(got) < 2 {
		t.Errorf("in one line it has %d pieces, which are not the %d of the lines", len(got), len(want))
	}
	if _, got := ids(entries["alice/Maildir/cur/2.a:2,S"]); len(got) == 0 {
		t.Error("what comes before a bad character is not decoded")
	}
	f.identical(r)
}
