//go:build unix

package durable_test

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"restante/internal/durable"
)

func TestIsFull(t *testing.T) {
	for _, err := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		wrapped := fmt.Errorf("x: %w", &fs.PathError{Op: "write", Path: "x", Err: os.NewSyscallError("write", err)})
		if !durable.IsFull(err) || !durable.IsFull(wrapped) {
			t.Errorf("%v is not taken for a full disk", err)
		}
	}
	for _, err := range []error{nil, syscall.EIO, syscall.EROFS, fs.ErrExist} {
		if durable.IsFull(err) {
			t.Errorf("%v is taken for a full disk", err)
		}
	}
}
