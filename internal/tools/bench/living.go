package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// settle is how long a store is let alone after it was made and after each
// night. Mail comes hours before the nightly backup, not while it begins: then
// restante would read what came in the last two seconds once more the next
// night, in small stores only, as large ones take longer to change.
const settle = 3 * time.Second

// A living store is a generated one over which nights pass.
type living struct {
	store
	path   string          // what mailgen changes
	small  bool            // its mails are short
	look   []string        // what reads or looks at all of it, to compare with
	looks  []time.Duration // how long that takes, one a night
	passed int             // nights, also of earlier runs if the store is kept
}

// livingMaildirs raises a store of Maildirs in the folder made.
func livingMaildirs(made string, small bool, args ...string) (*living, error) {
	dir := filepath.Join(made, "vmail")
	l := &living{store: store{name: "Maildirs", dir: dir}, path: made, small: small, look: []string{"find", dir, "-size", "+0"}}
	return l, l.raise(made, args)
}

// lookAtInbox compares with what lists the only mailbox's inbox and looks at each message.
func (l *living) lookAtInbox() error {
	inboxes, err := filepath.Glob(filepath.Join(l.dir, "*", "*", "Maildir", "cur"))
	if err != nil || len(inboxes) != 1 {
		return fmt.Errorf("looking for the only inbox of %q: there are %d (%v)", l.dir, len(inboxes), err)
	}
	l.look = []string{"ls", "-lU", inboxes[0]}
	return nil
}

// livingMbox raises a store that is a single mbox of so many bytes.
func livingMbox(made string, bytes int64) (*living, error) {
	dir := filepath.Join(made, "mail")
	path := filepath.Join(dir, "alice")
	l := &living{store: store{name: "an mbox", dir: dir}, path: path, look: []string{"cat", path}}
	return l, l.raise(made, []string{"--grow", strconv.FormatInt(bytes, 10)})
}

// raise makes the store in the folder made with mailgen's flags, or takes up
// the one that is there already.
func (l *living) raise(made string, args []string) error {
	text, err := os.ReadFile(l.nights())
	if err == nil {
		if l.passed, err = strconv.Atoi(string(text)); err != nil {
			return fmt.Errorf("taking up the store %q: %w", made, err)
		}
		return nil
	}
	if _, err := os.Stat(made); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the store %q is not whole: remove it, and it is made again", made)
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	if err := mailgen(l.path, l.small, args...); err != nil {
		return err
	}
	return os.WriteFile(l.nights(), []byte("0"), 0o600)
}

// nights names the file that says how many nights have begun to pass. It is
// there when the store is whole.
func (l *living) nights() string { return filepath.Join(filepath.Dir(l.dir), "nights") }

// pass lets a night pass, as mailgen's flags have it.
func (l *living) pass(args ...string) error {
	l.passed++
	number := strconv.Itoa(l.passed)
	// Written first: no night comes twice, which would bring the same mail again.
	if err := os.WriteFile(l.nights(), []byte(number), 0o600); err != nil {
		return err
	}
	if err := mailgen(l.path, l.small, append([]string{"--night", number}, args...)...); err != nil {
		return err
	}
	return l.rest()
}

// rest brings the store into the page cache and lets it alone until what changed is old.
func (l *living) rest() error {
	err := warm(l.dir)
	time.Sleep(settle)
	return err
}

// lookAtAll times the program that the backups are compared with.
func (l *living) lookAtAll() error {
	began := time.Now()
	if err := exec.Command(l.look[0], l.look[1:]...).Run(); err != nil {
		return fmt.Errorf("running %q: %w", l.look, err)
	}
	l.looks = append(l.looks, time.Since(began))
	return nil
}

// mailgen makes a store, or lets a night pass over it, in a process of its own.
func mailgen(path string, small bool, args ...string) error {
	args = append([]string{"run", "./internal/tools/mailgen"}, args...)
	if small {
		args = append(args, "--small")
	}
	if text, err := exec.Command("go", append(args, path)...).CombinedOutput(); err != nil {
		return fmt.Errorf("generating mail: %w\n%s", err, text)
	}
	return nil
}
