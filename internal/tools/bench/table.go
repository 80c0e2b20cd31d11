package main

import (
	"fmt"
	"io"
	"math"
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
	p := newTable(out, names(tools))
	for _, row := range rows {
		p.row(row, "%.2f s", func(i int) float64 { return results[tools[i].name].seconds(row) })
	}
	p.row("repository, MiB", "%.1f", func(i int) float64 { return float64(median(results[tools[i].name].size)) / mebibyte })
	p.row("peak memory of all, MiB", "%.0f", func(i int) float64 { return results[tools[i].name].peak() })
	for _, t := range tools {
		fmt.Fprintf(out, "\n%s's repository against raw: %.2f\n", t.name, float64(median(results[t.name].size))/float64(raw.bytes))
	}
}

// A table is Markdown: a column for each thing that was measured, and then how
// many times the first one's figure each other's is.
type table struct {
	out     io.Writer
	columns int
}

// newTable prints a table's header.
func newTable(out io.Writer, columns []string) table {
	header, rule := "|  |", "|---|"
	for _, c := range columns {
		header += " " + c + " |"
		rule += "--:|"
	}
	for _, c := range columns[1:] {
		header += " " + c + " ÷ " + columns[0] + " |"
		rule += "--:|"
	}
	fmt.Fprintln(out, header+"\n"+rule)
	return table{out, len(columns)}
}

// row prints a row; value returns the figure of the i-th column, NaN where it is not known.
func (p table) row(name, format string, value func(i int) float64) {
	line := "| " + name + " |"
	for i := range p.columns {
		line += " " + figure(format, value(i)) + " |"
	}
	for i := range p.columns - 1 {
		line += " " + figure("%.2f", value(i+1)/value(0)) + " |"
	}
	fmt.Fprintln(p.out, line)
}

// figure formats a number; what is none is a dash.
func figure(format string, value float64) string {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return "–"
	}
	return fmt.Sprintf(format, value)
}

func names(tools []tool) []string {
	var all []string
	for _, t := range tools {
		all = append(all, t.name)
	}
	return all
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
