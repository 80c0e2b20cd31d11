package repo

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestKilledAndNotWaitedFor: a process that was killed counts as gone, also where
// nobody waits for it, as in containers in which process 1 does not.
func TestKilledAndNotWaitedFor(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	p := thisProcess()
	p.PID = cmd.Process.Pid
	var err error
	if p.Start, err = startTime(p.PID); err != nil {
		t.Fatal(err)
	}
	if !p.alive() {
		t.Error("a process that runs is taken for gone")
	}
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); p.alive(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a process that was killed is taken for one that runs")
		}
	}
	if _, err := startTime(p.PID); err != nil {
		t.Errorf("it is not listed any more, so nothing was tested: %v", err)
	}
}

// TestEnded: the state is that of the first thread, and others may outlive it.
func TestEnded(t *testing.T) {
	for _, test := range []struct {
		state, threads string
		want           bool
	}{{"S", "9", false}, {"D", "1", false}, {"Z", "1", true}, {"Z", "0", true}, {"X", "1", true}, {"Z", "2", false}, {"Z", "", false}} {
		fields := make([][]byte, statStart+1)
		fields[statState], fields[statThreads] = []byte(test.state), []byte(test.threads)
		if got := ended(fields); got != test.want {
			t.Errorf("state %s, %s threads: ended is %v", test.state, test.threads, got)
		}
	}
}
