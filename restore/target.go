package restore

import (
	"container/list"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"restante/snapshot"
)

// openFolders is how many folders not in use are kept open.
const openFolders = 256

// A target is the folder that a restore writes into. Paths below it are
// relative, clean and joined by "/"; the empty path is the target itself.
// Every folder on the way is opened by its name in the folder above, and a
// symbolic link is never followed, so that nothing outside is reached.
type target struct {
	path     string
	nameless atomic.Bool // whether files may be made without a name

	run  string // tells the names of this run's temporary files from others'
	next atomic.Uint64
	hook func(op, path string) error // nil but in tests: called before each operation

	mu   sync.Mutex // for what follows
	root *folder
	open map[string]*folder
	idle *list.List // of *folder with no users, most recent first
}

// A folder is an open folder of the target.
type folder struct {
	t        *target
	h        handle
	path     string
	inherits bool // files made in it get an access list from it

	users int           // guarded by t.mu
	idle  *list.Element // guarded by t.mu; nil while there are users
}

// newTarget opens the folder at dir, which is there.
func newTarget(dir string, hook func(op, path string) error) (*target, error) {
	h, err := openTarget(dir)
	if err != nil {
		return nil, fmt.Errorf("opening target %q: %w", dir, err)
	}
	var run [8]byte
	rand.Read(run[:])
	t := &target{path: dir, run: hex.EncodeToString(run[:]), hook: hook, open: map[string]*folder{}, idle: list.New()}
	t.nameless.Store(canNameless())
	t.root = &folder{t: t, h: h, inherits: h.inherits(), users: 1}
	return t, nil
}

func (t *target) close() {
	for _, f := range t.open {
		_ = f.h.close() // it was only read
	}
	_ = t.root.h.close()
}

// Names of temporary files and of the folder of links, which only restores
// make: tempPrefix, 16 hexadecimal digits that name the run, "-", a number,
// tempSuffix.
const (
	tempPrefix = ".restante-"
	tempSuffix = ".tmp"
)

// temp returns a name that nothing has yet.
func (t *target) temp() string {
	return tempPrefix + t.run + "-" + strconv.FormatUint(t.next.Add(1), 36) + tempSuffix
}

// isLeftover reports whether name is that of a temporary file of another run.
func (t *target) isLeftover(name string) bool {
	rest, ok := strings.CutPrefix(name, tempPrefix)
	if !ok || len(rest) < 17 || rest[16] != '-' || !strings.HasSuffix(rest, tempSuffix) {
		return false
	}
	_, err := hex.DecodeString(rest[:16])
	return err == nil && rest[:16] != t.run
}

// checkPath refuses a path that is not clean and relative, or whose elements
// no folder can have.
func checkPath(p string) error {
	if p == "" {
		return nil
	}
	for e := range strings.SplitSeq(p, "/") {
		switch {
		case e == "" || e == "." || e == "..":
			return fmt.Errorf("its path has the element %q, which could lead out of the target", e)
		case strings.IndexByte(e, 0) >= 0:
			return errors.New("its path holds a NUL")
		}
	}
	return nil
}

// split cuts the last element off a path.
func split(p string) (dir, name string) {
	dir, name = path.Split(p)
	return strings.TrimSuffix(dir, "/"), name
}

// acquire opens the folder at p, making it and those on its way if create is
// set. It is in use until released.
func (t *target) acquire(p string, create bool) (*folder, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.acquireLocked(p, create)
}

func (t *target) acquireLocked(p string, create bool) (*folder, error) {
	if p == "" {
		return t.root, nil // its users are not counted: it stays open
	}
	if f := t.open[p]; f != nil {
		if f.users++; f.idle != nil {
			t.idle.Remove(f.idle)
			f.idle = nil
		}
		return f, nil
	}
	dir, name := split(p)
	above, err := t.acquireLocked(dir, create)
	if err != nil {
		return nil, err
	}
	defer t.releaseLocked(above)
	h, err := above.openDir(name)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err := above.mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		h, err = above.openDir(name)
	}
	if err != nil {
		return nil, err
	}
	f := &folder{t: t, h: h, path: p, inherits: h.inherits(), users: 1}
	t.open[p] = f
	return f, nil
}

func (t *target) release(f *folder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.releaseLocked(f)
}

func (t *target) releaseLocked(f *folder) {
	if f == t.root {
		return
	}
	if f.users--; f.users > 0 {
		return
	}
	f.idle = t.idle.PushFront(f)
	if t.idle.Len() > openFolders {
		oldest := t.idle.Remove(t.idle.Back()).(*folder)
		delete(t.open, oldest.path)
		_ = oldest.h.close() // it was only read
	}
}

// do runs one operation on name in the folder, and names it in an error.
func (f *folder) do(op, name string, fn func() error) error {
	var err error
	if f.t.hook != nil {
		err = f.t.hook(op, path.Join(f.path, name))
	}
	if err == nil {
		err = fn()
	}
	if err == nil {
		return nil
	}
	p := path.Join(f.t.path, f.path, name)
	if inTheWay(err) {
		return fmt.Errorf("%s %q: something that is no folder, such as a symbolic link, is in the way: %w", op, p, err)
	}
	return fmt.Errorf("%s %q: %w", op, p, err)
}

