package backup

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"restante/mailstore"
	"restante/snapshot"
)

// A maildir is one Maildir while its messages are being read.
type maildir struct {
	dir   *folder
	key   snapshot.Key
	errs  map[string]error // by folder: why it could not be listed
	rests map[string]*rest // by folder: those that are at rest, and are not listed
	times maildirTimes     // before the messages were listed
	old   map[string]known // the parent's messages in "new", by base name, when needed; of the walk
	latch latch            // keeps the control files until the messages are read

	mu    sync.Mutex                       // held while the Maildir is listed again
	later map[string]mailstore.MessageName // by base name: what was seen then; under mu
	looks int                              // how often it was listed for that; under mu
}

// A lister lists a Maildir through its handle and keeps the errors apart.
type lister struct {
	dir    *folder
	beside *siblings // of the walk, or nil
	errs   map[string]error
}

func (l lister) Names(dir string, fn func(string)) error {
	err := l.names(dir, fn)
	if delete(l.errs, dir); err != nil && !vanished(err) {
		l.errs[dir] = err
	}
	return err
}

func (l lister) names(dir string, fn func(string)) error {
	held := l.beside.folder(dir)
	if held == nil {
		return l.dir.Names(dir, fn)
	}
	again, err := held.sub(".")
	if err != nil {
		return err
	}
	defer again.release()
	return again.eachName(fn)
}

// ModTime implements [mailstore.MaildirReader].
func (l lister) ModTime(dir string) (time.Time, error) {
	if held := l.beside.folder(dir); held != nil {
		st, err := held.lstat("")
		return st.mtime.Go(), err
	}
	return l.dir.ModTime(dir)
}

// list lists the messages safely; see mailstore.Listing. What cannot be listed
// is in errs. Its error is that of ctx.
func (m *maildir) list(ctx context.Context, beside *siblings) (messages []mailstore.MessageName, errs map[string]error, err error) {
	l := lister{m.dir, beside, map[string]error{}}
	listing := mailstore.NewListing(l)
	// Where the folders are at rest one pass proves it. Where they are not, a
	// message that is renamed as often as a pass is made may be missed by both
	// quiet passes (measured: 1 in 100); two more make that 1 in 1,000.
	for range 2 {
		if err := listing.Settle(ctx); err != nil && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if listing.Passes() == 1 {
			break
		}
	}
	messages = slices.DeleteFunc(listing.Messages(), func(msg mailstore.MessageName) bool {
		latest, _ := listing.Find(mailstore.BaseName(msg.Name))
		return latest != msg && !m.distinct(latest, msg)
	})
	return messages, l.errs, nil
}

// distinct reports whether two names with the same base name are two messages.
// One that is renamed to and fro may be listed under both its names each time.
func (m *maildir) distinct(a, b mailstore.MessageName) bool {
	const looks = 10
	files := map[fileID]bool{}
	for range looks {
		x, errX := m.dir.lstat(join(a.Dir, a.Name))
		y, errY := m.dir.lstat(join(b.Dir, b.Name))
		if errX == nil {
			files[x.file()] = true
		}
		if errY == nil {
			files[y.file()] = true
		}
		if len(files) > 1 || files[fileID{}] || errX == nil && errY == nil && x.links > 1 {
			return true // two files, or nobody knows, or two names of one file
		}
	}
	return false
}

// find returns where the message with this base name is now; ok is false when
// it was expunged. tried is where it was not. A Maildir is listed again only when
// nothing is known of what happened since tried was listed: a user may empty a
// folder with thousands of messages meanwhile.
func (m *maildir) find(ctx context.Context, base string, tried mailstore.MessageName) (at mailstore.MessageName, ok bool, err error) {
	// A message that is renamed all the time is missed by some listings.
	const looks = 2
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok = m.later[base]; ok && at == tried {
		m.later, m.looks, ok = nil, 0, false
	}
	for ; !ok && m.looks < looks; m.looks++ {
		messages, errs, err := m.list(ctx, nil)
		if err == nil {
			err = cmp.Or(errs["new"], errs["cur"])
		}
		if err != nil {
			return at, false, err
		}
		if m.later == nil {
			m.later = make(map[string]mailstore.MessageName, len(messages))
		}
		for _, msg := range messages {
			m.later[mailstore.BaseName(msg.Name)] = msg
		}
		at, ok = m.later[base]
	}
	return at, ok, nil
}

