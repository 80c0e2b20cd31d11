package restore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restante/blob"
	"restante/restore"
	"restante/snapshot"
)

// compare holds the target against mails: nothing more, nothing less, with
// bytes and times as they were.
func compare(t *testing.T, target string, mails ...*mail) {
	t.Helper()
	want := map[string]*mail{}
	for _, m := range mails {
		want[m.path] = m
	}
	err := filepath.WalkDir(target, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(target, p)
		if rel = filepath.ToSlash(rel); rel == "." {
			rel = ""
		}
		m := want[rel]
		if m == nil {
			if rel != "" {
				t.Errorf("%q is there, but should not be", rel)
			}
			return nil
		}
		delete(want, rel)
		compareOne(t, p, d, m)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for p := range want {
		t.Errorf("%q is not there", p)
	}
}

func compareOne(t *testing.T, p string, d fs.DirEntry, m *mail) {
	t.Helper()
	st, err := d.Info()
	if err != nil {
		t.Fatal(err)
	}
	if st.IsDir() != (m.entry.Kind == snapshot.Dir) {
		t.Errorf("%q is %v", m.path, st.Mode())
		return
	}
	if m.entry.Kind == snapshot.File {
		data, err := os.ReadFile(p)
		if err != nil || !bytes.Equal(data, m.bytes) {
			t.Errorf("%q has %d bytes, want %d, or other ones (%v)", m.path, len(data), len(m.bytes), err)
		}
	}
	if got := snapshot.TimeOf(st.ModTime()); got != m.entry.Mtime {
		t.Errorf("%q is of %v, want %v", m.path, got, m.entry.Mtime)
	}
	if got := uint32(st.Mode().Perm()); m.entry.Kind != snapshot.Symlink && got != m.entry.Mode&0o777 {
		t.Errorf("%q has mode %o, want %o", m.path, got, m.entry.Mode)
	}
}

// mailboxes makes a store of a few mailboxes with shared pieces.
func mailboxes(s *store, seed uint64, users, messages int) []*mail {
	rng := rand.New(rand.NewPCG(seed, 1))
	shared := make([][]byte, 5)
	for i := range shared {
		shared[i] = randomBytes(rng, 1+rng.IntN(9000))
	}
	var mails []*mail
	for u := range users {
		home := fmt.Sprintf("user%d", u)
		mails = append(mails, dir(home), dir(home+"/cur"), dir(home+"/tmp"))
		for i := range messages {
			c := s.content().plain(randomBytes(rng, 1+rng.IntN(500))).random(rng, rng.IntN(4), 3000)
			c.plain(shared[rng.IntN(len(shared))])
			mails = append(mails, c.mail(fmt.Sprintf("%s/cur/%d.mail:2,S", home, i)))
		}
	}
	return mails
}

func TestRestoresEverything(t *testing.T) {
	s := newStore(t, 20_000)
	mails := append(mailboxes(s, 1, 4, 60), dir(""), s.content().mail("empty"))
	tree := s.tree(mails...)
	target := filepath.Join(t.TempDir(), "new", "target")
	o := everything(target)
	var last restore.Progress
	o.Progress = func(p restore.Progress) {
		if p.Files < last.Files || p.Bytes < last.Bytes {
			t.Errorf("progress goes from %+v to %+v", last, p)
		}
		last = p
	}
	res := run(t, s, tree, o)
	compare(t, target, mails...)
	counts, err := tree.Count(context.Background(), snapshot.Range{})
	if err != nil || res.Files != counts.Files || res.Bytes != counts.Bytes || last != (restore.Progress{Files: counts.Files, Bytes: counts.Bytes}) {
		t.Errorf("result %+v and progress %+v, want %+v (%v)", res, last, counts, err)
	}
	if s.lookups != 1 {
		t.Errorf("%d look-ups for one window", s.lookups)
	}
}

// Recipes of every form, with small windows and memory so that each way of
// putting a file together is used.
func TestRandomRecipes(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 2))
		s := newStore(t, 1+rng.IntN(30_000))
		s.again = true
		var mails []*mail
		for i := range 25 {
			mails = append(mails, s.content().random(rng, rng.IntN(25), 1+rng.IntN(6000)).mail(fmt.Sprint(i)))
		}
		mails = append(mails, s.content().random(rng, 400, 5000).mail("long"))
		for _, held := range []uint64{1, 20_000, 1 << 30} {
			o := everything(t.TempDir())
			o.Verify = held == 1
			restore.SetLimits(&o, 1+rng.IntN(20), 1+rng.IntN(300), held)
			run(t, s, s.tree(mails...), o)
			compare(t, o.Target, mails...)
		}
	}
}

