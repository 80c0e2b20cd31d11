// Package mailstore finds the mailboxes in a mail server's folders and says
// what each file is to the mail server. It reads folders and the first bytes
// of files that may be mboxes, never messages, and changes nothing.
//
// A store is one or more roots. A mailbox is an account: it has a name and one
// or more places, each a whole home (sieve scripts, ACLs and subscriptions as
// well as mail). What lies in no mailbox belongs to nobody. A folder is what
// IMAP calls a mailbox: INBOX, Sent, Archive/2020.
//
// # What is recognised
//
//	Maildir     a folder with "cur", and "new" or "tmp", in it
//	Maildir++   folders of such a Maildir: its children ".A.B" with "cur" in them,
//	            shown as A/B
//	fs          nested folders of such a Maildir: A/B/cur, shown as A/B
//	mbox        a file that begins with a "From " line; an empty file among such files
//	dbox        Dovecot's sdbox and mdbox: "mailboxes" with "storage" or with
//	            "dbox-Mails" folders; named, its folders are not listed
//	plain       when nothing above is found in any root: each top folder is a mailbox
//
// The messages of a dbox are those that the files u.* and m.* have frames for.
// Of a plain store nothing is known: a file that is called .eml, or begins as a
// message does, counts as one, and what looks like an mbox or dbox file as what is
// in it. Beside mail of a known layout such files count as none.
//
// Detection goes entry by entry, so a Maildir among the mboxes of /var/mail is
// one. A file is tried as an mbox in the roots themselves, in folders named
// mail or Mail, and in folders named like a domain; with [Mbox] everywhere.
// Symbolic links are never followed, except for the roots. A folder that
// cannot be read is listed in [Store.Unreadable], and is a mailbox all the
// same where its name or its neighbours say that it is one.
//
// # Homes and names
//
// The folders Maildir, .maildir, maildir, mdbox, sdbox, dbox, mail, Mail and
// imap are conventional: the home of the mail in them is the folder above, and
// they give no names. In a home, mail of others is looked for where hosting
// panels put it: {mail,imap}/DOMAIN/USER and homes/USER. These are mailboxes
// of their own and cut out of the outer one.
//
// Without a pattern a home is named by its last path element. If the folder
// above it (above a hash of one or two characters an element) is named like a
// domain, the name is USER@DOMAIN. The date that iRedMail adds, as in
// alice-2020.01.02.03.04.05, is left off. A root that is itself a home is
// named by its last element that is not conventional; its address is an
// alias, or the name where two such roots would have the same. An mbox spool,
// /var/mail, names each file by itself; a folder of that name directly in
// another root is the home of the same mailbox.
//
// A name pattern (see [Options]) names homes instead, in each root in which
// it matches at least one. Its elements match the path elements below a root
// or, if it begins with "/", those of the absolute path:
//
//	%n   local part      %u   whole user name
//	%d   domain          *    any characters, or none
//	%%   a percent sign  anything else: itself
//
// A variable stands for at least one character, and none crosses a "/". A
// variable or "*" at the beginning of an element does not match a dot there.
// Where there are several ways to match, the earlier variable takes as much as
// it can: %n-* reads mary-ann-2020 as mary-ann. A variable that occurs in two
// elements must mean the same in both. The name is %u, or else %n, with @%d
// added if there is a domain and no "@" yet. The home ends with the last
// element that has a variable; what follows (/Maildir) says where in it the
// mail is, and a folder without that is no home. Examples:
//
//	%d/%n/Maildir            example.com/alice/Maildir         home example.com/alice
//	%n/Maildir               alice/Maildir                     home alice
//	%d/*/*/*/%n-*/Maildir    example.com/a/l/i/alice-20/…      home …/alice-20
//
// Two homes of one name in one root are two mailboxes: each gets a suffix that
// begins with "~" and tells where it lies, and [Store.Clashes] says so. In
// different roots they are one mailbox with two places if the name comes from
// the pattern or is a full address, or one is an entry of a spool; otherwise they
// are two mailboxes. Names are valid UTF-8 without control characters: other
// bytes are shown as \xNN. Paths are bytes and stay as they are.
package mailstore

import "fmt"

// A Layout says what to look for.
type Layout string

// The layouts.
const (
	Auto    Layout = "auto"    // whatever an entry is; Plain when there is no mail
	Maildir Layout = "maildir" // Maildirs only
	Mbox    Layout = "mbox"    // mboxes only
	Plain   Layout = "plain"   // nothing: each top folder is a mailbox
)

// ParseLayout reads a layout's name; "" is [Auto].
func ParseLayout(s string) (Layout, error) {
	switch l := Layout(s); l {
	case "":
		return Auto, nil
	case Auto, Maildir, Mbox, Plain:
		return l, nil
	}
	return "", fmt.Errorf("unknown layout %q: it is one of auto, maildir, mbox and plain", s)
}

// Options say how [Detect] looks and names. The zero value is [Auto] without a pattern.
type Options struct {
	Layout      Layout
	NamePattern string // see the package comment; "" guesses
}

// A Store is what [Detect] found. It does not change afterwards and serves any number of goroutines.
type Store struct {
	Roots      []string     // absolute and clean, in the order given
	Format     string       // what was found, for people: "Maildir++", "Maildir++ and mbox", "plain"
	Mailboxes  []Mailbox    // sorted by name
	Unreadable []Unreadable // folders and mbox files that could not be read, sorted by place
	Clashes    []Clash      // names that several homes would have had

	// PatternUnused says that a name pattern was given and matched nothing in any root.
	PatternUnused bool

	roots []rootIndex // one per root
}

// A Mailbox is one account.
type Mailbox struct {
	Name      string   // unique in the store; never empty, "." or "..", and without "/"
	Aliases   []string // other names it answers to, not always unique; sorted
	Component string   // "messages"
	Places    []Place  // at least one; disjoint from those of all other mailboxes
	Folders   []Folder // sorted by name, INBOX first; none where the format is not understood
}

// A Folder is a folder of mail in a mailbox.
type Folder struct {
	Name   string  // UTF-8, levels joined by "/"
	Places []Place // at least one, all within the mailbox's
}

// A Place is a part of a store: the file or folder at Path with all below it,
// less what Form and Except take out.
type Place struct {
	Root   int      // index into Store.Roots
	Path   string   // relative to the root, "/" between the elements; "" is the root itself
	Form   Form     // what is left out in general
	Except []string // paths below Path that are left out with all below them; sorted
}

// A Form says what of a folder is meant.
type Form uint8

// The forms.
const (
	Subtree   Form = 0 // everything
	NoDotDirs Form = 1 // everything but the direct children whose names begin with "."
)

// Unreadable is something that exists and could not be read.
type Unreadable struct {
	Root int
	Path string // relative to the root
	Err  error
}

// A Clash is a name that several homes would have had.
type Clash struct {
	Name  string   // the name that none of them has
	Names []string // the names they have instead, sorted
}

// Component is what the mailboxes of this package hold.
const Component = "messages"
