package index

import (
	"sync"
	"sync/atomic"
)

const (
	// trimEvery is how many look-ups there are between two looks at what is
	// resident, and trimAbove from what growth on it is given back.
	trimEvery = 16
	trimAbove = 8 << 20

	// trimPieces is how many pieces of a table, each beside the one before, a cursor may
	// come by between two such looks: some 16 lie in a page of memory.
	trimPieces = 1024
)

// A trimmer gives back what a generation's mapped tables take of the process's
// memory. The kernel would do so only when memory runs short, and maps 64 KiB
// around each record that is looked at: after some look-ups, all tables.
type trimmer struct {
	dir   string       // the generation's
	above int64        // trimAbove, but in tests
	count atomic.Int64 // look-ups since somebody last looked at what is resident

	mu    sync.Mutex
	floor int64  // under mu: the resident bytes of all files when it last trimmed
	maps  []byte // under mu: room for the kernel's list of what is mapped
}

func newTrimmer(dir string) *trimmer { return &trimmer{dir: dir, above: trimAbove} }

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
	t.maps = unmapResident(t.dir, t.maps)
	t.floor = residentFiles()
}

// touch notes n look-ups in the tables, which stay mapped until it returns.
func (t *trimmer) touch(n int) {
	if t.count.Add(int64(n)) < trimEvery {
		return
	}
	t.mu.Lock() // nobody goes on while more is resident than may be
	defer t.mu.Unlock()
	if t.count.Swap(0) < trimEvery {
		return // somebody has just looked
	}
	now := residentFiles()
	t.floor = min(t.floor, now)
	if now-t.floor >= t.above {
		t.drop()
	}
}
