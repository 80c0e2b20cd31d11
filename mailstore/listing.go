package mailstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"
)

// A MaildirReader reads the two folders of a Maildir that hold messages; dir is "new" or "cur".
type MaildirReader interface {
	// Names calls fn for each name in dir, in any order.
	Names(dir string, fn func(name string)) error
	// ModTime returns when dir last changed.
	ModTime(dir string) (time.Time, error)
}

// A MessageName is where a message of a Maildir was last seen.
type MessageName struct {
	Dir  string // "cur" or "new"
	Name string
}

// A Listing lists the messages of a Maildir that is in use. Each change of a
// flag renames a file, and readdir may miss a file that is renamed while it
// runs, so one pass loses mail. A Listing is the union by base name of passes
// over new and then cur (a message moves that way and never back) until two
// of them in a row bring nothing new. A message that was there all the time
// is in it.
//
// It serves one goroutine.
type Listing struct {
	reader MaildirReader
	index  map[string]int32 // base name → into seen
	seen   []seenMessage
	twins  map[MessageName]span // names beside the one in seen, of the last pass
	passes int
	still  bool             // the last pass is proved to have seen no change
	errs   map[string]error // by folder, of the last pass
}

type seenMessage struct {
	MessageName // the name seen last
	span
}

// A span is the run of passes that saw a name.
type span struct{ first, last int }

func (s span) extend(pass int) span {
	if s.last < pass-1 {
		s.first = pass
	}
	s.last = pass
	return s
}

const (
	maxPasses   = 20
	quietPasses = 2
	// settledAge is how old a folder's time must be to prove that it did not
	// change: file systems keep times as coarse as that.
	settledAge = 2 * time.Second
)

// messageDirs are the folders with messages, in the order they are to be read.
var messageDirs = [...]string{"new", "cur"}

// NewListing returns a Listing that has seen nothing.
func NewListing(r MaildirReader) *Listing {
	return &Listing{reader: r, index: map[string]int32{}, twins: map[MessageName]span{}}
}

// Settle makes passes until two in a row bring nothing new, or one when the
// folders' times prove that nothing changed; 20 at most. It may be called
// again, after a message was gone that Messages listed, to learn its new name.
//
// A folder that does not exist is an empty one. Another error does not keep
// it from listing what it can: what it found is listed beside the error.
func (l *Listing) Settle(ctx context.Context) error {
	quiet := 0
	for range maxPasses {
		if err := ctx.Err(); err != nil {
			return err
		}
		before := l.times()
		if l.pass() == 0 {
			quiet++
		} else {
			quiet = 0
		}
		if l.still = l.unchangedSince(before); l.still || quiet == quietPasses {
			break
		}
	}
	return errors.Join(l.errs["new"], l.errs["cur"])
}

// pass reads both folders once and returns how many new base names it saw.
func (l *Listing) pass() int {
	l.passes++
	l.errs = map[string]error{}
	added := 0
	for _, dir := range messageDirs {
		err := l.reader.Names(dir, func(name string) {
			if l.add(MessageName{dir, name}) {
				added++
			}
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.errs[dir] = fmt.Errorf("listing messages in %q: %w", dir, err)
		}
	}
	for twin, t := range l.twins {
		if t.last < l.passes {
			delete(l.twins, twin) // an old name
		}
	}
	return added
}

// add notes that this pass saw the name and reports whether its base name is new.
func (l *Listing) add(m MessageName) bool {
	base := BaseName(m.Name)
	i, known := l.index[base]
	if !known {
		l.index[base] = int32(len(l.seen))
		l.seen = append(l.seen, seenMessage{m, span{l.passes, l.passes}})
		return true
	}
	s := &l.seen[i]
	if s.MessageName == m {
		s.span = s.extend(l.passes)
		return false
	}
	l.twins[s.MessageName] = s.span
	twin, ok := l.twins[m]
	if !ok {
		twin.first = l.passes
		twin.last = l.passes
	}
	delete(l.twins, m)
	*s = seenMessage{m, twin.extend(l.passes)}
	return false
}

func (l *Listing) times() map[string]time.Time {
	times := map[string]time.Time{}
	for _, dir := range messageDirs {
		t, err := l.reader.ModTime(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		times[dir] = t
	}
	return times
}

// unchangedSince reports whether the folders' times are those of before, and
// old enough for a change to have shown in them.
func (l *Listing) unchangedSince(before map[string]time.Time) bool {
	now := time.Now()
	after := l.times()
	if before == nil || after == nil {
		return false
	}
	for dir, t := range before {
		if !t.Equal(after[dir]) || now.Sub(t) < settledAge {
			return false
		}
	}
	return true
}

// Messages returns what was seen, sorted by Dir and Name. Where a base name had
// several names, that is the latest, except that two files that share a base
// name and stay are both there. It may name messages that are gone by now:
// Settle again and Find the base name; if that is still the same, it was expunged.
func (l *Listing) Messages() []MessageName {
	out := make([]MessageName, 0, len(l.seen))
	for _, s := range l.seen {
		out = append(out, s.MessageName)
	}
	for twin, t := range l.twins {
		s := l.seen[l.index[BaseName(twin.Name)]]
		if l.still || t.first < l.passes && s.first < l.passes {
			out = append(out, twin)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Dir != out[j].Dir {
			return out[i].Dir < out[j].Dir
		}
		return out[i].Name < out[j].Name
	})
	return out
}

// Find returns where the message with this base name was seen last.
func (l *Listing) Find(base string) (MessageName, bool) {
	i, ok := l.index[base]
	if !ok {
		return MessageName{}, false
	}
	return l.seen[i].MessageName, true
}

// Passes returns how many passes were made so far.
func (l *Listing) Passes() int { return l.passes }

// MaildirPath is the [MaildirReader] of the Maildir at this path.
type MaildirPath string

// namesAtOnce bounds the memory for names that are only passing by.
const namesAtOnce = 4096

// Names implements [MaildirReader].
func (p MaildirPath) Names(dir string, fn func(name string)) error {
	f, err := os.Open(filepath.Join(string(p), dir))
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(namesAtOnce)
		for _, n := range names {
			fn(n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// ModTime implements [MaildirReader].
func (p MaildirPath) ModTime(dir string) (time.Time, error) {
	info, err := os.Stat(filepath.Join(string(p), dir))
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}
