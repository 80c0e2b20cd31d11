package main

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"restante/cmd/restante/internal/cli"
	"restante/diff"
	"restante/snapshot"
)

// print prints the changes of messages, or all.
func (c comparison) print(out *output, all bool) error {
	shown := slices.DeleteFunc(slices.Clone(c), func(x change) bool { return !all && !x.Mail() })
	if out.json {
		return out.list(func(add func(any) error) error {
			for i := range shown {
				for _, info := range shown[i].infos() {
					if err := add(info); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	table := cli.NewTable(cli.Column{Title: "Change"}, cli.Column{Title: "Mailbox"}, cli.Column{Title: "Folder"}, cli.Column{Title: "Time"},
		cli.Column{Title: "Size", Right: true}, cli.Column{Title: "Flags"}, cli.Column{Title: "Name"})
	for i := range shown {
		table.Row(shown[i].cells()...)
		for j := range shown[i].Parts {
			table.Row(shown[i].partCells(&shown[i].Parts[j])...)
		}
	}
	if err := table.Print(out); err != nil {
		return err
	}
	if len(shown) > 0 {
		fmt.Fprintln(out)
	}
	return c.printSums(out)
}

// printSums prints what changed in each mailbox.
func (c comparison) printSums(out *output) error {
	names, sums := c.sums()
	if out.json {
		return out.list(func(add func(any) error) error {
			for _, name := range names {
				s := sums[name]
				if err := add(sumsInfo{name, exactBytes(name), s.Added, s.Removed, s.Flagged, s.Moved, s.Changed, s.Files, s.Bytes}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if len(names) == 0 {
		out.note("nothing changed")
	}
	var columns []cli.Column
	for i, title := range []string{"Mailbox", "Added", "Removed", "Flags", "Moved", "Changed", "Other files", "New data"} {
		columns = append(columns, cli.Column{Title: title, Right: i > 0})
	}
	table := cli.NewTable(columns...)
	for _, name := range names {
		s := sums[name]
		table.Row(orOther(name), cli.Number(s.Added), cli.Number(s.Removed), cli.Number(s.Flagged), cli.Number(s.Moved), cli.Number(s.Changed), cli.Number(s.Files), cli.Size(s.Bytes))
	}
	return table.Print(out)
}

func orOther(mailbox string) string { return cmp.Or(mailbox, otherName) }

// cells are the change's cells in the table.
func (x *change) cells() []string {
	f := cmp.Or(x.After, x.Before)
	folder, note := x.folder, f.Flags()
	switch {
	case x.Kind == diff.Flagged:
		note = cmp.Or(x.Before.Flags(), "-") + " → " + cmp.Or(note, "-")
	case x.Kind == diff.Moved && x.mailboxBefore != x.mailbox:
		folder = orOther(x.mailboxBefore) + "/" + x.folderBefore + " → " + folder
	case x.Kind == diff.Moved:
		folder = x.folderBefore + " → " + folder
	case f.Kind == snapshot.Unsaved:
		note = "unsaved"
	case x.Kind == diff.Changed && x.Before.Messages != x.After.Messages:
		note = fmt.Sprintf("%s → %s", cli.Number(x.Before.Messages), cli.Count(x.After.Messages, "message", "messages"))
	case f.Messages > 1:
		note = cli.Count(f.Messages, "message", "messages")
	}
	name := f.Key.Path()
	if f.Messages > 0 {
		name = path.Base(name)
	}
	return []string{string(x.Kind), orOther(x.mailbox), folder, cli.Time(f.Mtime.Go()), cli.Size(f.Size), note, cmp.Or(name, ".")}
}

// partCells are the cells of a message in a file of several.
func (x *change) partCells(p *diff.Part) []string {
	m := p.At()
	name := fmt.Sprintf("%s at %s", path.Base(x.After.Key.Path()), cli.Number(m.Offset))
	return []string{string(p.Kind), orOther(x.mailbox), x.folder, "", cli.Size(m.Size), "", name}
}

// infos are the change and those of the messages in its file.
func (x *change) infos() []changeInfo {
	file := x.info()
	all := []changeInfo{file}
	for _, p := range x.Parts {
		m := p.At()
		info := file
		info.Change, info.Size, info.Messages, info.Offset, info.Before = string(p.Kind), m.Size, 0, &m.Offset, nil
		if p.Kind == diff.Changed {
			before := *file.Before
			before.Size, before.Messages, before.Offset = p.Before.Size, 0, &p.Before.Offset
			info.Before = &before
		}
		all = append(all, info)
	}
	return all
}

func (x *change) info() changeInfo {
	f := cmp.Or(x.After, x.Before)
	p := f.Key.Path()
	info := changeInfo{Change: string(x.Kind), Mailbox: x.mailbox, Folder: x.folder, Path: p, Base64: exactBytes(p), Kind: f.Kind.String(),
		Size: f.Size, Time: timestamp(f.Mtime), Messages: f.Messages, Flags: f.Flags()}
	if x.Before != nil && x.After != nil {
		b := x.Before
		p := b.Key.Path()
		info.Before = &beforeInfo{Mailbox: x.mailboxBefore, Folder: x.folderBefore, Path: p, Base64: exactBytes(p), Size: b.Size, Messages: b.Messages, Flags: b.Flags()}
	}
	return info
}
