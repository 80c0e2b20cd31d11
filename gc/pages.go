package gc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"restante/blob"
)

// errTimeUp ends the reading of pages after Options.MaxDuration. What was read
// is in the page memo, so that the next prune goes on from there.
var errTimeUp = errors.New("the time for this prune is over")

// A pageMemo is what a prune that is stopped after some time leaves to the next one: what the
// pages refer to that it has read. A page's ID stands for its content, so this stays
// right whatever happens in the repository. It is a file of records, each
//
//	1 byte      level of the page
//	1 byte      1 for a page of a tree, 2 for one of a list
//	32 bytes    ID of the page
//	4 bytes     number of what it refers to, each 34 bytes as above; 0, 0 and an ID for a
//	            piece of a file
//	32 bytes    BLAKE3 of all these
//
// A record that is cut off or damaged ends what is read of it. A nil *pageMemo
// remembers nothing.
type pageMemo struct {
	f   *os.File
	at  map[ref]int64 // where the records are
	end int64         // of those that are right, and of what was written
	out *bufio.Writer
}

const (
	refSize = 2 + blob.IDSize
	// maxRefs bounds a record: a page refers to fewer.
	maxRefs = 1 << 20
)

// openPageMemo opens the memo in the file, which is made if need be.
func openPageMemo(path string) (*pageMemo, error) {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("noting which pages were read (choose another folder with --cache-dir): %w", err)
	}
	m := &pageMemo{f: f, at: map[ref]int64{}}
	in := bufio.NewReaderSize(f, 256<<10)
	for {
		name, _, size, err := readReferred(in)
		if err != nil {
			break // what is behind it is written again
		}
		m.at[name] = m.end
		m.end += size
	}
	m.out = bufio.NewWriterSize(io.NewOffsetWriter(f, m.end), 256<<10)
	return m, nil
}

// close keeps what was noted for the next prune, or with done removes it.
func (m *pageMemo) close(done bool) error {
	if m == nil {
		return nil
	}
	if done {
		return errors.Join(m.f.Close(), os.Remove(m.f.Name()))
	}
	return errors.Join(m.out.Flush(), m.f.Truncate(m.end), m.f.Close())
}

// get returns what a page refers to, if it is known.
func (m *pageMemo) get(page ref) (refs []ref, known bool) {
	if m == nil {
		return nil, false
	}
	at, ok := m.at[page]
	if !ok {
		return nil, false
	}
	got, refs, _, err := readReferred(bufio.NewReader(io.NewSectionReader(m.f, at, m.end-at)))
	return refs, err == nil && got == page
}

// put notes what a page refers to. get does not find it: no page is read twice in one prune.
func (m *pageMemo) put(page ref, refs []ref) error {
	if m == nil {
		return nil
	}
	b := page.append(make([]byte, 0, (1+len(refs))*refSize+4+blob.IDSize))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(refs)))
	for _, r := range refs {
		b = r.append(b)
	}
	sum := blob.NameOf(b)
	b = append(b, sum[:]...)
	m.end += int64(len(b))
	if _, err := m.out.Write(b); err != nil {
		return fmt.Errorf("noting which pages were read (choose another folder with --cache-dir): %w", err)
	}
	return nil
}

func (r ref) append(b []byte) []byte {
	kind := byte(0)
	switch {
	case r.list:
		kind = 2
	case r.page:
		kind = 1
	}
	return append(append(b, r.level, kind), r.id[:]...)
}

func parseRef(b []byte) ref {
	return ref{id: blob.ID(b[2:refSize]), level: b[0], page: b[1] > 0, list: b[1] > 1}
}

var errPageMemo = errors.New("the record is malformed")

// readReferred reads a record, and returns its length too.
func readReferred(in io.Reader) (page ref, refs []ref, size int64, err error) {
	head := make([]byte, refSize+4)
	if _, err := io.ReadFull(in, head); err != nil {
		return ref{}, nil, 0, err
	}
	n := binary.LittleEndian.Uint32(head[refSize:])
	if n > maxRefs {
		return ref{}, nil, 0, errPageMemo
	}
	rest := make([]byte, int(n)*refSize+blob.IDSize)
	if _, err := io.ReadFull(in, rest); err != nil {
		return ref{}, nil, 0, err
	}
	body := rest[:len(rest)-blob.IDSize]
	if blob.NameOf(slices.Concat(head, body)) != blob.ID(rest[len(body):]) {
		return ref{}, nil, 0, errPageMemo
	}
	for part := range slices.Chunk(body, refSize) {
		refs = append(refs, parseRef(part))
	}
	return parseRef(head), refs, int64(len(head) + len(rest)), nil
}
