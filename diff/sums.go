package diff

import (
	"cmp"
	"context"
	"slices"
	"sort"

	"restante/snapshot"
)

// Sums add changes up.
type Sums struct {
	Added, Removed, Flagged, Moved uint64 // messages
	Changed                        uint64 // messages in their place; also a file of several, of which no message came, went or changed
	Files                          uint64 // other paths that came, went or changed, or could not be saved
	Bytes                          uint64 // of what was added, and by what files grew
}

// Add counts a change.
func (s *Sums) Add(c *Change) {
	var before, after File
	if c.Before != nil {
		before = *c.Before
	}
	if c.After != nil {
		after = *c.After
	}
	if c.Kind == Added || c.Kind == Changed {
		s.Bytes += after.Size - min(before.Size, after.Size)
	}
	switch {
	case !c.Mail() || before.Kind == snapshot.Unsaved || after.Kind == snapshot.Unsaved:
		s.Files++ // an unsaved message has neither come nor gone
	case c.Kind == Flagged:
		s.Flagged++
	case c.Kind == Moved:
		s.Moved++
	default:
		s.addMessages(c, before.Messages, after.Messages)
	}
}

// addMessages counts the messages of a file. Where nobody knows which they are
// only the difference of their numbers is counted.
func (s *Sums) addMessages(c *Change, before, after uint64) {
	sum := *s
	for _, p := range c.Parts {
		switch p.Kind {
		case Added:
			s.Added++
		case Removed:
			s.Removed++
		default:
			s.Changed++
		}
	}
	if !c.known {
		s.Added += after - min(before, after)
		s.Removed += before - min(before, after)
	}
	if *s == sum {
		s.Changed++
	}
}

// Owners tell whose a path is.
type Owners struct {
	boxes  []snapshot.Mailbox
	ranges []owned // by the beginning
}

// An owned is a range of a mailbox.
type owned struct {
	snapshot.Range
	box int
}

// OwnersOf reads the mailboxes of a snapshot. With an error that wraps a
// [*snapshot.Gap] some are missing.
func OwnersOf(ctx context.Context, mailboxes *snapshot.Mailboxes) (*Owners, error) {
	o := &Owners{}
	var damage error
	for m, err := range mailboxes.All(ctx) {
		if err != nil {
			damage = cmp.Or(damage, err)
			continue
		}
		for _, r := range m.Ranges {
			o.ranges = append(o.ranges, owned{r, len(o.boxes)})
		}
		o.boxes = append(o.boxes, m)
	}
	slices.SortFunc(o.ranges, func(a, b owned) int { return cmp.Compare(a.From, b.From) })
	return o, damage
}

// Of returns the mailbox and the folder that a path belongs to, "" for none.
func (o *Owners) Of(k snapshot.Key) (mailbox, folder string) {
	i := sort.Search(len(o.ranges), func(i int) bool { return o.ranges[i].From > k }) - 1
	if i < 0 || !o.ranges[i].Contains(k) {
		return "", ""
	}
	m := &o.boxes[o.ranges[i].box]
	for _, f := range m.Folders {
		if slices.ContainsFunc(f.Ranges, func(r snapshot.Range) bool { return r.Contains(k) }) {
			return m.Name, f.Name
		}
	}
	return m.Name, ""
}
