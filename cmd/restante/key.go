package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/repo"
)

// keyRecord is one key as "key list --json" prints it.
type keyRecord struct {
	ID      string    `json:"id" doc:"the key's ID; its beginning is enough on the command line"`
	Role    string    `json:"role" doc:"owner: opens everything; writer: makes backups and reads none"`
	Label   string    `json:"label" doc:"what the key was called when it was made"`
	Created time.Time `json:"created" doc:"when it was made"`
	InUse   bool      `json:"in_use" doc:"whether this run opened the repository with it"`
}

func newKeyCommand(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "key",
		Short: "List, add, remove and change what opens the repository",
		Long: `List, add, remove and change what opens the repository.

A repository opens with any of its keys: passwords, and key files that need no
password. All open the same backups; losing one loses nothing while another is left.`,
	})
	cmd.AddCommand(newKeyListCommand(a), newKeyAddCommand(a), newKeyRemoveCommand(a), newKeyPasswdCommand(a))
	return cmd
}

func newKeyListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "list",
		Short:             "List the keys",
		Long:              "List the keys. The one that opened the repository for this run has a star.\n\n" + jsonHelp(keyRecord{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			o, err := a.open(ctx, out, nil)
			if err != nil {
				return err
			}
			defer o.Close()
			return runKeyList(out, o.Keys(), o.CurrentKey())
		}),
	}
}

func runKeyList(out *output, keys []repo.KeyInfo, current repo.KeyInfo) error {
	if out.json {
		return out.list(func(add func(any) error) error {
			for _, k := range keys {
				if err := add(recordOf(k, current)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	table := cli.NewTable(cli.Column{}, cli.Column{Title: "ID"}, cli.Column{Title: "role"}, cli.Column{Title: "made"}, cli.Column{Title: "label"})
	for _, k := range keys {
		mark := ""
		if k.Signer == current.Signer {
			mark = "*"
		}
		table.Row(mark, k.ID(), k.Role.String(), time.Unix(k.Created, 0).Format(time.DateTime), k.Label)
	}
	return table.Print(out)
}

func recordOf(k, current repo.KeyInfo) keyRecord {
	return keyRecord{
		ID: k.Object.String(), Role: k.Role.String(), Label: k.Label,
		Created: time.Unix(k.Created, 0).UTC(), InUse: k.Signer == current.Signer,
	}
}
