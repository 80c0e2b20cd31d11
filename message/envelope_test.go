package message_test

import (
	"strings"
	"testing"
	"time"

	"restante/message"
)

func TestEnvelopeOf(t *testing.T) {
	when := time.Date(2026, 1, 5, 9, 11, 12, 0, time.UTC)
	for _, tt := range []struct {
		name, head string
		want       message.Envelope
	}{
		{"nothing", "", message.Envelope{}},
		{"plain", "message-id: <1@example.com>\r\nDate: Mon, 5 Jan 2026 10:11:12 +0100\r\nFrom: A <a@example.com>\r\nTo: b@example.com,\r\n c@example.com\r\nSubject: hi\r\n\r\n",
			message.Envelope{MessageID: "1@example.com", Date: when, From: "A <a@example.com>", To: "b@example.com, c@example.com", Subject: "hi"}},
		{"words", "From: =?utf-8?Q?Al=C3=AFce?= <a@example.com>\nSubject: =?iso-8859-1?B?Sm9z6Q==?=\n =?windows-1251?Q?=CF=F0?= x\n",
			message.Envelope{From: "Alïce <a@example.com>", Subject: "JoséПр x"}},
		{"unknown charset", "Subject: =?klingon?Q?x=FF?= =?utf-8?Q?=C3=AF?=\n", message.Envelope{Subject: "x\uFFFDï"}},
		{"words that are none", "Subject: =?utf-8?Q?=XY?= =?utf-8?Z?x?=\n", message.Envelope{Subject: "=?utf-8?Q?=XY?= =?utf-8?Z?x?="}},
		{"a language", "Subject: =?ISO-8859-15*fr?Q?=A4?= =?utf-8*de?Q?=C3=A4?=\n", message.Envelope{Subject: "€ä"}},
		{"the body is none of it", "Subject: a\r\n\r\nSubject: b\nTo: b\n", message.Envelope{Subject: "a"}},
		{"no head at all", "\nTo: b\n", message.Envelope{}},
		{"bytes as they were", "From: Jos\xe9 \x80 <a@b>\nSubject: Jos\xc3\xa9\n", message.Envelope{From: "José € <a@b>", Subject: "José"}},
		{"ID with a comment", "Message-ID:  (c) <a@b> (x)\n", message.Envelope{MessageID: "a@b"}},
		{"ID without brackets", "Message-ID: a@b\n", message.Envelope{MessageID: "a@b"}},
		{"ID without an end", "Message-ID: <a@b\n", message.Envelope{MessageID: "a@b"}},
		{"first of two", "Subject: a\nSubject: b\n", message.Envelope{Subject: "a"}},
		{"control characters", "Subject: a\x1b[2J=?utf-8?Q?=0D=0Ab=00?=\n", message.Envelope{Subject: "a [2J  b"}},
		{"date of ctime", "Date: Mon Jan  5 09:11:12 2026\n", message.Envelope{Date: when}},
		{"date without a zone", "Date: Mon, 5 Jan 2026 09:11:12\n", message.Envelope{Date: when}},
		{"zone of America", "Date: Mon, 5 Jan 2026 01:11:12 PST\n", message.Envelope{Date: when}},
		{"zone of Europe", "Date: Mon, 5 Jan 2026 11:11:12 CEST\n", message.Envelope{Date: when}},
		{"zone by its offset", "Date: Mon, 5 Jan 2026 05:41:12 GMT-3:30\n", message.Envelope{Date: when}},
		{"offset and zone", "Date: Mon, 5 Jan 2026 04:11:12 -0500 EST\n", message.Envelope{Date: when}},
		{"offset and comment", "Date: Mon, 5 Jan 2026 04:11:12 -0500 (PDT)\n", message.Envelope{Date: when}},
		{"comment and offset", "Date: Mon, 5 Jan 2026 04:11:12 (EDT) -0500\n", message.Envelope{Date: when}},
		{"zone in a comment", "Date: Mon, 5 Jan 2026 04:11:12 (EST)\n", message.Envelope{Date: when}},
		{"comments and nothing", "Date: (x) EST ()\n", message.Envelope{}},
		{"month in full", "Date: Mon, 5 January 2026 10:11:12 +0100\n", message.Envelope{Date: when}},
		{"zone of the shell", "Date: Mon Jan  5 10:11:12 CET 2026\n", message.Envelope{Date: when}},
		{"zone that nobody knows", "Date: Mon, 5 Jan 2026 09:11:12 XYZ\n", message.Envelope{Date: when}},
		{"byte order mark", "\ufeffSubject: hi\n\n", message.Envelope{Subject: "hi"}},
		{"folded Message-ID", "Message-ID: <a\n b@c>\n", message.Envelope{MessageID: "ab@c"}},
		{"words without padding", "Subject: a =?utf-8?B?w6TDtg?= b =?utf-8?q?=C3=A9?= c\n", message.Envelope{Subject: "a äö b é c"}},
		{"word that does not end", "Subject: =?utf-8?B?w6TDtg\n", message.Envelope{Subject: "=?utf-8?B?w6TDtg"}},
		{"charsets of DOS and Windows", "Subject: =?cp850?Q?=84?= =?cp932?B?g2WDWINn?=\n", message.Envelope{Subject: "äテスト"}},
		{"a bad byte in UTF-8", "Subject: \u00e4\u00f6 \xff\n", message.Envelope{Subject: "äö \ufffd"}},
		{"what turns text around", "Subject: \u202egpj.exe\u200b\n", message.Envelope{Subject: "gpj.exe"}},
		{"bad date", "Date: yesterday\nX", message.Envelope{}},
		{"From line", "From a@example.com Mon Jan  5 10:11:12 2026\nTo : b\n", message.Envelope{To: "b"}},
		{"mixed", "Content-Type: Multipart/Mixed; boundary=x\n", message.Envelope{HasAttachments: true}},
		{"alternative", "Content-Type: multipart/alternative; boundary=x\n", message.Envelope{}},
		{"file", "Content-Type: application/pdf\n", message.Envelope{HasAttachments: true}},
		{"text", "Content-Type: text\n", message.Envelope{}},
		{"attached text", "Content-Type: text/plain\nContent-Disposition: Attachment; filename=x\n", message.Envelope{HasAttachments: true}},
		{"inline text", "Content-Type: text/plain\nContent-Disposition: inline; filename=x\n", message.Envelope{}},
		{"noted", "Content-Type: text/plain\nX-MS-Has-Attach: yes\n", message.Envelope{HasAttachments: true}},
		{"long, cut within a character", "Subject: x" + strings.Repeat("\U0001F4EE", 9000) + "\n", message.Envelope{Subject: "x" + strings.Repeat("\U0001F4EE", 1023)}},
		{"long, of no characters", "Subject: " + strings.Repeat("\x81", 9000) + "\n", message.Envelope{Subject: strings.Repeat("\uFFFD", 4096/3)}},
		{"long", "Subject: " + strings.Repeat("ä", 9000) + "\n", message.Envelope{Subject: strings.Repeat("ä", 2048)}},
	} {
		got := message.EnvelopeOf([]byte(tt.head))
		if !got.Date.Equal(tt.want.Date) {
			t.Errorf("%s: %v, want %v", tt.name, got.Date, tt.want.Date)
		}
		got.Date = tt.want.Date
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
