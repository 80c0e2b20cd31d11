package restore

import "restante/snapshot"

// node fails: the system has no call that makes a FIFO, socket or device in an open folder.
func (h handle) node(_ string, e *snapshot.Entry) error { return errNode(e.Kind) }
