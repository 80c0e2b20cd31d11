package mailgen

import (
	"bytes"
	"errors"
	"fmt"
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
	mail := append(append([]byte{}, c.trace...), c.shared...)
	header, body, _ := bytes.Cut(mail, []byte("\n\n"))
	status := "RO"
	if c.fresh {
		status = "O "
	}
	b := fmt.Appendf(nil, "From MAILER-DAEMON %s\n%s\nStatus: %s\nX-Status:     \n\n", c.date.Format(time.ANSIC), header, status)
	b = append(appendMboxrd(b, body), '\n')
	path := s.path(c.box, c.folder)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	s.times[path] = c.date
	return errors.Join(err, file.Close())
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
