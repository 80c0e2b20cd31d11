package mailstore

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The formats by their names for people.
const (
	formatMaildir = "Maildir++"
	formatFS      = "Maildir with nested folders"
	formatMbox    = "mbox"
	formatDbox    = "dbox"
	formatPlain   = "plain"
)

// A location is where in a home mail lies.
type location struct {
	kind locationKind
	path string
}

type locationKind uint8

const (
	maildirAt   locationKind = iota // a Maildir, its path
	maildirTree                     // a folder of Maildirs, one of them INBOX
	mboxTree                        // a folder of mboxes
	mboxAt                          // an mbox
	dboxAt                          // sdbox or mdbox
	darkAt                          // a folder that cannot be read, of a conventional name
)

const (
	maxConventional = 2  // conventional folders in one another, as in ~/mail/Maildir
	maxFolderDepth  = 32 // levels of nested folders
)

// isMaildir reports whether the folder is a Maildir. A tool that leaves out
// empty folders may have left out new or tmp.
func (x *dir) isMaildir() bool { return x.has("cur") && (x.has("new") || x.has("tmp")) }

// locate returns where mail of the owner of x lies in x: nothing if x is not a home.
func (d *detector) locate(x *dir, depth int) []location {
	var locs []location
	if d.wants(Maildir) && x.isMaildir() {
		locs = append(locs, location{maildirAt, x.path})
	} else if d.wants(Maildir) && d.hasInbox(x) {
		locs = append(locs, location{maildirTree, x.path})
	}
	if d.layout == Auto && x.isDbox() {
		locs = append(locs, location{dboxAt, x.path})
	}
	base := filepath.Base(d.abs(x))
	if depth == 0 && d.wants(Mbox) {
		for _, name := range []string{"mbox", "Mailbox"} {
			if x.hasFile(name) && !isMailDirName(base) {
				if kind, _ := mboxKind(x.h, name); kind == fullMbox {
					locs = append(locs, location{mboxAt, joinPath(x.path, name)})
				}
			}
		}
		if x.path == "" && len(locs) == 0 && d.isMboxTree(x, filepath.Dir(d.abs(x)), false) {
			locs = append(locs, location{mboxTree, x.path})
		}
	}
	if depth == maxConventional {
		return locs
	}
	for _, name := range mailDirs {
		if !x.has(name) {
			continue
		}
		sub, ok, gone := d.open(x, name)
		if !ok {
			if !gone && !isSpoolParent(base) && d.layout != Plain {
				locs = append(locs, location{darkAt, joinPath(x.path, name)})
			}
			continue
		}
		inner := d.locate(sub, depth+1)
		if len(inner) == 0 && d.wants(Mbox) && d.isMboxTree(sub, d.abs(x), x.path != "") {
			inner = []location{{mboxTree, sub.path}}
		}
		locs = append(locs, inner...)
		sub.h.Close()
	}
	return locs
}

// abs returns the absolute path of x.
func (d *detector) abs(x *dir) string {
	return filepath.Join(d.store.Roots[x.root], filepath.FromSlash(x.path))
}

// hasInbox reports whether x holds Maildirs one of which is called INBOX.
func (d *detector) hasInbox(x *dir) bool {
	for _, name := range x.dirs {
		if strings.EqualFold(name, inbox) && x.subIsMaildir(name) {
			return true
		}
	}
	return false
}

// subIsMaildir reports whether the folder called name in x is a Maildir, without reading it.
func (x *dir) subIsMaildir(name string) bool {
	is := func(part string) bool { return isDir(x.h.Lstat(filepath.Join(name, part))) }
	return is("cur") && (is("new") || is("tmp"))
}

// isDbox reports whether x is the top of an sdbox or mdbox.
func (x *dir) isDbox() bool {
	if !x.has("mailboxes") {
		return false
	}
	return x.has("storage") || isDir(x.h.Lstat(filepath.Join("mailboxes", inbox, "dbox-Mails")))
}

// isMboxTree reports whether x, in the folder parent, holds the mboxes of one
// user. If it is inside, in a folder below a root, it does unless it is the
// system's spool.
func (d *detector) isMboxTree(x *dir, parent string, inside bool) bool {
	if !isMailDirName(filepath.Base(d.abs(x))) || isSpoolParent(filepath.Base(parent)) {
		return false
	}
	users := isUserMail(parent, x.files, x.dirs)
	if !inside && !users {
		return false
	}
	if mboxes, _, _ := d.mboxesIn(x); len(mboxes) > 0 {
		return true
	}
	return users && slices.ContainsFunc(x.dirs, func(name string) bool { return d.hasMboxes(x, name) })
}

// hasMboxes reports whether there are mboxes in the folder called name in x.
func (d *detector) hasMboxes(x *dir, name string) bool {
	if name[0] == '.' || isDomain(name) {
		return false
	}
	sub, ok, _ := d.open(x, name)
	if !ok {
		return false
	}
	defer sub.h.Close()
	mboxes, _, _ := d.mboxesIn(sub)
	return len(mboxes) > 0
}

// folders lists the folders at locs, which lie at or below x, and says what
// format they have. It leaves out what lies at skip.
func (d *detector) folders(x *dir, locs []location, skip map[string]bool) ([]Folder, string) {
	s := &scan{d: d, skip: skip}
	var formats []string
	for _, loc := range locs {
		n := len(s.folders)
		format := s.location(x, loc)
		if format == formatMaildir && slices.ContainsFunc(s.folders[n:], nested) {
			format = formatFS
		}
		formats = append(formats, format)
	}
	slices.Sort(formats)
	formats = slices.DeleteFunc(slices.Compact(formats), func(f string) bool { return f == "" })
	return s.folders, strings.Join(formats, " and ")
}

