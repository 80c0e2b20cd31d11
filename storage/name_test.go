package storage_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"restante/storage"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{
		"README", "a", "config/1", "packs/0f/" + strings.Repeat("0", 64), "a-b_c/-/_", "x/tmp", "tmpx",
		strings.Repeat("a", 200),
	} {
		if err := storage.CheckName(name); err != nil {
			t.Errorf("refused: %v", err)
		}
		if err := storage.CheckPrefix(name + "/"); err != nil {
			t.Errorf("refused: %v", err)
		}
	}
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a.b", "A", "readme/README", "README2",
		"tmp", "tmp/a", "a b", "a\nb", "a\x00b", "a\\b", "c:a", "a\x1b[2Jb", "\xff\xfe", "ä", "ａ",
		strings.Repeat("a", 201), strings.Repeat("x\x1b", 1<<20),
	} {
		err := storage.CheckName(name)
		if err == nil {
			t.Errorf("%.300q accepted as a name", name)
			continue
		}
		if s := err.Error(); len(s) > 1200 || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\x1b\n") {
			t.Errorf("the error for %.20q is not fit to be shown: %.40q, %d bytes", name, s, len(s))
		}
		if name != "" && storage.CheckPrefix(name+"/") == nil {
			t.Errorf("%.300q accepted as a prefix", name+"/")
		}
	}
	if err := storage.CheckPrefix(""); err != nil {
		t.Errorf("the empty prefix is refused: %v", err)
	}
	if storage.CheckPrefix("packs") == nil {
		t.Error(`a prefix without "/" at its end is accepted`)
	}
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"", "README", "a/b", "a//b", "tmp/x", "a\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if storage.CheckName(name) != nil {
			return
		}
		folder, last := "", name
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			folder, last = name[:i], name[i+1:]
			if err := storage.CheckName(folder); err != nil {
				t.Errorf("%q is a name but its folder is not: %v", name, err)
			}
		}
		if last == "" || last == "." || last == ".." || len(name) > 200 || folder == storage.Temp {
			t.Errorf("%q accepted", name)
		}
	})
}

func TestSpan(t *testing.T) {
	const huge = math.MaxInt64
	for _, c := range []struct {
		size, offset, length, want int64
		short, ok                  bool
	}{
		{10, 0, -1, 10, false, true},
		{10, 0, 10, 10, false, true},
		{10, 4, 3, 3, false, true},
		{10, 4, -1, 6, false, true},
		{10, 10, -1, 0, false, true},
		{10, 10, 0, 0, false, true},
		{0, 0, -1, 0, false, true},
		{10, 0, 11, 0, true, false},
		{10, 11, -1, 0, true, false},
		{10, 11, 0, 0, true, false},
		{10, huge, huge, 0, true, false},
		{10, 9, huge, 0, true, false},
		{10, -1, 2, 0, false, false},
		{huge, 0, -1, 0, false, false},
		{huge, 0, storage.MaxGet + 1, 0, false, false},
		{huge, 5, storage.MaxGet, storage.MaxGet, false, true},
	} {
		n, err := storage.Span(c.size, c.offset, c.length)
		if n != c.want || (err == nil) != c.ok || errors.Is(err, storage.ErrShort) != c.short {
			t.Errorf("Span(%d, %d, %d) = %d, %v", c.size, c.offset, c.length, n, err)
		}
	}
}
