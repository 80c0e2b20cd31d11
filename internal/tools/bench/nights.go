package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// The rows of the table of nights.
const (
	aNight    = "a night"
	noChange  = "nothing changed"
	anotherOf = 2 // backups before the first night: the second knows what the first has seen
)

// A sleeper is a tool and what it was measured at while nights passed.
type sleeper struct {
	tool
	job
	*figures
	grown []weight // what its repository grew by, one a night
	told  []told   // what it said itself, one a night, if it does
}

// sleepers are a living store and all who back it up.
type sleepers struct {
	*living
	all []*sleeper
	log io.Writer
}

// newSleepers lets all tools take the backups before the first night.
func newSleepers(log io.Writer, l *living, tools []tool, work string) (*sleepers, error) {
	s := &sleepers{living: l, log: log}
	if err := l.rest(); err != nil {
		return nil, err
	}
	for _, t := range tools {
		fmt.Fprintf(log, "first backup of %s: %s\n", l.dir, t.name)
		x := &sleeper{tool: t, job: l.job(filepath.Join(work, t.name)), figures: newFigures()}
		if err := x.begin(); err != nil {
			return nil, err
		}
		s.all = append(s.all, x)
	}
	return s, nil
}

// night lets a night pass, measures all of them, and then what to compare with.
func (s *sleepers) night(args ...string) error {
	if err := s.pass(args...); err != nil {
		return err
	}
	for _, x := range s.all {
		if err := x.night(s.log); err != nil {
			return err
		}
	}
	return s.lookAtAll()
}

// measureNights lets nights pass over a generated store and prints the table.
func measureNights(out, log io.Writer, tools []tool, work string, o options) error {
	l, err := o.maildirs(work)
	if err != nil {
		return err
	}
	return l.measureNights(out, log, tools, work, o.rounds)
}

// maildirs raises the store of Maildirs that is asked for.
func (o options) maildirs(work string) (*living, error) {
	name := fmt.Sprintf("nights-%d-%d", o.messages, o.mailboxes)
	if o.small {
		name += "-small"
	}
	return livingMaildirs(filepath.Join(o.keeping(work), name), o.small,
		"--messages", strconv.Itoa(o.messages), "--mailboxes", strconv.Itoa(o.mailboxes))
}

// measureMbox lets a single large mbox grow by a hundredth each night and prints the table.
func measureMbox(out, log io.Writer, tools []tool, work string, o options) error {
	bytes := int64(o.mbox) * mebibyte
	l, err := livingMbox(filepath.Join(o.keeping(work), fmt.Sprintf("mbox-%d", o.mbox)), bytes)
	if err != nil {
		return err
	}
	return l.measureNights(out, log, tools, work, o.rounds, "--grow", strconv.FormatInt(bytes/100, 10))
}

// measureDeliveries lets new mail come to a folder with very many messages, and to
// very many mailboxes, and prints a table for each.
func measureDeliveries(out, log io.Writer, tools []tool, work string, o options) error {
	const mailboxSize = 500
	if o.deliver < 2*mailboxSize {
		return fmt.Errorf("%d messages do not fill two mailboxes of %d (--deliver)", o.deliver, mailboxSize)
	}
	one, err := o.inboxes(work, 1)
	if err != nil {
		return err
	}
	if err := one.lookAtInbox(); err != nil {
		return err
	}
	one.name = fmt.Sprintf("a Maildir in which a message comes to %d", o.deliver)
	if err := one.measureNights(out, log, tools, filepath.Join(work, "one"), o.rounds, "--deliver", "1"); err != nil {
		return err
	}
	boxes := o.deliver / mailboxSize
	many, err := o.inboxes(work, boxes)
	if err != nil {
		return err
	}
	many.name = fmt.Sprintf("%d Maildirs with %d messages, to each of which 5 come", boxes, mailboxSize)
	return many.measureNights(out, log, tools, filepath.Join(work, "many"), o.rounds, "--deliver", "5")
}

// inboxes raises a store with --deliver's messages in the inboxes of so many mailboxes.
func (o options) inboxes(work string, mailboxes int) (*living, error) {
	made := filepath.Join(o.keeping(work), fmt.Sprintf("deliver-%d-%d", o.deliver, mailboxes))
	return livingMaildirs(made, true, "--messages", strconv.Itoa(o.deliver), "--mailboxes", strconv.Itoa(mailboxes), "--even", "--inbox")
}

