package main

import (
	"context"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/verify"
)

const checkManual = `Check that the repository is whole: that every object is what was stored, that
every snapshot can be read, and that every piece of every file is there. With
--read-data all packs are read and every piece is compared with its name, which
finds bytes that have rotted on the disk; without it packs are only looked up.

What is damaged is printed, an object each: what is wrong, what is lost by it,
and what helps. Then the exit code is 4.`

func newCheckCommand(a *app) *cobra.Command {
	var readData bool
	c := &cobra.Command{
		Use:               "check",
		Short:             "Check that the repository is whole",
		Long:              checkManual + "\n\n" + jsonHelp(verify.Report{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			return a.runCheck(ctx, out, readData)
		}),
	}
	c.Flags().BoolVar(&readData, "read-data", false, "read all data, too")
	return c
}

func (a *app) runCheck(ctx context.Context, out *output, readData bool) error {
	o, err := a.open(ctx, out, nil)
	if err != nil {
		return err
	}
	defer o.Close()
	bar, stop := out.progress("check")
	defer stop()
	report, err := verify.Check(ctx, o.Repository, verify.Options{ReadData: readData, Total: bar.SetTotal, Done: bar.Add})
	stop()
	if err != nil {
		return err
	}
	makePrintable(report)
	if out.json {
		err = out.object(report)
	} else {
		err = printCheck(out, report)
	}
	if n := uint64(len(report.Findings)); err == nil && n > 0 {
		return outcome{exitDamage, cli.Count(n, "object is", "objects are") + " damaged"}
	}
	return err
}
