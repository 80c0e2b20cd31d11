package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"restante/backup"
	"restante/cmd/restante/internal/cli"
	"restante/mailstore"
)

// lockPoll is how often a store that is being backed up is tried again.
const lockPoll = 5 * time.Second

// backupJSON is what backup --json prints.
type backupJSON struct {
	Snapshot   string        `json:"snapshot" doc:"ID of the snapshot; empty with --dry-run"`
	Store      string        `json:"store" doc:"name of the store"`
	Host       string        `json:"host" doc:"name of the host"`
	Layout     string        `json:"layout" doc:"what was found in the store"`
	Parent     string        `json:"parent" doc:"ID of the snapshot it was compared with, or empty"`
	DryRun     bool          `json:"dry_run" doc:"nothing was stored"`
	Mailboxes  int           `json:"mailboxes" doc:"number of mailboxes"`
	Messages   uint64        `json:"messages" doc:"number of messages"`
	Files      uint64        `json:"files" doc:"number of files"`
	Bytes      uint64        `json:"bytes" doc:"size of the files"`
	New        uint64        `json:"new" doc:"files that the parent did not have; all if there is no parent"`
	Changed    uint64        `json:"changed" doc:"files that are other than the parent's"`
	Unchanged  uint64        `json:"unchanged" doc:"files that are as they were"`
	Removed    uint64        `json:"removed" doc:"files that the parent had"`
	NewMails   uint64        `json:"new_messages" doc:"messages that came; one that was moved counts as new and as removed; of an mbox or mdbox the net difference: by how many messages it grew"`
	GoneMails  uint64        `json:"removed_messages" doc:"messages that went; of an mbox or mdbox by how many it shrank"`
	Flagged    uint64        `json:"flagged_messages" doc:"messages of Maildirs that got other flags, or were seen"`
	BytesRead  uint64        `json:"bytes_read" doc:"bytes read from the store"`
	Stored     uint64        `json:"bytes_stored" doc:"bytes added to the repository"`
	Unlisted   int           `json:"unlisted" doc:"folders of messages at rest, which were taken over from the parent without listing them"`
	Expunged   uint64        `json:"expunged" doc:"messages that were deleted while the backup ran"`
	Vanished   uint64        `json:"vanished" doc:"other files that were deleted while the backup ran"`
	Unsaved    uint64        `json:"unsaved" doc:"number of paths that could not be read"`
	UnsavedAre []unsavedPath `json:"unsaved_paths" doc:"the first 1,000 of them:"`
	Harmed     int           `json:"harmed_packs" doc:"packs that were found damaged while it ran: the snapshot may need what was there, and the next backup stores that again"`
	Seconds    float64       `json:"seconds" doc:"how long it took"`
}

type unsavedPath struct {
	Path   string `json:"path" doc:"below the store"`
	Base64 string `json:"path_base64,omitempty" doc:"the same, when it is not UTF-8"`
	Reason string `json:"reason" doc:"why it could not be saved"`
}

// printBackup prints what a person wants to know after a backup, and returns
// the outcome that the exit code tells.
func printBackup(out *output, a *app, o *backupOptions, r *backup.Result) error {
	j := backupResult(o, r)
	if out.json {
		if err := out.object(j); err != nil {
			return err
		}
	} else if !out.quiet {
		text := backupText(o, j, r, r.Session.String()[:8])
		if r.Example != "" && !o.dryRun {
			text += fmt.Sprintf("One mailbox comes back with:\n  restante%s restore %s --target DIR\n", a.repoFlag(), shellWord(r.Example))
		}
		fmt.Fprint(out, text)
	}
	out.record(backupText(o, j, r, j.Snapshot))
	return backupOutcome(j)
}

// backupOutcome returns the outcome of a backup that made a snapshot which may not have all.
func backupOutcome(j backupJSON) error {
	var lines []string
	if j.Unsaved > 0 {
		lines = append(lines, cli.Count(j.Unsaved, "path", "paths")+" could not be read; the snapshot lists them and the next backup tries again")
	}
	if j.Harmed > 0 {
		lines = append(lines, cli.Count(uint64(j.Harmed), "pack was", "packs were")+" found damaged while this ran, and the snapshot may need what was there: back up once more, which stores it again")
	}
	if lines == nil {
		return nil
	}
	return outcome{exitIncomplete, strings.Join(lines, "\n")}
}

