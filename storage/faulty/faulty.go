// Package faulty wraps a storage so that a chosen call fails, for tests of
// what is built on it. A failed call may have had its effect or not: after a
// lost answer the caller cannot tell, so tests try both.
//
// The usual test takes every call in turn, until a run meets no fault:
//
//	for k := 0; ; k++ {
//		inner := mem.New()
//		s := faulty.New(inner)
//		s.Arm(faulty.Fault{Ops: faulty.Changes, Call: k, Outcome: faulty.Applied, Dead: true})
//		err := run(s)
//		check(inner, err) // what a fresh process finds
//		if !s.Fired() {
//			break
//		}
//	}
package faulty

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"restante/storage"
)

// ErrInjected is wrapped by every error that is made here.
var ErrInjected = errors.New("injected fault")

// An Op is a set of operations.
type Op uint8

// The operations. Write and Commit are those of a Staged; its Discard fails
// only when the storage is dead.
const (
	Put Op = 1 << iota
	Stage
	Write
	Commit
	Get
	List
	Delete

	Changes = Put | Commit | Delete // what changes the objects that are there
	All     = Put | Stage | Write | Commit | Get | List | Delete
)

// An Outcome says whether a call that fails has had its effect.
type Outcome uint8

// The outcomes. A Get, and a Stage, that was applied differs from one that was
// not only in its cost; a List has called fn for every object. A Get that is garbled
// returns no error, and other bytes than the object's; no other call counts then.
const (
	NotApplied Outcome = iota
	Applied
	Garbled
)

// A Fault says which call fails and how.
type Fault struct {
	Ops     Op      // the operations that count; zero means All
	Call    int     // the number, from zero, of the counted call that fails
	Outcome Outcome // what it does all the same
	Dead    bool    // whether all calls fail, not applied, after it, as after a crash
	Err     error   // wrapped by the error too, unless nil
	// Instead, if not nil, is called ahead of that call, which then does not fail:
	// something else happens at its time.
	Instead func()
}

// A Store is a [storage.Store] with faults. Without a Fault it does what the
// wrapped one does. It may be used by several goroutines; which of their calls
// has which number is then a matter of chance.
type Store struct {
	inner storage.Store

	mu     sync.Mutex
	fault  *Fault // guarded by mu, as are those below
	calls  int    // counted since Arm
	fired  bool
	dead   bool
	staged int // begun and neither committed nor discarded

	refused  string // what names of objects begin with that no Get returns; "" for none
	refusing error
}

// New returns a Store without faults around inner.
func New(inner storage.Store) *Store { return &Store{inner: inner} }

// Arm makes a call to come fail. It begins to count anew and takes the place
// of an earlier Fault, also of one that has left the storage dead.
func (s *Store) Arm(f Fault) {
	if f.Ops == 0 {
		f.Ops = All
	}
	if f.Outcome == Garbled {
		f.Ops &= Get
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.calls, s.fired, s.dead = &f, 0, false, false
}

// Refuse makes each Get of an object whose name begins with prefix fail with err, as
// where a user may not read it or a disk has bad sectors. It takes the place of the last
// call; with "" nothing is refused. It has nothing to do with a Fault.
func (s *Store) Refuse(prefix string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused, s.refusing = prefix, err
}

// refuses returns why an object cannot be read, nil if it can.
func (s *Store) refuses(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == "" || !strings.HasPrefix(name, s.refused) {
		return nil
	}
	return fmt.Errorf("getting object %q: %w", name, s.refusing)
}

// Fired reports whether the Fault has struck.
func (s *Store) Fired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fired
}

// Calls returns how many counted calls there were since Arm.
func (s *Store) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Unfinished returns how many Staged were neither committed nor discarded: at
// the end of a run that cleans up, none.
func (s *Store) Unfinished() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.staged
}

