package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"restante/blob"
	"restante/seal"
	"restante/storage"
)

func intentName(id seal.Session) string { return "intents/" + id.String() }

// The operations of sessions. Part of the format.
const (
	OpBackup   = "backup"
	OpUnforget = "unforget"
)

// An Intent announces what a session is about to do, before it does it.
type Intent struct {
	Operation string `cbor:"1,keyasint"` // OpBackup, …
	Store     string `cbor:"2,keyasint"` // empty: none
	Host      string `cbor:"3,keyasint"` // as the snapshot will name it
	User      string `cbor:"4,keyasint"`
	// Parent is the session whose snapshot this one builds on, or takes back;
	// zero for none.
	Parent seal.Session `cbor:"5,keyasint"`
	// Root is the root page of the parent's tree, so that prune keeps what the
	// tree needs although the snapshot goes meanwhile.
	Root *PageRef `cbor:"8,keyasint,omitempty"`

	// Filled by Begin.
	Started int64   `cbor:"6,keyasint"` // nanoseconds since 1970
	Process process `cbor:"7,keyasint"`
}

// A PageRef names a page of a tree.
type PageRef struct {
	_     struct{} `cbor:",toarray"`
	ID    blob.ID
	Level uint8
}

// Gone reports whether the session's process ran on this machine and is not
// there any more. Of a process elsewhere, in a container say, nothing is known.
func (i *Intent) Gone() bool {
	this := thisProcess()
	return i.Process.Machine == this.Machine && i.Process.Node == this.Node && !i.Process.alive()
}

// Lives reports whether the session's process runs on this machine.
func (i *Intent) Lives() bool { return i.Process.alive() }

// Where names the process and its machine, for a person.
func (i *Intent) Where() string {
	return fmt.Sprintf("process %d (%s by %s) on %s", i.Process.PID, i.Operation, i.User, i.Process.Node)
}

// A process says which process on which running machine a session is.
type process struct {
	Machine string `cbor:"1,keyasint"` // changes with every boot
	Node    string `cbor:"2,keyasint"` // its name, for people
	PID     int    `cbor:"3,keyasint"`
	Start   uint64 `cbor:"4,keyasint"` // tells apart processes that had the same number
}

// A LockedError says who works on the same store.
type LockedError struct {
	Intent Intent
}

func (e *LockedError) Error() string {
	i := e.Intent
	what := fmt.Sprintf("store %q of host %q", i.Store, i.Host)
	if i.Store == "" { // of a prune
		what = "the repository"
	}
	return fmt.Sprintf("%s is busy: %s has worked on it since %s", what, i.Where(), time.Unix(0, i.Started).Format(time.DateTime))
}

func (r *Repository) putIntent(ctx context.Context, id seal.Session, i *Intent) error {
	i.Started, i.Process = r.Now().UnixNano(), thisProcess()
	for _, name := range []*string{&i.Operation, &i.Store, &i.Host, &i.User, &i.Process.Machine, &i.Process.Node} {
		*name = strings.ToValidUTF8(*name, "\ufffd") // else nobody could read it
	}
	data, err := r.sealRecord(seal.Header{Kind: seal.KindIntent, Mode: seal.ModeIndex, Session: id}, i)
	if err != nil {
		return err
	}
	return putOnce(ctx, r.store, intentName(id), data)
}

// checkLocks returns a LockedError when an unclosed session of a live process
// on this machine works on the same store of the same host. Of two that see
// each other the older goes on. Two that begin within the same moment may both
// go on; then there are two snapshots, which harms nothing. For that reason
// a session of another machine is no obstacle either: whether that machine
// lives cannot be known from here. Taking a forgotten snapshot back is in nobody's way.
func (r *Repository) checkLocks(ctx context.Context, own seal.Session, mine Intent) error {
	if mine.Operation == OpUnforget {
		return nil
	}
	open, err := r.openSessions(ctx, own)
	if err != nil {
		return err
	}
	for id, size := range open {
		other, err := r.readIntent(ctx, id, size)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil && !errors.As(err, new(*DamageError)) {
			return err
		}
		if err != nil {
			r.warnOnce("%v", err)
			continue
		}
		if other.Operation == OpUnforget || other.Store != mine.Store || other.Host != mine.Host || !other.Process.alive() {
			continue
		}
		if younger := other.Started > mine.Started || other.Started == mine.Started && bytes.Compare(id[:], own[:]) > 0; younger {
			continue
		}
		return &LockedError{*other}
	}
	return nil
}

// openSessions returns the sessions but for own that have announced themselves and have
// not ended, with the sizes of their intents.
func (r *Repository) openSessions(ctx context.Context, own seal.Session) (open map[seal.Session]int64, err error) {
	closed := map[string]bool{}
	err = listNames(ctx, r.store, "snapshots/", func(name string, _ int64) error {
		closed[strings.TrimPrefix(name, "snapshots/")] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing snapshots: %w", err)
	}
	open = map[seal.Session]int64{}
	err = listNames(ctx, r.store, "intents/", func(name string, size int64) error {
		s := strings.TrimPrefix(name, "intents/")
		if id, err := seal.ParseSession(s); err == nil && !closed[s] && id != own {
			open[id] = size
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	return open, nil
}

func (r *Repository) readIntent(ctx context.Context, id seal.Session, size int64) (*Intent, error) {
	var i Intent
	if _, err := r.readOf(ctx, intentName(id), size, seal.KindIntent, id, r.signer(ctx), &i); err != nil {
		return nil, err
	}
	return &i, nil
}

// readOf reads a record of the session named id, of size bytes if that is known, and
// returns who signed it, which must be one of signers.
func (r *Repository) readOf(ctx context.Context, name string, size int64, kind seal.Kind, id seal.Session, signers func(seal.SignerID) ([32]byte, bool), payload any) (seal.SignerID, error) {
	return readChecked(ctx, r.store, name, size, maxRecord, func(data []byte) (seal.SignerID, error) {
		h, err := r.openRecord(data, kind, payload, signers)
		if err == nil && h.Session != id {
			err = otherSession(h)
		}
		if err != nil {
			return seal.SignerID{}, &DamageError{Object: name, Err: err}
		}
		return h.Signer, nil
	})
}
