package mailstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"restante/mailstore"
)

var detectCases = []struct {
	name   string
	tree   string
	roots  string // separated by blanks
	opts   mailstore.Options
	format string
	want   string
}{
	{
		name:  "domain, user, Maildir",
		roots: "vmail", format: "Maildir++",
		tree: `M vmail/example.com/alice/Maildir
				d vmail/example.com/alice/Maildir/.Sent/cur
				d vmail/example.com/alice/Maildir/.Work.2020.&AMQ-rger/cur
				d vmail/example.com/alice/Maildir/.spam-filter
				f vmail/example.com/alice/sieve/main.sieve
				M vmail/example.org/bob/Maildir
				f vmail/README
				d vmail/lost+found`,
		want: `alice@example.com 0:example.com/alice: INBOX=0:example.com/alice/Maildir/[^.] Sent=0:example.com/alice/Maildir/.Sent Work/2020/Ärger=0:example.com/alice/Maildir/.Work.2020.&AMQ-rger
				bob@example.org 0:example.org/bob: INBOX=0:example.org/bob/Maildir/[^.]`,
	},
	{
		name:  "domain, user",
		roots: "vmail", format: "Maildir++",
		tree: `M vmail/example.com/alice
				d vmail/example.com/alice/.Sent/cur`,
		want: `alice@example.com 0:example.com/alice: INBOX=0:example.com/alice/[^.] Sent=0:example.com/alice/.Sent`,
	},
	{
		name:  "the domain is the root",
		roots: "vmail/example.com", format: "Maildir++",
		tree: `M vmail/example.com/alice`,
		want: `alice@example.com 0:alice: INBOX=0:alice/[^.]`,
	},
	{
		name:  "whole user names",
		roots: "vmail", format: "Maildir++",
		tree: `M vmail/alice@example.com
				M vmail/bob@example.org/mail/Maildir`,
		want: `alice@example.com 0:alice@example.com: INBOX=0:alice@example.com/[^.]
				bob@example.org 0:bob@example.org: INBOX=0:bob@example.org/mail/Maildir/[^.]`,
	},
	{
		name:  "local parts only",
		roots: "users", format: "Maildir++",
		tree: `M users/u01
				d users/u01/.Sent/cur
				M users/u02`,
		want: `u01 0:u01: INBOX=0:u01/[^.] Sent=0:u01/.Sent
				u02 0:u02: INBOX=0:u02/[^.]`,
	},
	{
		name:  "homes",
		roots: "home", format: "Maildir++",
		tree: `M home/alice/Maildir
				f home/alice/.dovecot.sieve
				M home/bob/.maildir
				f home/carol/letters/from.txt`,
		want: `alice 0:alice: INBOX=0:alice/Maildir/[^.]
				bob 0:bob: INBOX=0:bob/.maildir/[^.]`,
	},
	{
		name:  "iRedMail, guessed",
		roots: "vmail", format: "Maildir++",
		tree: `M vmail/vmail1/example.com/a/l/i/alice-2020.01.02.03.04.05/Maildir`,
		want: `alice@example.com (alice-2020.01.02.03.04.05) 0:vmail1/example.com/a/l/i/alice-2020.01.02.03.04.05: INBOX=0:vmail1/example.com/a/l/i/alice-2020.01.02.03.04.05/Maildir/[^.]`,
	},
	{
		name:  "hosting panels: homes in homes",
		roots: "home", format: "Maildir++",
		tree: `M home/web1/mail
				M home/web1/mail/example.com/alice
				d home/web1/mail/example.com/alice/.Sent/cur
				M home/web2/Maildir
				M home/web2/homes/bob/Maildir
				M home/web3/Maildir
				M home/web3/imap/example.org/carol/Maildir`,
		want: `alice@example.com 0:web1/mail/example.com/alice: INBOX=0:web1/mail/example.com/alice/[^.] Sent=0:web1/mail/example.com/alice/.Sent
				bob 0:web2/homes/bob: INBOX=0:web2/homes/bob/Maildir/[^.]
				carol@example.org 0:web3/imap/example.org/carol: INBOX=0:web3/imap/example.org/carol/Maildir/[^.]
				web1 0:web1-web1/mail/example.com/alice: INBOX=0:web1/mail/[^.]-web1/mail/example.com/alice
				web2 0:web2-web2/homes/bob: INBOX=0:web2/Maildir/[^.]
				web3 0:web3-web3/imap/example.org/carol: INBOX=0:web3/Maildir/[^.]`,
	},
	{
		name:  "one Maildir",
		roots: "x/alice", format: "Maildir++",
		tree: `M x/alice`,
		want: `alice 0:: INBOX=0:/[^.]`,
	},
	{
		name:  "one Maildir called Maildir",
		roots: "x/example.com/alice/Maildir", format: "Maildir++",
		tree: `M x/example.com/alice/Maildir`,
		want: `alice (alice@example.com) 0:: INBOX=0:/[^.]`,
	},
	{
		name:  "one home",
		roots: "home/alice", format: "Maildir++",
		tree: `M home/alice/Maildir`,
		want: `alice 0:: INBOX=0:Maildir/[^.]`,
	},
	{
		name:  "many single Maildirs",
		roots: "v/example.com/alice/Maildir v/example.org/alice/Maildir v/example.org/bob/Maildir", format: "Maildir++",
		tree: `M v/example.com/alice/Maildir
				M v/example.org/alice/Maildir
				M v/example.org/bob/Maildir`,
		want: `alice@example.com (alice) 0:: INBOX=0:/[^.]
				alice@example.org (alice) 1:: INBOX=1:/[^.]
				bob (bob@example.org) 2:: INBOX=2:/[^.]`,
	},
	{
		name:  "nested folders",
		roots: "v", format: "Maildir with nested folders",
		tree: `M v/alice/Maildir
				M v/alice/Maildir/Archive
				M v/alice/Maildir/Archive/2020
				M v/alice/Maildir/Lists/&U,BTFw-
				d v/alice/Maildir/courierimapkeywords`,
		want: `alice 0:alice: INBOX=0:alice/Maildir/[^.]-alice/Maildir/Archive-alice/Maildir/Lists Archive=0:alice/Maildir/Archive-alice/Maildir/Archive/2020 Archive/2020=0:alice/Maildir/Archive/2020 Lists/台北=0:alice/Maildir/Lists/&U,BTFw-`,
	},
	{
		name:  "mbsync",
		roots: "home", format: "Maildir with nested folders",
		tree: `M home/alice/Mail/Inbox
				M home/alice/Mail/Sent`,
		want: `alice 0:alice: INBOX=0:alice/Mail/Inbox Sent=0:alice/Mail/Sent`,
	},
	{
		name:  "spool of mboxes with a Maildir in it",
		roots: "var/mail", format: "mbox and Maildir++",
		tree: `b var/mail/alice
				e var/mail/bob
				M var/mail/carol
				f var/mail/notes
				e var/mail/alice.lock
				b var/mail/dave`,
		want: `alice 0:alice: INBOX=0:alice
				bob 0:bob: INBOX=0:bob
				carol 0:carol: INBOX=0:carol/[^.]
				dave 0:dave: INBOX=0:dave`,
	},
	{
		name:  "mboxes by domain",
		roots: "spool", format: "mbox",
		tree: `b spool/example.com/alice
				b spool/example.org/alice`,
		want: `alice@example.com 0:example.com/alice: INBOX=0:example.com/alice
				alice@example.org 0:example.org/alice: INBOX=0:example.org/alice`,
	},
	{
		name:  "spool and homes",
		roots: "var/mail home", format: "mbox",
		tree: `b var/mail/alice
				b home/alice/mail/sent-mail
				b home/alice/mail/work/&AMQ-rger
				e home/alice/mail/drafts
				f home/alice/mail/.subscriptions
				b var/mail/bob
				f home/bob/.dovecot.sieve
				b var/mail/carol
				d home/dave`,
		want: `alice 0:alice 1:alice: INBOX=0:alice drafts=1:alice/mail/drafts sent-mail=1:alice/mail/sent-mail work/Ärger=1:alice/mail/work/&AMQ-rger
				bob 0:bob 1:bob: INBOX=0:bob
				carol 0:carol: INBOX=0:carol`,
	},
	{
		name:  "spool and homes with Maildirs",
		roots: "home var/mail", format: "Maildir++ and mbox",
		tree: `b var/mail/alice
				M home/alice/Maildir
				M home/bob/Maildir`,
		want: `alice 0:alice 1:alice: INBOX=0:alice/Maildir/[^.]+1:alice
				bob 0:bob: INBOX=0:bob/Maildir/[^.]`,
	},
	{
		name:  "one spool file and its home",
		roots: "var/mail/alice home/alice", format: "mbox",
		tree: `b var/mail/alice
				f home/alice/.dovecot.sieve
				d home/alice/papers`,
		want: `alice 0: 1:: INBOX=0:`,
	},
	{
		name:  "all of var",
		roots: "var", format: "mbox",
		tree: `b var/mail/alice
				b var/log/mailman.mbox`,
		want: `alice 0:mail/alice: INBOX=0:mail/alice`,
	},
	{
		name:  "mbox files in a home, and one user's mail",
		roots: "home/alice home/bob/mail", format: "mbox",
		tree: `b home/alice/mbox
				b home/alice/Mailbox
				b home/bob/mail/inbox`,
		want: `alice 0:: INBOX=0:Mailbox mbox=0:mbox
				bob 1:: INBOX=1:inbox`,
	},
	{
		name:  "a root that is a file",
		roots: "var/mail/alice", format: "mbox",
		tree: `b var/mail/alice`,
		want: `alice 0:: INBOX=0:`,
	},
	{
		name:  "dbox",
		roots: "v", format: "dbox",
		tree: `d v/example.com/alice/mdbox/mailboxes/INBOX/dbox-Mails
				d v/example.com/alice/mdbox/storage
				d v/example.com/bob/mailboxes/INBOX/dbox-Mails`,
		want: `alice@example.com 0:example.com/alice:
				bob@example.com 0:example.com/bob:`,
	},
	{
		name:  "containers that are no homes",
		roots: "user-data", format: "Maildir++",
		tree: `M user-data/mail/mailboxes/example.com/alice
				d user-data/mail/sieve/example.com`,
		want: `alice@example.com 0:mail/mailboxes/example.com/alice: INBOX=0:mail/mailboxes/example.com/alice/[^.]`,
	},
	{
		name:  "nothing known",
		roots: "data", format: "plain",
		tree: `f data/2019/1.eml
				f data/2020/1.eml
				d data/lost+found
				f data/loose`,
		want: `2019 0:2019:
				2020 0:2020:`,
	},
	{
		name: "plain on request", opts: mailstore.Options{Layout: mailstore.Plain},
		roots: "data", format: "plain",
		tree: `M data/alice/Maildir`,
		want: `alice 0:alice:`,
	},
	{
		name: "Maildirs only", opts: mailstore.Options{Layout: mailstore.Maildir},
		roots: "v", format: "Maildir++",
		tree: `M v/alice
				b v/bob`,
		want: `alice 0:alice: INBOX=0:alice/[^.]`,
	},
	{
		name: "mboxes only", opts: mailstore.Options{Layout: mailstore.Mbox},
		roots: "v", format: "mbox",
		tree: `M v/alice
				b v/deep/down/bob`,
		want: `bob 0:deep/down/bob: INBOX=0:deep/down/bob`,
	},
	{
		name:  "nothing at all",
		roots: "v", format: "no mail",
		tree: `d v/lost+found`,
	},
	{
		name:  "links are not followed",
		roots: "v", format: "Maildir++",
		tree: `M elsewhere/mallory
				M v/alice
				l v/mallory -> ../elsewhere/mallory
				l v/alice/.Sent -> ../../elsewhere/mallory
				l v/alice/loop -> ..`,
		want: `alice 0:alice: INBOX=0:alice/[^.]`,
	},
	{
		name:  "two homes of one name",
		roots: "v", format: "Maildir++",
		tree: `M v/vmail1/alice
				M v/vmail2/alice
				M v/vmail2/bob`,
		want: `alice~vmail1 (alice) 0:vmail1/alice: INBOX=0:vmail1/alice/[^.]
				alice~vmail2 (alice) 0:vmail2/alice: INBOX=0:vmail2/alice/[^.]
				bob 0:vmail2/bob: INBOX=0:vmail2/bob/[^.]
				clash alice: alice~vmail1, alice~vmail2`,
	},
	{
		name:  "one address in two roots",
		roots: "disk1 disk2", format: "Maildir++",
		tree: `M disk1/example.com/alice
				M disk2/example.com/alice`,
		want: `alice@example.com 0:example.com/alice 1:example.com/alice: INBOX=0:example.com/alice/[^.]+1:example.com/alice/[^.]`,
	},
	{
		name:  "odd names",
		roots: "v", format: "Maildir++",
		tree: `M v/(other)
				M v/bad` + "\xff" + `name
				d v/bad` + "\xff" + `name/.R&D/cur
				d v/bad` + "\xff" + `name/.&AGE-/cur`,
		want: `(other)~(other) (\(other)) 0:(other): INBOX=0:(other)/[^.]
				bad\xffname 0:bad` + "\xff" + `name: INBOX=0:bad` + "\xff" + `name/[^.] R&D=0:bad` + "\xff" + `name/.R&D a=0:bad` + "\xff" + `name/.&AGE-
				clash (other): (other)~(other)`,
	},
}

