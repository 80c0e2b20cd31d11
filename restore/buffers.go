package restore

import (
	"slices"
	"sync"
)

// freeBytes is how much buffers keeps for later.
const freeBytes = 4 << 20

// buffers hands out memory and takes it back, so that a restore of many
// gigabytes makes little garbage. Its methods may be called by several
// goroutines at once.
type buffers struct {
	mu    sync.Mutex
	free  [][]byte // by capacity
	bytes int      // of free
}

// get returns n bytes that hold anything.
func (b *buffers) get(n int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.search(n)
	if i == len(b.free) || cap(b.free[i]) > 2*n {
		return make([]byte, n)
	}
	p := b.free[i]
	b.free = slices.Delete(b.free, i, i+1)
	b.bytes -= cap(p)
	return p[:n]
}

// put takes p back. Nobody may use it any more.
func (b *buffers) put(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes+cap(p) > freeBytes {
		return
	}
	b.free = slices.Insert(b.free, b.search(cap(p)), p)
	b.bytes += cap(p)
}

// search returns where the first buffer of at least n bytes is in free.
func (b *buffers) search(n int) int {
	i, _ := slices.BinarySearchFunc(b.free, n, func(p []byte, n int) int { return cap(p) - n })
	return i
}
