package backup

import (
	"context"
	"sync"

	"restante/mailstore"
	"restante/snapshot"
)

const (
	// A batch is what a worker reads at a time: neighbours, so that they lie
	// side by side in the repository too.
	batchItems = 128
	batchBytes = 1 << 20
)

// An item is one path of the store on its way into the snapshot.
type item struct {
	key     snapshot.Key
	name    string // in the batch's folder
	st      stat
	role    mailstore.FileRole
	mailbox int
	passing bool // an unfinished delivery: it comes and goes

	old     snapshot.Kind  // what the parent has for it, or zero
	held    uint64         // the messages in that
	was     known          // what the parent has, if old is set
	same    bool           // its content was not read: it is the parent's
	taken   bool           // nor was it looked at: its folder is at rest
	section *sectionRef    // not nil: the item stands for all records of this section of the parent
	behind  snapshot.Key   // which come behind this key
	rest    *rest          // of a folder of messages: what tells next time whether it is at rest
	reading bool           // a worker is to read it
	entry   snapshot.Entry // what is recorded
	gone    bool           // it vanished, or was expunged: nothing is recorded
	err     error          // why entry is an unsaved one
	note    string         // what else a person should know of it
}

// isMessage reports whether the item is a message that the mail server shows.
func (it *item) isMessage() bool { return it.role == mailstore.Message }

// renamed reports whether the parent has the item by another name.
func (it *item) renamed() bool {
	return it.old != 0 && string(it.was.key) != string(it.key)
}

// fail makes the item an unsaved one.
func (it *item) fail(err error) {
	it.err, it.reading = err, false
	it.entry = snapshot.Entry{Kind: snapshot.Unsaved, Mode: it.st.mode, UID: it.st.uid, GID: it.st.gid, Mtime: it.st.mtime, Reason: reason(err)}
	if it.st.kind == snapshot.File {
		it.entry.Size = it.st.size
	}
}

// A batch is a run of items of one folder, in the order of their keys. Who has
// it ends it by finish, whatever happens: it keeps folders open.
type batch struct {
	dir     *folder
	maildir *maildir // whose messages these are, or nil
	items   []item
	bytes   uint64
	reading bool
	latched bool          // the maildir's latch counts it
	done    chan struct{} // closed when all items are ready
}

// finish says that all items are ready. It returns the batches that waited for
// this one, which are now the caller's to read.
func (b *batch) finish() (next []*batch) {
	if b.latched {
		next = b.maildir.latch.drop()
	}
	b.dir.release()
	if b.maildir != nil {
		b.maildir.dir.release()
	}
	close(b.done)
	return next
}

// A shelf keeps the room of items that are recorded for those to come: they
// would be most of the garbage of a run that finds nothing changed.
type shelf chan []item

func (s shelf) put(items []item) {
	clear(items)
	select {
	case s <- items[:0]:
	default:
	}
}

func (s shelf) take() []item {
	select {
	case items := <-s:
		return items
	default:
		return nil
	}
}

// abandon finishes batches that nobody will read, and those that wait for them.
func abandon(todo []*batch) {
	for len(todo) > 0 {
		todo = append(todo[1:], todo[0].finish()...)
	}
}

// A latch holds batches back until others are done.
type latch struct {
	mu      sync.Mutex
	pending int      // under mu
	held    []*batch // under mu
}

func (l *latch) add() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending++
}

// drop takes one off and returns the batches that may be read now.
func (l *latch) drop() []*batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending--
	return l.take(l.pending == 0)
}

// hold keeps the batch, unless nothing is pending; then it returns it.
func (l *latch) hold(b *batch) []*batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = append(l.held, b)
	return l.take(l.pending == 0)
}

// release returns the batches held although others are pending.
func (l *latch) release() []*batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take(true)
}

func (l *latch) take(all bool) []*batch {
	if !all {
		return nil
	}
	held := l.held
	l.held = nil
	return held
}

// pipeline runs the walk, the readers and the recorder until all are done, or
// one fails, which stops the others. When it returns, all that it opened is
// closed.
func (run *run) pipeline(ctx context.Context, rec *recorder) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fail := func(err error) {
		if err != nil {
			cancel(err)
		}
	}
	work, ordered := make(chan *batch, 4), make(chan *batch, run.limits.window)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(ordered)
		defer close(work)
		fail(run.walk(ctx, work, ordered))
	})
	for range run.jobs() {
		r, err := newReader(run)
		if err != nil {
			fail(err)
			break
		}
		wg.Go(func() {
			left, err := r.work(ctx, work)
			fail(err) // before the batches left count as done
			abandon(left)
			fail(r.flush()) // what has been read goes into the repository all the same
		})
	}
	for b := range ordered {
		select {
		case <-b.done:
			if ctx.Err() == nil {
				fail(rec.batch(run.keep, b))
				run.spare.put(b.items)
			}
		case <-ctx.Done(): // whoever has b finishes it
		}
	}
	wg.Wait()
	for b := range work {
		abandon([]*batch{b})
	}
	return context.Cause(ctx)
}

// work reads batches until there are none or ctx ends. What a finished batch
// let go, it reads too: nobody else may be free to. After an error it returns
// the batches that it had.
func (r *reader) work(ctx context.Context, batches <-chan *batch) ([]*batch, error) {
	for {
		select {
		case b, ok := <-batches:
			if !ok {
				return nil, nil
			}
			for todo := []*batch{b}; len(todo) > 0; {
				if err := r.read(ctx, todo[0]); err != nil {
					return todo, err
				}
				todo = append(todo[1:], todo[0].finish()...)
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
