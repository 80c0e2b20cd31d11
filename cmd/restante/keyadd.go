package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/repo"
)

type keyAddOptions struct {
	passwordFile string
	toFile       string
	label        string
}

func newKeyAddCommand(a *app) *cobra.Command {
	var opts keyAddOptions
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Add a password, or a key file for nightly jobs",
		Long: `Add a password, which is typed twice or taken from --new-password-file.

With --to-file add a key that needs no password, for jobs that run alone. The
file is made for it: whoever can read the file can read all backups.

` + jsonHelp(keyRecord{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			return a.runKeyAdd(ctx, out, opts)
		}),
	}
	cmd.Flags().StringVar(&opts.passwordFile, "new-password-file", "", "take the new password from `FILE`")
	cmd.Flags().StringVar(&opts.toFile, "to-file", "", "make the key file `FILE`, which needs no password")
	cmd.Flags().StringVar(&opts.label, "label", "", "what key list calls the key (default the user and host)")
	cmd.MarkFlagsMutuallyExclusive("new-password-file", "to-file")
	return cmd
}

func (a *app) runKeyAdd(ctx context.Context, out *output, opts keyAddOptions) error {
	path := opts.toFile
	if path != "" {
		var err error
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		if _, err := os.Lstat(path); err == nil { // before a password is asked for
			return keyFileThere(path)
		}
	}
	if opts.label == "" {
		opts.label = whoAmI()
	}
	o, err := a.open(ctx, out, nil)
	if err != nil {
		return err
	}
	defer o.Close()
	var added repo.KeyInfo
	if path != "" {
		added, err = addKeyFile(ctx, o, opts.label, path)
	} else {
		added, err = a.addPassword(ctx, out, o, opts.passwordFile, opts.label)
	}
	if err != nil {
		return err
	}
	if out.json {
		return out.object(recordOf(added, o.CurrentKey()))
	}
	fmt.Fprintf(out, "key %s is added\n", added.ID())
	if path != "" {
		out.note("Use it with --key-file %s or RESTANTE_KEY_FILE=%s; whoever can read the file can read all backups.", cli.Name(path), cli.Name(path))
	}
	return nil
}
