// Package mailgen makes mail stores for tests, benchmarks and demonstrations:
// the same options give the same bytes, names and times on every machine.
//
// What it makes has the traits of real mail that matter to a backup:
//
//   - text from a word model that compresses like real mail (a message by
//     itself to about 45 %, many together to about 30 %), replies that quote,
//     HTML alternatives, quoted-printable and 8-bit bodies, newsletters;
//   - a quarter of the mails go to several mailboxes of the store: their
//     bodies are equal and their trace headers are not;
//   - 15 % of the mails carry base64 attachments, most at 76 characters a
//     line and some at 72, 64 or 60, more than a third of them of kinds
//     that do not compress; some are sent again later, as they were or edited;
//   - lines end in LF, as Dovecot stores them.
//
// A Maildir store (see [Maildir]) is
//
//	DIR/vmail/<domain>/<user>/Maildir/{cur,new,tmp}
//	DIR/vmail/<domain>/<user>/Maildir/.Sent/{cur,new,tmp}, .Drafts, .Archive.2025, …
//
// with Dovecot's control files (dovecot-uidlist, dovecot-keywords,
// subscriptions, maildirfolder), a sieve script and its symbolic link. An mbox
// store (see [Mbox]) is
//
//	DIR/mail/<user>
//	DIR/home/<user>/mail/{sent,drafts,archive/2025}
//
// [Generate] makes a store as it is at the end of 2025, and [Night] lets one
// more day of 2026 pass over it. [GrowMbox] makes a single large mbox. Modification times are delivery dates, and a
// folder's time is that of the last thing that happened in the store.
package mailgen

import (
	"fmt"
	"iter"
	"time"
)

// A Layout says how a store keeps its mail.
type Layout string

// The layouts.
const (
	Maildir Layout = "maildir" // Maildir++ as Dovecot keeps it
	Mbox    Layout = "mbox"    // spool files, and mbox folders in homes
)

// Options describe a store. Equal options give equal stores.
type Options struct {
	Layout    Layout
	Messages  int // how many messages the store holds, every copy counted
	Mailboxes int // how many accounts they belong to
	Seed      uint64
	Small     bool // short texts only, for stores of millions
	Even      bool // mailboxes get equally much mail; else a third of them get two thirds
	Inbox     bool // all mail stays in the inbox; else it goes to folders
}

// A Report counts what was done to a store.
type Report struct {
	Messages int   // messages written, every copy counted
	Bytes    int64 // bytes of those messages
	Flagged  int   // messages whose flags changed
	Moved    int   // messages moved to another folder
	Deleted  int   // messages expunged
}

// The time that passes: deliveries of a new store lie between begin and end,
// night n on the n-th day after end.
var (
	begin = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	end   = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Generate makes a store in dir, which must exist and hold none of it yet. It
// keeps a few hundred bytes a message in memory, whatever the messages' size.
func Generate(dir string, o Options) (Report, error) {
	if o.Messages < 0 || o.Mailboxes < 1 {
		return Report{}, fmt.Errorf("generating mail store %q: %d messages in %d mailboxes", dir, o.Messages, o.Mailboxes)
	}
	boxes := localPeople(o.Mailboxes)
	s, err := createSink(dir, o, boxes)
	if err != nil {
		return Report{}, fmt.Errorf("generating mail store %q: %w", dir, err)
	}
	c := newComposer(o.Seed, 0, boxes, o.Small)
	c.even = o.Even
	d := &delivery{
		composer: c,
		sink:     s,
		begin:    begin,
		span:     end.Sub(begin),
		want:     o.Messages,
		fresh:    o.Messages - o.Messages/50,
		inbox:    o.Inbox,
	}
	if err := d.run(); err != nil {
		return Report{}, fmt.Errorf("generating mail store %q: %w", dir, err)
	}
	if err := s.finish(end); err != nil {
		return Report{}, fmt.Errorf("generating mail store %q: %w", dir, err)
	}
	return d.report, nil
}

// Mails returns n mails as they lie in a Maildir, the same ones for the same
// seed. Each slice is valid until the next is asked for.
func Mails(seed uint64, n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		c := newComposer(seed, 0, localPeople(20), false)
		var mail []byte
		for i := range n {
			m := c.next(begin.Add(time.Duration(i) * time.Hour))
			mail = append(mail[:0], c.trace(m, max(0, m.firstBox()))...)
			mail = append(mail, m.shared...)
			if !yield(mail) {
				return
			}
		}
	}
}

