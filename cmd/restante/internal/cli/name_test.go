package cli_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"restante/cmd/restante/internal/cli"
)

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "",
		"Sent Items":          "Sent Items",
		"Entwürfe":            "Entwürfe",
		"a\nb\tc\x00\x1b[2J":  `a\nb\tc\x00\x1b[2J`,
		"\x7f\u0085\u009b":    `\x7f\u0085\u009b`,
		"a\xffb":              `a\xffb`,
		"exe\u202egpj\u200b":  `exe\u202egpj\u200b`,
		`a\nb`:                `a\\nb`,
		`say "hi"`:            `say "hi"`,
		"\ufffd is no damage": "\ufffd is no damage",
	} {
		if got := cli.Name(in); got != want {
			t.Errorf("Name(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"opening \"a\\nb\": gone": `opening "a\nb": gone`,
		"one\n\ttwo\n":            "one; two",
		"a\x1b[31mb\r":            `a\x1b[31mb`,
	} {
		if got := cli.Line(in); got != want {
			t.Errorf("Line(%q) = %s, want %s", in, got, want)
		}
	}
}

// FuzzName: what is printed is printable, and the name can be told from it.
func FuzzName(f *testing.F) {
	f.Add("a\nb")
	f.Add("\xff\\\"")
	f.Add("日本\u200b")
	f.Fuzz(func(t *testing.T, name string) {
		got := cli.Name(name)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Errorf("Name(%q) = %q", name, got)
		}
		if back, err := strconv.Unquote(`"` + strings.ReplaceAll(got, `"`, `\"`) + `"`); err != nil || back != name {
			t.Errorf("Name(%q) = %s, which is %q, %v", name, got, back, err)
		}
		if line := cli.Line(name); strings.ContainsFunc(line, func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Errorf("Line(%q) = %q", name, line)
		}
	})
}
