package message_test

import (
	"strings"
	"testing"

	"restante/message"
)

// A file may begin with what relays and signers wrote, and with a byte order mark.
func TestLooksLikeMailBehindOtherFields(t *testing.T) {
	fields := "ARC-Seal: i=1; a=rsa-sha256;\n\tb=" + strings.Repeat("A", 2000) + "\n" + strings.Repeat("X-Spam-Status: No\n", 100)
	for _, text := range []string{fields + "From: a@b\nTo: c@d\n\n", "\uFEFFFrom: a@b\nTo: c@d\n\n", "DKIM-Signature: v=1\nReceived: x\n\n"} {
		if !message.LooksLikeMail([]byte(text)) {
			t.Errorf("%.40q does not", text)
		}
	}
}

func TestLooksLikeDbox(t *testing.T) {
	whole := dbox("A: b\n\nhello\n")
	for head, want := range map[string]bool{
		whole:                       true,
		whole[:16+30]:               true,
		whole[:16]:                  false,
		whole[16:]:                  false,
		"2 M1e C1\n":                false,
		"2 \n" + whole[16:]:         false,
		"1 M1e C1\n" + whole[16:]:   false,
		"2 Mffff C1\n" + whole[16:]: false,
		"":                          false,
		"From: a\nTo: b\n\nx":       false,
	} {
		if got := message.LooksLikeDbox([]byte(head)); got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
}

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
