package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"restante/backup"
	"restante/cmd/restante/internal/cli"
	"restante/mailstore"
	"restante/storage/local"
)

// inspectInfo is what "inspect --json" prints.
type inspectInfo struct {
	Layout     string         `json:"layout" doc:"what was found"`
	Messages   int64          `json:"messages" doc:"how many messages there are"`
	Files      int64          `json:"files" doc:"how many files there are"`
	Bytes      int64          `json:"bytes" doc:"their size"`
	Estimate   uint64         `json:"estimate" doc:"about how many bytes a first backup would store"`
	Repository string         `json:"repository" doc:"where it would store them"`
	Free       *uint64        `json:"free,omitempty" doc:"bytes free there, where that can be known"`
	Mailboxes  []inspectedBox `json:"mailboxes" doc:"by name:"`
	Unreadable []unreadable   `json:"unreadable" doc:"what this user may not read, by path:"`
}

type inspectedBox struct {
	Name       string   `json:"name" doc:"the mailbox's name"`
	Aliases    []string `json:"aliases" doc:"other names it answers to"`
	Other      bool     `json:"other" doc:"this is what belongs to no mailbox"`
	Folders    int      `json:"folders" doc:"how many folders it has, 0 if its format is not understood"`
	Messages   int64    `json:"messages" doc:"how many messages are in it"`
	Files      int64    `json:"files" doc:"how many files are in it"`
	Bytes      int64    `json:"bytes" doc:"their size"`
	Unreadable int64    `json:"unreadable" doc:"how many things in it this user may not read"`
}

type unreadable struct {
	Path   string `json:"path" doc:"absolute path"`
	Base64 string `json:"path_base64,omitempty" doc:"the same, when it is not UTF-8"`
	Reason string `json:"reason" doc:"what the system says"`
}

func newInspectCommand(a *app) *cobra.Command {
	var layout string
	var opts mailstore.Options
	cmd := &cobra.Command{
		Use:   "inspect PATH…",
		Short: "Show what a backup of a store would find",
		Long: `Show what a backup of the store at these paths would find and about how much it
would store. No repository is needed. With --verbose the mailboxes and all that
cannot be read are listed. Messages are those of Maildirs, mboxes and dbox files,
of a plain store all that look like mail.

` + jsonHelp(inspectInfo{}),
		Args: someArgs("the PATH of the store"),
		RunE: a.run(func(ctx context.Context, out *output, args []string) error {
			var err error
			if opts.Layout, err = mailstore.ParseLayout(layout); err != nil {
				return &cli.UsageError{Err: err}
			}
			return a.runInspect(ctx, out, opts, args)
		}),
	}
	cmd.Flags().StringVar(&layout, "layout", "auto", "what to look for: auto, maildir, mbox or plain")
	complete(cmd, "layout", "auto", "maildir", "mbox", "plain")
	cmd.Flags().StringVar(&opts.NamePattern, "name-pattern", "", "how mailboxes are named: a `PATTERN` such as %d/%n/Maildir")
	return cmd
}

func (a *app) runInspect(ctx context.Context, out *output, opts mailstore.Options, paths []string) error {
	store, err := detectStore(ctx, out, paths, opts)
	if err != nil {
		return err
	}
	for _, c := range store.Clashes {
		out.warn("%s", clashText(c))
	}
	survey, err := store.Survey(ctx)
	if err != nil {
		return err
	}
	info := inspectedOf(store, survey)
	if info.Estimate, err = backup.Estimate(ctx, store, survey.Total); err != nil {
		return err
	}
	if info.Repository, err = a.repository(); err != nil {
		return err
	}
	if info.Repository, err = filepath.Abs(info.Repository); err != nil {
		return err
	}
	if free, err := local.Room(info.Repository); err != nil {
		out.detail("%v", err)
	} else {
		info.Free = &free
		if info.Estimate > free {
			out.warn("a backup would not fit where the repository %s lies; -r names another place", cli.Line(info.Repository))
		}
	}
	if err := refuseNested(store.Roots, info.Repository); err != nil {
		out.warn("a backup would be refused: %v", err)
	}
	if out.json {
		if o := survey.Other; hasOther(o) {
			info.Mailboxes = append(info.Mailboxes, inspectedBox{otherName, []string{}, true, 0, o.Messages, o.Files, o.Bytes, o.Unreadable})
		}
		err = out.object(info)
	} else {
		err = info.print(out, survey)
	}
	if err == nil && len(info.Unreadable) > 0 {
		err = outcome{exitIncomplete, "this user cannot read all of the store: run backup as one who can (-v names what is meant)"}
	}
	return err
}

func inspectedOf(store *mailstore.Store, survey *mailstore.Survey) inspectInfo {
	t := survey.Total
	info := inspectInfo{Layout: store.Format, Messages: t.Messages, Files: t.Files, Bytes: t.Bytes,
		Mailboxes: []inspectedBox{}, Unreadable: []unreadable{}}
	for i, m := range store.Mailboxes {
		c := survey.Mailboxes[i]
		info.Mailboxes = append(info.Mailboxes, inspectedBox{m.Name, append([]string{}, m.Aliases...), false, len(m.Folders),
			c.Messages, c.Files, c.Bytes, c.Unreadable})
	}
	for _, u := range survey.Unreadable {
		path := filepath.Join(store.Roots[u.Root], filepath.FromSlash(u.Path))
		info.Unreadable = append(info.Unreadable, unreadable{path, exactBytes(path), u.Err.Error()})
	}
	return info
}
