package restore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"restante/blob"
	"restante/restore"
	"restante/snapshot"
)

var testKey = blob.Key{1, 2, 3}

// A store is a repository in memory. It fails the test when a clump is
// fetched twice, or pieces are looked up out of order.
type store struct {
	t      testing.TB
	h      *blob.Hasher
	pages  map[blob.ID][]byte
	places map[blob.ID]blob.Place
	raw    map[blob.Clump][]byte
	open   []byte // the clump being filled
	size   int    // at which it is closed
	number uint32

	mu      sync.Mutex
	again   bool // clumps may be fetched more than once
	fetched map[blob.Clump]int
	broken  map[blob.Clump]error
	copies  map[blob.ID][]byte // pieces that lie in another place, too
	onClump func()
	lookups int
}

func newStore(t testing.TB, clumpSize int) *store {
	return &store{t: t, h: blob.NewHasher(testKey), size: clumpSize, pages: map[blob.ID][]byte{}, places: map[blob.ID]blob.Place{},
		raw: map[blob.Clump][]byte{}, fetched: map[blob.Clump]int{}, broken: map[blob.Clump]error{}}
}

func (s *store) SavePage(_ context.Context, data []byte) (blob.ID, error) {
	id := s.h.Sum(data)
	s.pages[id] = bytes.Clone(data)
	return id, nil
}

func (s *store) LoadPage(_ context.Context, id blob.ID) ([]byte, error) {
	p, ok := s.pages[id]
	if !ok {
		return nil, errors.New("no such page")
	}
	return p, nil
}

func (s *store) clump() blob.Clump {
	return blob.Clump{Pack: blob.ID{byte(s.number>>3 + 1)}, Offset: s.number & 7 * 100, Length: 99}
}

// piece stores data.
func (s *store) piece(data []byte) snapshot.Piece {
	id := s.h.Sum(data)
	if _, ok := s.places[id]; !ok {
		s.places[id] = blob.Place{Clump: s.clump(), Inner: uint32(len(s.open)), Size: uint32(len(data))}
		s.open = append(s.open, data...)
		s.raw[s.clump()] = s.open
		if len(s.open) >= s.size {
			s.open = nil
			s.number++
		}
	}
	return snapshot.Piece{ID: id, Size: uint32(len(data))}
}

func (s *store) Places(_ context.Context, ids []blob.ID) ([]blob.Place, error) {
	out := make([]blob.Place, len(ids))
	for i, id := range ids {
		if i > 0 && bytes.Compare(ids[i-1][:], id[:]) >= 0 {
			s.t.Error("pieces are looked up out of order or twice")
		}
		out[i] = s.places[id]
	}
	s.mu.Lock()
	s.lookups++
	s.mu.Unlock()
	return out, nil
}

func (s *store) Clump(ctx context.Context, buf []byte, c blob.Clump) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.onClump != nil {
		s.onClump()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.fetched[c]++; s.fetched[c] > 1 && !s.again {
		s.t.Errorf("clump %v is fetched again", c)
	}
	if err := s.broken[c]; err != nil {
		return nil, err
	}
	raw, ok := s.raw[c]
	if !ok {
		s.t.Errorf("clump %v is fetched, but nobody named it", c)
	}
	return append(buf[:0], raw...), nil
}

func (s *store) Elsewhere(ctx context.Context, id blob.ID, at blob.Place, cause error) ([]byte, error) {
	if place := s.places[id]; at.Clump != place.Clump || at.Inner != place.Inner || cause == nil {
		s.t.Errorf("piece %s, which lies at %v, could not be read at %v because of %v", id.Short(), place, at, cause)
	}
	if data, ok := s.copies[id]; ok {
		return data, ctx.Err()
	}
	return nil, cause
}

// forget clears what is known of fetches.
func (s *store) forget() { clear(s.fetched) }

// A content is a recipe in the making with the bytes it stands for.
type content struct {
	s     *store
	items []snapshot.Item
	bytes []byte
}

func (c *content) plain(data []byte) *content {
	c.items = append(c.items, snapshot.Item{Kind: snapshot.PieceItem, Piece: c.s.piece(data)})
	c.bytes = append(c.bytes, data...)
	return c
}

func (c *content) literal(data []byte) *content {
	c.items = append(c.items, snapshot.Item{Kind: snapshot.LiteralItem, Literal: data})
	c.bytes = append(c.bytes, data...)
	return c
}

