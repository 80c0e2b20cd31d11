// Package retention decides which snapshots are kept. It is a function of a
// list and a policy; it reads nothing and removes nothing.
//
// # Groups
//
// The rules are applied to each group by itself: by default to the snapshots of
// one store of one host. A store of the same name on another host is another
// one.
//
// # Which snapshots count
//
// A snapshot is complete if everything that existed was saved, and it was not
// made of a store that had lost most mailboxes because the user said so
// (--allow-shrink). The others are called partial.
//
// A snapshot's time cannot be right if it lies more than [Tolerance] after now,
// before the year 2000, or more than a day before the repository was made. Such
// a snapshot is always kept and is of no account for any other: whatever the
// clock of a machine said one night, no sound snapshot goes because of it.
//
// # Rules
//
// Snapshots are looked at from the newest to the oldest; of two with one time
// the one with the higher ID is the newer.
//
//	Last n      keeps the n newest complete snapshots.
//	Hourly n    keeps the newest complete snapshot of each of the n newest hours
//	            that have one; so do Daily, Weekly, Monthly and Yearly. These are
//	            the calendar's, in the policy's location: a week is that of ISO
//	            8601, from Monday on, and the hour that is repeated when summer
//	            time ends is two hours. Hours and days without a complete snapshot
//	            do not count: a machine that was off for a month loses none.
//	Within s    keeps all snapshots, partial ones too, that are at most s older than
//	            the newest complete one, or of a group without such, the newest.
//	Tags        keeps what has one of the tags.
//
// A partial snapshot never takes the place of a complete one. It is kept beside
// them by a rule that counts, when it is the newest of an hour, day and so on
// that has no complete snapshot (by Last: whichever it is), newer than the
// oldest of n that the rule keeps; of such the n newest are kept.
//
// Whatever the rules say, these are kept: what is held, the newest complete
// snapshot of each group, and the newest of each group. If no rule is set,
// everything is kept.
//
// # What follows
//
// Applying a policy again removes nothing more, be it that all, or some only, of what
// it did not keep has gone. A policy with
// larger numbers keeps all that one with smaller numbers keeps. A partial
// snapshot, or one whose time cannot be right, makes no complete one go.
package retention

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	// All, as the number of a rule, keeps one of each hour, day and so on that there is.
	All = math.MaxInt
	// Tolerance is by how much clocks may differ: a snapshot that is newer than
	// now by more has a time that cannot be right.
	Tolerance = 5 * time.Minute
	// early is the same for snapshots older than the repository.
	early = 24 * time.Hour
)

// A Snapshot is what a decision needs to know of a snapshot.
type Snapshot struct {
	ID          string
	Time        time.Time // when it began
	Host, Store string
	Tags        []string
	Incomplete  bool   // something that existed was not saved
	Shrunk      bool   // made of a store that had lost most mailboxes
	Held        string // why it is held, in a person's words; "": it is not
}

func (s *Snapshot) partial() bool { return s.Incomplete || s.Shrunk }

// GroupBy says what the snapshots of one group have in common.
type GroupBy struct{ Host, Store bool }

// A Policy is the rules. Its zero value has none and keeps everything.
type Policy struct {
	Last, Hourly, Daily, Weekly, Monthly, Yearly int // how many; 0: not set

	Within   Span
	Tags     []string
	GroupBy  GroupBy
	Location *time.Location // whose calendar is meant; nil for UTC

	// Made is when the repository was made: no snapshot is much older. Zero if
	// that is not known.
	Made time.Time
}

// IsZero reports whether the policy has no rule.
func (p *Policy) IsZero() bool {
	counted := slices.ContainsFunc(p.counts(), func(r count) bool { return r.n > 0 })
	return !counted && p.Within == (Span{}) && len(p.Tags) == 0
}

// A Decision says of a snapshot whether it is kept, and why. What is not kept
// has no reason.
type Decision struct {
	Snapshot
	Reasons []string // in a person's words
}

// Keep reports whether the snapshot is kept.
func (d *Decision) Keep() bool { return len(d.Reasons) > 0 }

func (d *Decision) because(format string, args ...any) {
	d.Reasons = append(d.Reasons, fmt.Sprintf(format, args...))
}

