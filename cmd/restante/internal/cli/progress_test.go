package cli_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"restante/cmd/restante/internal/cli"
)

var began = time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return began.Add(d) }

func TestProgressOnTerminal(t *testing.T) {
	var b strings.Builder
	width := 100
	p := cli.NewProgress(&b, cli.ProgressOptions{Title: "backup", Width: func() int { return width }}, began)
	take := func() string {
		defer b.Reset()
		return b.String()
	}
	p.Tick(after(50 * time.Millisecond))
	if got := take(); got != "" {
		t.Errorf("drawn at once: %q", got)
	}
	p.Add(1200, 1<<20)
	p.Tick(after(time.Second))
	if got, want := take(), "\rbackup  1.0 MiB  1,200 files  1.0 MiB/s"; got != want {
		t.Errorf("with unknown totals: %q, want %q", got, want)
	}
	p.SetTotal(2400, 4<<20)
	p.Tick(after(2 * time.Second))
	if got, want := take(), "\rbackup  [####---------------]  25%  1.0 MiB of 4.0 MiB  1,200 of 2,400 files  512 KiB/s  6.0 s left"; got != want {
		t.Errorf("with totals: %q, want %q", got, want)
	}
	p.Tick(after(2*time.Second + 50*time.Millisecond))
	if got := take(); got != "" {
		t.Errorf("drawn again too soon: %q", got)
	}
	width = 40
	p.Tick(after(3 * time.Second))
	if got := take(); got != "\rbackup  25%  1.0 MiB of 4.0 MiB"+strings.Repeat(" ", 39-31) {
		t.Errorf("in 40 columns: %q", got)
	}
	p.Clear()
	if got := take(); got != "\r"+strings.Repeat(" ", 31+2)+"\r" {
		t.Errorf("cleared by %q", got)
	}
	p.Clear()
	if got := take(); got != "" {
		t.Errorf("cleared twice: %q", got)
	}
}

func TestProgressEverywhereFits(t *testing.T) {
	for width := range 200 {
		var b strings.Builder
		p := cli.NewProgress(&b, cli.ProgressOptions{Title: "backup", Width: func() int { return width }}, began)
		p.SetTotal(1e6, 1<<40)
		p.Add(1e6+1, 1<<41) // the store grew meanwhile
		p.Tick(after(time.Hour))
		line := strings.TrimPrefix(b.String(), "\r")
		if len(line) > max(0, width-1) {
			t.Errorf("in %d columns: %q", width, line)
		}
		if width > 60 && !strings.Contains(line, "100%") {
			t.Errorf("in %d columns, more done than there was: %q", width, line)
		}
		p.Clear()
	}
}

func TestProgressWithoutTerminal(t *testing.T) {
	var b strings.Builder
	p := cli.NewProgress(&b, cli.ProgressOptions{Title: "restore"}, began)
	p.SetTotal(10, 0)
	p.Add(5, 100)
	for d := time.Duration(0); d < 65*time.Second; d += 200 * time.Millisecond {
		p.Tick(after(d))
	}
	p.Clear()
	want := "restore: 50%, 100 B, 5 of 10 files\nrestore: 50%, 100 B, 5 of 10 files\n"
	if got := b.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProgressIsCountedConcurrently(t *testing.T) {
	var b strings.Builder
	p := cli.NewProgress(&b, cli.ProgressOptions{Title: "check"}, began)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				p.Add(1, 1)
				p.Tick(began)
			}
		})
	}
	wg.Wait()
	p.Tick(after(time.Minute))
	if got, want := b.String(), "check: 7.8 KiB, 8,000 files, "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
