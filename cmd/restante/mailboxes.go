package main

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"strings"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/snapshot"
)

// counted are the fields of JSON listings that count what lies in a part of a
// snapshot.
type counted struct {
	Messages uint64 `json:"messages" doc:"how many messages are in it"`
	Files    uint64 `json:"files" doc:"how many files are in it"`
	Bytes    uint64 `json:"bytes" doc:"the size of its files"`
	Unsaved  uint64 `json:"unsaved" doc:"things in it that exist but could not be saved"`
	Damaged  bool   `json:"damaged,omitempty" doc:"the list of its files is damaged; the numbers are the most there can be"`
}

func countedOf(c snapshot.Counts, damage error) counted {
	return counted{c.Messages, c.Files, c.Bytes, c.Unsaved, damage != nil}
}

// mailboxInfo is what "mailboxes --json" prints of each mailbox.
type mailboxInfo struct {
	Name    string   `json:"name" doc:"the mailbox's name"`
	Base64  string   `json:"name_base64,omitempty" doc:"the same, when it is not UTF-8"`
	Aliases []string `json:"aliases" doc:"other names it answers to"`
	Folders int      `json:"folders" doc:"how many folders it has, 0 if its format is not understood"`
	Other   bool     `json:"other" doc:"this is what belongs to no mailbox"`
	counted
}

func newMailboxesCommand(a *app) *cobra.Command {
	var c choice
	cmd := &cobra.Command{
		Use:   "mailboxes",
		Short: "List the mailboxes in a snapshot",
		Long: `List the mailboxes in a snapshot, the latest if none is named. What belongs to no
mailbox is listed as (other).

` + jsonHelp([]mailboxInfo{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			return a.onSnapshot(ctx, out, &c, listMailboxes)
		}),
	}
	c.addFlags(cmd.Flags())
	return cmd
}

// onSnapshot opens the repository and calls f with the chosen snapshot.
func (a *app) onSnapshot(ctx context.Context, out *output, c *choice, f func(context.Context, *output, *opened, listed) error) error {
	if _, err := c.query(); err != nil { // before a password is asked for
		return err
	}
	o, err := a.openToRead(ctx, out)
	if err != nil {
		return err
	}
	defer o.Close()
	s, err := o.choose(ctx, out, c)
	if err != nil {
		return err
	}
	return f(ctx, out, o, s)
}

// listMailboxes prints the mailboxes of the snapshot.
func listMailboxes(ctx context.Context, out *output, o *opened, s listed) error {
	if out.json {
		return out.list(func(add func(any) error) error {
			return o.eachMailbox(ctx, s, func(m mailboxInfo) error { return add(m) })
		})
	}
	table := cli.NewTable(cli.Column{}, cli.Column{Right: true}, cli.Column{Right: true}, cli.Column{Right: true}, cli.Column{})
	mail := s.record.Tree.Counts.Messages > 0
	err := o.eachMailbox(ctx, s, func(m mailboxInfo) error {
		folders := ""
		if m.Folders > 0 {
			folders = cli.Count(uint64(m.Folders), "folder", "folders")
		}
		table.Row(append([]string{m.Name, folders}, m.cells(mail && !m.Other)...)...)
		return nil
	})
	if err != nil && !isFlaw(err) {
		return err
	}
	return cmp.Or(table.Print(out), err)
}

// cells prints the counts: the messages, or the files where there is no mail.
func (c counted) cells(mail bool) []string {
	n := cli.Count(c.Files, "file", "files")
	if mail {
		n = cli.Count(c.Messages, "message", "messages")
	}
	var notes []string
	if c.Unsaved > 0 {
		notes = append(notes, cli.Number(c.Unsaved)+" unsaved")
	}
	if c.Damaged {
		notes = append(notes, "damaged")
	}
	return []string{n, cli.Size(c.Bytes), strings.Join(notes, ", ")}
}

// eachMailbox calls f with each mailbox of the snapshot by name, and with the
// rest of the store if there is one. What is damaged does not keep it from the
// others; it is the error in the end.
func (o *opened) eachMailbox(ctx context.Context, s listed, f func(mailboxInfo) error) error {
	tree := o.tree(s)
	rest := s.record.Tree.Counts
	var damage error
	unknown := false // there are mailboxes of which nothing is known
	for m, err := range o.mailboxes(s).All(ctx) {
		if err != nil {
			err = fmt.Errorf("reading the list of mailboxes: %w", err)
			if !isLocal(ctx, err) {
				return err
			}
			damage, unknown = cmp.Or(damage, err), true
			continue
		}
		c, err := count(ctx, tree, m.Ranges)
		if err != nil {
			err = fmt.Errorf("counting mailbox %q: %w", m.Name, err)
			if !isLocal(ctx, err) {
				return err
			}
			damage = cmp.Or(damage, err)
		}
		rest = minus(rest, c)
		info := mailboxInfo{Name: m.Name, Base64: exactBytes(m.Name), Aliases: append([]string{}, m.Aliases...),
			Folders: len(m.Folders), counted: countedOf(c, err)}
		if err := f(info); err != nil {
			return err
		}
	}
	if unknown || rest.Files == 0 && rest.Unsaved == 0 { // folders alone are not worth a line
		return damage
	}
	return cmp.Or(f(mailboxInfo{Name: otherName, Aliases: []string{}, Other: true, counted: countedOf(rest, nil)}), damage)
}

// minus takes b from a. Mailboxes that overlap, which only a hostile snapshot
// has, take no more than there is.
func minus(a, b snapshot.Counts) snapshot.Counts {
	for _, p := range [][2]*uint64{{&a.Entries, &b.Entries}, {&a.Files, &b.Files}, {&a.Messages, &b.Messages}, {&a.Bytes, &b.Bytes}, {&a.Unsaved, &b.Unsaved}} {
		left, borrow := bits.Sub64(*p[0], *p[1], 0)
		*p[0] = left * (1 - borrow)
	}
	return a
}
