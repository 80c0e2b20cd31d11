// Bench measures restante against restic and borg on real and generated mail
// and prints the results as a Markdown table.
//
//	bench [--restante FILE] [--rounds N] [--messages N] [--work DIR] [--only NAME]
//	bench --nights [--mailboxes N] [--small] [--peers=false] …
//	bench --curve 10000,100000,1000000 [--changes N] [--changed-mailboxes N] [--peers=false] …
//	bench --memory 1000000,2000000 …
//	bench --mbox 2048 [--peers=false] …
//	bench --deliver 1000000 [--peers=false] …
//	bench --upkeep 30 [--mailboxes N] [--small] [--peers=false] …
//
// The tools take turns: each round, every tool makes a repository, takes a
// first snapshot, takes another of the unchanged store, and restores all of it
// and then one mailbox, and checks all data. Figures are medians over the rounds, of the whole
// process: wall-clock time around it and its peak memory as GNU time reports
// it. The store is in the page cache, dirty pages are flushed before each
// step, and no tool is told to skip its fsync calls.
//
// With --nights a generated store lives on for as many nights as there are
// rounds: mail comes, flags change, messages are moved and expunged. Each night
// every tool in turn backs it up, and then once more with nothing changed. The
// table has medians over the nights, and what find takes to look at each file.
//
// With --curve the same nights pass over stores of several sizes, which have
// short texts and mailboxes of one size: exactly as many changes in as many
// mailboxes. The table has a column for each size. What a night costs should be
// the same but for the walk, which the row "nothing changed" has by itself.
// Restante uses a key file; the only peer is restic.
//
// With --memory the table has the peak memory of a first backup and of nights
// of 1 % over such stores, with a key file.
//
// With --mbox the store is one mbox of so many MiB, which grows by 1 % each
// night; besides what cat takes to read it.
//
// With --deliver one message a night comes to a folder with so many, besides what
// ls takes to look at all of it; and five to each of the mailboxes of a second
// store, with 500 messages each and as many in all.
//
// With --upkeep so many nights pass as with --nights. Then, each round, every tool
// forgets in a copy of its repository all but the last seven, and prunes until
// the room is back; restante once more while one backup follows the other.
//
// Without any of these three stores are measured: users-b, lists' real mail as 20 Maildirs,
// and usrp-users, one list's as a file a message, where RESTANTE_CORPORA (by
// default ../shared/corpora) has them, and a generated one.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

type options struct {
	restante string
	rounds   int
	messages int
	work     string
	keep     string
	only     string

	nights, small, peers bool
	mailboxes            int

	curve, memory    sizes
	changes, changed int
	mailboxSize      int
	mbox, upkeep     int
	deliver          int
}

