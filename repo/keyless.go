package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"restante/blob"
	"restante/seal"
	"restante/storage"
)

// A Keyless is a repository as who holds no key sees it: names, sizes and
// headers. Its methods may be called by several goroutines at once.
type Keyless struct {
	store storage.Store
	repo  seal.RepoID
}

// WithoutKey looks at the repository in store. Its errors are those of [Probe], and
// a DamageError, too, where there are packs and neither a config nor a key.
func WithoutKey(ctx context.Context, store storage.Store) (*Keyless, error) {
	err := Probe(ctx, store)
	if errors.Is(err, ErrNoRepository) {
		err = cmp.Or(packsAlone(ctx, store), err)
	}
	if err != nil {
		return nil, err
	}
	names, err := configNames(ctx, store)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		h, err := configHeader(ctx, store, name)
		if ctx.Err() != nil || Unreadable(err) {
			return nil, err
		}
		if err == nil && h.Kind == seal.KindConfig {
			return &Keyless{store: store, repo: h.Repo}, nil
		}
	}
	return nil, &DamageError{Object: "config", Err: errors.New("none begins as a config does")}
}

// packsAlone returns damage when there are packs, for then there were a config and keys.
func packsAlone(ctx context.Context, store storage.Store) error {
	found := errors.New("found")
	err := listNames(ctx, store, "packs/", func(name string, _ int64) error {
		if part, err := PartOf(name); err != nil || part != Packs {
			return nil // not one of ours
		}
		return found
	})
	if errors.Is(err, found) {
		return &DamageError{Object: "config", Err: errors.New("it is missing, and so are all keys, while there are packs")}
	}
	return nil
}

// EachObject is as [Repository.EachObject].
func (k *Keyless) EachObject(ctx context.Context, prefix string, fn func(name string, size int64) error) error {
	return (&Repository{store: k.store}).EachObject(ctx, prefix, fn)
}

// LikeTombstone is as [Repository.LikeTombstone], for the object named name.
func (k *Keyless) LikeTombstone(ctx context.Context, name string) (bool, error) {
	id, err := seal.ParseSession(path.Base(name))
	if err != nil {
		return false, err
	}
	return (&Repository{store: k.store}).LikeTombstone(ctx, id)
}

// CachePath returns the path of this repository's cache named name in dir.
func (k *Keyless) CachePath(dir, name string) string {
	return filepath.Join(dir, k.repo.String(), name)
}

// CheckObject checks what can be checked of an object without a key: that its
// bytes hash to its name, if it is called by them, and that it begins with the
// header of an object of its part and of this repository. It calls read with the
// bytes of each read. Any error but the context's and an UnreadableError is damage of the object; one
// that was deleted meanwhile is none.
func (k *Keyless) CheckObject(ctx context.Context, name string, size int64, read func(n int64)) error {
	part, err := PartOf(name)
	if err == nil && part == Spares {
		part, err = PartOf(SpareOf(name))
	}
	if err != nil {
		return err
	}
	if limit := sizeLimit(part); size > limit {
		return tooLarge(size, limit)
	}
	_, err = again(ctx, func() (struct{}, error) {
		err := k.checkHeader(ctx, part, name)
		if err == nil && NamedByBytes(part) {
			err = k.checkName(ctx, name, size, read)
			read = func(int64) {} // what is read once more is not counted
		}
		return struct{}{}, err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// NamedByBytes reports whether the objects of a part are called by the hash of
// their bytes.
func NamedByBytes(part Part) bool {
	return part == Packs || part == Indexes || part == KeyFiles || part == Damaged
}

// sizeLimit returns how many bytes an object of a part has at most.
func sizeLimit(part Part) int64 {
	switch part {
	case Packs:
		return MaxPack
	case Indexes:
		return maxIndexObject
	case KeyFiles:
		return maxKey
	case Configs:
		return maxConfig
	}
	return maxRecord
}

// kindsOf returns the kinds of the objects of a part: none for what has no header.
func kindsOf(part Part) []seal.Kind {
	switch part {
	case Configs:
		return []seal.Kind{seal.KindConfig}
	case Packs:
		return []seal.Kind{seal.KindDataPack, seal.KindTreePack}
	case Indexes:
		return []seal.Kind{seal.KindDataIndex, seal.KindTreeIndex}
	case Snapshots:
		return []seal.Kind{seal.KindSnapshot, seal.KindTombstone}
	case Intents:
		return []seal.Kind{seal.KindIntent}
	case Damaged:
		return []seal.Kind{seal.KindDamage}
	}
	return nil
}

func (k *Keyless) checkHeader(ctx context.Context, part Part, name string) error {
	kinds := kindsOf(part)
	if kinds == nil {
		return nil
	}
	header, err := get(ctx, k.store, name, 0, seal.HeaderSize, nil)
	if err != nil {
		return err
	}
	h, err := seal.ParseHeader(header)
	if err != nil {
		return err
	}
	if h.Repo != k.repo {
		return &seal.RepositoryError{Found: h.Repo, Want: k.repo}
	}
	for _, kind := range kinds {
		if h.Kind != kind || h.Mode != modeOf(kind) {
			continue
		}
		if (part == Snapshots || part == Intents) && h.Session.String() != path.Base(name) {
			return otherSession(h)
		}
		return nil
	}
	return fmt.Errorf("it is a %v of mode %d, which does not belong in %s/", h.Kind, h.Mode, part)
}

func (k *Keyless) checkName(ctx context.Context, name string, size int64, read func(n int64)) error {
	hash := blob.NewNameHash()
	var data []byte
	for next := int64(0); next < size; {
		n := min(packSpan, size-next)
		var err error
		if data, err = get(ctx, k.store, name, next, n, data); err != nil {
			return err
		}
		hash.Write(data)
		next += n
		read(n)
	}
	if !strings.HasSuffix(name, hash.ID().String()) {
		return errName
	}
	return nil
}