// A sink is a store being written: Maildir or mbox.
type sink interface {
	// put stores one copy of a mail, the two parts of its bytes one after the other.
	put(c copyOf) error
	// finish writes what is still in memory and sets the folders' times.
	finish(now time.Time) error
}

// A copyOf is one copy of a mail on its way to its mailbox.
type copyOf struct {
	box    int
	folder string // as it is called on disk: "", ".Sent", …
	date   time.Time
	flags  string
	fresh  bool // delivered, and not yet seen by a mail program
	trace  []byte
	shared []byte
	rng    *source
}

func createSink(dir string, o Options, boxes []person) (sink, error) {
	switch o.Layout {
	case Maildir:
		return createMaildirs(dir, o, boxes)
	case Mbox:
		return createSpools(dir, boxes)
	}
	return nil, fmt.Errorf("unknown layout %q (maildir and mbox are known)", o.Layout)
}

// A delivery brings mails to a store until it has want copies.
type delivery struct {
	composer *composer
	sink     sink
	begin    time.Time
	span     time.Duration
	want     int
	fresh    int  // copies from this one on are new mail
	inbox    bool // all mail goes there
	report   Report
}

func (d *delivery) run() error {
	for d.report.Messages < d.want {
		step := int64(d.span) / int64(d.want)
		at := step*int64(d.report.Messages) + d.composer.rng.Int64N(step)
		if err := d.deliver(d.composer.next(d.begin.Add(time.Duration(at)))); err != nil {
			return err
		}
	}
	return nil
}

// each brings as many new mails to each of so many mailboxes as makes want copies,
// whomever they are addressed to.
func (d *delivery) each(boxes int) error {
	step := d.span / time.Duration(d.want)
	for i := range d.want {
		m := d.composer.next(d.begin.Add(step * time.Duration(i)))
		box := i % boxes
		c := copyOf{box: box, date: m.date, fresh: true, trace: d.composer.trace(m, box), shared: m.shared, rng: d.composer.rng}
		if err := d.put(c); err != nil {
			return err
		}
	}
	return nil
}

func (d *delivery) deliver(m *mail) error {
	rng := d.composer.rng
	if m.sender >= 0 {
		folder, flags := ".Sent", "S"
		if len(m.boxes) == 0 && rng.chance(10) {
			folder, flags = ".Drafts", "DS"
		}
		c := copyOf{box: m.sender, folder: folder, date: m.date, flags: flags, shared: m.shared[m.submitted:], rng: rng}
		if err := d.put(c); err != nil {
			return err
		}
	}
	for _, box := range m.boxes {
		c := copyOf{box: box, date: m.date.Add(time.Duration(rng.between(1, 5)) * time.Second), shared: m.shared, rng: rng}
		c.trace = d.composer.trace(m, box)
		c.fresh = d.report.Messages >= d.fresh
		if !c.fresh {
			c.folder, c.flags = archived(rng, m.date), readFlags(rng)
		}
		if err := d.put(c); err != nil {
			return err
		}
	}
	return nil
}

func (d *delivery) put(c copyOf) error {
	if d.report.Messages == d.want {
		return nil
	}
	if d.inbox {
		c.folder = ""
	}
	d.report.Messages++
	d.report.Bytes += int64(len(c.trace) + len(c.shared))
	return d.sink.put(c)
}

// archived picks the folder where a mail that was read ends up.
func archived(rng *source, date time.Time) string {
	switch n := rng.IntN(100); {
	case n < 20 && date.Year() == 2025:
		return ".Archive.2025"
	case n < 24:
		return ".Pl&AOQ-ne"
	case n < 26:
		return ".&ZeVnLIqe-"
	case n < 29:
		return ".Trash"
	case n < 31:
		return ".Junk"
	}
	return ""
}

// readFlags picks the flags of a mail that was read, in the order Dovecot writes them.
func readFlags(rng *source) string {
	flags := ""
	for _, f := range []struct {
		letter  string
		percent int
	}{{"F", 5}, {"P", 2}, {"R", 15}, {"S", 92}, {"T", 1}, {"a", 3}, {"b", 2}} {
		if rng.chance(f.percent) {
			flags += f.letter
		}
	}
	return flags
}
