package backup_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"restante/backup"
	"restante/storage/mem"
)

// mdboxOf returns an mdbox file with these messages.
func mdboxOf(messages ...string) string {
	var b strings.Builder
	b.WriteString("2 M1e C6b022e39\n")
	for _, m := range messages {
		fmt.Fprintf(&b, "\x01\x02N          %016X\n%s\n\x01\x03\nR6b022e39\n\n", len(m), m)
	}
	return b.String()
}

// TestMailOfEachLayoutIsCounted follows stores through nights in which their files
// are read, grow, stay, get other names and go. A run that knows nothing has to
// count the same.
func TestMailOfEachLayoutIsCounted(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	type night struct {
		change            func(f *fixture)
		total, come, gone uint64
	}
	all := func(n int) (messages []string) {
		for i := range n {
			messages = append(messages, numbered(i))
		}
		return messages
	}
	nothing := func(*fixture) {}
	for name, nights := range map[string][]night{
		"mdbox": {
			{func(f *fixture) {
				f.write("alice/mdbox/mailboxes/INBOX/dbox-Mails/dovecot.index", "x")
				f.write("alice/mdbox/storage/m.1", mdboxOf(all(3)...))
				f.write("alice/mdbox/storage/m.2", mdboxOf("\x1f\x8bpacked", "\x1f\x8btoo")) // as Dovecot compresses them
				f.write("alice/mdbox/kept.eml", numbered(7))
			}, 5, 5, 0},
			{nothing, 5, 0, 0},
			{func(f *fixture) { f.write("alice/mdbox/storage/m.1", mdboxOf(all(40)...)) }, 42, 37, 0},
			{func(f *fixture) { must(t, os.Remove(f.root("alice/mdbox/storage/m.2"))) }, 40, 0, 2},
		},
		"sdbox": {
			{func(f *fixture) {
				f.write("alice/sdbox/mailboxes/INBOX/dbox-Mails/u.1", mdboxOf(numbered(1)))
				f.write("alice/sdbox/mailboxes/INBOX/dbox-Mails/u.2", mdboxOf("\x1f\x8bpacked"))
				f.write("alice/sdbox/mailboxes/INBOX/dbox-Mails/dovecot.index", "x")
			}, 2, 2, 0},
			{func(f *fixture) { f.write("alice/sdbox/mailboxes/INBOX/dbox-Mails/u.3", mdboxOf(numbered(3))) }, 3, 1, 0},
			{func(f *fixture) { must(t, os.Remove(f.root("alice/sdbox/mailboxes/INBOX/dbox-Mails/u.1"))) }, 2, 0, 1},
		},
		"plain": {
			{func(f *fixture) {
				f.write("alice/INBOX/#msgs/1.eml", numbered(1))
				f.write("alice/INBOX/#msgs/2.eml", "hello\n")
				f.write("alice/INBOX/3", numbered(2)+strings.Repeat("more\n", 10_000))
				f.write("alice/INBOX/status.fld", "no mail\n")
			}, 3, 3, 0},
			{nothing, 3, 0, 0},
			{func(f *fixture) { must(t, os.Rename(f.root("alice/INBOX/3"), f.root("alice/INBOX/4"))) }, 3, 1, 1},
			{func(f *fixture) { must(t, os.Chmod(f.root("alice/INBOX/#msgs/1.eml"), 0o600)) }, 3, 0, 0},
		},
	} {
		f := newFixture(t)
		limits := func(o *backup.Options) { backup.SetLimits(o, backup.Grown(1<<10, 2<<10)) }
		for i, n := range nights {
			n.change(f)
			r := f.clean(limits)
			s := r.Snapshot
			if s.Tree.Counts.Messages != n.total || s.Run.NewMessages != n.come || s.Run.RemovedMessages != n.gone {
				t.Errorf("%s, night %d: %d messages, %d new, %d removed; want %+v", name, i, s.Tree.Counts.Messages, s.Run.NewMessages, s.Run.RemovedMessages, n)
			}
			if got := counts(t, f, r, mailboxRanges(t, f, r)["alice"]).Messages; got != n.total {
				t.Errorf("%s, night %d: %d messages in the mailbox", name, i, got)
			}
			scratch := &fixture{t: t, store: mem.New(), roots: f.roots, cache: t.TempDir()}
			scratch.createWithKeyOf(f)
			if anew := scratch.clean().Snapshot; anew.Tree != s.Tree {
				t.Errorf("%s, night %d: the tree is not that of a run that knows nothing: %+v, %+v", name, i, s.Tree, anew.Tree)
			}
			if survey, err := f.options().Store.Survey(t.Context()); err != nil || uint64(survey.Total.Messages) != n.total {
				t.Errorf("%s, night %d: inspect counts %d messages, %v", name, i, survey.Total.Messages, err)
			}
		}
	}
}
