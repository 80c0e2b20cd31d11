package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
)

// initialized is what "init --json" prints.
type initialized struct {
	Repository string `json:"repository" doc:"the folder of the new repository"`
	ID         string `json:"id" doc:"the repository's ID"`
}

func newInitCommand(a *app) *cobra.Command {
	var passwordFile string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a new repository",
		Long: `Make a new, empty repository in the folder that -r or RESTANTE_REPOSITORY names,
else in your data folder. Folders on the way are made.

The password is taken from --new-password-file, else from where other commands
take it from, else it is typed twice. Keep a copy of it away from this machine:
without it, or a key file made with "restante key add", nobody can restore.

` + jsonHelp(initialized{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			return a.runInit(ctx, out, passwordFile)
		}),
	}
	cmd.Flags().StringVar(&passwordFile, "new-password-file", "", "take the new password from `FILE`")
	return cmd
}

func (a *app) runInit(ctx context.Context, out *output, passwordFile string) error {
	path, err := a.repository()
	if err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	// What needs no password is found out before one is asked for.
	if err := refuseRepositoryAt(ctx, path); err != nil {
		return err
	}
	password, err := a.newPassword(ctx, out, passwordFile, true)
	if err != nil {
		return err
	}
	made, err := initialize(ctx, path, password)
	if err != nil {
		return err
	}
	if out.json {
		return out.object(made)
	}
	if !out.quiet {
		fmt.Fprintf(out, "repository %s is ready in %q\n", made.ID[:8], path)
	}
	out.note("Keep the password safe, away from this machine too: whoever loses it loses the backup.")
	out.note("Whoever can write to this folder can also delete what is in it: keep a second copy where this machine cannot write.")
	return nil
}
