package mailgen

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// NightOptions describe one night. Equal options do the same to equal stores.
// What there is to change is said by one of Percent, Changes and Deliver, the others are 0.
type NightOptions struct {
	Layout  Layout
	Number  int // 1 is the first day after the store was made
	Percent int // new mail, in percent of the messages there are
	// Changes is an exact number of new messages. As many messages get other
	// flags, and three tenths as many are moved and expunged each; in an mbox
	// what is moved is expunged. They are as far apart as can be.
	Changes int
	// Deliver is how many new messages come to the inbox of each mailbox that takes
	// part, and nothing else happens.
	Deliver int
	// Mailboxes is how many mailboxes take part, spread evenly over the store;
	// the others stay as they are. 0: all of them.
	Mailboxes int
	Seed      uint64
	Small     bool // see Options
}

// Of ten thousand messages, how many a night changes for each percent of new mail.
const (
	deletedRate = 30
	movedRate   = 30
	flaggedRate = 200
)

// Night lets one day pass over the store in dir: new mail comes (at least one
// message), flags change, which in a Maildir renames the file and in an mbox
// changes bytes in place, messages are moved to other folders and expunged.
func Night(dir string, o NightOptions) (Report, error) {
	if o.Number < 1 || min(o.Percent, o.Changes, o.Deliver, o.Mailboxes) < 0 || !oneOf(o.Percent, o.Changes, o.Deliver) {
		return Report{}, fmt.Errorf("changing mail store %q: night %d with %d %% new mail, %d changes or %d deliveries in %d mailboxes", dir, o.Number, o.Percent, o.Changes, o.Deliver, o.Mailboxes)
	}
	n := &night{NightOptions: o, rng: newSource(o.Seed, uint64(o.Number)<<32+1<<31)}
	var (
		boxes []person
		s     sink
		err   error
	)
	switch o.Layout {
	case Maildir:
		s, boxes, err = n.changeMaildirs(dir)
	case Mbox:
		s, boxes, err = n.changeSpools(dir)
	default:
		err = fmt.Errorf("unknown layout %q (maildir and mbox are known)", o.Layout)
	}
	if err == nil && len(boxes) == 0 {
		err = errors.New("it has no mailboxes")
	}
	if err != nil {
		return Report{}, fmt.Errorf("changing mail store %q: %w", dir, err)
	}
	today := end.AddDate(0, 0, o.Number-1)
	d := &delivery{
		composer: newComposer(o.Seed, uint64(o.Number), boxes, o.Small),
		sink:     s,
		begin:    today,
		span:     23 * time.Hour,
		want:     max(1, o.Changes, o.Deliver*len(boxes), n.total*o.Percent/100),
	}
	if o.Deliver > 0 {
		err = d.each(len(boxes))
	} else {
		err = d.run()
	}
	if err != nil {
		return Report{}, fmt.Errorf("changing mail store %q: %w", dir, err)
	}
	if err := s.finish(today.Add(23 * time.Hour)); err != nil {
		return Report{}, fmt.Errorf("changing mail store %q: %w", dir, err)
	}
	n.report.Messages, n.report.Bytes = d.report.Messages, d.report.Bytes
	return n.report, nil
}

// oneOf reports whether one of the numbers, which are not negative, is not 0.
func oneOf(numbers ...int) bool {
	some := 0
	for _, n := range numbers {
		some += min(n, 1)
	}
	return some == 1
}

// A night decides what happens to the messages that are there.
type night struct {
	NightOptions
	rng    *source
	total  int // messages in the mailboxes that take part
	phase  int // where in the plan of changes the first message is
	judged int // messages whose fate was asked for
	report Report
}

// begin takes note of how many messages there are, before the first is changed.
func (n *night) begin(total int) error {
	n.total = total
	if n.Changes == 0 {
		return nil
	}
	if changed, _ := n.planned(); changed > total {
		return fmt.Errorf("%d of %d messages cannot change", changed, total)
	}
	n.phase = n.rng.IntN(total)
	return nil
}

// planned returns how many messages change where their number is given, and
// how many of those are moved or deleted, as many of the one as of the other.
func (n *night) planned() (changed, gone int) {
	gone = n.Changes * 3 / 10 * 2
	return n.Changes + gone, gone
}

// A fate is what a night does to one message.
type fate int

const (
	untouched fate = iota
	deleted
	moved
	flagged
)

// fate decides what happens to the next message, which may be new mail.
func (n *night) fate(unread bool) fate {
	n.judged++
	if n.Changes > 0 {
		return n.plannedFate(n.phase + n.judged - 1)
	}
	switch r := n.rng.IntN(10_000) / n.Percent; {
	case r < deletedRate:
		return deleted
	case r < deletedRate+movedRate:
		return moved
	case r < deletedRate+movedRate+flaggedRate:
		return flagged
	}
	if unread && n.rng.chance(50) {
		return flagged
	}
	return untouched
}

// plannedFate decides by a message's place: changes are evenly apart, and so
// are, among them, the messages that go.
func (n *night) plannedFate(place int) fate {
	changed, gone := n.planned()
	change, hit := nthOf(place, changed, n.total)
	if !hit {
		return untouched
	}
	going, hit := nthOf(change, gone, changed)
	switch {
	case !hit:
		return flagged
	case going%2 == 0:
		return deleted
	}
	return moved
}

// nthOf spreads some marks over every so many places, and returns how many
// marks there are before a place and whether it has one itself. Any run of so
// many places has exactly those marks.
func nthOf(place, some, many int) (before int, hit bool) {
	before = place * some / many
	return before, (place+1)*some/many > before
}

