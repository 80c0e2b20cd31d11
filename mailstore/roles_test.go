package mailstore_test

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"restante/mailstore"
)

func TestRoles(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, `M v/example.com/alice/Maildir
		d v/example.com/alice/Maildir/.Sent/cur
		d v/example.com/alice/Maildir/.Sent/new
		M v/example.com/alice/old/Maildir
		d v/example.com/alice/sieve/cur
		f v/example.com/notes
		b var/mail/bob
		M var/mail/carol
		b home/bob/mail/work/x
		b var/spool`)
	s := detect(t, dir, []string{"v", "var/mail", "home", "var/spool"}, mailstore.Options{})
	plant(t, dir, `M v/example.com/alice/Maildir/.Later
		b var/mail/later`)
	dirs := map[string]struct {
		role  mailstore.DirRole
		owner string
	}{
		"0:":                                     {mailstore.PlainDir, ""},
		"0:example.com":                          {mailstore.PlainDir, ""},
		"0:example.com/alice":                    {mailstore.PlainDir, "alice@example.com"},
		"0:example.com/alice/sieve":              {mailstore.PlainDir, "alice@example.com"},
		"0:example.com/alice/Maildir":            {mailstore.MaildirRoot, "alice@example.com"},
		"0:example.com/alice/Maildir/cur":        {mailstore.MaildirMessages, "alice@example.com"},
		"0:example.com/alice/Maildir/new":        {mailstore.MaildirMessages, "alice@example.com"},
		"0:example.com/alice/Maildir/tmp":        {mailstore.MaildirTmp, "alice@example.com"},
		"0:example.com/alice/Maildir/.Sent":      {mailstore.MaildirRoot, "alice@example.com"},
		"0:example.com/alice/Maildir/.Sent/cur":  {mailstore.MaildirMessages, "alice@example.com"},
		"0:example.com/alice/Maildir/.Later":     {mailstore.MaildirRoot, "alice@example.com"},
		"0:example.com/alice/Maildir/.Later/cur": {mailstore.MaildirMessages, "alice@example.com"},
		"0:example.com/alice/old/Maildir/cur":    {mailstore.MaildirMessages, "alice@example.com"},
		"0:example.com/alice/sieve/cur":          {mailstore.PlainDir, "alice@example.com"},
		"0:example.com/alice/gone/cur":           {mailstore.PlainDir, "alice@example.com"},
		"0:example.com/alicexx":                  {mailstore.PlainDir, ""},
		"1:":                                     {mailstore.MboxDir, ""},
		"1:carol":                                {mailstore.MaildirRoot, "carol"},
		"2:bob":                                  {mailstore.PlainDir, "bob"},
		"2:bob/mail":                             {mailstore.MboxDir, "bob"},
		"3:":                                     {mailstore.PlainDir, "spool"},
	}
	for place, want := range dirs {
		info := s.Dir(int(place[0]-'0'), place[2:])
		if info.Role != want.role || owner(s, info.Mailbox) != want.owner {
			t.Errorf("%s: role %d of %q, want %d of %q", place, info.Role, owner(s, info.Mailbox), want.role, want.owner)
		}
	}
	for place, want := range map[string]struct {
		role  mailstore.FileRole
		owner string
	}{
		"0:example.com/alice/Maildir/cur|1:2,S":              {mailstore.Message, "alice@example.com"},
		"0:example.com/alice/Maildir/cur|.nfs0001":           {mailstore.Regular, "alice@example.com"},
		"0:example.com/alice/Maildir/tmp|1":                  {mailstore.Regular, "alice@example.com"},
		"0:example.com/alice/Maildir|dovecot-uidlist":        {mailstore.Control, "alice@example.com"},
		"0:example.com/alice/Maildir/.Sent|dovecot-keywords": {mailstore.Control, "alice@example.com"},
		"0:example.com/alice/Maildir|maildirfolder":          {mailstore.Regular, "alice@example.com"},
		"0:example.com/alice|dovecot-uidlist":                {mailstore.Regular, "alice@example.com"},
		"0:example.com|notes":                                {mailstore.Regular, ""},
		"1:|bob":                                             {mailstore.MboxFile, "bob"},
		"1:|later":                                           {mailstore.MboxFile, ""},
		"1:|bob.lock":                                        {mailstore.Regular, ""},
		"2:bob/mail/work|x":                                  {mailstore.MboxFile, "bob"},
		"2:bob|x":                                            {mailstore.Regular, "bob"},
		"3:|":                                                {mailstore.MboxFile, "spool"},
		"0:example.com/alice/mdbox/storage|m.12":             {mailstore.DboxFile, "alice@example.com"},
		"0:example.com/alice|u.7":                            {mailstore.DboxFile, "alice@example.com"},
		"0:example.com/alice|u.7x":                           {mailstore.Regular, "alice@example.com"},
		"0:example.com/alice|m.":                             {mailstore.Regular, "alice@example.com"},
		"0:example.com/alice/Maildir/tmp|u.1":                {mailstore.Regular, "alice@example.com"},
	} {
		at, name, _ := strings.Cut(place, "|")
		role, mailbox := s.Dir(int(at[0]-'0'), at[2:]).File(name)
		if role != want.role || owner(s, mailbox) != want.owner {
			t.Errorf("%s: role %d of %q, want %d of %q", place, role, owner(s, mailbox), want.role, want.owner)
		}
	}
}

func owner(s *mailstore.Store, i int) string {
	if i == mailstore.Nobody {
		return ""
	}
	return s.Mailboxes[i].Name
}

