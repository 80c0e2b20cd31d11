package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"restante/blob"
	"restante/seal"
	"restante/storage"
)

// CutterVersion names the rules by which files are cut into pieces. A recipe
// carries the version it was cut with.
const CutterVersion = 1

const (
	maxConfig = 1 << 20
	maxKey    = 16 << 10
)

// A config is what the owner says of the repository. It is replaced by a
// config with the next number, never changed.
type config struct {
	Number uint64    `cbor:"1,keyasint"`
	Cutter uint8     `cbor:"2,keyasint"`
	Keys   []KeyInfo `cbor:"3,keyasint"`
}

// A KeyInfo describes one key: what signs with it, and where its key file is.
type KeyInfo struct {
	Signer  seal.SignerID `cbor:"1,keyasint"`
	Public  [32]byte      `cbor:"2,keyasint"` // Ed25519
	Role    seal.Role     `cbor:"3,keyasint"`
	Object  blob.ID       `cbor:"4,keyasint"` // name under keys/
	Label   string        `cbor:"5,keyasint"`
	Created int64         `cbor:"6,keyasint"` // seconds since 1970
	Removed int64         `cbor:"7,keyasint,omitempty"`
}

// ID returns the name that a person uses for the key.
func (k KeyInfo) ID() string { return k.Object.Short() }

func configName(n uint64) string { return fmt.Sprintf("config/%08d", n) }

