package restore

// SetHook has fn called before each operation on the target, which does not
// happen if fn returns an error.
func SetHook(o *Options, fn func(op, path string) error) { o.hook = fn }

// SetLimits makes windows and memory small.
func SetLimits(o *Options, steps, items int, held uint64) { o.limits = limits{steps, items, held} }
