package cli_test

import (
	"slices"
	"strings"
	"testing"

	"restante/cmd/restante/internal/cli"
)

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"pass show restante":      {"pass", "show", "restante"},
		"  a\tb\n c ":             {"a", "b", "c"},
		`a 'b c' "d e"`:           {"a", "b c", "d e"},
		`a'b'"c"d`:                {"abcd"},
		`a '' ""`:                 {"a", "", ""},
		`a\ b \'c \\`:             {"a b", "'c", `\`},
		`"a\"b\\c\$d\e"`:          {`a"b\c$d\e`},
		`'a\b"$c|~'`:              {`a\b"$c|~`},
		`sh -c 'cat a | head -1'`: {"sh", "-c", "cat a | head -1"},
		`curl http://h/x~y?z=1`:   {"curl", "http://h/x~y?z=1"},
	} {
		got, err := cli.Words(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Words(%s) = %q, %v; want %q", line, got, err, want)
		}
	}
	for line, want := range map[string]string{
		"":             "it is empty",
		" \t":          "it is empty",
		`a "b`:         `the quote " is not closed`,
		`a 'b`:         "the quote ' is not closed",
		`a b\`:         "it ends in a backslash",
		"a | b":        "it is run without a shell, which '|' needs",
		"a; b":         "which ';' needs",
		"a $HOME":      "which '$' needs",
		`a "$HOME"`:    "which '$' needs",
		"~/bin/secret": "which '~' needs",
		"a `b`":        "which '`' needs",
	} {
		if got, err := cli.Words(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Words(%s) = %q, %v; want %q", line, got, err, want)
		}
	}
}

// FuzzWords: quoting any words and splitting them again gives the same words.
func FuzzWords(f *testing.F) {
	f.Add("pass", `show "x"`, "it's")
	f.Add("a", "", "\\")
	f.Add("~", "$x|", " \n")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		words := []string{strings.ToValidUTF8(a, "?"), strings.ToValidUTF8(b, "?"), strings.ToValidUTF8(c, "?")}
		single, escaped := "", ""
		for _, w := range words {
			single += " '" + strings.ReplaceAll(w, "'", `'\''`) + "'"
			escaped += ` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(w) + `"`
		}
		for _, line := range []string{single, escaped} {
			if got, err := cli.Words(line); err != nil || !slices.Equal(got, words) {
				t.Errorf("Words(%q) = %q, %v; want %q", line, got, err, words)
			}
		}
		if got, err := cli.Words(a); err == nil && len(got) == 0 {
			t.Errorf("Words(%q) is empty without an error", a)
		}
	})
}
