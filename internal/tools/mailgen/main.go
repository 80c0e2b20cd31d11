// Mailgen makes a mail store for tests, benchmarks and demonstrations, or lets
// one more day pass over a store that it made:
//
//	mailgen [--layout maildir|mbox] [--messages N] [--mailboxes N] [--seed N] [--small] DIR
//	mailgen --night N [--percent N] [--layout maildir|mbox] [--seed N] [--small] DIR
//
// DIR is made if it is not there. The same flags give the same store.
package main

import (
	"flag"
	"fmt"
	"os"

	"restante/internal/mailgen"
)

func main() {
	layout := flag.String("layout", "maildir", "how the store keeps its mail: maildir or mbox")
	messages := flag.Int("messages", 400, "how many messages the store holds")
	mailboxes := flag.Int("mailboxes", 6, "how many accounts they belong to")
	seed := flag.Uint64("seed", 1, "another number gives another store")
	small := flag.Bool("small", false, "short texts only, for stores of millions")
	night := flag.Int("night", 0, "change the store in DIR as the N-th day after it was made does")
	percent := flag.Int("percent", 1, "with --night: how much new mail comes, in percent of what is there")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: mailgen [flags] DIR")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	dir := flag.Arg(0)
	if err := run(dir, mailgen.Options{Layout: mailgen.Layout(*layout), Messages: *messages, Mailboxes: *mailboxes, Seed: *seed, Small: *small}, *night, *percent); err != nil {
		fmt.Fprintln(os.Stderr, "mailgen:", err)
		os.Exit(1)
	}
}

func run(dir string, o mailgen.Options, night, percent int) error {
	if night > 0 {
		r, err := mailgen.Night(dir, mailgen.NightOptions{Layout: o.Layout, Number: night, Percent: percent, Seed: o.Seed, Small: o.Small})
		if err != nil {
			return err
		}
		fmt.Printf("night %d: %d new messages (%d bytes), %d flags changed, %d moved, %d deleted\n",
			night, r.Messages, r.Bytes, r.Flagged, r.Moved, r.Deleted)
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	r, err := mailgen.Generate(dir, o)
	if err != nil {
		return err
	}
	fmt.Printf("%d messages in %d mailboxes, %d bytes\n", r.Messages, o.Mailboxes, r.Bytes)
	return nil
}
