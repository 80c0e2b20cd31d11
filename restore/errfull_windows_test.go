package restore_test

import "syscall"

const errFull = syscall.Errno(112) // ERROR_DISK_FULL

const canLink = false