// configNames returns the names of the configs, highest number first; of some there may be
// only the spare.
func configNames(ctx context.Context, store storage.Store) ([]string, error) {
	found, err := listTwice(ctx, store, "config/", maxConfig)
	if err != nil {
		return nil, fmt.Errorf("looking for a repository: %w", err)
	}
	var names []string
	for name := range found {
		if n, err := strconv.ParseUint(strings.TrimPrefix(name, "config/"), 10, 64); err == nil && configName(n) == name {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, ErrNoRepository
	}
	slices.SortFunc(names, func(a, b string) int { return -compareNumbered(a, b) })
	return names, nil
}

// compareNumbered orders names that end in a number without leading zeros past its eighth digit.
func compareNumbered(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Probe reports whether there is a repository in store that this program can
// open, without a key. Its errors are ErrNoRepository, seal.TooNewError, seal.ErrDraft, and
// a DamageError when its config is gone.
func Probe(ctx context.Context, store storage.Store) error {
	names, err := configNames(ctx, store)
	if errors.Is(err, ErrNoRepository) {
		return cmp.Or(configLost(ctx, store), err)
	}
	if err != nil {
		return err
	}
	return checkVersion(ctx, store, names)
}

// configLost returns damage when there are keys, for then there was a config.
func configLost(ctx context.Context, store storage.Store) error {
	names, err := listTwice(ctx, store, "keys/", maxKey)
	if err != nil {
		return nil
	}
	for name := range names {
		if _, err := blob.ParseID(strings.TrimPrefix(name, "keys/")); err == nil { // else not one of ours
			return &DamageError{Object: "config", Err: errors.New("it is missing, while there are keys")}
		}
	}
	return nil
}

// checkVersion refuses a repository that is newer than this program, or a draft.
// The highest config that begins as one tells; what does not is passed over here
// as later.
func checkVersion(ctx context.Context, store storage.Store, names []string) error {
	draft := false
	for _, name := range names {
		_, err := configHeader(ctx, store, name)
		if err == nil || errors.Is(err, seal.ErrTooNew) || ctx.Err() != nil || Unreadable(err) {
			return err
		}
		draft = draft || errors.Is(err, seal.ErrDraft)
	}
	if !draft {
		return nil
	}
	return checkDraft(ctx, store)
}

// configHeader reads the header of a config.
func configHeader(ctx context.Context, store storage.Store, name string) (seal.Header, error) {
	h, _, err := either(ctx, name, func(name string) (seal.Header, error) {
		data, err := get(ctx, store, name, 0, seal.HeaderSize, nil)
		if err != nil {
			return seal.Header{}, err
		}
		return seal.ParseHeader(data)
	})
	return h, err
}

// checkDraft refuses a repository of which no config is sound, and one is a
// draft's, if a pack is a draft's, too. Else that config is damaged.
func checkDraft(ctx context.Context, store storage.Store) error {
	found := errors.New("found")
	err := listNames(ctx, store, "packs/", func(name string, _ int64) error {
		data, err := get(ctx, store, name, 0, seal.HeaderSize, nil)
		if err != nil {
			return nil
		}
		if _, err = seal.ParseHeader(data); errors.Is(err, seal.ErrDraft) {
			return fmt.Errorf("reading the config: it is of %w", seal.ErrDraft)
		}
		return found
	})
	if errors.Is(err, found) {
		return nil
	}
	return err
}

// takeConfig reads the config and checks that it lists the key that r has.
func (r *Repository) takeConfig(ctx context.Context) error {
	c, broken, err := r.loadConfig(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.Keys, func(k KeyInfo) bool { return k.Signer == r.keys.Signer() })
	if i < 0 || c.Keys[i].Removed != 0 {
		return errNotListed
	}
	r.config, r.broken = *c, broken
	return nil
}

// BrokenConfig returns the name of the highest config if that is damaged, so that an older one
// counts, which may not name all keys; else "".
func (r *Repository) BrokenConfig() string { return r.broken }

// ErrDoubt returns the error of what may not be done while something is in doubt; see [InDoubt].
func (r *Repository) ErrDoubt() error {
	return &DamageError{Object: r.broken, Err: errors.New("something is signed with a key that only this config may name, and would seem to be damaged: nothing was changed")}
}

// An OlderError says that a repository's config is older than one that this machine
// has seen: it is a copy from before keys were changed, or its storage was rolled back.
type OlderError struct {
	Config, Seen uint64
	Note         string // the file in the cache that says what was seen
}

func (e *OlderError) Error() string {
	return fmt.Sprintf("the repository has config %d, and this machine has seen config %d of it: this is an older copy, or the storage was rolled back", e.Config, e.Seen)
}

// loadConfig returns the highest config that the owner signed. One that is
// invalid is passed over: whoever can write to the storage could otherwise
// keep the repository from opening. An older one than this machine has seen
// is refused. broken is the name of the highest one of those that were passed over.
func (r *Repository) loadConfig(ctx context.Context) (_ *config, broken string, err error) {
	// Read before the names are: another process may make a config meanwhile.
	least := readNumber(r.seen)
	names, err := configNames(ctx, r.store)
	if err != nil {
		return nil, "", err
	}
	var damage error
	for _, name := range names {
		c, err := r.readConfig(ctx, name)
		if errors.As(err, new(*DamageError)) {
			damage, broken = errors.Join(damage, err), cmp.Or(broken, name)
			r.warnOnce("passing over %s: %v", name, err)
			continue
		}
		if err != nil {
			return nil, "", err
		}
		if c.Number < least && damage != nil {
			return nil, "", damage
		}
		if c.Number < least {
			return nil, "", &OlderError{Config: c.Number, Seen: least, Note: r.seen}
		}
		return c, broken, writeNumber(r.seen, c.Number)
	}
	return nil, "", damage
}

// readConfig reads the config called name, or its spare. A DamageError says that neither is one
// that the owner signed.
func (r *Repository) readConfig(ctx context.Context, name string) (*config, error) {
	c, used, err := either(ctx, name, func(name string) (*config, error) { return r.readConfigAt(ctx, name) })
	if used != nil {
		r.warnOnce("%s cannot be used, and its spare is: %v", name, used)
	}
	return c, err
}

// readConfigAt reads the config or spare called name.
func (r *Repository) readConfigAt(ctx context.Context, name string) (*config, error) {
	return readChecked(ctx, r.store, name, 0, maxConfig, func(data []byte) (*config, error) {
		owner := func(seal.SignerID) ([32]byte, bool) { return r.keys.OwnerPublic, true }
		var c config
		_, err := r.openRecord(data, seal.KindConfig, &c, owner)
		switch {
		case errors.Is(err, seal.ErrTooNew):
			return nil, err
		case err == nil && configName(c.Number) != strings.TrimPrefix(name, sparePrefix):
			err = fmt.Errorf("it says it is config %d", c.Number)
		case err == nil && (c.Cutter == 0 || len(c.Keys) == 0):
			err = errors.New("it is incomplete")
		}
		if err != nil {
			return nil, &DamageError{Object: name, Err: err}
		}
		return &c, nil
	})
}

// changeConfig makes what change does to a copy the repository's config. Of
// several changes at once one wins; the others get ErrChanged and change
// nothing. Nor does anything change beside a damaged newer config; see configCurrent.
// After another error the change may have been made.
func (r *Repository) changeConfig(ctx context.Context, change func(*config) error) error {
	r.configMu.Lock()
	defer r.configMu.Unlock()
	if err := r.configCurrent(ctx); err != nil {
		return err
	}
	next := r.config
	next.Keys = slices.Clone(next.Keys)
	if err := change(&next); err != nil {
		return err
	}
	next.Number++
	data, err := r.sealConfig(next)
	if err != nil {
		return err
	}
	err = putOnce(ctx, r.store, configName(next.Number), data)
	if errors.Is(err, storage.ErrExists) { // it was put this moment
		return r.supersededBy(ctx, configName(next.Number))
	}
	if err != nil {
		return err
	}
	r.config = next
	// Without the number a rollback to before would not be noticed.
	return errors.Join(putOnce(ctx, r.store, SpareOf(configName(next.Number)), data), writeNumber(r.seen, next.Number))
}

// configCurrent returns an error when there is a config newer than the one in use: ErrChanged,
// or a DamageError if it cannot be opened. That may be one that somebody planted, or the damaged
// newest one, and nobody can tell: a config made from an older one would drop the keys that
// were added by it for good. The caller has configMu.
func (r *Repository) configCurrent(ctx context.Context) error {
	names, err := configNames(ctx, r.store)
	if err != nil {
		return err
	}
	if compareNumbered(names[0], configName(r.config.Number)) > 0 {
		return r.supersededBy(ctx, names[0])
	}
	return nil
}

// supersededBy returns why keys cannot be changed while the config called name is there.
func (r *Repository) supersededBy(ctx context.Context, name string) error {
	_, err := r.readConfig(ctx, name)
	var damage *DamageError
	switch {
	case errors.As(err, &damage):
		return &DamageError{Object: name, Err: fmt.Errorf("%w; it may name keys that the config in use does not: no key was changed", damage.Err)}
	case err != nil:
		return err
	}
	return ErrChanged
}

func (r *Repository) sealConfig(c config) ([]byte, error) {
	data, err := r.sealRecord(seal.Header{Kind: seal.KindConfig, Mode: seal.ModeIndex}, c)
	if len(data) > maxConfig {
		return nil, fmt.Errorf("making a config: it has %d bytes with its %d keys; at most %d would be read again", len(data), len(c.Keys), maxConfig)
	}
	return data, err
}

// signer returns the public key of whoever signs as id, removed keys included:
// what they signed while they were valid stands. A key that came since the
// repository was opened is looked for in the newest config.
func (r *Repository) signer(ctx context.Context) func(seal.SignerID) ([32]byte, bool) {
	return func(id seal.SignerID) ([32]byte, bool) {
		k, ok := r.signingKey(ctx, id)
		return k.Public, ok
	}
}

// owner does as signer, for what only owners may sign.
func (r *Repository) owner(ctx context.Context) func(seal.SignerID) ([32]byte, bool) {
	return func(id seal.SignerID) ([32]byte, bool) {
		k, ok := r.signingKey(ctx, id)
		return k.Public, ok && k.Role == seal.Owner
	}
}

func (r *Repository) signingKey(ctx context.Context, id seal.SignerID) (KeyInfo, bool) {
	r.configMu.Lock()
	defer r.configMu.Unlock()
	if key, ok := r.config.signer(id); ok {
		return key, true
	}
	newer, _, err := r.loadConfig(ctx)
	if err != nil || newer.Number <= r.config.Number {
		return KeyInfo{}, false
	}
	return newer.signer(id)
}

func (c *config) signer(id seal.SignerID) (KeyInfo, bool) {
	i := slices.IndexFunc(c.Keys, func(k KeyInfo) bool { return k.Signer == id })
	if i < 0 {
		return KeyInfo{}, false
	}
	return c.Keys[i], true
}

// CachePath returns the path of this repository's cache named name in dir.
func (r *Repository) CachePath(dir, name string) string {
	return filepath.Join(dir, r.keys.Repo.String(), name)
}

// readNumber returns the number in a small file, 0 when there is none.
func readNumber(path string) uint64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n
}

func writeNumber(path string, n uint64) error {
	if readNumber(path) == n {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the cache directory (choose another with --cache-dir): %w", err)
	}
	if err := os.WriteFile(path, strconv.AppendUint(nil, n, 10), 0o600); err != nil {
		return fmt.Errorf("writing the cache (free space there, or choose another with --cache-dir): %w", err)
	}
	return nil
}
