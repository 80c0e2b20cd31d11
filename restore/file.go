package restore

import (
	"cmp"
	"errors"
	"fmt"
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

	left atomic.Int64 // segments to be done, and one until the file ends

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

// An assembly is where a segment is put together.
type assembly struct {
	live bool // its file is to be written; set while no worker works

	mu     sync.Mutex // for what follows
	left   int        // pieces still to come
	buf    []byte     // the segment, if it is put together in memory
	held   uint64     // bytes of buf that count against the limit
	inFile bool       // it is put together in the temporary file
}

// wholly reports whether the segment is the bytes of one piece.
func (s *segment) wholly(data []byte) bool {
	return s.pieces == 1 && len(s.literals) == 0 && len(s.base64) == 0 && s.size == uint64(len(data))
}

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

// put takes in the bytes of one piece, checked.
func (k *worker) put(n *need, data []byte) {
	s := n.seg
	if s.file.failed() {
		return
	}
	s.mu.Lock()
	err := k.place(s, n.off, data)
	s.left--
	last := s.left == 0
	s.mu.Unlock()
	if err != nil {
		k.r.fail(s.file, err)
	} else if last {
		k.finish(s)
	}
}

// place puts data at an offset of the file. The segment is locked.
func (k *worker) place(s *segment, off uint64, data []byte) error {
	if s.wholly(data) {
		s.buf = data
		return nil
	}
	r, base, err := k.room(s)
	if err != nil {
		return err
	}
	_, err = r.WriteAt(data, int64(off-base))
	return err
}

// room returns where the segment is put together, and which offset of the
// file its offset 0 is. The first call decides where, and puts the literals in.
func (k *worker) room(s *segment) (room, uint64, error) {
	begins := s.buf == nil && !s.inFile
	if begins {
		if uint64(k.r.held.Add(int64(s.size))) <= k.r.opts.limits.held {
			s.buf, s.held = k.r.buffers.get(int(s.size)), s.size
		} else {
			k.r.held.Add(-int64(s.size))
			s.inFile = true
		}
	}
	r, base := room(memory(s.buf)), s.off
	if s.inFile {
		out, err := k.open(s.file, false)
		if err != nil {
			return nil, 0, err
		}
		r, base = out, 0
	}
	if begins {
		for _, it := range s.literals {
			if _, err := r.WriteAt(it.Literal, int64(it.Offset-base)); err != nil {
				return nil, 0, err
			}
		}
	}
	return r, base, nil
}

// finish writes a segment that has all its pieces.
func (k *worker) finish(s *segment) {
	err := k.write(s)
	if err != nil {
		k.r.fail(s.file, err)
		return
	}
	k.r.wrote(s.size)
	if s.file.left.Add(-1) == 0 {
		k.complete(s.file)
	}
}

var errLines = fmt.Errorf("%w: its base64 lines come out other than they were", ErrDamaged)

func (k *worker) write(s *segment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buf == nil || len(s.base64) > 0 {
		r, base, err := k.room(s)
		if err != nil {
			return err
		}
		for i := range s.base64 {
			if err := k.lines(r, int64(s.base64[i].Offset-base), s.base64[i].Base64); err != nil {
				return err
			}
		}
	}
	if s.inFile {
		return nil
	}
	out, err := k.open(s.file, s.file.left.Load() == 1)
	if err != nil {
		return err
	}
	_, err = out.WriteAt(s.buf, int64(s.off))
	if s.held > 0 {
		k.r.held.Add(-int64(s.held))
		k.r.buffers.put(s.buf)
	}
	s.buf, s.held = nil, 0
	return err
}

// lines makes the lines of a base64 item in place and checks them.
func (k *worker) lines(r room, at int64, b *snapshot.Base64) error {
	if err := k.lineMaker.make(r, at, b); err != nil {
		return err
	}
	sum, err := k.sum(r, at, b.RawLength())
	if err == nil && sum != b.RawHash {
		err = errLines
	}
	return err
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
