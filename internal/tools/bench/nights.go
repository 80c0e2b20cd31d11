package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// The rows of the table of nights.
const (
	aNight    = "a night"
	noChange  = "nothing changed"
	anotherOf = 2 // backups before the first night: the second knows what the first has seen
)

// A sleeper is a tool and what it was measured at while nights passed.
type sleeper struct {
	tool
	job
	*figures
	grown []int64 // bytes that its repository grew by, one a night
}

// measureNights lets nights pass over a generated store and prints the table.
func measureNights(out, log io.Writer, tools []tool, work string, o options) error {
	made := filepath.Join(work, "nights")
	if err := mailgen(made, o, "--messages", strconv.Itoa(o.messages), "--mailboxes", strconv.Itoa(o.mailboxes)); err != nil {
		return err
	}
	s := store{name: "nights", dir: filepath.Join(made, "vmail")}
	var all []*sleeper
	for _, t := range tools {
		fmt.Fprintf(log, "first backup: %s\n", t.name)
		x := &sleeper{tool: t, job: s.job(filepath.Join(work, t.name)), figures: newFigures()}
		if err := x.begin(); err != nil {
			return err
		}
		all = append(all, x)
	}
	var finds []time.Duration
	for night := 1; night <= o.rounds; night++ {
		if err := mailgen(made, o, "--night", strconv.Itoa(night)); err != nil {
			return err
		}
		if err := warm(s.dir); err != nil {
			return err
		}
		for _, x := range all {
			if err := x.night(night, log); err != nil {
				return err
			}
		}
		began := time.Now()
		if err := exec.Command("find", s.dir, "-size", "+0").Run(); err != nil {
			return err
		}
		finds = append(finds, time.Since(began))
	}
	return printNights(out, s, tools, all, median(finds))
}

// begin takes the backups before the first night.
func (x *sleeper) begin() error {
	if err := x.prepare(x.job); err != nil {
		return err
	}
	for n := range anotherOf {
		row := firstBackup
		if n > 0 {
			row = "" // no row of the table
		}
		if err := x.run(row, n); err != nil {
			return err
		}
	}
	return nil
}

// night takes the backup of a night, and another one with nothing changed.
func (x *sleeper) night(night int, log io.Writer) error {
	before, err := count(x.repo)
	if err != nil {
		return err
	}
	for i, row := range []string{aNight, noChange} {
		if err := x.run(row, anotherOf+2*night+i); err != nil {
			return err
		}
		fmt.Fprintf(log, "night %d: %s: %s: %.2f s\n", night, x.name, row, x.times[row][night-1].Seconds())
		if i == 0 {
			after, err := count(x.repo)
			if err != nil {
				return err
			}
			x.grown = append(x.grown, after.bytes-before.bytes)
		}
	}
	return nil
}

// run takes the n-th backup.
func (x *sleeper) run(row string, n int) error {
	return step{row: row, argv: x.backup(x.job, n)}.run(x.env(x.job), x.job, x.figures)
}

func printNights(out io.Writer, s store, tools []tool, all []*sleeper, find time.Duration) error {
	of := map[string]*sleeper{}
	for _, x := range all {
		of[x.name] = x
	}
	raw, err := count(s.dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n### Nights over %d files, %.1f MiB; find looks at each in %.2f s\n\n", raw.files, float64(raw.bytes)/mebibyte, find.Seconds())
	printHeader(out, tools)
	for _, row := range []string{aNight, noChange, firstBackup} {
		printRow(out, row, "%.2f s", tools, func(t tool) float64 { return of[t.name].seconds(row) })
	}
	printRow(out, "stored by a night, MiB", "%.2f", tools, func(t tool) float64 { return float64(median(of[t.name].grown)) / mebibyte })
	for _, row := range []string{aNight, firstBackup} {
		printRow(out, "peak memory of "+row+", MiB", "%.0f", tools, func(t tool) float64 { return float64(median(of[t.name].memory[row])) / 1024 })
	}
	return nil
}

// mailgen makes a store, or lets a night pass over it, in a process of its own.
func mailgen(dir string, o options, args ...string) error {
	args = append([]string{"run", "./internal/tools/mailgen"}, args...)
	if o.small {
		args = append(args, "--small")
	}
	if text, err := exec.Command("go", append(args, dir)...).CombinedOutput(); err != nil {
		return fmt.Errorf("generating mail: %w\n%s", err, text)
	}
	return nil
}

// prepare makes the tool's repository.
func (t tool) prepare(j job) error {
	if err := os.MkdirAll(j.home, 0o700); err != nil {
		return err
	}
	for _, argv := range t.setup(j) {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), t.env(j)...)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("running %q: %w\n%s", argv, err, text)
		}
	}
	return nil
}
