package mailstore

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Detect looks for mailboxes below roots, which are folders or single files. It
// returns an error if there is no root, a root does not exist or lies in
// another one, the layout or the name pattern is wrong, or ctx ends. What else
// cannot be read is in the result.
func Detect(ctx context.Context, roots []string, opts Options) (*Store, error) {
	layout, err := ParseLayout(string(opts.Layout))
	if err != nil {
		return nil, err
	}
	d := &detector{ctx: ctx, layout: layout, store: &Store{}, dark: map[spot]bool{}}
	if opts.NamePattern != "" {
		if d.pattern, err = parsePattern(opts.NamePattern); err != nil {
			return nil, err
		}
	}
	if err := d.setRoots(roots); err != nil {
		return nil, err
	}
	d.store.PatternUnused = d.pattern != nil
	for i := range d.store.Roots {
		if err := d.root(i); err != nil {
			return nil, err
		}
	}
	if layout == Plain || layout == Auto && len(d.homes) == 0 {
		for i := range d.store.Roots {
			if err := d.plain(i); err != nil {
				return nil, err
			}
		}
	}
	if err := d.joinSpools(); err != nil {
		return nil, err
	}
	d.assemble()
	return d.store, nil
}

// A detector is one run of Detect. Its methods return an error only when ctx
// ends; what cannot be read they note in the store.
type detector struct {
	ctx     context.Context
	layout  Layout
	pattern *pattern
	store   *Store
	homes   []home
	named   []bool // by root: the pattern matched
	dark    map[spot]bool
}

// A spot is a path in a root.
type spot struct {
	root int
	path string
}

// A home is a place of a mailbox to be.
type home struct {
	root    int
	path    string
	guess   guess
	firm    bool // the name is from the pattern or a full address
	spool   bool // it is an entry of a spool
	format  string
	folders []Folder
}

// setRoots makes the roots absolute and refuses those that overlap.
func (d *detector) setRoots(roots []string) error {
	if len(roots) == 0 {
		return fmt.Errorf("looking for mailboxes: no folder given")
	}
	var real []string
	for _, r := range roots {
		abs, err := filepath.Abs(r)
		if err != nil {
			return fmt.Errorf("looking for mailboxes in %q: %w", r, err)
		}
		target, err := filepath.EvalSymlinks(abs)
		if err != nil {
			target = abs // opening it says what is wrong
		}
		for i, other := range real {
			if within(filepath.ToSlash(target), strings.TrimSuffix(filepath.ToSlash(other), "/")) || within(filepath.ToSlash(other), strings.TrimSuffix(filepath.ToSlash(target), "/")) {
				return fmt.Errorf("looking for mailboxes: %q and %q overlap: give only the outer one", d.store.Roots[i], abs)
			}
		}
		real = append(real, target)
		d.store.Roots = append(d.store.Roots, abs)
		d.store.roots = append(d.store.roots, newRootIndex(d.layout))
		d.named = append(d.named, false)
	}
	return nil
}

// root looks for mailboxes in one root.
func (d *detector) root(i int) error {
	info, err := os.Stat(d.store.Roots[i])
	if os.IsNotExist(err) {
		return fmt.Errorf("looking for mailboxes: %w", err)
	}
	if err == nil && !info.IsDir() {
		return d.fileRoot(i)
	}
	dir, ok := d.openRoot(i, true)
	if !ok {
		return d.ctx.Err()
	}
	defer dir.h.Close()
	if d.pattern != nil {
		if err := d.matchRoot(dir); err != nil || d.named[i] {
			return err
		}
	}
	if d.layout == Plain {
		return nil
	}
	_, err = d.visit(dir)
	return err
}

// fileRoot looks at a root that is a file.
func (d *detector) fileRoot(i int) error {
	parent, name := filepath.Split(d.store.Roots[i])
	h, err := os.OpenRoot(parent)
	if err != nil {
		d.unreadable(i, "", err)
		return nil
	}
	defer h.Close()
	g := guessName(d.store.Roots[i], "")
	switch kind, err := mboxKind(h, name); {
	case err != nil:
		d.unreadable(i, "", err)
	case kind != notMbox && d.wants(Mbox):
		d.claim(home{root: i, guess: g, spool: true, format: formatMbox, folders: []Folder{d.mboxFile(i, "", inbox)}})
	}
	return nil
}

