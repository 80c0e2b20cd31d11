package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// figures are what one tool was measured at on one store.
type figures struct {
	times  map[string][]time.Duration // by row, one a round
	cpu    map[string][]time.Duration // the same, of all processors, user and system
	memory map[string][]int64         // by row, KiB, one a round
	size   []int64                    // of the repository after the first backup
}

func newFigures() *figures {
	return &figures{times: map[string][]time.Duration{}, cpu: map[string][]time.Duration{}, memory: map[string][]int64{}}
}

// measure gives every tool its turns on the store and prints the table.
func (s store) measure(out, log io.Writer, tools []tool, rounds int, work string) error {
	raw, err := count(s.dir)
	if err != nil {
		return err
	}
	results := map[string]*figures{}
	for _, t := range tools {
		results[t.name] = newFigures()
	}
	turns := filepath.Join(work, "turns", s.name)
	for round := 1; round <= rounds; round++ {
		for _, t := range tools {
			fmt.Fprintf(log, "%s, round %d of %d: %s\n", s.name, round, rounds, t.name)
			f := results[t.name]
			if err := s.turn(t, filepath.Join(turns, fmt.Sprintf("%s-%d", t.name, round)), f); err != nil {
				return fmt.Errorf("measuring %s on %s: %w", t.name, s.name, err)
			}
			for _, row := range rows {
				if times := f.times[row]; len(times) > 0 {
					fmt.Fprintf(log, "    %s: %.2f s\n", row, times[len(times)-1].Seconds())
				}
			}
		}
	}
	printTable(out, s, raw, tools, results)
	return nil
}

// turn lets a tool go through all its steps once, in a repository of its own.
func (s store) turn(t tool, dir string, f *figures) error {
	j := s.job(dir)
	if err := t.prepare(j); err != nil {
		return err
	}
	// Some tools drop what they have read from the page cache.
	if err := warm(s.dir); err != nil {
		return err
	}
	for i, step := range t.steps(j) {
		if err := os.Rename(j.target, filepath.Join(dir, fmt.Sprintf("restored-%d", i))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := step.run(t.env(j), j, f); err != nil {
			return err
		}
		if step.row == firstBackup {
			size, err := count(j.repo)
			if err != nil {
				return err
			}
			f.size = append(f.size, size.bytes)
		}
	}
	return nil
}

// An output is what a step printed.
type output struct {
	stdout, stderr bytes.Buffer
}

// run times one step and proves, if it restores, that all of it came back.
func (p step) run(env []string, j job, f *figures) (*output, error) {
	if err := os.MkdirAll(j.target, 0o700); err != nil {
		return nil, err
	}
	report := filepath.Join(j.home, "peak")
	// What earlier steps left to be written must not slow this one down.
	if err := exec.Command("sync").Run(); err != nil {
		return nil, err
	}
	out := &output{}
	cmd := exec.Command("time", append([]string{"-f", "%M", "-o", report}, p.argv...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, &out.stdout, &out.stderr
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		return nil, fmt.Errorf("running %q: %w\n%s%s", p.argv, err, &out.stdout, &out.stderr)
	}
	peak, err := os.ReadFile(report)
	if err != nil {
		return nil, err
	}
	kib, err := strconv.ParseInt(strings.TrimSpace(string(peak)), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reading peak memory of %q: %w", p.argv, err)
	}
	f.times[p.row] = append(f.times[p.row], took)
	f.cpu[p.row] = append(f.cpu[p.row], cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	f.memory[p.row] = append(f.memory[p.row], kib)
	return out, p.compare(j)
}

// compare proves, if the step restores, that all of it came back.
func (p step) compare(j job) error {
	if p.restores == "" {
		return nil
	}
	want, err := count(p.restores)
	if err != nil {
		return err
	}
	got, err := count(j.target)
	if err == nil && got != want {
		err = fmt.Errorf("%q restored %d files of %d bytes, not %d of %d", p.argv, got.files, got.bytes, want.files, want.bytes)
	}
	return err
}

// medianOf returns the median of a figure of all nights.
func medianOf[T any](nights []T, value func(T) int64) float64 {
	var values []int64
	for _, night := range nights {
		values = append(values, value(night))
	}
	return float64(median(values))
}

// median returns the middle value, of an even number the lower of the two.
func median[T int64 | time.Duration](values []T) T {
	if len(values) == 0 {
		return 0
	}
	values = slices.Clone(values)
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
