package gc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A memo says when this machine first saw what waits: open sessions, marks,
// packs that nothing needs, tombstones, by the names of their objects. Ages are
// differences between two looks at this machine's clock, so no clock is compared with
// another. It is a file of lines, nanoseconds since 1970 and a name; when it is
// lost, things wait longer.
type memo struct {
	path  string
	now   time.Time
	first map[string]time.Time // as the file had it
	seen  map[string]time.Time // what there is now
}

const maxMemo = 64 << 20 // bytes of the file that are taken seriously

func openMemo(path string, now time.Time) *memo {
	m := &memo{path: path, now: now, first: map[string]time.Time{}, seen: map[string]time.Time{}}
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxMemo {
		return m
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return m
	}
	for line := range bytes.Lines(data) {
		at, name, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		n, err := strconv.ParseInt(at, 10, 64)
		if t := time.Unix(0, n); ok && err == nil && !t.After(now) { // the clock was set back: it counts from now
			m.first[name] = t
		}
	}
	return m
}

// since returns when the object was seen first, which may be now.
func (m *memo) since(name string) time.Time {
	t, ok := m.first[name]
	if !ok {
		t = m.now
	}
	m.seen[name] = t
	return t
}

// until returns when the object will have been seen for so long, and whether
// that is over.
func (m *memo) until(name string, d time.Duration) (time.Time, bool) {
	t := m.since(name).Add(d)
	return t, !t.After(m.now)
}

// save writes the file anew, of what was asked for since it was opened. It is
// not synced to the disk.
func (m *memo) save() error {
	names := make([]string, 0, len(m.seen))
	for name := range m.seen {
		names = append(names, name)
	}
	slices.Sort(names)
	var b bytes.Buffer
	for _, name := range names {
		fmt.Fprintf(&b, "%d %s\n", m.seen[name].UnixNano(), name)
	}
	err := os.MkdirAll(filepath.Dir(m.path), 0o700)
	if err == nil {
		err = os.WriteFile(m.path+".new", b.Bytes(), 0o600)
	}
	if err == nil {
		err = os.Rename(m.path+".new", m.path)
	}
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		os.Remove(m.path + ".new")
	}
	if err != nil {
		return fmt.Errorf("noting what waits (choose another folder with --cache-dir): %w", err)
	}
	return nil
}
