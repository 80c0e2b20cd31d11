package repo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"restante/seal"
	"restante/storage"
)

// A Hold keeps a snapshot from being forgotten.
type Hold struct {
	ID, Snapshot seal.Session
	Reason       string    // at most MaxReason bytes
	By           string    // who made it
	Made         time.Time // to the second
	Until        time.Time // when it ends, to the second; zero: never
}

// MaxReason bounds the reason of a hold, in bytes.
const MaxReason = 1024

// Active reports whether the hold holds at a time.
func (h *Hold) Active(at time.Time) bool { return h.Until.IsZero() || at.Before(h.Until) }

// Outlasts reports whether h lasts longer than other, which may be nil, or has no end.
func (h *Hold) Outlasts(other *Hold) bool {
	return other == nil || h.Until.IsZero() || !other.Until.IsZero() && h.Until.After(other.Until)
}

// Name returns the name of the hold's object.
func (h *Hold) Name() string { return string(Holds) + "/" + h.Snapshot.String() + "-" + h.ID.String() }

// parseHoldName reads what Name returned.
func parseHoldName(name string) (h Hold, err error) {
	snapshot, id, _ := strings.Cut(strings.TrimPrefix(name, string(Holds)+"/"), "-")
	if h.Snapshot, err = seal.ParseSession(snapshot); err == nil {
		h.ID, err = seal.ParseSession(id)
	}
	return h, err
}

// holdRecord is the payload of a hold.
type holdRecord struct {
	Snapshot seal.Session `cbor:"1,keyasint"`
	Reason   string       `cbor:"2,keyasint"`
	By       string       `cbor:"3,keyasint"`
	Made     int64        `cbor:"4,keyasint"`
	Until    int64        `cbor:"5,keyasint,omitempty"`
}

func (r *holdRecord) hold(id seal.Session) Hold {
	h := Hold{ID: id, Snapshot: r.Snapshot, Reason: r.Reason, By: r.By, Made: time.Unix(r.Made, 0)}
	if r.Until != 0 {
		h.Until = time.Unix(r.Until, 0)
	}
	return h
}

// Hold holds a snapshot, and returns the hold: of h Snapshot, Reason, By and Until count. Earlier
// holds of it, those that are damaged too, are replaced; those that somebody else
// makes at the same moment stay. It needs an owner's key. When Hold returns nil it
// lasts; a crash in the middle leaves the earlier holds.
func (r *Repository) Hold(ctx context.Context, h Hold) (Hold, error) {
	if r.keys.Role != seal.Owner {
		return Hold{}, ErrOwnerOnly
	}
	earlier, err := r.holdsOf(ctx, h.Snapshot)
	if err != nil {
		return Hold{}, err
	}
	// A hold without its snapshot says that this was lost: that has to last first.
	if err := r.Settle(ctx, string(Snapshots)+"/"); err != nil {
		return Hold{}, err
	}
	rand.Read(h.ID[:])
	record := holdRecord{Snapshot: h.Snapshot, Reason: short(h.Reason, MaxReason), By: short(h.By, maxName), Made: r.now()}
	if !h.Until.IsZero() {
		record.Until = max(h.Until.Unix(), 1) // 0 would be no end
	}
	data, err := r.sealRecord(seal.Header{Kind: seal.KindHold, Mode: modeOf(seal.KindHold), Session: h.ID}, record)
	if err != nil {
		return Hold{}, err
	}
	if err := putOnce(ctx, r.store, h.Name(), data); err != nil {
		return Hold{}, err
	}
	return record.hold(h.ID), r.deleteAll(ctx, earlier)
}

// Release removes all holds of a snapshot, also those that are damaged or over,
// and returns how many there were. The snapshot need not be there.
func (r *Repository) Release(ctx context.Context, snapshot seal.Session) (int, error) {
	if r.keys.Role != seal.Owner {
		return 0, ErrOwnerOnly
	}
	names, err := r.holdsOf(ctx, snapshot)
	if err != nil {
		return 0, err
	}
	return len(names), r.deleteAll(ctx, names)
}

