package backup_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"restante/backup"
	"restante/blob"
	"restante/internal/mailgen"
	"restante/message"
	"restante/repo"
	"restante/snapshot"
)

// letter returns a body that is worth sharing, and no compressor's prey.
func letter(seed uint64, size int) string {
	rng := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, "%x\n", rng.Uint64())
	}
	return b.String()
}

// delivered returns a message as its recipient has it: its trace is his own.
func delivered(to int, body string) string {
	return fmt.Sprintf("Return-Path: <news@example.org>\nDelivered-To: user%02d@example.com\n"+
		"Received: from mx by mail; id %08x\nFrom: news@example.org\nSubject: to all\n\n%s", to, to*7919, body)
}

// ids returns the pieces of a file: those of its base64 items, and the others.
func ids(e snapshot.Entry) (text, decoded []blob.ID) {
	for _, it := range e.Recipe.Items {
		switch it.Kind {
		case snapshot.PieceItem:
			text = append(text, it.Piece.ID)
		case snapshot.Base64Item:
			for _, p := range it.Base64.Pieces {
				decoded = append(decoded, p.ID)
			}
		}
	}
	return text, decoded
}

// identical restores a snapshot and compares it with the store.
func (f *fixture) identical(r *backup.Result) {
	f.t.Helper()
	dir, failed := f.restore(r)
	if len(failed) > 0 {
		f.t.Errorf("not restored: %v", failed)
	}
	want, got := content(f.t, f.roots[0]), content(f.t, dir)
	if len(got) != len(want) {
		f.t.Errorf("%d files came back, not %d", len(got), len(want))
	}
	for path, data := range want {
		if got[path] != data {
			f.t.Errorf("%s came back as another file", path)
		}
	}
}

func TestAMessageToManyCostsOneBody(t *testing.T) {
	f := newFixture(t)
	body := letter(1, 6000)
	for to := range 20 {
		f.maildir(fmt.Sprintf("user%02d/Maildir", to), 0)
		f.write(fmt.Sprintf("user%02d/Maildir/cur/1700000000.M%d.mx:2,S", to, to), delivered(to, body))
	}
	r := f.clean()
	heads, bodies := map[blob.ID]bool{}, map[blob.ID]bool{}
	for path, e := range f.entries(r) {
		if e.Messages == 0 {
			continue
		}
		text, _ := ids(e)
		if len(text) != 2 {
			t.Fatalf("%s: %d pieces", path, len(text))
		}
		heads[text[0]], bodies[text[1]] = true, true
	}
	if len(heads) != 20 || len(bodies) != 1 {
		t.Errorf("%d heads and %d bodies", len(heads), len(bodies))
	}
	f.identical(r)
}

// TestAnAttachmentIsStoredOnce sends it in every form in use.
func TestAnAttachmentIsStoredOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	f.maildir("alice/Maildir", 0)
	data := make([]byte, 3<<20) // several pieces
	rand.NewChaCha8([32]byte{3}).Read(data)
	n := 0
	for _, length := range []int{60, 64, 72, 76, 8 << 20} { // the last is one line
		for _, eol := range []string{"\n", "\r\n"} {
			n++
			var b strings.Builder
			for _, line := range []string{"From: a@example.org", fmt.Sprintf("Subject: %d", n), "MIME-Version: 1.0",
				"Content-Type: application/x-thing", "Content-Transfer-Encoding: base64", ""} {
				b.WriteString(line + eol)
			}
			for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(data)), length) {
				b.Write(line)
				b.WriteString(eol)
			}
			f.write(fmt.Sprintf("alice/Maildir/cur/1700000000.M%d.mx:2,S", n), b.String())
		}
	}
	r := f.clean()
	var first []blob.ID
	for path, e := range f.entries(r) {
		if e.Messages == 0 {
			continue
		}
		_, decoded := ids(e)
		if first == nil {
			first = decoded
		}
		if len(decoded) < 2 || !slices.Equal(decoded, first) {
			t.Errorf("%s: %d pieces, which are not those of the others", path, len(decoded))
		}
	}
	if stored := r.Snapshot.Run.BytesStored; stored > uint64(len(data))*5/4 {
		t.Errorf("%d bytes in %d messages are stored in %d", len(data), n, stored)
	}
	f.identical(r)
}

