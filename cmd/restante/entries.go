package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"

	"restante/cmd/restante/internal/cli"
	"restante/mailstore"
	"restante/snapshot"
)

// entryInfo is what "ls --json" prints of each message or stored path.
type entryInfo struct {
	Path         string `json:"path" doc:"its path below the store's roots"`
	PathBase64   string `json:"path_base64,omitempty" doc:"the same, when it is not UTF-8"`
	Kind         string `json:"kind" doc:"file, folder, symlink, FIFO, socket, character device, block device or unsaved"`
	Mode         string `json:"mode" doc:"permission bits in octal digits"`
	UID          uint32 `json:"uid" doc:"its owner"`
	GID          uint32 `json:"gid" doc:"its group"`
	Size         uint64 `json:"size" doc:"bytes"`
	Time         string `json:"time" doc:"when it was changed last, for a message when it came in; in UTC"`
	Messages     uint64 `json:"messages,omitempty" doc:"how many messages the file holds"`
	Flags        string `json:"flags,omitempty" doc:"the flags in the name of a Maildir's message: P, R, S, T, D, F, a to z"`
	Target       string `json:"target,omitempty" doc:"where a symlink leads"`
	TargetBase64 string `json:"target_base64,omitempty" doc:"the same, when it is not UTF-8"`
	Reason       string `json:"reason,omitempty" doc:"why it could not be saved"`
}

// listEntries prints the entries in the ranges, all or those that hold messages,
// as they come: there may be millions.
func listEntries(ctx context.Context, out *output, t *snapshot.Tree, ranges []snapshot.Range, all bool) error {
	line := messageLine
	if all {
		line = rawLine
	}
	each := func(f func(*snapshot.Record) error) (damage error) {
		for _, r := range ranges {
			for record, err := range t.All(ctx, r) {
				switch {
				case err != nil && isLocal(ctx, err): // those behind it can be listed
					damage = cmp.Or(damage, err)
					continue
				case err == nil && (all || record.Entry.Messages > 0 || record.Entry.Kind == snapshot.Unsaved):
					err = f(&record)
				}
				if err != nil {
					return err
				}
			}
		}
		return cmp.Or(ctx.Err(), damage)
	}
	return printRecords(out, line, each)
}

// printRecords prints the records that each calls a function with, as they come.
func printRecords(out *output, line func(*snapshot.Record) string, each func(func(*snapshot.Record) error) error) error {
	if out.json {
		return out.list(func(add func(any) error) error {
			return each(func(r *snapshot.Record) error { return add(infoOf(r)) })
		})
	}
	return each(func(r *snapshot.Record) error {
		_, err := fmt.Fprintln(out, line(r))
		return err
	})
}

func infoOf(r *snapshot.Record) entryInfo {
	e, p := &r.Entry, r.Key.Path()
	return entryInfo{
		Path: p, PathBase64: exactBytes(p), Kind: e.Kind.String(), Mode: fmt.Sprintf("%04o", e.Mode), UID: e.UID, GID: e.GID,
		Size: e.Size, Time: timestamp(e.Mtime), Messages: e.Messages, Flags: flagsOf(r),
		Target: e.Target, TargetBase64: exactBytes(e.Target), Reason: e.Reason,
	}
}

// flagsOf returns the flags of a message in a Maildir.
func flagsOf(r *snapshot.Record) string {
	_, name, ok := mailstore.SplitMessage(r.Key.Path())
	if !ok || r.Entry.Messages != 1 {
		return ""
	}
	return mailstore.Flags(name)
}

// messageLine prints a file of messages: time, size, flags, name.
func messageLine(r *snapshot.Record) string {
	e := &r.Entry
	note := flagsOf(r)
	switch {
	case e.Kind == snapshot.Unsaved:
		note = "unsaved: " + cli.Line(e.Reason)
	case e.Messages > 1:
		note = cli.Count(e.Messages, "message", "messages")
	}
	return fmt.Sprintf("%s   %8s   %-6s   %s", cli.Time(e.Mtime.Go()), cli.Size(e.Size), note, cli.Name(path.Base(r.Key.Path())))
}

// rawLine prints an entry much as ls -ln does.
func rawLine(r *snapshot.Record) string {
	e := &r.Entry
	p := r.Key.Path()
	if p == "" {
		p = "."
	}
	line := fmt.Sprintf("%s  %11s  %15s  %s  %s", modeString(e), fmt.Sprintf("%d:%d", e.UID, e.GID), cli.Number(e.Size), cli.Time(e.Mtime.Go()), cli.Name(p))
	switch e.Kind {
	case snapshot.Symlink:
		line += " -> " + cli.Name(e.Target)
	case snapshot.Unsaved:
		line += " (unsaved: " + cli.Line(e.Reason) + ")"
	}
	return line
}

// modeString returns kind and permissions as ls prints them; "?" is the kind
// of what could not be saved.
func modeString(e *snapshot.Entry) string {
	kinds := [...]byte{snapshot.File: '-', snapshot.Dir: 'd', snapshot.Symlink: 'l', snapshot.FIFO: 'p',
		snapshot.Socket: 's', snapshot.CharDevice: 'c', snapshot.BlockDevice: 'b', snapshot.Unsaved: '?'}
	b := []byte(fs.FileMode(e.Mode & 0o777).String())
	b[0] = kinds[e.Kind] // a tree gives no other kinds out
	for _, special := range []struct {
		bit    uint32
		at     int
		letter byte
	}{{0o4000, 3, 's'}, {0o2000, 6, 's'}, {0o1000, 9, 't'}} {
		if e.Mode&special.bit == 0 {
			continue
		}
		letter := special.letter
		if b[special.at] == '-' {
			letter -= 'a' - 'A'
		}
		b[special.at] = letter
	}
	return string(b)
}
