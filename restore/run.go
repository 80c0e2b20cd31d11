package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"restante/blob"
	"restante/snapshot"
)

// A runner restores windows, one after the other.
type runner struct {
	src   Source
	key   blob.Key
	opts  Options
	attrs attrOptions
	t     *target
	links links
	stop  context.CancelCauseFunc // ends the run

	workers []*worker
	held    atomic.Int64 // bytes of parts in memory

	// Of the goroutine that runs windows:
	folders []pending          // in the order of their entries
	known   map[string]bool    // paths of folders
	active  map[*file]struct{} // files begun and not done

	mu       sync.Mutex // for what follows, and for the calls of Progress and Warn
	result   Result
	progress Progress
}

func newRunner(src Source, key blob.Key, opts Options, t *target) *runner {
	r := &runner{
		src: src, key: key, opts: opts, t: t, links: links{t: t},
		attrs: attrOptions{noOwner: opts.NoOwner, selinux: opts.SELinux},
		known: map[string]bool{}, active: map[*file]struct{}{},
	}
	for range opts.Workers {
		h := blob.NewHasher(key)
		r.workers = append(r.workers, &worker{r: r, h: h, lineMaker: lineMaker{h: h}})
	}
	return r
}

// replace reports whether what is there gives way.
func (r *runner) replace() bool { return r.opts.Overwrite || r.opts.Resume }