// TestFormatsShareMail has one message in every kind of file that holds mail.
func TestFormatsShareMail(t *testing.T) {
	f := newFixture(t)
	body := letter(2, 5000)
	msg := delivered(1, body)
	frame := func(msg string) string {
		return fmt.Sprintf("\x01\x02N          %016X\n%s\n\x01\x03\nR6b022e39\nV1f0\n\n", len(msg), msg)
	}
	other := delivered(2, letter(3, 3000))
	f.maildir("alice/Maildir", 0)
	f.write("alice/Maildir/cur/1700000000.M1.mx:2,S", msg)
	f.write("bob/mdbox/storage/m.1", "2 M1e C6b022e39\n"+frame(other)+frame(msg))
	f.write("carol/sdbox/mailboxes/INBOX/dbox-Mails/u.1", "2 M1e C6b022e39\n"+frame(msg))
	f.write("kerio/INBOX/#msgs/00000001.eml", msg)
	const from = "From a@example.org Mon Jan  5 10:11:12 2026\n"
	f.write("first.mbox", from+msg+"\n"+from+other+"\n")
	f.write("last.mbox", from+other+"\n"+from+msg+"\n")
	f.write("end.mbox", from+other+"\n"+from+msg)
	r := f.clean()
	want, _ := ids(f.entries(r)["alice/Maildir/cur/1700000000.M1.mx:2,S"])
	if len(want) != 2 {
		t.Fatalf("the message has %d pieces", len(want))
	}
	for path, e := range f.entries(r) {
		if e.Kind != snapshot.File {
			continue
		}
		if text, _ := ids(e); !slices.Contains(text, want[1]) {
			t.Errorf("%s does not share the body", path)
		}
	}
	f.identical(r)
}