func TestSurvey(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, `M v/web1/Maildir
		f v/web1/Maildir/dovecot-uidlist
		f v/web1/Maildir/tmp/unfinished
		M v/web1/homes/alice/Maildir
		f v/loose
		l v/web1/link -> /etc/passwd
		b var/mail/bob
		f var/mail/other
		b file`)
	s := detect(t, dir, []string{"v", "var/mail", "file"}, mailstore.Options{})
	v, err := s.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const inMaildir = 2*18 + 19 // bytes of what plant puts into a Maildir
	want := map[string]mailstore.Counts{
		"alice": {Files: 3, Messages: 3, Bytes: inMaildir},
		"web1":  {Files: 5, Messages: 3, Bytes: inMaildir + 10},
		"bob":   {Files: 1, Messages: 2, Bytes: int64(len(mboxText))},
		"file":  {Files: 1, Messages: 2, Bytes: int64(len(mboxText))},
	}
	var total mailstore.Counts
	for i, m := range s.Mailboxes {
		if v.Mailboxes[i] != want[m.Name] {
			t.Errorf("%s: %+v, want %+v", m.Name, v.Mailboxes[i], want[m.Name])
		}
		total.Files += v.Mailboxes[i].Files
		total.Messages += v.Mailboxes[i].Messages
		total.Bytes += v.Mailboxes[i].Bytes
	}
	if len(s.Mailboxes) != len(want) {
		t.Errorf("found\n%s", show(s))
	}
	if v.Other != (mailstore.Counts{Files: 2, Bytes: 10}) {
		t.Errorf("others: %+v", v.Other)
	}
	total.Files += 2
	total.Bytes += 10
	if v.Total != total || len(v.Unreadable) != 0 {
		t.Errorf("total: %+v, want %+v; unreadable %v", v.Total, total, v.Unreadable)
	}
	if size, err := s.Size(t.Context()); err != nil || size != (mailstore.Counts{Files: total.Files, Bytes: total.Bytes}) {
		t.Errorf("size: %+v, %v", size, err)
	}
}

// Of a plain store what looks like mail counts, beside mail of a layout nothing does.
func TestSurveyOfWhatLooksLikeMail(t *testing.T) {
	const letter, framed = "From: a@example.org\nSubject: x\n\nhello\n", "\x01\x02N          0000000000000002\nxx\n\x01\x03\nR1\n\n"
	files := map[string]string{
		"alice/a/1.eml": "hello\n", "alice/a/2": letter, "alice/a/.hidden": letter, "alice/a/notes": "to do:\n", "alice/empty": "",
		"bob/in": mboxText, "bob/storage/m.1": "2 M1e C6b022e39\n" + framed + framed, "bob/u.1": "no dbox",
	}
	for layout, want := range map[mailstore.Layout]map[string]int64{
		mailstore.Plain: {"alice": 2, "bob": 2 + 2},
		mailstore.Auto:  {"alice": 2, "bob": 2 + 2},
		mailstore.Mbox:  {"in": 2}, // and nothing else is one
	} {
		dir := t.TempDir()
		for name, text := range files {
			write(t, filepath.Join(dir, "v", filepath.FromSlash(name)), text)
		}
		s := detect(t, dir, []string{"v"}, mailstore.Options{Layout: layout})
		v, err := s.Survey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		for i, m := range s.Mailboxes {
			got[m.Name] = v.Mailboxes[i].Messages
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", layout, got, want)
		}
	}
}

// Names are bytes: what no encoding explains must be found again by the path that is told.
func TestPathsAreBytes(t *testing.T) {
	dir := t.TempDir()
	odd := "a\nb\xff\xfe"
	plant(t, dir, "M v/x")
	write(t, filepath.Join(dir, "v", odd, "cur", odd+":2,S"), "x")
	mkdir(t, filepath.Join(dir, "v", odd, "new"))
	mkdir(t, filepath.Join(dir, "v", odd, "."+odd, "cur"))
	s := detect(t, dir, []string{"v"}, mailstore.Options{})
	if len(s.Mailboxes) != 2 || s.Mailboxes[0].Name != `a\x0ab\xff\xfe` || s.Mailboxes[0].Places[0].Path != odd {
		t.Fatalf("found\n%q", show(s))
	}
	if f := s.Mailboxes[0].Folders; len(f) != 2 || f[1].Places[0].Path != odd+"/."+odd || f[1].Name != `a\x0ab\xff\xfe` {
		t.Errorf("folders %+v", f)
	}
	if i, err := mailstore.Match([]mailstore.Name{{Name: s.Mailboxes[0].Name}}, odd); err != nil || i != 0 {
		t.Errorf("by its bytes: %v", err)
	}
	if v, err := s.Survey(t.Context()); err != nil || v.Mailboxes[0].Messages != 1 {
		t.Errorf("survey %+v, %v", v, err)
	}
}

func TestLongNamesAreCut(t *testing.T) {
	dir := t.TempDir()
	a, b := strings.Repeat("ä", 120)+"a", strings.Repeat("ä", 120)+"b"
	plant(t, dir, "M v/"+a+"\nM v/"+b)
	s := detect(t, dir, []string{"v"}, mailstore.Options{})
	if len(s.Mailboxes) != 2 || len(s.Clashes) != 0 {
		t.Fatalf("found\n%s", show(s))
	}
	for _, m := range s.Mailboxes {
		if len(m.Name) > 200 {
			t.Errorf("name of %d bytes", len(m.Name))
		}
	}
}
