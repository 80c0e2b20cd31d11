package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/repo"
	"restante/snapshot"
)

// statsInfo is what "stats --json" prints.
type statsInfo struct {
	Repository string     `json:"repository" doc:"where it lies"`
	Snapshots  int        `json:"snapshots" doc:"how many there are, of the stores that are meant"`
	Stores     int        `json:"stores" doc:"how many stores they are of; of one name on two hosts it is two"`
	Latest     counted    `json:"latest" doc:"what the latest snapshot of each store would restore:"`
	All        uint64     `json:"all_bytes" doc:"what all snapshots, each for itself, would restore"`
	Stored     uint64     `json:"stored_bytes" doc:"what the whole repository takes on its storage"`
	Ratio      float64    `json:"ratio" doc:"latest.bytes to stored_bytes"`
	Pieces     uint64     `json:"pieces" doc:"pieces of data that are stored, each once"`
	Objects    []kindInfo `json:"objects" doc:"what the storage holds, by kind:"`
}

type kindInfo struct {
	Kind    string `json:"kind" doc:"config, damaged, forgotten, holds, index, intents, keys, marks, packs, seen, snapshots, README"`
	Objects uint64 `json:"objects" doc:"how many"`
	Bytes   uint64 `json:"bytes" doc:"their size"`
}

func newStatsCommand(a *app) *cobra.Command {
	var filter choice
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show what the repository holds and how much room it takes",
		Long: `Show what the repository holds and how much room it takes: what its snapshots
would restore, of all stores or those that --store and --host name, against what
the whole repository takes on its storage.

` + jsonHelp(statsInfo{}),
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, out *output, _ []string) error {
			return a.runStats(ctx, out, filter)
		}),
	}
	filter.addFilters(cmd.Flags())
	return cmd
}

func (a *app) runStats(ctx context.Context, out *output, filter choice) error {
	o, err := a.openToRead(ctx, out)
	if err != nil {
		return err
	}
	defer o.Close()
	all, failed := o.readable(ctx, out)
	if failed != nil && !errors.As(failed, new(outcome)) {
		return failed
	}
	some, err := filter.filter(all)
	if err != nil {
		return errors.Join(err, failed)
	}
	info := statsInfo{Repository: o.path}
	if !info.addSnapshots(some) {
		return fmt.Errorf("adding up snapshots: %w", snapshot.ErrDamaged)
	}
	usage, err := o.Usage(ctx)
	if err != nil {
		return err
	}
	info.addObjects(usage)
	if info.Pieces, err = o.Pieces(ctx); err != nil {
		return err
	}
	if out.json {
		err = out.object(info)
	} else {
		err = info.print(out)
	}
	if err != nil {
		return err
	}
	return failed
}

// addSnapshots adds snapshots up, given oldest first. It reports false if the sums
// are no numbers any more, as of snapshots made to deceive.
func (s *statsInfo) addSnapshots(all []listed) bool {
	type store struct{ name, host string }
	latest := map[store]snapshot.Counts{}
	var sum, each snapshot.Counts
	for _, l := range all {
		c := l.record.Tree.Counts
		latest[store{l.record.Store, l.record.Host}] = c
		if !each.Add(c) {
			return false
		}
	}
	for _, c := range latest {
		if !sum.Add(c) {
			return false
		}
	}
	s.Snapshots, s.Stores, s.Latest, s.All = len(all), len(latest), countedOf(sum, nil), each.Bytes
	return true
}

func (s *statsInfo) addObjects(usage []repo.KindUsage) {
	for _, u := range usage {
		s.Objects = append(s.Objects, kindInfo{u.Kind, u.Objects, u.Bytes})
		s.Stored += u.Bytes
	}
	if s.Stored > 0 {
		s.Ratio = float64(s.Latest.Bytes) / float64(s.Stored)
	}
}

func (s *statsInfo) print(out *output) error {
	facts := cli.NewTable(cli.Column{}, cli.Column{})
	facts.Row("repository", s.Repository)
	facts.Row("snapshots", fmt.Sprintf("%s of %s", cli.Number(uint64(s.Snapshots)), cli.Count(uint64(s.Stores), "store", "stores")))
	facts.Row("latest", fmt.Sprintf("%s in %s, %s", cli.Size(s.Latest.Bytes), cli.Count(s.Latest.Files, "file", "files"),
		cli.Count(s.Latest.Messages, "message", "messages")))
	facts.Row("all", cli.Size(s.All)+", each snapshot restored for itself")
	of := ""
	if s.Ratio > 1 {
		of = fmt.Sprintf(", %.0f %% of the latest,", 100/s.Ratio)
	}
	facts.Row("stored", cli.Size(s.Stored)+of+" in "+cli.Count(s.Pieces, "piece", "pieces"))
	if err := facts.Print(out); err != nil {
		return err
	}
	fmt.Fprintln(out)
	objects := cli.NewTable(cli.Column{Title: "Objects"}, cli.Column{Title: "Number", Right: true}, cli.Column{Title: "Size", Right: true})
	for _, k := range s.Objects {
		objects.Row(k.Kind, cli.Number(k.Objects), cli.Size(k.Bytes))
	}
	return objects.Print(out)
}
