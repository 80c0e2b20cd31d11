package cli

import (
	"cmp"
	"slices"
	"strings"
)

// Near returns the at most three of known that somebody who typed name may
// have meant, the nearest first: those that differ in a few characters, and
// those that contain it.
func Near(name string, known []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	const most = 3
	wanted := strings.ToLower(name)
	limit := max(1, min(len(wanted)/3, 3))
	var found []candidate
	for _, k := range known {
		have := strings.ToLower(k)
		local, _, _ := strings.Cut(have, "@")
		d := min(distance(wanted, have), distance(wanted, local)+1)
		if d > limit && len(wanted) >= 3 && strings.Contains(have, wanted) {
			d = limit
		}
		if d <= limit {
			found = append(found, candidate{k, d})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(a.distance-b.distance, strings.Compare(a.name, b.name))
	})
	var names []string
	for _, c := range found[:min(most, len(found))] {
		names = append(names, c.name)
	}
	return names
}

// distance counts the characters to insert, delete, replace or swap with their
// neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range y {
			change := 1
			if x[i] == y[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(y)]
}
