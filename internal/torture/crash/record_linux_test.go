package crash

import (
	"encoding/gob"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"restante/internal/durable"
)

// An event is one line of a record: a call that succeeded, or several between which
// nothing crashes, or what the process says between two calls.
type event struct {
	Calls []durable.Call
	Note  *note
}

// A note says what holds from here on, until the next one.
type note struct {
	Step      string            // that begins, or has just ended
	Committed map[string]taken  // snapshots that are listed, by their IDs
	Unsure    map[string]taken  // that may be listed or not
	Forgotten map[string]taken  // that are not listed, and can be taken back
	Pruned    map[string]taken  // that are not listed, and of which packs may be gone
	Known     map[string]taken  // of which nothing is sure
	Store     map[string]string // what the mail store holds
	Keys      []string          // names of those that open the repository; none: there may be no repository
	NoKeys    []string          // of those that do not
	Damaged   bool              // there is damage that no repair has mended yet
	Lost      map[string]bool   // files that damage may have taken
	Last      bool              // the process says no more
}

// A taken snapshot is one as it was taken.
type taken struct {
	Files  map[string]string
	Origin string // the ID of the snapshot that this one replaced, else its own
}

// errDead is the error of every call of a process that has died.
var errDead = errors.New("the process is dead")

// A recorder writes down what package durable does below a folder.
type recorder struct {
	base    string
	noLinks bool // the file system knows no hard links

	mu   sync.Mutex // guards the following, and orders calls
	out  *gob.Encoder
	err  error
	die  func(durable.Call) bool // whether the process dies after a call; may be nil
	dead bool
}

// record begins a record; its paths are relative to base.
func record(t *testing.T, base string, out io.Writer) *recorder {
	r := &recorder{base: base, out: gob.NewEncoder(out)}
	t.Cleanup(durable.Watch(r.watch))
	return r
}

func (r *recorder) watch(c durable.Call, do func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.dead:
		return errDead
	case r.noLinks && c.Op == durable.Link:
		return syscall.EPERM
	}
	err := do()
	if err == nil {
		r.write(c)
		r.dead = r.die != nil && r.die(c)
	}
	return err
}

// dieAfter has the process die after a call.
func (r *recorder) dieAfter(call func(durable.Call) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.die = call
}

// write records calls. The caller holds r.mu.
func (r *recorder) write(calls ...durable.Call) {
	for i := range calls {
		c := &calls[i]
		dir := c.Dir
		c.Dir = ""
		for _, name := range []*string{&c.Name, &c.From} {
			if *name == "" {
				continue
			}
			p, err := filepath.Rel(r.base, filepath.Join(dir, *name))
			if err != nil || strings.HasPrefix(p, "..") {
				return // it is elsewhere
			}
			*name = p
		}
	}
	r.err = errors.Join(r.err, r.out.Encode(event{Calls: calls}))
}

func (r *recorder) note(n note) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = errors.Join(r.err, r.out.Encode(event{Note: &n}))
}

// readRecord reads what a child process has recorded.
func readRecord(t *testing.T, path string) (events []event) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	for in := gob.NewDecoder(f); ; {
		var e event
		if err := in.Decode(&e); err == io.EOF {
			return events
		}
		must(t, err)
		events = append(events, e)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
