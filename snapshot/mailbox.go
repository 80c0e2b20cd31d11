package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"restante/blob"
	"restante/internal/cbor"
)

// Mailbox says what belongs to one account: its whole home in the store.
type Mailbox struct {
	Name      string   // address or name; any bytes, not empty
	Aliases   []string // other names it answers to
	Component string   // "messages" so far
	Ranges    []Range  // ascending, not overlapping
	Folders   []Folder
}

// Folder is what IMAP calls a mailbox. Its Ranges lie in those of its Mailbox.
type Folder struct {
	Name   string // as a person reads it, UTF-8, elements joined by "/"
	Ranges []Range
}

// The encoding of a Mailbox, without its name, which is the key. Part of the
// format. Names and keys are byte strings: they come from a disk.
type wireMailbox struct {
	_         struct{} `cbor:",toarray"`
	Aliases   [][]byte
	Component string
	Ranges    []wireRange
	Folders   []wireFolder
}

type wireFolder struct {
	_      struct{} `cbor:",toarray"`
	Name   []byte
	Ranges []wireRange
}

type wireRange struct {
	_        struct{} `cbor:",toarray"`
	From, To []byte
}

func (m *Mailbox) check() error {
	if m.Name == "" {
		return errors.New("it has no name")
	}
	if len(m.Name) > MaxKey {
		return fmt.Errorf("its name has %d bytes, more than %d: %w", len(m.Name), MaxKey, ErrTooLarge)
	}
	for i, r := range m.Ranges {
		if i > 0 && (m.Ranges[i-1].To == "" || r.From < m.Ranges[i-1].To) {
			return fmt.Errorf("its range from %q is not behind the one before", r.From.Path())
		}
		if err := r.check(); err != nil {
			return err
		}
	}
	for _, f := range m.Folders {
		for _, r := range f.Ranges {
			if err := r.check(); err != nil {
				return fmt.Errorf("folder %q: %w", f.Name, err)
			}
		}
	}
	return nil
}

func (r Range) check() error {
	if r.To != "" && r.To <= r.From {
		return fmt.Errorf("the range from %q to %q is empty", r.From.Path(), r.To.Path())
	}
	return nil
}

func (m *Mailbox) encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	w := wireMailbox{Aliases: toBytes(m.Aliases), Component: m.Component, Ranges: toWire(m.Ranges)}
	for _, f := range m.Folders {
		w.Folders = append(w.Folders, wireFolder{Name: []byte(f.Name), Ranges: toWire(f.Ranges)})
	}
	return cbor.Marshal(&w)
}

func parseMailbox(name Key, r *reader) (Mailbox, error) {
	data := r.rest()
	var w wireMailbox
	if err := cbor.Unmarshal(data, &w); err != nil {
		return Mailbox{}, fmt.Errorf("mailbox %q: %w", name, err)
	}
	m := Mailbox{Name: string(name), Aliases: toStrings(w.Aliases), Component: w.Component, Ranges: fromWire(w.Ranges)}
	for _, f := range w.Folders {
		m.Folders = append(m.Folders, Folder{Name: string(f.Name), Ranges: fromWire(f.Ranges)})
	}
	again, err := m.encode()
	if err == nil && !bytes.Equal(again, data) {
		err = errors.New("it is not in its one encoding")
	}
	if err != nil {
		return Mailbox{}, fmt.Errorf("mailbox %q: %w", name, err)
	}
	return m, nil
}

func toWire(rs []Range) []wireRange {
	var out []wireRange
	for _, r := range rs {
		out = append(out, wireRange{From: []byte(r.From), To: []byte(r.To)})
	}
	return out
}

func fromWire(rs []wireRange) []Range {
	var out []Range
	for _, r := range rs {
		out = append(out, Range{From: Key(r.From), To: Key(r.To)})
	}
	return out
}

func toBytes(ss []string) [][]byte {
	var out [][]byte
	for _, s := range ss {
		out = append(out, []byte(s))
	}
	return out
}

func toStrings(bs [][]byte) []string {
	var out []string
	for _, b := range bs {
		out = append(out, string(b))
	}
	return out
}

func mailboxCounts(*Mailbox) Counts { return Counts{Entries: 1} }

// A MailboxBuilder makes the map of a snapshot's mailboxes, by name. It
// serves one goroutine.
type MailboxBuilder struct{ m mapBuilder }

// NewMailboxBuilder returns a MailboxBuilder that stores its pages with
// saver. key is the repository's ID key.
func NewMailboxBuilder(saver Saver, key blob.Key) *MailboxBuilder {
	return &MailboxBuilder{newMapBuilder(mailboxTree, saver, key)}
}

// Add adds a mailbox. Names must come strictly ascending, bytewise. Errors
// are as those of [Builder.Add].
func (b *MailboxBuilder) Add(ctx context.Context, m *Mailbox) error {
	value, err := m.encode()
	if err == nil {
		err = b.m.add(ctx, Key(m.Name), value, mailboxCounts(m))
	}
	if err != nil {
		return fmt.Errorf("adding mailbox %q to the snapshot: %w", m.Name, err)
	}
	return nil
}

// Finish stores the last pages and returns the root. The MailboxBuilder is of
// no more use.
func (b *MailboxBuilder) Finish(ctx context.Context) (Root, error) { return b.m.finish(ctx) }

// Mailboxes reads the map of a snapshot's mailboxes, as [Tree] reads entries.
type Mailboxes struct{ t *tree[Mailbox] }

// OpenMailboxes returns the map with this root. It reads nothing yet.
func OpenMailboxes(loader Loader, root Root) *Mailboxes {
	return &Mailboxes{openTree(&format[Mailbox]{mailboxTree, parseMailbox, mailboxCounts}, loader, root)}
}

// Get returns the mailbox with this name, and whether there is one. Aliases
// are not looked at.
func (m *Mailboxes) Get(ctx context.Context, name string) (Mailbox, bool, error) {
	return m.t.get(ctx, Key(name))
}

// All ranges over all mailboxes in bytewise order of their names, with a [*Gap]
// in the place of those that cannot be read, as [Tree.All] does.
func (m *Mailboxes) All(ctx context.Context) iter.Seq2[Mailbox, error] {
	return func(yield func(Mailbox, error) bool) {
		m.t.scan(ctx, m.t.top(), Range{}, func(_ Key, mb *Mailbox) bool { return yield(*mb, nil) },
			func(err error) bool { return yield(Mailbox{}, err) })
	}
}