func TestBase64Forms(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	s := newStore(t, 4000)
	var mails []*mail
	for _, width := range []int{60, 64, 72, 76, 1, 61} {
		for _, n := range []int{1, 2, 3, 44, 45, 57, 58, 570, 48<<10 - 1, 48 << 10, 48<<10 + 1, 100_000} {
			for form := range 4 {
				data := randomBytes(rng, n)
				c := s.content().plain([]byte("header\n"))
				c.lines(data, width, snapshot.LineEnd(1+form/2), snapshot.Tail(1+form%2), n/3, n/2, n/2+n/5)
				if n < 5 {
					c = s.content().plain([]byte("header\n")).lines(data, width, snapshot.LineEnd(1+form/2), snapshot.Tail(1+form%2))
				}
				mails = append(mails, c.plain([]byte("trailer\n")).mail(fmt.Sprintf("%d-%d-%d", width, n, form)))
			}
		}
	}
	o := everything(t.TempDir())
	run(t, s, s.tree(mails...), o)
	compare(t, o.Target, mails...)
}

// TestOneEndlessLine has attachments that were one line, put together in memory
// and in the file.
func TestOneEndlessLine(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	s := newStore(t, 512<<10)
	s.again = true
	var mails []*mail
	for _, n := range []int{49_150, 49_151, 49_152, 200_000, 3<<20 + 1} {
		c := s.content().plain([]byte("header\n")).lines(randomBytes(rng, n), 0, snapshot.LF, snapshot.TailOpen, n/3, n/2)
		mails = append(mails, c.literal([]byte("\r\n")).plain([]byte("trailer\n")).mail(fmt.Sprint(n)))
	}
	for _, held := range []uint64{0, 1 << 30} {
		o := everything(t.TempDir())
		restore.SetLimits(&o, 100, 7, held)
		run(t, s, s.tree(mails...), o)
		compare(t, o.Target, mails...)
	}
}

func TestWrongLinesFail(t *testing.T) {
	s := newStore(t, 4000)
	c := s.content().lines([]byte("some bytes that are encoded"), 8, snapshot.LF, snapshot.TailEnded)
	c.items[0].Base64.RawHash[5]++
	good := s.content().plain([]byte("x")).mail("good")
	o := everything(t.TempDir())
	res, err := restore.Run(context.Background(), s, s.tree(c.mail("bad"), good), testKey, o)
	if err != nil || len(res.Failed) != 1 || res.Failed[0].Path != "bad" {
		t.Errorf("%+v, %v", res, err)
	}
	compare(t, o.Target, good)
}

// Decoded bytes that are altered are found by the lines they make, in memory
// and in the file, and where other files need them as they are.
func TestWrongDecodedBytesFail(t *testing.T) {
	data := randomBytes(rand.New(rand.NewPCG(5, 5)), 200_000)
	for _, held := range []uint64{0, 1 << 20} {
		s := newStore(t, 300_000)
		coded := s.content().literal([]byte("head\n")).lines(data, 76, snapshot.LF, snapshot.TailEnded, 100_000).mail("coded")
		both := s.content().plain(data[:100_000]).mail("both")
		good := s.content().plain([]byte("x")).mail("good")
		tree := s.tree(both, coded, good)
		p := s.places[both.entry.Recipe.Items[0].Piece.ID]
		s.raw[p.Clump][p.Inner+77] ^= 1
		o := everything(t.TempDir())
		restore.SetLimits(&o, 100, 100, held)
		res, err := restore.Run(context.Background(), s, tree, testKey, o)
		if err != nil || len(res.Failed) != 2 {
			t.Errorf("%+v, %v", res, err)
		}
		compare(t, o.Target, good)

		o = everything(t.TempDir())
		restore.SetLimits(&o, 100, 100, held)
		s.forget()
		res, err = restore.Run(context.Background(), s, s.tree(coded, good), testKey, o)
		if err != nil || len(res.Failed) != 1 || !errors.Is(res.Failed[0].Err, restore.ErrDamaged) {
			t.Errorf("%+v, %v", res, err)
		}
		compare(t, o.Target, good)
	}
}

