package main

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
)

// changeInfo is what "diff --json" prints of each change.
type changeInfo struct {
	Change   string  `json:"change" doc:"added, removed, flagged (other flags, or seen), moved or changed"`
	Mailbox  string  `json:"mailbox" doc:"whose it is, or was if it was removed; empty for nobody's"`
	Folder   string  `json:"folder" doc:"the folder it lies in; empty for what lies beside the folders"`
	Path     string  `json:"path" doc:"below the store's roots"`
	Base64   string  `json:"path_base64,omitempty" doc:"the same, when it is not UTF-8"`
	Kind     string  `json:"kind" doc:"file, folder, symlink, FIFO, socket, character device, block device or unsaved"`
	Size     uint64  `json:"size" doc:"bytes"`
	Time     string  `json:"time" doc:"when it was changed last, for a message when it came in; in UTC"`
	Messages uint64  `json:"messages,omitempty" doc:"how many messages the file holds"`
	Flags    string  `json:"flags,omitempty" doc:"the flags in the name of a Maildir's message"`
	Offset   *uint64 `json:"offset,omitempty" doc:"of one message of an mbox or mdbox, behind the file's own object: where in the file it begins, or began if it was removed"`

	Before *beforeInfo `json:"before,omitempty" doc:"of what was flagged, moved or changed, as it was in the first snapshot:"`
}

type beforeInfo struct {
	Mailbox  string  `json:"mailbox" doc:"whose it was"`
	Folder   string  `json:"folder" doc:"the folder it lay in"`
	Path     string  `json:"path" doc:"below the store's roots"`
	Base64   string  `json:"path_base64,omitempty" doc:"the same, when it is not UTF-8"`
	Size     uint64  `json:"size" doc:"bytes"`
	Messages uint64  `json:"messages,omitempty" doc:"how many messages the file held"`
	Flags    string  `json:"flags,omitempty" doc:"its flags"`
	Offset   *uint64 `json:"offset,omitempty" doc:"where in the file the message began"`
}

// sumsInfo is what "diff --summary --json" prints of each mailbox.
type sumsInfo struct {
	Mailbox string `json:"mailbox" doc:"its name; empty for what belongs to nobody"`
	Base64  string `json:"mailbox_base64,omitempty" doc:"the same, when it is not UTF-8"`
	Added   uint64 `json:"added" doc:"messages that came"`
	Removed uint64 `json:"removed" doc:"messages that went"`
	Flagged uint64 `json:"flagged" doc:"messages with other flags"`
	Moved   uint64 `json:"moved" doc:"messages that came from another folder, or went from this mailbox to another one"`
	Changed uint64 `json:"changed" doc:"messages that were changed in their place: other bytes, headers, owner, permissions or time; an mbox of which only such as these differ is one"`
	Files   uint64 `json:"files" doc:"other paths that came, went or changed"`
	Bytes   uint64 `json:"bytes" doc:"the size of what came, and by what files grew"`
}

func newDiffCommand(a *app) *cobra.Command {
	var filter choice
	var summary, all bool
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER [MAILBOX[/FOLDER]]",
		Short: "Show what happened to mail between two snapshots",
		Long: `Show what happened to mail between two snapshots, in all mailboxes or in one:
messages that were added, removed or moved, or got other flags. A snapshot is
named by its ID or the beginning of it, or as latest, latest~1. What was moved
away from the mailbox or folder that is asked for shows as removed. It costs
what changed, however large the store is.

An mbox or mdbox that changed has a line, and one for each message in it that was
added, removed or changed, by where in the file it begins; where the only message
in it was changed the file's line is all. Programs keep the flags of an mbox in
the headers, so there other flags show as changed. A message that
went from one such file to another is removed and added. A short message of an
mdbox may show as changed once another has come behind it. Of an mdbox whose
messages Dovecot has compressed only the difference of their numbers is known.

` + jsonHelp([]changeInfo{}) + `

With --json and --summary:
` + cli.Fields([]sumsInfo{}),
		Args:              diffArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, args []string) error {
			o, err := a.openToRead(ctx, out)
			if err != nil {
				return err
			}
			defer o.Close()
			c, err := o.compare(ctx, out, filter, args)
			if c == nil {
				return err
			}
			if summary {
				return cmp.Or(c.printSums(out), err)
			}
			return cmp.Or(c.print(out, all), err)
		}),
	}
	filter.addFilters(cmd.Flags())
	cmd.Flags().BoolVar(&summary, "summary", false, "only sums, a line for each mailbox in which something changed")
	cmd.Flags().BoolVar(&all, "all", false, "list other files than mail too")
	return cmd
}

func diffArgs(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return cli.Usagef("two snapshots are missing, such as latest~1 latest")
	case 1:
		return cli.Usagef("after %q a second snapshot is missing", args[0])
	case 2, 3:
		return nil
	}
	return cli.Usagef("after %q there is %q too much", args[2], args[3])
}
