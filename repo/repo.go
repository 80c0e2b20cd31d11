package repo

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"restante/blob"
	"restante/index"
	"restante/seal"
	"restante/storage"
)

var (
	// ErrNoRepository is returned by Open when the storage holds none.
	ErrNoRepository = errors.New("there is no repository")
	// ErrHasRepository is returned by Create when the storage is not empty.
	ErrHasRepository = errors.New("there is a repository already")
	// ErrWrongKey is returned by Open when no key object opens with what was given.
	ErrWrongKey = errors.New("wrong password or key file")
	// ErrCannotRead is returned where a writer's key would have to read.
	ErrCannotRead = errors.New("this key can write backups but not read them")
	// ErrOwnerOnly is returned where keys are changed with a key that is no owner's.
	ErrOwnerOnly = errors.New("this needs an owner's key")
	// ErrChanged is returned where somebody else changed the keys since the
	// repository was opened. Nothing has been changed then.
	ErrChanged = errors.New("the repository's keys were changed by somebody else at the same time; run the command again")

	errName = errors.New("its bytes do not match its name")
)

// A DamageError says that an object is not what its writer stored.
type DamageError struct {
	Object string // its name in the storage
	Err    error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("object %s is damaged: %v", e.Object, e.Err)
}
func (e *DamageError) Unwrap() error { return e.Err }

// An UnreadableError says that an object is there and cannot be read: this user may
// not, or a disk or a network fails. It says nothing of what the object holds: that is
// not lost for all that is known.
type UnreadableError struct {
	Object string // its name in the storage
	Err    error
}

func (e *UnreadableError) Error() string { return e.Err.Error() } // which names the object
func (e *UnreadableError) Unwrap() error { return e.Err }

// Unreadable reports whether err says that an object is there and cannot be read; see [UnreadableError].
func Unreadable(err error) bool { return errors.As(err, new(*UnreadableError)) }

// get is the Get of a store; an error that does not say that bytes are missing, or that
// the context is done, is an UnreadableError.
func get(ctx context.Context, store storage.Store, name string, offset, length int64, buf []byte) ([]byte, error) {
	data, err := store.Get(ctx, name, offset, length, buf)
	if err != nil && ctx.Err() == nil && !isLoss(err) {
		return nil, &UnreadableError{Object: name, Err: err}
	}
	return data, err
}

// A Repository is an open repository. Its methods may be called by several
// goroutines at once.
type Repository struct {
	store storage.Store
	keys  *seal.Keys
	seen  string // the file with the number of the highest config that this machine has seen
	index *index.Index
	dec   *zstd.Decoder
	mem   sync.Pool // of *[]byte: memory for clumps as they are stored
	boxes *lru[blob.ID, *seal.Object]
	pages *lru[blob.Clump, []byte] // raw clumps of pages
	warn  *log.Logger              // may be nil
	clock func() time.Time

	lost lostPacks
	left *leftOut

	broken   string // the highest config, if it is damaged and config is therefore an older one
	configMu sync.Mutex
	config   config // under configMu; what it refers to is not changed

	syncMu    sync.Mutex // held while the index is brought up to date, which happens when it is first needed
	synced    bool       // under syncMu, as are those below
	refreshed bool
	around    bool // see ReadAround
	unnamed   bool // look-ups also go by the directories of packs that no index object names
}

const (
	maxBoxes  = 1 << 10  // packs of which the keys are kept
	maxPages  = 64 << 20 // bytes of raw clumps of pages that are kept: 64 of full size
	leastPage = 1 << 10  // what a clump counts at least
)

func newBoxes() *lru[blob.ID, *seal.Object] {
	return newLRU[blob.ID](maxBoxes, func(*seal.Object) int { return 1 })
}

// newPages returns a cache that bounds bytes: a clump of a few hundred bytes may
// open to 8 MiB.
func newPages() *lru[blob.Clump, []byte] {
	return newLRU[blob.Clump](maxPages, func(raw []byte) int { return max(cap(raw), leastPage) })
}

