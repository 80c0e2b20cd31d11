package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"restante/snapshot"
)

func fullSnapshot() *snapshot.Snapshot {
	s := &snapshot.Snapshot{
		Store: "mail", Host: "mx1", User: "vmail", Roots: []string{"/var/vmail", "/home/\xff"}, Layout: "maildir++",
		Program: "restante 0.1", Tags: []string{"nightly"}, Description: "before the move",
		Started: snapshot.Time{Sec: 1700000000, Nsec: 5}, Ended: snapshot.Time{Sec: 1700000090}, Parent: [16]byte{1, 2},
		Tree:      snapshot.Root{ID: testID(1), Level: 3, Counts: snapshot.Counts{Entries: 9, Files: 8, Messages: 7, Bytes: 6, Unsaved: 5}},
		Mailboxes: snapshot.Root{ID: testID(2), Level: 1, Counts: snapshot.Counts{Entries: 4}},
		Run:       snapshot.Run{New: 1, Changed: 2, Unchanged: 3, Removed: 4, NewMessages: 5, RemovedMessages: 10, FlaggedMessages: 11, BytesRead: 6, BytesStored: 7, Expunged: 8, Vanished: 9},
		Excludes:  []string{"*.tmp", "\xfe"}, Incomplete: true, Shrunk: true, Repaired: [16]byte{3, 4},
	}
	s.NoteFolder(true, 3)
	s.NoteFolder(false, 4)
	s.NoteFolder(true, 8)
	return s
}

func TestSnapshotRoundTrip(t *testing.T) {
	for _, s := range []*snapshot.Snapshot{{}, fullSnapshot()} {
		data, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := snapshot.DecodeSnapshot(data)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v became %+v, %v", s, got, err)
		}
		if _, err := snapshot.DecodeSnapshot(append(data, 0)); !errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("a byte too many gave %v", err)
		}
		data[0]++
		if _, err := snapshot.DecodeSnapshot(data); !errors.Is(err, snapshot.ErrTooNew) {
			t.Errorf("a newer version gave %v", err)
		}
	}
}

func TestSnapshotEncodeRefuses(t *testing.T) {
	for name, s := range map[string]*snapshot.Snapshot{
		"a host that is no UTF-8": {Host: "\xff"},
		"a tag that is no UTF-8":  {Tags: []string{"ok", "\xff"}},
		"nanoseconds":             {Ended: snapshot.Time{Nsec: 1e9}},
		"levels":                  {Tree: snapshot.Root{Level: 255}},
		"a megabyte":              {Description: strings.Repeat("x", 1<<20)},
	} {
		if _, err := s.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
	for _, data := range [][]byte{nil, {}, make([]byte, 2<<20)} {
		if _, err := snapshot.DecodeSnapshot(data); !errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("%d bytes gave %v", len(data), err)
		}
	}
}

func mailbox(i int) snapshot.Mailbox {
	home := snapshot.Key(fmt.Sprintf("user%05d", i))
	return snapshot.Mailbox{
		Name: fmt.Sprintf("user%05d@example.com", i), Aliases: []string{"info@example.com", "\xff"}, Component: "messages",
		Ranges:  []snapshot.Range{snapshot.Subtree("home\x00" + home), snapshot.Subtree("mail\x00" + home)},
		Folders: []snapshot.Folder{{Name: "INBOX", Ranges: []snapshot.Range{snapshot.Subtree("mail\x00" + home)}}, {Name: "Entwürfe"}},
	}
}

func TestMailboxesGiveBackWhatWasAdded(t *testing.T) {
	for _, n := range []int{0, 1, 500} {
		s := newStore()
		b := snapshot.NewMailboxBuilder(s, testKey)
		var want []snapshot.Mailbox
		for i := range n {
			m := mailbox(i)
			want = append(want, m)
			if err := b.Add(t.Context(), &m); err != nil {
				t.Fatal(err)
			}
		}
		root, err := b.Finish(t.Context())
		if err != nil || root.Counts != (snapshot.Counts{Entries: uint64(n)}) {
			t.Fatalf("root %+v, %v", root, err)
		}
		boxes := snapshot.OpenMailboxes(s, root)
		var got []snapshot.Mailbox
		for m, err := range boxes.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m)
			one, ok, err := boxes.Get(t.Context(), m.Name)
			if err != nil || !ok || !reflect.DeepEqual(one, m) {
				t.Fatalf("Get(%q) = %+v, %v, %v", m.Name, one, ok, err)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%d mailboxes differ from what was added", n)
		}
		if _, ok, err := boxes.Get(t.Context(), "nobody"); ok || err != nil {
			t.Errorf("nobody's mailbox: %v, %v", ok, err)
		}
	}
}

func TestMailboxBuilderRefuses(t *testing.T) {
	long := snapshot.Mailbox{Name: strings.Repeat("n", snapshot.MaxKey+1)}
	many := snapshot.Mailbox{Name: "a"}
	for range 50_000 {
		many.Folders = append(many.Folders, snapshot.Folder{Name: strings.Repeat("f", 100)})
	}
	for name, m := range map[string]snapshot.Mailbox{
		"no name":            {},
		"a long name":        long,
		"endless folders":    many,
		"an empty range":     {Name: "a", Ranges: []snapshot.Range{{From: "b", To: "b"}}},
		"overlapping ranges": {Name: "a", Ranges: []snapshot.Range{{From: "a", To: "c"}, {From: "b", To: "d"}}},
		"a range behind all": {Name: "a", Ranges: []snapshot.Range{{From: "a"}, {From: "b"}}},
		"a folder's range":   {Name: "a", Folders: []snapshot.Folder{{Name: "f", Ranges: []snapshot.Range{{From: "b", To: "a"}}}}},
	} {
		err := snapshot.NewMailboxBuilder(newStore(), testKey).Add(t.Context(), &m)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if large := name == "a long name" || name == "endless folders"; errors.Is(err, snapshot.ErrTooLarge) != large {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzSnapshot(f *testing.F) {
	for _, s := range []*snapshot.Snapshot{{}, fullSnapshot()} {
		data, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := snapshot.DecodeSnapshot(data)
		if err != nil {
			return
		}
		if again, err := s.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%x became %x, %v", data, again, err)
		}
	})
}
