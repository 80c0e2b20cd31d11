package mailstore

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// visit looks for homes at and below x by what is there, and reports whether x is one.
func (d *detector) visit(x *dir) (isHome bool, err error) {
	if err := d.ctx.Err(); err != nil {
		return false, err
	}
	if locs := d.locate(x, 0); len(locs) > 0 {
		return true, d.visitHome(x, locs)
	}
	spool := d.visitSpool(x)
	var dark []string // folders that cannot be read
	homes := false
	for _, name := range x.dirs {
		sub, ok, gone := d.open(x, name)
		if !ok {
			if !gone && name != lostFound {
				dark = append(dark, name)
			}
			continue
		}
		before := len(d.homes)
		is, err := d.visit(sub)
		sub.h.Close()
		if err != nil {
			return false, err
		}
		if is {
			homes = true
			d.homes[before].spool = spool
		}
	}
	if homes {
		for _, name := range dark {
			p := joinPath(x.path, name)
			d.claim(home{root: x.root, path: p, guess: guessName(d.store.Roots[x.root], p)})
		}
	}
	return false, nil
}

// visitHome claims x, whose mail is at locs, and the homes of others in it.
func (d *detector) visitHome(x *dir, locs []location) error {
	mine := len(d.homes)
	d.claim(home{root: x.root, path: x.path, guess: guessName(d.store.Roots[x.root], x.path)})
	if err := d.visitNested(x); err != nil {
		return err
	}
	skip := map[string]bool{}
	for _, h := range d.homes[mine+1:] {
		skip[path.Dir(h.path)] = true
	}
	folders, format := d.folders(x, locs, skip)
	d.homes[mine].folders, d.homes[mine].format = folders, format
	return d.ctx.Err()
}

