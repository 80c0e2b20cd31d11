package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"restante/blob"
	"restante/seal"
	"restante/storage"
)

func keyName(id blob.ID) string { return "keys/" + id.String() }

// errNotListed is the error of a key that its config does not list, or not any more.
var errNotListed = errors.New("it was removed, or never quite added")

// unlock tries every key object until one opens whose keys accept takes.
func unlock(ctx context.Context, store storage.Store, u seal.Unlocker, accept func(*seal.Keys) error) error {
	names, err := listTwice(ctx, store, "keys/", maxKey)
	if err != nil {
		return fmt.Errorf("listing keys: %w", err)
	}
	if len(names) == 0 {
		return &DamageError{Object: "keys/", Err: errors.New("there is no key object; restore this folder from a copy of the repository")}
	}
	odd := ErrWrongKey
	for _, name := range slices.Sorted(maps.Keys(names)) {
		keys, err := openKey(ctx, store, name, u)
		if err == nil {
			err = accept(keys)
		}
		switch damage := new(DamageError); {
		case err == nil:
			return nil
		case errors.Is(err, errNotListed):
			odd = fmt.Errorf("%w (key %s would fit, but %w)", ErrWrongKey, name, err)
		case errors.As(err, &damage) && damage.Object == name:
			odd = fmt.Errorf("%w (%w)", ErrWrongKey, err)
		case !errors.Is(err, seal.ErrWrongKey) && !errors.Is(err, storage.ErrNotFound): // removed this moment
			return err
		}
	}
	return odd
}

func openKey(ctx context.Context, store storage.Store, name string, u seal.Unlocker) (*seal.Keys, error) {
	object, _, err := either(ctx, name, func(name string) ([]byte, error) { return readKey(ctx, store, name, 0) })
	if err != nil {
		return nil, err
	}
	keys, err := u.Unlock(object)
	if errors.Is(err, seal.ErrDamaged) {
		return nil, &DamageError{Object: name, Err: err}
	}
	return keys, err
}

// readKey reads a key file, or the spare of one, and checks it against its name.
func readKey(ctx context.Context, store storage.Store, name string, size int64) ([]byte, error) {
	return readChecked(ctx, store, name, size, maxKey, func(object []byte) ([]byte, error) {
		if keyName(blob.NameOf(object)) != strings.TrimPrefix(name, sparePrefix) {
			return nil, &DamageError{Object: name, Err: errName}
		}
		return object, nil
	})
}

// maxLabel bounds a key's label in bytes.
const maxLabel = 256

func newKeyInfo(k *seal.Keys, object []byte, label string, now int64) (KeyInfo, error) {
	if len(object) > maxKey {
		return KeyInfo{}, fmt.Errorf("making key %q: its object has %d bytes; at most %d fit", label, len(object), maxKey)
	}
	return KeyInfo{Signer: k.Signer(), Public: k.SigningPublic(), Role: k.Role, Object: blob.NameOf(object), Label: label, Created: now}, checkLabel(label)
}

func checkLabel(label string) error {
	if len(label) > maxLabel || !utf8.ValidString(label) {
		return fmt.Errorf("making key %q: its label is not UTF-8 of at most %d bytes", label, maxLabel)
	}
	return nil
}

// Keys returns the keys that have not been removed, oldest first.
func (r *Repository) Keys() []KeyInfo {
	r.configMu.Lock()
	defer r.configMu.Unlock()
	return r.config.inService()
}

// KeysNow does as Keys, by the config that is the newest now: others may have changed keys
// since the repository was opened. It returns the errors of Open.
func (r *Repository) KeysNow(ctx context.Context) ([]KeyInfo, error) {
	r.configMu.Lock()
	defer r.configMu.Unlock()
	c, _, err := r.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	return c.inService(), nil
}

func (c *config) inService() []KeyInfo {
	return slices.DeleteFunc(slices.Clone(c.Keys), func(k KeyInfo) bool { return k.Removed != 0 })
}

// Made returns when the repository was made, to the second: its first key, be it
// removed, says so.
func (r *Repository) Made() time.Time {
	r.configMu.Lock()
	defer r.configMu.Unlock()
	first := r.config.Keys[0].Created // there is one: readConfig saw to that
	for _, k := range r.config.Keys {
		first = min(first, k.Created)
	}
	return time.Unix(first, 0)
}

