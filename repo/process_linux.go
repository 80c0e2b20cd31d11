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

// alive reports whether the process runs on this machine.
func (p process) alive() bool {
	if p.Machine != thisProcess().Machine {
		return false
	}
	start, err := startTime(p.PID)
	return err == nil && start == p.Start
}

// startTime returns field 22 of /proc/PID/stat, in ticks since boot; see proc(5).
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name before may hold anything
	if len(fields) < 20 {
		return 0, fmt.Errorf("reading /proc/%d/stat: it has too few fields", pid)
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}