// plain takes each top folder of a root for a mailbox.
func (d *detector) plain(i int) error {
	d.store.roots[i].plain = true
	if d.named[i] {
		return nil
	}
	dir, ok := d.openRoot(i, false)
	if !ok {
		return d.ctx.Err()
	}
	defer dir.h.Close()
	for _, name := range dir.dirs {
		if name != lostFound {
			d.claim(home{root: i, path: name, guess: guess{name: name}, format: formatPlain})
		}
	}
	return d.ctx.Err()
}

// joinSpools gives the owner of a spool's file the folder of that name in, or
// that is, another root: it is the home, though without mail in it.
func (d *detector) joinSpools() error {
	spools := map[int]bool{}
	taken := map[spot]bool{} // by the first path element of each home
	used := map[int]bool{}   // roots with homes
	for _, h := range d.homes {
		first, _, _ := strings.Cut(h.path, "/")
		taken[spot{h.root, first}] = true
		used[h.root] = true
		spools[h.root] = spools[h.root] || h.spool
	}
	for i, root := range d.store.Roots {
		if spools[i] || taken[spot{i, ""}] {
			continue
		}
		dir, ok := d.openRoot(i, false)
		if !ok {
			continue
		}
		for _, h := range d.homes {
			name := filepath.Base(filepath.Join(d.store.Roots[h.root], h.path))
			switch {
			case !h.spool || h.firm || taken[spot{i, name}] || taken[spot{i, ""}]:
			case slices.Contains(dir.dirs, name):
				taken[spot{i, name}] = true
				d.claim(home{root: i, path: name, guess: h.guess})
			case filepath.Base(root) == name && !used[i]:
				taken[spot{i, ""}] = true
				d.claim(home{root: i, guess: h.guess})
			}
		}
		dir.h.Close()
	}
	return d.ctx.Err()
}

func (d *detector) claim(h home) {
	h.firm = h.firm || strings.Contains(h.guess.name, "@")
	d.homes = append(d.homes, h)
}

// unreadable notes, once, that something cannot be read.
func (d *detector) unreadable(root int, path string, err error) {
	if d.dark[spot{root, path}] {
		return
	}
	d.dark[spot{root, path}] = true
	d.store.Unreadable = append(d.store.Unreadable, Unreadable{root, path, err})
}

// wants reports whether the layout asks for mail of this format.
func (d *detector) wants(format Layout) bool { return d.layout == Auto || d.layout == format }

// A dir is an open folder and what is in it.
type dir struct {
	h     *os.Root
	root  int
	path  string
	dirs  []string // sorted
	files []string // regular files, sorted
}

func (x *dir) has(name string) bool {
	_, ok := slices.BinarySearch(x.dirs, name)
	return ok
}

func (x *dir) hasFile(name string) bool {
	_, ok := slices.BinarySearch(x.files, name)
	return ok
}

// openRoot opens a root. If it cannot, it says so, once.
func (d *detector) openRoot(i int, report bool) (*dir, bool) {
	h, err := os.OpenRoot(d.store.Roots[i])
	if err == nil {
		var x *dir
		if x, err = readDir(h, i, ""); err == nil {
			return x, d.ctx.Err() == nil
		}
	}
	if report {
		d.unreadable(i, "", err)
	}
	return nil, false
}

// open opens the folder called name in x. If that cannot be read, ok is false,
// and gone tells whether it is not there any more; if it is, it is noted as
// unreadable.
func (d *detector) open(x *dir, name string) (sub *dir, ok, gone bool) {
	p := joinPath(x.path, name)
	h, err := x.h.OpenRoot(name)
	if err == nil {
		if sub, err = readDir(h, x.root, p); err == nil {
			return sub, true, false
		}
	}
	if os.IsNotExist(err) {
		return nil, false, true
	}
	d.unreadable(x.root, p, err)
	return nil, false, false
}

// readDir reads what is in h, which it closes if it cannot.
func readDir(h *os.Root, root int, path string) (*dir, error) {
	f, err := h.Open(".")
	if err != nil {
		h.Close()
		return nil, err
	}
	defer f.Close()
	x := &dir{h: h, root: root, path: path}
	for {
		entries, err := f.ReadDir(namesAtOnce)
		for _, e := range entries {
			switch e.Type() {
			case fs.ModeDir:
				x.dirs = append(x.dirs, e.Name())
			case 0:
				x.files = append(x.files, e.Name())
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			h.Close()
			return nil, err
		}
	}
	slices.Sort(x.dirs)
	slices.Sort(x.files)
	return x, nil
}
