package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
)

// snapshotInfo is what "snapshots --json" prints of each snapshot.
type snapshotInfo struct {
	ID          string   `json:"id" doc:"32 hexadecimal digits"`
	Time        string   `json:"time" doc:"when the backup began, in UTC"`
	Ended       string   `json:"ended" doc:"when it ended, in UTC"`
	Store       string   `json:"store" doc:"the store's name"`
	Host        string   `json:"host" doc:"the machine it was made on"`
	User        string   `json:"user" doc:"who made it"`
	Roots       []string `json:"roots" doc:"the folders that were backed up"`
	RootsBase64 []string `json:"roots_base64,omitempty" doc:"the same in base64, when one of them is not UTF-8"`
	Layout      string   `json:"layout" doc:"what kind of store was found"`
	Mailboxes   uint64   `json:"mailboxes" doc:"how many there are"`
	Files       uint64   `json:"files" doc:"how many there are"`
	Messages    uint64   `json:"messages" doc:"how many there are"`
	Bytes       uint64   `json:"bytes" doc:"the size of all files"`
	Parent      string   `json:"parent" doc:"the snapshot it was compared with: the one before, or an older one if the cache knew no other; empty if there was none or the cache knew none: then all messages count as new"`
	New         uint64   `json:"new_messages" doc:"messages that parent did not have; one that was moved is new and removed; of an mbox or mdbox the net difference: by how many messages it grew"`
	Removed     uint64   `json:"removed_messages" doc:"messages that only parent has; of an mbox or mdbox by how many it shrank"`
	Flagged     uint64   `json:"flagged_messages" doc:"messages of Maildirs with other flags than before"`
	Unlisted    int      `json:"unlisted" doc:"folders of messages at rest, which were taken over from the snapshot before; restante ls --unlisted names them"`
	Stored      uint64   `json:"stored" doc:"bytes by which the repository grew"`
	Unsaved     uint64   `json:"unsaved" doc:"things that exist but could not be saved"`
	Repaired    string   `json:"repaired,omitempty" doc:"the ID of the snapshot that this one replaced, because some of it was lost"`
	Shrunk      bool     `json:"shrunk" doc:"made with --allow-shrink of a store that had lost most mailboxes"`
	Tags        []string `json:"tags" doc:"as they were given to backup"`
	Description string   `json:"description" doc:"as it was given to backup"`
	Program     string   `json:"program" doc:"what made it"`

	Hold        *holdInfo `json:"hold,omitempty" doc:"what keeps it from being forgotten (restante hold)"`
	Forgotten   string    `json:"forgotten,omitempty" doc:"when it was forgotten, in UTC; with --forgotten"`
	ForgottenBy string    `json:"forgotten_by,omitempty" doc:"who forgot it"`
}

func newSnapshotsCommand(a *app) *cobra.Command {
	var filter choice
	var tags []string
	var forgotten bool
	cmd := &cobra.Command{
		Use:   "snapshots",
		Short: "List the snapshots",
		Long: `List the snapshots, oldest first, with how many messages each has more and less
than the one before it; – says that there was none to compare it with: it is a store's
first, or the cache did not know the one before, or other files were excluded. Of an mbox or mdbox that is the net difference: one to which
ten messages came and of which eight went has two more. restante diff counts, and
says which. Of those that are damaged only the name is
printed, as a warning, and the exit code is 4. Those that were forgotten are listed
by --forgotten alone, as long as restante unforget may take them back.

` + jsonHelp([]snapshotInfo{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			return a.runSnapshots(ctx, out, filter, tags, forgotten)
		}),
	}
	filter.addFilters(cmd.Flags())
	cmd.Flags().StringArrayVar(&tags, "tag", nil, "only snapshots with the tag `NAME`; of several, those that have all")
	cmd.Flags().BoolVar(&forgotten, "forgotten", false, "list those that were forgotten, instead of the others")
	return cmd
}

func (a *app) runSnapshots(ctx context.Context, out *output, filter choice, tags []string, forgotten bool) error {
	o, err := a.openToRead(ctx, out)
	if err != nil {
		return err
	}
	defer o.Close()
	read := o.readable
	if forgotten {
		read = o.readableForgotten
	}
	all, failed := read(ctx, out)
	if failed != nil && !errors.As(failed, new(outcome)) {
		return failed
	}
	if err := o.addHolds(ctx, all, a.now()); err != nil {
		return err
	}
	ofStore, err := filter.filter(all)
	if err != nil {
		return errors.Join(err, failed)
	}
	shown := slices.DeleteFunc(ofStore, func(s listed) bool {
		return slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(s.record.Tags, tag) })
	})
	if len(all) == 0 && forgotten {
		out.note("no snapshot is forgotten")
	} else if len(all) == 0 {
		out.note("the repository has no snapshots; restante backup PATH makes one")
	} else if len(shown) == 0 {
		out.note("none of the %s is meant; without options all are listed", cli.Count(uint64(len(all)), "snapshot", "snapshots"))
	}
	if out.json {
		err = out.list(func(add func(any) error) error {
			for _, s := range shown {
				if err := add(s.info()); err != nil {
					return err
				}
			}
			return nil
		})
	} else {
		err = snapshotTable(shown, digits(all)).Print(out)
	}
	if err != nil {
		return err
	}
	return failed
}

// filter returns the snapshots of the store and host that c names. It is an
// error if there are others only.
func (c *choice) filter(all []listed) ([]listed, error) {
	some := slices.DeleteFunc(slices.Clone(all), func(s listed) bool {
		return c.store != "" && s.record.Store != c.store || c.host != "" && s.record.Host != c.host
	})
	if len(all) == 0 || len(some) > 0 {
		return some, nil
	}
	_, err := cli.Select(candidates(all), cli.Query{Store: c.store, Host: c.host})
	return nil, err
}
