package main

import (
	"fmt"
	"strings"

	"restante/cmd/restante/internal/cli"
	"restante/mailstore"
)

// print prints what was found in one line, after the lists that --verbose
// asks for.
func (i *inspectInfo) print(out *output, survey *mailstore.Survey) error {
	if out.verbose {
		if err := i.table(survey.Other).Print(out); err != nil {
			return err
		}
		for _, u := range i.Unreadable {
			fmt.Fprintf(out, "unreadable: %s: %s\n", cli.Name(u.Path), cli.Line(u.Reason))
		}
	}
	_, err := fmt.Fprintln(out, i)
	return err
}

// String sums it up: Maildir++, 412 mailboxes, 1,201,334 messages, 84 GiB; 3
// unreadable as this user; about 26 GiB to store, 200 GiB free.
func (i *inspectInfo) String() string {
	s := fmt.Sprintf("%s, %s, %s, %s", i.Layout, cli.Count(uint64(len(i.Mailboxes)), "mailbox", "mailboxes"),
		content(i.Messages, i.Files), cli.Size(uint64(i.Bytes)))
	if n := len(i.Unreadable); n > 0 {
		s += fmt.Sprintf("; %s unreadable as this user", cli.Number(uint64(n)))
	}
	s += fmt.Sprintf("; about %s to store", cli.Size(i.Estimate))
	if i.Free != nil {
		s += fmt.Sprintf(", %s free", cli.Size(*i.Free))
	}
	return s
}

// content counts messages, or files where there is no mail.
func content(messages, files int64) string {
	if messages == 0 && files > 0 {
		return cli.Count(uint64(files), "file", "files")
	}
	return cli.Count(uint64(messages), "message", "messages")
}

// hasOther reports whether what belongs to no mailbox is worth a line.
func hasOther(c mailstore.Counts) bool { return c.Files > 0 || c.Unreadable > 0 }

// table lists the mailboxes, and what belongs to none.
func (i *inspectInfo) table(other mailstore.Counts) *cli.Table {
	table := cli.NewTable(cli.Column{}, cli.Column{Right: true}, cli.Column{Right: true}, cli.Column{Right: true}, cli.Column{}, cli.Column{})
	row := func(name, folders string, messages, files, bytes, bad int64, aliases string) {
		unreadable := ""
		if bad > 0 {
			unreadable = cli.Number(uint64(bad)) + " unreadable"
		}
		table.Row(name, folders, content(messages, files), cli.Size(uint64(bytes)), unreadable, aliases)
	}
	for _, m := range i.Mailboxes {
		folders, aliases := "", ""
		if m.Folders > 0 {
			folders = cli.Count(uint64(m.Folders), "folder", "folders")
		}
		if len(m.Aliases) > 0 {
			aliases = "also " + strings.Join(m.Aliases, ", ")
		}
		row(m.Name, folders, m.Messages, m.Files, m.Bytes, m.Unreadable, aliases)
	}
	if hasOther(other) {
		row(otherName, "", other.Messages, other.Files, other.Bytes, other.Unreadable, "")
	}
	return table
}
