package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"restante/cmd/restante/internal/cli"
	"restante/repo"
	"restante/snapshot"
)

// readable reads all snapshots, oldest first. Others it names as warnings;
// its error is then an outcome and comes beside the result.
func (o *opened) readable(ctx context.Context, out *output) ([]listed, error) {
	return readableOf(ctx, out, o.EachSnapshot)
}

// readableForgotten does the same with those that are forgotten.
func (o *opened) readableForgotten(ctx context.Context, out *output) ([]listed, error) {
	forgotten := map[string]*repo.ForgottenObject{}
	all, err := readableOf(ctx, out, func(ctx context.Context, fn func(repo.SnapshotObject, error) error) error {
		return o.EachForgotten(ctx, func(f repo.ForgottenObject, err error) error {
			forgotten[f.ID.String()] = &f
			return fn(f.SnapshotObject, err)
		})
	})
	for i := range all {
		all[i].forgotten = forgotten[all[i].id]
	}
	return all, err
}

func readableOf(ctx context.Context, out *output, each func(context.Context, func(repo.SnapshotObject, error) error) error) ([]listed, error) {
	var all []listed
	damaged, other := uint64(0), uint64(0)
	err := each(ctx, func(obj repo.SnapshotObject, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, repo.ErrCannotRead) {
			return err
		}
		s, err := decode(obj, err)
		switch {
		case err == nil:
			all = append(all, s)
			return nil
		case isDamage(err):
			damaged++
		default:
			other++
		}
		out.warn("leaving out a snapshot: %v", err)
		return nil
	})
	sortListed(all)
	markOvertaken(all)
	switch {
	case err != nil:
		return nil, err
	case damaged > 0:
		return all, outcome{exitDamage, cli.Count(damaged, "snapshot is", "snapshots are") + " damaged; restante check says what else is"}
	case other > 0:
		return all, outcome{exitFailed, cli.Count(other, "snapshot", "snapshots") + " could not be read"}
	}
	return all, nil
}

// markOvertaken marks those snapshots, oldest first, that were compared with an older one
// than the one before, as after a night whose cache could not be written.
func markOvertaken(all []listed) {
	type source struct{ store, host string }
	last := map[source]string{}
	known := map[string]bool{}
	for i := range all {
		r := all[i].record
		from, parent := source{r.Store, r.Host}, hex.EncodeToString(r.Parent[:])
		all[i].overtaken = known[parent] && last[from] != parent
		last[from], known[all[i].id] = all[i].id, true
	}
}

func (s listed) info() snapshotInfo {
	r := s.record
	c := r.Tree.Counts
	info := snapshotInfo{
		ID: s.id, Time: timestamp(r.Started), Ended: timestamp(r.Ended), Store: r.Store, Host: r.Host, User: r.User,
		Roots: r.Roots, Layout: r.Layout, Mailboxes: r.Mailboxes.Counts.Entries, Files: c.Files, Messages: c.Messages,
		Bytes: c.Bytes, New: r.Run.NewMessages, Removed: r.Run.RemovedMessages, Flagged: r.Run.FlaggedMessages, Unlisted: r.UnlistedFolders(), Stored: r.Run.BytesStored, Unsaved: c.Unsaved, Shrunk: r.Shrunk,
		Tags: append([]string{}, r.Tags...), Description: r.Description, Program: r.Program, Hold: holdInfoOf(s.hold),
	}
	if s.forgotten != nil {
		info.Forgotten, info.ForgottenBy = jsonTime(s.forgotten.Time), s.forgotten.By
	}
	if r.Parent != ([16]byte{}) {
		info.Parent = hex.EncodeToString(r.Parent[:])
	}
	if r.Repaired != ([16]byte{}) {
		info.Repaired = hex.EncodeToString(r.Repaired[:])
	}
	if slices.ContainsFunc(r.Roots, func(root string) bool { return !utf8.ValidString(root) }) {
		for _, root := range r.Roots {
			info.RootsBase64 = append(info.RootsBase64, base64.StdEncoding.EncodeToString([]byte(root)))
		}
	}
	return info
}

