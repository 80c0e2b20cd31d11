package mailstore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"restante/mailstore"
)

// script is a MaildirReader that shows other names in each pass.
type script struct {
	passes []string // "new names | cur names"; the last one repeats
	at     int
	mtime  time.Time
	err    error // of "new"
}

func (s *script) Names(dir string, fn func(string)) error {
	newNames, cur, _ := strings.Cut(s.passes[min(s.at, len(s.passes)-1)], "|")
	names := newNames
	if dir == "cur" {
		names = cur
		s.at++ // new is read before cur
	} else if s.err != nil {
		return s.err
	}
	for _, n := range strings.Fields(names) {
		fn(n)
	}
	return nil
}

func (s *script) ModTime(string) (time.Time, error) { return s.mtime, nil }

func TestListing(t *testing.T) {
	now, old := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for _, tc := range []struct {
		name   string
		passes []string
		mtime  time.Time
		want   string
		n      int // passes
	}{
		{"at rest for long", []string{"a | b:2,S"}, old, "cur/b:2,S new/a", 1},
		{"changed lately", []string{"a | b:2,S"}, now, "cur/b:2,S new/a", 3},
		{"empty", []string{"|"}, now, "", 2},
		{"one is missed at first", []string{"| a:2,", "| a:2, b:2,", "| a:2, b:2,"}, now, "cur/a:2, cur/b:2,", 4},
		{"missed in between", []string{"| a:2, b:2,", "| a:2,"}, now, "cur/a:2, cur/b:2,", 3},
		{"the latest name wins", []string{"| a:2,", "| a:2,S", "| a:2,SF"}, now, "cur/a:2,SF", 3},
		{"from new to cur", []string{"a |", "| a:2,"}, now, "cur/a:2,", 3},
		{"both names in one pass", []string{"a | a:2,", "| a:2,"}, now, "cur/a:2,", 3},
		{"renamed back and forth", []string{"| a:2,", "| a:2,S a:2,", "| a:2,S"}, now, "cur/a:2,S", 3},
		{"two files that share a base name", []string{"| a:2, a:2,S"}, now, "cur/a:2, cur/a:2,S", 3},
		{"two such files at rest", []string{"a | a:2,S"}, old, "cur/a:2,S new/a", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := mailstore.NewListing(&script{passes: tc.passes, mtime: tc.mtime})
			if err := l.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := showNames(l.Messages()); got != tc.want || l.Passes() != tc.n {
				t.Errorf("listed %q in %d passes, want %q in %d", got, l.Passes(), tc.want, tc.n)
			}
		})
	}
}

func showNames(messages []mailstore.MessageName) string {
	var out []string
	for _, m := range messages {
		out = append(out, m.Dir+"/"+m.Name)
	}
	return strings.Join(out, " ")
}

// endless brings a new message in every pass.
type endless struct{ n int }

func (e *endless) Names(dir string, fn func(string)) error {
	if dir == "cur" {
		e.n++
	}
	for i := range e.n {
		fn(fmt.Sprintf("%s%d", dir, i))
	}
	return nil
}

func (e *endless) ModTime(string) (time.Time, error) { return time.Now(), nil }

