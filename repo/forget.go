package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"restante/seal"
	"restante/storage"
)

func forgottenName(id seal.Session) string { return string(Forgotten) + "/" + id.String() }

// A forgotten record makes a snapshot count as removed.
type forgotten struct {
	Time int64  `cbor:"1,keyasint"`
	By   string `cbor:"2,keyasint"`
}

// A ForgottenObject is a snapshot that was forgotten and can be taken back, as
// long as what it refers to is there.
type ForgottenObject struct {
	SnapshotObject
	Time time.Time // when it was forgotten
	By   string    // who did it
}

// maxName bounds the names of people in records, in bytes.
const maxName = 256

// Forget makes the snapshot named id none any more, also one that is damaged.
// Nothing is deleted; Unforget takes it back. by says who does it. It needs an
// owner's key. That the snapshot is forgotten already is no error, so any number
// of processes may forget at once. When Forget returns nil it lasts. Holds are the
// caller's affair.
func (r *Repository) Forget(ctx context.Context, id seal.Session, by string) error {
	if r.keys.Role != seal.Owner {
		return ErrOwnerOnly
	}
	_, payload, err := r.readSnapshot(ctx, snapshotName(id), 0)
	if err == nil && payload == nil {
		return fmt.Errorf("forgetting %s: its session ended without a snapshot", snapshotName(id))
	}
	if err != nil && !errors.As(err, new(*DamageError)) {
		return err
	}
	// The snapshot may go because of others that are listed: those have to last.
	if err := r.Settle(ctx, "snapshots/"); err != nil {
		return err
	}
	h := seal.Header{Kind: seal.KindForgotten, Mode: modeOf(seal.KindForgotten), Session: id}
	data, err := r.sealRecord(h, forgotten{Time: r.now(), By: short(by, maxName)})
	if err != nil {
		return err
	}
	// The one step that makes the snapshot go.
	err = putOnce(ctx, r.store, forgottenName(id), data)
	if errors.Is(err, storage.ErrExists) {
		_, err = r.readForgotten(ctx, id, 0) // by another process; if it is damaged it forgets nothing
	}
	return err
}

// short returns text as records keep it: UTF-8 of at most limit bytes.
func short(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}

// Unforget takes back the forgotten snapshot named id, as a session of its own.
// check is called when nothing that the snapshot refers to is removed any more,
// with the session, whose Places tell what is there; if it fails the snapshot
// stays forgotten. intent says who does it, and which store the snapshot is of.
// It needs an owner's key. An error of the storage may leave the snapshot taken back.
func (r *Repository) Unforget(ctx context.Context, id seal.Session, intent Intent, check func(*Session) error) error {
	if r.keys.Role != seal.Owner {
		return ErrOwnerOnly
	}
	intent.Operation, intent.Parent = OpUnforget, id
	s, err := r.Begin(ctx, SessionOptions{Intent: intent})
	if err != nil {
		return err
	}
	// The snapshot may have gone for good since the caller saw it.
	_, _, err = r.readSnapshot(ctx, snapshotName(id), 0)
	if err == nil {
		err = check(s)
	}
	if err == nil {
		err = s.announced(ctx)
	}
	if err == nil {
		// The one step that makes it a snapshot again.
		if err = r.store.Delete(ctx, forgottenName(id)); errors.Is(err, storage.ErrNotFound) {
			err = nil // another process was faster
		}
	}
	if err == nil {
		_, _, err = r.readSnapshot(ctx, snapshotName(id), 0) // it has not gone meanwhile
	}
	return errors.Join(err, s.Abandon(context.WithoutCancel(ctx)))
}

// EachForgotten calls fn for each snapshot that was forgotten and has not been
// removed, in the order of their IDs, until fn fails. What keeps one from being
// read is given to fn, as EachSnapshot does.
func (r *Repository) EachForgotten(ctx context.Context, fn func(ForgottenObject, error) error) error {
	return r.each(ctx, true, func(o SnapshotObject, f forgotten, err error) error {
		return fn(ForgottenObject{SnapshotObject: o, Time: time.Unix(f.Time, 0), By: f.By}, err)
	})
}

// Listed reports whether the session named id has ended and is not forgotten. It
// goes by names alone, which every key may read: a record that forgets nothing
// because it is damaged counts as well.
func (r *Repository) Listed(ctx context.Context, id seal.Session) (bool, error) {
	for _, at := range []struct {
		name string
		want bool
	}{{snapshotName(id), true}, {forgottenName(id), false}} {
		_, err := r.store.Get(ctx, at.name, 0, 1, nil)
		there, err := present(err)
		if err != nil {
			return false, fmt.Errorf("looking for %s: %w", at.name, err)
		}
		if there != at.want {
			return false, nil
		}
	}
	return true, nil
}

// present tells from the error of reading an object's first byte whether the object is
// there, be it empty. Its own error is one that says neither.
func present(err error) (bool, error) {
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	if errors.Is(err, storage.ErrShort) {
		err = nil
	}
	return err == nil, err
}

// readForgotten reads the forgotten record of a session. A DamageError says that
// it forgets nothing.
func (r *Repository) readForgotten(ctx context.Context, id seal.Session, size int64) (f forgotten, err error) {
	_, err = r.readOf(ctx, forgottenName(id), size, seal.KindForgotten, id, r.owner(ctx), &f)
	return f, err
}