// visitNested looks for homes in a home where hosting panels put them.
func (d *detector) visitNested(x *dir) error {
	for _, name := range []string{"mail", "imap", "homes"} {
		if !x.has(name) {
			continue
		}
		sub, ok, _ := d.open(x, name)
		if !ok {
			continue
		}
		err := d.visitUsers(sub, name == "homes")
		sub.h.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// visitUsers visits the folders in x: all, or those named like a domain that
// hold no mail themselves.
func (d *detector) visitUsers(x *dir, all bool) error {
	for _, name := range x.dirs {
		if !all && !isDomain(name) {
			continue
		}
		sub, ok, _ := d.open(x, name)
		if !ok {
			continue
		}
		var err error
		if all || !d.wants(Maildir) || !sub.isMaildir() {
			_, err = d.visit(sub)
		}
		sub.h.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// visitSpool claims the mboxes directly in x, if it is a place where they lie
// by the name of their owner, and reports whether there are any.
func (d *detector) visitSpool(x *dir) bool {
	base := filepath.Base(filepath.Join(d.store.Roots[x.root], filepath.FromSlash(x.path)))
	if !d.wants(Mbox) || d.layout == Auto && x.path != "" && !isMailDirName(base) && !isDomain(base) {
		return false
	}
	above := filepath.Base(filepath.Dir(filepath.Join(d.store.Roots[x.root], filepath.FromSlash(x.path))))
	sure := isMailDirName(base) && isSpoolParent(above)
	mboxes, empty, dark := d.mboxesIn(x)
	if len(mboxes) == 0 && !sure {
		return false
	}
	for _, name := range append(append(mboxes, empty...), dark...) {
		p := joinPath(x.path, name)
		d.claim(home{
			root: x.root, path: p, guess: guessName(d.store.Roots[x.root], p), spool: true,
			format: formatMbox, folders: []Folder{d.mboxFile(x.root, p, inbox)},
		})
	}
	d.noteDark(x, dark)
	d.store.roots[x.root].mboxDirs[x.path] = true
	return true
}

// mboxesIn sorts the files in x: mboxes, files that are empty, and files that cannot be read.
func (d *detector) mboxesIn(x *dir) (mboxes, empty, dark []string) {
	for _, name := range x.files {
		if !isMboxName(name) {
			continue
		}
		switch kind, err := mboxKind(x.h, name); {
		case os.IsNotExist(err):
		case err != nil:
			dark = append(dark, name)
		case kind == fullMbox:
			mboxes = append(mboxes, name)
		case kind == emptyMbox:
			empty = append(empty, name)
		}
	}
	return mboxes, empty, dark
}

// noteDark notes files of mail that cannot be read.
func (d *detector) noteDark(x *dir, names []string) {
	for _, name := range names {
		_, err := mboxKind(x.h, name)
		if err != nil {
			d.unreadable(x.root, joinPath(x.path, name), err)
		}
	}
}

// matchRoot looks for the homes that the name pattern names in a root.
func (d *detector) matchRoot(x *dir) error {
	used, b, ok := d.pattern.matchRoot(d.store.Roots[x.root])
	if !ok {
		return nil
	}
	m := &matcher{d: d, root: x, homes: map[string]int{}}
	m.bound = b // of the root, should the home be no deeper
	if used == len(d.pattern.elems) {
		return m.mail(x, "")
	}
	return m.match(x, used, b)
}

// A matcher follows the name pattern through one root.
type matcher struct {
	d     *detector
	root  *dir
	homes map[string]int // path → into d.homes
	at    string         // the home that match is in
	bound binding        // and its variables
}

// match matches the entries of x with the pattern's elements from i on.
func (m *matcher) match(x *dir, i int, b binding) error {
	if err := m.d.ctx.Err(); err != nil {
		return err
	}
	last := i+1 == len(m.d.pattern.elems)
	for _, name := range x.dirs {
		next, ok := m.d.pattern.elems[i].match(name, b)
		if !ok {
			continue
		}
		p := joinPath(x.path, name)
		if i+1 == m.d.pattern.home {
			m.at, m.bound = p, next
		}
		sub, ok, gone := m.d.open(x, name)
		if !ok {
			if !gone && i+1 >= m.d.pattern.home {
				m.claim()
			}
			continue
		}
		var err error
		if last {
			err = m.mail(sub, p)
		} else {
			err = m.match(sub, i+1, next)
		}
		sub.h.Close()
		if err != nil {
			return err
		}
	}
	if last {
		m.files(x, i, b)
	}
	return nil
}

// files takes the files in x that match the pattern's last element and are mboxes.
func (m *matcher) files(x *dir, i int, b binding) {
	if !m.d.wants(Mbox) {
		return
	}
	for _, name := range x.files {
		next, ok := m.d.pattern.elems[i].match(name, b)
		if !ok || !isMboxName(name) {
			continue
		}
		kind, err := mboxKind(x.h, name)
		if os.IsNotExist(err) || err == nil && kind == notMbox {
			continue
		}
		p := joinPath(x.path, name)
		if err != nil {
			m.d.unreadable(x.root, p, err)
		}
		folder := mboxFolder("", name)
		spool := i+1 == m.d.pattern.home
		if spool {
			m.at, m.bound, folder = p, next, inbox
			m.d.store.roots[x.root].mboxDirs[x.path] = true
		}
		h := m.claim()
		h.spool = spool
		h.add(formatMbox, m.d.mboxFile(x.root, p, folder))
	}
}

// mail takes the mail at x, where the whole pattern matched, for that of the home at hand.
func (m *matcher) mail(x *dir, p string) error {
	locs := m.d.locate(x, 0)
	if len(locs) == 0 && m.d.wants(Mbox) {
		if mboxes, _, _ := m.d.mboxesIn(x); len(mboxes) > 0 {
			locs = []location{{mboxTree, p}}
		}
	}
	folders, format := m.d.folders(x, locs, nil)
	m.claim().add(format, folders...)
	return m.d.ctx.Err()
}

// claim returns the home at hand, claimed.
func (m *matcher) claim() *home {
	i, ok := m.homes[m.at]
	if !ok {
		i = len(m.d.homes)
		m.homes[m.at] = i
		m.d.claim(home{root: m.root.root, path: m.at, guess: guess{name: m.bound.name()}, firm: true})
		m.d.named[m.root.root] = true
		m.d.store.PatternUnused = false
	}
	return &m.d.homes[i]
}

func (h *home) add(format string, folders ...Folder) {
	h.folders = append(h.folders, folders...)
	if !strings.Contains(h.format, format) {
		h.format = strings.TrimPrefix(h.format+" and "+format, " and ")
	}
}