// lines encodes data in the slow and obvious way, with pieces cut behind cuts;
// with a width of 0 in one line.
func (c *content) lines(data []byte, width int, end snapshot.LineEnd, tail snapshot.Tail, cuts ...int) *content {
	eol := "\n"
	if end == snapshot.CRLF {
		eol = "\r\n"
	}
	var lines []string
	for chars := base64.StdEncoding.EncodeToString(data); chars != ""; {
		n := min(width, len(chars))
		if width == 0 {
			n = len(chars)
		}
		lines = append(lines, chars[:n])
		chars = chars[n:]
	}
	text := strings.Join(lines, eol)
	if tail == snapshot.TailEnded {
		text += eol
	}
	b := &snapshot.Base64{LineLength: uint16(width), LineEnd: end, Tail: tail, RawHash: c.s.h.Sum([]byte(text))}
	from := 0
	for _, cut := range append(cuts, len(data)) {
		b.Pieces = append(b.Pieces, c.s.piece(data[from:cut]))
		from = cut
	}
	c.items = append(c.items, snapshot.Item{Kind: snapshot.Base64Item, Base64: b})
	c.bytes = append(c.bytes, text...)
	return c
}

// random adds items of all kinds.
func (c *content) random(rng *rand.Rand, items, most int) *content {
	for range items {
		data := randomBytes(rng, 1+rng.IntN(most))
		switch rng.IntN(5) {
		case 0:
			c.literal(data[:min(len(data), 1+rng.IntN(snapshot.MaxLiteral))])
		case 1, 2:
			c.plain(data)
		default:
			var cuts []int
			for at := 1 + rng.IntN(len(data)); at < len(data) && len(cuts) < 200; at += 1 + rng.IntN(len(data)) {
				cuts = append(cuts, at)
			}
			width := []int{60, 64, 72, 76, 1 + rng.IntN(200)}[rng.IntN(5)]
			c.lines(data, width, snapshot.LineEnd(1+rng.IntN(2)), snapshot.Tail(1+rng.IntN(2)), cuts...)
		}
	}
	return c
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// A mail is an entry with its path and bytes.
type mail struct {
	path  string
	entry snapshot.Entry
	bytes []byte
}

func (s *store) content() *content { return &content{s: s} }

// mail makes a file of the content.
func (c *content) mail(path string) *mail {
	w := snapshot.NewRecipeWriter(c.s, testKey, 1)
	for _, it := range c.items {
		if err := w.Append(context.Background(), it); err != nil {
			c.s.t.Fatal(err)
		}
	}
	r, err := w.Finish(context.Background())
	if err != nil {
		c.s.t.Fatal(err)
	}
	return &mail{path, snapshot.Entry{Kind: snapshot.File, Mode: 0o600, Mtime: snapshot.Time{Sec: 1e9 + int64(len(path)), Nsec: 123456789},
		Size: uint64(len(c.bytes)), Recipe: r}, c.bytes}
}

func dir(path string) *mail {
	return &mail{path, snapshot.Entry{Kind: snapshot.Dir, Mode: 0o750, Mtime: snapshot.Time{Sec: 1e9, Nsec: 7}}, nil}
}

// tree makes a snapshot's tree of mails.
func (s *store) tree(mails ...*mail) *snapshot.Tree {
	s.t.Helper()
	keys := map[snapshot.Key]*mail{}
	var order []snapshot.Key
	for _, m := range mails {
		k, err := snapshot.KeyOf(m.path)
		if err != nil {
			s.t.Fatal(err)
		}
		keys[k] = m
		order = append(order, k)
	}
	slices.Sort(order)
	b := snapshot.NewBuilder(s, testKey)
	for _, k := range order {
		if err := b.Add(context.Background(), k, &keys[k].entry); err != nil {
			s.t.Fatal(err)
		}
	}
	root, err := b.Finish(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return snapshot.OpenTree(s, root)
}

// A rawTree is a tree that checks nothing.
type rawTree []snapshot.Record

func (r rawTree) All(context.Context, snapshot.Range) iter.Seq2[snapshot.Record, error] {
	return func(yield func(snapshot.Record, error) bool) {
		for _, rec := range r {
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// everything restores all of a tree as it is.
func everything(target string) restore.Options {
	return restore.Options{Target: target, NoOwner: true,
		Parts: []restore.Part{{Ranges: []snapshot.Range{{}}, Path: snapshot.Key.Path}}}
}

// run restores and wants no failures.
func run(t *testing.T, s *store, tree restore.Tree, o restore.Options) restore.Result {
	t.Helper()
	res, err := restore.Run(context.Background(), s, tree, testKey, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range res.Failed {
		t.Errorf("%q: %v", f.Path, f.Err)
	}
	return res
}
