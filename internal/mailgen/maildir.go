package mailgen

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// vmail is the folder of a Maildir store that holds the domains.
const vmail = "vmail"

// folderNames are the folders of every account as they are called on disk:
// "Pläne", "日本語" and "R&D" are in modified UTF-7.
func folderNames() []string {
	return []string{"", ".Archive", ".Archive.2025", ".Drafts", ".Junk", ".Pl&AOQ-ne", ".R&-D", ".Sent", ".Trash", ".&ZeVnLIqe-"}
}

// maildirs is a Maildir store being written. It serves one goroutine.
type maildirs struct {
	root    string
	homes   []string // of each mailbox, the folder that holds its Maildir
	folders map[string]*folder
	touched map[string]bool // directories whose content changed
}

// A folder is one Maildir, with what its dovecot-uidlist will say.
type folder struct {
	path     string
	validity int64
	next     int
	guid     string
	lines    bytes.Buffer
}

// createMaildirs makes an empty account for each of the boxes.
func createMaildirs(dir string, o Options, boxes []person) (*maildirs, error) {
	s := &maildirs{root: filepath.Join(dir, vmail), folders: map[string]*folder{}, touched: map[string]bool{}}
	rng := newSource(o.Seed, 1<<62)
	for _, p := range boxes {
		home := filepath.Join(s.root, p.domain, p.user)
		s.homes = append(s.homes, home)
		if err := s.createHome(home, rng); err != nil {
			return nil, err
		}
	}
	s.touched[s.root] = true
	return s, nil
}

func (s *maildirs) createHome(home string, rng *source) error {
	for _, name := range folderNames() {
		f := &folder{path: filepath.Join(home, "Maildir", name), validity: begin.Unix() + int64(rng.IntN(1e6)), next: 1, guid: rng.hex(32)}
		s.folders[f.path] = f
		for _, d := range []string{"cur", "new", "tmp"} {
			d = filepath.Join(f.path, d)
			if err := os.MkdirAll(d, 0o700); err != nil {
				return err
			}
			s.touched[d] = true
		}
		s.touched[f.path] = true
		if name != "" {
			if err := s.control(filepath.Join(f.path, "maildirfolder"), ""); err != nil {
				return err
			}
		}
		if err := s.control(filepath.Join(f.path, "dovecot-keywords"), "0 $label1\n1 NonJunk\n"); err != nil {
			return err
		}
	}
	var subscribed strings.Builder
	for _, name := range folderNames()[1:] {
		subscribed.WriteString(strings.TrimPrefix(name, ".") + "\n")
	}
	if err := s.control(filepath.Join(home, "Maildir", "subscriptions"), subscribed.String()); err != nil {
		return err
	}
	return s.createSieve(home)
}

func (s *maildirs) createSieve(home string) error {
	if err := os.Mkdir(filepath.Join(home, "sieve"), 0o700); err != nil {
		return err
	}
	const script = "require [\"fileinto\"];\nif header :contains \"X-Spam-Flag\" \"YES\" {\n  fileinto \"Junk\";\n}\n"
	if err := s.control(filepath.Join(home, "sieve", "main.sieve"), script); err != nil {
		return err
	}
	s.touched[home], s.touched[filepath.Dir(home)] = true, true
	return os.Symlink("sieve/main.sieve", filepath.Join(home, ".dovecot.sieve"))
}

// control writes a file that is no message, as old as the store.
func (s *maildirs) control(path, content string) error {
	s.touched[filepath.Dir(path)] = true
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err
	}
	return os.Chtimes(path, begin, begin)
}

// openMaildirs opens the store in dir, and returns the owners of its mailboxes.
func openMaildirs(dir string) (*maildirs, []person, error) {
	s := &maildirs{root: filepath.Join(dir, vmail), folders: map[string]*folder{}, touched: map[string]bool{}}
	var boxes []person
	domains, err := os.ReadDir(s.root)
	if err != nil {
		return nil, nil, err
	}
	for _, domain := range domains {
		users, err := os.ReadDir(filepath.Join(s.root, domain.Name()))
		if err != nil {
			return nil, nil, err
		}
		for _, user := range users {
			s.homes = append(s.homes, filepath.Join(s.root, domain.Name(), user.Name()))
			boxes = append(boxes, person{name: user.Name(), user: user.Name(), domain: domain.Name()})
		}
	}
	return s, boxes, nil
}

// folder returns the folder of a mailbox, with its uidlist as it is on disk.
func (s *maildirs) folder(box int, name string) (*folder, error) {
	path := filepath.Join(s.homes[box], "Maildir", name)
	if f := s.folders[path]; f != nil {
		return f, nil
	}
	list, err := os.ReadFile(filepath.Join(path, "dovecot-uidlist"))
	if err != nil {
		return nil, err
	}
	f := &folder{path: path}
	head, lines, _ := bytes.Cut(list, []byte("\n"))
	if _, err := fmt.Sscanf(string(head), "3 V%d N%d G%s", &f.validity, &f.next, &f.guid); err != nil {
		return nil, fmt.Errorf("reading uidlist of %q: %w", path, err)
	}
	f.lines.Write(lines)
	s.folders[path] = f
	return f, nil
}

// put writes a message under a name as Dovecot gives it; fresh mail lies in
// new, has no flags and no UID yet.
func (s *maildirs) put(c copyOf) error {
	f, err := s.folder(c.box, c.folder)
	if err != nil {
		return err
	}
	size := len(c.trace) + len(c.shared)
	lines := bytes.Count(c.trace, []byte("\n")) + bytes.Count(c.shared, []byte("\n"))
	sub, suffix := "cur", ":2,"+c.flags
	if c.fresh {
		sub, suffix = "new", ""
	}
	usec, pid := c.rng.IntN(1e6), c.rng.between(300, 32000)
	for {
		base := fmt.Sprintf("%d.M%dP%d.mail1,S=%d,W=%d", c.date.Unix(), usec, pid, size, size+lines)
		err := writeMessage(filepath.Join(f.path, sub, base+suffix), c)
		if errors.Is(err, fs.ErrExist) {
			usec++
			continue
		}
		if err == nil && !c.fresh {
			f.enlist(base + suffix)
		}
		s.touched[filepath.Join(f.path, sub)] = true
		return err
	}
}

// enlist gives the message the folder's next UID.
func (f *folder) enlist(name string) {
	fmt.Fprintf(&f.lines, "%d :%s\n", f.next, name)
	f.next++
}

func writeMessage(path string, c copyOf) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(c.trace)
	if err == nil {
		_, err = file.Write(c.shared)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Chtimes(path, c.date, c.date)
}

// finish writes the uidlists and gives every touched directory the time now.
func (s *maildirs) finish(now time.Time) error {
	for _, f := range s.folders {
		path := filepath.Join(f.path, "dovecot-uidlist")
		text := fmt.Sprintf("3 V%d N%d G%s\n%s", f.validity, f.next, f.guid, f.lines.String())
		if old, err := os.ReadFile(path); err == nil && string(old) == text {
			continue
		}
		s.touched[f.path] = true
		// Replaced, never rewritten in place: as Dovecot does it.
		temp := path + ".tmp"
		if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
			return err
		}
		if err := os.Chtimes(temp, now, now); err != nil {
			return err
		}
		if err := os.Rename(temp, path); err != nil {
			return err
		}
	}
	for dir := range s.touched {
		if err := os.Chtimes(dir, now, now); err != nil {
			return err
		}
	}
	return nil
}