// timestamp returns a time for JSON. time.Time would refuse to be encoded in
// some years that files have.
func timestamp(t snapshot.Time) string { return t.Go().Format(time.RFC3339Nano) }

// marks says what is odd about the snapshot.
func (s listed) marks() string {
	var marks []string
	if n := s.record.Tree.Counts.Unsaved; n > 0 {
		marks = append(marks, "incomplete: "+cli.Number(n)+" unsaved")
	}
	if s.record.Repaired != ([16]byte{}) {
		marks = append(marks, "repaired")
	}
	if s.record.Shrunk {
		marks = append(marks, "shrunk")
	}
	return strings.Join(marks, ", ")
}

// snapshotTable shows the snapshots with as many digits of their IDs. What
// few have gets a column when one has it.
func snapshotTable(shown []listed, digits int) *cli.Table {
	type column struct {
		cli.Column
		cell func(listed) string
	}
	number := func(title string, value func(*snapshot.Snapshot) string) column {
		return column{cli.Column{Title: title, Right: true}, func(s listed) string { return value(s.record) }}
	}
	text := func(title string, value func(listed) string) column {
		return column{cli.Column{Title: title}, value}
	}
	columns := []column{
		text("ID", func(s listed) string { return s.id[:digits] }),
		text("Time", func(s listed) string { return cli.Time(s.record.Started.Go()) }),
		text("Store", func(s listed) string { return s.record.Store }),
		text("Host", func(s listed) string { return s.record.Host }),
		number("Mailboxes", func(r *snapshot.Snapshot) string { return cli.Number(r.Mailboxes.Counts.Entries) }),
		number("Messages", func(r *snapshot.Snapshot) string { return cli.Number(r.Tree.Counts.Messages) }),
		{cli.Column{Title: "New", Right: true}, func(s listed) string { return s.compared(s.record.Run.NewMessages) }},
		{cli.Column{Title: "Removed", Right: true}, func(s listed) string { return s.compared(s.record.Run.RemovedMessages) }},
		number("Size", func(r *snapshot.Snapshot) string { return cli.Size(r.Tree.Counts.Bytes) }),
		number("New data", func(r *snapshot.Snapshot) string { return cli.Size(r.Run.BytesStored) }),
		text("Tags", func(s listed) string { return strings.Join(s.record.Tags, ",") }),
		text("Marks", listed.marks),
		text("Held", func(s listed) string { return holdText(s.hold) }),
		text("Forgotten", func(s listed) string {
			if s.forgotten == nil {
				return ""
			}
			return cli.Time(s.forgotten.Time) + " by " + s.forgotten.By
		}),
		text("Description", func(s listed) string { return s.record.Description }),
	}
	columns = slices.DeleteFunc(columns, func(c column) bool {
		return !slices.ContainsFunc(shown, func(s listed) bool { return c.cell(s) != "" })
	})
	var titles []cli.Column
	for _, c := range columns {
		titles = append(titles, c.Column)
	}
	table := cli.NewTable(titles...)
	for _, s := range shown {
		var cells []string
		for _, c := range columns {
			cells = append(cells, c.cell(s))
		}
		table.Row(cells...)
	}
	return table
}

// compared returns a number that says how the snapshot differs from its parent,
// or that it has none: then all is new, which would look like a night. Nor is it told
// against an older parent, as what came between was told already.
func (s listed) compared(n uint64) string {
	if s.record.Parent == ([16]byte{}) || s.overtaken {
		return "–"
	}
	return cli.Number(n)
}

// digits returns how many digits of their IDs tell the snapshots apart.
func digits(all []listed) int {
	const most = 32 // all
	for n := 8; n < most; n++ {
		seen := map[string]bool{}
		for _, s := range all {
			seen[s.id[:n]] = true
		}
		if len(seen) == len(all) {
			return n
		}
	}
	return most
}
