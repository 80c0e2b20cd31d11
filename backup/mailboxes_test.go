package backup_test

import (
	"slices"
	"strings"
	"testing"

	"restante/backup"
	"restante/internal/glob"
	"restante/snapshot"
)

// mailboxRanges returns the ranges of each mailbox, and of each folder as
// MAILBOX/FOLDER.
func mailboxRanges(t *testing.T, f *fixture, r *backup.Result) map[string][]snapshot.Range {
	t.Helper()
	all := map[string][]snapshot.Range{}
	for m, err := range snapshot.OpenMailboxes(f.open(), r.Snapshot.Mailboxes).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all[m.Name] = m.Ranges
		for _, folder := range m.Folders {
			all[m.Name+"/"+folder.Name] = folder.Ranges
		}
	}
	return all
}

func counts(t *testing.T, f *fixture, r *backup.Result, ranges []snapshot.Range) snapshot.Counts {
	t.Helper()
	var sum snapshot.Counts
	tree := f.tree(r)
	for _, rng := range ranges {
		c, err := tree.Count(t.Context(), rng)
		if err != nil {
			t.Fatal(err)
		}
		sum.Add(c)
	}
	return sum
}

// A mailbox or folder that is left out is no empty one.
func TestExcludedMailboxesAreNotListed(t *testing.T) {
	f := newFixture(t)
	for _, user := range []string{"alice", "bob", "carol"} {
		f.maildir("example.com/"+user+"/Maildir", 1)
		f.maildir("example.com/"+user+"/Maildir/.Trash", 1)
	}
	result := f.clean(func(o *backup.Options) {
		var err error
		if o.Exclude, err = glob.New([]string{"example.com/bob", "example.com/carol/Maildir/*", ".Trash"}); err != nil {
			t.Fatal(err)
		}
	})
	var names []string
	for name := range mailboxRanges(t, f, result) {
		names = append(names, name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "alice@example.com alice@example.com/INBOX carol@example.com carol@example.com/INBOX" || result.Mailboxes != 2 {
		t.Errorf("%d mailboxes: %s", result.Mailboxes, got)
	}
}

func TestMailboxes(t *testing.T) {
	f := newFixture(t)
	home := "example.com/alice/"
	f.maildir(home+"Maildir", 7)
	f.maildir(home+"Maildir/.Sent", 3)
	f.maildir(home+"Maildir/.Archive.2020", 2)
	f.write(home+"Maildir/new/1.fresh", mail("fresh"))
	f.write(home+"Maildir/subscriptions", "Sent\n")
	f.write(home+"Maildir/.hidden", "belongs to nothing but the home")
	f.write(home+"filter.sieve", "keep;")
	f.write(home+"mail/example.org/guest/Maildir/cur/1:2,", mail("of another one"))
	f.maildir(home+"mail/example.org/guest/Maildir", 1)
	f.maildir("example.net/bob", 4)
	f.maildir("example.net/bob/Archive/2021", 5)
	f.write("example.net/bobby", "a file that sorts after the folder")
	f.write("README", "whose?")
	result := f.clean()
	ranges := mailboxRanges(t, f, result)
	for name, want := range map[string]struct{ messages, files uint64 }{
		"alice@example.com":              {13, 13 + 3},
		"alice@example.com/INBOX":        {8, 8 + 1},
		"alice@example.com/Sent":         {3, 3},
		"alice@example.com/Archive/2020": {2, 2},
		"guest@example.org":              {2, 2},
		"bob@example.net":                {9, 9},
		"bob@example.net/Archive/2021":   {5, 5},
	} {
		c := counts(t, f, result, ranges[name])
		if ranges[name] == nil || c.Messages != want.messages || c.Files != want.files {
			t.Errorf("%s has %d messages and %d files: %v", name, c.Messages, c.Files, ranges[name])
		}
	}
	if got := int(result.Snapshot.Mailboxes.Counts.Entries); got != 3 || result.Mailboxes != 3 || result.Example != "alice@example.com" {
		t.Errorf("%d mailboxes, %d in the result, such as %q", got, result.Mailboxes, result.Example)
	}
	// No key lies in two mailboxes.
	var all []snapshot.Range
	for name, r := range ranges {
		if !strings.Contains(name, "/") {
			all = append(all, r...)
		}
	}
	for key := range f.entries(result) {
		k, err := snapshot.KeyOf(key)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range all {
			if r.Contains(k) {
				n++
			}
		}
		if n > 1 {
			t.Errorf("%q lies in %d mailboxes", key, n)
		}
	}
}
