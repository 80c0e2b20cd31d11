package mailstore

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// utf7Base64 is the alphabet of RFC 3501 section 5.1.3, "," for "/".
var utf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding).Strict()

// EncodeUTF7 returns s, which must be valid UTF-8, in the modified UTF-7 of
// IMAP folder names (RFC 3501 section 5.1.3).
func EncodeUTF7(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("encoding folder name %q: it is not valid UTF-8", s)
	}
	var b strings.Builder
	for len(s) > 0 {
		n := strings.IndexFunc(s, func(r rune) bool { return !isDirect(r) })
		if n < 0 {
			n = len(s)
		}
		b.WriteString(strings.ReplaceAll(s[:n], "&", "&-"))
		s = s[n:]
		if n = strings.IndexFunc(s, isDirect); n < 0 {
			n = len(s)
		}
		if n > 0 {
			b.WriteString("&" + encodeShift(s[:n]) + "-")
		}
		s = s[n:]
	}
	return b.String(), nil
}

// isDirect tells the characters that stand for themselves.
func isDirect(r rune) bool { return r >= 0x20 && r <= 0x7e }

func encodeShift(s string) string {
	units := utf16.Encode([]rune(s))
	raw := make([]byte, 0, 2*len(units))
	for _, u := range units {
		raw = append(raw, byte(u>>8), byte(u))
	}
	return utf7Base64.EncodeToString(raw)
}

// DecodeUTF7 reads what EncodeUTF7 writes and refuses everything else: of a
// name's several spellings only the canonical one is accepted.
func DecodeUTF7(s string) (string, error) {
	var b strings.Builder
	rest := s
	for len(rest) > 0 {
		text, n := decodeUnit(rest)
		if n == 0 {
			return "", fmt.Errorf("decoding folder name %q: no modified UTF-7 from byte %d on", s, len(s)-len(rest))
		}
		b.WriteString(text)
		rest = rest[n:]
	}
	out := b.String()
	if again, err := EncodeUTF7(out); err != nil || again != s {
		return "", fmt.Errorf("decoding folder name %q: it is not the canonical spelling of %q", s, out)
	}
	return out, nil
}

// decodeUnit decodes the character or shift that s begins with and returns its length, 0 if there is none.
func decodeUnit(s string) (text string, n int) {
	if s[0] != '&' {
		if !isDirect(rune(s[0])) {
			return "", 0
		}
		return s[:1], 1
	}
	end := strings.IndexByte(s, '-')
	if end == 1 {
		return "&", 2
	}
	if end < 0 || strings.ContainsAny(s[:end], "\r\n") { // which the decoder would skip
		return "", 0
	}
	raw, err := utf7Base64.DecodeString(s[1:end])
	if err != nil || len(raw)%2 != 0 {
		return "", 0
	}
	var b strings.Builder
	for i := 0; i < len(raw); i += 2 {
		r := rune(raw[i])<<8 | rune(raw[i+1])
		if utf16.IsSurrogate(r) {
			if i += 2; i >= len(raw) {
				return "", 0
			}
			if r = utf16.DecodeRune(r, rune(raw[i])<<8|rune(raw[i+1])); r == utf8.RuneError {
				return "", 0
			}
		}
		b.WriteRune(r)
	}
	return b.String(), end + 1
}

// DisplayFolder returns a folder's name on disk as UTF-8 for people: what is
// modified UTF-7 in it decoded, even if another spelling would be canonical,
// and all else as it stands, with bytes that are not UTF-8 and control
// characters shown as \xNN.
func DisplayFolder(name string) string {
	var b strings.Builder
	for len(name) > 0 {
		text, n := decodeUnit(name)
		if n == 0 {
			_, n = utf8.DecodeRuneInString(name)
			text = name[:n]
		}
		b.WriteString(text)
		name = name[n:]
	}
	return display(b.String())
}

// display returns s as valid UTF-8 without control characters.
func display(s string) string {
	clean := func(r rune, n int) bool {
		return (r != utf8.RuneError || n > 1) && r >= 0x20 && (r < 0x7f || r > 0x9f)
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if clean(r, n) {
			b.WriteString(s[i : i+n])
		} else {
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		}
		i += n
	}
	return b.String()
}
