package cli

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name prints a name that came from a disk or a repository so that it is one
// line, cannot steer the terminal and stays unambiguous: control characters,
// invisible and direction-changing ones and bytes that are no UTF-8 appear as
// in a Go string (\n, \u202e, \xff), and a backslash as two.
// Put between double quotes, with those inside escaped, it is a Go string
// literal of the name.
func Name(s string) string { return escape(s, true) }

// Line prints a message as one line that cannot steer the terminal. Where the
// message has lines, as joined errors have, they are separated by "; "; other
// characters are treated as by [Name], but a backslash stays, for names within
// the message were quoted when it was made.
func Line(s string) string {
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	for i, l := range lines {
		lines[i] = escape(strings.TrimSpace(l), false)
	}
	return strings.Join(lines, "; ")
}

func escape(s string, backslash bool) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + hexByte(s[i]))
		case r == '\\' && backslash:
			b.WriteString(`\\`)
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}

// isPlain reports that s is printed as it is, which most names are.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

func hexByte(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

// wide are the ranges that terminals draw two columns wide (Unicode's East
// Asian Width W and F, in blocks).
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff00, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

// columns returns how many columns a terminal takes for s.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case unicode.Is(wide, r):
			n += 2
		default:
			n++
		}
	}
	return n
}
