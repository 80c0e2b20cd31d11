package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"slices"
	"strings"
	"sync"

	"restante/seal"
	"restante/storage"
)

func snapshotName(id seal.Session) string { return "snapshots/" + id.String() }

// A tombstone ends a session that made no snapshot.
type tombstone struct {
	Time int64 `cbor:"1,keyasint"`
	// Other says that not the session put it, which may therefore wake up and
	// find out at any time to come.
	Other bool `cbor:"2,keyasint,omitempty"`
}

// A SnapshotObject is a committed snapshot as the repository sees it.
type SnapshotObject struct {
	ID      seal.Session
	Payload []byte // as it was handed to Commit
	Size    int64  // of the object
}

// leftOut is what Snapshots left out.
type leftOut struct {
	mu    sync.Mutex      // guards the following
	told  map[string]bool // what was warned of
	count int             // of the last listing
}

// Snapshots returns all snapshots, in the order of their IDs. One that is
// damaged, or that this user may not read, is left out, which LeftOut counts;
// warn is told once in an opening.
func (r *Repository) Snapshots(ctx context.Context, warn *log.Logger) ([]SnapshotObject, error) {
	var out []SnapshotObject
	count := 0
	err := r.EachSnapshot(ctx, func(o SnapshotObject, err error) error {
		switch {
		case err == nil:
			out = append(out, o)
			return nil
		case errors.Is(err, fs.ErrPermission):
			err = fmt.Errorf("%w; users share a repository through a group: chgrp -R GROUP DIR && chmod -R g+rwX,g+s DIR", err)
		case !errors.As(err, new(*DamageError)):
			return err // it may be sound: what is chosen among the others would be wrong
		}
		count++
		r.left.warn(warn, fmt.Sprintf("leaving out a snapshot: %v", err))
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.left.mu.Lock()
	defer r.left.mu.Unlock()
	r.left.count = count
	return out, nil
}

// LeftOut returns how many snapshots the last call of Snapshots left out. When
// there are such, the newest snapshot, or the only one, may be among them.
func (r *Repository) LeftOut() int {
	r.left.mu.Lock()
	defer r.left.mu.Unlock()
	return r.left.count
}

// warn tells a logger, unless it is nil, what it has not been told before.
func (l *leftOut) warn(to *log.Logger, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to == nil || l.told[text] {
		return
	}
	if l.told == nil {
		l.told = map[string]bool{}
	}
	l.told[text] = true
	to.Print(text)
}

// EachSnapshot calls fn for each snapshot that is not forgotten, in the order of
// their IDs, until fn fails. What keeps one from being read is given to fn: a
// DamageError, or an error of the storage.
func (r *Repository) EachSnapshot(ctx context.Context, fn func(SnapshotObject, error) error) error {
	return r.each(ctx, false, func(o SnapshotObject, _ forgotten, err error) error { return fn(o, err) })
}

// each calls fn for each snapshot that is forgotten, or for each that is not. Of
// one of which that cannot be known it gives fn the error.
func (r *Repository) each(ctx context.Context, isForgotten bool, fn func(SnapshotObject, forgotten, error) error) error {
	objects, records, err := r.listSnapshots(ctx)
	if err != nil {
		return err
	}
	for _, o := range objects {
		f, is, err := r.forgotten(ctx, o, records)
		if err == nil && is != isForgotten {
			continue
		}
		found := SnapshotObject{ID: o.id, Size: o.size}
		if err == nil {
			_, found.Payload, err = r.readSnapshot(ctx, o.name, o.size)
			if err == nil && found.Payload == nil || errors.Is(err, storage.ErrNotFound) {
				continue // a tombstone, or removed this moment
			}
		}
		if err := fn(found, f, err); err != nil {
			return err
		}
	}
	return nil
}

// A snapshotEntry is an object where snapshots are, as it is listed.
type snapshotEntry struct {
	name string
	size int64
	id   seal.Session // zero if the name is none of a snapshot
}

// listSnapshots lists the objects that may be snapshots, in the order of their
// IDs, and the sizes of forgotten records. These are listed last: of a snapshot
// that is removed meanwhile the record goes last.
func (r *Repository) listSnapshots(ctx context.Context) (objects []snapshotEntry, records map[string]int64, err error) {
	err = listNames(ctx, r.store, "snapshots/", func(name string, size int64) error {
		id, _ := seal.ParseSession(strings.TrimPrefix(name, "snapshots/"))
		objects = append(objects, snapshotEntry{name, size, id})
		return nil
	})
	records = map[string]int64{}
	if err == nil {
		err = listNames(ctx, r.store, string(Forgotten)+"/", func(name string, size int64) error {
			records[name] = size
			return nil
		})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("listing snapshots: %w", err)
	}
	slices.SortFunc(objects, func(a, b snapshotEntry) int { return strings.Compare(a.name, b.name) })
	return objects, records, nil
}

// forgotten returns the forgotten record of a snapshot, if it has a sound one.
func (r *Repository) forgotten(ctx context.Context, o snapshotEntry, records map[string]int64) (forgotten, bool, error) {
	size, there := records[forgottenName(o.id)]
	if !there {
		return forgotten{}, false, nil
	}
	f, err := r.readForgotten(ctx, o.id, size)
	switch {
	case errors.Is(err, storage.ErrNotFound): // taken back this moment
		return forgotten{}, false, nil
	case errors.As(err, new(*DamageError)):
		r.warnOnce("%v: the snapshot is not forgotten", err)
		return forgotten{}, false, nil
	}
	return f, err == nil, err
}

func (r *Repository) readSnapshot(ctx context.Context, name string, size int64) (seal.Session, []byte, error) {
	id, err := seal.ParseSession(strings.TrimPrefix(name, "snapshots/"))
	if err != nil {
		return id, nil, &DamageError{Object: name, Err: err}
	}
	if size > maxRecord {
		return id, nil, &DamageError{Object: name, Err: fmt.Errorf("it has %d bytes, which no snapshot has", size)}
	}
	payload, err := readChecked(ctx, r.store, name, size, maxRecord, func(data []byte) ([]byte, error) {
		payload, err := r.openSnapshot(ctx, id, data)
		if err != nil && !errors.Is(err, ErrCannotRead) {
			err = &DamageError{Object: name, Err: err}
		}
		return payload, err
	})
	return id, payload, err
}

// openSnapshot opens what ended the session named id: the payload of its snapshot, nil of
// a tombstone.
func (r *Repository) openSnapshot(ctx context.Context, id seal.Session, data []byte) (payload []byte, err error) {
	h, err := seal.ParseHeader(data)
	if err != nil {
		return nil, err
	}
	if h.Kind == seal.KindTombstone {
		h, err = r.openRecord(data, seal.KindTombstone, new(tombstone), r.signer(ctx))
	} else {
		h, payload, err = r.openBytes(data, seal.KindSnapshot, r.signer(ctx))
	}
	if err == nil && h.Session != id {
		err = otherSession(h)
	}
	return payload, err
}

func otherSession(h seal.Header) error { return fmt.Errorf("it belongs to session %s", h.Session) }
