package snapshot

import (
	"context"
	"fmt"
	"iter"

	"restante/blob"
)

// A RecipeWriter makes recipes of items, one file after the other. A recipe
// that is too long for an entry goes to pages of its own meanwhile, so memory
// does not grow with the file. It serves one goroutine.
type RecipeWriter struct {
	cutter uint8
	pager  *pager
	hash   contentHash
	items  []Item // all so far, while the recipe is short
	short  int    // bytes of their encoding
	count  uint64 // of all items
	enc    []byte
	err    error
}

// NewRecipeWriter returns a RecipeWriter that stores its pages with saver.
// key is the repository's ID key, cutter the version of the rules by which
// the files are cut.
func NewRecipeWriter(saver Saver, key blob.Key, cutter uint8) *RecipeWriter {
	return &RecipeWriter{
		cutter: cutter,
		pager:  newPager(itemList, saver, blob.NewHasher(key.Derive(treeKey))),
		hash:   contentHash{h: blob.NewHasher(key)},
	}
}

// Append adds an item to the recipe. It may keep what the item points to.
// After an error the recipe is lost; Finish reports it again.
func (w *RecipeWriter) Append(ctx context.Context, it Item) error {
	if w.err == nil {
		w.err = w.append(ctx, &it)
	}
	return w.err
}

func (w *RecipeWriter) append(ctx context.Context, it *Item) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("writing a recipe: %w", err)
	}
	enc, err := AppendItem(w.enc[:0], it)
	w.enc = enc[:0]
	if err != nil {
		return fmt.Errorf("writing a recipe: %w", err)
	}
	w.count++
	isShort := w.count == uint64(len(w.items))+1
	if isShort && w.short+len(enc) <= maxInline {
		w.short += len(enc)
		w.items = append(w.items, *it)
		return nil
	}
	for i := range w.items {
		if err := w.list(ctx, &w.items[i]); err != nil {
			return err
		}
	}
	w.items = w.items[:0]
	return w.list(ctx, it)
}

// list adds an item to the pages of a long recipe.
func (w *RecipeWriter) list(ctx context.Context, it *Item) error {
	w.hash.add(it)
	enc, err := AppendItem(w.enc[:0], it)
	w.enc = enc[:0]
	if err != nil {
		return fmt.Errorf("writing a recipe: %w", err)
	}
	var cut []byte // a literal cuts nothing: it is a separator, and may stand a thousand times in a file
	switch it.Kind {
	case PieceItem:
		cut = it.Piece.ID[:]
	case Base64Item:
		cut = it.Base64.Pieces[0].ID[:]
	}
	return w.pager.add(ctx, 0, enc, "", itemCounts(it), cut, true)
}

// Finish returns the recipe of the items since the last Finish. The
// RecipeWriter is ready for the next file, also after an error.
func (w *RecipeWriter) Finish(ctx context.Context) (Recipe, error) {
	defer w.reset()
	out := Recipe{Cutter: w.cutter}
	if w.err != nil {
		return Recipe{}, w.err
	}
	if w.count == uint64(len(w.items)) {
		if len(w.items) > 0 {
			out.Items = append(make([]Item, 0, len(w.items)), w.items...)
		}
		return out, nil
	}
	root, err := w.pager.finish(ctx)
	if err != nil {
		return Recipe{}, err
	}
	out.Long = &Long{Root: root.ID, Level: root.Level, Items: w.count, Size: root.Counts.Bytes, Hash: w.hash.sum()}
	return out, nil
}

func (w *RecipeWriter) reset() {
	clear(w.items)
	w.items, w.short, w.count, w.err = w.items[:0], 0, 0, nil
	w.hash.state, w.hash.block = blob.ID{}, w.hash.block[:0]
	w.pager.reset()
}

func itemCounts(it *Item) Counts { return Counts{Entries: 1, Bytes: it.Length()} }

// ItemAt is an item of a recipe, and the offset in the file where its bytes begin.
type ItemAt struct {
	Item
	Offset uint64
}

// Items ranges over the items of a recipe in order, beginning with the one
// that makes the byte at offset from of the file. It reads pages only of a
// long recipe, and only those it comes to. It ends with the first error.
func Items(ctx context.Context, loader Loader, r *Recipe, from uint64) iter.Seq2[ItemAt, error] {
	return func(yield func(ItemAt, error) bool) {
		if r.Long == nil {
			var at uint64
			for i := range r.Items {
				n := r.Items[i].Length()
				if at+n > from && !yield(ItemAt{r.Items[i], at}, nil) {
					return
				}
				at += n
			}
			return
		}
		l := r.Long
		t := openTree(&format[Item]{itemList, parseListItem, itemCounts}, loader,
			Root{ID: l.Root, Level: l.Level, Counts: Counts{Entries: l.Items, Bytes: l.Size}})
		_, err := t.scanBytes(ctx, t.top(), 0, from, func(at uint64, it *Item) bool { return yield(ItemAt{*it, at}, nil) })
		if err != nil {
			yield(ItemAt{}, err)
		}
	}
}

func parseListItem(_ Key, r *reader) (Item, error) {
	it := parseItem(r)
	return it, r.err
}
