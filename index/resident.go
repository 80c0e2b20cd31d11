package index

import "sync"

const (
	// trimEvery is how many look-ups there are between two looks at what is
	// resident, and trimAbove from what growth on it is given back.
	trimEvery = 64
	trimAbove = 8 << 20
)

// A trimmer gives back what a generation's mapped tables take of the process's
// memory. The kernel would do so only when memory runs short, and maps 64 KiB
// around each record that is looked at: after some look-ups, all tables.
type trimmer struct {
	dir   string // the generation's
	above int64  // trimAbove, but in tests

	mu    sync.Mutex
	count int   // under mu: look-ups
	floor int64 // under mu: the resident bytes of all files when it last trimmed
}

func newTrimmer(dir string) trimmer { return trimmer{dir: dir, above: trimAbove} }

// start is called before the tables are mapped.
func (t *trimmer) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.floor = residentFiles()
}

// give gives back all that the tables take. They stay mapped until it returns.
func (t *trimmer) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop()
}

// drop is called with the lock held.
func (t *trimmer) drop() {
	unmapResident(t.dir)
	t.floor = residentFiles()
}

// touch notes n look-ups in the tables, which stay mapped until it returns.
func (t *trimmer) touch(n int) {
	if !t.mu.TryLock() {
		return // the others count
	}
	defer t.mu.Unlock()
	if t.count += n; t.count < trimEvery {
		return
	}
	t.count = 0
	now := residentFiles()
	t.floor = min(t.floor, now)
	if now-t.floor >= t.above {
		t.drop()
	}
}
