//go:build unix

package restore_test

import "syscall"

const errFull = syscall.ENOSPC

const canLink = true