func TestDetect(t *testing.T) {
	for _, tc := range detectCases {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			plant(t, dir, tc.tree)
			s := detect(t, dir, strings.Fields(tc.roots), tc.opts)
			want := strings.ReplaceAll(lines(tc.want), `(\(other))`, "((other))")
			if got := lines(show(s)); got != want {
				t.Errorf("found\n%swant\n%s", got, want)
			}
			if s.Format != tc.format {
				t.Errorf("format %q, want %q", s.Format, tc.format)
			}
		})
	}
}

func TestNamePattern(t *testing.T) {
	iRed := "M vmail1/example.com/a/l/i/alice-2020.01.02.03.04.05/Maildir\n" +
		"M vmail1/example.com/m/a/r/mary-ann-2021.01.02.03.04.05/Maildir"
	for _, tc := range []struct{ pattern, tree, want string }{
		{"%d/%n/Maildir", "M localhost/alice/Maildir\nf localhost/alice/sieve\nd localhost/bob", "alice@localhost 0:localhost/alice: INBOX=0:localhost/alice/Maildir/[^.]"},
		{"%d/%n", "M example.com/alice\nd example.com/bob\nd .snap/x", "alice@example.com 0:example.com/alice: INBOX=0:example.com/alice/[^.]\nbob@example.com 0:example.com/bob:"},
		{"%d/%n", "M example.com/alice/Maildir", "alice@example.com 0:example.com/alice: INBOX=0:example.com/alice/Maildir/[^.]"},
		{"%u", "M alice@example.com\nM bob", "alice@example.com 0:alice@example.com: INBOX=0:alice@example.com/[^.]\nbob 0:bob: INBOX=0:bob/[^.]"},
		{"%d/%u", "M example.com/alice\nM example.com/bob@example.com", "alice@example.com 0:example.com/alice: INBOX=0:example.com/alice/[^.]\nbob@example.com 0:example.com/bob@example.com: INBOX=0:example.com/bob@example.com/[^.]"},
		{"%n", "M alice\nd lost+found", "alice 0:alice: INBOX=0:alice/[^.]"},
		{"%n@%d", "M alice@example.com", "alice@example.com 0:alice@example.com: INBOX=0:alice@example.com/[^.]"},
		{"%n/*/mail", "M alice/a/mail\nM alice/b/mail", "alice 0:alice: INBOX=0:alice/a/mail/[^.]+0:alice/b/mail/[^.]"},
		{"%d/%n.mbox", "b example.com/alice.mbox\nf example.com/bob.mbox\nb example.com/carol", "alice@example.com 0:example.com/alice.mbox: INBOX=0:example.com/alice.mbox"},
		{"%n/Mail", "b alice/Mail/work\nb alice/Mail/inbox", "alice 0:alice: INBOX=0:alice/Mail/inbox work=0:alice/Mail/work"},
		{"%n/folders", "b alice/folders/work", "alice 0:alice: work=0:alice/folders/work"},
		{"%n/mdbox", "d alice/mdbox/storage", "alice 0:alice:"},
		{"%d/%n/%n", "M example.com/alice/alice\nM example.com/alice/bob", "alice@example.com 0:example.com/alice/alice: INBOX=0:example.com/alice/alice/[^.]"},
		{"100%%/%n", "M 100%/alice\nM 50%/bob", "alice 0:100%/alice: INBOX=0:100%/alice/[^.]"},
		{"%d/*/*/*/%n-*/Maildir", strings.ReplaceAll(iRed, "vmail1/", ""),
			"alice@example.com 0:example.com/a/l/i/alice-2020.01.02.03.04.05: INBOX=0:example.com/a/l/i/alice-2020.01.02.03.04.05/Maildir/[^.]\n" +
				"mary-ann@example.com 0:example.com/m/a/r/mary-ann-2021.01.02.03.04.05: INBOX=0:example.com/m/a/r/mary-ann-2021.01.02.03.04.05/Maildir/[^.]"},
		{"%n-*", "M alice-1\nM alice-2",
			"alice~alice-1 (alice) 0:alice-1: INBOX=0:alice-1/[^.]\nalice~alice-2 (alice) 0:alice-2: INBOX=0:alice-2/[^.]\nclash alice: alice~alice-1, alice~alice-2"},
		{"x%n", "M x..", `\x2e. 0:x..: INBOX=0:x../[^.]`},
		{"/ROOT/%n/Maildir", "M alice/Maildir", "alice 0:alice: INBOX=0:alice/Maildir/[^.]"},
	} {
		t.Run(strings.ReplaceAll(tc.pattern, "/", ":"), func(t *testing.T) {
			dir := t.TempDir()
			plant(t, dir, tc.tree)
			pattern := strings.Replace(tc.pattern, "/ROOT", strings.ReplaceAll(filepath.ToSlash(dir), "%", "%%"), 1)
			s := detect(t, dir, []string{""}, mailstore.Options{NamePattern: pattern})
			if got, want := lines(show(s)), lines(tc.want); got != want {
				t.Errorf("found\n%swant\n%s", got, want)
			}
			if s.PatternUnused {
				t.Error("the pattern counts as unused")
			}
		})
	}
}