// walkMaildir records a Maildir. Its messages are listed safely first. Those
// in "new" are read before those in "cur", because messages move that way,
// and the control files last of all, so that they know every message that is
// saved; the order in which they are recorded is that of the keys all the same.
func (w *walker) walkMaildir(ctx context.Context, s spot, names []string) (err error) {
	m := &maildir{dir: s.dir, key: s.key}
	messages, err := w.listMaildir(ctx, s, m, names)
	if err != nil {
		return err
	}
	w.run.event("listed", s.key)
	m.latch.add() // until "cur" has been handed out
	inHand := true
	defer func() {
		w.waiting = slices.DeleteFunc(w.waiting, func(l *latch) bool { return l == &m.latch })
		if inHand && err == nil {
			err = w.dispatch(ctx, m.latch.drop())
		} else if inHand {
			abandon(m.latch.drop())
		}
	}()
	early, err := w.readEarly(ctx, s, m, messages["new"], names)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name > "cur" && inHand {
			inHand = false
			if err := w.dispatch(ctx, m.latch.drop()); err != nil {
				return err
			}
		}
		var err error
		if name == "cur" || name == "new" {
			err = w.walkMessages(ctx, s, m, name, messages[name], early)
		} else {
			err = w.walkBeside(ctx, s, m, name)
		}
		if err != nil {
			return err
		}
	}
	return w.flush(ctx)
}

// listMaildir returns the messages of a Maildir by their folders, unless all of
// these are at rest.
func (w *walker) listMaildir(ctx context.Context, s spot, m *maildir, names []string) (map[string][]string, error) {
	m.times = w.times(s, names)
	if m.rests = w.resting(s, m.times); len(m.rests) == len(m.times.folders) {
		return nil, nil
	}
	listed, errs, err := m.list(ctx, s.beside)
	if err != nil {
		return nil, err
	}
	m.errs = errs
	m.rests = w.resting(s, w.times(s, names)) // behind the listing: what left "new" meanwhile changed "cur"
	messages := map[string][]string{}
	for _, msg := range listed {
		if m.rests[msg.Dir] == nil {
			messages[msg.Dir] = append(messages[msg.Dir], msg.Name)
		}
	}
	return messages, nil
}

