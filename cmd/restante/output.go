package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"restante/cmd/restante/internal/cli"
)

// output is where a command prints: results to standard output (it is an
// io.Writer for them), notes, warnings and progress to standard error, and
// notes and warnings to the log file too. Its methods may be called by several
// goroutines. Each message is a line that cannot steer the terminal; names in it
// are best written with %q.
type output struct {
	json    bool // results are to be printed as JSON; never changed
	quiet   bool
	verbose bool
	log     *cli.Log

	mu     sync.Mutex
	stdout *bufio.Writer // guarded by mu
	stderr io.Writer     // guarded by mu, but for the bar's own drawing
	bar    *cli.Progress // what is shown now, guarded by mu
}

func newOutput(stdout, stderr io.Writer, a *app, log *cli.Log) *output {
	return &output{
		json: a.json, quiet: a.quiet, verbose: a.verbose, log: log,
		stdout: bufio.NewWriterSize(stdout, 32<<10), stderr: stderr,
	}
}

// Write prints a part of the results.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.stdout.Write(b)
	if err != nil {
		err = fmt.Errorf("%w: %w", errPrinting, err)
	}
	return n, err
}

// errPrinting marks the failure to print results.
var errPrinting = errors.New("printing results")

// object prints v as the one JSON document of a command's result.
func (o *output) object(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding result: %w", err)
	}
	_, err = o.Write(append(b, '\n'))
	return err
}

// list prints a JSON list, an element a line, of what fill adds to it, however
// many these are: none is kept.
func (o *output) list(fill func(add func(v any) error) error) error {
	separator := "[\n"
	err := fill(func(v any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encoding result: %w", err)
		}
		_, err = fmt.Fprintf(o, "%s  %s", separator, b)
		separator = ",\n"
		return err
	})
	if err != nil && !isFlaw(err) {
		return err
	}
	end := "\n]\n"
	if separator == "[\n" {
		end = "[]\n"
	}
	if _, printed := io.WriteString(o, end); printed != nil {
		return printed
	}
	return err // of what could be read, the list is whole
}

// note tells what a person may want to know beside the results; --quiet does
// without.
func (o *output) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	o.log.Event(cli.Info, text)
	if !o.quiet {
		o.message(text)
	}
}

// record puts a summary into the log file, as one event.
func (o *output) record(text string) {
	var parts []string
	for line := range strings.Lines(text) {
		parts = append(parts, strings.Join(strings.Fields(line), " "))
	}
	o.log.Event(cli.Info, strings.Join(parts, "; "))
}

// detail tells what only --verbose wants to know.
func (o *output) detail(format string, args ...any) {
	if o.verbose {
		o.note(format, args...)
	}
}

// warn tells what must not be missed.
func (o *output) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	o.log.Event(cli.Warning, text)
	o.message("warning: " + text)
}

func (o *output) message(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.stdout.Flush() // results before it come before it; finish reports the error, which sticks
	if o.bar != nil {
		o.bar.Clear()
	}
	fmt.Fprintln(o.stderr, cli.Line(text))
}

// finish flushes the results and returns err, or the error of printing them.
func (o *output) finish(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if flushErr := o.stdout.Flush(); flushErr != nil && err == nil {
		return fmt.Errorf("%w: %w", errPrinting, flushErr)
	}
	return err
}

// progress shows how far work has come until stop is called, which leaves no
// trace of it on a terminal. One at a time may be shown.
func (o *output) progress(title string) (p *cli.Progress, stop func()) {
	p = cli.NewProgress(o.stderr, cli.ProgressOptions{Title: title, Width: terminalWidth(o.stderr)}, time.Now())
	if o.quiet {
		return p, func() {}
	}
	o.mu.Lock()
	_ = o.stdout.Flush()
	o.bar = p
	o.mu.Unlock()
	done, ended := make(chan struct{}), make(chan struct{})
	go o.animate(p, done, ended)
	return p, sync.OnceFunc(func() {
		close(done)
		<-ended
		o.mu.Lock()
		defer o.mu.Unlock()
		p.Clear()
		o.bar = nil
	})
}

func (o *output) animate(p *cli.Progress, done <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-ticker.C:
			o.mu.Lock() // so that no message is torn by the bar
			p.Tick(now)
			o.mu.Unlock()
		}
	}
}
