package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
)

func newKeyRemoveCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a key",
		Long: `Remove the key with this ID (key list prints them; the beginning is enough).
The last key cannot be removed.

A removed key no longer opens this repository. A copy of its key object, in a
copy of the repository, still opens that copy, so what was in the repository up
to now stays readable for whoever has both the copy and the password.`,
		Args:              exactArgs(1, "the key's ID"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, args []string) error {
			return a.runKeyRemove(ctx, out, args[0])
		}),
	}
}

func (a *app) runKeyRemove(ctx context.Context, out *output, id string) error {
	o, err := a.open(ctx, out, nil)
	if err != nil {
		return err
	}
	defer o.Close()
	k, err := o.FindKey(id)
	if err != nil {
		return err
	}
	if err := o.RemoveKey(ctx, k); err != nil {
		return err
	}
	fmt.Fprintf(out, "key %s is removed\n", k.ID())
	warnOfCopies(out)
	return nil
}

func warnOfCopies(out *output) {
	out.warn("copies of the repository made before still open with the removed key; if others know its password, protect or delete those copies")
}

func newKeyPasswdCommand(a *app) *cobra.Command {
	var passwordFile string
	cmd := &cobra.Command{
		Use:   "passwd",
		Short: "Change the password",
		Long: `Change the password that opens the repository for this run: add the new one, which
is typed twice or taken from --new-password-file, then remove the old one.

` + jsonHelp(keyRecord{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			return a.runKeyPasswd(ctx, out, passwordFile)
		}),
	}
	cmd.Flags().StringVar(&passwordFile, "new-password-file", "", "take the new password from `FILE`")
	return cmd
}

func (a *app) runKeyPasswd(ctx context.Context, out *output, passwordFile string) error {
	o, err := a.open(ctx, out, nil)
	if err != nil {
		return err
	}
	defer o.Close()
	if o.byKeyFile {
		return cli.Usagef("a key file opened the repository, and that has no password to change: give the old password, or see key add and key remove")
	}
	old := o.CurrentKey()
	added, err := a.addPassword(ctx, out, o, passwordFile, old.Label)
	if err != nil {
		return err
	}
	if err := o.RemoveKey(ctx, old); err != nil {
		return fmt.Errorf("the new password opens the repository, but so does the old one, until \"restante key remove %s\" is done: %w", old.ID(), err)
	}
	warnOfCopies(out)
	if out.json {
		return out.object(recordOf(added, old))
	}
	_, err = fmt.Fprintf(out, "the password is changed; the new key is %s\n", added.ID())
	return err
}
