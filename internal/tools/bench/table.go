package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

const mebibyte = 1 << 20

// printTable prints what was measured on one store: the tools' figures, and
// for each peer how many times restante's figure its own is.
func printTable(out io.Writer, s store, raw tally, tools []tool, results map[string]*figures) {
	fmt.Fprintf(out, "\n### %s: %d files, %.1f MiB\n\n", s.name, raw.files, float64(raw.bytes)/mebibyte)
	printHeader(out, tools)
	for _, row := range rows {
		printRow(out, row, "%.2f s", tools, func(t tool) float64 { return results[t.name].seconds(row) })
	}
	printRow(out, "repository, MiB", "%.1f", tools, func(t tool) float64 { return float64(median(results[t.name].size)) / mebibyte })
	printRow(out, "peak memory of all, MiB", "%.0f", tools, func(t tool) float64 { return results[t.name].peak() })
	for _, t := range tools {
		fmt.Fprintf(out, "\n%s's repository against raw: %.2f\n", t.name, float64(median(results[t.name].size))/float64(raw.bytes))
	}
}

func printHeader(out io.Writer, tools []tool) {
	header, rule := "|  |", "|---|"
	for _, t := range tools {
		header += " " + t.name + " |"
		rule += "--:|"
	}
	for _, t := range tools[1:] {
		header += " " + t.name + " ÷ restante |"
		rule += "--:|"
	}
	fmt.Fprintln(out, header+"\n"+rule)
}

func printRow(out io.Writer, name, format string, tools []tool, value func(tool) float64) {
	line := "| " + name + " |"
	for _, t := range tools {
		line += " " + fmt.Sprintf(format, value(t)) + " |"
	}
	for _, t := range tools[1:] {
		line += fmt.Sprintf(" %.2f |", value(t)/value(tools[0]))
	}
	fmt.Fprintln(out, line)
}

// seconds returns the median time of a row. What a peer cannot do with a key
// file counts as it does it with a passphrase.
func (f *figures) seconds(row string) float64 {
	values := f.times[row]
	if len(values) == 0 {
		values = f.times[withPassphrase[row]]
	}
	return median(values).Seconds()
}

// peak returns the largest median of all steps, in MiB.
func (f *figures) peak() float64 {
	var most int64
	for _, values := range f.memory {
		most = max(most, median(values))
	}
	return float64(most) / 1024
}

// describeMachine prints what the figures hold for.
func describeMachine(out io.Writer, work string, rounds int, tools []tool) error {
	var versions []string
	for _, t := range tools {
		text, err := exec.Command(t.version[0], t.version[1:]...).Output()
		if err != nil {
			return fmt.Errorf("asking %s for its version: %w", t.name, err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		versions = append(versions, strings.TrimSpace(first))
	}
	filesystem, err := exec.Command("df", "--output=fstype", work).Output()
	if err != nil {
		return fmt.Errorf("asking for the file system of %q: %w", work, err)
	}
	kernel, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		return fmt.Errorf("asking for the kernel: %w", err)
	}
	fmt.Fprintf(out, "%s, %d cores, %s RAM, %s, %s; %s; medians of %d rounds, warm cache, fsync on; %s.\n",
		field("/proc/cpuinfo", "model name"), runtime.NumCPU(), memory(), strings.TrimSpace(string(kernel)),
		lastLine(filesystem), strings.Join(versions, "; "), rounds, time.Now().Format(time.DateOnly))
	return nil
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// memory returns the machine's memory, rounded to GiB.
func memory() string {
	var kib int64
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%d kB", &kib); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%d GiB", (kib+1<<19)>>20)
}

// field returns the value of the first line "name : value" in a file of the kernel.
func field(path, name string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