// holdsOf returns the names of a snapshot's holds.
func (r *Repository) holdsOf(ctx context.Context, snapshot seal.Session) (names []string, err error) {
	err = listNames(ctx, r.store, string(Holds)+"/", func(name string, _ int64) error {
		if h, err := parseHoldName(name); err == nil && h.Snapshot == snapshot {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing holds: %w", err)
	}
	return names, nil
}

func (r *Repository) deleteAll(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := r.store.Delete(ctx, name); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return fmt.Errorf("removing %s: %w", name, err)
		}
	}
	return nil
}

// ErrHeldLost says of a snapshot that it is held, and lost.
var ErrHeldLost = errors.New("it is missing, though it is held and was not forgotten")

// LostHeld returns the snapshots that are held and of which there is neither an object nor a
// forgotten record: somebody, or a disk, has taken them away. A hold that is over does not
// count, one that cannot be read does. Every key may call it.
//
// No race makes a sound repository look so. A snapshot is there, durably, before its holds, so holds are listed
// first; a prune that removes one that was forgotten removes its object, after a while its holds,
// and then its forgotten record, so these are listed in that order, and holds once more.
func (r *Repository) LostHeld(ctx context.Context) (lost []seal.Session, err error) {
	held, err := r.held(ctx)
	if err != nil {
		return nil, err
	}
	for _, prefix := range []string{string(Snapshots) + "/", string(Forgotten) + "/"} {
		if len(held) == 0 {
			return nil, nil
		}
		err := listNames(ctx, r.store, prefix, func(name string, _ int64) error {
			if id, err := seal.ParseSession(strings.TrimPrefix(name, prefix)); err == nil {
				delete(held, id)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", prefix, err)
		}
	}
	if len(held) == 0 {
		return nil, nil
	}
	still, err := r.held(ctx)
	for id := range held {
		if still[id] {
			lost = append(lost, id)
		}
	}
	slices.SortFunc(lost, func(a, b seal.Session) int { return slices.Compare(a[:], b[:]) })
	return lost, err
}

// held returns the snapshots that are held now.
func (r *Repository) held(ctx context.Context) (map[seal.Session]bool, error) {
	held := map[seal.Session]bool{}
	now := r.Now()
	err := r.EachHold(ctx, func(h Hold, err error) error {
		if err != nil || h.Active(now) {
			held[h.Snapshot] = true
		}
		return ctx.Err()
	})
	return held, err
}

// EachHold calls fn for each hold, in the order of their names, until fn fails.
// What keeps one from being read is given to fn beside what its name says, ID and
// Snapshot: a hold that cannot be read has to count as one without an end. Holds of
// snapshots that are gone are among them. Every key may call it.
func (r *Repository) EachHold(ctx context.Context, fn func(Hold, error) error) error {
	sizes := map[string]int64{}
	var names []string
	err := listNames(ctx, r.store, string(Holds)+"/", func(name string, size int64) error {
		names, sizes[name] = append(names, name), size
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing holds: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		h, err := parseHoldName(name)
		if err != nil {
			continue // not an object of ours; check names it
		}
		h, err = r.readHold(ctx, h, sizes[name])
		if errors.Is(err, storage.ErrNotFound) {
			continue // released this moment
		}
		if err := fn(h, err); err != nil {
			return err
		}
	}
	return nil
}

// readHold fills in what the object of h says.
func (r *Repository) readHold(ctx context.Context, h Hold, size int64) (Hold, error) {
	var record holdRecord
	_, err := r.readOf(ctx, h.Name(), size, seal.KindHold, h.ID, r.owner(ctx), &record)
	if err == nil && record.Snapshot != h.Snapshot {
		err = &DamageError{Object: h.Name(), Err: fmt.Errorf("it holds snapshot %s", record.Snapshot)}
	}
	if err != nil {
		return h, err
	}
	return record.hold(h.ID), nil
}
