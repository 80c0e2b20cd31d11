package backup

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"restante/blob"
	"restante/repo"
	"restante/snapshot"
)

// A parentWriter writes the next parent cache. What goes wrong with it does not
// keep the backup from going on: commit tells. A nil *parentWriter writes nothing.
//
// Blocks of the cache in use are referred to, and not written again, until half
// of what the file of blocks holds is of no use; then the rest goes to a new one.
type parentWriter struct {
	dir      string
	err      error // the first
	last     *parent
	number   uint64 // of the file of blocks
	copies   bool   // the blocks of last are in another file
	blocks   *os.File
	out      *bufio.Writer
	offset   int64
	sections *os.File
	list     *bufio.Writer  // to sections
	sum      *blob.NameHash // of what went there
	head     parentHead
	record   []byte // the last one of sections, encoded
	block    []byte // records that no section has yet
	ends     []int  // where they end in it
}

// createParent starts the cache that replaces the one in use. A dry run makes none.
func (run *run) createParent() *parentWriter {
	if run.opts.DryRun {
		return nil
	}
	return newParentWriter(run.parentPath(), run.parent.share(), parentHead{options: run.optionsHash(), absent: run.session.Absent(), session: run.session.ID(),
		started: run.started.Unix(), mailboxes: uint64(len(run.opts.Store.Mailboxes)), marks: run.session.Marks()})
}

// newParentWriter starts a cache in the folder dir. last is the one in use there, or nil.
func newParentWriter(dir string, last *parent, head parentHead) *parentWriter {
	w := &parentWriter{dir: dir, last: last, number: rand.Uint64()}
	if last != nil {
		w.copies = last.worn()
		if !w.copies {
			w.number, w.offset = last.number, last.end
		}
	}
	w.head = head
	w.head.number = w.number
	w.err = w.create()
	return w
}

