package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"restante/mailstore"
	"restante/snapshot"
)

// maxFolderKey is the longest key of a folder whose contents are saved: it
// leaves room for the names in it. Linux takes paths of a quarter of that.
const maxFolderKey = snapshot.MaxKey - 2<<10

var (
	errKind = errors.New("this program has no name for what it is")
	errDeep = fmt.Errorf("its path has more than %d bytes: what lies in it is not saved", maxFolderKey)
)

// A walker walks the roots in the order of the keys and hands out batches: to
// the workers in the order in which they should be read, and to the recorder
// in the order of their keys.
type walker struct {
	run     *run
	root    int
	parent  *cursor
	work    chan<- *batch
	ordered chan<- *batch
	open    *batch          // being filled
	left    int             // how many more folders may be held
	local   map[uint64]bool // devices, whether their times are of this machine's clock
	looks   [lookAhead]look
	waiting []*latch // of the Maildirs that the walk is in, and that hold batches for what is still to come
}

// A spot is an open folder and where it lies.
type spot struct {
	dir  *folder
	path string // below its root
	key  snapshot.Key
	info mailstore.DirInfo

	beside *siblings // what else is in dir; nil where that does not matter
}

func (run *run) walk(ctx context.Context, work, ordered chan<- *batch) error {
	roots, err := rootsOf(run.opts.Store.Roots)
	if err != nil {
		return err
	}
	w := &walker{run: run, parent: run.parent.from(""), work: work, ordered: ordered, left: mayHold(), local: map[uint64]bool{}}
	for _, root := range roots {
		if err == nil {
			err = w.walkRoot(ctx, root)
		}
	}
	if err == nil {
		err = w.flush(ctx)
	}
	if w.open != nil {
		abandon([]*batch{w.open})
	}
	return err
}

// walkRoot walks one root.
func (w *walker) walkRoot(ctx context.Context, root rootAt) error {
	w.root = root.index
	d, err := openRoot(root.dir)
	if err != nil {
		return err
	}
	defer d.release()
	if root.only != "" {
		return w.walkFile(ctx, d, root)
	}
	st, err := d.lstat("")
	if err != nil {
		return err
	}
	return w.walkFolder(ctx, spot{dir: d, key: root.key}, st)
}

// walkFile records a root that is a file in the folder d.
func (w *walker) walkFile(ctx context.Context, d *folder, root rootAt) error {
	st, err := d.lstat(root.only)
	it := item{key: root.key, name: root.only, st: st}
	it.role, it.mailbox = w.run.opts.Store.Dir(root.index, "").File("")
	w.prepare(&it, err)
	return w.add(ctx, d, nil, it)
}