// next counts a call. It returns the error that the call has to report, or
// nil, and whether the call is to be made before.
func (s *Store) next(op Op, what string) (apply bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false, s.fault.error(what)
	}
	if s.fault == nil || s.fault.Ops&op == 0 {
		return true, nil
	}
	n := s.calls
	s.calls++
	if n != s.fault.Call {
		return true, nil
	}
	s.fired, s.dead = true, s.fault.Dead
	switch {
	case s.fault.Instead != nil:
		instead := s.fault.Instead
		s.mu.Unlock() // it may call
		instead()
		s.mu.Lock()
		return true, nil
	case s.fault.Outcome == Garbled:
		return true, errGarbled
	}
	return s.fault.Outcome == Applied, s.fault.error(what)
}

// errGarbled stands for a fault of which the caller is not told.
var errGarbled = errors.New("garbled")

func (f *Fault) error(what string) error {
	if f.Err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrInjected, f.Err)
	}
	return fmt.Errorf("%s: %w", what, ErrInjected)
}

// do makes a call unless it fails without effect. An error of the wrapped
// Store's own comes first: that call had no effect to be in doubt about.
func (s *Store) do(op Op, what string, call func() error) error {
	apply, fault := s.next(op, what)
	if apply {
		if err := call(); err != nil {
			return err
		}
	}
	return fault
}

// Put implements [storage.Store].
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	return s.do(Put, fmt.Sprintf("putting object %q", name), func() error { return s.inner.Put(ctx, name, data) })
}

// Get implements [storage.Store].
func (s *Store) Get(ctx context.Context, name string, offset, length int64, buf []byte) ([]byte, error) {
	var data []byte
	err := s.do(Get, fmt.Sprintf("getting object %q", name), func() (err error) {
		if err := s.refuses(name); err != nil {
			return err
		}
		data, err = s.inner.Get(ctx, name, offset, length, buf)
		return err
	})
	if err == errGarbled && len(data) > 0 {
		data[len(data)/2] ^= 0x10
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// List implements [storage.Store].
func (s *Store) List(ctx context.Context, prefix string, fn func(name string, size int64) error) error {
	return s.do(List, fmt.Sprintf("listing objects %q", prefix), func() error { return s.inner.List(ctx, prefix, fn) })
}

// Delete implements [storage.Store].
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.do(Delete, fmt.Sprintf("deleting object %q", name), func() error { return s.inner.Delete(ctx, name) })
}

// Stage implements [storage.Store].
func (s *Store) Stage(ctx context.Context) (storage.Staged, error) {
	var inner storage.Staged
	err := s.do(Stage, "beginning an object", func() (err error) {
		inner, err = s.inner.Stage(ctx)
		return err
	})
	if err != nil {
		if inner != nil {
			inner.Discard() // nobody else can
		}
		return nil, err
	}
	s.count(+1)
	return &staged{store: s, inner: inner}, nil
}

func (s *Store) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staged += n
}

// staged is a [storage.Staged] with the faults of store.
type staged struct {
	store    *Store
	inner    storage.Staged
	broken   error // of the Write that failed
	finished bool
}

func (s *staged) Write(p []byte) (int, error) {
	if s.broken != nil {
		return 0, s.broken
	}
	n := 0
	err := s.store.do(Write, "writing to an object", func() (err error) {
		n, err = s.inner.Write(p)
		return err
	})
	s.broken = err
	return n, err
}

func (s *staged) Commit(ctx context.Context, name string) error {
	if s.finished {
		return fmt.Errorf("putting object %q: %w", name, fs.ErrClosed)
	}
	if s.broken != nil {
		s.Discard()
		return s.broken
	}
	s.finish()
	err := s.store.do(Commit, fmt.Sprintf("putting object %q", name), func() error { return s.inner.Commit(ctx, name) })
	if err != nil {
		s.inner.Discard() // has an effect when the fault had none
	}
	return err
}

func (s *staged) Discard() error {
	if s.finished {
		return nil
	}
	s.finish()
	// Done even when the storage is dead, to leave nothing open; what a crash
	// leaves of it is never listed anyway.
	err := s.inner.Discard()
	if _, fault := s.store.next(0, "discarding an object"); fault != nil {
		return fault
	}
	return err
}

func (s *staged) finish() {
	s.finished = true
	s.store.count(-1)
}
