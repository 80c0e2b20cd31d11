// Package glob matches paths against patterns, as --exclude and --include
// take them.
//
// A pattern is made of elements joined by "/". An element is matched by
// path.Match against one element of the path; the element "**" stands for any
// number of them. A pattern that begins with "/" is matched from the top, any
// other begins at any depth. A pattern that matches a folder matches all that
// lies in it.
package glob

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Set is a set of patterns. The zero Set has none. It does not change and
// serves any number of goroutines.
type Set struct {
	sources  []string
	patterns [][]string
}

// New reads patterns.
func New(patterns []string) (Set, error) {
	s := Set{sources: slices.Clone(patterns)}
	for _, p := range patterns {
		rest, anchored := strings.CutPrefix(p, "/")
		elems := strings.Split(strings.TrimSuffix(rest, "/"), "/")
		for _, e := range elems {
			if _, err := path.Match(e, ""); err != nil || e == "" {
				return Set{}, fmt.Errorf("reading pattern %q: it has the element %q: %w", p, e, path.ErrBadPattern)
			}
		}
		if !anchored {
			elems = append([]string{"**"}, elems...)
		}
		s.patterns = append(s.patterns, elems)
	}
	return s, nil
}

// Empty reports whether the set has no patterns.
func (s Set) Empty() bool { return len(s.patterns) == 0 }

// Patterns returns the patterns as they were given.
func (s Set) Patterns() []string { return slices.Clone(s.sources) }

// Match reports whether the path, relative and with "/" between its elements,
// or a folder above it, matches a pattern.
func (s Set) Match(p string) bool {
	if s.Empty() {
		return false
	}
	var elems []string
	if p != "" {
		elems = strings.Split(p, "/")
	}
	return slices.ContainsFunc(s.patterns, func(pattern []string) bool { return matches(pattern, elems) })
}

// matches reports whether the pattern matches the first elements, or all. It
// tries each pair of positions once: reached holds the numbers of elements
// that the pattern so far can stand for.
func matches(pattern, elems []string) bool {
	reached := make([]bool, len(elems)+1)
	reached[0] = true
	for _, p := range pattern {
		next := make([]bool, len(elems)+1)
		for i, ok := range reached {
			switch {
			case p == "**":
				next[i] = ok || i > 0 && next[i-1]
			case i < len(elems) && ok:
				next[i+1], _ = path.Match(p, elems[i])
			}
		}
		reached = next
	}
	return slices.Contains(reached, true)
}
