package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// The rows of the table of upkeep.
const (
	forgetNights = "forget to a week and prune"
	withBackups  = "the same, backups meanwhile"
)

// An upkept is a tool's repository after many nights, of which each round
// takes a copy, and what forgetting was measured at.
type upkept struct {
	*sleeper
	dir     string   // of the repository and its home
	room    weight   // before
	left    []weight // after, one a round
	backups []int64  // that ended while the second run went on, one a round
}

// measureUpkeep lets nights pass, has each tool forget all but a week of them,
// and prints how long that takes until the room is back.
func measureUpkeep(out, log io.Writer, tools []tool, work string, o options) error {
	l, err := o.maildirs(work)
	if err != nil {
		return err
	}
	s, err := newSleepers(log, l, tools, work)
	if err != nil {
		return err
	}
	for night := range o.upkeep {
		if err := s.pass(); err != nil {
			return err
		}
		for _, x := range s.all {
			if err := x.run(aNight, anotherOf+night); err != nil {
				return err
			}
		}
	}
	var all []*upkept
	for _, x := range s.all {
		u := &upkept{sleeper: x, dir: filepath.Dir(x.repo)}
		if u.room, err = weigh(x.repo); err != nil {
			return err
		}
		all = append(all, u)
	}
	for round := range o.rounds {
		for _, u := range all {
			if err := u.forgetAll(log, round); err != nil {
				return fmt.Errorf("forgetting with %s: %w", u.name, err)
			}
		}
	}
	printUpkeep(out, l.store, all, o.upkeep)
	return nil
}

// forgetAll measures a round: in a copy of the repository, and in another one
// while backups go on, if the tool can do that.
func (u *upkept) forgetAll(log io.Writer, round int) error {
	for _, row := range []string{forgetNights, withBackups} {
		if row == withBackups && u.peer {
			continue // they lock the repository
		}
		j, err := u.copied(fmt.Sprintf("%s-%d-%d", u.name, round, len(row)))
		if err != nil {
			return err
		}
		stop := func() (int64, error) { return 0, nil }
		if row == withBackups {
			stop = u.backUp(j)
		}
		_, err = step{row: row, argv: u.forget(j)}.run(u.env(j), j, u.figures)
		n, failed := stop()
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		fmt.Fprintf(log, "round %d: %s: %s: %.2f s\n", round+1, u.name, row, u.times[row][round].Seconds())
		if row == withBackups {
			u.backups = append(u.backups, n)
			continue
		}
		left, err := weigh(j.repo)
		if err != nil {
			return err
		}
		u.left = append(u.left, left)
	}
	return nil
}

// copied returns a job with a copy of the repository, and of what the tool
// keeps beside it, where both were: tools know a repository by its place.
func (u *upkept) copied(name string) (job, error) {
	j := u.job
	kept := filepath.Join(filepath.Dir(u.dir), "kept-"+u.name)
	if _, err := os.Stat(kept); err != nil {
		if err := os.Rename(u.dir, kept); err != nil {
			return j, err
		}
	} else if err := os.Rename(u.dir, filepath.Join(filepath.Dir(u.dir), "used-"+name)); err != nil {
		return j, err
	}
	return j, exec.Command("cp", "-a", kept, u.dir).Run()
}

// backUp takes one backup after the other until the function it returns is
// called, which says how many ended.
func (u *upkept) backUp(j job) (stop func() (int64, error)) {
	var (
		done  atomic.Bool
		ended int64
		err   error
		wait  sync.WaitGroup
	)
	wait.Go(func() {
		for !done.Load() && err == nil {
			argv := u.backup(j, 0)
			cmd := exec.Command(argv[0], argv[1:]...)
			cmd.Env = append(os.Environ(), u.env(j)...)
			if text, failed := cmd.CombinedOutput(); failed != nil {
				err = fmt.Errorf("running %q meanwhile: %w\n%s", argv, failed, text)
			}
			ended++
		}
	})
	return func() (int64, error) {
		done.Store(true)
		wait.Wait()
		return ended, err
	}
}

func printUpkeep(out io.Writer, s store, all []*upkept, nights int) {
	fmt.Fprintf(out, "\n### %d nights over %s, of which a week is left\n\n", nights, s.name)
	var columns []string
	for _, u := range all {
		columns = append(columns, u.name)
	}
	p := newTable(out, columns)
	for _, row := range []string{forgetNights, withBackups} {
		p.row(row, "%.2f s", func(i int) float64 { return all[i].measured(row, all[i].seconds(row)) })
		p.row("peak memory of that, MiB", "%.0f", func(i int) float64 { return all[i].measured(row, float64(median(all[i].memory[row]))/1024) })
	}
	p.row("repository before, MiB", "%.1f", func(i int) float64 { return float64(all[i].room.bytes) / mebibyte })
	p.row("repository after, MiB", "%.1f", func(i int) float64 {
		return medianOf(all[i].left, func(w weight) int64 { return w.bytes }) / mebibyte
	})
	p.row("backups that ended meanwhile", "%.0f", func(i int) float64 {
		return all[i].measured(withBackups, float64(median(all[i].backups)))
	})
}

// measured returns a figure of a row that the tool was measured at, else NaN.
func (u *upkept) measured(row string, figure float64) float64 {
	if len(u.times[row]) == 0 {
		return math.NaN()
	}
	return figure
}