// An absolute pattern may end above, at or below a root.
func TestAbsolutePatternAndDeepRoots(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "M vmail/example.com/alice/Maildir")
	for root, want := range map[string]string{
		"vmail":                           "0:example.com/alice",
		"vmail/example.com":               "0:alice",
		"vmail/example.com/alice":         "0:",
		"vmail/example.com/alice/Maildir": "0:",
	} {
		s := detect(t, dir, []string{root}, mailstore.Options{NamePattern: dir + "/vmail/%d/%n/Maildir"})
		if len(s.Mailboxes) != 1 || s.Mailboxes[0].Name != "alice@example.com" || showPlace(s.Mailboxes[0].Places[0]) != want {
			t.Errorf("root %s: found\n%s", root, show(s))
		}
	}
}

func TestPatternServesOnlyRootsItMatches(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "M vmail/localhost/alice/Maildir\nM vmail/old/x/y/z\nb var/mail/bob")
	opts := mailstore.Options{NamePattern: "%d/%n/Maildir"}
	want := "alice@localhost 0:localhost/alice: INBOX=0:localhost/alice/Maildir/[^.]\nbob 1:bob: INBOX=1:bob\n"
	if got := show(detect(t, dir, []string{"vmail", "var/mail"}, opts)); got != want {
		t.Errorf("found\n%swant\n%s", got, want)
	}
	if s := detect(t, dir, []string{"var/mail"}, opts); !s.PatternUnused || len(s.Mailboxes) != 1 {
		t.Errorf("a pattern that matches nothing: unused %v,\n%s", s.PatternUnused, show(s))
	}
}