// evenly returns n of the mailboxes, as far apart as can be; all of them for 0.
func evenly[T any](all []T, n int) ([]T, error) {
	if n == 0 {
		return all, nil
	}
	if n > len(all) {
		return nil, fmt.Errorf("there are %d mailboxes, not %d", len(all), n)
	}
	some := make([]T, n)
	for i := range some {
		some[i] = all[(2*i+1)*len(all)/(2*n)]
	}
	return some, nil
}

// A stored message of a Maildir store: Maildir/<folder>/<sub>/<name>.
type stored struct {
	box               int
	folder, sub, name string
}

func (n *night) changeMaildirs(dir string) (*maildirs, []person, error) {
	s, boxes, err := openMaildirs(dir)
	if err != nil {
		return nil, nil, err
	}
	if boxes, err = evenly(boxes, n.Mailboxes); err != nil {
		return nil, nil, err
	}
	if s.homes, err = evenly(s.homes, n.Mailboxes); err != nil {
		return nil, nil, err
	}
	if n.Deliver > 0 {
		return s, boxes, nil
	}
	// All are listed before one is changed, so that a moved message is not met twice.
	var all []stored
	for box := range boxes {
		for _, folder := range folderNames() {
			for _, sub := range []string{"cur", "new"} {
				names, err := os.ReadDir(filepath.Join(s.homes[box], "Maildir", folder, sub))
				if err != nil {
					return nil, nil, err
				}
				for _, name := range names {
					all = append(all, stored{box, folder, sub, name.Name()})
				}
			}
		}
	}
	if err := n.begin(len(all)); err != nil {
		return nil, nil, err
	}
	for _, m := range all {
		if err := n.changeStored(s, m); err != nil {
			return nil, nil, err
		}
	}
	return s, boxes, nil
}

func (n *night) changeStored(s *maildirs, m stored) error {
	home := filepath.Join(s.homes[m.box], "Maildir")
	path := filepath.Join(home, m.folder, m.sub, m.name)
	switch n.fate(m.sub == "new") {
	case deleted:
		n.report.Deleted++
		s.touched[filepath.Dir(path)] = true
		return os.Remove(path)
	case moved:
		n.report.Moved++
		folder := "" // what was put away comes back
		if m.folder == "" {
			folder = pick(n.rng, []string{".Archive", ".Trash", ".R&-D"})
		}
		return s.move(m, folder, m.name)
	case flagged:
		n.report.Flagged++
		return s.move(m, m.folder, reflag(n.rng, m.name))
	}
	return nil
}

// move renames a message, into another folder or to other flags; its UID
// changes with its folder, and mail that was new gets one.
func (s *maildirs) move(m stored, folder, name string) error {
	if !strings.Contains(name, ":2,") {
		name += ":2,"
	}
	from := filepath.Join(s.homes[m.box], "Maildir", m.folder, m.sub, m.name)
	to := filepath.Join(s.homes[m.box], "Maildir", folder, "cur", name)
	if folder != m.folder || m.sub == "new" {
		f, err := s.folder(m.box, folder)
		if err != nil {
			return err
		}
		f.enlist(name)
	}
	s.touched[filepath.Dir(from)], s.touched[filepath.Dir(to)] = true, true
	return os.Rename(from, to)
}

// reflag returns the name with a flag set or taken away; what was unread is read first.
func reflag(rng *source, name string) string {
	base, flags, _ := strings.Cut(name, ":2,")
	flag := "S"
	if strings.Contains(flags, "S") {
		flag = pick(rng, []string{"F", "R", "T", "a"})
	}
	if strings.Contains(flags, flag) {
		return base + ":2," + strings.ReplaceAll(flags, flag, "")
	}
	set := []byte(flags + flag)
	slices.Sort(set)
	return base + ":2," + string(set)
}

func (n *night) changeSpools(dir string) (*spools, []person, error) {
	s, boxes, err := openSpools(dir)
	if err != nil {
		return nil, nil, err
	}
	if boxes, err = evenly(boxes, n.Mailboxes); err != nil {
		return nil, nil, err
	}
	s.boxes = boxes
	if n.Deliver > 0 {
		return s, boxes, nil
	}
	paths, err := s.files()
	if err != nil {
		return nil, nil, err
	}
	total := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		for len(text) > 0 {
			text = text[len(firstMessage(text)):]
			total++
		}
	}
	if err := n.begin(total); err != nil {
		return nil, nil, err
	}
	for _, path := range paths {
		if err := n.changeSpool(s, path); err != nil {
			return nil, nil, err
		}
	}
	return s, boxes, nil
}

// changeSpool expunges messages from an mbox file and changes the status of others in place.
func (n *night) changeSpool(s *spools, path string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var text []byte
	before := n.report
	for len(old) > 0 {
		message := firstMessage(old)
		old = old[len(message):]
		switch n.fate(false) {
		case deleted, moved:
			n.report.Deleted++
			continue
		case flagged:
			n.report.Flagged++
			message = restatus(message)
		}
		text = append(text, message...)
	}
	if n.report == before {
		return nil
	}
	s.times[path] = end.AddDate(0, 0, n.Number-1)
	return os.WriteFile(path, text, 0o600)
}

// firstMessage returns the first message of an mbox.
func firstMessage(text []byte) []byte {
	if i := bytes.Index(text, []byte("\n\nFrom ")); i >= 0 {
		return text[:i+2]
	}
	return text
}

// restatus returns the message with the flag "answered" set, or taken away.
func restatus(message []byte) []byte {
	set, unset := []byte("\nX-Status: A   \n"), []byte("\nX-Status:     \n")
	if bytes.Contains(message, set) {
		set, unset = unset, set
	}
	return bytes.Replace(message, unset, set, 1)
}
