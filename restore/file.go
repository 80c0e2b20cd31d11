package restore

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"restante/snapshot"
)

// A file is a regular file on its way.
type file struct {
	path, dir, name string
	entry           *snapshot.Entry
	planErr         error // its recipe cannot be read; set before the window that has the file among its ends

	// Of the goroutine that runs windows, while no worker works:
	active bool // it is to be written

	left  atomic.Int64 // segments to be done, and one until the file ends
	holes atomic.Bool  // some of it, perhaps the end, was not written for it is zeros

	mu   sync.Mutex // for what follows
	temp string     // name of the temporary file; "" if it is not there
	done bool       // it has its name
	err  error      // why it cannot be restored
}

func newFile(s step) *file {
	f := &file{path: s.path, entry: &s.rec.Entry}
	f.dir, f.name = split(s.path)
	f.left.Store(1)
	return f
}

func (f *file) failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err != nil
}

// A part is some of a segment's bytes.
type part struct {
	off  uint64 // in the file
	data []byte
}

// An assembly is where a segment is put together.
type assembly struct {
	live bool // its file is to be written; set while no worker works

	mu     sync.Mutex // for what follows
	left   int        // pieces still to come
	parts  []part     // pieces that wait for the others, in memory of their own
	inFile bool       // the pieces that came are in the temporary file, and so are the literals
}

// maxAssembled is the largest segment that is put together in memory.
const maxAssembled = 2 * segmentBytes

// open returns the temporary file of f, made if it is not there. A worker
// keeps the last one open: pieces of one file tend to come together. Alone
// says that no other worker will have to do with the file: then it needs no
// name before it is done.
func (k *worker) open(f *file, alone bool) (*outFile, error) {
	if k.file == f {
		return k.out, nil
	}
	k.closeFile()
	in, err := k.r.t.acquire(f.dir, false)
	if err != nil {
		return nil, err
	}
	defer k.r.t.release(in)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	out, err := k.openIn(f, in, alone)
	if err != nil {
		return nil, err
	}
	k.file, k.out = f, out
	return out, nil
}

// openIn is open where the folder is known and the file is locked.
func (k *worker) openIn(f *file, in *folder, alone bool) (*outFile, error) {
	if f.temp != "" {
		return in.reopen(f.temp)
	}
	if alone {
		out, err := in.createNameless(f.name)
		if !errors.Is(err, errors.ErrUnsupported) {
			return out, err
		}
	}
	name := k.r.t.temp()
	out, err := in.create(name)
	if err == nil {
		f.temp = name
	}
	return out, err
}

func (k *worker) closeFile() {
	if k.file != nil {
		if err := k.out.close(); err != nil {
			k.r.fail(k.file, err) // some file systems say only here that a write failed
		}
		k.file, k.out = nil, nil
	}
}

// put takes in the bytes of one piece, checked. They are the clump's, whose
// memory is used again when put returns.
func (k *worker) put(n *need, data []byte) {
	s, p := n.seg, part{n.off, data}
	if s.file.failed() {
		return
	}
	s.mu.Lock()
	s.left--
	last := s.left == 0
	var err error
	if !last || s.inFile {
		err = k.keep(s, p)
	}
	s.mu.Unlock()
	if err != nil {
		k.r.fail(s.file, err)
	} else if last {
		k.finish(s, p)
	}
}

// keep keeps a part until the others come: in memory while there is room, else
// in the file. The segment is locked.
func (k *worker) keep(s *segment, p part) error {
	n := int64(len(p.data))
	if !s.inFile && s.size <= maxAssembled {
		if uint64(k.r.held.Add(n)) <= k.r.opts.limits.held {
			s.parts = append(s.parts, part{p.off, bytes.Clone(p.data)})
			return nil
		}
		k.r.held.Add(-n)
	}
	out, err := k.open(s.file, false)
	if err == nil && !s.inFile {
		err = k.spill(s, out)
	}
	if err == nil {
		err = s.writeAt(out, p.data, p.off)
	}
	return err
}

// minHole is how long a run of zeros must be to be left out.
const minHole = 64 << 10

// writeAt writes data at an offset of the segment's file. Many zeros become a
// hole, as they may have been one; not where lines are to be made of them.
func (s *segment) writeAt(out *outFile, data []byte, off uint64) error {
	if len(data) >= minHole && len(s.base64) == 0 && zeros(data) {
		s.file.holes.Store(true)
		return nil
	}
	_, err := out.WriteAt(data, int64(off))
	return err
}