// nested reports whether a folder of a Maildir is one of the nested kind.
func nested(f Folder) bool {
	_, name := splitPath(f.Places[0].Path)
	return f.Places[0].Form == Subtree && !strings.HasPrefix(name, ".")
}

// A scan lists the folders of one home.
type scan struct {
	d       *detector
	skip    map[string]bool
	folders []Folder
}

// location lists the folders at loc and returns their format.
func (s *scan) location(x *dir, loc location) (format string) {
	switch loc.kind {
	case dboxAt:
		return formatDbox
	case darkAt:
		return ""
	case mboxAt:
		_, name := splitPath(loc.path)
		s.folders = append(s.folders, s.d.mboxFile(x.root, loc.path, mboxFolder("", name)))
		return formatMbox
	}
	at := x
	if loc.path != x.path {
		rel := strings.TrimPrefix(strings.TrimPrefix(loc.path, x.path), "/")
		sub, ok, _ := s.d.open(x, rel)
		if !ok {
			return ""
		}
		defer sub.h.Close()
		sub.path = loc.path
		at = sub
	}
	switch loc.kind {
	case maildirAt:
		s.maildir(at)
		return formatMaildir
	case maildirTree:
		s.tree(at, "", false, 0)
		return formatFS
	}
	s.tree(at, "", true, 0)
	return formatMbox
}

// maildir lists the folders of the Maildir x.
func (s *scan) maildir(x *dir) {
	index := s.d.store.roots[x.root]
	index.maildirs[x.path] = true
	at := len(s.folders)
	s.folders = append(s.folders, Folder{Name: inbox})
	for _, name := range x.dirs {
		if len(name) < 2 || name[0] != '.' || !isDir(x.h.Lstat(filepath.Join(name, "cur"))) {
			continue
		}
		p := joinPath(x.path, name)
		index.maildirs[p] = true
		s.folders = append(s.folders, Folder{dotFolder(name), []Place{{Root: x.root, Path: p}}})
	}
	nested := s.tree(x, "", false, 0)
	s.folders[at].Places = []Place{{Root: x.root, Path: x.path, Form: NoDotDirs, Except: nested}}
}

// tree lists the folders below x, Maildirs and (if asked) mboxes, and returns
// the paths of the folders directly in x in which there are any.
func (s *scan) tree(x *dir, prefix string, mbox bool, depth int) (nested []string) {
	if depth == maxFolderDepth || s.d.ctx.Err() != nil {
		return nil
	}
	if mbox {
		s.mboxes(x, prefix)
	}
	for _, name := range x.dirs {
		p := joinPath(x.path, name)
		if name[0] == '.' || s.skip[p] || isMaildirPart(name) {
			continue
		}
		sub, ok, _ := s.d.open(x, name)
		if !ok {
			continue
		}
		if s.subfolder(sub, joinPath(prefix, DisplayFolder(name)), mbox, depth) {
			nested = append(nested, p)
		}
		sub.h.Close()
	}
	return nested
}

// subfolder lists x and the folders below it, and reports whether there are any.
func (s *scan) subfolder(x *dir, name string, mbox bool, depth int) bool {
	at := len(s.folders)
	if s.d.wants(Maildir) && x.isMaildir() {
		s.d.store.roots[x.root].maildirs[x.path] = true
		if strings.EqualFold(name, inbox) {
			name = inbox
		}
		s.folders = append(s.folders, Folder{name, []Place{{Root: x.root, Path: x.path}}})
		nested := s.tree(x, name, mbox, depth+1)
		s.folders[at].Places[0].Except = nested
		return true
	}
	s.tree(x, name, mbox, depth+1)
	return len(s.folders) > at
}

// mboxes lists the mboxes directly in x as folders.
func (s *scan) mboxes(x *dir, prefix string) {
	mboxes, empty, dark := s.d.mboxesIn(x)
	for _, name := range append(append(mboxes, empty...), dark...) {
		s.folders = append(s.folders, s.d.mboxFile(x.root, joinPath(x.path, name), mboxFolder(prefix, name)))
	}
	s.d.noteDark(x, dark)
	s.d.store.roots[x.root].mboxDirs[x.path] = true
}

// mboxFile notes the mbox at path and returns the folder that it is.
func (d *detector) mboxFile(root int, path, name string) Folder {
	d.store.roots[root].mboxes[path] = true
	return Folder{name, []Place{{Root: root, Path: path}}}
}

// What a file looks like.
type fileKind uint8

const (
	notMbox fileKind = iota
	emptyMbox
	fullMbox
)

// mboxKind reads the first bytes of the file called name in dir.
func mboxKind(dir *os.Root, name string) (fileKind, error) {
	f, err := openFile(dir, name)
	if err != nil {
		return notMbox, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return notMbox, err
	}
	head := make([]byte, MboxHead)
	n, err := io.ReadFull(f, head)
	switch {
	case n == 0 && err == io.EOF:
		return emptyMbox, nil
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return notMbox, err
	case LooksLikeMbox(head[:n]):
		return fullMbox, nil
	}
	return notMbox, nil
}
