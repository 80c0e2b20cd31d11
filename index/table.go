package index

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/ristretto/v2/z"

	"restante/blob"
)

const (
	// maxRuns is how many table runs a generation may have: a miss asks the
	// filter of each.
	maxRuns = 12

	// Tables are small, because Badger has up to 16 in memory while it writes,
	// but not so small that a large generation has many thousands of files.
	minTable   = 1 << 20
	maxTable   = 4 << 20
	tableShare = 1024 // of a generation

	batchSize = 256 << 10

	// recordSpace is what a record takes on disk, amply, and spareSpace what
	// Badger writes besides.
	recordSpace = 96
	spareSpace  = 4 << 20

	// spotsPerValue bounds a value when a piece lies at absurdly many places.
	spotsPerValue = 255
)

// badgerOptions keeps Badger small: each run is a level of its own, written
// through a stream writer, so memtables, value log and compactors idle. The
// database is opened in managed mode, in which we number the runs: in the other
// a stream writer can wait for ever for a mark that its Flush has stopped.
func badgerOptions(dir string) badger.Options {
	o := badger.DefaultOptions(dir).
		WithLogger(nil).
		WithMetricsEnabled(false).
		WithBypassLockGuard(true). // see the package comment; it also lets Windows open read only
		WithDetectConflicts(false).
		WithCompression(options.None).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithBlockCacheSize(0). // blocks are read where they are mapped
		WithIndexCacheSize(0). // so are the tables' indexes
		WithBloomFalsePositive(0.01).
		WithMemTableSize(1 << 20).
		WithNumMemtables(1).
		WithValueThreshold(64 << 10).
		WithValueLogFileSize(1 << 20).
		WithMaxLevels(maxRuns + 1).
		WithNumCompactors(0)
	o.TableSizeMultiplier = 1 // or else tables double in size from level to level
	return o
}

// guard calls fn, which reads through Badger, and makes damage of a panic: of
// Badger's, and of a fault when a mapped file cannot be read.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return fn()
}

// open checks the generation and opens its database for reading, once.
func (g *generation) open() (*badger.DB, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened {
		return g.db, g.err
	}
	g.opened = true
	if g.err = g.verify(); g.err != nil {
		return nil, g.err
	}
	g.trim.start()
	g.err = guard(func() error {
		db, err := badger.OpenManaged(badgerOptions(g.dir).WithReadOnly(true))
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		g.db = db
		return nil
	})
	return g.db, g.err
}

// borrow returns a transaction, which serves one goroutine until it is given
// back: starting one costs as much as a look-up.
func (g *generation) borrow() (*badger.Txn, error) {
	db, err := g.open()
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.idle); n > 0 {
		txn := g.idle[n-1]
		g.idle = g.idle[:n-1]
		return txn, nil
	}
	return db.NewTransactionAt(math.MaxUint64, false), nil
}

// giveBack takes a transaction back; err is what became of the work with it.
func (g *generation) giveBack(txn *badger.Txn, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.broken = true
		return
	}
	g.idle = append(g.idle, txn)
}

