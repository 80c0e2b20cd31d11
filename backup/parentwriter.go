package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"restante/blob"
	"restante/snapshot"
)

// A parentWriter writes the next parent cache beside the one in use. What goes
// wrong with it does not keep the backup from going on: commit tells. A nil
// *parentWriter writes nothing.
type parentWriter struct {
	path     string
	f        *os.File
	err      error // the first
	offset   int64
	head     []byte
	block    []byte
	first    snapshot.Key // of the block
	fences   []byte
	files    uint64
	messages uint64
}

// createParent starts the cache that replaces the one in use. A dry run makes none.
func (run *run) createParent() *parentWriter {
	if run.opts.DryRun {
		return nil
	}
	return newParentWriter(run.parentPath(), parentHead{options: run.optionsHash(), session: run.session.ID(),
		started: run.started.Unix(), mailboxes: uint64(len(run.opts.Store.Mailboxes))})
}

func newParentWriter(path string, head parentHead) *parentWriter {
	w := &parentWriter{path: path, head: head.encode()}
	if w.err = w.create(); w.err == nil {
		w.write(w.head)
	}
	return w
}

// create makes the file. What a killed run left goes: nobody else works on
// this store now.
func (w *parentWriter) create() error {
	dir, name := filepath.Split(w.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), name+"-") {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		return err
	}
	w.f, err = os.CreateTemp(dir, name+"-*")
	return err
}

func (w *parentWriter) write(b []byte) {
	if w.err != nil {
		return
	}
	w.offset += int64(len(b))
	_, w.err = w.f.Write(b)
}

// add appends a record; keys ascend. entry is encoded.
func (w *parentWriter) add(it *item, entry []byte) {
	if w == nil || w.err != nil {
		return
	}
	if len(w.block) == 0 {
		w.first = it.key
	}
	b := binary.AppendUvarint(w.block, uint64(len(it.key)))
	b = append(b, it.key...)
	b = append(b, byte(it.role))
	b = binary.AppendUvarint(b, it.st.id.inode)
	b = binary.AppendVarint(b, it.st.id.ctime.Sec)
	b = binary.AppendUvarint(b, uint64(it.st.id.ctime.Nsec))
	b = binary.AppendUvarint(b, uint64(len(entry)))
	w.block = append(b, entry...)
	if it.entry.Kind == snapshot.File {
		w.files++
		w.messages += it.entry.Messages
	}
	if len(w.block) >= parentBlock {
		w.flush()
	}
}

// flush ends the block.
func (w *parentWriter) flush() {
	if len(w.block) == 0 {
		return
	}
	sum := blob.NameOf(w.block)
	w.fences = binary.AppendUvarint(w.fences, uint64(len(w.first)))
	w.fences = append(w.fences, w.first...)
	w.fences = binary.AppendUvarint(w.fences, uint64(w.offset))
	w.fences = binary.AppendUvarint(w.fences, uint64(len(w.block)))
	w.fences = append(w.fences, sum[:parentSum]...)
	w.write(w.block)
	w.block = w.block[:0]
}

// commit puts the cache in its place. It is not synced: one that a crash
// leaves torn fails its checks and is not used.
func (w *parentWriter) commit() error {
	if w == nil {
		return nil
	}
	w.flush()
	numbers := binary.LittleEndian.AppendUint64(nil, uint64(w.offset))
	numbers = binary.LittleEndian.AppendUint64(numbers, w.files)
	numbers = binary.LittleEndian.AppendUint64(numbers, w.messages)
	w.write(w.fences)
	w.write(numbers)
	w.write(frameSum(w.head, w.fences, numbers))
	if w.err == nil {
		w.err = w.f.Close()
	}
	if w.err == nil {
		w.err = os.Rename(w.f.Name(), w.path)
	}
	if w.err != nil {
		return fmt.Errorf("writing the parent cache: %w", w.err)
	}
	w.f = nil
	return nil
}

// discard drops the new cache, unless it was committed; the old one stays.
func (w *parentWriter) discard() {
	if w == nil || w.f == nil {
		return
	}
	w.f.Close()
	os.Remove(w.f.Name())
}
