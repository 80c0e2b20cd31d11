package backup

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"restante/blob"
	"restante/snapshot"
)

// A sketch is what the cache keeps of a large file besides its entry: how it was
// cut, and what tells that a part of it is still the same. It is a file in the
// folder of the parent cache,
//
//	sketch-PATH-CONTENT
//
// where PATH and CONTENT are the first 8 bytes, in hexadecimal digits, of the keyed
// hashes of the file's key and of its content, so that it belongs to one state of one file:
//
//	"restante sketch 2\n"
//	32 bytes  content hash of the file
//	the segments, each the items of its part of the recipe, as recipes have them
//	the table; for each segment
//	   uvarint: bytes of the file   uvarint: bytes of its items here
//	   32 bytes: keyed hash of its bytes in the file
//	    8 bytes: its lead (see leadOf)
//	   uvarint: messages that begin in it
//	   16 bytes of the BLAKE3 of its items
//	 8 bytes  offset of the table
//	 4 bytes  how the file was cut: 0, by its content; 1, as an mbox; 2, as a dbox file
//	 4 bytes  length of the headers of messages, in a dbox file; else 0
//	16 bytes  of the BLAKE3 of the head, the table and the 16 bytes before
//
// A segment begins and ends where the cutter begins anew, so that what comes
// before and after has no say in its cuts. Numbers of fixed size are little endian.
const (
	sketchMagic  = "restante sketch 2\n"
	sketchPrefix = "sketch-"
	sketchHead   = len(sketchMagic) + blob.IDSize
	sketchFoot   = 8 + 8 + parentSum

	maxSketchTable = 1 << 28 // bytes that are taken seriously
	maxSegmentList = 1 << 24 // bytes of the items of one segment

	// sketchAge is how long a sketch is kept that is of no use to anybody.
	sketchAge = 90 * 24 * time.Hour
)

// A segment is a part of a file that was cut by itself.
type segment struct {
	size     int64
	hash     blob.ID
	lead     uint64
	messages uint64

	offset, length int64 // of its items in the sketch
	sum            [parentSum]byte
}

func (s *segment) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(s.size))
	b = binary.AppendUvarint(b, uint64(s.length))
	b = append(b, s.hash[:]...)
	b = binary.LittleEndian.AppendUint64(b, s.lead)
	b = binary.AppendUvarint(b, s.messages)
	return append(b, s.sum[:]...)
}

// A sketch is open for reading. It serves one goroutine.
type sketch struct {
	f        *os.File
	cut      sketchCut
	segments []segment
}

// A sketchCut says how a file was cut.
type sketchCut struct {
	how   uint32
	frame uint32 // length of the headers of messages in a dbox file
}

const (
	cutByContent uint32 = 0
	cutAsMbox    uint32 = 1
	cutAsDbox    uint32 = 2
)

// sketchPath returns where the sketch of a file is kept.
func (run *run) sketchPath(h *blob.Hasher, key snapshot.Key, content blob.ID) string {
	path := h.Sum([]byte(key))
	return filepath.Join(run.parentPath(), fmt.Sprintf("%s%x-%x", sketchPrefix, path[:8], content[:8]))
}

// openSketch opens the sketch at path if it is whole and tells of this content;
// otherwise it returns nil.
func openSketch(path string, content blob.ID) *sketch {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	s := &sketch{f: f}
	if err := s.read(content); err != nil {
		f.Close()
		return nil
	}
	return s
}

func (s *sketch) close() {
	if s != nil {
		s.f.Close()
	}
}

// read reads the table.
func (s *sketch) read(content blob.ID) error {
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	end := info.Size() - int64(sketchFoot)
	var head [sketchHead]byte
	var foot [sketchFoot]byte
	if end < int64(sketchHead) {
		return errParent
	}
	if _, err := s.f.ReadAt(head[:], 0); err != nil {
		return err
	}
	if _, err := s.f.ReadAt(foot[:], end); err != nil {
		return err
	}
	at := int64(binary.LittleEndian.Uint64(foot[:]))
	if string(head[:]) != sketchMagic+string(content[:]) || at < int64(sketchHead) || at > end || end-at > maxSketchTable {
		return errParent
	}
	table := make([]byte, end-at)
	if _, err := s.f.ReadAt(table, at); err != nil {
		return err
	}
	if sum := sumOf(slices.Concat(head[:], table, foot[:16])); sum != [parentSum]byte(foot[16:]) {
		return errParent
	}
	s.cut = sketchCut{binary.LittleEndian.Uint32(foot[8:]), binary.LittleEndian.Uint32(foot[12:])}
	return s.parse(table, at)
}

