package gc

import (
	"time"

	"restante/repo"
)

// Elsewhere takes sessions for those of other machines.
func Elsewhere(o *Options) { o.Lives = func(*repo.Intent) bool { return false } }

// SetHeld bounds the IDs that a set keeps in memory.
func SetHeld(o *Options, n int) { o.held = n }

// Remember asks the memo in a file since when something was seen, now and
// after it has been saved.
func Remember(path string, now time.Time, name string) (first, again time.Time, err error) {
	m := openMemo(path, now)
	first = m.since(name)
	err = m.save()
	return first, openMemo(path, now).since(name), err
}