// measureNights lets nights pass as mailgen's flags have it.
func (l *living) measureNights(out, log io.Writer, tools []tool, work string, nights int, args ...string) error {
	s, err := newSleepers(log, l, tools, work)
	if err != nil {
		return err
	}
	for range nights {
		if err := s.night(args...); err != nil {
			return err
		}
	}
	return s.print(out)
}

// begin takes the backups before the first night.
func (x *sleeper) begin() error {
	if err := x.prepare(x.job); err != nil {
		return err
	}
	for n := range anotherOf {
		row := firstBackup
		if n > 0 {
			row = "" // no row of the table
		}
		if err := x.run(row, n); err != nil {
			return err
		}
	}
	return nil
}

// night takes the backup of a night, and another one with nothing changed.
func (x *sleeper) night(log io.Writer) error {
	before, err := weigh(x.repo)
	if err != nil {
		return err
	}
	night := len(x.grown)
	for i, row := range []string{aNight, noChange} {
		if err := x.run(row, anotherOf+2*night+i); err != nil {
			return err
		}
		fmt.Fprintf(log, "night %d: %s: %s: %.2f s\n", night+1, x.name, row, x.times[row][night].Seconds())
		if i == 0 {
			after, err := weigh(x.repo)
			if err != nil {
				return err
			}
			x.grown = append(x.grown, after.minus(before))
		}
	}
	return nil
}

// run takes the n-th backup.
func (x *sleeper) run(row string, n int) error {
	out, err := step{row: row, argv: x.backup(x.job, n)}.run(x.env(x.job), x.job, x.figures)
	if err != nil || row != aNight || x.tell == nil {
		return err
	}
	t, err := x.tell(out)
	x.told = append(x.told, t)
	return err
}

// stored returns what a night added to the repository, in MiB.
func (x *sleeper) stored() float64 {
	return medianOf(x.grown, func(w weight) int64 { return w.bytes }) / mebibyte
}

// metadata returns how much of that is not in packs of data, in KiB; it is known of
// restante only.
func (x *sleeper) metadata() float64 {
	if x.peer {
		return math.NaN()
	}
	return medianOf(x.grown, func(w weight) int64 { return w.bytes - w.data }) / 1024
}

func (s *sleepers) print(out io.Writer) error {
	raw, err := count(s.dir)
	if err != nil {
		return err
	}
	look := median(s.looks)
	fmt.Fprintf(out, "\n### Nights over %s, %.1f MiB in files: %d; %s takes %.2f s\n\n", s.name, float64(raw.bytes)/mebibyte, raw.files, s.look[0], look.Seconds())
	var columns []string
	for _, x := range s.all {
		columns = append(columns, x.name)
	}
	p := newTable(out, columns)
	for _, row := range []string{aNight, noChange, firstBackup} {
		p.row(row, "%.2f s", func(i int) float64 { return s.all[i].seconds(row) })
	}
	for _, row := range []string{aNight, noChange} {
		p.row(row+" ÷ "+s.look[0], "%.2f", func(i int) float64 { return s.all[i].seconds(row) / look.Seconds() })
	}
	for _, peer := range s.all {
		if peer.peer {
			p.row(peer.name+"'s night ÷ "+aNight, "%.2f", func(i int) float64 { return peer.seconds(aNight) / s.all[i].seconds(aNight) })
		}
	}
	p.row("stored by a night, MiB", "%.2f", func(i int) float64 { return s.all[i].stored() })
	p.row("metadata of that, KiB", "%.0f", func(i int) float64 { return s.all[i].metadata() })
	for _, row := range []string{aNight, firstBackup} {
		p.row("peak memory of "+row+", MiB", "%.0f", func(i int) float64 { return float64(median(s.all[i].memory[row])) / 1024 })
	}
	return nil
}

// prepare makes the tool's repository.
func (t tool) prepare(j job) error {
	if err := os.MkdirAll(j.home, 0o700); err != nil {
		return err
	}
	for _, argv := range t.setup(j) {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), t.env(j)...)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("running %q: %w\n%s", argv, err, text)
		}
	}
	return nil
}
