package snapshot_test

import (
	"errors"
	"reflect"
	"testing"

	"restante/snapshot"
)

func TestMessagesOfAFile(t *testing.T) {
	head := func(n uint64) snapshot.Item {
		return snapshot.Item{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: testID(n), Size: 100 + uint32(n), Head: true}}
	}
	text := snapshot.Item{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: testID(9), Size: 1000}}
	blank := snapshot.Item{Kind: snapshot.LiteralItem, Literal: []byte("\n\n")}
	at := func(n, offset, size uint64) snapshot.MessageAt {
		return snapshot.MessageAt{Offset: offset, Size: size, Head: head(n).Piece}
	}
	for _, tt := range []struct {
		name     string
		items    []snapshot.Item
		messages uint64
		want     []snapshot.MessageAt
		err      error
	}{
		{"an empty file", nil, 0, nil, nil},
		{"an empty message", nil, 1, []snapshot.MessageAt{{}}, nil},
		{"no mail", []snapshot.Item{text}, 0, nil, nil},
		{"a message", []snapshot.Item{head(1), text}, 1, []snapshot.MessageAt{at(1, 0, 1101)}, nil},
		{"a message beside mboxes", []snapshot.Item{head(1), text}, 0, []snapshot.MessageAt{at(1, 0, 1101)}, nil},
		{"a message without a header", []snapshot.Item{text, blank}, 1, []snapshot.MessageAt{{Size: 1002, Head: text.Piece}}, nil},
		{"a message that begins with no piece", []snapshot.Item{blank, text}, 1, []snapshot.MessageAt{{Size: 1002}}, nil},
		{"an mbox", []snapshot.Item{blank, head(1), text, blank, head(2), head(3), blank}, 3,
			[]snapshot.MessageAt{at(1, 2, 1103), at(2, 1105, 102), at(3, 1207, 105)}, nil},
		{"a dbox of compressed messages", []snapshot.Item{text, text}, 2, nil, snapshot.ErrUnmarked},
	} {
		e := snapshot.Entry{Kind: snapshot.File, Messages: tt.messages, Recipe: snapshot.Recipe{Items: tt.items}}
		e.Size = e.Recipe.Length()
		got, err := messagesOf(t, newStore(), &e)
		for i := range got {
			got[i].Rest = 0 // see TestRestOfMessages
		}
		if !reflect.DeepEqual(got, tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("%s: %+v, %v, want %+v, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

// TestRestOfMessages changes what follows a message's header, and what may belong
// to the next message.
func TestRestOfMessages(t *testing.T) {
	piece := func(n uint64, head bool) snapshot.Item {
		return snapshot.Item{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: testID(n), Size: 100, Head: head}}
	}
	literal := func(s string) snapshot.Item { return snapshot.Item{Kind: snapshot.LiteralItem, Literal: []byte(s)} }
	lines := func(n uint64) snapshot.Item {
		return snapshot.Item{Kind: snapshot.Base64Item, Base64: &snapshot.Base64{LineLength: 76, LineEnd: snapshot.LF, Tail: snapshot.TailEnded,
			RawHash: testID(n), Pieces: []snapshot.Piece{{ID: testID(50), Size: 3000}}}}
	}
	rest := func(items ...snapshot.Item) uint64 {
		e := snapshot.Entry{Kind: snapshot.File, Messages: 1, Recipe: snapshot.Recipe{Items: items}}
		e.Size = e.Recipe.Length()
		all, err := messagesOf(t, newStore(), &e)
		if err != nil || len(all) == 0 {
			t.Fatalf("%d messages, %v", len(all), err)
		}
		return all[0].Rest
	}
	want := rest(piece(1, true), literal("a"), lines(2), piece(3, false))
	for name, same := range map[string]uint64{
		"another head":           rest(piece(7, true), literal("a"), lines(2), piece(3, false)),
		"what may be the next's": rest(piece(1, true), literal("a"), lines(2), piece(3, false), literal("frame"), piece(4, true)),
	} {
		if same != want {
			t.Errorf("%s changes what follows it", name)
		}
	}
	for name, other := range map[string]uint64{
		"another literal": rest(piece(1, true), literal("b"), lines(2), piece(3, false)),
		"other base64":    rest(piece(1, true), literal("a"), lines(7), piece(3, false)),
		"another piece":   rest(piece(1, true), literal("a"), lines(2), piece(7, false)),
		"one piece less":  rest(piece(1, true), literal("a"), lines(2)),
	} {
		if other == want {
			t.Errorf("%s changes nothing", name)
		}
	}
}

func messagesOf(t *testing.T, s *store, e *snapshot.Entry) (all []snapshot.MessageAt, err error) {
	for m, err := range snapshot.Messages(t.Context(), s, e) {
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
	return all, nil
}

// TestMessagesOfALongRecipe has more of them than an entry has room for, and
// one of its pages lost.
func TestMessagesOfALongRecipe(t *testing.T) {
	s := newStore()
	var in []snapshot.Item
	for _, it := range pieces(3000, 1) {
		it.Piece.Cut, it.Piece.Head = false, true
		in = append(in, it)
	}
	e := snapshot.Entry{Kind: snapshot.File, Messages: 3000, Recipe: recipe(t, s, in)}
	e.Size = e.Recipe.Length()
	got, err := messagesOf(t, s, &e)
	if err != nil || len(got) != 3000 {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	offset := uint64(0)
	for i, m := range got {
		if m.Offset != offset || m.Size != uint64(in[i].Piece.Size) || m.Head != in[i].Piece {
			t.Fatalf("message %d: %+v at %d", i, m, offset)
		}
		offset += m.Size
	}
	for range snapshot.Messages(t.Context(), s, &e) {
		break // which is no more than asked for
	}
	for id := range s.pages {
		if id != e.Recipe.Long.Root {
			delete(s.pages, id)
		}
	}
	if got, err := messagesOf(t, s, &e); err == nil {
		t.Errorf("%d messages without the pages", len(got))
	}
}
