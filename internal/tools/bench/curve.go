package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
)

// sizes are the sizes of stores, in messages; a flag's value.
type sizes []int

// String returns the sizes as they are given.
func (s *sizes) String() string {
	var parts []string
	for _, n := range *s {
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(parts, ",")
}

// Set reads sizes separated by commas, which must rise: all are compared with the first.
func (s *sizes) Set(text string) error {
	*s = nil
	last := 0
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n <= last {
			return fmt.Errorf("they are rising numbers of messages, separated by commas")
		}
		*s = append(*s, n)
		last = n
	}
	return nil
}

// measureCurve measures nights with the same changes over stores of several
// sizes and prints what they cost at each.
func measureCurve(out, log io.Writer, tools []tool, work string, o options) error {
	if most := o.mailboxesOf(o.curve[0]); o.changed > most {
		return fmt.Errorf("the store of %d messages has %d mailboxes, so %d cannot take part in a night (--changed-mailboxes, --mailbox-size)", o.curve[0], most, o.changed)
	}
	stores, err := o.measureSizes(log, tools, work, o.curve, "--changes", strconv.Itoa(o.changes), "--mailboxes", strconv.Itoa(o.changed))
	if err != nil {
		return err
	}
	return printCurve(out, stores, o)
}

// measureMemory measures nights of one per cent over stores of several sizes
// and prints what memory they and the first backups took.
func measureMemory(out, log io.Writer, tools []tool, work string, o options) error {
	stores, err := o.measureSizes(log, tools, work, o.memory)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n### Peak memory by the number of messages, of nights of 1 %%\n\n")
	p := newTable(out, columns(o.memory))
	for k, t := range tools {
		for _, row := range []string{firstBackup, aNight, noChange} {
			p.row(t.name+": "+row+", MiB", "%.0f", func(i int) float64 { return float64(median(stores[i].all[k].memory[row])) / 1024 })
		}
	}
	return nil
}

// measureSizes raises stores of several sizes and lets nights pass over them in
// turns, as mailgen's flags have it.
func (o options) measureSizes(log io.Writer, tools []tool, work string, sizes sizes, args ...string) ([]*sleepers, error) {
	var stores []*sleepers
	for _, n := range sizes {
		name := fmt.Sprintf("small-%d-%d", n, o.mailboxesOf(n))
		l, err := livingMaildirs(filepath.Join(o.keeping(work), name), true,
			"--messages", strconv.Itoa(n), "--mailboxes", strconv.Itoa(o.mailboxesOf(n)), "--even")
		if err != nil {
			return nil, err
		}
		s, err := newSleepers(log, l, tools, filepath.Join(work, "repositories", name))
		if err != nil {
			return nil, err
		}
		stores = append(stores, s)
	}
	for range o.rounds {
		for _, s := range stores {
			if err := s.night(args...); err != nil {
				return nil, err
			}
		}
	}
	return stores, nil
}

// mailboxesOf returns how many mailboxes a store of so many messages has:
// mailboxes are equally large in all stores.
func (o options) mailboxesOf(messages int) int { return max(1, messages/o.mailboxSize) }

func columns(sizes sizes) []string {
	var all []string
	for _, n := range sizes {
		all = append(all, fmt.Sprintf("%d messages", n))
	}
	return all
}

func printCurve(out io.Writer, stores []*sleepers, o options) error {
	folders := make([]int64, len(stores))
	for i, s := range stores {
		var err error
		if folders[i], err = messageFolders(s.dir); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\n### A night of %d new messages, %[1]d flag changes, %d moves and %[2]d deletions in %d mailboxes, by the size of the store\n\n",
		o.changes, o.changes*3/10, o.changed)
	p := newTable(out, columns(o.curve))
	for k, t := range stores[0].all {
		for _, row := range []string{aNight, noChange} {
			p.row(t.name+": "+row, "%.2f s", func(i int) float64 { return stores[i].all[k].seconds(row) })
			p.row(t.name+": "+row+", user and system", "%.2f s", func(i int) float64 { return median(stores[i].all[k].cpu[row]).Seconds() })
		}
		p.row(t.name+": stored by a night, KiB", "%.0f", func(i int) float64 { return stores[i].all[k].stored() * 1024 })
		p.row(t.name+": peak memory of a night, MiB", "%.0f", func(i int) float64 { return float64(median(stores[i].all[k].memory[aNight])) / 1024 })
		if t.tell != nil {
			p.row(t.name+": metadata of that, KiB", "%.0f", func(i int) float64 { return stores[i].all[k].metadata() })
			p.row(t.name+": files read", "%.0f", func(i int) float64 { return medianOf(stores[i].all[k].told, func(t told) int64 { return t.read }) })
			p.row(t.name+": folders listed", "%.0f", func(i int) float64 {
				return medianOf(stores[i].all[k].told, func(t told) int64 { return folders[i] - t.unlisted })
			})
		}
	}
	p.row("folders of messages", "%.0f", func(i int) float64 { return float64(folders[i]) })
	p.row(stores[0].look[0], "%.3f s", func(i int) float64 { return median(stores[i].looks).Seconds() })
	return nil
}
