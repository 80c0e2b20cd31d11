package restore

import (
	"bytes"
	"context"
	"errors"
	"io"

	"restante/blob"
	"restante/snapshot"
)

// identical reports whether a file's bytes are those of its entry, by the IDs
// of its pieces. Its size has been compared.
func (k *worker) identical(e *snapshot.Entry, r io.ReaderAt) (bool, error) {
	for it, err := range snapshot.Items(k.ctx, k.r.src, &e.Recipe, 0) {
		if err != nil {
			return false, err
		}
		want, literal := it.Piece.ID, it.Literal
		if it.Kind == snapshot.Base64Item {
			want = it.Base64.RawHash
		}
		if it.Kind == snapshot.LiteralItem {
			data, err := k.read(r, int64(it.Offset), it.Length())
			if err != nil || !bytes.Equal(data, literal) {
				return false, notShort(err)
			}
			continue
		}
		sum, err := k.sum(r, int64(it.Offset), it.Length())
		if err != nil || sum != want {
			return false, notShort(err)
		}
	}
	return true, nil
}

// notShort takes the end of a file, which only makes it another one, for no error.
func notShort(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// readStep is how much of a file is read at once; no literal is longer.
const readStep = 256 << 10

// read returns n bytes from an offset, at most readStep, valid until the next call.
func (k *worker) read(r io.ReaderAt, off int64, n uint64) ([]byte, error) {
	if k.buf == nil {
		k.buf = make([]byte, readStep)
	}
	p := k.buf[:n]
	_, err := r.ReadAt(p, off)
	return p, err
}

// sum returns the keyed hash of n bytes from an offset.
func (k *worker) sum(r io.ReaderAt, off int64, n uint64) (blob.ID, error) {
	k.h.Begin()
	for n > 0 && k.ctx.Err() == nil {
		step := min(n, readStep)
		p, err := k.read(r, off, step)
		if err != nil {
			return blob.ID{}, err
		}
		_, _ = k.h.Write(p) // it never fails
		off, n = off+int64(step), n-step
	}
	return k.h.ID(), k.ctx.Err()
}

// resume looks whether a file is there already, and if so brings its metadata in line.
func (k *worker) resume(ctx context.Context, f *file) {
	in, err := k.r.t.acquire(f.dir, false)
	if err != nil {
		k.r.fail(f, err)
		return
	}
	defer k.r.t.release(in)
	e := f.entry
	st, ok, err := in.stat(f.name)
	if err != nil {
		k.r.fail(f, err)
		return
	}
	// A further name that the snapshot does not know of may be one outside.
	if !ok || st.kind != snapshot.File || st.size != e.Size || st.mtime != e.Mtime || st.links > 1 && e.Link == (snapshot.LinkID{}) {
		return
	}
	out, err := in.openRead(f.name)
	if err != nil {
		return // it may be unreadable: it is written anew
	}
	defer out.Close()
	if same, err := k.identical(e, out); err != nil || !same || ctx.Err() != nil {
		return // what is wrong with its recipe will show again
	}
	var u unset
	opts := k.r.attrs
	opts.clean = true
	err = in.do("setting metadata of", f.name, func() error {
		u = in.h.setFile(out.sysFile, f.name, e, opts)
		return nil
	})
	if err != nil {
		k.r.fail(f, err)
		return
	}
	if e.Link != (snapshot.LinkID{}) {
		_ = k.r.links.add(e.Link, in, f.name) // as in complete
	}
	k.r.skipped(f, u)
}