// parse takes the table apart; the items of all segments end at end.
func (s *sketch) parse(table []byte, end int64) error {
	at := int64(sketchHead)
	for d := (parentDecoder{b: table}); len(d.b) > 0; {
		g := segment{size: int64(d.uvarint()), length: int64(d.uvarint()), offset: at}
		copy(g.hash[:], d.bytes(blob.IDSize))
		if lead := d.bytes(8); lead != nil {
			g.lead = binary.LittleEndian.Uint64(lead)
		}
		g.messages = d.uvarint()
		copy(g.sum[:], d.bytes(parentSum))
		if d.bad || g.size <= 0 || g.length <= 0 || g.length > maxSegmentList || g.length > end-at {
			return errParent
		}
		at += g.length
		s.segments = append(s.segments, g)
	}
	if at != end {
		return errParent
	}
	return nil
}

// items reads the items of a segment, as they are kept and as they are.
func (s *sketch) items(g *segment) ([]byte, []snapshot.Item, error) {
	b := make([]byte, g.length)
	if _, err := s.f.ReadAt(b, g.offset); err != nil {
		return nil, nil, err
	}
	if sumOf(b) != g.sum {
		return nil, nil, errParent
	}
	items, err := snapshot.DecodeItems(b)
	return b, items, err
}

// A sketchWriter writes a sketch. What goes wrong with it does not keep the
// backup from going on: the file is cut anew next time. A nil *sketchWriter
// writes nothing.
type sketchWriter struct {
	f     *os.File
	out   *bufio.Writer
	at    int64
	table []byte
	err   error // the first
}

// newSketch begins a sketch in the folder of the parent cache. What hinders it is told
// by commit.
func newSketch(dir string) *sketchWriter {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &sketchWriter{err: err}
	}
	f, err := os.CreateTemp(dir, sketchPrefix+"*.new")
	if err != nil {
		return &sketchWriter{err: err}
	}
	w := &sketchWriter{f: f, out: bufio.NewWriterSize(f, 64<<10), at: int64(sketchHead)}
	_, w.err = w.out.Write(make([]byte, sketchHead))
	return w
}

// add adds a segment with these items, encoded.
func (w *sketchWriter) add(g segment, items []byte) {
	if w == nil || w.err != nil {
		return
	}
	g.length, g.sum = int64(len(items)), sumOf(items)
	w.table = g.append(w.table)
	w.at += g.length
	_, w.err = w.out.Write(items)
}

// commit gives the sketch its name.
func (w *sketchWriter) commit(path string, content blob.ID, cut sketchCut) error {
	head := append([]byte(sketchMagic), content[:]...)
	foot := binary.LittleEndian.AppendUint64(nil, uint64(w.at))
	foot = binary.LittleEndian.AppendUint32(foot, cut.how)
	foot = binary.LittleEndian.AppendUint32(foot, cut.frame)
	sum := sumOf(slices.Concat(head, w.table, foot))
	for _, part := range [][]byte{w.table, foot, sum[:]} {
		if w.err == nil {
			_, w.err = w.out.Write(part)
		}
	}
	if w.err == nil {
		w.err = w.out.Flush()
	}
	if w.err == nil {
		_, w.err = w.f.WriteAt(head, 0)
	}
	if w.err == nil {
		w.err = w.f.Close()
	}
	if w.err == nil {
		w.err = os.Rename(w.f.Name(), path)
	}
	if w.err == nil {
		w.f = nil
	}
	return w.err
}

// discard removes a sketch that was not committed.
func (w *sketchWriter) discard() {
	if w != nil && w.f != nil {
		w.f.Close()
		os.Remove(w.f.Name())
	}
}

// sketches are those that a run wrote.
type sketches struct {
	mu    sync.Mutex
	names map[string]string // by sketchFile; under mu
}

func (s *sketches) note(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil {
		s.names = map[string]string{}
	}
	name := filepath.Base(path)
	s.names[sketchFile(name)] = name
}

// clean removes what the run's sketches replace, what killed runs left, and
// what has been of no use for long.
func (s *sketches) clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		kept, replaced := s.names[sketchFile(name)]
		if !strings.HasPrefix(name, sketchPrefix) || name == kept {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // it has gone
		}
		if strings.HasSuffix(name, ".new") || replaced || time.Since(info.ModTime()) > sketchAge {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sketchFile returns what the name of a sketch says of its file's key.
func sketchFile(name string) string {
	file, _, _ := strings.Cut(strings.TrimPrefix(name, sketchPrefix), "-")
	return file
}