func backupResult(o *backupOptions, r *backup.Result) backupJSON {
	s, c := &r.Snapshot, r.Snapshot.Tree.Counts
	j := backupJSON{Snapshot: r.Session.String(), Store: s.Store, Host: s.Host, Layout: s.Layout, DryRun: o.dryRun, Mailboxes: r.Mailboxes,
		Messages: c.Messages, Files: c.Files, Bytes: c.Bytes, New: s.Run.New, Changed: s.Run.Changed, Unchanged: s.Run.Unchanged,
		Removed: s.Run.Removed, NewMails: s.Run.NewMessages, GoneMails: s.Run.RemovedMessages, Flagged: s.Run.FlaggedMessages, Unlisted: s.UnlistedFolders(), BytesRead: s.Run.BytesRead, Stored: s.Run.BytesStored,
		Expunged: s.Run.Expunged, Vanished: s.Run.Vanished, Unsaved: c.Unsaved, UnsavedAre: []unsavedPath{}, Harmed: r.Harmed,
		Seconds: s.Ended.Go().Sub(s.Started.Go()).Seconds()}
	if o.dryRun {
		j.Snapshot = ""
	}
	if s.Parent != [16]byte{} {
		j.Parent = fmt.Sprintf("%x", s.Parent)
	}
	for _, n := range r.Unsaved {
		j.UnsavedAre = append(j.UnsavedAre, unsavedPath{n.Path, exactBytes(n.Path), n.Text})
	}
	return j
}

// backupText sums up a backup that made the snapshot of this name.
func backupText(o *backupOptions, j backupJSON, r *backup.Result, name string) string {
	out := &strings.Builder{}
	what := "snapshot " + name
	if o.dryRun {
		what = "dry run, nothing stored: a snapshot"
	}
	fmt.Fprintf(out, "%s of store %q on %s, %s, in %s\n", what, j.Store, cli.Name(j.Host), j.Layout,
		cli.Duration(time.Duration(j.Seconds*float64(time.Second))))
	fmt.Fprintf(out, "  holds    %s, %s, %s in %s\n", cli.Count(uint64(j.Mailboxes), "mailbox", "mailboxes"),
		cli.Count(j.Messages, "message", "messages"), cli.Size(j.Bytes), cli.Count(j.Files, "file", "files"))
	if j.Parent == "" && !r.First {
		fmt.Fprintf(out, "  read     all, for %s; every file counts as new\n", cmp.Or(r.Dropped, "the cache knows no earlier snapshot to compare with"))
	}
	fmt.Fprintf(out, "  new      %s (%s), %s changed, %s unchanged, %s removed\n", cli.Count(j.New, "file", "files"),
		cli.Count(j.NewMails, "message", "messages"), cli.Number(j.Changed), cli.Number(j.Unchanged), cli.Number(j.Removed))
	if j.Parent != "" {
		fmt.Fprintf(out, "  mail     %s new, %s removed, %s with other flags\n", cli.Number(j.NewMails), cli.Number(j.GoneMails), cli.Number(j.Flagged))
	}
	if j.Unlisted > 0 {
		fmt.Fprintf(out, "  at rest  %s, taken over without listing\n", cli.Count(uint64(j.Unlisted), "folder of messages", "folders of messages"))
	}
	fmt.Fprintf(out, "  stored   %s of %s read%s\n", cli.Size(j.Stored), cli.Size(j.BytesRead), share(j.Stored, j.BytesRead))
	if j.Expunged+j.Vanished > 0 {
		fmt.Fprintf(out, "  gone     %s and %s were deleted by the mail server meanwhile\n",
			cli.Count(j.Expunged, "message", "messages"), cli.Count(j.Vanished, "other file", "other files"))
	}
	if j.Unsaved > 0 {
		fmt.Fprintf(out, "  unsaved  %s could not be read, as the warnings say\n", cli.Count(j.Unsaved, "path", "paths"))
	}
	return out.String()
}

// share returns stored in percent of read, where that says something: packs
// have a least size, which little mail does not fill.
func share(stored, read uint64) string {
	if read < 1<<20 {
		return ""
	}
	return fmt.Sprintf(" (%.0f %%)", 100*float64(stored)/float64(read))
}

// withProgress runs the backup and shows how far it is.
func withProgress(ctx context.Context, out *output, r *opened, opts backup.Options) (*backup.Result, error) {
	bar, stop := out.progress("backup")
	defer stop()
	progress := &backup.Progress{}
	opts.Progress = progress
	opts.Notice = func(n backup.Notice) {
		if n.Fatal {
			out.warn("%s: %s", cli.Name(n.Path), n.Text)
		} else {
			out.note("%s: %s", cli.Name(n.Path), n.Text)
		}
	}
	if out.verbose {
		opts.File = func(path string, change backup.Change) { out.detail("%-9s %s", change, cli.Name(path)) }
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // ends before withProgress returns
		defer close(done)
		follow(ctx, bar, opts.Store, progress, terminalWidth(out.stderr) != nil)
	}()
	defer func() { cancel(); <-done }()
	return backup.Run(ctx, r.Repository, opts)
}

// follow feeds the bar until ctx ends. On a terminal it counts the store
// first, so that the bar can say what is left.
func follow(ctx context.Context, bar *cli.Progress, store *mailstore.Store, p *backup.Progress, terminal bool) {
	if terminal {
		go func() {
			if size, err := store.Size(ctx); err == nil {
				bar.SetTotal(uint64(size.Files), uint64(size.Bytes))
			}
		}()
	}
	var files, size uint64
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		f, s := p.Files.Load(), p.Size.Load()
		bar.Add(f-files, s-size)
		files, size = f, s
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
