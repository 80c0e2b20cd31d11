package mailstore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Name is a mailbox's name with what else it answers to.
type Name struct {
	Name    string
	Aliases []string
}

// An UnknownError says that no name is meant, and which ones are near.
type UnknownError struct {
	What  string // "mailbox" or "folder"
	Query string
	Near  []string // the nearest first
}

func (e *UnknownError) Error() string {
	s := fmt.Sprintf("unknown %s %q", e.What, e.Query)
	switch n := len(e.Near); n {
	case 0:
		return s
	case 1:
		return s + ": did you mean " + e.Near[0] + "?"
	default:
		return s + ": did you mean " + strings.Join(e.Near[:n-1], ", ") + " or " + e.Near[n-1] + "?"
	}
}

// An AmbiguousError says that several names are meant.
type AmbiguousError struct {
	Query string
	Names []string // sorted
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("mailbox %q is one of %s: say which", e.Query, strings.Join(e.Names, ", "))
}

// Match returns the index of the mailbox that query means: the one of that
// name, or the only one with that alias or local part. Otherwise the error is
// an *UnknownError or an *AmbiguousError.
func Match(names []Name, query string) (int, error) {
	query = display(query)
	var found []int
	for i, n := range names {
		if n.Name == query {
			return i, nil
		}
		if local, _, _ := strings.Cut(n.Name, "@"); local == query || slices.Contains(n.Aliases, query) {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, &UnknownError{"mailbox", query, near(names, query)}
	}
	e := &AmbiguousError{Query: query}
	for _, i := range found {
		e.Names = append(e.Names, names[i].Name)
	}
	slices.Sort(e.Names)
	return 0, e
}

// MatchFolder returns the index of the folder that query means, in UTF-8 or in
// modified UTF-7; INBOX in any case of letters. Otherwise the error is an
// *UnknownError.
func MatchFolder(folders []string, query string) (int, error) {
	if strings.EqualFold(query, inbox) {
		query = inbox
	}
	for _, q := range []string{query, display(query), DisplayFolder(query)} {
		if i := slices.Index(folders, q); i >= 0 {
			return i, nil
		}
	}
	names := make([]Name, len(folders))
	for i, f := range folders {
		names[i].Name = f
	}
	return 0, &UnknownError{"folder", query, near(names, query)}
}

const (
	maxNear  = 3   // suggestions
	maxTyped = 100 // characters of a query that a suggestion is looked for
)

// near returns the names that query may be a misspelling of.
func near(names []Name, query string) []string {
	if utf8.RuneCountInString(query) > maxTyped {
		return nil
	}
	type suggestion struct {
		name string
		d    int
	}
	typed := []rune(strings.ToLower(query))
	limit := max(1, min(3, len(typed)/3))
	var out []suggestion
	for _, n := range names {
		local, _, _ := strings.Cut(n.Name, "@")
		best := limit + 1
		for _, candidate := range append([]string{n.Name, local}, n.Aliases...) {
			best = min(best, distance(typed, []rune(strings.ToLower(candidate)), limit))
		}
		if best <= limit {
			out = append(out, suggestion{n.Name, best})
		}
	}
	slices.SortFunc(out, func(a, b suggestion) int { return cmp.Or(cmp.Compare(a.d, b.d), strings.Compare(a.name, b.name)) })
	var near []string
	for _, s := range out[:min(len(out), maxNear)] {
		near = append(near, s.name)
	}
	return near
}

// distance returns how many characters must be put in, left out, replaced or
// swapped with the next to make b of a; more than limit if it is more.
func distance(a, b []rune, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
