package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage/mem"
)

const clients = 4

// skews are by how much the clients' clocks are wrong, in hours.
var skews = [clients]int64{0, 36, -30, -24 * 365 * 20}

// A polynomial for tests only.
const polynomial = 0x3DA3358B4DC173

// A world is a repository, the clients that use it, and the plain map of what it
// has to hold. It belongs to the goroutine that plays the history; what clients do
// while they are let through calls is theirs.
type world struct {
	ctx     context.Context
	dir     string
	store   *mem.Store
	owner   seal.Unlocker
	clients [clients]*client
	hour    atomic.Int64 // that it is, by a right clock
	step    int
	trace   []string

	kept  map[seal.Session]*kept // by the session, from its announcement on
	holds map[seal.Session][]held
	dead  []seal.Session // that crashed, or whose end was lost
	harm  harm
	mark  int            // in which step the last mark was put
	woken bool           // a session was taken for dead that only slept
	tried map[string]int // operations that came to their end
}

// A kept is what the model knows of a session that may end in a snapshot.
type kept struct {
	files map[string]string // what the snapshot has to hold
	began int               // in which step
	op    *op               // that makes it

	state     state
	forgotten bool
	back      int                  // in which step it was last taken back
	broken    bool                 // its record cannot be read
	hurt      bool                 // something that it needs, or may need, has been lost at some time
	needs     map[string][]blob.ID // pieces of each file, from when that can be read
	pages     []blob.ID            // of its trees; nil if they cannot be read, and needs too
	lacks     map[string]bool      // of a repaired one: files that were lost
}

// A state is what is known.
type state uint8

const (
	no state = iota
	yes
	perhaps
)

// held is a hold, and the steps between which it has been there for certain.
type held struct {
	from, to int       // to is 0 while it is there
	until    time.Time // zero for ever
}

// A client is a machine.
type client struct {
	n      int
	skew   atomic.Int64 // hours
	tap    *tap
	op     *op // nil: it does nothing
	mail   string
	cache  string
	writer *seal.Unlocker // if it has a key that cannot read
	key    repo.KeyInfo   // of writer
}

// An op is an operation of a client on its way.
type op struct {
	name  string
	began int // in which step
	done  chan struct{}
	err   error
	ended func(error) error // called in the history's goroutine: takes the outcome into account

	files    map[string]string // of a backup
	sessions []seal.Session    // that it announced
	crashed  bool
	lenient  bool // there was damage: it may fail

	touched []seal.Session // snapshots that it has forgotten or taken back
}

func newWorld(ctx context.Context, dir string) (*world, error) {
	w := &world{ctx: ctx, dir: dir, store: mem.New(), kept: map[seal.Session]*kept{}, holds: map[seal.Session][]held{}, tried: map[string]int{}}
	w.harm = newHarm()
	file, recipient, err := seal.NewIdentity("for a test")
	if err != nil {
		return nil, err
	}
	if w.owner, err = seal.Identities(file); err != nil {
		return nil, err
	}
	err = repo.Create(ctx, w.store, repo.CreateOptions{Chunker: polynomial, Label: "test",
		Lock: func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) }})
	if err != nil {
		return nil, err
	}
	w.hour.Store(time.Now().Add(10*24*time.Hour).Unix() / 3600) // so that files are settled, but for who lives in the past
	for i := range w.clients {
		c := &client{n: i, tap: newTap(w.store), mail: filepath.Join(dir, fmt.Sprint("mail", i)), cache: filepath.Join(dir, fmt.Sprint("cache", i))}
		c.skew.Store(skews[i])
		w.clients[i] = c
		if err := writeMail(c.mail, i); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *world) now(c *client) time.Time {
	return time.Unix((w.hour.Load()+c.skew.Load())*3600, 0)
}

// open opens the repository as the client's process does.
func (w *world) open(c *client, asOwner bool) (*repo.Repository, error) {
	unlock := w.owner
	if !asOwner && c.writer != nil {
		unlock = *c.writer
	}
	return repo.Open(w.ctx, c.tap, repo.OpenOptions{CacheDir: c.cache, Unlock: unlock, Warn: log.New(io.Discard, "", 0),
		Now: func() time.Time { return w.now(c) }})
}

// begin has a client begin an operation. The client opens the repository first.
func (w *world) begin(c *client, o *op, asOwner bool, run func(*repo.Repository) error) {
	c.tap.revive()
	o.began, o.done, o.lenient = w.step, make(chan struct{}), w.harm.unhealed || len(w.harm.lost) > 0
	c.op = o
	go func() {
		defer close(o.done)
		var r *repo.Repository
		if r, o.err = w.open(c, asOwner); o.err == nil {
			o.err = errors.Join(run(r), r.Close())
		}
	}()
}

// goOn lets a client make calls, and takes the outcome into account if that was its end.
func (w *world) goOn(c *client, calls int) error {
	o := c.op
	if o == nil {
		return nil
	}
	ended := c.tap.step(calls, o.done, func(call string) { w.note("    %d: %s", c.n, call) })
	w.observe(c)
	if !ended {
		return nil
	}
	c.op = nil
	o.crashed = o.crashed || errors.Is(o.err, errCrashed)
	o.lenient = o.lenient || w.harm.unhealed || len(w.harm.lost) > 0
	w.note("  %d ends %s: %v", c.n, o.name, o.err)
	w.tried[o.name]++
	if o.crashed {
		w.dead = append(w.dead, o.sessions...)
	}
	for _, id := range o.sessions {
		if k := w.kept[id]; k != nil && k.op == o {
			k.op = nil
			if errors.Is(o.err, repo.ErrClosed) {
				k.state = no
			}
		}
	}
	return o.ended(o.err)
}