// walkBeside records what lies beside "cur" and "new".
func (w *walker) walkBeside(ctx context.Context, s spot, m *maildir, name string) error {
	role, mailbox := s.info.File(name)
	st, err := s.lstat(name)
	if role != mailstore.Control || st.kind != snapshot.File || w.excluded(s, name) {
		return w.walkName(ctx, s, name)
	}
	it := item{key: child(s.key, name), name: name, st: st, role: role, mailbox: mailbox}
	if w.prepare(&it, err); !it.reading {
		return w.add(ctx, s.dir, nil, it)
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	w.push(s.dir, nil, it)
	b := w.open
	w.open = nil
	if name < "cur" {
		w.waiting = append(w.waiting, &m.latch)
	}
	if err := w.dispatch(ctx, m.latch.hold(b)); err != nil {
		return err
	}
	return w.emit(ctx, b)
}

// walkMessages records "cur" or "new". early are the batches of "new", if they
// have been handed to the workers before.
func (w *walker) walkMessages(ctx context.Context, s spot, m *maildir, name string, messages []string, early []*batch) error {
	st, err := s.lstat(name)
	path := join(s.path, name)
	if err != nil || st.kind != snapshot.Dir || w.excluded(s, name) {
		if st.kind == snapshot.Symlink && !w.excluded(s, name) {
			w.run.notice(Notice{Path: path, Text: "it is a symlink: the messages in the folder that it leads to are not saved"})
		}
		return w.walkName(ctx, s, name)
	}
	sub, st, err := w.openSub(ctx, s, name, st)
	if sub == nil {
		return err
	}
	defer sub.release()
	in := spot{dir: sub, path: path, key: child(s.key, name), info: w.run.opts.Store.Dir(w.root, path)}
	r, resting := m.rests[name]
	if !resting && w.isLocal(sub, st.dev) {
		r = &rest{key: in.key, times: m.times.folders[name], uids: m.times.uids, listed: w.run.started.Unix()}
	}
	if err := w.addFolder(ctx, in, st, r, m.errs[name]); err != nil {
		return err
	}
	if resting {
		if err := w.takeOver(ctx, in, r); err != nil {
			return err
		}
		return w.flush(ctx)
	}
	if name == "new" && early != nil {
		if err := w.flush(ctx); err != nil {
			return err
		}
		for _, b := range early {
			if err := w.emit(ctx, b); err != nil {
				return err
			}
		}
		return nil
	}
	for chunk := range slices.Chunk(messages, lookAhead) {
		for i, looked := range w.look(in, chunk) {
			if err := w.walkMessage(ctx, in, m, chunk[i], looked); err != nil {
				return err
			}
		}
	}
	return w.flush(ctx)
}

const (
	lookAhead = 512 // messages that are looked at together
	lookers   = 4   // at once: a file server takes its time for each
)

// A look is what lstat says of a message.
type look struct {
	st  stat
	err error
}

// look looks at messages of a folder, several at once.
func (w *walker) look(s spot, names []string) []look {
	looks := w.looks[:len(names)]
	each := (len(names) + lookers - 1) / lookers
	var wg sync.WaitGroup
	for from := 0; from < len(names); from += each {
		to := min(from+each, len(names))
		some := func() {
			for i := from; i < to; i++ {
				looks[i].st, looks[i].err = s.dir.lstat(names[i])
			}
		}
		if to == len(names) || each < lookers {
			some() // few are not worth a goroutine
			continue
		}
		wg.Go(some)
	}
	wg.Wait()
	return looks
}

// walkMessage records one name of "cur" or "new".
func (w *walker) walkMessage(ctx context.Context, s spot, m *maildir, name string, looked look) error {
	if w.excluded(s, name) {
		return nil
	}
	it := w.message(s, m, name, looked, w.parent)
	if it.st.kind == snapshot.Dir {
		return w.walkSub(ctx, s, name, it.st)
	}
	return w.add(ctx, s.dir, m, it)
}

// readEarly makes the batches of "new" and has them read at once. It does not
// look into the parent in order, because the walk is not there yet. It returns
// nil where "new" holds more than messages, or more than any mail server leaves
// there: then it is read in its turn.
func (w *walker) readEarly(ctx context.Context, s spot, m *maildir, messages, names []string) ([]*batch, error) {
	if len(messages) > w.run.limits.early || !slices.Contains(names, "cur") || !slices.Contains(names, "new") {
		return nil, nil
	}
	sub, err := s.sub("new")
	if err != nil {
		return nil, nil // walkMessages meets the same error and records it
	}
	defer sub.release()
	path := join(s.path, "new")
	in := spot{dir: sub, path: path, key: child(s.key, "new"), info: w.run.opts.Store.Dir(w.root, path)}
	items := make([]item, 0, len(messages))
	for _, name := range messages {
		if w.excluded(in, name) {
			continue
		}
		st, err := in.dir.lstat(name)
		it := w.message(in, m, name, look{st, err}, &cursor{})
		if it.st.kind == snapshot.Dir {
			return nil, nil
		}
		items = append(items, it)
	}
	if err := w.flush(ctx); err != nil {
		return nil, err
	}
	batches := []*batch{}
	for i, it := range items {
		if w.push(sub, m, it) || i == len(items)-1 {
			batches = append(batches, w.open)
			if err := w.start(ctx); err != nil {
				return nil, err
			}
		}
	}
	return batches, nil
}

// inNew returns what the parent knows of a message in "new": those come early
// there, and go to "cur".
func (w *walker) inNew(m *maildir, base string) (old known, found bool) {
	if m.old == nil {
		m.old = w.run.parent.messages(child(m.key, "new"), w.run.limits.early)
	}
	old, found = m.old[base]
	return old, found
}

// message makes an item of one name of "cur" or "new". The parent may know it by
// another name.
func (w *walker) message(s spot, m *maildir, name string, looked look, parent *cursor) item {
	st, err := looked.st, looked.err
	it := item{key: child(s.key, name), name: name, st: st}
	it.role, it.mailbox = s.info.File(name)
	if vanished(err) { // renamed by a change of its flags, or expunged: the worker finds out
		it.st.kind, it.reading = snapshot.File, true
		return it
	}
	if !w.exists(&it, err) {
		return it
	}
	base := mailstore.BaseName(name)
	old, found := parent.find(it.key, child(s.key, base))
	if !found {
		old, found = w.inNew(m, base)
	}
	if found {
		w.compare(&it, old)
	}
	return it
}
