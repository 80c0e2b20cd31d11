package message_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"restante/message"
)

const (
	fromLine = "From alice@example.com Mon Jan  5 10:11:12 2026\n"
	two      = fromLine + "Subject: one\n\nhello\n\n" + fromLine + "Subject: two\n\nbye\n"
)

// withLength returns a message with a Content-Length of its body and n bytes more.
func withLength(body string, n int) string {
	return fmt.Sprintf("%sContent-Length: %d\n\n%s", fromLine, len(body)+n, body)
}

// far is a body with a "From " line that lies further than a Cutter looks
// before its end, or just within that.
func far(n int) string { return "a\n\n" + fromLine + strings.Repeat("x", n) + "\n" }

// longHead returns an mbox whose first header is longer than a Head, with a
// Content-Length that would lead to the end of the file from where the Head ends.
func longHead() string {
	head := fromLine + "Content-Length: %06d\n" + strings.Repeat("A: b\n", message.MaxHead/5+1)
	rest := "\na\n\n" + fromLine + "\n"
	fits := (message.MaxHead-len(fromLine)-len("Content-Length: 000000\n"))/5*5 + len(fromLine) + len("Content-Length: 000000\n")
	return fmt.Sprintf(head, len(head)+len("000000")-len("%06d")+len(rest)-fits) + rest
}

var mboxCases = []struct {
	name string
	text string
	want int
}{
	{"empty", "", 0},
	{"no mbox", "Subject: x\n\nhello\n", 0},
	{"one", fromLine + "\n", 1},
	{"without its last line end", fromLine + "Subject: x\n\nhello", 1},
	{"two", two, 2},
	{"CRLF", strings.ReplaceAll(two, "\n", "\r\n"), 2},
	{"blank lines first", "\n\r\n" + two, 2},
	{"no empty line before", fromLine + "\nhello\n" + fromLine + "\n", 1},
	{"empty bodies", fromLine + "\n" + fromLine + "\n" + fromLine + "\n", 3},
	{"text that begins like one", fromLine + "\nhello\n\nFrom here on\n\nFrom now on, at 10:11\n", 1},
	{"quoted", fromLine + "\nhello\n\n>" + fromLine + "\n", 1},
	{"Content-Length to the next", withLength("a\n\n"+fromLine+"\nb\n", 0) + "\n" + fromLine + "\n", 2},
	{"Content-Length with the empty line", withLength("a\n\n"+fromLine+"\nb\n", 1) + "\n" + fromLine + "\n", 2},
	{"Content-Length to the end", withLength("a\n\n"+fromLine+"\nb\n", 0), 1},
	{"Content-Length to the end but an empty line", withLength("a\n\n"+fromLine+"\nb\n", 0) + "\n", 1},
	{"Content-Length to the end but two empty lines", withLength("a\n\n"+fromLine+"\nb\n", 0) + "\n\n\n", 2},
	{"Content-Length in CRLF", strings.ReplaceAll(withLength("a\n\n"+fromLine+"\nb\n", 5)+"\n"+fromLine+"\n", "\n", "\r\n"), 2},
	{"Content-Length without an empty line", withLength("a\n", 0) + fromLine + "\n", 2},
	{"Content-Length over two", withLength("a\n\n"+fromLine+"\nb\n\n"+fromLine+"\nc\n", 0) + "\n" + fromLine + "\n", 2},
	{"Content-Length too long", withLength("a\n\n"+fromLine+"\nb\n", 1000) + "\n" + fromLine + "\n", 3},
	{"Content-Length too long by a line", withLength("a\n\n"+fromLine+"\nb\n", 3) + "\n" + fromLine + "\n", 3},
	{"Content-Length too short", withLength("a\nbcdefghij\n\n"+fromLine+"\nb\n", -12) + "\n" + fromLine + "\n", 3},
	{"Content-Length of nonsense", fromLine + "Content-Length: -5\nContent-Length: 99999999999999999999\n\na\n\n" + fromLine + "\n", 2},
	{"Content-Length of a message within", fromLine + "\na\n\n" + withLength("b\n\n"+fromLine+"\nc\n", 0) + "\n" + fromLine + "\n", 3},
	{"Content-Length over an attachment", withLength("a\n\n"+fromLine+strings.Repeat("hello\n", 80_000), 0) + "\n" + fromLine + "\n", 2},
	{"Content-Length as far as can be seen", withLength(far(520_000), 0) + "\n" + fromLine + "\n", 2},
	{"Content-Length further than can be seen", withLength(far(530_000), 0) + "\n" + fromLine + "\n", 3},
	{"folder internal data", "From MAILER-DAEMON Mon Jan  5 10:11:12 2026\nSubject: DON'T DELETE THIS MESSAGE\nX-IMAP: 1 2\n\nThis text is part of the internal format\n\n" + two, 2},
	{"X-IMAP further down", two + "\n" + fromLine + "X-IMAP: 1 2\n\na\n", 3},
	{"X-IMAPbase is no X-IMAP", fromLine + "X-IMAPbase: 1 2\n\na\n", 1},
	{"a very long line", fromLine + "\n" + strings.Repeat("x", 5000) + "\n\n" + fromLine + "\n", 2},
	{"Content-Length in a very long head", longHead(), 2},
	{"Content-Length to a From line without an end", withLength("a\n", 0) + fromLine[:len(fromLine)-1] + strings.Repeat("x", message.MaxHead), 1},
	{"a very long head", fromLine + strings.Repeat("A: b\n", message.MaxHead/5+1) + "\na\n\n" + fromLine + "\n", 2},
}

func TestMessagesOfAnMbox(t *testing.T) {
	for _, tc := range mboxCases {
		all := split(t, strings.NewReader(tc.text), message.Mbox)
		if join(all) != tc.text {
			t.Errorf("%s: the spans do not join", tc.name)
		}
		if got := count(all); got != tc.want {
			t.Errorf("%s: %d messages, want %d: %.200s", tc.name, got, tc.want, describe(all))
		}
		if got := split(t, iotest.OneByteReader(strings.NewReader(tc.text)), message.Mbox); !reflect.DeepEqual(got, all) {
			t.Errorf("%s, read byte by byte: %.200s, want %.200s", tc.name, describe(got), describe(all))
		}
		beginAnywhere(t, tc.text, message.Mbox, all)
	}
}

func count(all []span) (n int) {
	for _, s := range all {
		if s.Message {
			n++
		}
	}
	return n
}

// beginAnywhere cuts an mbox from each of its messages on, and wants what a
// Cutter delivers that has come there from the beginning of the file.
func beginAnywhere(t testing.TB, text string, kind message.Kind, all []span) {
	t.Helper()
	if kind != message.Mbox {
		return
	}
	at, tried := 0, 0
	for i, s := range all {
		if tried < 4 && s.Class == message.Head && at > 0 {
			tried++ // of many, some: it takes time
			rest := split(t, strings.NewReader(text[at:]), kind)
			if len(rest) > 0 {
				rest[0].Message = s.Message // of the notes of a folder
			}
			if !reflect.DeepEqual(rest, all[i:]) {
				t.Errorf("from byte %d on: %.200s, want %.200s", at, describe(rest), describe(all[i:]))
			}
		}
		at += len(s.Raw)
	}
}
