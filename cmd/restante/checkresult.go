package main

import (
	"fmt"
	"strings"
	"time"

	"restante/cmd/restante/internal/cli"
	"restante/verify"
)

// makePrintable escapes the names in the report: they come from a disk.
func makePrintable(r *verify.Report) {
	for _, f := range r.Findings {
		for _, names := range [][]string{f.Lost.Snapshots.First, f.Lost.Mailboxes.First, f.Lost.Files.First} {
			for i, name := range names {
				names[i] = cli.Name(name)
			}
		}
	}
}

func printCheck(out *output, r *verify.Report) error {
	for _, n := range r.Notes {
		out.note("%s", n)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(out, "%s: %s\n", cli.Name(f.Object), cli.Line(f.What))
		printLost(out, "snapshots in which something is lost", f.Lost.Snapshots)
		printLost(out, "mailboxes of which something is lost", f.Lost.Mailboxes)
		printLost(out, "lost files", f.Lost.Files)
		fmt.Fprintf(out, "  what helps: %s\n\n", cli.Line(f.Hint))
	}
	fmt.Fprintf(out, "checked %s: %s, %s, %s; read %s\n", cli.Count(r.Objects, "object", "objects"), cli.Count(r.Packs, "pack", "packs"),
		cli.Count(r.Snapshots, "snapshot", "snapshots"), cli.Count(r.Pieces, "piece", "pieces"), cli.Size(r.BytesRead))
	if r.Marked > 0 {
		out.note("%s noted in the repository as damaged: the next backup stores again what it has of what was there", cli.Count(r.Marked, "pack is", "packs are"))
	}
	if len(r.Findings) > 0 {
		return nil // the outcome says so
	}
	text := "no damage found"
	if len(r.LookedAt) > 0 {
		text += " in what names tell; " + strings.Join(r.LookedAt, ", ") + " were only looked at, and what is missing only a check with a key tells"
	}
	if !r.ReadData {
		text += "; what lies in packs was not read, --read-data does"
	}
	_, err := fmt.Fprintln(out, text+partRead(r))
	return err
}

// partRead says what was read of the packs, if that was not all.
func partRead(r *verify.Report) string {
	if !r.ReadData || r.PacksRead == r.Packs {
		return ""
	}
	since := "some have never been read"
	if at, err := time.Parse(time.RFC3339, r.Verified); err == nil {
		since = "all have been read since " + cli.Time(at)
	}
	return fmt.Sprintf("; %s of %s read, and %s", cli.Number(r.PacksRead), cli.Count(r.Packs, "pack was", "packs were"), since)
}

// printLost prints names of what a damage makes unreadable.
func printLost(out *output, what string, n verify.Names) {
	if n.Count == 0 {
		return
	}
	number := cli.Number(n.Count)
	if n.More {
		number = "more than " + number
	}
	fmt.Fprintf(out, "  %s: %s\n", what, number)
	for _, name := range n.First {
		fmt.Fprintln(out, "    "+name)
	}
	if len(n.First) > 0 && n.Count > uint64(len(n.First)) {
		fmt.Fprintln(out, "    …")
	}
}
