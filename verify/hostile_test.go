package verify_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"restante/blob"
	"restante/diff"
	"restante/gc"
	"restante/repair"
	"restante/repo"
	"restante/restore"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
	"restante/verify"
)

// allocated returns how many bytes fn has taken, of which most were given back.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// frame is a zstd frame of zeros, which says that it has so many bytes if that is not 0.
func frame(said uint64, blocks int) []byte {
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50} // a window of 1 MiB, no size
	if said > 0 {
		b = binary.LittleEndian.AppendUint64([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x50}, said)
	}
	for i := range blocks {
		head := uint32(128<<10)<<3 | 1<<1 // 128 KiB of one byte
		if i == blocks-1 {
			head |= 1
		}
		b = append(b, byte(head), byte(head>>8), byte(head>>16), 0)
	}
	return b
}

// A clump of a few bytes that opens to very many is an error, and takes no memory.
func TestClumpsThatExpand(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads hundreds of megabytes")
	}
	for name, packed := range map[string][]byte{
		"one frame":            frame(0, 80_000),
		"many frames":          bytes.Repeat(frame(0, 64), 2000),
		"a frame of 2^60":      frame(1<<60, 1),
		"a frame of 2^63":      frame(1<<63, 1),
		"a window of 3 TiB":    {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0x01, 0, 0},
		"a truncated frame":    frame(8<<20, 64)[:40],
		"how that is unknown":  {7, 7, 7},
		"nothing":              {},
		"nothing, kept as raw": nil,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			id := blob.ID{1}
			codec := byte(1)
			if packed == nil {
				codec = 0
			}
			pack, entries := f.putPack(t, seal.KindTreePack, []forgedClump{{blob.Page, append([]byte{codec}, packed...), repo.MaxPiece, []repo.Piece{{ID: id, Size: repo.MaxPiece}}}})
			f.putIndex(t, seal.KindTreeIndex, pack, entries)
			r := f.open(t)
			n := allocated(func() {
				if _, err := r.LoadPage(t.Context(), id); err == nil || !strings.Contains(err.Error(), pack) {
					t.Errorf("reading it: %v", err)
				}
			})
			if n > 2*128<<20 { // it is read twice
				t.Errorf("reading it took %d MiB", n>>20)
			}
			if findings := f.check(t, true).Findings; len(findings) == 0 || findings[0].Object != pack {
				t.Errorf("a check finds %+v", findings)
			}
		})
	}
}

// Pages that are kept for the next look are bounded in bytes, not only in number.
func TestManyLargePages(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads hundreds of megabytes")
	}
	f := newFixture(t)
	hasher := blob.NewHasher(f.open(t).PieceKey())
	var clumps []forgedClump
	for i := range 60 {
		raw := make([]byte, 7<<20)
		binary.LittleEndian.PutUint32(raw, uint32(i))
		// One block of the four bytes, and 56 of zeros without four.
		head := uint32(4) << 3
		packed := append([]byte{1, 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50, byte(head), byte(head >> 8), byte(head >> 16)}, raw[:4]...)
		left := len(raw) - 4
		for left > 0 {
			n := min(left, 128<<10)
			left -= n
			head := uint32(n)<<3 | 1<<1
			if left == 0 {
				head |= 1
			}
			packed = append(packed, byte(head), byte(head>>8), byte(head>>16), 0)
		}
		clumps = append(clumps, forgedClump{blob.Page, packed, uint32(len(raw)), []repo.Piece{{ID: hasher.Sum(raw), Size: uint32(len(raw))}}})
	}
	pack, entries := f.putPack(t, seal.KindTreePack, clumps)
	f.putIndex(t, seal.KindTreeIndex, pack, entries)
	r := f.open(t)
	for _, c := range clumps {
		if page, err := r.LoadPage(t.Context(), c.pieces[0].ID); err != nil || len(page) != 7<<20 {
			t.Fatalf("%d bytes, %v", len(page), err)
		}
	}
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	if stats.HeapAlloc > 128<<20 {
		t.Errorf("%d pages of 7 MiB keep %d MiB", len(clumps), stats.HeapAlloc>>20)
	}
	runtime.KeepAlive(r)
}

// multiplied saves a list of 2^(8*levels) items on as few pages as there are levels: each
// has the one below 256 times.
func (w *writer) multiplied(levels int) *snapshot.Long {
	w.t.Helper()
	piece := w.piece([]byte("m"))
	item, err := snapshot.AppendItem(nil, &snapshot.Item{Kind: snapshot.PieceItem, Piece: piece})
	w.fatal(err)
	count := uint64(256)
	id, err := w.pages.SavePage(w.t.Context(), append([]byte{3, 0}, bytes.Repeat(item, 256)...))
	w.fatal(err)
	for level := 1; level < levels; level++ {
		child := binary.AppendUvarint(binary.AppendUvarint(id[:], count), count)
		id, err = w.pages.SavePage(w.t.Context(), append([]byte{3, byte(level)}, bytes.Repeat(child, 256)...))
		w.fatal(err)
		count *= 256
	}
	return &snapshot.Long{Root: id, Level: uint8(levels - 1), Items: count, Size: count}
}

