package snapshot

import (
	"context"
	"errors"
	"hash"
	"hash/fnv"
	"iter"
)

// ErrUnmarked says that a file holds several messages by its entry, and that its
// recipe does not say where they begin: those of a dbox have no header when
// Dovecot has compressed them.
var ErrUnmarked = errors.New("its recipe does not mark where its messages begin")

// A MessageAt is one message of a file.
type MessageAt struct {
	Offset uint64 // of its first byte in the file
	Size   uint64 // in bytes: to where the next one begins or the file ends, and so with what an mbox or dbox keeps between them

	// Head begins with the message's header, of a long one with its first lines.
	// What follows in the piece is the message's too, or the space between two.
	// Its Size is 0 if the message does not begin with a piece.
	Head Piece

	// Rest is a hash of what follows Head in the recipe, up to the last piece: the
	// literals behind that may belong to the message that comes next. Of two messages that were cut by
	// one version of the cutter and begin with the same Head it says whether they are the same.
	Rest uint64
}

// Messages ranges over the messages of a file in the order in which they lie in
// it: of an mbox or dbox all that have a header, of a Maildir, or where the file is one
// message, that one. It reads no pieces, and pages only of a long recipe; to know who wrote
// what, read the pieces Head names, and nothing else. It ends with the first
// error, which is [ErrUnmarked] or one of the loader.
func Messages(ctx context.Context, loader Loader, e *Entry) iter.Seq2[MessageAt, error] {
	return func(yield func(MessageAt, error) bool) {
		var at MessageAt // the message that has begun, if one has
		var first Piece  // of the file, if it begins with one
		begun := false
		rest := newRestHash()
		for it, err := range Items(ctx, loader, &e.Recipe, 0) {
			if err != nil {
				yield(MessageAt{}, err)
				return
			}
			if it.Offset == 0 {
				first = it.Piece
			}
			if !it.Piece.Head {
				if it.Offset > 0 { // else it is Head
					rest.add(&it.Item)
				}
				continue
			}
			at.Size, at.Rest = it.Offset-at.Offset, rest.sum
			rest = newRestHash()
			if begun && !yield(at, nil) {
				return
			}
			begun, at = true, MessageAt{Offset: it.Offset, Head: it.Piece}
		}
		if !begun && e.Messages > 1 {
			yield(MessageAt{}, ErrUnmarked)
			return
		}
		if !begun {
			at.Head = first
		}
		if begun || e.Messages == 1 {
			at.Size, at.Rest = e.Size-at.Offset, rest.sum
			yield(at, nil)
		}
	}
}

// A restHash computes MessageAt.Rest.
type restHash struct {
	hash.Hash64        // of all
	sum         uint64 // up to the last piece, without the literals behind it
}

func newRestHash() restHash {
	h := fnv.New64a()
	return restHash{h, h.Sum64()}
}

func (h *restHash) add(it *Item) {
	switch it.Kind {
	case LiteralItem:
		h.Write(it.Literal)
		return
	case Base64Item:
		h.Write(it.Base64.RawHash[:])
	default:
		h.Write(it.Piece.ID[:])
	}
	h.sum = h.Sum64()
}
