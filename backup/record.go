package backup

import (
	"context"
	"errors"

	"restante/blob"
	"restante/mailstore"
	"restante/repo"
	"restante/snapshot"
)

// maxUnsaved is how many unsaved paths a Result names.
const maxUnsaved = 1000

// A recorder takes items in the order of their keys into the tree, the next
// parent cache and the figures. It serves one goroutine.
type recorder struct {
	run      *run
	pages    *repo.PageWriter
	tree     *snapshot.Builder
	cache    *parentWriter
	parent   *parent // the recorder has its own, or nil
	hasher   *blob.Hasher
	links    map[fileID]linkGroup // of which names are still to come
	entry    []byte               // encoded
	sections []snapshot.Section   // that the tree has completed, and the cache has not
	taken    []takenRecord        // of one section of the parent, from its first on
	resting  *rest                // the folder of messages at hand, which may be at rest next time
	folders  int                  // such folders so far
	boxes    []boxCount           // by mailbox
	kept     uint64               // files of the parent that are still there, perhaps by another name
	still    uint64               // messages of the parent that are
	result   Result
}

// A boxCount says what was recorded of a mailbox.
type boxCount struct {
	messages uint64
	unsaved  bool
}

// A linkGroup is a file with several names of which some are still to come.
type linkGroup struct {
	id   snapshot.LinkID
	left uint64
}

func newRecorder(run *run, cache *parentWriter) (*recorder, error) {
	pages, err := run.session.NewPageWriter()
	if err != nil {
		return nil, err
	}
	key := run.repo.PieceKey()
	rec := &recorder{run: run, pages: pages, tree: snapshot.NewBuilder(pages, key), cache: cache, parent: run.parent.share(),
		hasher: blob.NewHasher(key), links: map[fileID]linkGroup{}, boxes: make([]boxCount, len(run.opts.Store.Mailboxes))}
	rec.tree.OnSection(func(s snapshot.Section) { rec.sections = append(rec.sections, s) })
	rec.result.Snapshot = run.describe()
	rec.result.Session = Session(run.session.ID())
	return rec, nil
}

func (rec *recorder) batch(ctx context.Context, b *batch) error {
	for i := range b.items {
		if err := rec.item(ctx, &b.items[i]); err != nil {
			return err
		}
	}
	rec.run.progress.Stored.Store(rec.run.session.Stored())
	return nil
}

func (rec *recorder) item(ctx context.Context, it *item) error {
	if it.gone {
		rec.gone(it)
		return nil
	}
	if it.section != nil {
		return rec.takeSection(ctx, it)
	}
	if it.taken {
		if err := rec.take(ctx, it); err != nil {
			return err
		}
		rec.count(it)
		return nil
	}
	rec.link(it)
	if err := rec.put(ctx, it); err != nil {
		return err
	}
	rec.watch(it)
	rec.tell(it)
	rec.count(it)
	return nil
}

// put puts the item into the tree and the next parent cache. What the format
// has no room for becomes an unsaved one.
func (rec *recorder) put(ctx context.Context, it *item) error {
	if it.same && !it.renamed() && it.st.links < 2 && it.entry.Link == (snapshot.LinkID{}) {
		return rec.take(ctx, it) // its entry is the parent's
	}
	refused, err := rec.add(ctx, it)
	if refused != nil {
		it.fail(refused)
		refused, err = rec.add(ctx, it)
	}
	return errors.Join(refused, err)
}

// add puts the item's entry into the tree, or takes it over if it is the
// parent's. refused says that the format has no room for what the entry says;
// then the tree is as it was.
func (rec *recorder) add(ctx context.Context, it *item) (refused, err error) {
	if rec.entry, refused = snapshot.AppendEntry(rec.entry[:0], &it.entry); refused != nil {
		return refused, nil
	}
	if it.old != 0 && !it.renamed() && it.was.id == it.st.id && it.was.role == it.role && string(it.was.entry) == string(rec.entry) {
		return nil, rec.take(ctx, it)
	}
	if err := rec.giveBack(ctx); err != nil {
		return nil, err
	}
	err = rec.tree.Add(ctx, it.key, &it.entry)
	if errors.Is(err, snapshot.ErrTooLarge) {
		return err, nil
	}
	if err == nil {
		rec.record(&known{key: []byte(it.key), role: it.role, id: it.st.id, entry: rec.entry})
	}
	return nil, err
}

// record adds a record to the cache, which the tree has, and ends the sections
// that it has completed.
func (rec *recorder) record(r *known) {
	rec.cache.add(r)
	rec.endSections()
}

func (rec *recorder) endSections() {
	for _, s := range rec.sections {
		rec.cache.end(s)
	}
	rec.sections = rec.sections[:0]
}

// gone counts what was listed and is not there any more.
func (rec *recorder) gone(it *item) {
	figures := &rec.result.Snapshot.Run
	if it.isMessage() {
		figures.Expunged++
		return
	}
	figures.Vanished++
	if !it.passing {
		rec.run.notice(Notice{Path: it.key.Path(), Text: "it was gone before it could be read"})
	}
}

