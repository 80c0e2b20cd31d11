package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"sync/atomic"
	"time"

	"restante/blob"
	"restante/chunking"
	"restante/mailstore"
	"restante/message"
	"restante/repo"
	"restante/snapshot"
)

const (
	readAttempts = 3  // of a file that changes while it is read
	findAttempts = 20 // of a message that is renamed while it is looked for

	lockPoll = 20 * time.Millisecond
	// A lock file that is older is left over: Dovecot and Postfix take it away, too.
	lockFileAge = 2 * time.Minute
)

var (
	errBusy   = errors.New("it is locked")
	errMoving = errors.New("it was renamed each time that it was looked for")
	errTaken  = errors.New("something else took its place while it was read")
)

// A reader reads batches into the session. It serves one goroutine.
type reader struct {
	run     *run
	writer  *repo.Writer
	cutter  *chunking.Cutter // made when first needed: proving its polynomial takes a while
	mail    *mailCutter
	mailbox int
	buf     []byte // for the head of a file, or all of a small one
	piece   []byte // for the pieces of larger ones
}

func newReader(run *run) (*reader, error) {
	writer, err := run.session.NewWriter()
	if err != nil {
		return nil, err
	}
	r := &reader{run: run, writer: writer, mailbox: mailstore.Nobody, buf: make([]byte, chunking.MinSize+1)}
	r.mail = newMailCutter(r)
	return r, nil
}

func (r *reader) flush() error {
	return r.writer.Flush(r.run.keep)
}

// read makes the items of a batch ready. Its error is one of the repository's
// or that of ctx; what is wrong with a file is its item's.
func (r *reader) read(ctx context.Context, b *batch) error {
	for i := range b.items {
		it := &b.items[i]
		if !it.reading {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if it.mailbox != r.mailbox {
			if err := r.writer.Boundary(r.run.keep); err != nil {
				return err
			}
			r.mailbox = it.mailbox
		}
		r.run.event("reading", it.key)
		if err := r.item(ctx, b, it); err != nil {
			return err
		}
		r.run.event("read", it.key)
	}
	return nil
}

// item reads what the item names into its entry.
func (r *reader) item(ctx context.Context, b *batch, it *item) error {
	if it.st.kind == snapshot.File {
		if it.same && r.renamed(b, it) {
			return nil
		}
		return r.file(ctx, b, it)
	}
	var err error
	it.entry = entryOf(it.st)
	if it.st.kind == snapshot.Symlink {
		it.entry.Target, err = b.dir.readlink(it.name)
	}
	if err == nil {
		it.entry.Xattrs, err = b.dir.xattrs(it.name)
	}
	if vanished(err) {
		it.gone = true
	} else if err != nil {
		it.fail(err)
	}
	return nil
}

// renamed completes the entry of a message whose content the parent knows. It
// reports false when the message has to be read after all.
func (r *reader) renamed(b *batch, it *item) bool {
	e := entryOf(it.st)
	var err error
	if e.Xattrs, err = b.dir.xattrs(it.name); err != nil {
		it.same = false
		return false
	}
	e.Size, e.Messages, e.Recipe = it.st.size, it.entry.Messages, it.entry.Recipe
	it.entry = e
	return true
}

// file reads a regular file, again if it changed meanwhile.
func (r *reader) file(ctx context.Context, b *batch, it *item) error {
	patient := true
	for n := 1; ; n++ {
		f, dir, err := r.open(ctx, b, it)
		switch {
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case vanished(err):
			it.gone = true
			return nil
		case err != nil:
			it.fail(err)
			return nil
		}
		a := attempt{reader: r, item: it, file: f, dir: dir, patient: patient, last: n == readAttempts}
		stable, err := a.read(ctx)
		f.close()
		dir.release()
		if err != nil || stable || it.err != nil {
			return err
		}
		if a.last {
			if !it.passing {
				it.note = "it changed while it was read; what was read last is in the snapshot"
			}
			return nil
		}
		patient = a.patient
	}
}

// open opens the item's file. A message that is not there has been renamed or
// expunged; its Maildir knows. The caller releases the folder.
func (r *reader) open(ctx context.Context, b *batch, it *item) (*file, *folder, error) {
	f, err := b.dir.open(it.name)
	if err == nil {
		b.dir.retain()
		return f, b.dir, nil
	}
	if !vanished(err) || b.maildir == nil {
		return nil, nil, err
	}
	m := b.maildir
	base, at := mailstore.BaseName(it.name), mailstore.MessageName{Dir: path.Base(path.Dir(it.key.Path())), Name: it.name}
	for range findAttempts {
		now, ok, err := m.find(ctx, base, at)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			return nil, nil, fs.ErrNotExist
		}
		at = now
		dir, err := m.dir.sub(at.Dir)
		if err == nil {
			if f, err = dir.open(at.Name); err == nil {
				return f, dir, nil
			}
			dir.release()
		}
		if !vanished(err) {
			return nil, nil, err
		}
	}
	return nil, nil, errMoving
}