// Apply decides about all snapshots, in their order. IDs are different.
func Apply(snapshots []Snapshot, p Policy, now time.Time) []Decision {
	out := make([]Decision, len(snapshots))
	groups := map[[2]string][]*Decision{}
	for i, s := range snapshots {
		d := &out[i]
		d.Snapshot = s
		if wrong := p.wrongTime(s.Time, now); wrong != "" {
			d.because("its time cannot be right: it %s", wrong)
		} else {
			group := p.GroupBy.of(&s)
			groups[group] = append(groups[group], d)
		}
		p.always(d)
	}
	for _, group := range groups {
		slices.SortFunc(group, func(a, b *Decision) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.ID, a.ID)) })
		p.apply(group)
	}
	return out
}

func (g GroupBy) of(s *Snapshot) (group [2]string) {
	if g.Host {
		group[0] = s.Host
	}
	if g.Store {
		group[1] = s.Store
	}
	return group
}

// wrongTime says why a snapshot cannot be of this time, or "".
func (p *Policy) wrongTime(t, now time.Time) string {
	switch {
	case t.After(now.Add(Tolerance)):
		return "lies in the future"
	case t.Before(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)):
		return "lies before the year 2000"
	case t.Before(p.Made.Add(-early)):
		return "lies before the repository was made"
	}
	return ""
}

// always gives the reasons that have nothing to do with other snapshots.
func (p *Policy) always(d *Decision) {
	if d.Held != "" {
		d.because("held: %s", d.Held)
	}
	for _, tag := range p.Tags {
		if slices.Contains(d.Tags, tag) {
			d.because("tag %s", tag)
		}
	}
	if p.IsZero() {
		d.because("no rule is set")
	}
}

// apply applies the rules to one group, newest first.
func (p *Policy) apply(group []*Decision) {
	for _, r := range p.counts() {
		r.apply(group, p.Location)
	}
	reference := group[0]
	if i := slices.IndexFunc(group, func(d *Decision) bool { return !d.partial() }); i >= 0 {
		reference = group[i]
		reference.because("newest complete")
	}
	if p.Within != (Span{}) {
		from := p.Within.Before(inLocation(reference.Time, p.Location))
		for _, d := range group {
			if !d.Time.Before(from) {
				d.because("within %v", p.Within)
			}
		}
	}
	if group[0].partial() {
		group[0].because("newest")
	}
}

// A count is a rule that keeps one of each of n buckets.
type count struct {
	name   string
	n      int
	bucket func(time.Time) string // names the bucket of a time; nil: each snapshot is one
}

func (p *Policy) counts() []count {
	format := func(layout string) func(time.Time) string {
		return func(t time.Time) string { return t.Format(layout) }
	}
	return []count{
		{"last", p.Last, nil},
		{"hourly", p.Hourly, format("2006-01-02 15:00 -0700")},
		{"daily", p.Daily, format(time.DateOnly)},
		{"weekly", p.Weekly, func(t time.Time) string {
			year, week := t.ISOWeek()
			return fmt.Sprintf("%d-W%02d", year, week)
		}},
		{"monthly", p.Monthly, format("2006-01")},
		{"yearly", p.Yearly, format("2006")},
	}
}

// apply gives the rule's reasons to one group, newest first.
func (r *count) apply(group []*Decision, location *time.Location) {
	bucket := func(d *Decision) string {
		if r.bucket == nil {
			return d.ID
		}
		return r.bucket(inLocation(d.Time, location))
	}
	whole := map[string]bool{} // buckets with a complete snapshot
	for _, d := range group {
		if !d.partial() {
			whole[bucket(d)] = true
		}
	}
	seen := map[string]bool{}
	keep := func(d *Decision, more string) {
		name := r.name
		if r.bucket != nil {
			name += " " + bucket(d)
		}
		seen[bucket(d)] = true
		d.because("%s%s", name, more)
	}
	end := len(group) // behind it the rule keeps nothing
	for i, d := range group {
		if len(seen) == r.n {
			break
		}
		if !d.partial() && !seen[bucket(d)] {
			keep(d, "")
			end = i + 1
		}
	}
	if len(seen) < r.n {
		end = len(group)
	}
	clear(seen)
	for _, d := range group[:end] {
		if d.partial() && !whole[bucket(d)] && !seen[bucket(d)] && len(seen) < r.n {
			keep(d, ", beside the complete ones")
		}
	}
}

func inLocation(t time.Time, location *time.Location) time.Time {
	if location == nil {
		location = time.UTC
	}
	return t.In(location)
}