func TestLargeSegmentsGoToTheFile(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	s := newStore(t, 512<<10)
	c := s.content()
	for range 6 {
		c.plain(randomBytes(rng, 900<<10)).literal([]byte("--\n")).lines(randomBytes(rng, 1300<<10), 76, snapshot.CRLF, snapshot.TailEnded, 400_001, 800_003)
	}
	m := c.mail("large")
	o := everything(t.TempDir())
	restore.SetLimits(&o, 100, 7, 5<<20)
	s.again = true
	run(t, s, s.tree(m), o)
	compare(t, o.Target, m)
}

func TestRefusesOverwritesResumes(t *testing.T) {
	s := newStore(t, 20_000)
	mails := mailboxes(s, 5, 2, 20)
	tree := s.tree(mails...)
	o := everything(t.TempDir())
	run(t, s, tree, o)

	before := len(s.fetched)
	_, err := restore.Run(context.Background(), s, tree, testKey, o)
	if !errors.Is(err, restore.ErrExists) || !strings.Contains(err.Error(), "user0") {
		t.Fatalf("restoring over a mailbox: %v", err)
	}
	if len(s.fetched) != before {
		t.Error("a refused restore has fetched something")
	}

	// Identical files are not fetched again; changed ones are.
	changed := mails[10]
	if err := os.WriteFile(filepath.Join(o.Target, changed.path), bytes.Repeat([]byte("x"), len(changed.bytes)), 0o600); err != nil {
		t.Fatal(err)
	}
	mtime := changed.entry.Mtime.Go()
	if err := os.Chtimes(filepath.Join(o.Target, changed.path), mtime, mtime); err != nil {
		t.Fatal(err)
	}
	other := mails[12]
	if err := os.Chmod(filepath.Join(o.Target, other.path), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(o.Target, mails[11].path)); err != nil {
		t.Fatal(err)
	}
	s.forget()
	o.Resume = true
	res := run(t, s, tree, o)
	compare(t, o.Target, mails...)
	if res.Files != 2 || res.Skipped != 38 {
		t.Errorf("resumed: %+v", res)
	}

	s.forget()
	o.Resume, o.Overwrite = false, true
	if err := os.WriteFile(filepath.Join(o.Target, changed.path), []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	if res := run(t, s, tree, o); res.Files != 40 || res.Skipped != 0 {
		t.Errorf("overwritten: %+v", res)
	}
	compare(t, o.Target, mails...)
}

// A new file system's own folder is in nobody's way, unless something was
// found.
func TestLostAndFoundIsNotInTheWay(t *testing.T) {
	s := newStore(t, 20_000)
	mails := append(mailboxes(s, 1, 2, 10), dir(""))
	tree := s.tree(mails...)
	o := everything(t.TempDir())
	lost := filepath.Join(o.Target, "lost+found")
	if err := os.Mkdir(lost, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(lost, "#12"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := restore.Run(context.Background(), s, tree, testKey, o); !errors.Is(err, restore.ErrExists) {
		t.Errorf("over what was found: %v", err)
	}
	if err := os.Remove(filepath.Join(lost, "#12")); err != nil {
		t.Fatal(err)
	}
	run(t, s, tree, o)
	if err := os.Remove(lost); err != nil {
		t.Errorf("what was there is gone: %v", err)
	}
	if err := os.Chtimes(o.Target, time.Time{}, time.Unix(1000000000, 7)); err != nil { // which that has changed
		t.Fatal(err)
	}
	compare(t, o.Target, mails...)
}

func TestPartsAndPatterns(t *testing.T) {
	s := newStore(t, 20_000)
	mails := mailboxes(s, 6, 3, 5)
	tree := s.tree(mails...)
	sub := func(p string) snapshot.Range { k, _ := snapshot.KeyOf(p); return snapshot.Subtree(k) }
	o := restore.Options{Target: t.TempDir(), NoOwner: true, Include: []string{"cur/[13].*"}, Parts: []restore.Part{
		{Ranges: []snapshot.Range{sub("user2")}, Path: func(k snapshot.Key) string { return "b/two" + strings.TrimPrefix(k.Path(), "user2") }},
		{Ranges: []snapshot.Range{sub("user0")}, Path: func(k snapshot.Key) string { return "a" + strings.TrimPrefix(k.Path(), "user0") }},
	}}
	run(t, s, tree, o)
	var want []*mail
	for _, m := range mails {
		base := filepath.Base(m.path)
		if m.entry.Kind == snapshot.Dir && (strings.HasSuffix(m.path, "/tmp")) || m.entry.Kind == snapshot.File && base[0] != '1' && base[0] != '3' {
			continue
		}
		moved := *m
		if rest, ok := strings.CutPrefix(m.path, "user2"); ok {
			moved.path = "b/two" + rest
		} else if rest, ok := strings.CutPrefix(m.path, "user0"); ok {
			moved.path = "a" + rest
		} else {
			continue
		}
		want = append(want, &moved)
	}
	st, err := os.Stat(filepath.Join(o.Target, "b"))
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Fatalf("folder on the way: %v, %v", st, err)
	}
	between := dir("b")
	between.entry.Mode, between.entry.Mtime = 0o700, snapshot.TimeOf(st.ModTime())
	compare(t, o.Target, append(want, between)...)
}

// What is damaged fails the files that need it, by name, and no others.
// What cannot be read in one place and lies in another, too, is restored.
func TestPiecesOfWhichThereIsACopy(t *testing.T) {
	for _, kind := range []string{"unreadable", "altered", "short", "another length"} {
		t.Run(kind, func(t *testing.T) {
			s := newStore(t, 3000)
			mails := mailboxes(s, 7, 2, 30)
			at := s.places[mails[20].entry.Recipe.Items[0].Piece.ID]
			hit := at.Clump
			s.copies = map[blob.ID][]byte{}
			for id, p := range s.places {
				if p.Clump == hit {
					s.copies[id] = bytes.Clone(s.raw[hit][p.Inner : p.Inner+p.Size])
				}
			}
			var lost []*mail
			switch kind {
			case "unreadable":
				s.broken[hit] = errors.New("the disk has had enough")
			case "altered":
				s.raw[hit][at.Inner] ^= 1
			case "short":
				s.raw[hit] = nil
			case "another length":
				s.raw[hit] = nil
				for id, data := range s.copies {
					s.copies[id] = append(data, 0)
				}
				lost, _ = split(mails, func(m *mail) bool { return usesClump(s, m, hit) })
			}
			res, err := restore.Run(context.Background(), s, s.tree(mails...), testKey, everything(t.TempDir()))
			if err != nil || int(res.Failures) != len(lost) {
				t.Fatalf("%d failed, want %d: %v, %v", res.Failures, len(lost), res.Failed, err)
			}
			if lost != nil {
				return
			}
			o := everything(t.TempDir())
			s.again = true
			run(t, s, s.tree(mails...), o)
			compare(t, o.Target, mails...)
		})
	}
}

func TestDamage(t *testing.T) {
	for _, kind := range []string{"unreadable", "altered", "short", "unknown"} {
		t.Run(kind, func(t *testing.T) {
			s := newStore(t, 3000)
			mails := mailboxes(s, 7, 2, 30)
			hit := s.places[mails[20].entry.Recipe.Items[0].Piece.ID].Clump
			switch kind {
			case "unreadable":
				s.broken[hit] = errors.New("the disk has had enough")
			case "altered":
				for i := range s.raw[hit] {
					s.raw[hit][i] ^= 1
				}
			case "short":
				s.raw[hit] = nil
			case "unknown":
				for id, p := range s.places {
					if p.Clump == hit {
						delete(s.places, id)
					}
				}
			}
			o := everything(t.TempDir())
			warned := map[string]bool{}
			o.Warn = func(p string, err error) { warned[p] = true }
			uses := func(m *mail) bool { return usesClump(s, m, hit) }
			lost, kept := split(mails, uses)
			if kind == "unknown" {
				lost, kept = split(mails, func(m *mail) bool { return usesClump(s, m, blob.Clump{}) })
			}
			res, err := restore.Run(context.Background(), s, s.tree(mails...), testKey, o)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, o.Target, kept...)
			if len(lost) == 0 || int(res.Failures) != len(lost) || len(res.Failed) != len(lost) || len(warned) != len(lost) {
				t.Errorf("%d failed, want %d: %v", res.Failures, len(lost), res.Failed)
			}
			for _, f := range res.Failed {
				if errors.Is(f.Err, restore.ErrDamaged) == (kind == "unreadable") {
					t.Errorf("%q: %v", f.Path, f.Err)
				}
			}
			for _, m := range lost {
				if !warned[m.path] {
					t.Errorf("%q is not named", m.path)
				}
			}
		})
	}
}

func usesClump(s *store, m *mail, c blob.Clump) bool {
	for it, err := range snapshot.Items(context.Background(), s, &m.entry.Recipe, 0) {
		if err != nil {
			s.t.Fatal(err)
		}
		pieces := []snapshot.Piece{it.Piece}
		switch it.Kind {
		case snapshot.LiteralItem:
			continue
		case snapshot.Base64Item:
			pieces = it.Base64.Pieces
		}
		for _, p := range pieces {
			if s.places[p.ID].Clump == c {
				return true
			}
		}
	}
	return false
}

func split(mails []*mail, by func(*mail) bool) (yes, no []*mail) {
	for _, m := range mails {
		if m.entry.Kind == snapshot.File && by(m) {
			yes = append(yes, m)
		} else {
			no = append(no, m)
		}
	}
	return yes, no
}

// A recipe that makes another number of bytes, cannot be read, or an entry
// that could not be saved.
func TestBadEntriesFail(t *testing.T) {
	s := newStore(t, 3000)
	good := s.content().plain([]byte("good")).mail("good")
	short := s.content().plain([]byte("short")).mail("short")
	short.entry.Size++
	rng := rand.New(rand.NewPCG(8, 8))
	long := s.content().random(rng, 1000, 10).mail("long")
	if long.entry.Recipe.Long == nil {
		t.Fatal("the recipe is not long")
	}
	long.entry.Recipe.Long.Root[0]++
	unsaved := &mail{"unsaved", snapshot.Entry{Kind: snapshot.Unsaved, Reason: "permission denied"}, nil}
	o := everything(t.TempDir())
	restore.SetLimits(&o, 10, 100, 1000)
	tree := rawTree{}
	for _, m := range []*mail{good, long, short, unsaved} {
		tree = append(tree, snapshot.Record{Key: snapshot.Key(m.path), Entry: m.entry})
	}
	res, err := restore.Run(context.Background(), s, tree, testKey, o)
	if err != nil || res.Failures != 3 {
		t.Errorf("%+v, %v", res, err)
	}
	for _, f := range res.Failed {
		if f.Path == "unsaved" && !strings.Contains(f.Err.Error(), "permission denied") {
			t.Errorf("the reason is lost: %v", f.Err)
		}
	}
	compare(t, o.Target, good)
}

// A page of the tree that is lost costs what comes after it, and is named.
func TestLostPage(t *testing.T) {
	s := newStore(t, 3000)
	mails := mailboxes(s, 13, 3, 60)
	before := len(s.pages)
	tree := s.tree(mails...)
	if len(s.pages) < before+3 {
		t.Fatal("the tree has too few pages")
	}
	o := everything(t.TempDir())
	for id, page := range s.pages {
		if page[1] == 0 && bytes.Contains(page, []byte("user1\x00cur\x0030.mail")) { // a leaf
			delete(s.pages, id)
		}
	}
	sub := func(p string) snapshot.Range { return snapshot.Subtree(snapshot.Key(p)) }
	o.Parts[0].Ranges = []snapshot.Range{sub("user2"), sub("user1"), sub("user0")}
	res, err := restore.Run(context.Background(), s, tree, testKey, o)
	if err != nil || res.Failures == 0 {
		t.Errorf("%+v, %v", res, err)
	}
	for _, f := range res.Failed {
		if !strings.HasPrefix(f.Path, "user") || !strings.Contains(f.Err.Error(), "no such page") {
			t.Errorf("%q: %v", f.Path, f.Err)
		}
	}
	if res.Files < 60 {
		t.Errorf("only %d files are restored", res.Files)
	}
	comparePart(t, o.Target, mails)
}

// Cancelled at any clump, no file is there in part and nothing is left over;
// resumed, all is there.
func TestCancel(t *testing.T) {
	s := newStore(t, 4000)
	s.again = true
	mails := mailboxes(s, 9, 2, 25)
	tree := s.tree(mails...)
	for k := 1; ; k += 3 {
		ctx, cancel := context.WithCancel(context.Background())
		o := everything(t.TempDir())
		restore.SetLimits(&o, 20, 100, 10_000)
		n := 0
		s.onClump = func() {
			if n++; n == k {
				cancel()
			}
		}
		_, err := restore.Run(ctx, s, tree, testKey, o)
		cancel()
		s.onClump = nil
		if err == nil {
			if k < 5 {
				t.Errorf("done after %d clumps", k)
			}
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		comparePart(t, o.Target, mails)
		o.Resume = true
		run(t, s, tree, o)
		compare(t, o.Target, mails...)
	}
}

// comparePart holds the files that are there against mails.
func comparePart(t *testing.T, target string, mails []*mail) {
	t.Helper()
	want := map[string]*mail{}
	for _, m := range mails {
		want[m.path] = m
	}
	err := filepath.WalkDir(target, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(target, p)
		if err == nil && !d.IsDir() {
			if m := want[filepath.ToSlash(rel)]; m == nil {
				t.Errorf("%q is left over", rel)
			} else {
				compareOne(t, p, d, m)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDiskFullEndsTheRun(t *testing.T) {
	s := newStore(t, 4000)
	mails := mailboxes(s, 10, 2, 25)
	o := everything(t.TempDir())
	n := 0
	restore.SetHook(&o, func(op, path string) error {
		if op == "writing" {
			if n++; n > 10 {
				return errFull
			}
		}
		return nil
	})
	o.Workers = 1
	res, err := restore.Run(context.Background(), s, s.tree(mails...), testKey, o)
	if !errors.Is(err, errFull) || res.Failures == 0 || res.Failures > 2 { // a file in work may meet it too
		t.Errorf("%+v, %v", res, err)
	}
	comparePart(t, o.Target, mails)
}

func TestDefaultWorkersAndTimes(t *testing.T) {
	s := newStore(t, 4000)
	m := s.content().plain([]byte("x")).mail("x")
	m.entry.Mtime = snapshot.TimeOf(time.Date(1969, 7, 20, 20, 17, 40, 5, time.UTC))
	far := s.content().plain([]byte("y")).mail("far")
	far.entry.Mtime = snapshot.TimeOf(time.Date(2399, 1, 1, 0, 0, 0, 999_999_999, time.UTC))
	o := everything(t.TempDir())
	run(t, s, s.tree(m, far), o)
	compare(t, o.Target, m, far)
}

// A damaged list of files costs the files in it, and they are counted.
func TestDamagedListsCostTheirFilesOnly(t *testing.T) {
	s := newStore(t, 20_000)
	s.again = true
	mails := mailboxes(s, 11, 5, 60)
	s.tree(mails...)
	for id := range maps.Clone(s.pages) {
		tree := s.tree(mails...)
		delete(s.pages, id)
		var lost uint64
		good := map[string]bool{}
		for rec, err := range tree.All(context.Background(), snapshot.Range{}) {
			var gap *snapshot.Gap
			if errors.As(err, &gap) {
				lost += gap.Counts.Entries
			} else {
				good[rec.Key.Path()] = true
			}
		}
		if lost == 0 {
			continue // a page of a recipe
		}
		var files uint64
		for _, m := range mails {
			if good[m.path] && m.entry.Kind == snapshot.File {
				files++
			}
		}
		o := everything(t.TempDir())
		restore.SetLimits(&o, 40, 100, 0)
		res, err := restore.Run(context.Background(), s, tree, testKey, o)
		if err != nil || res.Failures != lost || len(res.Failed) != 1 || res.Files != files {
			t.Errorf("%d of %d entries are in a damaged page: %d failed, %d of %d files came back, %v, %v", lost, len(mails), res.Failures, res.Files, files, res.Failed, err)
		}
		comparePart(t, o.Target, mails)
	}
}

// Two recipes give a piece different sizes. One is wrong, and costs its file only.
func TestTwoSizesOfOnePiece(t *testing.T) {
	s := newStore(t, 20_000)
	data := randomBytes(rand.New(rand.NewPCG(6, 6)), 3000)
	good := s.content().plain(data).mail("good")
	lines := s.content().lines(data, 76, snapshot.LF, snapshot.TailEnded).mail("lines")
	for _, size := range []uint32{1, 2999, 3001, 1 << 20} {
		c := s.content().plain(data)
		c.items[0].Piece.Size = size
		bad := c.mail("bad")
		bad.entry.Size = uint64(size)
		s.forget()
		o := everything(t.TempDir())
		res, err := restore.Run(context.Background(), s, s.tree(good, lines, bad), testKey, o)
		if err != nil || len(res.Failed) != 1 || res.Failed[0].Path != "bad" || !errors.Is(res.Failed[0].Err, restore.ErrDamaged) {
			t.Errorf("size %d: %+v, %v", size, res, err)
		}
		compare(t, o.Target, good, lines)
	}
}