// observe notes which sessions the client has announced, and which snapshots it
// has forgotten, taken back, and removed for good.
func (w *world) observe(c *client) {
	for _, change := range c.tap.changed() {
		verb, name, _ := strings.Cut(change, " ")
		part, text, _ := strings.Cut(name, "/")
		if verb == "put" && part == "marks" {
			w.mark = w.step
		}
		id, err := seal.ParseSession(text)
		if err != nil {
			continue
		}
		k := w.kept[id]
		switch {
		case verb == "put" && part == "intents":
			c.op.sessions = append(c.op.sessions, id)
			if c.op.files != nil {
				w.kept[id] = &kept{files: c.op.files, began: c.op.began, op: c.op, state: perhaps}
			}
		case k == nil:
		case part == "forgotten":
			k.forgotten = verb == "put"
			if !k.forgotten {
				k.back = w.step
			}
			c.op.touched = append(c.op.touched, id)
		case verb == "delete" && part == "snapshots" && k.forgotten: // else it has to be there
			k.state = no
		}
	}
}

// crash ends what a client does. answered says whether the call that it is
// making is not made, or is made and not answered.
func (w *world) crash(c *client, made bool) error {
	o := c.op
	if o == nil {
		return nil
	}
	o.crashed = true
	if made {
		c.tap.lastCall()
		if c.tap.step(1, o.done, func(call string) { w.note("    %d: %s, its last", c.n, call) }) {
			return w.goOn(c, -1) // it made none any more
		}
	}
	w.observe(c)
	c.tap.crash()
	return w.goOn(c, -1)
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

// busy reports whether a client is in the middle of one of these operations.
func (w *world) busy(names ...string) bool {
	return slices.ContainsFunc(w.clients[:], func(c *client) bool { return c.op != nil && (len(names) == 0 || slices.Contains(names, c.op.name)) })
}

// play plays a history, and then has all clients end what they do.
func (w *world) play(h history) (err error) {
	defer func() {
		for _, c := range w.clients {
			c.tap.crash()
			if c.op != nil {
				<-c.op.done
			}
		}
	}()
	for i, s := range h {
		w.step = i + 1
		w.hour.Add(3)
		w.note("%v", s)
		if err := w.do(s); err != nil {
			return fmt.Errorf("step %d, %v: %w", i, s, err)
		}
	}
	w.step = len(h) + 1
	for _, c := range w.clients {
		if err := w.goOn(c, -1); err != nil {
			return fmt.Errorf("client %d at the end: %w", c.n, err)
		}
	}
	return w.end()
}

func (w *world) do(s step) error {
	c := w.clients[s.Client%clients]
	switch s.Op {
	case "go":
		return w.goOn(c, s.Calls)
	case "crash":
		return w.crash(c, s.Arg%2 == 0)
	case "clock":
		c.skew.Add(int64(s.Arg%200 - 100))
		return nil
	case "damage":
		return w.damage(s.Arg)
	case "inspect":
		return w.inspect()
	}
	if c.op != nil {
		return w.goOn(c, max(s.Calls, 1))
	}
	switch s.Op {
	case "mail":
		return writeMail(c.mail, s.Arg)
	case "cache":
		return w.dropCache(c, s.Arg)
	}
	if begin := operations[s.Op]; begin == nil {
		return fmt.Errorf("there is no operation %q", s.Op)
	} else if !begin(w, c, s.Arg) {
		return nil
	}
	return w.goOn(c, s.Calls)
}

// states are what a mail store may hold: numbers of messages. They have little in
// common, so that packs come to be needed by nobody, and each comes again and again.
var states = [][]int{{0, 1, 2}, {3, 4}, {0, 1, 2, 3, 4}, {5, 6, 7}, {8}, {5, 9}, {10, 11, 12, 13, 14, 15}}

// writeMail makes a mail store one of the states, and changes only what is other
// than that. Every second number has all messages read.
func writeMail(dir string, arg int) error {
	want := map[string]int{}
	for _, n := range states[arg/2%len(states)] {
		who := []string{"alice", "bob", "carol"}[n%3]
		want[filepath.Join(dir, who, "cur", fmt.Sprintf("1700000000.M%d.mx:2,%s", n, []string{"", "S"}[arg%2]))] = n
	}
	for _, part := range []string{"cur", "new", "tmp"} {
		for _, who := range []string{"alice", "bob", "carol"} {
			if err := os.MkdirAll(filepath.Join(dir, who, part), 0o700); err != nil {
				return err
			}
		}
	}
	have, err := filepath.Glob(filepath.Join(dir, "*", "cur", "*"))
	for _, path := range have {
		if _, wanted := want[path]; wanted {
			delete(want, path)
		} else {
			err = errors.Join(err, os.Remove(path))
		}
	}
	old := time.Unix(1_700_000_000, 0) // so that equal stores have equal trees
	for path, n := range want {
		err = errors.Join(err, os.WriteFile(path, message(n), 0o600), os.Chtimes(path, old, old))
	}
	folders, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
	for _, path := range append(folders, dir, filepath.Join(dir, "alice"), filepath.Join(dir, "bob"), filepath.Join(dir, "carol")) {
		err = errors.Join(err, os.Chtimes(path, old, old))
	}
	return err
}

func message(n int) []byte {
	return fmt.Appendf(nil, "From: a@example.com\nSubject: message %d\n\n%s", n, strings.Repeat(fmt.Sprintf("This is line %d.\n", n*n+7), 60+40*n))
}

// dropCache removes caches of a client, as whoever needs room does.
func (w *world) dropCache(c *client, arg int) error {
	caches, err := filepath.Glob(filepath.Join(c.cache, "*", []string{"index", "parents", "prune", "*"}[arg%4]))
	for _, path := range caches {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}
