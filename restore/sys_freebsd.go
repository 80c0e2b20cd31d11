package restore

import (
	"golang.org/x/sys/unix"

	"restante/snapshot"
)

// node makes a FIFO, socket or device.
func (h handle) node(name string, e *snapshot.Entry) error {
	return unix.Mknodat(int(h), name, typeBits(e.Kind)|0o600, e.Rdev)
}
