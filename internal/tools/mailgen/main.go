// Mailgen makes a mail store for tests, benchmarks and demonstrations, lets
// one more day pass over a store that it made, or makes a single mbox grow:
//
//	mailgen [--layout maildir|mbox] [--messages N] [--mailboxes N] [--even] [--inbox] [--seed N] [--small] DIR
//	mailgen --night N [--percent N] [--layout maildir|mbox] [--seed N] [--small] DIR
//	mailgen --night N --changes N [--mailboxes N] [--layout maildir|mbox] [--seed N] [--small] DIR
//	mailgen --night N --deliver N [--mailboxes N] [--layout maildir|mbox] [--seed N] [--small] DIR
//	mailgen --grow BYTES [--night N] [--seed N] FILE
//
// DIR is made if it is not there, and so is FILE. The same flags do the same.
package main

import (
	"flag"
	"fmt"
	"os"

	"restante/internal/mailgen"
)

func main() {
	var (
		o mailgen.Options
		n mailgen.NightOptions
		g mailgen.GrowOptions
	)
	layout := flag.String("layout", "maildir", "how the store keeps its mail: maildir or mbox")
	flag.IntVar(&o.Messages, "messages", 400, "how many messages the store holds")
	flag.IntVar(&o.Mailboxes, "mailboxes", 0, "how many accounts they belong to (default 6); with --changes and --deliver: how many of them take part (default all)")
	flag.BoolVar(&o.Even, "even", false, "give mailboxes equally much mail; else a third of them get two thirds")
	flag.BoolVar(&o.Inbox, "inbox", false, "leave all mail in the inbox; else it goes to ten folders")
	flag.Uint64Var(&o.Seed, "seed", 1, "another number gives another store")
	flag.BoolVar(&o.Small, "small", false, "short texts only, for stores of millions")
	flag.IntVar(&n.Number, "night", 0, "change the store in DIR as the N-th day after it was made does")
	flag.IntVar(&n.Percent, "percent", 1, "with --night: how much new mail comes, in percent of what is there")
	flag.IntVar(&n.Changes, "changes", 0, "with --night, instead of --percent: exactly `N` new messages and N flag changes, three tenths as many moved and as many deleted")
	flag.IntVar(&n.Deliver, "deliver", 0, "with --night, instead of --percent: `N` new messages to each mailbox, and nothing else")
	flag.Int64Var(&g.Bytes, "grow", 0, "append `BYTES` of mail to the mbox FILE")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: mailgen [flags] DIR|FILE")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	o.Layout = mailgen.Layout(*layout)
	n.Layout, n.Seed, n.Small = o.Layout, o.Seed, o.Small
	g.Number, g.Seed = n.Number, o.Seed
	if n.Changes != 0 || n.Deliver != 0 {
		n.Percent, n.Mailboxes = 0, o.Mailboxes
	}
	if err := run(flag.Arg(0), o, n, g); err != nil {
		fmt.Fprintln(os.Stderr, "mailgen:", err)
		os.Exit(1)
	}
}

func run(path string, o mailgen.Options, n mailgen.NightOptions, g mailgen.GrowOptions) error {
	switch {
	case g.Bytes != 0:
		r, err := mailgen.GrowMbox(path, g)
		if err != nil {
			return err
		}
		fmt.Printf("%d messages, %d bytes\n", r.Messages, r.Bytes)
		return nil
	case n.Number > 0:
		r, err := mailgen.Night(path, n)
		if err != nil {
			return err
		}
		fmt.Printf("night %d: %d new messages (%d bytes), %d flags changed, %d moved, %d deleted\n",
			n.Number, r.Messages, r.Bytes, r.Flagged, r.Moved, r.Deleted)
		return nil
	case n.Number < 0 || n.Changes != 0 || n.Deliver != 0:
		return fmt.Errorf("changing mail store %q: --changes and --deliver need --night, which counts from 1", path)
	}
	if o.Mailboxes == 0 {
		o.Mailboxes = 6
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	r, err := mailgen.Generate(path, o)
	if err != nil {
		return err
	}
	fmt.Printf("%d messages in %d mailboxes, %d bytes\n", r.Messages, o.Mailboxes, r.Bytes)
	return nil
}
