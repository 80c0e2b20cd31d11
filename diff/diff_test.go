package diff_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"restante/blob"
	"restante/diff"
	"restante/snapshot"
)

var testKey = blob.Key{7}

// pages keeps pages in memory.
type pages map[blob.ID][]byte

func (p pages) SavePage(_ context.Context, data []byte) (blob.ID, error) {
	id := blob.NameOf(data)
	p[id] = slices.Clone(data)
	return id, nil
}

func (p pages) LoadPage(_ context.Context, id blob.ID) ([]byte, error) {
	if data, ok := p[id]; ok {
		return data, nil
	}
	return nil, errors.New("it is gone")
}

// A store is what lies at its paths: contents, or the number of messages in mboxes.
type store map[string]any

func (s store) tree(t *testing.T, p pages) *snapshot.Tree {
	t.Helper()
	return snapshot.OpenTree(p, s.root(t, p))
}

func (s store) root(t *testing.T, p pages) snapshot.Root {
	t.Helper()
	b := snapshot.NewBuilder(p, testKey)
	var keys []snapshot.Key
	for path := range s {
		k, err := snapshot.KeyOf(path)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		e := entry(s[k.Path()])
		if err := b.Add(t.Context(), k, &e); err != nil {
			t.Fatal(err)
		}
	}
	root, err := b.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return root
}

type dir struct{ mode, time int }

func entry(what any) snapshot.Entry {
	file := func(content string, messages uint64) snapshot.Entry {
		piece := snapshot.Piece{ID: blob.NameOf([]byte(content)), Size: uint32(len(content))}
		return snapshot.Entry{Kind: snapshot.File, Mode: 0o600, Messages: messages, Size: uint64(len(content)),
			Recipe: snapshot.Recipe{Cutter: 1, Items: []snapshot.Item{{Kind: snapshot.PieceItem, Piece: piece}}}}
	}
	switch w := what.(type) {
	case dir:
		return snapshot.Entry{Kind: snapshot.Dir, Mode: uint32(w.mode), Mtime: snapshot.Time{Sec: int64(w.time)}}
	case int:
		return file(fmt.Sprintf("an mbox of %d", w), uint64(w))
	case error:
		return snapshot.Entry{Kind: snapshot.Unsaved, Reason: w.Error()}
	case []byte:
		return file(string(w), 0) // no mail
	default:
		return file(w.(string), 1)
	}
}

func TestBetween(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after store
		want          []string
		sums          diff.Sums
	}{
		{"nothing", store{"cur/a:2,": "1"}, store{"cur/a:2,": "1"}, nil, diff.Sums{}},
		{"came and went", store{"cur/a:2,": "1"}, store{"cur/b:2,": "22"},
			[]string{"removed cur/a:2,", "added cur/b:2,"}, diff.Sums{Added: 1, Removed: 1, Bytes: 2}},
		{"flags", store{"x/cur/a:2,": "1"}, store{"x/cur/a:2,FS": "1"}, []string{"flagged x/cur/a:2, x/cur/a:2,FS"}, diff.Sums{Flagged: 1}},
		{"seen", store{"new/a": "1"}, store{"cur/a:2,S": "1"}, []string{"flagged new/a cur/a:2,S"}, diff.Sums{Flagged: 1}},
		{"flags of messages that are the same", store{"cur/a:2,": "1", "cur/b:2,": "1"}, store{"cur/a:2,S": "1", "cur/b:2,S": "1"},
			[]string{"flagged cur/a:2, cur/a:2,S", "flagged cur/b:2, cur/b:2,S"}, diff.Sums{Flagged: 2}},
		{"moved by a new name", store{"cur/a:2,S": "1"}, store{".Trash/cur/z:2,S": "1"}, []string{"moved cur/a:2,S .Trash/cur/z:2,S"}, diff.Sums{Moved: 1}},
		{"moved to another mailbox", store{"alice/cur/a:2,S": "1"}, store{"bob/new/a": "1"}, []string{"moved alice/cur/a:2,S bob/new/a"}, diff.Sums{Moved: 1}},
		{"one of two moved", store{"cur/a:2,": "1", "cur/b:2,": "1"}, store{".Trash/cur/x:2,": "1"},
			[]string{"moved cur/a:2, .Trash/cur/x:2,", "removed cur/b:2,"}, diff.Sums{Moved: 1, Removed: 1}},
		{"copied", store{"cur/a:2,": "1"}, store{"cur/a:2,": "1", ".Trash/cur/b:2,": "1"}, []string{"added .Trash/cur/b:2,"}, diff.Sums{Added: 1, Bytes: 1}},
		{"another message by the same base name", store{"cur/a:2,": "1"}, store{".Sent/cur/a:2,": "2"},
			[]string{"added .Sent/cur/a:2,", "removed cur/a:2,"}, diff.Sums{Added: 1, Removed: 1, Bytes: 1}},
		{"mbox", store{"mail/inbox": 3, "mail/gone": 2}, store{"mail/inbox": 5, "mail/come": 1},
			[]string{"added mail/come", "removed mail/gone", "changed mail/inbox mail/inbox"}, diff.Sums{Added: 3, Removed: 2, Bytes: 12}},
		{"mbox of one message is none of a Maildir", store{"mail/a": 1}, store{"mail/b": 1}, []string{"removed mail/a", "added mail/b"}, diff.Sums{Added: 1, Removed: 1, Bytes: 12}},
		{"folders by their time alone", store{"cur": dir{0o700, 1}}, store{"cur": dir{0o700, 2}}, nil, diff.Sums{}},
		{"folders", store{"cur": dir{0o700, 1}}, store{"cur": dir{0o755, 1}}, []string{"changed cur cur"}, diff.Sums{Files: 1}},
		{"other files", store{"subscriptions": []byte("a")}, store{"subscriptions": []byte("ab"), "x": []byte("abc")},
			[]string{"changed subscriptions subscriptions", "added x"}, diff.Sums{Files: 2, Bytes: 4}},
		{"changed in its place", store{"cur/a:2,": "1"}, store{"cur/a:2,": "22"}, []string{"changed cur/a:2, cur/a:2,"}, diff.Sums{Changed: 1, Bytes: 1}},
		{"unsaved", store{"cur/a:2,": "1"}, store{"cur/a:2,": errors.New("no")}, []string{"changed cur/a:2, cur/a:2,"}, diff.Sums{Files: 1}},
	} {
		p := pages{}
		changes, err := diff.Between(t.Context(), tt.before.tree(t, p), tt.after.tree(t, p), []snapshot.Range{{}}, blob.NewHasher(testKey))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		var sums diff.Sums
		for _, c := range changes {
			line := string(c.Kind)
			for _, f := range []*diff.File{c.Before, c.After} {
				if f != nil {
					line += " " + f.Key.Path()
				}
			}
			got = append(got, line)
			sums.Add(&c)
		}
		if !slices.Equal(got, tt.want) || sums != tt.sums {
			t.Errorf("%s: %q, %+v; want %q, %+v", tt.name, got, sums, tt.want, tt.sums)
		}
	}
}

