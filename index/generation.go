package index

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

const lockName = "lock"

var (
	errDamaged = errors.New("the cache is damaged")
	errGone    = errors.New("the generation is gone")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// A file is what synced knows of one file of a generation.
type file struct {
	name        string
	size, mtime int64
	whole, tail uint32
}

// validFile reports whether a generation may have a file of that name besides its lock.
func validFile(name string) bool {
	if name == badger.ManifestFilename || name == badger.KeyRegistryFileName {
		return true
	}
	number, ok := strings.CutSuffix(name, ".sst")
	if !ok || len(number) > 10 {
		return false
	}
	_, err := strconv.ParseUint(number, 10, 32)
	return err == nil
}

// tailStart is where the end of a file begins that is always checked.
func tailStart(size int64) int64 { return max(0, size-size/8-64<<10) }

// A generation is a Badger database that is no longer written.
type generation struct {
	number uint64
	dir    string
	whole  int64 // see limits
	files  []file
	lock   *os.File // holds the shared lock
	refs   int      // guarded by Index.mu
	trim   *trimmer

	mu     sync.Mutex // guards the fields below
	opened bool
	db     *badger.DB
	err    error
	idle   []*badger.Txn
	broken bool // a call into Badger did not return properly
}

func generationDir(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("g-%016x", number))
}

func makeGeneration(dir string, number uint64) *generation {
	dir = generationDir(dir, number)
	return &generation{number: number, dir: dir, refs: 1, trim: newTrimmer(dir)}
}

// findGeneration takes the shared lock of a generation that synced names. It
// returns errGone if it is not there or about to be removed.
func findGeneration(dir string, number uint64, files []file) (*generation, error) {
	g := makeGeneration(dir, number)
	g.files = files
	var err error
	if g.lock, err = os.Open(filepath.Join(g.dir, lockName)); err != nil {
		return nil, errGone
	}
	if tryLock(g.lock, false) != nil {
		g.lock.Close()
		return nil, errGone
	}
	return g, nil
}

// newGeneration makes a generation's directory and locks it.
func newGeneration(dir string) (*generation, error) {
	for range 10 {
		number := max(1, rand.Uint64())
		g := makeGeneration(dir, number)
		if err := os.Mkdir(g.dir, 0o700); err != nil {
			return nil, fmt.Errorf("making a folder in the cache: %w", err)
		}
		path := filepath.Join(g.dir, lockName)
		var err error
		if g.lock, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
			continue // somebody swept the folder away before it was locked
		}
		if tryLock(g.lock, false) == nil && sameFile(g.lock, path) {
			return g, nil
		}
		g.lock.Close()
	}
	return nil, fmt.Errorf("locking a new folder in the cache %q: somebody removes it again and again", dir)
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// take gives g the files of old, which must have been checked.
func (g *generation) take(old *generation) error {
	for _, f := range old.files {
		from, to := filepath.Join(old.dir, f.name), filepath.Join(g.dir, f.name)
		// Tables never change, the other files do.
		if strings.HasSuffix(f.name, ".sst") && os.Link(from, to) == nil {
			continue
		}
		if err := copyFile(from, to); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// reserve proves that n bytes can be written. Badger writes through maps,
// where a full disk ends the process.
func (g *generation) reserve(ctx context.Context, n int64) error {
	path := filepath.Join(g.dir, "reserve")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	buf := make([]byte, 256<<10)
	for i := range buf {
		buf[i] = byte(i * i >> 5) // not zeros, which some file systems do not store
	}
	for ; n > 0 && err == nil; n -= int64(len(buf)) {
		if err = ctx.Err(); err == nil {
			_, err = f.Write(buf)
		}
	}
	return errors.Join(err, f.Close())
}

// seal notes the files of g, whose database is closed. Tables taken over from
// old are not read again.
func (g *generation) seal(old *generation) error {
	known := map[string]file{}
	if old != nil {
		for _, f := range old.files {
			if strings.HasSuffix(f.name, ".sst") {
				known[f.name] = f
			}
		}
	}
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(g.dir, e.Name())
		if e.Name() == lockName {
			continue
		}
		if !validFile(e.Name()) {
			// Badger's logs and statistics: it needs none of them to read.
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		f, ok := known[e.Name()]
		if !ok || f.size != info.Size() {
			f = file{name: e.Name(), size: info.Size()}
			if f.whole, err = checksum(path, 0); err != nil {
				return err
			}
			if f.tail, err = checksum(path, tailStart(f.size)); err != nil {
				return err
			}
		}
		f.mtime = info.ModTime().UnixNano()
		g.files = append(g.files, f)
	}
	slices.SortFunc(g.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return nil
}

func checksum(path string, from int64) (uint32, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return 0, err
	}
	h := crc32.New(castagnoli)
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, f, make([]byte, 128<<10)); err != nil {
		return 0, err
	}
	return h.Sum32(), nil
}

// verify compares the files with what synced says of them.
func (g *generation) verify() error {
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	if len(entries) != len(g.files)+1 {
		return fmt.Errorf("%w: %q has files too many or too few", errDamaged, g.dir)
	}
	var total int64
	for _, f := range g.files {
		total += f.size
	}
	for _, f := range g.files {
		path := filepath.Join(g.dir, f.name)
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || info.Size() != f.size {
			return fmt.Errorf("%w: %q is not as it was written", errDamaged, path)
		}
		from, want := int64(0), f.whole
		if total > g.whole && info.ModTime().UnixNano() == f.mtime {
			from, want = tailStart(f.size), f.tail
		}
		if got, err := checksum(path, from); err != nil || got != want {
			return fmt.Errorf("%w: %q is not as it was written", errDamaged, path)
		}
	}
	return nil
}

// discard drops a generation that was never finished.
func (g *generation) discard() { removeAll(g.dir, g.lock) }

// close gives up the generation, which nobody uses any more in this process.
func (g *generation) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	// A database that a fault left in the middle of a call may hold locks for ever.
	if g.db != nil && !g.broken {
		for _, txn := range g.idle {
			txn.Discard()
		}
		g.db.Close() // it was read only: there is nothing that could be lost
	}
	g.lock.Close()
}