// An attempt is one reading of a file.
type attempt struct {
	*reader
	item    *item
	file    *file
	dir     *folder
	patient bool // whether to wait for locks: not again after it was in vain
	last    bool
}

// read reads the file into the item's entry, and reports whether the file
// stayed as it was.
func (a *attempt) read(ctx context.Context) (stable bool, err error) {
	it := a.item
	it.note = ""
	before, fileErr := a.file.stat()
	mbox := it.role == mailstore.MboxFile
	whole := mbox && (before.size <= a.run.limits.lockSize || a.last)
	if fileErr == nil && whole {
		if fileErr = a.lock(ctx); fileErr == nil {
			before, fileErr = a.file.stat()
		}
	}
	if fileErr == nil && before.kind != snapshot.File {
		fileErr = errTaken
	}
	if fileErr == nil {
		it.st, it.entry = before, entryOf(before)
		it.entry.Xattrs, fileErr = a.file.xattrs()
	}
	a.run.event("opened", it.key)
	if fileErr == nil {
		src := &source{f: a.file, run: a.run}
		err := a.content(ctx, it, src)
		if fileErr = src.failed(); fileErr == nil && err != nil {
			return false, err
		}
	}
	if fileErr == nil && mbox && !whole {
		fileErr = a.lock(ctx)
	}
	a.run.event("checking", it.key)
	var after stat
	if fileErr == nil {
		it.entry.Size = it.entry.Recipe.Length()
		after, fileErr = a.file.stat()
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if fileErr != nil {
		it.fail(fileErr)
		return false, nil
	}
	return after.size == before.size && after.mtime == before.mtime && it.entry.Size == before.size, nil
}

// lock takes the locks of an mbox. They go when the file is closed. A lock
// that somebody else keeps for too long is passed over: mail that may be in
// the middle of a change is better than none.
func (a *attempt) lock(ctx context.Context) error {
	deadline := time.Now().Add(a.run.limits.lockWait)
	for {
		err := a.tryLock()
		if !errors.Is(err, errBusy) {
			return err
		}
		if !a.patient || time.Now().After(deadline) {
			a.patient = false
			a.item.note = "it was locked for longer than the backup waits; it was read without a lock"
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

// tryLock looks for a lock file, which some programs use instead, and then for
// the lock.
func (a *attempt) tryLock() error {
	st, err := a.dir.lstat(a.item.name + ".lock")
	if err == nil && time.Since(st.mtime.Go()) < lockFileAge {
		return errBusy
	}
	return a.file.tryLock()
}

// A source reads a file and keeps its error apart from those of the repository.
// ReadAt may be called by several goroutines.
type source struct {
	f   *file
	run *run
	err atomic.Pointer[error]
}

// failed returns the last error of reading, or nil.
func (s *source) failed() error {
	if err := s.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *source) read(n int, err error) (int, error) {
	s.run.progress.Bytes.Add(uint64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		s.err.Store(&err)
	}
	return n, err
}

// Read implements [io.Reader].
func (s *source) Read(p []byte) (int, error) { return s.read(s.f.Read(p)) }

// ReadAt implements [io.ReaderAt].
func (s *source) ReadAt(p []byte, off int64) (int, error) { return s.read(s.f.ReadAt(p, off)) }

// from returns what the file has from an offset on.
func (s *source) from(off int64) io.Reader {
	return io.NewSectionReader(s, off, math.MaxInt64-off)
}

// content cuts a file into pieces and saves them: mail where mail repeats,
// anything else by its content.
func (r *reader) content(ctx context.Context, it *item, src *source) error {
	err := r.cut(ctx, it, src)
	if err != nil && !errors.As(err, new(*repo.SpaceError)) { // which is not the file's
		return fmt.Errorf("storing %q: %w", it.key.Path(), err)
	}
	return err
}

func (r *reader) cut(ctx context.Context, it *item, src *source) (err error) {
	e := &it.entry
	if it.isMessage() {
		e.Messages = 1
		e.Recipe, err = r.mail.file(ctx, src, message.Mail)
		return err
	}
	if it.st.size >= r.run.limits.grown {
		e.Recipe, e.Messages, err = r.grown(ctx, it, src)
		return err
	}
	n, err := io.ReadFull(src, r.buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	head := r.buf[:n]
	var all io.Reader = bytes.NewReader(head)
	if n == len(r.buf) {
		all = io.MultiReader(all, src)
	}
	switch kind, mail := mailstore.MailKind(it.role, it.name, head); {
	case mail:
		e.Recipe, err = r.mail.file(ctx, all, kind)
		e.Messages = r.mail.count(it.role.Counts(kind), kind)
	case n < len(r.buf):
		e.Recipe, err = r.whole(head)
	default:
		e.Recipe, err = r.opaque(ctx, all)
	}
	return err
}

// whole saves a small file that is no mail as one piece.
func (r *reader) whole(data []byte) (snapshot.Recipe, error) {
	recipe := snapshot.Recipe{Cutter: r.run.limits.cutter}
	if len(data) == 0 {
		return recipe, nil
	}
	id, err := r.writer.Save(r.run.keep, blob.Bin, data)
	recipe.Items = []snapshot.Item{{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: id, Size: uint32(len(data))}}}
	return recipe, err
}

// opaque saves a large file that is no mail, cut by its content.
func (r *reader) opaque(ctx context.Context, src io.Reader) (snapshot.Recipe, error) {
	w := snapshot.NewRecipeWriter(r.writer, r.run.repo.PieceKey(), r.run.limits.cutter)
	_, err := r.pieces(ctx, blob.Bin, src, func(p snapshot.Piece) (stop bool, err error) {
		return false, w.Append(r.run.keep, snapshot.Item{Kind: snapshot.PieceItem, Piece: p})
	})
	if err != nil {
		return snapshot.Recipe{}, err
	}
	return w.Finish(r.run.keep)
}

// pieces cuts a stream by its content, saves the pieces and adds them to a
// recipe, until add says to stop or the stream ends, which it reports.
func (r *reader) pieces(ctx context.Context, class blob.Class, src io.Reader, add func(snapshot.Piece) (stop bool, err error)) (ended bool, err error) {
	if r.cutter == nil {
		if r.cutter, err = chunking.New(r.run.repo.Chunker()); err != nil {
			return false, err
		}
	}
	r.cutter.Reset(src)
	for {
		piece, cut, err := r.cutter.Next(r.piece)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return false, err
		}
		r.piece = piece[:0]
		id, err := r.writer.Save(r.run.keep, class, piece)
		if err != nil {
			return false, err
		}
		if stop, err := add(snapshot.Piece{ID: id, Size: uint32(len(piece)), Cut: cut}); stop || err != nil {
			return false, err
		}
	}
}

// entryOf returns the entry for what the system told of a path, without content.
func entryOf(st stat) snapshot.Entry {
	e := snapshot.Entry{Kind: st.kind, Mode: st.mode, UID: st.uid, GID: st.gid, Mtime: st.mtime}
	if st.kind == snapshot.CharDevice || st.kind == snapshot.BlockDevice {
		e.Rdev = st.rdev
	}
	return e
}
