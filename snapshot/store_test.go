package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"restante/blob"
	"restante/snapshot"
)

var testKey = blob.Key{1, 2, 3}

// store keeps pages in memory.
type store struct {
	mu    sync.Mutex
	h     *blob.Hasher
	pages map[blob.ID][]byte
	saves int // calls of SavePage
	fresh int // calls with a page not seen before
	loads int
	fail  error // SavePage returns it
}

func newStore() *store { return &store{h: blob.NewHasher(testKey), pages: map[blob.ID][]byte{}} }

func (s *store) SavePage(_ context.Context, data []byte) (blob.ID, error) {
	if s.fail != nil {
		return blob.ID{}, s.fail
	}
	id := s.h.Sum(data)
	s.saves++
	if _, ok := s.pages[id]; !ok {
		s.fresh++
		s.pages[id] = bytes.Clone(data)
	}
	return id, nil
}

func (s *store) LoadPage(_ context.Context, id blob.ID) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	data, ok := s.pages[id]
	if !ok {
		return nil, fmt.Errorf("page %v: %w", id, errMissing)
	}
	return data, nil
}

var errMissing = errors.New("no such page")

func testID(n uint64) blob.ID {
	return blob.NameOf(fmt.Appendf(nil, "%d", n))
}

func message(n uint64) snapshot.Entry {
	e := snapshot.Entry{
		Kind: snapshot.File, Mode: 0o600, UID: 5000, GID: 5000, Messages: 1,
		Mtime: snapshot.Time{Sec: 1700000000 + int64(n), Nsec: uint32(n * 7919 % 1e9)},
		Recipe: snapshot.Recipe{Cutter: 1, Items: []snapshot.Item{
			{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: testID(2 * n), Size: uint32(500 + n%2000)}},
			{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: testID(2*n + 1), Size: uint32(1 + n%30000), Cut: n%2 == 0}},
		}},
	}
	e.Size = e.Recipe.Length()
	return e
}

// entries makes a store's records: some mailboxes with folders and messages.
func entries(t testing.TB, mailboxes, messages int) []snapshot.Record {
	t.Helper()
	var out []snapshot.Record
	n := uint64(0)
	for i := range mailboxes {
		home := fmt.Sprintf("example.com/user%05d", i)
		for _, dir := range []string{"", "/Maildir", "/Maildir/cur"} {
			out = append(out, snapshot.Record{Key: keyOf(t, home+dir), Entry: snapshot.Entry{Kind: snapshot.Dir, Mode: 0o700}})
		}
		for j := range messages {
			n++
			key := keyOf(t, fmt.Sprintf("%s/Maildir/cur/1700000000.M%06dP%d.mx1:2,S", home, j, i))
			out = append(out, snapshot.Record{Key: key, Entry: message(n)})
		}
	}
	slices.SortFunc(out, byKey)
	return out
}

func byKey(a, b snapshot.Record) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) }

func keyOf(t testing.TB, path string) snapshot.Key {
	t.Helper()
	k, err := snapshot.KeyOf(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func build(t testing.TB, s snapshot.Saver, recs []snapshot.Record) snapshot.Root {
	t.Helper()
	return buildWith(t, snapshot.NewBuilder(s, testKey), recs)
}

func buildWith(t testing.TB, b *snapshot.Builder, recs []snapshot.Record) snapshot.Root {
	t.Helper()
	for i := range recs {
		if err := b.Add(t.Context(), recs[i].Key, &recs[i].Entry); err != nil {
			t.Fatal(err)
		}
	}
	root, err := b.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func collect(t testing.TB, tree *snapshot.Tree, r snapshot.Range) []snapshot.Record {
	t.Helper()
	var out []snapshot.Record
	for rec, err := range tree.All(t.Context(), r) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rec)
	}
	return out
}

// randomEntry makes an entry of any kind with anything that it may hold.
func randomEntry(r *rand.Rand) snapshot.Entry {
	e := snapshot.Entry{
		Kind: snapshot.Kind(1 + r.IntN(8)), Mode: r.Uint32() & 0o7777, UID: r.Uint32() >> r.IntN(32), GID: r.Uint32() >> r.IntN(32),
		Mtime: snapshot.Time{Sec: int64(r.Uint64()) >> r.IntN(64), Nsec: r.Uint32N(1e9)},
	}
	for i := range r.IntN(3) {
		e.Xattrs = append(e.Xattrs, snapshot.Xattr{Name: fmt.Sprintf("user.%d", i), Value: randomBytes(r, r.IntN(20))})
	}
	if e.Kind != snapshot.Dir && r.IntN(4) == 0 {
		e.Link = snapshot.LinkID(randomBytes(r, 16))
	}
	switch e.Kind {
	case snapshot.File:
		e.Messages = r.Uint64N(3)
		e.Recipe.Cutter = uint8(r.IntN(3))
		for range r.IntN(6) {
			e.Recipe.Items = append(e.Recipe.Items, randomItem(r, 4))
		}
		e.Size = e.Recipe.Length()
	case snapshot.Symlink:
		e.Target = "../" + string(randomBytes(r, 9))
	case snapshot.CharDevice, snapshot.BlockDevice:
		e.Rdev = r.Uint64() >> r.IntN(64)
	case snapshot.Unsaved:
		e.Size, e.Reason = r.Uint64N(1e6), "permission denied"
	}
	return e
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func randomPiece(r *rand.Rand) snapshot.Piece {
	return snapshot.Piece{ID: blob.ID(randomBytes(r, 32)), Size: 1 + r.Uint32N(snapshot.MaxPiece), Cut: r.IntN(2) == 0}
}

func randomItem(r *rand.Rand, pieces int) snapshot.Item {
	switch r.IntN(4) {
	case 0:
		return snapshot.Item{Kind: snapshot.LiteralItem, Literal: randomBytes(r, 1+r.IntN(9))}
	case 1:
		b := &snapshot.Base64{LineLength: uint16(1 + r.IntN(100)), LineEnd: snapshot.LineEnd(1 + r.IntN(2)),
			Tail: snapshot.Tail(1 + r.IntN(2)), RawHash: blob.ID(randomBytes(r, 32))}
		for range 1 + r.IntN(pieces) {
			b.Pieces = append(b.Pieces, randomPiece(r))
		}
		return snapshot.Item{Kind: snapshot.Base64Item, Base64: b}
	}
	return snapshot.Item{Kind: snapshot.PieceItem, Piece: randomPiece(r)}
}
