package repo

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"

	"restante/seal"
	"restante/storage"
)

func snapshotName(id seal.Session) string { return "snapshots/" + id.String() }

// A tombstone ends a session that made no snapshot.
type tombstone struct {
	Time int64 `cbor:"1,keyasint"`
}

// A SnapshotObject is a committed snapshot as the repository sees it.
type SnapshotObject struct {
	ID      seal.Session
	Payload []byte // as it was handed to Commit
	Size    int64  // of the object
}

// Snapshots returns all snapshots, in the order of their IDs. A damaged one is
// told to warn and left out; check finds it.
func (r *Repository) Snapshots(ctx context.Context, warn *log.Logger) ([]SnapshotObject, error) {
	var out []SnapshotObject
	err := r.EachSnapshot(ctx, func(o SnapshotObject, err error) error {
		if err != nil && !errors.As(err, new(*DamageError)) {
			return err // it may be sound: what is chosen among the others would be wrong
		}
		if err != nil {
			if warn != nil {
				warn.Printf("leaving out %v", err)
			}
			return nil
		}
		out = append(out, o)
		return nil
	})
	return out, err
}

// EachSnapshot calls fn for each snapshot, in the order of their IDs, until fn
// fails. What keeps one from being read is given to fn: a DamageError, or an
// error of the storage.
func (r *Repository) EachSnapshot(ctx context.Context, fn func(SnapshotObject, error) error) error {
	type object struct {
		name string
		size int64
	}
	var objects []object
	err := r.store.List(ctx, "snapshots/", func(name string, size int64) error {
		objects = append(objects, object{name, size})
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing snapshots: %w", err)
	}
	slices.SortFunc(objects, func(a, b object) int { return strings.Compare(a.name, b.name) })
	for _, o := range objects {
		id, payload, err := r.readSnapshot(ctx, o.name, o.size)
		if err == nil && payload == nil || errors.Is(err, storage.ErrNotFound) {
			continue // a tombstone, or removed this moment
		}
		if err := fn(SnapshotObject{ID: id, Payload: payload, Size: o.size}, err); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository) readSnapshot(ctx context.Context, name string, size int64) (seal.Session, []byte, error) {
	id, err := seal.ParseSession(strings.TrimPrefix(name, "snapshots/"))
	if err != nil {
		return id, nil, &DamageError{Object: name, Err: err}
	}
	if size > maxRecord {
		return id, nil, &DamageError{Object: name, Err: fmt.Errorf("it has %d bytes, which no snapshot has", size)}
	}
	data, err := getLimited(ctx, r.store, name, size, maxRecord)
	if err != nil {
		return id, nil, err
	}
	h, err := seal.ParseHeader(data)
	if err != nil {
		return id, nil, &DamageError{Object: name, Err: err}
	}
	if h.Kind == seal.KindTombstone {
		var t tombstone
		if _, err = r.openRecord(data, seal.KindTombstone, &t, r.signer(ctx)); err == nil && h.Session == id {
			return id, nil, nil
		}
		if err == nil {
			err = otherSession(h)
		}
		return id, nil, &DamageError{Object: name, Err: err}
	}
	h, payload, err := r.openBytes(data, seal.KindSnapshot, r.signer(ctx))
	if errors.Is(err, ErrCannotRead) {
		return id, nil, err
	}
	if err == nil && h.Session != id {
		err = otherSession(h)
	}
	if err != nil {
		return id, nil, &DamageError{Object: name, Err: err}
	}
	return id, payload, nil
}

func otherSession(h seal.Header) error { return fmt.Errorf("it belongs to session %s", h.Session) }
