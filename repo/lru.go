package repo

import (
	"container/list"
	"sync"
)

// An lru keeps the most recently used values, as many as weigh no more than most
// together, but one at least. Its methods may be called by several goroutines at once.
type lru[K comparable, V any] struct {
	most  int
	weigh func(V) int

	mu    sync.Mutex
	total int        // what all weigh; under mu, as are those below
	order *list.List // of lruEntry, most recent first
	byKey map[K]*list.Element
}

type lruEntry[K comparable, V any] struct {
	key K
	val V
}

func newLRU[K comparable, V any](most int, weigh func(V) int) *lru[K, V] {
	return &lru[K, V]{most: most, weigh: weigh, order: list.New(), byKey: map[K]*list.Element{}}
}

func (c *lru[K, V]) get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[key]
	if !ok {
		var zero V
		return zero, false
	}
	c.order.MoveToFront(e)
	return e.Value.(lruEntry[K, V]).val, true
}

func (c *lru[K, V]) put(key K, val V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[key]; ok {
		c.remove(e)
	}
	c.byKey[key] = c.order.PushFront(lruEntry[K, V]{key, val})
	c.total += c.weigh(val)
	for c.total > c.most && c.order.Len() > 1 {
		c.remove(c.order.Back())
	}
}

// drop forgets what is kept under key.
func (c *lru[K, V]) drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[key]; ok {
		c.remove(e)
	}
}

func (c *lru[K, V]) remove(e *list.Element) {
	c.order.Remove(e)
	entry := e.Value.(lruEntry[K, V])
	delete(c.byKey, entry.key)
	c.total -= c.weigh(entry.val)
}