func TestDetectRefuses(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "M v/alice\nl link -> v")
	for _, tc := range []struct {
		roots []string
		opts  mailstore.Options
		want  string
	}{
		{nil, mailstore.Options{}, "no folder given"},
		{[]string{"nowhere"}, mailstore.Options{}, "nowhere"},
		{[]string{"v", "v/alice"}, mailstore.Options{}, "overlap"},
		{[]string{"v", "v"}, mailstore.Options{}, "overlap"},
		{[]string{"v/alice", "link"}, mailstore.Options{}, "overlap"},
		{[]string{"v"}, mailstore.Options{Layout: "mh"}, `unknown layout "mh"`},
		{[]string{"v"}, mailstore.Options{NamePattern: "%d/*"}, "neither %n"},
		{[]string{"v"}, mailstore.Options{NamePattern: "%d/%x"}, `"%x"`},
		{[]string{"v"}, mailstore.Options{NamePattern: "%n%n"}, "twice"},
		{[]string{"v"}, mailstore.Options{NamePattern: "%n//x"}, "no path element"},
		{[]string{"v"}, mailstore.Options{NamePattern: "../%n"}, "no path element"},
		{[]string{"v"}, mailstore.Options{NamePattern: "%"}, `"%"`},
	} {
		var roots []string
		for _, r := range tc.roots {
			roots = append(roots, filepath.Join(dir, r))
		}
		if _, err := mailstore.Detect(t.Context(), roots, tc.opts); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v %+v: error %v, want one with %q", tc.roots, tc.opts, err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mailstore.Detect(ctx, []string{dir}, mailstore.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

// A root may be a link: /var/mail is one on many systems.
func TestRootMayBeALink(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "b var/spool/mail/alice\nl var/mail -> spool/mail")
	if got := show(detect(t, dir, []string{"var/mail"}, mailstore.Options{})); got != "alice 0:alice: INBOX=0:alice\n" {
		t.Errorf("found\n%s", got)
	}
}

// Detection reads folders, not messages: what it costs must not grow with the mail.
func BenchmarkDetect2000(b *testing.B) {
	dir := b.TempDir()
	for i := range 2000 {
		plant(b, dir, fmt.Sprintf("M vmail/example%d.com/user%d/Maildir\nd vmail/example%d.com/user%d/Maildir/.Sent/cur\nd vmail/example%d.com/user%d/Maildir/.Trash/cur", i%20, i, i%20, i, i%20, i))
	}
	for b.Loop() {
		if s := detect(b, dir, []string{"vmail"}, mailstore.Options{}); len(s.Mailboxes) != 2000 {
			b.Fatalf("%d mailboxes", len(s.Mailboxes))
		}
	}
}