// run restores what the planner plans. However it ends, no temporary file and
// no goroutine is left.
func (r *runner) run(parent context.Context, p *planner) error {
	ctx, stop := context.WithCancelCause(parent)
	defer stop(nil)
	r.stop = stop
	windows := make(chan *window)
	var planning sync.WaitGroup
	planning.Go(func() {
		if err := p.run(ctx, windows); err != nil {
			stop(err)
		}
	})
	for w := range windows {
		if ctx.Err() == nil {
			r.window(ctx, w)
		}
	}
	planning.Wait()
	for f := range r.active {
		r.discard(f)
	}
	if err := r.links.close(); err != nil {
		r.warn("", err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("restoring to %q: %w", r.t.path, context.Cause(ctx))
	}
	r.finishFolders(func(*pending) bool { return true })
	return nil
}

// window restores one window.
func (r *runner) window(ctx context.Context, w *window) {
	b := r.prepare(w)
	if r.opts.Resume {
		r.parallel(ctx, []int{len(b.begun)}, func(k *worker, i int) { k.resume(ctx, b.begun[i]) })
	}
	r.round(ctx, w, func(f *file) bool { return f.active })
	copies := map[*file]error{} // and why they are no links
	for _, f := range b.linked {
		if ctx.Err() != nil {
			break
		}
		if linked, why := r.linkFile(f); !linked {
			copies[f], f.active = why, true
			r.active[f] = struct{}{}
		}
	}
	if len(copies) > 0 {
		r.round(ctx, w, func(f *file) bool { return copies[f] != nil })
	}
	for f, why := range copies {
		if f.done {
			r.warn(f.path, fmt.Errorf("restored as a copy instead of a hard link: %w", why))
		}
	}
	for _, s := range b.nodes {
		if ctx.Err() == nil {
			r.node(s)
		}
	}
	for f := range r.active {
		if f.done || f.err != nil {
			r.discard(f)
		}
	}
	r.finishFolders(func(d *pending) bool { return d.path != "" && d.passed(w) })
}

// A batch is what there is to do in a window.
type batch struct {
	begun  []*file // to be written
	linked []*file // to be linked to a file of their group, which is there or begun
	nodes  []*step
}

// prepare makes the window's folders and sorts its other entries.
func (r *runner) prepare(w *window) batch {
	var b batch
	groups := map[snapshot.LinkID]bool{}
	for f := range r.active {
		groups[f.entry.Link] = true
	}
	for i := range w.steps {
		s := &w.steps[i]
		if s.lost > 0 {
			r.lost(s)
			continue
		}
		if err := r.prepareStep(s); err != nil {
			r.failed(s.path, err)
			continue
		}
		switch {
		case s.rec.Entry.Kind == snapshot.Dir:
		case s.file == nil:
			b.nodes = append(b.nodes, s)
		case r.follows(s.file, groups):
			b.linked = append(b.linked, s.file)
		default:
			s.file.active = true
			r.active[s.file] = struct{}{}
			b.begun = append(b.begun, s.file)
		}
	}
	return b
}

// prepareStep makes a folder, or the one above anything else.
func (r *runner) prepareStep(s *step) error {
	e := &s.rec.Entry
	switch {
	case s.err != nil:
		return s.err
	case e.Kind == snapshot.Unsaved:
		return fmt.Errorf("it could not be saved: %s", e.Reason)
	case e.Kind == snapshot.Dir:
		return r.makeFolder(s)
	case s.path == "":
		return errors.New("it would take the place of the target, but is no folder")
	}
	return r.makeAbove(s)
}

// follows reports whether the file is to be linked to another one. If not it
// is the first of its group.
func (r *runner) follows(f *file, groups map[snapshot.LinkID]bool) bool {
	id := f.entry.Link
	if id == (snapshot.LinkID{}) {
		return false
	}
	if groups[id] {
		return true
	}
	groups[id] = true
	_, found, err := r.links.find(id)
	return found && err == nil
}

// linkFile links a file to the one of its group. It reports false, and why,
// when the file has to become a copy.
func (r *runner) linkFile(f *file) (linked bool, why error) {
	state, err := r.link(f.entry.Link, f.dir, f.name)
	switch {
	case errors.Is(err, fs.ErrExist):
		r.failed(f.path, err)
		return true, nil
	case err == nil && state != linkNone:
		r.linked(f, state)
		return true, nil
	case err == nil:
		err = errors.New("the file it is a hard link of could not be restored")
	}
	return false, err
}

// A linkState says what became of a hard link.
type linkState int

const (
	linkNone  linkState = iota // the group has no file yet
	linkMade                   // it was made
	linkThere                  // it was there
)

// link gives the file of a group a further name.
func (r *runner) link(id snapshot.LinkID, dir, name string) (linkState, error) {
	first, found, err := r.links.find(id)
	if err != nil || !found {
		return linkNone, err
	}
	in, err := r.t.acquire(dir, false)
	if err != nil {
		return linkNone, err
	}
	defer r.t.release(in)
	if r.opts.Resume {
		if st, ok, err := in.stat(name); err == nil && ok && st.sameFile(first) {
			return linkThere, nil
		}
	}
	return linkMade, r.links.use(id, in, name, r.replace())
}

// node makes a symbolic link, FIFO, socket or device.
func (r *runner) node(s *step) {
	dir, name := split(s.path)
	e := &s.rec.Entry
	if e.Link != (snapshot.LinkID{}) {
		if state, err := r.link(e.Link, dir, name); err == nil && state != linkNone {
			r.madeNode(s.path, unset{})
			return
		}
	}
	in, err := r.t.acquire(dir, false)
	if err != nil {
		r.failed(s.path, err)
		return
	}
	defer r.t.release(in)
	u, err := r.makeNode(in, name, e)
	if err != nil {
		r.failed(s.path, err)
		return
	}
	if e.Link != (snapshot.LinkID{}) {
		_ = r.links.add(e.Link, in, name) // if it fails, the next of the group is made anew
	}
	r.madeNode(s.path, u)
}

func (r *runner) makeNode(in *folder, name string, e *snapshot.Entry) (u unset, err error) {
	temp := r.t.temp()
	err = in.do("making "+e.Kind.String(), name, func() error {
		if e.Kind == snapshot.Symlink {
			return in.h.symlink(e.Target, temp)
		}
		return in.h.node(temp, e)
	})
	if err != nil {
		return u, err
	}
	err = in.do("setting metadata of", name, func() error { u = in.h.setNode(temp, e, r.attrs); return nil })
	if err == nil {
		err = in.rename(temp, name, r.replace())
	}
	if err != nil {
		_ = in.remove(temp) // the error that matters is the first
	}
	return u, err
}

// discard forgets a file that is done, or removes its temporary file.
func (r *runner) discard(f *file) {
	delete(r.active, f)
	if f.temp == "" {
		return
	}
	in, err := r.t.acquire(f.dir, false)
	if err == nil {
		err = in.remove(f.temp)
		r.t.release(in)
	}
	if err != nil {
		r.warn(f.path, err)
	}
	f.temp = ""
}

// unprivileged reports whether modes bind this user.
func unprivileged() bool { return os.Geteuid() != 0 }
