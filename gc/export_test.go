package gc

import "time"

// SetNow gives a prune another clock.
func SetNow(o *Options, now func() time.Time) { o.now = now }

// SetHeld bounds the IDs that a set keeps in memory.
func SetHeld(o *Options, n int) { o.held = n }
