package mailstore

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A DirRole says what a folder is to the mail server.
type DirRole uint8

// The roles of folders.
const (
	PlainDir        DirRole = 0
	MaildirRoot     DirRole = 1 // has cur, new and tmp; its files of role Control are to be read after them
	MaildirMessages DirRole = 2 // cur or new of a Maildir: list both with a Listing
	MaildirTmp      DirRole = 3 // tmp of a Maildir: unfinished deliveries
	MboxDir         DirRole = 4 // its files may be mboxes
)

// A FileRole says what a regular file is to the mail server.
type FileRole uint8

// The roles of files.
const (
	Regular  FileRole = 0
	Message  FileRole = 1 // a message in a file of its own
	Control  FileRole = 2 // what is known about messages (UIDs, keywords): read it after them, so that it knows them all
	MboxFile FileRole = 3 // an mbox, if LooksLikeMbox says so too
	DboxFile FileRole = 4 // of Dovecot's sdbox or mdbox, if its beginning says so too
	Loose    FileRole = 5 // of a plain store: mail, if it looks like mail
)

// Nobody is the index of no mailbox.
const Nobody = -1

// DirInfo is what the store knows of one folder.
type DirInfo struct {
	Mailbox int // index into Store.Mailboxes, or Nobody
	Role    DirRole

	index *rootIndex
	path  string
}

// rootIndex says what was found where in one root. Paths are relative to it.
type rootIndex struct {
	owner    map[string]int  // homes and mbox files → mailbox
	maildirs map[string]bool // folders with cur
	mboxDirs map[string]bool // folders with mboxes
	mboxes   map[string]bool // mboxes
	maildir  bool            // whether Maildirs are looked for
	plain    bool            // nothing was found, or nothing looked for
}

func newRootIndex(layout Layout) rootIndex {
	return rootIndex{
		owner:    map[string]int{},
		maildirs: map[string]bool{},
		mboxDirs: map[string]bool{},
		mboxes:   map[string]bool{},
		maildir:  layout == Auto || layout == Maildir,
	}
}

// ownerOf returns the mailbox of the innermost home that holds p.
func (x *rootIndex) ownerOf(p string) int {
	for {
		if m, ok := x.owner[p]; ok {
			return m
		}
		if p == "" {
			return Nobody
		}
		p, _ = splitPath(p)
	}
}

// Dir says what the folder at dir (relative to the root; "" is the root) is.
// It answers for folders that came after [Detect] too: for one that is not
// known it looks on disk for a cur in or beside it. A folder that is gone is
// a PlainDir.
func (s *Store) Dir(root int, dir string) DirInfo {
	x := &s.roots[root]
	info := DirInfo{Mailbox: x.ownerOf(dir), index: x, path: dir}
	parent, name := splitPath(dir)
	switch {
	case x.maildirs[dir]:
		info.Role = MaildirRoot
	case x.mboxDirs[dir]:
		info.Role = MboxDir
	case dir != "" && isMaildirPart(name) && s.isMaildir(root, parent):
		info.Role = MaildirMessages
		if name == "tmp" {
			info.Role = MaildirTmp
		}
	case s.isMaildir(root, dir):
		info.Role = MaildirRoot
	}
	return info
}

// isMaildir looks on disk for folders that Detect did not see.
func (s *Store) isMaildir(root int, dir string) bool {
	x := &s.roots[root]
	if x.maildirs[dir] {
		return true
	}
	if !x.maildir {
		return false
	}
	abs := filepath.Join(s.Roots[root], filepath.FromSlash(dir))
	is := func(part string) bool { return isDir(os.Lstat(filepath.Join(abs, part))) }
	return is("cur") && (is("new") || is("tmp"))
}

// File says what the regular file called name in the folder is, and whose: an
// index into Store.Mailboxes, or Nobody. For a root that is a file, ask the
// root's DirInfo for the name "".
func (d DirInfo) File(name string) (role FileRole, mailbox int) {
	p := joinPath(d.path, name)
	mailbox = d.Mailbox
	if m, ok := d.index.owner[p]; ok {
		mailbox = m
	}
	switch {
	case d.index.mboxes[p]:
		return MboxFile, mailbox
	case d.Role == MaildirMessages && !strings.HasPrefix(name, "."):
		return Message, mailbox
	case d.Role == MaildirRoot && isControl(name):
		return Control, mailbox
	case d.Role == MboxDir && isMboxName(name):
		return MboxFile, mailbox
	case d.Role != PlainDir || strings.HasPrefix(name, "."):
		return Regular, mailbox
	case d.index.plain:
		return Loose, mailbox
	case isDboxName(name):
		return DboxFile, mailbox
	}
	return Regular, mailbox
}

// isControl tells the files that Dovecot and Courier keep about the messages
// of a Maildir and rewrite while mail comes in. A line about a message that
// is not in the backup does no harm; a message without its line loses its UID.
func isControl(name string) bool {
	switch name {
	case "subscriptions", "maildirsize", "courierimapuiddb", "courierimapsubscribed", "courierpop3dsizelist":
		return true
	}
	return strings.HasPrefix(name, "dovecot-") || strings.HasPrefix(name, "dovecot.index") || strings.HasPrefix(name, "dovecot.list.index")
}

// isMaildirPart reports whether name is that of one of a Maildir's three folders.
func isMaildirPart(name string) bool { return name == "cur" || name == "new" || name == "tmp" }

// isMboxName reports whether a file of this name may be an mbox: not hidden, and no lock.
func isMboxName(name string) bool {
	return name != "" && name[0] != '.' && !strings.HasSuffix(name, ".lock")
}

// isDboxName reports whether a file of this name may be one of Dovecot's sdbox,
// u.UID, or mdbox, m.NUMBER.
func isDboxName(name string) bool {
	digits, ok := strings.CutPrefix(name, "u.")
	if !ok {
		digits, ok = strings.CutPrefix(name, "m.")
	}
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

func isDir(info fs.FileInfo, err error) bool { return err == nil && info.IsDir() }

// splitPath splits p into the path of its parent and its last element.
func splitPath(p string) (parent, name string) {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i], p[i+1:]
	}
	return "", p
}

func joinPath(dir, name string) string {
	switch {
	case dir == "":
		return name
	case name == "":
		return dir
	}
	return dir + "/" + name
}

// within reports whether p is at or below dir.
func within(p, dir string) bool {
	return dir == "" || p == dir || len(p) > len(dir) && p[:len(dir)] == dir && p[len(dir)] == '/'
}
