package restore

import (
	"errors"
	"io/fs"
	"strings"

	"restante/snapshot"
)

// A pending folder gets its metadata when nothing more goes into it.
type pending struct {
	part  int
	key   snapshot.Key
	path  string
	entry *snapshot.Entry // nil if the folder is only on the way to entries
}

// passed reports whether all entries in the folder came before what comes
// after w.
func (d *pending) passed(w *window) bool {
	if w.last || d.part < w.part {
		return true
	}
	return d.key != "" && d.key < w.key && !snapshot.Subtree(d.key).Contains(w.key)
}

// makeFolder makes the folder of an entry, which may be there already.
func (r *runner) makeFolder(s *step) error {
	if s.path != "" {
		if err := r.makeAbove(s); err != nil {
			return err
		}
	}
	return r.enter(pending{s.part, s.rec.Key, s.path, &s.rec.Entry})
}

// makeAbove makes the folder above an entry, if it is no entry itself.
func (r *runner) makeAbove(s *step) error {
	dir, _ := split(s.path)
	if r.known[dir] {
		return nil
	}
	above := snapshot.Key("")
	if i := strings.LastIndexByte(string(s.rec.Key), 0); i >= 0 {
		above = s.rec.Key[:i]
	}
	return r.enter(pending{s.part, above, dir, nil})
}

// enter makes a folder, cleans one that was there, and keeps it in mind.
func (r *runner) enter(d pending) error {
	if d.entry != nil && d.path != "" {
		if err := r.mkdir(d.path); err != nil {
			return err
		}
	}
	f, err := r.t.acquire(d.path, true)
	if err != nil {
		return err
	}
	defer r.t.release(f)
	if r.replace() && !r.known[d.path] {
		r.reuse(f)
	}
	r.folders = append(r.folders, d)
	r.known[d.path] = true
	return nil
}

func (r *runner) mkdir(p string) error {
	dir, name := split(p)
	above, err := r.t.acquire(dir, true)
	if err != nil {
		return err
	}
	defer r.t.release(above)
	if err := above.mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// reuse removes what a killed restore left in a folder, and lets its owner
// write: a finished folder may have a mode that does not.
func (r *runner) reuse(f *folder) {
	if unprivileged() {
		if st, ok, err := f.stat("."); ok && err == nil && st.mode&0o700 != 0o700 {
			_ = f.h.permit(st.mode) // if it fails, what is to go there fails with its reason
		}
	}
	if err := f.sweep(); err != nil {
		r.warn(f.path, err)
	}
}

// finishFolders gives the folders that are done their metadata, those below
// before those above: their mode may lock us out.
func (r *runner) finishFolders(done func(*pending) bool) {
	var keep, finish []pending
	for i := range r.folders {
		if d := &r.folders[i]; done(d) {
			finish = append(finish, *d)
		} else {
			keep = append(keep, *d)
		}
	}
	r.folders = keep
	for i := len(finish) - 1; i >= 0; i-- {
		d := &finish[i]
		delete(r.known, d.path)
		if d.entry == nil {
			continue
		}
		if err := r.finishFolder(d); err != nil {
			r.failed(d.path, err)
		}
	}
}

func (r *runner) finishFolder(d *pending) error {
	f, err := r.t.acquire(d.path, false)
	if err != nil {
		return err
	}
	defer r.t.release(f)
	opts := r.attrs
	opts.clean = true
	var u unset
	if err := f.do("setting metadata of", "", func() error { u = f.h.setSelf(d.entry, opts); return nil }); err != nil {
		return err
	}
	r.madeFolder(d.path, u)
	return nil
}
