//go:build !linux

package repo

import (
	"os"
	"syscall"
)

// thisProcess describes the running process. Where the system tells neither
// the boot nor the start of a process, its number has to do.
func thisProcess() process {
	node, _ := os.Hostname()
	return process{Machine: node, Node: node, PID: os.Getpid()}
}

// alive reports whether a process with this number runs on this machine.
func (p process) alive() bool {
	if p.Machine != thisProcess().Machine {
		return false
	}
	proc, err := os.FindProcess(p.PID)
	return err == nil && proc.Signal(syscall.Signal(0)) == nil
}