func (f *folder) openDir(name string) (h handle, err error) {
	err = f.do("opening folder", name, func() error { h, err = f.h.openDir(name); return err })
	return h, err
}

func (f *folder) mkdir(name string) error {
	return f.do("making folder", name, func() error { return f.h.mkdir(name) })
}

func (f *folder) rename(from, to string, replace bool) error {
	return f.do("renaming into place", to, func() error {
		if replace {
			return f.h.rename(from, to)
		}
		return f.h.renameNew(from, to)
	})
}

func (f *folder) remove(name string) error {
	return f.do("removing", name, func() error { return f.h.remove(name) })
}

func (f *folder) link(from *folder, fromName, name string) error {
	return f.do("linking", name, func() error { return f.h.link(from.h, fromName, name) })
}

// stat returns no error, and false, when nothing has the name.
func (f *folder) stat(name string) (i info, ok bool, err error) {
	err = f.do("looking at", name, func() error { i, err = f.h.stat(name); return err })
	if errors.Is(err, fs.ErrNotExist) {
		return i, false, nil
	}
	return i, err == nil, err
}

// An outFile is an open file of the target.
type outFile struct {
	sysFile
	in   *folder
	name string
}

func (f *folder) create(name string) (*outFile, error) {
	out := &outFile{in: f, name: name}
	err := f.do("making file", name, func() (err error) { out.sysFile, err = f.h.create(name); return err })
	return out, err
}

// createNameless makes a file that is to be called name, but is not yet. It
// returns errors.ErrUnsupported where that cannot be done.
func (f *folder) createNameless(name string) (*outFile, error) {
	if !f.t.nameless.Load() {
		return nil, errors.ErrUnsupported
	}
	out := &outFile{in: f, name: name}
	err := f.do("making file", name, func() (err error) { out.sysFile, err = f.h.createNameless(); return err })
	if errors.Is(err, errors.ErrUnsupported) {
		f.t.nameless.Store(false)
	}
	return out, err
}

// giveName gives a nameless file its name.
func (f *folder) giveName(out *outFile, replace bool) error {
	give := func(name string) error {
		return f.do("naming", name, func() error { return f.h.giveName(out.sysFile, name) })
	}
	err := give(out.name)
	if !replace || !errors.Is(err, fs.ErrExist) {
		return err
	}
	temp := f.t.temp()
	if err := give(temp); err != nil {
		return err
	}
	if err := f.rename(temp, out.name, true); err != nil {
		_ = f.remove(temp) // the error that matters is the first
		return err
	}
	return nil
}

func (f *folder) reopen(name string) (*outFile, error) {
	out := &outFile{in: f, name: name}
	err := f.do("opening file", name, func() (err error) { out.sysFile, err = f.h.reopen(name); return err })
	return out, err
}

func (f *folder) openRead(name string) (*outFile, error) {
	out := &outFile{in: f, name: name}
	err := f.do("opening file", name, func() (err error) { out.sysFile, err = f.h.openRead(name); return err })
	return out, err
}

// WriteAt writes all of p.
func (o *outFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = o.in.do("writing", o.name, func() error { n, err = o.sysFile.WriteAt(p, off); return err })
	return n, err
}

// resize makes the file size bytes long; what that adds is zeros.
func (o *outFile) resize(size int64) error {
	return o.in.do("writing", o.name, func() error { return o.sysFile.resize(size) })
}

func (o *outFile) close() error {
	return o.in.do("closing", o.name, o.sysFile.Close)
}

// sweep removes what a killed restore left in the folder: its temporary
// files, and in the target itself its folder of links.
func (f *folder) sweep() error {
	return f.do("reading folder", ".", func() error {
		return f.h.each(func(name string) error {
			if !f.t.isLeftover(name) {
				return nil
			}
			st, ok, err := f.stat(name)
			if err != nil || !ok {
				return err
			}
			if st.kind == snapshot.Dir {
				return f.removeAll(name)
			}
			return f.remove(name)
		})
	})
}

// removeAll removes a folder that holds no folders.
func (f *folder) removeAll(name string) error {
	h, err := f.openDir(name)
	if err != nil {
		return err
	}
	defer h.close()
	err = h.each(func(inner string) error {
		return f.do("removing", path.Join(name, inner), func() error { return h.remove(inner) })
	})
	if err != nil {
		return err
	}
	return f.do("removing folder", name, func() error { return f.h.removeDir(name) })
}

// empty reports whether nothing is in the folder.
func (f *folder) empty() (bool, error) {
	found := errors.New("not empty")
	err := f.do("reading folder", ".", func() error { return f.h.each(func(string) error { return found }) })
	if errors.Is(err, found) {
		return false, nil
	}
	return err == nil, err
}
