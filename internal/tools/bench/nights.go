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

// measureNights lets nights pass over a generated store and prints the table.
func measureNights(out, log io.Writer, tools []tool, work string, o options) error {
	made := filepath.Join(work, "nights")
	if err := mailgen(made, o, "--messages", strconv.Itoa(o.messages), "--mailboxes", strconv.Itoa(o.mailboxes)); err != nil {
		return err
	}
	s := store{name: "nights", dir: filepath.Join(made, "vmail")}
	results, jobs, grown := map[string]*figures{}, map[string]job{}, map[string][]int64{}
	for _, t := range tools {
		fmt.Fprintf(log, "first backup: %s\n", t.name)
		dir := filepath.Join(work, t.name)
		j := job{store: s, repo: filepath.Join(dir, "repository"), home: filepath.Join(dir, "home"), target: filepath.Join(dir, "target")}
		f := &figures{times: map[string][]time.Duration{}, memory: map[string][]int64{}}
		results[t.name], jobs[t.name] = f, j
		if err := t.prepare(j); err != nil {
			return err
		}
		for n := range anotherOf {
			row := firstBackup
			if n > 0 {
				row = "" // no row of the table
			}
			if err := (step{row: row, argv: t.backup(j, n)}).run(t.env(j), j, f); err != nil {
				return err
			}
		}
	}
	var finds []time.Duration
	for night := 1; night <= o.rounds; night++ {
		if err := mailgen(made, o, "--night", strconv.Itoa(night)); err != nil {
			return err
		}
		if err := warm(s.dir); err != nil {
			return err
		}
		for _, t := range tools {
			j, f := jobs[t.name], results[t.name]
			before, err := count(j.repo)
			if err != nil {
				return err
			}
			for i, row := range []string{aNight, noChange} {
				if err := (step{row: row, argv: t.backup(j, anotherOf+2*night+i)}).run(t.env(j), j, f); err != nil {
					return err
				}
				fmt.Fprintf(log, "night %d: %s: %s: %.2f s\n", night, t.name, row, f.times[row][night-1].Seconds())
				if i == 0 {
					after, err := count(j.repo)
					if err != nil {
						return err
					}
					grown[t.name] = append(grown[t.name], after.bytes-before.bytes)
				}
			}
		}
		began := time.Now()
		if err := exec.Command("find", s.dir, "-size", "+0").Run(); err != nil {
			return err
		}
		finds = append(finds, time.Since(began))
	}
	return printNights(out, s, tools, results, grown, median(finds))
}

func printNights(out io.Writer, s store, tools []tool, results map[string]*figures, grown map[string][]int64, find time.Duration) error {
	raw, err := count(s.dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n### Nights over %d files, %.1f MiB; find looks at each in %.2f s\n\n", raw.files, float64(raw.bytes)/mebibyte, find.Seconds())
	printHeader(out, tools)
	for _, row := range []string{aNight, noChange, firstBackup} {
		printRow(out, row, "%.2f s", tools, func(t tool) float64 { return results[t.name].seconds(row) })
	}
	printRow(out, "stored by a night, MiB", "%.2f", tools, func(t tool) float64 { return float64(median(grown[t.name])) / mebibyte })
	for _, row := range []string{aNight, firstBackup} {
		printRow(out, "peak memory of "+row+", MiB", "%.0f", tools, func(t tool) float64 { return float64(median(results[t.name].memory[row])) / 1024 })
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
