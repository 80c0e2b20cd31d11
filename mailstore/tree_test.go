package mailstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restante/mailstore"
)

const mboxText = "From alice@example.com Mon Jan  5 10:11:12 2026\nSubject: one\n\nhello\n\n" +
	"From bob@example.com Tue Jan  6 10:11:12 2026\nSubject: two\n\nhello\n\n"

// plant makes files below dir as lines say:
//
//	M path   a Maildir with one message in new and two in cur
//	b path   an mbox with two messages
//	f path   a file with other content
//	e path   an empty file
//	d path   a folder
//	l path   a symbolic link to the rest of the line
func plant(t testing.TB, dir string, lines string) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		kind, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, target, _ := strings.Cut(name, " -> ")
		p := filepath.Join(dir, name)
		switch kind {
		case "M":
			for _, part := range []string{"cur", "new", "tmp"} {
				mkdir(t, filepath.Join(p, part))
			}
			write(t, filepath.Join(p, "new", "3.host"), "Subject: three\n\nnew")
			write(t, filepath.Join(p, "cur", "1.host,S=19:2,S"), "Subject: one\n\nread")
			write(t, filepath.Join(p, "cur", "2.host,S=19:2,"), "Subject: two\n\nseen")
		case "b":
			write(t, p, mboxText)
		case "f":
			write(t, p, "text\n")
		case "e":
			write(t, p, "")
		case "d":
			mkdir(t, p)
		case "l":
			mkdir(t, filepath.Dir(p))
			if err := os.Symlink(target, p); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("no such line: %q", line)
		}
	}
}

func mkdir(t testing.TB, p string) {
	t.Helper()
	if err := os.MkdirAll(p, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, p, text string) {
	t.Helper()
	mkdir(t, filepath.Dir(p))
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// detect runs Detect on roots below dir.
func detect(t testing.TB, dir string, roots []string, opts mailstore.Options) *mailstore.Store {
	t.Helper()
	var abs []string
	for _, r := range roots {
		abs = append(abs, filepath.Join(dir, r))
	}
	s, err := mailstore.Detect(t.Context(), abs, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// show prints a store, a line a mailbox: "name (aliases) places: folders".
func show(s *mailstore.Store) string {
	var b strings.Builder
	for _, m := range s.Mailboxes {
		b.WriteString(m.Name)
		if len(m.Aliases) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(m.Aliases, ", "))
		}
		for _, p := range m.Places {
			b.WriteString(" " + showPlace(p))
		}
		var folders []string
		for _, f := range m.Folders {
			text := f.Name + "="
			for i, p := range f.Places {
				if i > 0 {
					text += "+"
				}
				text += showPlace(p)
			}
			folders = append(folders, text)
		}
		fmt.Fprintf(&b, ": %s\n", strings.Join(folders, " "))
	}
	for _, c := range s.Clashes {
		fmt.Fprintf(&b, "clash %s: %s\n", c.Name, strings.Join(c.Names, ", "))
	}
	for _, u := range s.Unreadable {
		fmt.Fprintf(&b, "unreadable %d:%s\n", u.Root, u.Path)
	}
	return b.String()
}

func showPlace(p mailstore.Place) string {
	text := fmt.Sprintf("%d:%s", p.Root, p.Path)
	if p.Form == mailstore.NoDotDirs {
		text += "/[^.]"
	}
	for _, e := range p.Except {
		text += "-" + e
	}
	return text
}

// lines trims what a table's raw string adds.
func lines(s string) string {
	var out string
	for _, line := range strings.Split(strings.TrimSpace(s), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out += line + "\n"
		}
	}
	return out
}
