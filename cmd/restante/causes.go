package main

import (
	"errors"
	"fmt"

	"restante/cmd/restante/internal/cli"
	"restante/repo"
	"restante/snapshot"
)

const (
	maxPerCause = 5   // warnings that are printed of one cause
	maxCauses   = 100 // that are told apart
)

// otherCauses stands for those that are not told apart.
const otherCauses = "other reasons"

// causes prints what went wrong with paths: of each cause the first few, and
// at the end how many more there were; all of them with --verbose. The log file
// gets them all.
type causes struct {
	out     *output
	count   map[string]uint64
	order   []string
	damaged uint64 // of them, what the repository is to blame for
}

func newCauses(out *output) *causes { return &causes{out: out, count: map[string]uint64{}} }

// warn is called with each path. Calls must not overlap.
func (c *causes) warn(path string, err error) {
	var gap *snapshot.Gap
	switch {
	case repo.Unreadable(err):
	case errors.As(err, &gap):
		c.damaged += gap.Counts.Entries
	case isDamage(err):
		c.damaged++
	}
	cause := causeOf(err)
	n, known := c.count[cause]
	if !known && len(c.order) >= maxCauses {
		cause = otherCauses
		n, known = c.count[cause]
	}
	if !known {
		c.order = append(c.order, cause)
	}
	c.count[cause] = n + 1
	text := fmt.Sprintf("%s: %v", cli.Name(path), err)
	if path == "" { // the root, which is all there is
		text = err.Error()
	}
	if n < maxPerCause || c.out.verbose {
		c.out.warn("%s", text)
	} else {
		c.out.log.Event(cli.Warning, text)
	}
}

// end prints what was not printed.
func (c *causes) end() {
	if c.out.verbose {
		return
	}
	hidden := false
	for _, cause := range c.order {
		n := c.count[cause]
		if n <= maxPerCause {
			continue
		}
		hidden = true
		if cause == otherCauses {
			c.out.warn("and %s more for other reasons", cli.Number(n-maxPerCause))
		} else {
			c.out.warn("and %s more for the same reason: %s", cli.Number(n-maxPerCause), cause)
		}
	}
	if hidden {
		c.out.note("--verbose names all of them, and so does a --log-file")
	}
}

// causeOf returns what errors of many paths have in common: the damaged
// object, or the error at the bottom.
func causeOf(err error) string {
	var damage *repo.DamageError
	var unreadable *repo.UnreadableError
	switch {
	case errors.As(err, &unreadable):
		return "object " + unreadable.Object + " cannot be read"
	case errors.As(err, &damage):
		return "object " + damage.Object + " is damaged"
	}
	for {
		var below error
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			below = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) > 0 {
				below = all[0]
			}
		}
		if below == nil {
			return err.Error()
		}
		err = below
	}
}
