package snapshot

import (
	"fmt"

	"restante/blob"
)

// References tells what a page of any kind refers to, with no look at what its
// parent says of it: it calls page for each page below it, with the level of that,
// and piece for each piece of a file. list says that the page is one of a recipe's
// list, which a leaf of entries refers to at any level. The errors are about data
// that is no page of this level; they wrap [ErrDamaged].
func References(data []byte, level uint8, page func(id blob.ID, level uint8, list bool), piece func(blob.ID)) error {
	if len(data) < pageHeader {
		return fmt.Errorf("reading a page: %w: it is shorter than its header", ErrDamaged)
	}
	var err error
	switch data[0] {
	case entryTree.tag:
		err = references(&format[Entry]{entryTree, parseTreeEntry, (*Entry).Counts}, data, level, page, func(e *Entry) { e.references(page, piece) })
	case mailboxTree.tag:
		err = references(&format[Mailbox]{mailboxTree, parseMailbox, mailboxCounts}, data, level, page, func(*Mailbox) {})
	case itemList.tag:
		err = references(&format[Item]{itemList, parseListItem, itemCounts}, data, level, page, func(it *Item) { it.references(piece) })
	default:
		err = fmt.Errorf("it belongs to a tree of kind %d", data[0])
	}
	if err != nil {
		return fmt.Errorf("reading a page: %w: %w", ErrDamaged, err)
	}
	return nil
}

func references[V any](f *format[V], data []byte, level uint8, page func(blob.ID, uint8, bool), value func(*V)) error {
	p, err := parsePage(f, data)
	if err != nil {
		return err
	}
	if p.level != int(level) {
		return fmt.Errorf("it is at level %d, not %d", p.level, level)
	}
	for i := range p.children {
		page(p.children[i].id, level-1, !f.kind.keyed)
	}
	for i := range p.values {
		value(&p.values[i])
	}
	return nil
}

func (e *Entry) references(page func(blob.ID, uint8, bool), piece func(blob.ID)) {
	if l := e.Recipe.Long; l != nil {
		page(l.Root, l.Level, true)
	}
	for i := range e.Recipe.Items {
		e.Recipe.Items[i].references(piece)
	}
}

func (it *Item) references(piece func(blob.ID)) {
	switch it.Kind {
	case PieceItem:
		piece(it.Piece.ID)
	case Base64Item:
		for i := range it.Base64.Pieces {
			piece(it.Base64.Pieces[i].ID)
		}
	}
}