func TestListingEnds(t *testing.T) {
	l := mailstore.NewListing(&endless{})
	if err := l.Settle(t.Context()); err != nil || l.Passes() != 20 {
		t.Errorf("%d passes, error %v", l.Passes(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := mailstore.NewListing(&endless{}).Settle(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestListingErrors(t *testing.T) {
	l := mailstore.NewListing(&script{passes: []string{"a | b"}, mtime: time.Now(), err: fs.ErrPermission})
	if err := l.Settle(t.Context()); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("new cannot be read: error %v", err)
	}
	if got := showNames(l.Messages()); got != "cur/b" {
		t.Errorf("new cannot be read: listed %q", got)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cur", "a:2,"), "x")
	l = mailstore.NewListing(mailstore.MaildirPath(dir))
	if err := l.Settle(t.Context()); err != nil || showNames(l.Messages()) != "cur/a:2," {
		t.Errorf("without new: listed %q, error %v", showNames(l.Messages()), err)
	}
}

func TestListingFindsTheNewName(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "new", "a"), "x")
	write(t, filepath.Join(dir, "new", "b\n\xff"), "x")
	l := mailstore.NewListing(mailstore.MaildirPath(dir))
	settle := func() {
		t.Helper()
		if err := l.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	settle()
	mkdir(t, filepath.Join(dir, "cur"))
	if err := os.Rename(filepath.Join(dir, "new", "a"), filepath.Join(dir, "cur", "a:2,RS")); err != nil {
		t.Fatal(err)
	}
	settle()
	if m, ok := l.Find("a"); !ok || m != (mailstore.MessageName{Dir: "cur", Name: "a:2,RS"}) {
		t.Errorf("found %v, %v", m, ok)
	}
	if m, ok := l.Find("b\n\xff"); !ok || m.Dir != "new" {
		t.Errorf("found %v, %v", m, ok)
	}
	if _, ok := l.Find("c"); ok {
		t.Error("found what never was")
	}
}

// The rename race: no message that is there all the time may be missing,
// though each changes its flags, and so its name, again and again.
func TestListingUnderRenames(t *testing.T) {
	dir := t.TempDir()
	names := make([]string, 3000)
	for i := range names {
		names[i] = fmt.Sprintf("%d.host:2,", i)
		write(t, filepath.Join(dir, "cur", names[i]), "x")
	}
	mkdir(t, filepath.Join(dir, "new"))
	stop := make(chan struct{})
	var renaming sync.WaitGroup
	defer renaming.Wait()
	defer close(stop)
	renaming.Go(func() {
		flags := []string{"", "S", "RS", "FS", "FRS", "ST"}
		for {
			select {
			case <-stop:
				return
			default:
			}
			i := rand.IntN(len(names))
			to := fmt.Sprintf("%d.host:2,%s", i, flags[rand.IntN(len(flags))])
			if err := os.Rename(filepath.Join(dir, "cur", names[i]), filepath.Join(dir, "cur", to)); err != nil {
				t.Error(err)
				return
			}
			names[i] = to
		}
	})
	for range 10 {
		l := mailstore.NewListing(mailstore.MaildirPath(dir))
		if err := l.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, m := range l.Messages() {
			seen[mailstore.BaseName(m.Name)] = true
		}
		for i := range names {
			if base := fmt.Sprintf("%d.host", i); !seen[base] {
				t.Fatalf("%s is missing after %d passes", base, l.Passes())
			}
		}
	}
}

func TestBaseNameAndFlags(t *testing.T) {
	for _, tc := range []struct{ name, base, flags string }{
		{"1.M2P3.host,S=4,W=5:2,FSab", "1.M2P3.host,S=4,W=5", "FSab"},
		{"1.host:2,", "1.host", ""},
		{"1.host;2,S", "1.host", "S"},
		{"1.host!2,ST", "1.host", "ST"},
		{"1.host:2,S,x", "1.host", "S"},
		{"1.host", "1.host", ""},
		{"1.host:1,x", "1.host:1,x", ""},
		{"a:b", "a:b", ""},
		{"\xff\n:2,S", "\xff\n", "S"},
		{"a:2,S:2,T", "a", "S:2"},
		{"", "", ""},
	} {
		if b, f := mailstore.BaseName(tc.name), mailstore.Flags(tc.name); b != tc.base || f != tc.flags {
			t.Errorf("%q: base %q, flags %q, want %q, %q", tc.name, b, f, tc.base, tc.flags)
		}
	}
}

func TestMessagesAreSorted(t *testing.T) {
	l := mailstore.NewListing(&script{passes: []string{"c a | d b"}, mtime: time.Now()})
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(showNames(l.Messages())); !slices.IsSorted(got) {
		t.Errorf("listed %v", got)
	}
}