// CreateOptions describe a new repository.
type CreateOptions struct {
	Chunker uint64 // the secret polynomial of content-defined chunking
	Label   string // says whose the first key is, such as "root@mx1"
	// Lock makes the first key object; the key file it makes is an owner's.
	Lock func(*seal.Keys) ([]byte, error)
}

// Create makes a repository in an empty storage, else it returns
// ErrHasRepository. When it fails it takes away what it put. A crash before
// its end leaves a storage without a config, which Open reports as no
// repository; the remains have to be removed by hand, because Create refuses a
// storage that is not empty.
func Create(ctx context.Context, store storage.Store, opts CreateOptions) error {
	err := listNames(ctx, store, "", func(name string, _ int64) error { return fmt.Errorf("%w: found %s", ErrHasRepository, name) })
	if err != nil {
		return err
	}
	var id seal.RepoID
	rand.Read(id[:])
	keys, err := seal.NewOwner(id, opts.Chunker)
	if err != nil {
		return err
	}
	object, err := opts.Lock(keys)
	if err != nil {
		return err
	}
	r := &Repository{store: store, keys: keys, clock: time.Now}
	key, err := newKeyInfo(keys, object, opts.Label, r.now())
	if err != nil {
		return err
	}
	conf, err := r.sealConfig(config{Number: 1, Cutter: CutterVersion, Keys: []KeyInfo{key}})
	if err != nil {
		return err
	}
	// With the config the repository exists.
	parts := []part{{"README", []byte(readme)}, {keyName(key.Object), object}, {SpareOf(keyName(key.Object)), object},
		{configName(1), conf}, {SpareOf(configName(1)), conf}}
	for _, p := range parts {
		err := putOnce(ctx, store, p.name, p.data)
		if errors.Is(err, storage.ErrExists) {
			err = ErrHasRepository // somebody else made it at the same time
		}
		if err != nil {
			return errors.Join(err, takeAway(context.WithoutCancel(ctx), store, parts))
		}
	}
	return nil
}

// A part is one object of a new repository.
type part struct {
	name string
	data []byte
}

// takeAway removes what Create put, the config first. A config of somebody
// else's stays, and so does the README then, which is his too; the key is not.
func takeAway(ctx context.Context, store storage.Store, parts []part) error {
	others := false
	for _, p := range slices.Backward(parts) {
		there, err := getLimited(ctx, store, p.name, 0, int64(len(p.data)))
		if larger := errors.As(err, new(*DamageError)); larger || err == nil && !bytes.Equal(there, p.data) {
			others = true
		}
		if errors.Is(err, storage.ErrNotFound) || others && !strings.Contains(p.name, string(KeyFiles)+"/") {
			continue
		}
		if err == nil {
			err = store.Delete(ctx, p.name)
		}
		if err != nil {
			return fmt.Errorf("removing what was made of the repository: %w", err)
		}
	}
	return nil
}

// OpenOptions say how to open a repository.
type OpenOptions struct {
	CacheDir string        // where this machine keeps its caches of all repositories; it is made if need be
	Unlock   seal.Unlocker // the passphrase or key file
	Warn     *log.Logger   // told what is odd but not fatal; nil for nobody

	// Now is the clock of all that is done with the repository; nil for this
	// machine's. No two machines' clocks are ever compared to decide what may go.
	Now func() time.Time
}

// Open opens the repository in store. It returns ErrNoRepository,
// seal.TooNewError, seal.ErrDraft, ErrWrongKey, or a DamageError.
func Open(ctx context.Context, store storage.Store, opts OpenOptions) (*Repository, error) {
	names, err := configNames(ctx, store)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(ctx, store, names); err != nil {
		return nil, err
	}
	dec, err := newDecompressor()
	if err != nil {
		return nil, err
	}
	r := &Repository{store: store, dec: dec, boxes: newBoxes(), pages: newPages(), warn: opts.Warn, left: new(leftOut), clock: opts.Now}
	if r.clock == nil {
		r.clock = time.Now
	}
	err = unlock(ctx, store, opts.Unlock, func(k *seal.Keys) error {
		r.keys = k
		r.seen = r.CachePath(opts.CacheDir, "config")
		return r.takeConfig(ctx)
	})
	if err != nil {
		return nil, err
	}
	r.index, err = index.Open(ctx, r.CachePath(opts.CacheDir, "index"))
	if err != nil {
		return nil, err
	}
	r.index.Warn = func(err error) { r.warnf("%v", err) }
	return r, nil
}

