package message_test

import (
	"testing"

	"restante/message"
)

func TestLooksLikeMail(t *testing.T) {
	for head, want := range map[string]bool{
		"From: a\nTo: b\n\nx":                               true,
		"Return-Path: <a>\r\nReceived: by x\r\n\tfor y\r\n": true,
		"X-A: 1\nX-B: 2\nSUBJECT: s\ndate: d\n":             true,
		"":                                                  false,
		"From: a\n\nTo: b\n":                                false,
		"Hello, From: a\nTo: b\n":                           false,
		"key: value\nother: value\n":                        false,
		"From: a\nTo: b":                                    false,
		"\n\n":                                              false,
		" From: a\n To: b\n":                                false,
		"{\n \"from\": 1}\n":                                false,
		"From alice Mon Jan  1 00:00:00\nx":                 false,
	} {
		if got := message.LooksLikeMail([]byte(head)); got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
}
