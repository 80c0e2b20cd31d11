package mailgen

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// NightOptions describe one night. Equal options do the same to equal stores.
type NightOptions struct {
	Layout  Layout
	Number  int // 1 is the first day after the store was made
	Percent int // new mail, in percent of the messages there are
	Seed    uint64
	Small   bool // see Options
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
	if o.Number < 1 || o.Percent < 1 {
		return Report{}, fmt.Errorf("changing mail store %q: night %d with %d %% new mail", dir, o.Number, o.Percent)
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
	if err != nil {
		return Report{}, fmt.Errorf("changing mail store %q: %w", dir, err)
	}
	today := end.AddDate(0, 0, o.Number-1)
	d := &delivery{
		composer: newComposer(o.Seed, uint64(o.Number), boxes, o.Small),
		sink:     s,
		begin:    today,
		span:     23 * time.Hour,
		want:     max(1, n.total*o.Percent/100),
	}
	if err := d.run(); err != nil {
		return Report{}, fmt.Errorf("changing mail store %q: %w", dir, err)
	}
	if err := s.finish(today.Add(23 * time.Hour)); err != nil {
		return Report{}, fmt.Errorf("changing mail store %q: %w", dir, err)
	}
	n.report.Messages, n.report.Bytes = d.report.Messages, d.report.Bytes
	return n.report, nil
}

// A night decides what happens to the messages that are there.
type night struct {
	NightOptions
	rng    *source
	total  int
	report Report
}

// A fate is what a night does to one message.
type fate int

const (
	untouched fate = iota
	deleted
	moved
	flagged
)

func (n *night) fate() fate {
	n.total++
	switch r := n.rng.IntN(10_000) / n.Percent; {
	case r < deletedRate:
		return deleted
	case r < deletedRate+movedRate:
		return moved
	case r < deletedRate+movedRate+flaggedRate:
		return flagged
	}
	return untouched
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
	what := n.fate()
	if m.sub == "new" && what == untouched && n.rng.chance(50) {
		what = flagged
	}
	if what == moved && m.folder != "" {
		what = deleted
	}
	switch what {
	case deleted:
		n.report.Deleted++
		s.touched[filepath.Dir(path)] = true
		return os.Remove(path)
	case moved:
		n.report.Moved++
		return s.move(m, pick(n.rng, []string{".Archive", ".Trash", ".R&-D"}), m.name)
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
	for _, root := range []string{"home", "mail"} {
		err := filepath.WalkDir(filepath.Join(dir, root), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			return n.changeSpool(s, path)
		})
		if err != nil {
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
		message := old
		if i := bytes.Index(old, []byte("\n\nFrom ")); i >= 0 {
			message = old[:i+2]
		}
		old = old[len(message):]
		switch n.fate() {
		case deleted, moved:
			n.report.Deleted++
			continue
		case flagged:
			n.report.Flagged++
			message = bytes.Replace(message, []byte("\nX-Status:     \n"), []byte("\nX-Status: A   \n"), 1)
		}
		text = append(text, message...)
	}
	if n.report == before {
		return nil
	}
	s.times[path] = end.AddDate(0, 0, n.Number-1)
	return os.WriteFile(path, text, 0o600)
}
