package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/snapshot"
)

// folderInfo is what "ls MAILBOX --json" prints of each folder.
type folderInfo struct {
	Name   string `json:"name" doc:"the folder's name, its levels joined by \"/\""`
	Base64 string `json:"name_base64,omitempty" doc:"the same, when it is not UTF-8"`
	Other  bool   `json:"other" doc:"this is what lies in the mailbox's home beside its folders"`
	counted
}

func newLsCommand(a *app) *cobra.Command {
	var c choice
	var raw, unlisted bool
	cmd := &cobra.Command{
		Use:   "ls [MAILBOX[/FOLDER]]",
		Short: "List mailboxes, folders of a mailbox, or messages of a folder",
		Long: `List what a snapshot holds, the latest if none is named: without an argument its
mailboxes, with a mailbox its folders, with a folder its messages, each with the
time it came in, its size, its flags and the name of its file. A mailbox may be
named by its local part, a folder in UTF-8 or as on disk. With --raw everything
that is stored there is listed by its path in the store. A backslash in a name
stands for itself doubled, and else begins what cannot be printed: \n, \xff.

` + jsonHelp([]mailboxInfo{}) + `

With --json and a mailbox:
` + cli.Fields([]folderInfo{}) + `
With --json and a folder, or --raw or --unlisted:
` + cli.Fields([]entryInfo{}),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cli.Usagef("after %q there is %q too much", args[0], args[1])
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, args []string) error {
			return a.onSnapshot(ctx, out, &c, func(ctx context.Context, out *output, o *opened, s listed) error {
				if unlisted {
					return listUnlisted(ctx, out, o, s, args)
				}
				return list(ctx, out, o, s, raw, args)
			})
		}),
	}
	c.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&raw, "raw", false, "list stored paths with mode, owner, size and time")
	cmd.Flags().BoolVar(&unlisted, "unlisted", false, "list the folders of messages that the backup took over from the snapshot before, for they were at rest")
	return cmd
}

func list(ctx context.Context, out *output, o *opened, s listed, raw bool, args []string) error {
	if len(args) == 0 {
		if raw {
			return listEntries(ctx, out, o.tree(s), []snapshot.Range{{}}, true)
		}
		return listMailboxes(ctx, out, o, s)
	}
	m, folder, err := o.findMailbox(ctx, s, args[0])
	if err != nil {
		return err
	}
	switch {
	case folder != nil:
		return listEntries(ctx, out, o.tree(s), folder.Ranges, raw)
	case raw:
		return listEntries(ctx, out, o.tree(s), m.Ranges, true)
	}
	return listFolders(ctx, out, o.tree(s), &m)
}

// listUnlisted prints the folders of messages that the backup did not list, of
// all mailboxes or of one.
func listUnlisted(ctx context.Context, out *output, o *opened, s listed, args []string) error {
	ranges := []snapshot.Range{{}}
	if len(args) > 0 {
		var err error
		if ranges, err = o.findRanges(ctx, s, args[0]); err != nil {
			return err
		}
	}
	i := 0 // the snapshot knows them by their number among all, so what lies behind damage is not known
	each := func(fn func(*snapshot.Record) error) error {
		for r, err := range o.tree(s).All(ctx, snapshot.Range{}) {
			if err != nil {
				return err
			}
			if r.Entry.Kind != snapshot.Dir || !snapshot.HoldsMessages(r.Key) {
				continue
			}
			if s.record.UnlistedFolder(i) && slices.ContainsFunc(ranges, func(in snapshot.Range) bool { return in.Contains(r.Key) }) {
				if err := fn(&r); err != nil {
					return err
				}
			}
			i++
		}
		return nil
	}
	return printRecords(out, func(r *snapshot.Record) string { return cli.Name(r.Key.Path()) }, each)
}

// listFolders prints the mailbox's folders.
func listFolders(ctx context.Context, out *output, t *snapshot.Tree, m *snapshot.Mailbox) error {
	var folders []folderInfo
	rest, damage := count(ctx, t, m.Ranges)
	for _, f := range m.Folders {
		c, err := count(ctx, t, f.Ranges)
		damage = cmp.Or(damage, err)
		rest = minus(rest, c)
		folders = append(folders, folderInfo{Name: f.Name, Base64: exactBytes(f.Name), counted: countedOf(c, err)})
	}
	if damage != nil && !isLocal(ctx, damage) {
		return damage
	}
	if rest.Files > 0 || rest.Unsaved > 0 {
		folders = append(folders, folderInfo{Name: otherName, Other: true, counted: countedOf(rest, nil)})
	}
	if len(m.Folders) == 0 {
		out.note("no folders are known of %q; with --raw its files are listed", m.Name)
	}
	if out.json {
		return out.list(func(add func(any) error) error {
			for _, f := range folders {
				if err := add(f); err != nil {
					return err
				}
			}
			return damage
		})
	}
	table := cli.NewTable(cli.Column{}, cli.Column{Right: true}, cli.Column{Right: true}, cli.Column{})
	for _, f := range folders {
		table.Row(append([]string{f.Name}, f.cells(!f.Other)...)...)
	}
	return cmp.Or(table.Print(out), damage)
}
