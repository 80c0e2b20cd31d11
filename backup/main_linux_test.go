package backup_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain lets the test program play other processes, too.
func TestMain(m *testing.M) {
	if path := os.Getenv("BACKUP_TEST_LOCK"); path != "" {
		os.Exit(holdLock(path))
	}
	os.Exit(m.Run())
}

// holdLock takes a write lock as mail servers do, says so, and keeps it until
// its input ends.
func holdLock(path string) int {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("locked")
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// lockElsewhere has another process lock a file, until unlock is called.
func lockElsewhere(t *testing.T, path string) (unlock func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "BACKUP_TEST_LOCK="+path)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "locked\n" {
		t.Fatalf("locking: %q, %v", line, err)
	}
	return func() {
		in.Close()
		cmd.Wait()
	}
}

// asSomebody runs a test once more as an ordinary user, in a process of its
// own, if this one is root's. It reports whether this process is to run the test.
func asSomebody(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	const somebody = 54321
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	for _, d := range []string{dir, dir + "/.."} {
		must(t, os.Chmod(d, 0o755))
	}
	tmp := dir + "/tmp"
	must(t, os.Mkdir(tmp, 0o700))
	must(t, os.Chown(tmp, somebody, somebody))
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "HOME="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
	out, err := cmd.CombinedOutput()
	if os.IsPermission(err) {
		t.Skip("cannot become another user: ", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as user %d: %v\n%s", somebody, err, out)
	}
	return false
}

// isLocked reports whether a mail server would have to wait for the file.
func isLocked(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	// An open file description's lock stands for that of another process.
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	if err != nil && err != unix.EAGAIN {
		t.Error(err)
	}
	return err != nil
}
