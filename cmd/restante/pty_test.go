//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// A console is a program running on a terminal of its own.
type console struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	tty    *os.File    // kept open, so that its state can be asked for when the program has ended
	chunks chan []byte // what the program wrote, until the terminal is closed
	seen   []byte
}

func startOnConsole(t *testing.T, columns uint16, args ...string) *console {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skipf("there is no pseudo-terminal here: %v", err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, master: master, tty: tty, chunks: make(chan []byte)}
	c.cmd = exec.Command("framed", args...)
	c.cmd.Env = append(os.Environ(), "TERM=xterm")
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = tty, tty, tty
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.chunks)
		for {
			b := make([]byte, 4096)
			n, err := master.Read(b)
			if err != nil {
				return
			}
			c.chunks <- b[:n]
		}
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // a no-op when wait was called
		tty.Close()
		for range c.chunks {
		}
		master.Close()
	})
	return c
}

// see waits until the program has written text once more than before.
func (c *console) see(text string) {
	c.t.Helper()
	late := time.After(20 * time.Second)
	before := bytes.Count(c.seen, []byte(text))
	for bytes.Count(c.seen, []byte(text)) == before {
		select {
		case b := <-c.chunks:
			c.seen = append(c.seen, b...)
		case <-late:
			c.t.Fatalf("the program did not write %q, but\n%q", text, c.seen)
		}
	}
}

func (c *console) echoes() bool {
	c.t.Helper()
	state, err := unix.IoctlGetTermios(int(c.tty.Fd()), unix.TCGETS)
	if err != nil {
		c.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// awaitSilence waits until the terminal does not show what is typed.
func (c *console) awaitSilence() {
	c.t.Helper()
	for range 2000 {
		if !c.echoes() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.t.Fatal("the terminal still shows what is typed")
}

func (c *console) typeIn(text string) {
	c.t.Helper()
	if _, err := c.master.WriteString(text); err != nil {
		c.t.Fatal(err)
	}
}

// wait waits for the program's end and returns its exit code and all that it wrote.
func (c *console) wait() (code int, written string) {
	c.t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.cmd.Wait() // the exit code tells
	}()
	const mark = "\x00end"
	for marked := false; !bytes.Contains(c.seen, []byte(mark)); {
		select {
		case b := <-c.chunks:
			c.seen = append(c.seen, b...)
		case <-ended:
			if !marked {
				marked = true
				if _, err := c.tty.WriteString(mark); err != nil {
					c.t.Fatal(err)
				}
				ended = nil
			}
		}
	}
	return c.cmd.ProcessState.ExitCode(), string(bytes.TrimSuffix(c.seen, []byte(mark)))
}

// screen returns what a terminal shows after these bytes, line by line, and
// the column the cursor is left in.
func screen(written string) (lines []string, column int) {
	rows := [][]rune{nil}
	for _, r := range written {
		last := len(rows) - 1
		switch r {
		case '\r':
			column = 0
		case '\n':
			rows = append(rows, nil)
		default:
			for len(rows[last]) <= column {
				rows[last] = append(rows[last], ' ')
			}
			rows[last][column] = r
			column++
		}
	}
	for _, row := range rows {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	return lines, column
}

func TestBarIsDrawnAndTakenAway(t *testing.T) {
	c := startOnConsole(t, 100, "waits")
	c.see("waiting  [##########------------------------------]  25%  1.0 MiB of 4.0 MiB  1 of 4 files")
	c.typeIn("\x03")
	code, written := c.wait()
	if code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	lines, column := screen(written)
	want := []string{
		"warning: interrupted, stopping; once more stops at once",
		"restante: interrupted",
		"",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") || column != 0 {
		t.Errorf("the screen shows\n%s\nand the cursor is in column %d; want\n%s", strings.Join(lines, "\n"), column, strings.Join(want, "\n"))
	}
}

func TestBarFitsNarrowTerminal(t *testing.T) {
	c := startOnConsole(t, 24, "waits")
	c.see("waiting  25%")
	c.typeIn("\x03")
	_, written := c.wait()
	drawn, _, _ := strings.Cut(written, "warning:")
	for _, line := range strings.Split(strings.TrimSuffix(drawn, "^C"), "\r") {
		if len(line) >= 24 {
			t.Errorf("the bar %q is as wide as the terminal or wider", line)
		}
	}
}

func TestSecondInterruptEndsAtOnce(t *testing.T) {
	c := startOnConsole(t, 80, "stuck")
	c.see("25%")
	c.typeIn("\x03")
	c.see("warning: interrupted, stopping")
	c.see("25%")
	c.typeIn("\x03")
	code, written := c.wait()
	if code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	lines, column := screen(written)
	if got := lines[len(lines)-2]; got != "restante: stopped at once" || column != 0 {
		t.Errorf("the last line is %q and the cursor in column %d", got, column)
	}
}

func TestNewPasswordIsAskedTwiceAndNotShown(t *testing.T) {
	c := startOnConsole(t, 80, "newpassword")
	for _, question := range []string{"New password: ", "New password, once more: "} {
		c.see(question)
		c.awaitSilence()
		c.typeIn("sesame\n")
	}
	code, written := c.wait()
	if code != exitDone || !strings.Contains(written, `passphrase="sesame"`) {
		t.Errorf("exit code %d after %q", code, written)
	}
	if strings.Count(written, "sesame") != 1 {
		t.Errorf("what was typed is shown in %q", written)
	}
	if !c.echoes() {
		t.Error("the terminal does not show what is typed any more")
	}
}

func TestNewPasswordTypedDifferently(t *testing.T) {
	c := startOnConsole(t, 80, "newpassword")
	c.see("New password: ")
	c.awaitSilence()
	c.typeIn("sesame\n")
	c.see("New password, once more: ")
	c.awaitSilence()
	c.typeIn("Sesame\n")
	if code, written := c.wait(); code != exitFailed || !strings.Contains(written, "the two that were typed differ") {
		t.Errorf("exit code %d after %q", code, written)
	}
}

func TestPasswordPrompt(t *testing.T) {
	for name, test := range map[string]struct {
		typed string
		code  int
		want  string
	}{
		"typed":       {"sesame\n", exitDone, `source=what was typed passphrase="sesame"`},
		"empty":       {"\n", exitFailed, "the password is empty: what was typed has none"},
		"interrupted": {"\x03", exitInterrupted, "restante: interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			c := startOnConsole(t, 80, "password")
			c.see("Password for the repository there: ")
			c.awaitSilence()
			c.typeIn(test.typed)
			code, written := c.wait()
			if code != test.code || !strings.Contains(written, test.want) {
				t.Errorf("exit code %d after %q; want %d and %q", code, written, test.code, test.want)
			}
			if strings.Contains(written, "hint: ") {
				t.Errorf("a hint where nothing was begun: %q", written)
			}
			if !c.echoes() {
				t.Error("the terminal does not show what is typed any more")
			}
		})
	}
}
