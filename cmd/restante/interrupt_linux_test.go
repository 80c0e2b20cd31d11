package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A restore that is interrupted says what it has done, to programs too, and ends
// with the exit code of that.
func TestInterruptedRestore(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes several hundred MiB")
	}
	const files = 2000
	k := newKillStore(t, t.TempDir())
	rnd := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 64<<10)
	for i := range files {
		rnd.Read(data)
		check(t, os.WriteFile(filepath.Join(k.mail, fmt.Sprint(i)), data, 0o600))
	}
	repository := k.repository(t)
	k.run(t, repository, "backup", "--layout", "plain", k.mail)
	for range 5 {
		target := filepath.Join(t.TempDir(), "restored")
		code, out := k.interrupt(t, repository, target)
		if code == exitDone {
			continue // it was through before it heard of it
		}
		var done restoreJSON
		if err := json.Unmarshal(out, &done); err != nil || code != exitInterrupted {
			t.Fatalf("exit code %d, %v: %s", code, err, out)
		}
		if n := len(filesIn(t, target, ".")); !done.Interrupted || done.Files == 0 || done.Files >= files || uint64(n) != done.Files {
			t.Errorf("%d files are there, and it says %+v", n, done)
		}
		return
	}
	t.Error("each restore was faster than its interruption")
}

// interrupt restores all and interrupts that when the first file is there. It returns
// the exit code and what was printed.
func (k *killStore) interrupt(t *testing.T, repository, target string) (code int, out []byte) {
	t.Helper()
	cmd := k.command(repository, "restore", "--all", "--json", "--target", target)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	check(t, cmd.Start())
	for range 20_000 {
		if entries, _ := os.ReadDir(target); len(entries) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	check(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait() // its exit code tells
	return cmd.ProcessState.ExitCode(), stdout.Bytes()
}
