package glob_test

import (
	"strings"
	"testing"

	"restante/internal/glob"
)

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		yes, no []string
	}{
		{"*.log", []string{"a.log", "x/y/b.log", "x.log/inside"}, []string{"a.logs", "log", ""}},
		{"/tmp", []string{"tmp", "tmp/a"}, []string{"a/tmp", "tmpx"}},
		{"a/b", []string{"a/b", "x/a/b/c"}, []string{"a/x/b", "b"}},
		{"/a/**/z", []string{"a/z", "a/b/c/z/q"}, []string{"z", "b/a/z"}},
		{"cur/[0-9]*", []string{"m/cur/1.x"}, []string{"m/cur/x"}},
		{"folder/", []string{"folder/x", "a/folder"}, []string{"folders"}},
		{"\x80*", []string{"\x80\xff"}, []string{"a"}},
	} {
		s, err := glob.New([]string{tc.pattern})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range tc.yes {
			if !s.Match(p) {
				t.Errorf("%q does not match %q", tc.pattern, p)
			}
		}
		for _, p := range tc.no {
			if s.Match(p) {
				t.Errorf("%q matches %q", tc.pattern, p)
			}
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for _, p := range []string{"", "/", "a//b", "[", "x/[a-"} {
		if _, err := glob.New([]string{p}); err == nil {
			t.Errorf("%q accepted", p)
		}
	}
}

func TestTheEmptySetMatchesNothing(t *testing.T) {
	var s glob.Set
	if s.Match("") || s.Match("a") || !s.Empty() || len(s.Patterns()) != 0 {
		t.Error("the zero Set is not empty")
	}
}

// A path and a pattern made to be slow take time linear in each.
func TestManyStars(t *testing.T) {
	s, err := glob.New([]string{strings.Repeat("**/", 100) + "never"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Match(strings.Repeat("a/", 2000) + "b") {
		t.Error("it matches")
	}
}