// What is lost costs what lies in it; the rest is known.
func TestBetweenPassesDamage(t *testing.T) {
	before, after := store{}, store{}
	for i := range 3000 {
		before[fmt.Sprintf("cur/%05d:2,", i)] = fmt.Sprint(i)
		after[fmt.Sprintf("cur/%05d:2,", i)] = fmt.Sprint(i)
	}
	after["cur/00000:2,"] = "other"
	after["cur/02999:2,"] = "other"
	p, q := pages{}, pages{}
	a, root := before.tree(t, p), after.root(t, q)
	between := func() ([]diff.Change, error) {
		return diff.Between(t.Context(), a, snapshot.OpenTree(q, root), []snapshot.Range{{}}, blob.NewHasher(testKey))
	}
	for id := range q {
		if _, shared := p[id]; !shared {
			lost := q[id]
			delete(q, id)
			changes, err := between()
			if gap := new(snapshot.Gap); !errors.As(err, &gap) || len(changes) > 1 {
				t.Errorf("%d changes, %v", len(changes), err)
			}
			q[id] = lost
		}
	}
	if changes, err := between(); err != nil || len(changes) != 2 {
		t.Errorf("%d changes, %v", len(changes), err)
	}
}

func TestOwners(t *testing.T) {
	p := pages{}
	b := snapshot.NewMailboxBuilder(p, testKey)
	sub := func(k snapshot.Key) snapshot.Range { return snapshot.Subtree(k) }
	for _, m := range []snapshot.Mailbox{
		{Name: "alice", Ranges: []snapshot.Range{sub("alice"), sub("spool\x00alice")}, Folders: []snapshot.Folder{{Name: "INBOX", Ranges: []snapshot.Range{sub("spool\x00alice")}},
			{Name: "Sent", Ranges: []snapshot.Range{sub("alice\x00.Sent")}}}},
		{Name: "bob", Ranges: []snapshot.Range{sub("bob")}},
	} {
		if err := b.Add(t.Context(), &m); err != nil {
			t.Fatal(err)
		}
	}
	root, err := b.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o, err := diff.OwnersOf(t.Context(), snapshot.OpenMailboxes(p, root))
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[snapshot.Key]string{"": "/", "alic": "/", "alice": "alice/", "alice\x00x": "alice/", "alice\x00.Sent\x00cur": "alice/Sent",
		"alicf": "/", "bob\x00cur": "bob/", "spool\x00alice": "alice/INBOX", "spool\x00bob": "/", "z": "/"} {
		mailbox, folder := o.Of(k)
		if got := mailbox + "/" + folder; got != want {
			t.Errorf("%q belongs to %q, not %q", k, got, want)
		}
	}
	clear(p)
	if _, err := diff.OwnersOf(t.Context(), snapshot.OpenMailboxes(p, root)); !errors.As(err, new(*snapshot.Gap)) {
		t.Errorf("lost mailboxes: %v", err)
	}
}
