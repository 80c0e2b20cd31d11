package mailgen

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// spools is an mbox store being written. It serves one goroutine.
type spools struct {
	dir   string
	boxes []person
	times map[string]time.Time // of each file that was written, when last
}

// createSpools makes the folders that the mbox files of the boxes lie in.
func createSpools(dir string, boxes []person) (*spools, error) {
	s := &spools{dir: dir, boxes: boxes, times: map[string]time.Time{}}
	if err := os.Mkdir(filepath.Join(dir, "mail"), 0o700); err != nil {
		return nil, err
	}
	for _, p := range boxes {
		if err := os.MkdirAll(filepath.Join(dir, "home", p.user, "mail", "archive"), 0o700); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// openSpools opens the store in dir, and returns the owners of its mailboxes.
func openSpools(dir string) (*spools, []person, error) {
	homes, err := os.ReadDir(filepath.Join(dir, "home"))
	if err != nil {
		return nil, nil, err
	}
	s := &spools{dir: dir, times: map[string]time.Time{}}
	for _, home := range homes {
		s.boxes = append(s.boxes, person{name: home.Name(), user: home.Name(), domain: localDomains()[0]})
	}
	return s, s.boxes, nil
}

// files returns the mbox files of the mailboxes.
func (s *spools) files() ([]string, error) {
	ours := map[string]bool{}
	for _, p := range s.boxes {
		ours[p.user] = true
	}
	var paths []string
	for _, root := range []string{"home", "mail"} {
		root = filepath.Join(s.dir, root)
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || path == root {
				return err
			}
			if filepath.Dir(path) == root && !ours[e.Name()] {
				if e.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if e.Type().IsRegular() {
				paths = append(paths, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// path returns the file of a mailbox's folder.
func (s *spools) path(box int, folder string) string {
	user := s.boxes[box].user
	if folder == "" {
		return filepath.Join(s.dir, "mail", user)
	}
	home := filepath.Join(s.dir, "home", user, "mail")
	switch folder {
	case ".Sent":
		return filepath.Join(home, "sent")
	case ".Drafts":
		return filepath.Join(home, "drafts")
	case ".Archive.2025":
		return filepath.Join(home, "archive", "2025")
	}
	return filepath.Join(home, "saved")
}

// put appends a message in the mboxrd form, with the status headers that mail programs change in place.
func (s *spools) put(c copyOf) error {
	path := s.path(c.box, c.folder)
	file, err := openMbox(path)
	if err != nil {
		return err
	}
	_, err = file.Write(c.mbox())
	s.times[path] = c.date
	return errors.Join(err, file.Close())
}

// openMbox opens an mbox to write at its end; one that is not there is made.
func openMbox(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// mbox returns the message as it lies in an mbox.
func (c copyOf) mbox() []byte {
	mail := append(append([]byte{}, c.trace...), c.shared...)
	header, body, _ := bytes.Cut(mail, []byte("\n\n"))
	status := "RO"
	if c.fresh {
		status = "O "
	}
	b := fmt.Appendf(nil, "From MAILER-DAEMON %s\n%s\nStatus: %s\nX-Status:     \n\n", c.date.Format(time.ANSIC), header, status)
	return append(appendMboxrd(b, body), '\n')
}

// GrowOptions say how an mbox grows. Equal options append the same bytes.
type GrowOptions struct {
	Bytes  int64 // it grows by this, and by the rest of the last message
	Number int   // the night in which it grows; 0: before the first
	Seed   uint64
}

// GrowMbox appends mail to the mbox at path, which is made if it is not there.
// Memory does not depend on sizes.
func GrowMbox(path string, o GrowOptions) (Report, error) {
	if o.Bytes < 1 || o.Number < 0 {
		return Report{}, fmt.Errorf("growing mbox %q: by %d bytes in night %d", path, o.Bytes, o.Number)
	}
	r, err := growMbox(path, o)
	if err != nil {
		return Report{}, fmt.Errorf("growing mbox %q: %w", path, err)
	}
	return r, nil
}

func growMbox(path string, o GrowOptions) (r Report, err error) {
	file, err := openMbox(path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	from, span := begin, end.Sub(begin)
	if o.Number > 0 {
		from, span = end.AddDate(0, 0, o.Number-1), 23*time.Hour
	}
	c := newComposer(o.Seed, uint64(o.Number), localPeople(20), false)
	w := bufio.NewWriterSize(file, 1<<20)
	date := from
	for r.Bytes < o.Bytes {
		m := c.next(date)
		text := copyOf{date: m.date, trace: c.trace(m, m.firstBox()), shared: m.shared}.mbox()
		if _, err := w.Write(text); err != nil {
			return r, err
		}
		r.Messages++
		r.Bytes += int64(len(text))
		// In millionths, so that no product overflows.
		date = from.Add(span / 1e6 * time.Duration(min(r.Bytes, o.Bytes)*1e6/o.Bytes))
	}
	if err := w.Flush(); err != nil {
		return r, err
	}
	return r, os.Chtimes(path, date, date)
}

// appendMboxrd appends body with ">" before each line that would look like the
// beginning of a message, or like such a line quoted.
func appendMboxrd(dst, body []byte) []byte {
	if !bytes.Contains(body, []byte("From ")) {
		return append(dst, body...)
	}
	for line := range bytes.Lines(body) {
		if bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
			dst = append(dst, '>')
		}
		dst = append(dst, line...)
	}
	return dst
}

// finish gives every file the time of its last delivery, and every folder the time now.
func (s *spools) finish(now time.Time) error {
	for path, date := range s.times {
		if err := os.Chtimes(path, date, date); err != nil {
			return err
		}
	}
	dirs := []string{filepath.Join(s.dir, "mail"), filepath.Join(s.dir, "home")}
	for _, p := range s.boxes {
		home := filepath.Join(s.dir, "home", p.user)
		dirs = append(dirs, home, filepath.Join(home, "mail"), filepath.Join(home, "mail", "archive"))
	}
	for _, dir := range dirs {
		if err := os.Chtimes(dir, now, now); err != nil {
			return err
		}
	}
	return nil
}