// A file of 2^40 items on five pages is read as it is, item by item, in as much memory as
// any: who reads it can be interrupted, and prune looks at each page once.
func TestListsThatMultiply(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	w := f.begin(t, f.open(t))
	w.add("huge", snapshot.Entry{Kind: snapshot.File, Recipe: snapshot.Recipe{Cutter: 1, Long: w.multiplied(5)}})
	w.flush()
	w.commit(snapshot.Snapshot{Store: "mail", Host: "mx"})
	r := f.open(t)
	root := f.newestTree(t)
	all, err := r.Snapshots(t.Context(), nil)
	w.fatal(err)
	for _, o := range all {
		if s, err := snapshot.DecodeSnapshot(o.Payload); err == nil && s.Tree.Counts.Bytes == 1<<40 {
			root = s.Tree
		}
	}
	if root.Counts.Bytes != 1<<40 {
		t.Fatalf("the tree has %+v", root.Counts)
	}
	for name, c := range map[string]struct {
		steps int // after which it is interrupted
		read  func(ctx context.Context, done func()) error
	}{
		"check": {500, func(ctx context.Context, done func()) error {
			_, err := verify.Check(ctx, r, verify.Options{NoMark: true, Done: func(uint64, uint64) { done() }})
			return err
		}},
		"restore": {3, func(ctx context.Context, done func()) error {
			_, err := restore.Run(ctx, r, snapshot.OpenTree(r, root), r.PieceKey(), restore.Options{Target: filepath.Join(t.TempDir(), "target"), NoOwner: true,
				Parts:    []restore.Part{{Ranges: []snapshot.Range{{}}, Path: snapshot.Key.Path}},
				Progress: func(restore.Progress) { done() }})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			steps := 0
			err := c.read(ctx, func() {
				if steps++; steps == c.steps {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("after %d steps it ended with: %v", steps, err)
			}
			var stats runtime.MemStats
			runtime.GC()
			if runtime.ReadMemStats(&stats); stats.HeapAlloc > 128<<20 {
				t.Errorf("it keeps %d MiB", stats.HeapAlloc>>20)
			}
		})
	}
	t.Run("prune", func(t *testing.T) {
		report, err := gc.Prune(t.Context(), r, gc.Options{CacheDir: t.TempDir()})
		if err != nil || report.Missing != 0 || report.Deleted != 0 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// interior makes an interior page that has the same page below several times.
func (w *writer) interior(level uint8, times int, below snapshot.Root) []byte {
	page := []byte{1, level}
	for i := range times {
		page = append(append(page, 1, byte('b'+i)), below.ID[:]...)
		for _, n := range []uint64{2, 2, 0, 10, 0} {
			page = binary.AppendUvarint(page, n)
		}
	}
	return page
}

// wantHarmless reads all snapshots as commands do: what is wrong with one costs no more
// than that one, and nothing is written or deleted because of it. What could be restored
// of them before a prune is restored identically after it.
func (f *fixture) wantHarmless(t *testing.T) {
	t.Helper()
	ctx, r := t.Context(), f.open(t)
	hasher := blob.NewHasher(r.PieceKey())
	restored, failures := f.restoreAll(t)
	all, err := r.Snapshots(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	var before *snapshot.Tree
	bad := 0
	for _, o := range all {
		s, err := snapshot.DecodeSnapshot(o.Payload)
		if err != nil {
			continue
		}
		tree := snapshot.OpenTree(r, s.Tree)
		failed := failures[o.ID] > 2 // one was not saved, and one has another hash
		for rec, err := range tree.All(ctx, snapshot.Range{}) {
			failed = failed || err != nil
			for _, err := range snapshot.Messages(ctx, r, &rec.Entry) {
				_ = err // of recipes that mark no messages, too
			}
		}
		boxes := snapshot.OpenMailboxes(r, s.Mailboxes)
		for _, err := range boxes.All(ctx) {
			failed = failed || err != nil
		}
		_, _ = diff.OwnersOf(ctx, boxes)
		if before != nil {
			_, _ = diff.Between(ctx, before, tree, []snapshot.Range{{}}, hasher)
			_, _ = diff.Between(ctx, tree, before, []snapshot.Range{{}}, hasher)
		}
		before = tree
		if failed {
			bad++
		}
	}
	if bad > 1 {
		t.Errorf("of %d snapshots %d cannot be read", len(all), bad)
	}
	f.pruneHarmless(t, r, restored)
	if _, err := repair.Snapshots(ctx, f.open(t), repair.Options{}); err != nil {
		t.Errorf("a repair: %v", err)
	}
}

// pruneHarmless prunes, and wants what was restored to be restored again. A prune that
// fails removes nothing.
func (f *fixture) pruneHarmless(t *testing.T, r *repo.Repository, restored map[seal.Session]map[string]string) {
	t.Helper()
	objects := len(f.all(t))
	if _, err := gc.Prune(t.Context(), r, gc.Options{CacheDir: t.TempDir()}); err != nil && len(f.all(t)) != objects {
		t.Errorf("a prune ended with %v, and there are %d objects, before %d", err, len(f.all(t)), objects)
	}
	after, _ := f.restoreAll(t)
	for id, files := range restored {
		if !maps.Equal(files, after[id]) {
			t.Errorf("of snapshot %s %d files are restored before a prune, and %d after it, or others", id, len(files), len(after[id]))
		}
	}
}

// restoreAll restores all snapshots whose records can be read, each as far as it can be,
// and never outside its target. It returns their files, and how many failed; all, if the
// restore itself did.
func (f *fixture) restoreAll(t *testing.T) (restored map[seal.Session]map[string]string, failures map[seal.Session]uint64) {
	t.Helper()
	r := f.open(t)
	all, err := r.Snapshots(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restored, failures = map[seal.Session]map[string]string{}, map[seal.Session]uint64{}
	for _, o := range all {
		s, err := snapshot.DecodeSnapshot(o.Payload)
		if err != nil {
			continue
		}
		outer := t.TempDir()
		target := filepath.Join(outer, "target")
		result, err := restore.Run(t.Context(), r, snapshot.OpenTree(r, s.Tree), r.PieceKey(), restore.Options{Target: target, NoOwner: true,
			Parts: []restore.Part{{Ranges: []snapshot.Range{{}}, Path: snapshot.Key.Path}}})
		if failures[o.ID] = math.MaxUint64; err == nil {
			failures[o.ID] = result.Failures
		}
		if entries, err := os.ReadDir(outer); err != nil || len(entries) > 1 {
			t.Errorf("beside the target there are %v, %v", entries, err)
		}
		files := map[string]string{}
		err = filepath.WalkDir(target, func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && !e.Type().IsRegular() {
				return nil
			}
			data, readErr := os.ReadFile(path)
			files[path[len(target):]] = string(data)
			return errors.Join(err, readErr)
		})
		if err != nil {
			t.Fatal(err)
		}
		restored[o.ID] = files
	}
	return restored, failures
}

// all returns the names of all objects.
func (f *fixture) all(t *testing.T) (names []string) {
	t.Helper()
	if err := f.store.List(t.Context(), "", func(name string, _ int64) error { names = append(names, name); return nil }); err != nil {
		t.Fatal(err)
	}
	return names
}

// A storage with records of a GiB takes no memory.
func TestRecordsTooLarge(t *testing.T) {
	f := newFixture(t)
	session := strings.Repeat("ab", 16)
	for _, name := range []string{"intents/" + session, "marks/00000009", "seen/" + session, "damaged/" + strings.Repeat("ab", 32), "keys/" + strings.Repeat("ab", 32),
		"config/00000009", "index/" + strings.Repeat("ab", 32), "snapshots/" + strings.Repeat("cd", 16), "forgotten/" + strings.Repeat("cd", 16), "holds/" + path.Base(f.names["snapshot1"]) + "-" + session} {
		t.Run(name, func(t *testing.T) {
			large := &enlarged{Store: f.clone(t).store, name: name}
			n := allocated(func() {
				u, err := seal.Identities(f.file)
				if err != nil {
					t.Fatal(err)
				}
				r, err := repo.Open(t.Context(), large, repo.OpenOptions{CacheDir: t.TempDir(), Unlock: u})
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				report, err := verify.Check(t.Context(), r, verify.Options{NoMark: true})
				if err != nil || len(report.Findings) != 1 || report.Findings[0].Object != name {
					t.Errorf("a check: %+v, %v", report, err)
				}
				_, _ = r.ReadSession(t.Context(), seal.Session(bytes.Repeat([]byte{0xab}, 16)))
				if s, err := r.Begin(t.Context(), repo.SessionOptions{Intent: repo.Intent{Operation: repo.OpBackup, Store: "mail", Host: "mx"}}); err == nil {
					err = s.Abandon(t.Context())
					if err != nil {
						t.Error(err)
					}
				}
			})
			if n > 64<<20 || large.read {
				t.Errorf("%d MiB were taken, the object was read: %v", n>>20, large.read)
			}
		})
	}
}

// An enlarged storage has one object more, of 1 GiB.
type enlarged struct {
	storage.Store
	name string
	read bool // the whole object
}

func (e *enlarged) List(ctx context.Context, prefix string, fn func(string, int64) error) error {
	if strings.HasPrefix(e.name, prefix) {
		if err := fn(e.name, 1<<30); err != nil {
			return err
		}
	}
	return e.Store.List(ctx, prefix, fn)
}

func (e *enlarged) Get(ctx context.Context, name string, offset, length int64, buf []byte) ([]byte, error) {
	if name != e.name {
		return e.Store.Get(ctx, name, offset, length, buf)
	}
	if length < 0 || length > 1<<20 {
		e.read = true
		return nil, errors.New("the whole object was asked for")
	}
	return make([]byte, length), nil
}
