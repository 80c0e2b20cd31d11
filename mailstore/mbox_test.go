package mailstore_test

import (
	"fmt"
	"strings"
	"testing"

	"restante/mailstore"
)

const fromLine = "From alice@example.com Mon Jan  5 10:11:12 2026\n"

func TestLooksLikeMbox(t *testing.T) {
	for head, want := range map[string]bool{
		fromLine + "Subject: x\n":                                  true,
		"From MAILER-DAEMON Fri Jul  8 12:08:34 2011\r\nX-IMAP: 1": true,
		"From - Fri Jul 08 12:08:34 2011\n":                        true,
		"From ???@??? Fri Jul 08 12:08 +0200 1999\n":               true,
		"\n\n" + fromLine:                                          true,
		"From alice Fri, 8 Jul 2011 12:08:34 +0200\n":              true,
		"From here on it goes down\n":                              false,
		"From: alice@example.com\nDate: 10:11:12 2026\n":           false,
		"Return-Path: <>\n" + fromLine:                             false,
		"From alice@example.com Mon Jan  5 10:11:12 2026":          false,
		"From x 10:11 99999\n":                                     false,
		"From x 10: 2026\n":                                        false,
		"":                                                         false,
	} {
		if got := mailstore.LooksLikeMbox([]byte(head)); got != want {
			t.Errorf("%q: %v, want %v", head, got, want)
		}
	}
}

// length returns a message with a Content-Length of its body and n bytes more.
func length(body string, n int) string {
	return fmt.Sprintf("%sContent-Length: %d\n\n%s", fromLine, len(body)+n, body)
}

var mboxCases = []struct {
	name string
	text string
	want int64
}{
	{"empty", "", 0},
	{"no mbox", "Subject: x\n\nhello\n", 0},
	{"one", fromLine + "\n", 1},
	{"without its last line end", fromLine + "Subject: x\n\nhello", 1},
	{"two", mboxText, 2},
	{"CRLF", strings.ReplaceAll(mboxText, "\n", "\r\n"), 2},
	{"no empty line before", fromLine + "\nhello\n" + fromLine + "\n", 1},
	{"empty bodies", fromLine + "\n" + fromLine + "\n" + fromLine + "\n", 3},
	{"text that begins like one", fromLine + "\nhello\n\nFrom here on\n\nFrom now on, at 10:11\n", 1},
	{"quoted", fromLine + "\nhello\n\n>" + fromLine + "\n", 1},
	{"Content-Length to the next", length("a\n\n"+fromLine+"\nb\n", 0) + "\n" + fromLine + "\n", 2},
	{"Content-Length with the empty line", length("a\n\n"+fromLine+"\nb\n", 1) + "\n" + fromLine + "\n", 2},
	{"Content-Length to the end", length("a\n\n"+fromLine+"\nb\n", 0), 1},
	{"Content-Length to the end but an empty line", length("a\n\n"+fromLine+"\nb\n", 0) + "\n", 1},
	{"Content-Length without an empty line", length("a\n", 0) + fromLine + "\n", 2},
	{"Content-Length too long", length("a\n\n"+fromLine+"\nb\n", 1000) + "\n" + fromLine + "\n", 3},
	{"Content-Length too short", length("a\nbcdefghij\n\n"+fromLine+"\nb\n", -12) + "\n" + fromLine + "\n", 3},
	{"Content-Length of nonsense", fromLine + "Content-Length: -5\nContent-Length: 99999999999999999999\n\na\n\n" + fromLine + "\n", 2},
	{"folder internal data", "From MAILER-DAEMON Mon Jan  5 10:11:12 2026\nSubject: DON'T DELETE THIS MESSAGE\nX-IMAP: 1 2\n\nThis text is part of the internal format\n\n" + mboxText, 2},
	{"X-IMAPbase is no X-IMAP", fromLine + "X-IMAPbase: 1 2\n\na\n", 1},
	{"a very long line", fromLine + "\n" + strings.Repeat("x", 5000) + "\n\n" + fromLine + "\n", 2},
}

func TestMboxCounter(t *testing.T) {
	for _, tc := range mboxCases {
		for _, part := range []int{1, 7, len(tc.text) + 1} {
			if got := count(tc.text, part); got != tc.want {
				t.Errorf("%s, in parts of %d: %d messages, want %d", tc.name, part, got, tc.want)
			}
		}
	}
}

func count(text string, part int) int64 {
	var c mailstore.MboxCounter
	for len(text) > 0 {
		n := min(part, len(text))
		c.Write([]byte(text[:n]))
		c.Messages() // asking changes nothing
		text = text[n:]
	}
	return c.Messages()
}

func FuzzMboxCounter(f *testing.F) {
	for _, tc := range mboxCases {
		f.Add(tc.text, uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, part uint8) {
		whole := count(text, len(text)+1)
		if got := count(text, int(part)+1); got != whole {
			t.Errorf("%d messages in parts of %d, %d in one", got, int(part)+1, whole)
		}
		if most := int64(strings.Count(text, "From ")); whole < 0 || whole > most {
			t.Errorf("%d messages, but %d times \"From \"", whole, most)
		}
	})
}