// walkFolder records an open folder and what lies in it.
func (w *walker) walkFolder(ctx context.Context, s spot, st stat) error {
	s.info = w.run.opts.Store.Dir(w.root, s.path)
	var err error
	s.beside, err = list(s.dir, &w.left)
	defer s.beside.release()
	names := s.beside.names
	if len(s.key) > maxFolderKey {
		names, err = nil, errDeep
	}
	if err := w.addFolder(ctx, s, st, nil, err); err != nil {
		return err
	}
	if s.info.Role == mailstore.MaildirRoot {
		return w.walkMaildir(ctx, s, names)
	}
	for _, name := range names {
		if err := w.walkName(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

// addFolder records an open folder itself. err says what is wrong with it: then
// it is an unsaved one, and what can be known of what lies in it comes
// nevertheless. Of one with messages r tells whether it will be at rest.
func (w *walker) addFolder(ctx context.Context, s spot, st stat, r *rest, err error) error {
	it := item{key: s.key, st: st, mailbox: s.info.Mailbox, rest: r}
	if old, found := w.parent.find(it.key, ""); found {
		w.compare(&it, old)
	}
	it.entry = entryOf(st)
	var xattrErr error
	it.entry.Xattrs, xattrErr = s.dir.xattrs("")
	if err := cmp.Or(err, xattrErr); err != nil {
		it.fail(err)
	}
	return w.add(ctx, s.dir, nil, it)
}

// walkName records one name of a folder, and what lies below it.
func (w *walker) walkName(ctx context.Context, s spot, name string) error {
	if w.excluded(s, name) {
		return nil
	}
	st, err := s.lstat(name)
	if err == nil && st.kind == snapshot.Dir {
		return w.walkSub(ctx, s, name, st)
	}
	if vanished(err) {
		err = cmp.Or(s.missing(), err)
	}
	it := item{key: child(s.key, name), name: name, st: st, passing: s.info.Role == mailstore.MaildirTmp}
	it.role, it.mailbox = s.info.File(name)
	w.prepare(&it, err)
	return w.add(ctx, s.dir, nil, it)
}

// excluded reports whether the user wants a name of a folder to be left out.
func (w *walker) excluded(s spot, name string) bool {
	return !w.run.opts.Exclude.Empty() && w.run.opts.Exclude.Match(join(s.path, name))
}

// walkSub records a folder in a folder.
func (w *walker) walkSub(ctx context.Context, s spot, name string, st stat) error {
	path := join(s.path, name)
	if w.run.own[st.file()] {
		w.run.notice(Notice{Path: path, Text: "it is this program's own cache or repository: it is left out"})
		return nil
	}
	sub, st, err := w.openSub(ctx, s, name, st)
	if sub == nil {
		return err
	}
	defer sub.release()
	return w.walkFolder(ctx, spot{dir: sub, path: path, key: child(s.key, name)}, st)
}

// openSub opens a folder in a folder. If it cannot, it records that and
// returns nil.
func (w *walker) openSub(ctx context.Context, s spot, name string, st stat) (*folder, stat, error) {
	sub, err := s.sub(name)
	if vanished(err) {
		err = cmp.Or(s.missing(), err)
	}
	if err == nil {
		opened, statErr := sub.lstat("")
		if statErr == nil {
			return sub, opened, nil
		}
		err = statErr
		sub.release()
	}
	it := item{key: child(s.key, name), name: name, st: st, mailbox: mailstore.Nobody}
	w.prepare(&it, err)
	return nil, st, w.add(ctx, s.dir, nil, it)
}

// prepare makes the entry of what needs no reading, or says that it does.
func (w *walker) prepare(it *item, err error) {
	if w.exists(it, err) {
		if old, found := w.parent.find(it.key, ""); found {
			w.compare(it, old)
		}
	}
}

// exists decides about what lstat could not tell of. What it could is to be
// read, unless the parent knows it.
func (w *walker) exists(it *item, err error) bool {
	if vanished(err) {
		it.gone = true
		return false
	}
	if err == nil && it.st.kind == 0 {
		err = &fs.PathError{Op: "saving", Path: it.name, Err: errKind}
	}
	if err != nil {
		it.fail(err)
		return false
	}
	it.reading = true
	return true
}

// compare takes from the parent's record what still holds. See the package
// comment.
func (w *walker) compare(it *item, old known) {
	e, err := snapshot.DecodeEntry(old.entry)
	if err != nil {
		return
	}
	it.old, it.was, it.held = e.Kind, old, e.Messages
	settled := w.run.parent.started - int64(w.run.limits.settle/time.Second)
	mtimeSettled := it.st.mtime.Sec < settled || it.st.mtime.Sec > w.run.started.Unix()
	if w.run.opts.Paranoid || e.Kind != snapshot.File || it.st.kind != e.Kind || e.Size != it.st.size || e.Mtime != it.st.mtime ||
		old.id.inode != it.st.id.inode || old.role != it.role || !mtimeSettled {
		return
	}
	if !it.renamed() {
		if old.id.ctime == it.st.id.ctime && it.st.id.ctime.Sec < settled {
			it.entry, it.same, it.reading = e, true, false
		}
		return // by the same name, another ctime may be another content
	}
	if it.isMessage() {
		it.entry.Recipe, it.entry.Messages, it.same = e.Recipe, e.Messages, true
	}
}

// add puts the item into the open batch.
func (w *walker) add(ctx context.Context, d *folder, m *maildir, it item) error {
	if b := w.open; b != nil && (b.dir != d || b.maildir != m) {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	if w.push(d, m, it) {
		return w.flush(ctx)
	}
	return nil
}

// push puts the item into the open batch, and reports whether that is full.
func (w *walker) push(d *folder, m *maildir, it item) bool {
	if w.open == nil {
		w.open = &batch{dir: d, maildir: m, items: w.run.spare.take(), done: make(chan struct{})}
		d.retain()
		if m != nil {
			m.dir.retain()
		}
	}
	b := w.open
	b.items = append(b.items, it)
	b.reading = b.reading || it.reading
	if it.reading {
		b.bytes += it.st.size
	}
	return len(b.items) >= batchItems || b.bytes >= batchBytes
}

// flush hands the open batch to a worker and to the recorder.
func (w *walker) flush(ctx context.Context) error {
	b := w.open
	if b == nil {
		return nil
	}
	if err := w.start(ctx); err != nil {
		return err
	}
	return w.emit(ctx, b)
}

// start hands the open batch to a worker, if there is something to read in it.
func (w *walker) start(ctx context.Context) error {
	b := w.open
	w.open = nil
	if !b.reading {
		b.finish()
		return nil
	}
	if b.maildir != nil {
		b.maildir.latch.add()
		b.latched = true
	}
	return w.send(ctx, b)
}

// dispatch hands batches that a latch let go to the workers.
func (w *walker) dispatch(ctx context.Context, batches []*batch) error {
	for i, b := range batches {
		if err := w.send(ctx, b); err != nil {
			abandon(batches[i+1:])
			return err
		}
	}
	return nil
}

// send hands a batch to the workers.
func (w *walker) send(ctx context.Context, b *batch) error {
	select {
	case w.work <- b:
		return nil
	case <-ctx.Done():
		abandon([]*batch{b})
		return ctx.Err()
	}
}

// emit hands a batch to the recorder. When the recorder is behind, it may be
// waiting for a batch that waits for others further on: these are let go.
func (w *walker) emit(ctx context.Context, b *batch) error {
	select {
	case w.ordered <- b:
		return nil
	default:
	}
	for _, l := range w.waiting {
		if err := w.dispatch(ctx, l.release()); err != nil {
			return err
		}
	}
	w.waiting = nil
	select {
	case w.ordered <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
