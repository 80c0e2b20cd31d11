package mailstore

import (
	"path/filepath"
	"regexp"
	"strings"
)

// lostFound is the file system's own folder at the top of many a store.
const lostFound = "lost+found"

// mailDirs are the conventional names of folders that hold one user's mail.
var mailDirs = [...]string{"Maildir", ".maildir", "maildir", "mdbox", "sdbox", "dbox", "mail", "Mail", "imap"}

// isConventional reports whether a folder of this name says nothing about whose mail is in it.
func isConventional(name string) bool {
	for _, c := range mailDirs {
		if name == c {
			return true
		}
	}
	return false
}

// isMailDirName reports whether name is that of the folder for mboxes in a home.
func isMailDirName(name string) bool { return name == "mail" || name == "Mail" }

// isSpoolParent tells the folders whose "mail" is the spool of all users.
func isSpoolParent(name string) bool { return name == "var" || name == "spool" }

// isBetween tells the folders that may stand between a domain's folder and a user's.
func isBetween(name string) bool {
	return len(name) <= 2 || name == "homes" || name == "users" || name == "mailboxes" || name == "mail"
}

var (
	domainName = regexp.MustCompile(`\A[\pL\pN_-]+(\.[\pL\pN_-]+)*\.(\p{Ll}{2,}|xn--[a-z0-9-]+)\z`)
	iRedDate   = regexp.MustCompile(`\A(.+)-\d{4}(?:\.\d{2}){5}\z`)
)

// isDomain reports whether a folder's name looks like a mail domain. Folders
// that mktemp makes do not.
func isDomain(name string) bool {
	return !strings.HasPrefix(name, "tmp.") && domainName.MatchString(name)
}

// A guess is the name of a home by its path.
type guess struct {
	name    string
	address string // USER@DOMAIN where that differs from name
	alias   string // the last element as it stands, where that differs
}

// guessName names the home (or mbox file) at the path below root.
func guessName(root, home string) guess {
	elems := elements(root)
	top := max(len(elems)-1, 0) // what lies above the root is asked for a domain only if the root is the home
	elems = append(elems, elements(home)...)
	for len(elems) > 1 && isConventional(elems[len(elems)-1]) {
		elems = elems[:len(elems)-1]
	}
	if len(elems) == 0 {
		return guess{name: "root"}
	}
	last := len(elems) - 1
	g := guess{name: elems[last]}
	if m := iRedDate.FindStringSubmatch(g.name); m != nil {
		g = guess{name: m[1], alias: g.name}
	}
	if strings.Contains(g.name, "@") {
		return g
	}
	if last <= top {
		top = 0
	}
	i := last - 1
	for i > top && isBetween(elems[i]) {
		i--
	}
	if i < top || !isDomain(elems[i]) {
		return g
	}
	address := g.name + "@" + elems[i]
	if home == "" {
		g.address = address // a root is named by its last element
		return g
	}
	g.name = address
	return g
}

// isUserMail reports whether mboxes in a folder named mail below parent are
// the folders of one user rather than the spool of all of them.
func isUserMail(parent string, files []string, dirs []string) bool {
	base := filepath.Base(parent)
	if isSpoolParent(base) {
		return false
	}
	if above := filepath.Base(filepath.Dir(parent)); above == "home" || above == "Users" || filepath.ToSlash(parent) == "/root" {
		return true
	}
	for _, name := range append(append([]string{}, files...), dirs...) {
		switch strings.ToLower(name) {
		case ".imap", ".subscriptions", "inbox", "mbox", "sent", "sent-mail", "sent-messages", "drafts", "trash", "saved-messages", "postponed-msgs":
			return true
		}
	}
	return false
}

// mboxFolder names the folder that the mbox called name is, below the folder prefix.
func mboxFolder(prefix, name string) string {
	if lower := strings.ToLower(name); prefix == "" && (lower == "inbox" || lower == "mailbox") {
		return inbox
	}
	return joinPath(prefix, DisplayFolder(name))
}

// inbox is the folder that every mailbox has.
const inbox = "INBOX"

// dotFolder names the folder that ".A.B" in a Maildir++ is.
func dotFolder(name string) string {
	levels := strings.Split(strings.TrimPrefix(name, "."), ".")
	for i, e := range levels {
		levels[i] = DisplayFolder(e)
	}
	return strings.Join(levels, "/")
}
