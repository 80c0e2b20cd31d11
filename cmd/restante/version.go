package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo is what "version --json" prints.
type versionInfo struct {
	Version  string `json:"version" doc:"the program's version"`
	Revision string `json:"revision,omitempty" doc:"the commit it was built from, where known"`
	Go       string `json:"go" doc:"the Go version it was built with"`
	Platform string `json:"platform" doc:"the system and processor it was built for"`
}

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the program's version",
		Long:              "Print the program's version.\n\n" + jsonHelp(versionInfo{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(_ context.Context, out *output, _ []string) error {
			return runVersion(out, thisVersion())
		}),
	}
}

func runVersion(out *output, v versionInfo) error {
	if out.json {
		return out.object(v)
	}
	_, err := fmt.Fprintln(out, v)
	return err
}

func (v versionInfo) String() string {
	return fmt.Sprintf("restante %s (%s, %s)", v.Version, v.Go, v.Platform)
}

func thisVersion() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if m := build.Main.Version; m != "" && m != "(devel)" {
		v.Version = m
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
