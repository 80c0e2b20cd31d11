package backup

import "time"

// SetHook has fn called before a Maildir's messages are walked ("listed"), and
// before and after a path is read ("reading", "read"), by several goroutines.
func SetHook(o *Options, fn func(op, path string)) { o.hook = fn }

// A Limit changes a limit that is too large or too slow for tests.
type Limit func(*limits)

func Window(batches int) Limit         { return func(l *limits) { l.window = batches } }
func Early(messages int) Limit         { return func(l *limits) { l.early = messages } }
func LockWait(d time.Duration) Limit   { return func(l *limits) { l.lockWait = d } }
func LockSize(bytes uint64) Limit      { return func(l *limits) { l.lockSize = bytes } }
func SettleTime(d time.Duration) Limit { return func(l *limits) { l.settle = d } }

// SetLimits changes limits; the others are as ever.
func SetLimits(o *Options, changes ...Limit) {
	if o.limits == (limits{}) {
		o.limits = defaultLimits()
	}
	for _, change := range changes {
		change(&o.limits)
	}
}
