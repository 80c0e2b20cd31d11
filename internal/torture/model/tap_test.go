package model

import (
	"context"
	"errors"
	"strings"
	"sync"

	"restante/storage"
)

// errCrashed is what a client's calls return from its crash on: it never learns.
var errCrashed = errors.New("the client has crashed")

// A tap is a client's way to the storage. Each call waits until it is let
// through, one at a time; what a client of several goroutines does beside that
// nobody else sees.
type tap struct {
	inner   storage.Store
	through chan string   // takes a call's name when it is let through
	made    chan struct{} // tells that this call has been made

	mu      sync.Mutex // guards the following
	dead    chan struct{}
	isDead  bool
	last    bool     // the next call is made, and the client crashes before it gets the answer
	changes []string // "put NAME" and "delete NAME", in their order
}

func newTap(inner storage.Store) *tap {
	return &tap{inner: inner, through: make(chan string), made: make(chan struct{}), dead: make(chan struct{})}
}

// step lets calls through until n have been made, any number if n is negative,
// or done is closed. It reports whether done was.
func (t *tap) step(n int, done <-chan struct{}, trace func(string)) bool {
	for ; n != 0; n-- {
		select {
		case call := <-t.through:
			<-t.made
			trace(call)
		case <-done:
			return true
		}
	}
	return false
}

// crash makes all calls to come fail, those that wait now too.
func (t *tap) crash() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.isDead {
		t.isDead = true
		close(t.dead)
	}
}

// revive makes the tap one of a new process.
func (t *tap) revive() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dead, t.isDead, t.last, t.changes = make(chan struct{}), false, false, nil
}

// do makes a call when it is let through.
func (t *tap) do(what string, call func() error) error {
	t.mu.Lock()
	dead := t.dead
	t.mu.Unlock()
	select {
	case <-dead:
		return errCrashed
	default:
	}
	select {
	case t.through <- what:
	case <-dead:
		return errCrashed
	}
	err := call()
	t.mu.Lock()
	if verb, _, _ := strings.Cut(what, " "); err == nil && (verb == "put" || verb == "delete") {
		t.changes = append(t.changes, what)
	}
	if t.last && !t.isDead {
		t.isDead, err = true, errCrashed
		close(t.dead)
	}
	t.mu.Unlock()
	t.made <- struct{}{}
	return err
}

func (t *tap) Put(ctx context.Context, name string, data []byte) error {
	return t.do("put "+name, func() error { return t.inner.Put(ctx, name, data) })
}

func (t *tap) Get(ctx context.Context, name string, offset, length int64, buf []byte) (data []byte, err error) {
	err = t.do("get "+name, func() error {
		data, err = t.inner.Get(ctx, name, offset, length, buf)
		return err
	})
	return data, err
}

// List implements [storage.Store]: the listing is made at once, and fn called
// afterwards, for it makes calls in turn.
func (t *tap) List(ctx context.Context, prefix string, fn func(string, int64) error) error {
	type object struct {
		name string
		size int64
	}
	var all []object
	err := t.do("list "+prefix, func() error {
		return t.inner.List(ctx, prefix, func(name string, size int64) error {
			all = append(all, object{name, size})
			return nil
		})
	})
	for _, o := range all {
		if err == nil {
			err = fn(o.name, o.size)
		}
	}
	return err
}

func (t *tap) Delete(ctx context.Context, name string) error {
	return t.do("delete "+name, func() error { return t.inner.Delete(ctx, name) })
}

func (t *tap) Stage(ctx context.Context) (storage.Staged, error) {
	s, err := t.inner.Stage(ctx)
	return tappedStaged{s, t}, err
}

type tappedStaged struct {
	storage.Staged
	t *tap
}

func (s tappedStaged) Commit(ctx context.Context, name string) error {
	err := s.t.do("commit "+name, func() error { return s.Staged.Commit(ctx, name) })
	if err != nil {
		s.Staged.Discard() // has an effect when the call was not made
	}
	return err
}

// changed returns what was put and deleted since it was last asked.
func (t *tap) changed() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	changes := t.changes
	t.changes = nil
	return changes
}

// lastCall has the client crash after its next call, which is made and not answered.
func (t *tap) lastCall() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = true
}
