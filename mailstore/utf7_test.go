package mailstore_test

import (
	"testing"
	"unicode/utf8"

	"restante/mailstore"
)

func TestUTF7(t *testing.T) {
	for plain, coded := range map[string]string{
		"":                             "",
		"INBOX":                        "INBOX",
		"R&D":                          "R&-D",
		"Entwürfe":                     "Entw&APw-rfe",
		"~peter/mail/台北/日本語":           "~peter/mail/&U,BTFw-/&ZeVnLIqe-", // RFC 3501 5.1.3
		"Отправленные":                 "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-",
		"a\n":                          "a&AAo-",
		"\U0001f4e7":                   "&2D3c5w-",
		"é&é":                          "&AOk-&-&AOk-",
		"Gesendet -> später/ganz spät": "Gesendet -> sp&AOQ-ter/ganz sp&AOQ-t",
	} {
		if got, err := mailstore.EncodeUTF7(plain); err != nil || got != coded {
			t.Errorf("encoding %q gives %q, %v, want %q", plain, got, err, coded)
		}
		if got, err := mailstore.DecodeUTF7(coded); err != nil || got != plain {
			t.Errorf("decoding %q gives %q, %v, want %q", coded, got, err, plain)
		}
	}
	if got, err := mailstore.EncodeUTF7("\xff"); err == nil {
		t.Errorf("encoding what is no UTF-8 gives %q", got)
	}
}

func TestDecodeUTF7IsStrict(t *testing.T) {
	for _, bad := range []string{
		"R&D", "&", "&AOk", "Ä", "a\n", "&AOk=-", "&AO-", "&AOl-x&", "&AGE-", "&AOk-&AOk-",
		"&2D0-", "&3Oc-", "&2D0AYQ-", "&AOl-", "&\r\nAOk-", "&AO\nk-", "&AO/k-", "&ACY-", "\xff",
	} {
		if got, err := mailstore.DecodeUTF7(bad); err == nil {
			t.Errorf("decoding %q gives %q", bad, got)
		}
	}
}

func TestDisplayFolder(t *testing.T) {
	for raw, want := range map[string]string{
		"Entw&APw-rfe": "Entwürfe",
		"Entwürfe":     "Entwürfe",
		"R&D":          "R&D",
		"R&-D":         "R&D",
		"&AGE-":        "a",
		"x\xffy":       `x\xffy`,
		"x\ny\x1b[":    `x\x0ay\x1b[`,
		"&AAo-":        `\x0a`,
		"\u0085":       `\xc2\x85`,
		"&AOk":         "&AOk",
		"Ä&AOQ-":       "Ää",
	} {
		if got := mailstore.DisplayFolder(raw); got != want {
			t.Errorf("%q is shown as %q, want %q", raw, got, want)
		}
	}
}

func FuzzUTF7(f *testing.F) {
	for _, seed := range []string{"INBOX", "R&-D", "Entw&APw-rfe", "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "&2D3c5w-", "&AOk-&AOk-", "Entwürfe", "&", "&AAo-", "\xff\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if plain, err := mailstore.DecodeUTF7(s); err == nil {
			if again, err := mailstore.EncodeUTF7(plain); err != nil || again != s {
				t.Errorf("%q decodes to %q, which encodes to %q, %v", s, plain, again, err)
			}
		}
		coded, err := mailstore.EncodeUTF7(s)
		if (err == nil) != utf8.ValidString(s) {
			t.Fatalf("encoding %q: %v", s, err)
		}
		if err == nil {
			if again, err := mailstore.DecodeUTF7(coded); err != nil || again != s {
				t.Errorf("%q encodes to %q, which decodes to %q, %v", s, coded, again, err)
			}
		}
		shown := mailstore.DisplayFolder(s)
		if !utf8.ValidString(shown) {
			t.Errorf("%q is shown as %q", s, shown)
		}
	})
}
