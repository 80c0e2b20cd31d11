package repo

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// thisProcess describes the running process. The boot ID stands for the
// machine: after a restart none of its processes lives.
func thisProcess() process {
	node, _ := os.Hostname()
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	pid := os.Getpid()
	start, _ := startTime(pid)
	return process{Machine: strings.TrimSpace(string(boot)), Node: node, PID: pid, Start: start}
}

// alive reports whether the process runs on this machine. One that was killed
// and that its parent has not waited for does not: it is still listed, for ever
// where process 1 waits for none, as in many containers.
func (p process) alive() bool {
	if p.Machine != thisProcess().Machine {
		return false
	}
	fields, err := statFields(p.PID)
	if err != nil || ended(fields) {
		return false
	}
	start, err := startOf(fields)
	return err == nil && start == p.Start
}

// startTime returns when the process was started, in ticks since boot.
func startTime(pid int) (uint64, error) {
	fields, err := statFields(pid)
	if err != nil {
		return 0, err
	}
	return startOf(fields)
}

// The fields of /proc/PID/stat that are looked at, counted from the state,
// which is the third there; see proc(5).
const (
	statState   = 0
	statThreads = 20 - 3
	statStart   = 22 - 3
)

// statFields returns the fields of /proc/PID/stat from the state on.
func statFields(pid int) ([][]byte, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name before may hold anything
	if len(fields) <= statStart {
		return nil, fmt.Errorf("reading /proc/%d/stat: it has too few fields", pid)
	}
	return fields, nil
}

// ended reports whether nothing of a process runs any more. The state is that of
// its first thread; another may still be in a call to the kernel, writing.
func ended(fields [][]byte) bool {
	switch fields[statState][0] {
	case 'Z', 'X', 'x':
		threads, err := strconv.Atoi(string(fields[statThreads]))
		return err == nil && threads <= 1
	}
	return false
}

func startOf(fields [][]byte) (uint64, error) {
	return strconv.ParseUint(string(fields[statStart]), 10, 64)
}
