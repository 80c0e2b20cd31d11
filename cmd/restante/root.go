package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
)

const intro = `Restante keeps snapshots of a mail server's store in an encrypted repository and
gives back one mailbox by its name.`

const glossary = `
Words:
  store        a mail server's data on disk
  mailbox      one account; it holds folders
  folder       what IMAP calls a mailbox: INBOX, Sent
  snapshot     the whole store as it was at one time
  repository   where snapshots are kept, encrypted; each piece of data once

Environment:
  RESTANTE_REPOSITORY         as --repo
  RESTANTE_PASSWORD           the repository's password
  RESTANTE_PASSWORD_FILE      as --password-file
  RESTANTE_PASSWORD_COMMAND   as --password-command; run without a shell
  RESTANTE_KEY_FILE           as --key-file
  CREDENTIALS_DIRECTORY       systemd's; restante.password or restante.key in it
  XDG_CACHE_HOME, CACHE_DIRECTORY   where caches go without --cache-dir
`

// newRoot returns the program's command tree with the commands of list.
func newRoot(a *app, list func(*app) []*cobra.Command) *cobra.Command {
	root := group(&cobra.Command{
		Use:               "restante",
		Short:             "Back up mail stores, restore mailboxes",
		Long:              intro,
		Version:           thisVersion().Version,
		SilenceErrors:     true, // report prints them
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	})
	a.addFlags(root.PersistentFlags())
	root.SetHelpFunc(printHelp)
	root.SetHelpCommand(newHelpCommand())
	root.SetVersionTemplate(thisVersion().String() + "\n")
	root.AddCommand(list(a)...)
	for _, cmd := range root.Commands() {
		if cmd.Flags().Lookup("snapshot") == nil {
			continue
		}
		if err := cmd.RegisterFlagCompletionFunc("snapshot", a.completeSnapshots(false)); err != nil {
			panic(err) // cannot happen: the option is there
		}
	}
	return root
}

// printHelp prints the manual of a command; that of the program has more.
func printHelp(cmd *cobra.Command, _ []string) {
	w := cmd.OutOrStdout()
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	fmt.Fprintf(w, "%s\n\n%s", strings.TrimSpace(text), cmd.UsageString())
	if !cmd.HasParent() {
		fmt.Fprintf(w, "%s\nExit codes:\n%s", glossary, exitMeanings())
	}
}

func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Print the manual of a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return cli.Usagef("there is no command %q", strings.Join(args, " "))
			}
			found.InitDefaultHelpFlag() // which Execute adds to the command it runs only
			found.InitDefaultVersionFlag()
			return found.Help()
		},
	}
}

// group makes cmd a command that only has commands below it: alone it prints
// its help, and with another word it is wrong usage.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return cli.Usagef("there is no command %q; did you mean %s?", args[0], strings.Join(near, " or "))
		}
		return cli.Usagef("there is no command %q", args[0])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.Usagef("it takes no argument, so not %q", args[0])
	}
	return nil
}

// exactArgs wants n arguments; what names them.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < n {
			return cli.Usagef("%s is missing", what)
		}
		if len(args) > n {
			return cli.Usagef("after %s there is %q too much", what, args[n])
		}
		return nil
	}
}