// tell tells a person what is worth knowing of the item.
func (rec *recorder) tell(it *item) {
	kind := it.entry.Kind
	special := kind == snapshot.Socket || kind == snapshot.CharDevice || kind == snapshot.BlockDevice
	n := Notice{Text: it.note}
	switch {
	case it.err != nil:
		n.Text, n.Fatal = it.entry.Reason, true
	case special && it.old != kind: // once, not every night
		n.Text = "it is a " + kind.String() + ": its name and attributes are saved, it has no content"
	case it.note == "":
		return
	}
	n.Path = it.key.Path()
	if n.Fatal && len(rec.result.Unsaved) < maxUnsaved {
		rec.result.Unsaved = append(rec.result.Unsaved, n)
	}
	rec.run.notice(n)
}

// count adds a file to the figures. One that had to be read, and is as it was,
// is unchanged.
func (rec *recorder) count(it *item) {
	figures := &rec.result.Snapshot.Run
	if it.mailbox != mailstore.Nobody && it.mailbox < len(rec.boxes) {
		b := &rec.boxes[it.mailbox]
		b.messages += it.entry.Messages
		b.unsaved = b.unsaved || it.entry.Kind == snapshot.Unsaved
	}
	still := min(it.held, it.entry.Messages)
	if it.entry.Kind == snapshot.Unsaved {
		still = it.held // as far as anybody knows
	}
	if it.old == snapshot.File {
		rec.kept++
		rec.still += still
	}
	if it.entry.Kind != snapshot.File {
		return
	}
	figures.NewMessages += it.entry.Messages - still
	if it.renamed() {
		figures.FlaggedMessages++
	}
	change := Same
	switch {
	case it.same || it.old != 0 && rec.unchanged(it):
		figures.Unchanged++
	case it.old == snapshot.File:
		change = Changed
		figures.Changed++
	default:
		change = New
		figures.New++
	}
	if it.same {
		rec.run.progress.Skipped.Add(1)
	} else if rec.run.opts.File != nil {
		rec.run.opts.File(it.key.Path(), change)
	}
	rec.run.progress.Files.Add(1)
	rec.run.progress.Size.Add(it.entry.Size)
}

// unchanged reports whether what was read of the item is what the parent has.
// A recipe of another version may be the same file: its content hash, which covers
// neither the version nor what it marks, proves that.
func (rec *recorder) unchanged(it *item) bool {
	if string(it.was.entry) == string(rec.entry) {
		return true
	}
	was, err := snapshot.DecodeEntry(it.was.entry)
	is := &it.entry.Recipe
	if err != nil || was.Kind != snapshot.File || was.Recipe.Cutter == is.Cutter || was.Recipe.ContentHash(rec.hasher) != is.ContentHash(rec.hasher) {
		return false
	}
	was.Recipe = *is
	again, err := snapshot.AppendEntry(nil, &was)
	return err == nil && string(again) == string(rec.entry)
}

// example returns the name of a mailbox that can be restored whole, and if
// there is none, of one that has mail.
func (rec *recorder) example(boxes []mailstore.Mailbox) (name string) {
	for i, b := range rec.boxes {
		if b.messages > 0 && !b.unsaved {
			return boxes[i].Name
		}
		if b.messages > 0 && name == "" {
			name = boxes[i].Name
		}
	}
	return name
}

// link names the group of a file with several names by its first path. A
// group is forgotten when all its names have come.
func (rec *recorder) link(it *item) {
	it.entry.Link = snapshot.LinkID{}
	if it.st.links < 2 || it.entry.Kind == snapshot.Dir || it.entry.Kind == snapshot.Unsaved {
		return
	}
	group, known := rec.links[it.st.file()]
	if !known {
		group = linkGroup{snapshot.LinkOf(rec.hasher, it.key), it.st.links}
	}
	if group.left--; group.left == 0 {
		delete(rec.links, it.st.file())
	} else {
		rec.links[it.st.file()] = group
	}
	it.entry.Link = group.id
}

// finish ends the tree, writes the map of mailboxes and commits the snapshot.
func (rec *recorder) finish(shrunk bool) (*Result, error) {
	ctx, run := rec.run.keep, rec.run
	s := &rec.result.Snapshot
	var err error
	if err = rec.giveBack(ctx); err != nil {
		return nil, err
	}
	rec.rested()
	if s.Tree, err = rec.tree.Finish(ctx); err != nil {
		return nil, err
	}
	rec.cache.root(s.Tree)
	rec.endSections()
	boxes := run.opts.Store.Mailboxes
	if s.Mailboxes, err = rec.mailboxes(ctx, boxes); err != nil {
		return nil, err
	}
	if err := rec.pages.Flush(ctx); err != nil {
		return nil, err
	}
	s.Incomplete = s.Tree.Counts.Unsaved > 0
	s.Shrunk = shrunk
	s.Run.BytesRead = run.progress.Bytes.Load()
	if run.parent != nil && run.parent.counts.Files > rec.kept {
		s.Run.Removed = run.parent.counts.Files - rec.kept
	}
	if run.parent != nil && run.parent.counts.Messages > rec.still {
		s.Run.RemovedMessages = run.parent.counts.Messages - rec.still
	}
	rec.result.Mailboxes = int(s.Mailboxes.Counts.Entries)
	rec.result.Example = rec.example(boxes)
	err = run.session.Commit(ctx, func(stored int64) ([]byte, error) {
		run.progress.Stored.Store(stored)
		s.Run.BytesStored = uint64(stored)
		s.Ended = snapshot.TimeOf(run.repo.Now())
		return s.Encode()
	})
	return &rec.result, err
}
