package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
	"restante/storage/local"
)

// opened is an open repository and where it lies.
type opened struct {
	*repo.Repository
	path      string // absolute
	cache     string
	passing   bool // the cache is for this run only
	byKeyFile bool // whether a key file opened it, not a password
	warn      *log.Logger
}

// open opens the repository that the options name. wrap, if not nil, comes
// between it and its storage.
func (a *app) open(ctx context.Context, out *output, wrap func(storage.Store) storage.Store) (*opened, error) {
	path, folder, err := a.folder()
	if err != nil {
		return nil, err
	}
	var store storage.Store = folder
	if wrap != nil {
		store = wrap(folder)
	}
	// What needs no password is found out before one is asked for.
	if err := repo.Probe(ctx, store); err != nil {
		return nil, openingError(path, err)
	}
	c, err := a.credential(ctx, out, path)
	if err != nil {
		return nil, err
	}
	unlock, err := c.unlocker()
	if err != nil {
		return nil, err
	}
	o := &opened{path: path, byKeyFile: c.keyFile != nil, warn: log.New(warnings{out}, "", 0)}
	if o.cache, o.passing, err = a.makeCache(out); err != nil {
		return nil, err
	}
	o.Repository, err = repo.Open(ctx, store, repo.OpenOptions{CacheDir: o.cache, Unlock: unlock, Warn: o.warn})
	if err != nil {
		dropCache(o.cache, o.passing)
	}
	if errors.Is(err, repo.ErrWrongKey) {
		if damage := keysDamage(ctx, store); damage != nil {
			return nil, fmt.Errorf("opening repository %q: %w", path, damage)
		}
		return nil, fmt.Errorf("opening repository %q with %s: %w", path, c.source, err)
	}
	if err != nil {
		return nil, openingError(path, err)
	}
	a.opened = true
	return o, nil
}

// openToRead is open for a command that changes nothing: it finds what there is though the index is damaged.
func (a *app) openToRead(ctx context.Context, out *output) (*opened, error) {
	o, err := a.open(ctx, out, nil)
	if err == nil {
		o.ReadAround()
	}
	return o, err
}

// folder opens the folder that the options name as the repository's. path is absolute.
func (a *app) folder() (path string, folder *local.Store, err error) {
	if path, err = a.repository(); err != nil {
		return "", nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", nil, err
	}
	folder, err = local.Open(path)
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("%w: %w", repo.ErrNoRepository, err)
	}
	return path, folder, err
}

func openingError(path string, err error) error {
	return fmt.Errorf("opening repository %q: %w", path, err)
}

// makeCache returns the folder for caches, made if it is not there. If it
// cannot be made, as for a user without a home, and was not named on the command
// line, it is a temporary one.
func (a *app) makeCache(out *output) (dir string, passing bool, err error) {
	dir, err = a.cache()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil || a.cacheDir != "" {
		return dir, false, err
	}
	temp, failed := os.MkdirTemp("", "restante-cache-")
	if failed != nil {
		return "", false, fmt.Errorf("making a folder for caches: %w", errors.Join(err, failed))
	}
	out.note("caches are kept for this run only, so it takes longer; --cache-dir DIR names a folder that lasts (%v)", err)
	return temp, true, nil
}

// Close closes the repository. What is in it is safe before; its error says
// that something of this machine could not be tidied up.
func (o *opened) Close() error {
	defer dropCache(o.cache, o.passing)
	return o.Repository.Close()
}

// dropCache removes the folder for caches if it was for this run only.
func dropCache(dir string, passing bool) {
	if passing {
		os.RemoveAll(dir)
	}
}

// keysDamage returns an error that names the key objects when all are damaged:
// then no password can be called wrong.
func keysDamage(ctx context.Context, store storage.Store) error {
	var names []string
	err := store.List(ctx, "keys/", func(name string, _ int64) error {
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil // what is known stays what is said
	}
	slices.Sort(names)
	var all []error
	for _, name := range names {
		data, err := store.Get(ctx, name, 0, -1, nil)
		if err != nil || blob.NameOf(data).String() == strings.TrimPrefix(name, "keys/") {
			return nil
		}
		all = append(all, &repo.DamageError{Object: name, Err: errors.New("its bytes do not match its name")})
	}
	return errors.Join(all...)
}

func (c credential) unlocker() (seal.Unlocker, error) {
	if c.keyFile == nil {
		return seal.Passphrase(c.passphrase), nil
	}
	u, err := seal.Identities(c.keyFile)
	if err != nil {
		return u, fmt.Errorf("reading the key file given by %s: %w", c.source, err)
	}
	return u, nil
}

// warnings turns each line that a library logs into a warning.
type warnings struct{ out *output }

func (w warnings) Write(b []byte) (int, error) {
	w.out.warn("%s", b[:max(len(b)-1, 0)])
	return len(b), nil
}

// A listed is a snapshot of the repository with its record.
type listed struct {
	id     string
	size   int64
	record *snapshot.Snapshot // nil for a damaged one that is named

	hold      *repo.Hold            // set by addHolds, if there is one
	forgotten *repo.ForgottenObject // of a snapshot that is forgotten
	overtaken bool                  // its parent is; set by readableOf: another of the store and host lies between
}

// snapshots reads all snapshots, oldest first. Damaged ones are left out with
// a warning, and counted.
func (o *opened) snapshots(ctx context.Context) (all []listed, damaged uint64, err error) {
	err = o.EachSnapshot(ctx, func(obj repo.SnapshotObject, err error) error {
		s, err := decode(obj, err)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			all = append(all, s)
		case isDamage(err):
			damaged++
			o.warn.Printf("leaving out a snapshot: %v", err)
		default:
			return err // it may be sound: what is chosen among the others would be wrong
		}
		return nil
	})
	sortListed(all)
	return all, damaged, err
}

// decode reads the record of a snapshot that could be read.
func decode(obj repo.SnapshotObject, err error) (listed, error) {
	if err != nil {
		return listed{}, err
	}
	record, err := snapshot.DecodeSnapshot(obj.Payload)
	if err != nil {
		return listed{}, fmt.Errorf("snapshot %s: %w", obj.ID, err)
	}
	return listed{id: obj.ID.String(), size: obj.Size, record: record}, nil
}