// create opens the files. What killed runs left goes: nobody else works on this
// store now.
func (w *parentWriter) create() error {
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return err
	}
	if err := w.clean(); err != nil {
		return err
	}
	var err error
	if w.sections, err = os.CreateTemp(w.dir, sectionsName+"-*"); err != nil {
		return err
	}
	w.blocks, err = os.OpenFile(filepath.Join(w.dir, blocksName(w.number)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err = w.blocks.Truncate(w.offset); err == nil {
		_, err = w.blocks.Seek(w.offset, 0)
	}
	w.out, w.list = bufio.NewWriterSize(w.blocks, 128<<10), bufio.NewWriterSize(w.sections, 64<<10)
	w.sum = blob.NewNameHash()
	head := binary.AppendUvarint(w.head.encode(), uint64(len(w.head.marks)))
	for _, n := range w.head.marks {
		head = binary.AppendUvarint(head, n)
	}
	return errors.Join(err, w.put(head))
}

// put appends to the file "sections".
func (w *parentWriter) put(b []byte) error {
	w.sum.Write(b)
	_, err := w.list.Write(b)
	return err
}

// note appends a section there.
func (w *parentWriter) note(l *sectionRef) {
	w.record = l.append(w.record[:0])
	w.err = w.put(w.record)
}

// clean removes what neither the cache in use nor this one needs.
func (w *parentWriter) clean() error {
	entries, err := os.ReadDir(w.dir)
	for _, e := range entries {
		name := e.Name()
		inUse := name == sectionsName || w.last != nil && name == blocksName(w.last.number) || name == blocksName(w.number)
		if !inUse && (strings.HasPrefix(name, sectionsName+"-") || strings.HasPrefix(name, blocksPrefix)) {
			err = errors.Join(err, os.Remove(filepath.Join(w.dir, name)))
		}
	}
	return err
}

// add appends a record to the block at hand; keys ascend. entry is encoded.
func (w *parentWriter) add(r *known) {
	if w == nil || w.err != nil {
		return
	}
	b := binary.AppendUvarint(w.block, uint64(len(r.key)))
	b = append(b, r.key...)
	b = append(b, byte(r.role))
	b = appendIdentity(b, r.id)
	b = binary.AppendUvarint(b, uint64(len(r.entry)))
	w.block = append(b, r.entry...)
	w.ends = append(w.ends, len(w.block))
}

// end ends a section, which has the first records of the block at hand: where pages
// end for their size, it may have others already.
func (w *parentWriter) end(s snapshot.Section) {
	n := s.Counts.Entries
	if w == nil || w.err != nil || n == 0 {
		return
	}
	if n > uint64(len(w.ends)) {
		w.err = fmt.Errorf("of the %d records up to %q there are %d", n, s.Last.Path(), len(w.ends))
		return
	}
	size := w.ends[n-1]
	w.write(sectionRef{Section: s}, w.block[:size])
	w.block = append(w.block[:0], w.block[size:]...)
	w.ends = append(w.ends[:0], w.ends[n:]...)
	for i := range w.ends {
		w.ends[i] -= size
	}
}

func (w *parentWriter) write(l sectionRef, block []byte) {
	if len(block) > maxBlock {
		w.err = fmt.Errorf("the records up to %q have %d bytes", l.Last.Path(), len(block))
		return
	}
	l.offset, l.length, l.sum = w.offset, int64(len(block)), sumOf(block)
	w.offset += l.length
	if w.note(&l); w.err == nil {
		_, w.err = w.out.Write(block)
	}
}

// take takes a section over from the cache in use.
func (w *parentWriter) take(l *sectionRef) {
	if w == nil || w.err != nil {
		return
	}
	if !w.copies {
		w.note(l)
		return
	}
	block, err := w.last.block(l)
	if err != nil {
		w.err = err
		return
	}
	w.write(*l, block)
}

// rest notes a folder; keys ascend.
func (w *parentWriter) rest(r *rest) {
	if w == nil || w.err != nil {
		return
	}
	w.record = r.append(w.record[:0])
	w.err = w.put(w.record)
}

// root notes the root of the snapshot's tree.
func (w *parentWriter) root(r snapshot.Root) {
	if w != nil {
		w.head.root = repo.PageRef{ID: r.ID, Level: r.Level}
	}
}

// commit puts the cache in its place. It is not synced: one that a crash
// leaves torn fails its checks and is not used.
func (w *parentWriter) commit() error {
	if w == nil {
		return nil
	}
	if w.err == nil {
		w.err = w.out.Flush()
	}
	if w.err == nil {
		w.err = w.blocks.Close()
	}
	if w.err == nil {
		w.err = w.writeTail()
	}
	if w.err == nil {
		w.err = w.sections.Close()
	}
	if w.err == nil {
		w.err = os.Rename(w.sections.Name(), filepath.Join(w.dir, sectionsName))
	}
	if w.err != nil {
		return fmt.Errorf("writing the parent cache: %w", w.err)
	}
	w.sections, w.last = nil, nil
	if err := w.clean(); err != nil {
		return fmt.Errorf("removing an old parent cache: %w", err)
	}
	return nil
}

// writeTail writes what comes behind the records in the file "sections".
func (w *parentWriter) writeTail() error {
	if err := w.put(append(w.head.root.ID[:], w.head.root.Level)); err != nil {
		return err
	}
	sum := w.sum.ID()
	if _, err := w.list.Write(sum[:parentSum]); err != nil {
		return err
	}
	return w.list.Flush()
}

// forgetParent removes a parent cache that turned out to be of no use in the
// middle of a run, so that the next one reads everything.
func (run *run) forgetParent() {
	if err := os.Remove(filepath.Join(run.parentPath(), sectionsName)); err != nil {
		run.warnf("the parent cache has to be removed by hand: %v", err)
	}
}

// discard drops the new cache, unless it was committed; the old one stays.
func (w *parentWriter) discard() {
	if w == nil || w.sections == nil {
		return
	}
	w.sections.Close()
	os.Remove(w.sections.Name())
	if w.blocks == nil {
		return
	}
	w.blocks.Close()
	if w.copies || w.last == nil {
		os.Remove(w.blocks.Name())
	}
}
