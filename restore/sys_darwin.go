package restore

import (
	"fmt"

	"restante/snapshot"
)

// node fails: the system has no call that makes a FIFO, socket or device in an open folder.
func (h handle) node(_ string, e *snapshot.Entry) error {
	return fmt.Errorf("this system cannot make a %v here", e.Kind)
}
