package main

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
)

var shells = []string{"bash", "fish", "powershell", "zsh"}

func newCompletionCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion " + strings.Join(shells, "|"),
		Short: "Print a script that completes commands and options in a shell",
		Long: `Print a script that completes commands and options in a shell.

  bash        restante completion bash > /etc/bash_completion.d/restante
  fish        restante completion fish > ~/.config/fish/completions/restante.fish
  powershell  restante completion powershell | Out-String | Invoke-Expression
  zsh         restante completion zsh > "${fpath[1]}/_restante"`,
		Args:      exactArgs(1, "the shell"),
		ValidArgs: shells,
	}
	cmd.RunE = a.run(func(_ context.Context, out *output, args []string) error {
		return runCompletion(out, cmd.Root(), args[0])
	})
	return cmd
}

// complete makes shells offer these values for an option of the command.
func complete(cmd *cobra.Command, option string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(option, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // cannot happen: the caller made the option
	}
}

func runCompletion(out *output, root *cobra.Command, shell string) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(out, true)
	case "fish":
		return root.GenFishCompletion(out, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(out)
	case "zsh":
		return root.GenZshCompletion(out)
	}
	return cli.Usagef("there is no completion for the shell %q, only for %s", shell, strings.Join(shells, ", "))
}

// completeSnapshots makes shells offer the IDs of the snapshots, those that are
// forgotten or the others, where that needs nobody to type a password.
func (a *app) completeSnapshots(forgotten bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		source, err := a.credentials.choose()
		if err != nil || source == nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		out := newOutput(io.Discard, io.Discard, a, nil)
		o, err := a.openToRead(cmd.Context(), out)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer o.Close()
		read := o.readable
		if forgotten {
			read = o.readableForgotten
		}
		all, _ := read(cmd.Context(), out) // what cannot be read is not offered
		var found []cobra.Completion
		for _, s := range all {
			if id := s.id[:digits(all)]; strings.HasPrefix(id, toComplete) && !slices.Contains(args, id) {
				found = append(found, cobra.CompletionWithDesc(id, cli.Time(s.record.Started.Go())+" "+cli.Name(s.record.Store)))
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}