// newest returns the places that the newest run has for id, none if there is no run that knows it.
func newest(txn *badger.Txn, id blob.ID) (spots []spot, err error) {
	err = guard(func() error {
		item, err := txn.Get(id[:])
		if err == badger.ErrKeyNotFound {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		spots, err = appendItem(nil, item)
		return err
	})
	return spots, err
}

// all returns the places that all runs have for id.
func all(txn *badger.Txn, id blob.ID) (spots []spot, err error) {
	err = guard(func() (err error) {
		it := txn.NewKeyIterator(id[:], iteratorOptions(true))
		defer it.Close()
		for it.Rewind(); it.Valid() && err == nil; it.Next() {
			spots, err = appendItem(spots, it.Item())
		}
		return err
	})
	return spots, err
}

func iteratorOptions(allVersions bool) badger.IteratorOptions {
	o := badger.DefaultIteratorOptions
	o.PrefetchValues = false // they lie beside the keys
	o.AllVersions = allVersions
	return o
}

func appendItem(spots []spot, item *badger.Item) ([]spot, error) {
	err := item.Value(func(value []byte) (err error) {
		spots, err = decodeSpots(spots, value)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return spots, nil
}

// A run writes one table run, in ascending order of IDs.
type run struct {
	ctx     context.Context
	version uint64
	db      *badger.DB
	sw      *badger.StreamWriter
	buf     *z.Buffer
	value   []byte
	records uint64
	trim    *trimmer
}

// startRun opens the database in dir for writing, or makes it. It has, or will
// have, about so many records.
func startRun(ctx context.Context, dir string, version uint32, records uint64) (*run, error) {
	size := int64(records) * recordSpace / tableShare
	r := &run{ctx: ctx, version: uint64(version), buf: z.NewBuffer(batchSize+4096, "index"), trim: newTrimmer(dir)}
	var err error
	if r.db, err = badger.OpenManaged(badgerOptions(dir).WithBaseTableSize(min(max(size, minTable), maxTable))); err != nil {
		r.buf.Release()
		return nil, fmt.Errorf("opening Badger in %q: %w", dir, err)
	}
	r.trim.give() // Badger has looked at the index of each table
	r.sw = r.db.NewStreamWriter()
	if err := r.sw.PrepareIncremental(); err != nil {
		return nil, r.abort(err)
	}
	return r, nil
}

// put adds one piece.
func (r *run) put(id blob.ID, spots []spot) error {
	if len(spots) == 0 {
		return nil
	}
	r.value = r.value[:0]
	for _, s := range spots[:min(len(spots), spotsPerValue)] {
		r.value = appendSpot(r.value, s)
		r.records++
	}
	badger.KVToBuffer(&pb.KV{Key: id[:], Value: r.value, Version: r.version}, r.buf)
	if r.buf.LenNoPadding() < batchSize {
		return nil
	}
	return r.send()
}

func (r *run) send() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if err := r.sw.Write(r.buf); err != nil {
		return err
	}
	// Badger unmaps no table before it is closed. No compactor runs.
	r.trim.touch(trimEvery)
	r.buf.Reset()
	return nil
}

// finish makes what was put durable and closes the database.
func (r *run) finish() error {
	if err := r.send(); err != nil {
		return r.abort(err)
	}
	if err := r.sw.Flush(); err != nil {
		return r.abort(err)
	}
	if err := r.buf.Release(); err != nil {
		return err
	}
	return r.db.Close()
}

// abort closes the database, which is of no use any more, and returns err.
func (r *run) abort(err error) error {
	r.sw.Cancel()
	r.buf.Release()
	r.db.Close()
	return err
}

// merge calls put for each piece, ascending, that old (unless it is nil) or
// records, which are ascending, know, with all its places. It returns how many
// places old had.
func merge(old *generation, records []record, put func(blob.ID, []spot) error) (uint64, error) {
	var (
		n     uint64
		spots []spot
	)
	putBefore := func(end *blob.ID) error {
		for len(records) > 0 && (end == nil || records[0].id.Compare(*end) < 0) {
			id := records[0].id
			spots = spots[:0]
			for len(records) > 0 && records[0].id == id {
				spots = append(spots, records[0].spot)
				records = records[1:]
			}
			if err := put(id, spots); err != nil {
				return err
			}
		}
		return nil
	}
	if old != nil {
		err := old.each(func(id blob.ID, all []spot) error {
			n += uint64(len(all))
			if err := putBefore(&id); err != nil {
				return err
			}
			for len(records) > 0 && records[0].id == id {
				all = append(all, records[0].spot)
				records = records[1:]
			}
			return put(id, all)
		})
		if err != nil {
			return n, err
		}
	}
	return n, putBefore(nil)
}

// each calls fn for each piece of the generation, ascending, with all its
// places. fn may change the slice, which is good until it returns.
func (g *generation) each(fn func(blob.ID, []spot) error) (err error) {
	c, err := g.cursor(true)
	if err != nil {
		return err
	}
	defer c.close()
	var spots []spot
	for {
		id, ok, err := c.next(&spots)
		if err != nil || !ok {
			return err
		}
		if err := fn(id, spots); err != nil {
			return err
		}
	}
}

// A cursor goes through a generation in ascending order. It serves one goroutine.
type cursor struct {
	g    *generation
	txn  *badger.Txn
	it   *badger.Iterator
	err  error // of a call into Badger
	seen int   // pieces, since the tables were last trimmed
}

// cursor returns a cursor at the first piece. It sees all runs' places of a
// piece, or only the newest run's.
func (g *generation) cursor(allRuns bool) (*cursor, error) {
	txn, err := g.borrow()
	if err != nil {
		return nil, err
	}
	c := &cursor{g: g, txn: txn}
	c.err = guard(func() error {
		c.it = txn.NewIterator(iteratorOptions(allRuns))
		c.it.Rewind()
		return nil
	})
	if c.err != nil {
		c.close()
		return nil, c.err
	}
	return c, nil
}

func (c *cursor) close() {
	if c.err == nil {
		c.err = guard(func() error { c.it.Close(); return nil })
	}
	c.g.giveBack(c.txn, c.err)
}

// touch counts a piece that the cursor came by.
func (c *cursor) touch() {
	if c.seen++; c.seen == trimPieces {
		c.g.trim.touch(trimEvery)
		c.seen = 0
	}
}

// next sets spots to the places of the piece at the cursor and goes on behind it.
func (c *cursor) next(spots *[]spot) (id blob.ID, ok bool, err error) {
	*spots = (*spots)[:0]
	c.touch()
	c.err = guard(func() (err error) {
		for ; c.it.Valid(); c.it.Next() {
			item := c.it.Item()
			key := item.Key()
			if len(key) != blob.IDSize {
				return errValue
			}
			if ok && blob.ID(key) != id {
				return nil
			}
			id, ok = blob.ID(key), true
			if *spots, err = appendItem(*spots, item); err != nil {
				return err
			}
		}
		return nil
	})
	return id, ok, c.err
}

// find goes on to id, which is not before the cursor, and sets spots to its places, if any.
func (c *cursor) find(id blob.ID, spots *[]spot) error {
	*spots = (*spots)[:0]
	c.err = guard(func() (err error) {
		for c.it.Valid() {
			c.touch()
			item := c.it.Item()
			switch bytes.Compare(item.Key(), id[:]) {
			case 0:
				*spots, err = appendItem(*spots, item)
				return err
			case 1:
				return nil
			}
			c.it.Next()
		}
		return nil
	})
	return c.err
}

// seek goes to id, or behind where it would be.
func (c *cursor) seek(id blob.ID) error {
	c.err = guard(func() error { c.it.Seek(id[:]); return nil })
	return c.err
}
