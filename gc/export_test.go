package gc

import (
	"time"

	"restante/repo"
)

// SetNow gives a prune another clock.
func SetNow(o *Options, now func() time.Time) { o.now = now }

// Elsewhere takes sessions for those of other machines.
func Elsewhere(o *Options) { o.lives = func(*repo.Intent) bool { return false } }

// SetHeld bounds the IDs that a set keeps in memory.
func SetHeld(o *Options, n int) { o.held = n }