func zeros(data []byte) bool {
	return data[0] == 0 && bytes.Equal(data[1:], data[:len(data)-1])
}

// spill moves what is there of a segment to its file. The segment is locked.
func (k *worker) spill(s *segment, out *outFile) error {
	s.inFile = true
	for _, l := range s.literals {
		if _, err := out.WriteAt(l.data, int64(l.off)); err != nil {
			return err
		}
	}
	for _, p := range s.parts {
		if err := s.writeAt(out, p.data, p.off); err != nil {
			return err
		}
	}
	k.drop(s)
	return nil
}

// drop gives the memory of a segment's parts back. The segment is locked.
func (k *worker) drop(s *segment) {
	for _, p := range s.parts {
		k.r.held.Add(-int64(len(p.data)))
	}
	s.parts = nil
}

// finish writes a segment that has all its pieces; p is the last one.
func (k *worker) finish(s *segment, p part) {
	err := k.write(s, p)
	if err != nil {
		k.r.fail(s.file, err)
		return
	}
	k.r.wrote(s.size)
	if s.file.left.Add(-1) == 0 {
		k.complete(s.file)
	}
}

func (k *worker) write(s *segment, p part) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size > maxAssembled && !s.inFile { // of literals, or one piece
		if err := k.keep(s, p); err != nil {
			return err
		}
	}
	if s.inFile {
		out, err := k.open(s.file, false)
		if err != nil {
			return err
		}
		return k.base64(s, out, 0)
	}
	data, err := k.assemble(s, p)
	k.drop(s)
	if err != nil {
		return err
	}
	out, err := k.open(s.file, s.file.left.Load() == 1)
	if err != nil {
		return err
	}
	return s.writeAt(out, data, s.off)
}

// assemble returns the bytes of a segment, valid until the next call. The
// segment is locked.
func (k *worker) assemble(s *segment, last part) ([]byte, error) {
	if uint64(len(last.data)) == s.size {
		return last.data, nil // all of it is one piece
	}
	k.whole = slices.Grow(k.whole[:0], int(s.size))[:s.size]
	whole := k.whole
	for _, l := range s.literals {
		copy(whole[l.off-s.off:], l.data)
	}
	for _, p := range append(s.parts, last) {
		copy(whole[p.off-s.off:], p.data)
	}
	return whole, k.base64(s, memory(whole), s.off)
}

// base64 makes the lines of a segment's base64 items in the room, which
// begins at an offset of the file.
func (k *worker) base64(s *segment, r room, begin uint64) error {
	for _, e := range s.base64 {
		if err := k.lines(r, int64(e.off-begin), e.form); err != nil {
			return err
		}
	}
	return nil
}

// complete gives a file that is all written its metadata and its name.
func (k *worker) complete(f *file) {
	out, err := k.open(f, true)
	if err != nil {
		k.r.fail(f, err)
		return
	}
	in, err := k.r.t.acquire(f.dir, false)
	if err != nil {
		k.r.fail(f, err)
		return
	}
	defer k.r.t.release(in)
	u, err := k.name(f, in, out)
	if err != nil {
		k.r.fail(f, err)
		return
	}
	if f.entry.Link != (snapshot.LinkID{}) {
		// If it fails, the others of the group become copies and are named then.
		_ = k.r.links.add(f.entry.Link, in, f.name)
	}
	k.r.completed(f, u)
}

func (k *worker) name(f *file, in *folder, out *outFile) (u unset, err error) {
	if f.holes.Load() {
		if err := out.resize(int64(f.entry.Size)); err != nil {
			return u, err
		}
	}
	if k.r.opts.Verify {
		same, err := k.identical(f.entry, out)
		if err != nil {
			return u, err
		}
		if !same {
			return u, errors.New("read again, it is other than what was written")
		}
	}
	opts := k.r.attrs
	opts.clean = in.inherits
	err = in.do("setting metadata of", cmp.Or(f.temp, f.name), func() error {
		u = in.h.setFile(out.sysFile, f.temp, f.entry, opts)
		return nil
	})
	if err != nil {
		return u, err
	}
	k.file, k.out = nil, nil
	if f.temp == "" {
		err = errors.Join(in.giveName(out, k.r.replace()), out.close())
	} else if err = out.close(); err == nil {
		err = in.rename(f.temp, f.name, k.r.replace())
	}
	if err != nil {
		return u, err
	}
	f.mu.Lock()
	f.temp, f.done = "", true
	f.mu.Unlock()
	return u, nil
}
