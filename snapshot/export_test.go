package snapshot

import (
	"fmt"

	"restante/blob"
)

// Seams for the tests outside the package.

const (
	MaxPage   = maxPage
	MaxRecord = maxRecord
)

// NewBuilderOfFan returns a Builder that makes pages of another size.
func NewBuilderOfFan(saver Saver, key blob.Key, fan uint32) *Builder {
	kind := entryTree
	kind.fan = fan
	return &Builder{newMapBuilder(kind, saver, key)}
}

// RewritePage parses a page of any kind and writes it again.
func RewritePage(data []byte) ([]byte, error) {
	if len(data) < pageHeader {
		return nil, fmt.Errorf("no header")
	}
	switch data[0] {
	case entryTree.tag:
		return rewrite(&format[Entry]{entryTree, parseTreeEntry, (*Entry).Counts}, data, func(_ Key, e *Entry) ([]byte, error) { return appendEntry(nil, e) })
	case mailboxTree.tag:
		return rewrite(&format[Mailbox]{mailboxTree, parseMailbox, mailboxCounts}, data, func(_ Key, m *Mailbox) ([]byte, error) { return m.encode() })
	default:
		return rewrite(&format[Item]{itemList, parseListItem, itemCounts}, data, func(_ Key, it *Item) ([]byte, error) { return AppendItem(nil, it) })
	}
}

func rewrite[V any](f *format[V], data []byte, enc func(Key, *V) ([]byte, error)) ([]byte, error) {
	p, err := parsePage(f, data)
	if err != nil {
		return nil, err
	}
	out := []byte{f.kind.tag, byte(p.level)}
	for i := range p.children {
		out = f.kind.appendChild(out, &p.children[i])
	}
	for i := range p.values {
		var key Key
		if f.kind.keyed {
			key = p.keys[i]
		}
		value, err := enc(key, &p.values[i])
		if err != nil {
			return nil, fmt.Errorf("accepted value %d cannot be written: %w", i, err)
		}
		if f.kind.keyed {
			value = appendSized(appendSized(nil, key), value)
		}
		out = append(out, value...)
	}
	return out, nil
}

// ParseRecipe reads a recipe as it stands in an entry.
func ParseRecipe(b []byte) (Recipe, error) {
	r := &reader{b: b}
	out := parseRecipe(r)
	if r.err == nil && len(r.b) > 0 {
		r.fail("bytes left")
	}
	return out, r.err
}

// AppendRecipe writes a recipe as it stands in an entry.
func AppendRecipe(dst []byte, r *Recipe) ([]byte, error) { return appendRecipe(dst, r) }

// WriteChildren makes an interior page of entries, with whatever sums.
func WriteChildren(level byte, keys []Key, roots []Root) []byte {
	out := []byte{entryTree.tag, level}
	for i := range keys {
		out = entryTree.appendChild(out, &child{key: keys[i], id: roots[i].ID, counts: roots[i].Counts})
	}
	return out
}