func (r *Repository) warnf(format string, args ...any) {
	if r.warn != nil {
		r.warn.Printf(format, args...)
	}
}

// warnOnce warns of what stays as it is, however often it is met.
func (r *Repository) warnOnce(format string, args ...any) {
	r.left.warn(r.warn, fmt.Sprintf(format, args...))
}

// Close releases the index. The repository itself needs no closing.
func (r *Repository) Close() error { return r.index.Close() }

// ID returns the repository's ID.
func (r *Repository) ID() seal.RepoID { return r.keys.Repo }

// PieceKey returns the key of piece IDs.
func (r *Repository) PieceKey() blob.Key { return r.keys.ID }

// Chunker returns the secret polynomial of content-defined chunking.
func (r *Repository) Chunker() uint64 { return r.keys.Chunker }

// CanRead reports whether the key that opened the repository can read backups.
func (r *Repository) CanRead() bool { return r.keys.Role == seal.Owner }

// syncIndex brings the index up to date with the repository, once.
func (r *Repository) syncIndex(ctx context.Context) error {
	r.syncMu.Lock()
	defer r.syncMu.Unlock()
	if r.synced {
		return nil
	}
	return r.resync(ctx, nil)
}

// refresh brings the index up to date once more, for a reader that misses
// something; who reads around looks into packs that no index object names as well. Only
// the first call of an opening does so.
func (r *Repository) refresh(ctx context.Context) error {
	r.syncMu.Lock()
	defer r.syncMu.Unlock()
	if r.refreshed {
		return nil
	}
	r.refreshed, r.unnamed = true, r.around
	return r.resync(ctx, nil)
}

// reindex brings the index up to date, whether or not it has been before.
func (r *Repository) reindex(ctx context.Context, own map[blob.ID]*index.Object) error {
	r.syncMu.Lock()
	defer r.syncMu.Unlock()
	return r.resync(ctx, own)
}

// indexRounds is how often the index is listed again because an object of the
// listing was replaced before it was read.
const indexRounds = 8

// resync reads the index objects that the index lacks; those in own are at
// hand, each for once. Then it reads what is known to be damaged.
func (r *Repository) resync(ctx context.Context, own map[blob.ID]*index.Object) (err error) {
	for range indexRounds {
		if err = r.readIndexes(ctx, own); !errors.Is(err, storage.ErrNotFound) {
			break // else others have put another in its place meanwhile, which the next listing has
		}
	}
	if err == nil {
		err = r.readDamages(ctx)
	}
	r.synced = err == nil
	return err
}

func (r *Repository) readIndexes(ctx context.Context, own map[blob.ID]*index.Object) error {
	sizes, err := r.listIndexes(ctx)
	if err != nil {
		return err
	}
	var flaw error
	for id, size := range sizes {
		if size > maxIndexObject {
			flaw = &DamageError{Object: indexName(id), Err: errIndex}
			delete(sizes, id)
		}
	}
	names := slices.SortedFunc(maps.Keys(sizes), blob.ID.Compare)
	return r.syncNames(ctx, names, flaw, func(ctx context.Context, id blob.ID) (*index.Object, error) {
		if o, ok := own[id]; ok {
			delete(own, id) // the index keeps this function, and o takes much memory
			return o, nil
		}
		return r.loadIndex(ctx, id)
	})
}

// Now returns the time by the clock of whoever opened the repository.
func (r *Repository) Now() time.Time { return r.clock() }

// now is the time that records carry, in seconds.
func (r *Repository) now() int64 { return r.clock().Unix() }