func main() {
	var o options
	flag.StringVar(&o.restante, "restante", "bin/restante", "the program to measure")
	flag.IntVar(&o.rounds, "rounds", 3, "how often every tool has its turn")
	flag.IntVar(&o.messages, "messages", 30_000, "how many messages the generated store holds")
	flag.StringVar(&o.work, "work", os.TempDir(), "where stores and repositories are made; 35 GiB")
	flag.StringVar(&o.keep, "keep", "", "with --nights, --curve, --memory, --mbox, --deliver and --upkeep: keep the stores in `DIR`, and go on with those that are there")
	flag.StringVar(&o.only, "only", "", "measure only the store of this `NAME`: users-b, usrp-users or generated")
	flag.BoolVar(&o.nights, "nights", false, "let nights pass over a generated store")
	flag.IntVar(&o.mailboxes, "mailboxes", 40, "with --nights and --upkeep: how many mailboxes it has")
	flag.BoolVar(&o.small, "small", false, "with --nights and --upkeep: short texts only")
	flag.BoolVar(&o.peers, "peers", true, "measure other tools too")
	flag.Var(&o.curve, "curve", "let the same nights pass over stores of these `SIZES` in messages, such as 10000,100000,1000000")
	flag.IntVar(&o.changes, "changes", 1000, "with --curve: how many messages come in a night, and how many get other flags; three tenths as many are moved, and as many expunged")
	flag.IntVar(&o.changed, "changed-mailboxes", 5, "with --curve: how many mailboxes that happens in")
	flag.IntVar(&o.mailboxSize, "mailbox-size", 1000, "with --curve and --memory: how many messages a mailbox has")
	flag.Var(&o.memory, "memory", "compare peak memory at stores of these `SIZES` in messages, such as 1000000,2000000")
	flag.IntVar(&o.mbox, "mbox", 0, "let nights pass over one mbox of so many `MIB`")
	flag.IntVar(&o.deliver, "deliver", 0, "let a message a night come to a folder with so many `MESSAGES`, and five to each of many mailboxes with as many in all")
	flag.IntVar(&o.upkeep, "upkeep", 0, "let so many `NIGHTS` pass over a generated store, and measure forgetting all but a week of them")
	flag.Parse()
	if flag.NArg() > 0 || o.rounds < 1 || o.mailboxSize < 1 || o.changes < 1 || o.changed < 1 || min(o.mbox, o.deliver, o.upkeep) < 0 || len(o.modes()) > 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdout, os.Stderr, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A mode is a way to measure, and the tools that it measures.
type mode struct {
	measure func(out, log io.Writer, tools []tool, work string, o options) error
	tools   []tool // restante first
}

// modes returns the modes that are asked for besides that of the three stores.
func (o options) modes() []mode {
	plain, key := restante(o.restante), withKeyFile(o.restante)
	var all []mode
	if o.nights {
		all = append(all, mode{measureNights, []tool{plain, restic(), borg(), key}})
	}
	if o.mbox > 0 {
		all = append(all, mode{measureMbox, []tool{plain, restic(), key}})
	}
	if o.deliver > 0 {
		all = append(all, mode{measureDeliveries, []tool{plain, restic(), key}})
	}
	if o.upkeep > 0 {
		all = append(all, mode{measureUpkeep, []tool{plain, restic(), borg()}})
	}
	if len(o.curve) > 0 {
		all = append(all, mode{measureCurve, []tool{telling(o.restante), restic()}})
	}
	if len(o.memory) > 0 {
		all = append(all, mode{measureMemory, []tool{key}})
	}
	return all
}

// keeping returns the folder for stores that may be kept.
func (o options) keeping(work string) string {
	if o.keep != "" {
		return o.keep
	}
	return filepath.Join(work, "stores")
}

// run measures in the mode that is asked for; progress goes to log.
func run(out, log io.Writer, o options) error {
	work, err := os.MkdirTemp(o.work, "restante-bench-")
	if err != nil {
		return err
	}
	// Nothing is removed before the end: for minutes after files were removed,
	// ext4 makes new ones several times slower, whoever makes them.
	defer os.RemoveAll(work)
	if o.restante, err = filepath.Abs(o.restante); err != nil {
		return err
	}
	if o.keep != "" {
		if o.keep, err = filepath.Abs(o.keep); err != nil {
			return err
		}
	}
	if _, err := exec.LookPath("time"); err != nil {
		return fmt.Errorf("looking for GNU time, which measures memory (Debian package time): %w", err)
	}
	m := mode{measureStores, []tool{restante(o.restante), restic(), borg()}}
	if asked := o.modes(); len(asked) > 0 {
		m = asked[0]
	}
	tools := o.available(out, m.tools)
	if err := describeMachine(out, work, o.rounds, tools); err != nil {
		return err
	}
	return m.measure(out, log, tools, work, o)
}

// available returns the tools without the peers that are not installed or not wanted.
func (o options) available(out io.Writer, tools []tool) []tool {
	var there []tool
	for _, t := range tools {
		if t.peer && !o.peers {
			continue
		}
		if _, err := exec.LookPath(t.name); t.peer && err != nil {
			fmt.Fprintf(out, "%s is not installed: left out.\n\n", t.name)
			continue
		}
		there = append(there, t)
	}
	return there
}

// measureStores measures real and generated mail and prints a table for each store.
func measureStores(out, log io.Writer, tools []tool, work string, o options) error {
	for _, find := range []func(work string, o options) (store, error){corpus("users-b", "u03"), corpus("usrp-users", "2019-05"), generated} {
		s, err := find(work, o)
		if err != nil {
			return err
		}
		if s.missing != "" {
			fmt.Fprintf(out, "\n%s\n", s.missing)
			continue
		}
		if err := s.measure(out, log, tools, o.rounds, work); err != nil {
			return err
		}
	}
	return nil
}
