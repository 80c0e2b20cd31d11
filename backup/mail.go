package backup

import (
	"context"
	"errors"
	"fmt"
	"io"

	"restante/blob"
	"restante/message"
	"restante/snapshot"
)

// A mailCutter turns a file of mail into the items of a recipe. It serves one
// goroutine.
type mailCutter struct {
	r      *reader
	cut    message.Cutter
	recipe *snapshot.RecipeWriter
	hash   *blob.Hasher
	raw    *blob.Hasher // of the segment at hand
	grown  *grown       // nil but where segments matter

	pending  []byte // read and not yet saved: a head, and a short text after it
	begins   bool   // a message begins with pending
	messages uint64 // of the file at hand
}

func newMailCutter(r *reader) *mailCutter {
	key := r.run.repo.PieceKey()
	return &mailCutter{r: r, hash: blob.NewHasher(key), raw: blob.NewHasher(key), recipe: snapshot.NewRecipeWriter(r.writer, key, r.run.limits.cutter)}
}

// file cuts a file of the given kind and returns its recipe; then messages says
// how many messages the cutter counted.
func (m *mailCutter) file(ctx context.Context, src io.Reader, kind message.Kind) (snapshot.Recipe, error) {
	m.cut.Reset(src, kind)
	m.messages = 0
	if _, err := m.blocks(ctx); err != nil {
		m.recipe.Finish(m.r.run.keep) // and is ready for the next file
		return snapshot.Recipe{}, err
	}
	return m.recipe.Finish(m.r.run.keep)
}

// count returns how many messages the file at hand counts for: what is one
// message as one, whether it has a head or not.
func (m *mailCutter) count(counts bool, kind message.Kind) uint64 {
	switch {
	case !counts:
		return 0
	case kind == message.Mail:
		return 1
	}
	return m.messages
}

// blocks saves what the cutter has to give, up to the end of the file or to a
// border where m.grown says to stop.
func (m *mailCutter) blocks(ctx context.Context) (stopped bool, err error) {
	m.pending, m.begins = m.pending[:0], false
	for {
		b, err := m.cut.Next()
		if errors.Is(err, io.EOF) {
			return false, m.flush()
		}
		if err == nil && m.grown != nil {
			if stopped, err = m.border(&b); stopped {
				return true, err
			}
			m.grown.block(&b)
		}
		if err == nil {
			err = m.block(ctx, b)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return false, err
		}
	}
}

// border tells m.grown that block b comes to a border, if what was before is
// saved without a look at b.
func (m *mailCutter) border(b *message.Block) (stop bool, err error) {
	if !b.Border || len(m.pending) > 0 && b.Class != message.Head {
		return false, nil
	}
	if err := m.flush(); err != nil {
		return false, err
	}
	return m.grown.border(b), nil
}

// block takes the first block of a span, and reads the others.
func (m *mailCutter) block(ctx context.Context, b message.Block) error {
	if b.Counts {
		m.messages++
	}
	switch {
	case b.Class == message.Head:
		if err := m.flush(); err != nil {
			return err
		}
		m.pending, m.begins = append(m.pending, b.Raw...), b.Message
		return nil
	case b.Class == message.Base64:
		if err := m.flush(); err != nil {
			return err
		}
		return m.base64(ctx, b)
	case b.Last && len(m.pending) > 0 && len(b.Raw) < m.r.run.limits.shareText:
		m.pending = append(m.pending, b.Raw...)
		return nil
	}
	if err := m.flush(); err != nil {
		return err
	}
	if b.Last && len(b.Raw) < m.r.run.limits.literalText {
		return m.append(snapshot.Item{Kind: snapshot.LiteralItem, Literal: append([]byte(nil), b.Raw...)})
	}
	if b.Last {
		return m.piece(blob.Text, b.Raw, false)
	}
	_, err := m.r.pieces(ctx, blob.Text, &spanReader{m: m, b: b, rest: b.Raw}, func(p snapshot.Piece) (stop bool, err error) {
		return false, m.append(snapshot.Item{Kind: snapshot.PieceItem, Piece: p})
	})
	return err
}

// append adds an item to the recipe.
func (m *mailCutter) append(it snapshot.Item) error {
	if m.grown != nil {
		if err := m.grown.add(&it); err != nil {
			return err
		}
	}
	return m.recipe.Append(m.r.run.keep, it)
}

// flush saves what is pending as a piece. All heads are of one class, so that
// whoever looks for mail reads their clumps and no others.
func (m *mailCutter) flush() error {
	if len(m.pending) == 0 {
		return nil
	}
	err := m.piece(blob.Head, m.pending, m.begins)
	m.pending = m.pending[:0]
	return err
}

// piece saves data as one piece of the file; head says that a message begins with it.
func (m *mailCutter) piece(class blob.Class, data []byte, head bool) error {
	id, err := m.r.writer.Save(m.r.run.keep, class, data)
	if err != nil {
		return err
	}
	piece := snapshot.Piece{ID: id, Size: uint32(len(data)), Head: head}
	return m.append(snapshot.Item{Kind: snapshot.PieceItem, Piece: piece})
}

// base64 saves what a base64 span encodes. The cutter has made the lines of it
// again, as a restore does, and compared them; their hash goes into the recipe,
// so that a restore knows whether it made the same.
func (m *mailCutter) base64(ctx context.Context, b message.Block) error {
	item := &snapshot.Base64{LineLength: uint16(b.LineLength), LineEnd: snapshot.LineEnd(b.LineEnd), Tail: snapshot.TailEnded}
	if b.Last {
		id, err := m.r.writer.Save(m.r.run.keep, blob.Bin, b.Decoded)
		if err != nil {
			return err
		}
		item.Pieces = []snapshot.Piece{{ID: id, Size: uint32(len(b.Decoded))}}
		item.RawHash = m.hash.Sum(b.Raw)
	} else {
		m.hash.Begin()
		m.hash.Write(b.Raw)
		span := &spanReader{m: m, b: b, rest: b.Decoded, decoded: true}
		_, err := m.r.pieces(ctx, blob.Bin, span, func(p snapshot.Piece) (stop bool, err error) {
			item.Pieces = append(item.Pieces, p)
			return false, nil
		})
		if err != nil {
			return err
		}
		item.RawHash = m.hash.ID()
		b = span.b
	}
	if b.Open {
		item.Tail = snapshot.TailOpen
	}
	return m.append(snapshot.Item{Kind: snapshot.Base64Item, Base64: item})
}

// A spanReader reads the blocks of one span: its raw bytes, or what they
// encode, and then hashes the raw ones.
type spanReader struct {
	m       *mailCutter
	b       message.Block
	rest    []byte
	decoded bool
}

func (s *spanReader) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.b.Last {
			return 0, io.EOF
		}
		b, err := s.m.cut.Next()
		if err != nil {
			return 0, noEnd(err)
		}
		if s.m.grown != nil {
			s.m.grown.block(&b)
		}
		s.b, s.rest = b, b.Raw
		if s.decoded {
			s.m.hash.Write(b.Raw)
			s.rest = b.Decoded
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// noEnd keeps the end of the file, which cannot come within a span, from
// passing for the end of the span.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("cutting a message: %w", io.ErrUnexpectedEOF)
	}
	return err
}