// TestHeadersAreOneScan reads the header of each message of a snapshot by
// opening, each once and from front to back, the clumps that hold heads.
func TestHeadersAreOneScan(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	report, err := mailgen.Generate(f.roots[0], mailgen.Options{Layout: mailgen.Maildir, Messages: 300, Mailboxes: 5, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	result := f.clean()
	src := f.open()
	var first []blob.ID
	for _, e := range f.entries(result) {
		if e.Messages == 1 {
			first = append(first, e.Recipe.Items[0].Piece.ID)
		}
	}
	slices.SortFunc(first, func(a, b blob.ID) int { return bytes.Compare(a[:], b[:]) })
	first = slices.Compact(first)
	places, err := src.Places(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	opened := map[blob.Clump]uint64{}
	var heads uint64
	for i, p := range places {
		raw, err := src.Clump(t.Context(), nil, p.Clump)
		if err != nil {
			t.Fatal(err)
		}
		opened[p.Clump] = uint64(len(raw))
		head, err := src.Piece(raw, first[i], p)
		if err != nil {
			t.Fatal(err)
		}
		heads += uint64(len(head))
		if e := message.EnvelopeOf(head); e.MessageID == "" || e.From == "" || e.Date.IsZero() {
			t.Errorf("of %.60q only %+v can be read", head, e)
		}
	}
	var read uint64
	for _, n := range opened {
		read += n
	}
	if len(first) == 0 || len(first) > report.Messages || read > heads*11/10 {
		t.Errorf("%d heads of %d bytes are read from %d bytes in %d clumps", len(first), heads, read, len(opened))
	}
}

// TestMailBesideMboxesIsCut keeps a message as a file in a folder of mboxes.
func TestMailBesideMboxesIsCut(t *testing.T) {
	f := newFixture(t)
	data := make([]byte, 100_000)
	rand.NewChaCha8([32]byte{4}).Read(data)
	var b strings.Builder
	b.WriteString("From: a@example.org\nSubject: kept\nMIME-Version: 1.0\nContent-Type: application/x-thing\nContent-Transfer-Encoding: base64\n\n")
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(data)), 76) {
		b.WriteString(string(line) + "\n")
	}
	for _, name := range []string{"inbox", "sent"} {
		f.write("bob/mail/"+name, "From a@example.org Sat Jan  3 01:05:34 1998\n"+mail(name)+"\n")
	}
	f.write("bob/mail/one.eml", b.String())
	r := f.clean()
	if _, decoded := ids(f.entries(r)["bob/mail/one.eml"]); len(decoded) == 0 {
		t.Errorf("its attachment is not decoded")
	}
	f.identical(r)
}

// TestWhichRunsBecomePieces keeps short bodies with their heads, separators
// between attachments in the recipe, and longer bodies for themselves.
func TestWhichRunsBecomePieces(t *testing.T) {
	attachment := func(seed byte) string {
		data := make([]byte, 3000)
		rand.NewChaCha8([32]byte{seed}).Read(data)
		var b strings.Builder
		for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(data)), 76) {
			b.WriteString(string(line) + "\n")
		}
		return b.String()
	}
	const head = "From: a@example.org\nSubject: x\nContent-Type: multipart/mixed; boundary=b\n\n"
	const part = "--b\nContent-Type: application/x-thing\nContent-Transfer-Encoding: base64\n\n"
	for _, tt := range []struct{ name, body, want string }{
		{"short", letter(1, 300), "p"},
		{"shorter by a byte", letter(1, 600)[:511], "p"},
		{"as long", letter(1, 600)[:512], "pp"},
		{"two attachments", letter(1, 300) + part + attachment(1) + part + attachment(2) + "--b--\n", "pblbl"},
		{"a letter between them", part + attachment(1) + letter(1, 600) + part + attachment(2), "pbpb"},
	} {
		f := newFixture(t)
		f.maildir("alice/Maildir", 0)
		f.write("alice/Maildir/cur/1.a:2,", head+tt.body)
		got := ""
		for _, it := range f.entries(f.clean())["alice/Maildir/cur/1.a:2,"].Recipe.Items {
			got += string(" plb"[it.Kind])
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestOldRecipesAreKept has mail cut by other rules, as of an older version.
// Unchanged mail stays as it is, and can be restored, until a run reads it all.
func TestOldRecipesAreKept(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 0)
	const path = "alice/Maildir/cur/1.a:2,"
	f.write(path, delivered(1, letter(1, 3000)))
	old := f.clean(func(o *backup.Options) { backup.SetLimits(o, backup.ShareText(1<<20)) })
	if text, _ := ids(f.entries(old)[path]); len(text) != 1 {
		t.Fatalf("%d pieces by the old rules", len(text))
	}
	f.write("alice/Maildir/cur/2.b:2,", delivered(2, letter(2, 3000)))
	mixed := f.clean()
	was, _ := ids(f.entries(old)[path])
	if is, _ := ids(f.entries(mixed)[path]); !slices.Equal(is, was) {
		t.Error("a message that did not change has another recipe")
	}
	f.identical(mixed)
	anew := f.clean(func(o *backup.Options) { o.Paranoid = true })
	if text, _ := ids(f.entries(anew)[path]); len(text) != 2 {
		t.Errorf("%d pieces by the new rules", len(text))
	}
	f.identical(anew)
}

// TestCutAnewIsNotChanged reads everything after the version of the cutter has
// changed: only what has another content, or other metadata, is reported.
func TestCutAnewIsNotChanged(t *testing.T) {
	f := newFixture(t)
	f.maildir("alice/Maildir", 0)
	for n := range 5 {
		f.write(fmt.Sprintf("alice/Maildir/cur/%d.a:2,", n), delivered(n, letter(uint64(n), 3000)))
	}
	var long strings.Builder // its recipe is a list of its own
	for n := range 200 {
		long.WriteString("From a@example.org Mon Jan  5 10:11:12 2026\n" + delivered(n, "hello\n") + "\n")
	}
	f.write("alice/long.mbox", long.String())
	f.clean(func(o *backup.Options) { backup.SetLimits(o, backup.Cutter(repo.CutterVersion+1)) })
	rot(t, f.root("alice/Maildir/cur/1.a:2,"))
	if err := os.Chmod(f.root("alice/Maildir/cur/2.a:2,"), 0o400); err != nil {
		t.Fatal(err)
	}
	var changed []string
	anew := f.clean(func(o *backup.Options) {
		o.Paranoid = true
		o.File = func(path string, c backup.Change) {
			if c == backup.Changed {
				changed = append(changed, path)
			}
		}
	})
	for path, e := range f.entries(anew) {
		if e.Kind == snapshot.File && e.Recipe.Cutter != repo.CutterVersion {
			t.Errorf("%s is cut by version %d", path, e.Recipe.Cutter)
		}
	}
	want := []string{"alice/Maildir/cur/1.a:2,", "alice/Maildir/cur/2.a:2,"}
	slices.Sort(changed)
	if !slices.Equal(changed, want) || anew.Snapshot.Run.Changed != 2 {
		t.Errorf("changed are %q, %d, want %q", changed, anew.Snapshot.Run.Changed, want)
	}
	f.identical(anew)
}

// rot changes the last byte of a file, and neither its size nor the time it was changed.
func rot(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err == nil {
		data[len(data)-1] = '!'
		err = os.WriteFile(path, data, 0o600)
	}
	if err == nil {
		err = os.Chtimes(path, time.Time{}, info.ModTime())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCutsAreThoseOfTheVersion notices when mail is cut by other rules than
// those that the version of the cutter stands for: then the version has to be
// another one, and this test.
func TestCutsAreThoseOfTheVersion(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	const version, want = 1, "783fc3b3"
	f := newFixture(t)
	f.maildir("alice/Maildir", 0)
	n := 0
	var mbox strings.Builder
	for m := range mailgen.Mails(1, 300) {
		if len(m) < 500_000 { // longer runs are cut by a secret of the repository
			f.write(fmt.Sprintf("alice/Maildir/cur/%03d:2,", n), string(m))
			n++
		}
		if mbox.Len() < 400_000 {
			fmt.Fprintf(&mbox, "From a@example.org Mon Jan  5 10:11:12 2026\n%s\n", m)
		}
	}
	f.write("archive.mbox", mbox.String())
	const said = "From: a@example.org\nContent-Transfer-Encoding: base64\n"
	line := base64.StdEncoding.EncodeToString([]byte(letter(7, 90_000)))
	f.write("alice/Maildir/cur/one-line:2,", said+"\n"+line+"\n")
	f.write("alice/Maildir/cur/long-head:2,", said+strings.Repeat("A: b\n", message.MaxHead/5)+"\n"+line)
	const from = "From a@example.org Mon Jan  5 10:11:12 2026\n"
	f.write("cl2.mbox", from+"Content-Length: 1051\n\n"+letter(8, 1000)[:1000]+"\n\n"+from+"\nhey\n\n"+from+"\nbye\n")
	entries := f.entries(f.clean())
	var all strings.Builder
	for _, path := range slices.Sorted(maps.Keys(entries)) {
		e := entries[path]
		fmt.Fprintf(&all, "%s", path)
		for _, it := range e.Recipe.Items {
			fmt.Fprintf(&all, " %d:%d", it.Kind, it.Length())
			if it.Piece.Head {
				all.WriteString("h")
			}
		}
		all.WriteString("\n")
		if e.Kind == snapshot.File && e.Recipe.Cutter != version {
			t.Fatalf("%s is cut by version %d", path, e.Recipe.Cutter)
		}
	}
	if got := blob.NameOf([]byte(all.String())).Short(); got != want {
		t.Errorf("the cuts are %s, those of version %d are %s", got, version, want)
	}
}
