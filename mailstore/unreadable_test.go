//go:build unix

package mailstore_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"restante/mailstore"
)

// asUser runs the calling test again as a user without privileges, if it runs
// as root, and reports whether it did so and there is nothing left to do.
func asUser(t *testing.T) bool {
	if os.Geteuid() != 0 {
		return false
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "test")
	copyProgram(t, program)
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tmp := filepath.Join(dir, "tmp")
	mkdir(t, tmp)
	const nobody = 65534
	if err := os.Chown(tmp, nobody, nobody); err != nil {
		t.Skipf("needs a user without privileges: %v", err)
	}
	c := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
	c.Dir = tmp
	c.Env = []string{"TMPDIR=" + tmp}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("as a user without privileges: %v\n%s", err, out)
	}
	return true
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// What cannot be read is told, once, and stays a mailbox where its place says that it is one.
func TestUnreadable(t *testing.T) {
	if asUser(t) {
		return
	}
	dir := t.TempDir()
	plant(t, dir, `M v/example.com/alice/Maildir
		M v/example.com/bob/Maildir
		M v/example.com/carol/Maildir
		M v/example.com/alice/Maildir/Nested
		d v/dark/x
		b var/mail/dave
		b var/mail/erin`)
	for _, p := range []string{"v/example.com/bob", "v/example.com/carol/Maildir", "v/example.com/alice/Maildir/Nested", "v/dark", "var/mail/erin", "v/example.com/alice/Maildir/new/3.host"} {
		full := filepath.Join(dir, p)
		if err := os.Chmod(full, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(full, 0o755) })
	}
	s := detect(t, dir, []string{"v", "var/mail"}, mailstore.Options{})
	want := `alice@example.com 0:example.com/alice: INBOX=0:example.com/alice/Maildir/[^.]
		bob@example.com 0:example.com/bob:
		carol@example.com 0:example.com/carol:
		dave 1:dave: INBOX=1:dave
		erin 1:erin: INBOX=1:erin
		unreadable 0:dark
		unreadable 0:example.com/alice/Maildir/Nested
		unreadable 0:example.com/bob
		unreadable 0:example.com/carol/Maildir
		unreadable 1:erin`
	if got := lines(show(s)); got != lines(want) {
		t.Errorf("found\n%swant\n%s", got, lines(want))
	}
	v, err := s.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Unreadable) != 6 || v.Total.Unreadable != 6 || v.Other.Unreadable != 1 || v.Total.Messages != 5 {
		t.Errorf("survey %+v", v)
	}

	s = detect(t, dir, []string{"v"}, mailstore.Options{NamePattern: "%d/%n/Maildir"})
	want = `alice@example.com 0:example.com/alice: INBOX=0:example.com/alice/Maildir/[^.]
		bob@example.com 0:example.com/bob:
		carol@example.com 0:example.com/carol:
		unreadable 0:dark
		unreadable 0:example.com/alice/Maildir/Nested
		unreadable 0:example.com/bob
		unreadable 0:example.com/carol/Maildir`
	if got := lines(show(s)); got != lines(want) {
		t.Errorf("by pattern: found\n%swant\n%s", got, lines(want))
	}

	if err := os.Chmod(filepath.Join(dir, "v"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "v"), 0o755) })
	if s = detect(t, dir, []string{"v"}, mailstore.Options{}); len(s.Mailboxes) != 0 || len(s.Unreadable) != 1 || s.Unreadable[0].Path != "" {
		t.Errorf("a root: found\n%s", show(s))
	}
}
