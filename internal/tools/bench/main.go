// Bench measures restante against restic and borg on real and generated mail
// and prints the results as a Markdown table.
//
//	bench [--restante FILE] [--rounds N] [--messages N] [--work DIR] [--only NAME]
//	bench --nights [--mailboxes N] [--small] [--peers=false] …
//
// The tools take turns: each round, every tool makes a repository, takes a
// first snapshot, takes another of the unchanged store, and restores all of it
// and then one mailbox. Figures are medians over the rounds, of the whole
// process: wall-clock time around it and its peak memory as GNU time reports
// it. The store is in the page cache, dirty pages are flushed before each
// step, and no tool is told to skip its fsync calls.
//
// With --nights a generated store lives on for as many nights as there are
// rounds: mail comes, flags change, messages are moved and expunged. Each night
// every tool in turn backs it up, and then once more with nothing changed. The
// table has medians over the nights, and what find takes to look at each file.
//
// Without it three stores are measured: users-b, lists' real mail as 20 Maildirs,
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
	only     string

	nights, small, peers bool
	mailboxes            int
}

func main() {
	var o options
	flag.StringVar(&o.restante, "restante", "bin/restante", "the program to measure")
	flag.IntVar(&o.rounds, "rounds", 3, "how often every tool has its turn")
	flag.IntVar(&o.messages, "messages", 30_000, "how many messages the generated store holds")
	flag.StringVar(&o.work, "work", os.TempDir(), "where stores and repositories are made; 35 GiB")
	flag.StringVar(&o.only, "only", "", "measure only the store of this `NAME`: users-b, usrp-users or generated")
	flag.BoolVar(&o.nights, "nights", false, "let nights pass over a generated store")
	flag.IntVar(&o.mailboxes, "mailboxes", 40, "with --nights: how many mailboxes it has")
	flag.BoolVar(&o.small, "small", false, "with --nights: short texts only")
	flag.BoolVar(&o.peers, "peers", true, "with --nights: measure other tools too")
	flag.Parse()
	if flag.NArg() > 0 || o.rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdout, os.Stderr, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures all stores and prints a table for each; progress goes to log.
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
	if _, err := exec.LookPath("time"); err != nil {
		return fmt.Errorf("looking for GNU time, which measures memory (Debian package time): %w", err)
	}
	tools := []tool{restante(o.restante)}
	for _, peer := range []tool{restic(), borg()} {
		if _, err := exec.LookPath(peer.name); err != nil {
			fmt.Fprintf(out, "%s is not installed: left out.\n\n", peer.name)
			continue
		}
		tools = append(tools, peer)
	}
	if o.nights {
		if tools = append(tools, withKeyFile(o.restante)); !o.peers {
			tools = []tool{tools[0], tools[len(tools)-1]}
		}
	}
	if err := describeMachine(out, work, o.rounds, tools); err != nil {
		return err
	}
	if o.nights {
		return measureNights(out, log, tools, work, o)
	}
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
