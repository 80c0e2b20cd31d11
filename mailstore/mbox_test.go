package mailstore_test

import (
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
