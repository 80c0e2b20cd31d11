package snapshot

import (
	"errors"
	"fmt"
	"strings"
)

// MaxKey is the longest key in bytes: four times what Linux takes as a path.
// It is part of the format: four records fit an interior page, so that a tree
// always ends in one root.
const MaxKey = 16 << 10

// A Key names an entry: the path below the store's root, as bytes, with "/"
// replaced by NUL. Keys sort bytewise, which puts a folder directly before all
// that lies in it. The root itself has the empty key.
type Key string

// KeyOf returns the key of a path whose elements are joined by "/". The empty
// path is the root. It refuses what cannot be a path below a root: an empty
// element (so also an absolute path), ".", "..", and NUL.
func KeyOf(path string) (Key, error) {
	if strings.IndexByte(path, 0) >= 0 {
		return "", fmt.Errorf("making a key of path %q: it holds a NUL", path)
	}
	k := Key(strings.ReplaceAll(path, "/", "\x00"))
	if err := k.check(); err != nil {
		return "", fmt.Errorf("making a key of path %q: %w", path, err)
	}
	return k, nil
}

// Path returns the path that the key stands for, relative, with "/" between
// its elements. Keys that this package hands out never lead out of the folder
// they are joined to.
func (k Key) Path() string { return strings.ReplaceAll(string(k), "\x00", "/") }

// check refuses what KeyOf never makes. Keys are read from a repository that
// may be hostile, and become paths.
func (k Key) check() error {
	if k == "" {
		return nil
	}
	if len(k) > MaxKey {
		return fmt.Errorf("it is %d bytes long, more than %d", len(k), MaxKey)
	}
	start := 0
	for i := 0; i <= len(k); i++ {
		if i < len(k) && k[i] != 0 {
			if k[i] == '/' {
				return errors.New("an element holds a slash")
			}
			continue
		}
		switch k[start:i] {
		case "":
			return errors.New("it has an empty element")
		case ".", "..":
			return fmt.Errorf("it has the element %q", string(k[start:i]))
		}
		start = i + 1
	}
	return nil
}

// A Range is the keys from From up to, but not with, To. An empty To means no
// upper end, so the zero Range is everything.
type Range struct {
	From, To Key
}

// Subtree returns the range of the entry k and everything below it.
func Subtree(k Key) Range {
	if k == "" {
		return Range{}
	}
	return Range{From: k, To: k + "\x01"}
}

// Contains reports whether k lies in the range.
func (r Range) Contains(k Key) bool { return k >= r.From && !r.ends(k) }

// ends reports whether k lies at or behind the range's end.
func (r Range) ends(k Key) bool { return r.To != "" && k >= r.To }
