package snapshot_test

import (
	"slices"
	"strings"
	"testing"

	"restante/snapshot"
)

func TestKeyOfRefuses(t *testing.T) {
	for _, path := range []string{"/", "/a", "a/", "a//b", ".", "..", "a/.", "a/..", "../a", "./a", "a/../b", "a\x00b", "\x00", strings.Repeat("k", snapshot.MaxKey+1)} {
		if k, err := snapshot.KeyOf(path); err == nil {
			t.Errorf("KeyOf(%.20q) = %.20q", path, k)
		}
	}
	for _, path := range []string{"", "a", "a/b", "...", "a/..b", "a b/\xff\n", ".a", "a\\b", strings.Repeat("k", snapshot.MaxKey)} {
		if k, err := snapshot.KeyOf(path); err != nil || k.Path() != path {
			t.Errorf("KeyOf(%.20q) = %.20q, %v", path, k, err)
		}
	}
}

func TestKeysPutAFolderBeforeItsContent(t *testing.T) {
	want := []string{"", "a", "a/\x01", "a/b", "a/b/c", "a/b.c", "a\x01", "a.b", "ab"}
	var keys []snapshot.Key
	for _, p := range want {
		keys = append(keys, keyOf(t, p))
	}
	if !slices.IsSorted(keys) {
		t.Errorf("%q are not in order", keys)
	}
	sub := snapshot.Subtree(keyOf(t, "a"))
	for i, k := range keys {
		if in := i >= 1 && i <= 5; sub.Contains(k) != in {
			t.Errorf("the subtree of a contains %q: %v", k, !in)
		}
		if !snapshot.Subtree("").Contains(k) || !(snapshot.Range{}).Contains(k) {
			t.Errorf("%q is not in the range of everything", k)
		}
	}
}

func FuzzKeyOf(f *testing.F) {
	for _, s := range []string{"", "a/b", "a//b", "../x", "a\x00", "…/./"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		k, err := snapshot.KeyOf(path)
		if err != nil {
			return
		}
		if k.Path() != path {
			t.Errorf("%q became %q", path, k.Path())
		}
		for e := range strings.SplitSeq(path, "/") {
			if path != "" && (e == "" || e == "." || e == "..") {
				t.Errorf("path %q was accepted", path)
			}
		}
	})
}