// CurrentKey returns the key that opened the repository.
func (r *Repository) CurrentKey() KeyInfo {
	r.configMu.Lock()
	defer r.configMu.Unlock()
	i := slices.IndexFunc(r.config.Keys, func(k KeyInfo) bool { return k.Signer == r.keys.Signer() })
	return r.config.Keys[i] // it is there: Open saw to that
}

// AddKey makes a key of the given role, has lock make its key object, and
// stores it. It needs an owner's key. After ErrChanged nothing has changed, nor after a
// DamageError, which says that there is a newer config that is damaged; after another error of the storage the key may have been added. A crash
// between its two steps leaves a key object that no config lists, and that
// Open therefore passes over.
func (r *Repository) AddKey(ctx context.Context, role seal.Role, label string, lock func(*seal.Keys) ([]byte, error)) (KeyInfo, error) {
	if r.keys.Role != seal.Owner {
		return KeyInfo{}, ErrOwnerOnly
	}
	if err := checkLabel(label); err != nil {
		return KeyInfo{}, err // before lock asks for anything
	}
	if err := r.mayChangeKeys(ctx); err != nil {
		return KeyInfo{}, err // likewise
	}
	k, err := r.keys.Sibling(role)
	if err != nil {
		return KeyInfo{}, err
	}
	object, err := lock(k)
	if err != nil {
		return KeyInfo{}, err
	}
	info, err := newKeyInfo(k, object, label, r.now())
	if err != nil {
		return KeyInfo{}, err
	}
	if err := putTwice(ctx, r.store, keyName(info.Object), object); err != nil {
		return KeyInfo{}, err
	}
	err = r.changeConfig(ctx, func(c *config) error {
		c.Keys = append(c.Keys, info)
		return nil
	})
	if errors.Is(err, ErrChanged) {
		_ = deleteTwice(ctx, r.store, keyName(info.Object)) // what stays opens nothing
	}
	return info, err
}

// mayChangeKeys returns what changeConfig would, as far as it is known before.
func (r *Repository) mayChangeKeys(ctx context.Context) error {
	r.configMu.Lock()
	defer r.configMu.Unlock()
	return r.configCurrent(ctx)
}

// FindKey returns the key that a person means by id, a prefix of its object's name: one
// that has been removed if no other is called so, for that may not have come to its end.
func (r *Repository) FindKey(id string) (KeyInfo, error) {
	r.configMu.Lock()
	defer r.configMu.Unlock()
	var found, removed []KeyInfo
	for _, k := range r.config.Keys {
		switch {
		case id == "" || !strings.HasPrefix(k.Object.String(), id):
		case k.Removed == 0:
			found = append(found, k)
		default:
			removed = append(removed, k)
		}
	}
	if len(found) == 0 {
		found = removed
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return KeyInfo{}, fmt.Errorf("there is no key %q; restante key list names them", id)
	}
	return KeyInfo{}, fmt.Errorf("key %q is ambiguous; give more of its digits", id)
}

// RemoveKey takes a key out of service: the config says so first, from when
// on Open refuses it, then its object goes. Copies of the object that somebody
// kept still open with its passphrase; DESIGN.md says what that means. The
// last owner's key cannot go. It returns ErrChanged and a DamageError as AddKey does. Of a key that the
// config says is removed it takes away what an earlier run has left.
func (r *Repository) RemoveKey(ctx context.Context, k KeyInfo) error {
	if r.keys.Role != seal.Owner {
		return ErrOwnerOnly
	}
	if k.Removed == 0 {
		if err := r.retireKey(ctx, k); err != nil {
			return err
		}
	}
	if err := deleteTwice(ctx, r.store, keyName(k.Object)); err != nil {
		return fmt.Errorf("removing key %s: %w", k.ID(), err)
	}
	return nil
}

// retireKey has the config say that a key is removed.
func (r *Repository) retireKey(ctx context.Context, k KeyInfo) error {
	return r.changeConfig(ctx, func(c *config) error {
		owners := 0
		for i := range c.Keys {
			if c.Keys[i].Signer == k.Signer {
				c.Keys[i].Removed = r.now()
			}
			if c.Keys[i].Removed == 0 && c.Keys[i].Role == seal.Owner {
				owners++
			}
		}
		if owners == 0 {
			return fmt.Errorf("removing key %s: it is the last one that can read the backups; add another first", k.ID())
		}
		return nil
	})
}
