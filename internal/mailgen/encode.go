package mailgen

import (
	"bytes"
	"encoding/base64"
	"mime/quotedprintable"
)

// appendBase64 appends raw in base64, in lines of width characters.
func appendBase64(dst, raw []byte, width int) []byte {
	dst = growBy(dst, base64.StdEncoding.EncodedLen(len(raw))/width*(width+1)+width+8)
	for n := width / 4 * 3; len(raw) > 0; {
		n = min(n, len(raw))
		dst = base64.StdEncoding.AppendEncode(dst, raw[:n])
		dst = append(dst, '\n')
		raw = raw[n:]
	}
	return dst
}

// growBy returns dst with room for n more bytes.
func growBy(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]byte, 0, max(len(dst)+n, 2*cap(dst))), dst...)
}

// appendQuoted appends text in quoted-printable with LF line ends.
func appendQuoted(dst, text []byte) []byte {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	// Writing to a buffer cannot fail.
	_, _ = w.Write(text)
	_ = w.Close()
	return append(dst, bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n"))...)
}

// isASCII reports whether text needs no encoding.
func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
