// Package diff says what happened to the mail of a store between two snapshots:
// which messages came and went, were moved, or got other flags. It costs what
// changed and not what there is.
//
// Two paths are one message when they lie in the same Maildir and have the same
// base name, or, where that leaves some over, when they hold the same bytes: a
// program that moves a message gives it another name. A message that is in both
// snapshots and in one of them twice was copied, and its copy came or went.
//
// Between reads trees only. Within says the same of the messages in an mbox or
// mdbox, of which it reads the recipes and some headers.
package diff

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"restante/blob"
	"restante/mailstore"
	"restante/snapshot"
)

// A Kind says what happened.
type Kind string

// The kinds of changes.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Flagged Kind = "flagged" // a message got other flags, or was seen: it has another name in the same Maildir
	Moved   Kind = "moved"   // a message lies in another folder
	Changed Kind = "changed" // by the same name: other bytes, owner, permissions or time
)

// A File is what one of the snapshots has of a path.
type File struct {
	Key      snapshot.Key
	Kind     snapshot.Kind
	Size     uint64
	Mtime    snapshot.Time
	Messages uint64 // 1 for a message in a file of its own, n for an mbox

	content blob.ID         // of messages of Maildirs
	entry   *snapshot.Entry // of changed mail in no Maildir
}

// Flags returns the flags in the name of a message of a Maildir.
func (f *File) Flags() string {
	if _, name, ok := f.message(); ok {
		return mailstore.Flags(name)
	}
	return ""
}

// message splits the path of a message of a Maildir.
func (f *File) message() (maildir, name string, ok bool) {
	if f.Kind != snapshot.File || f.Messages != 1 {
		return "", "", false
	}
	return mailstore.SplitMessage(f.Key.Path())
}

// A Change is what happened to one path, or to one message.
type Change struct {
	Kind   Kind
	Before *File  // nil if it was added
	After  *File  // nil if it was removed
	Parts  []Part // of a file of several messages, from Within: the added and changed ones, then the removed ones

	known bool // Parts are
}

// Mail reports whether the change is one of messages.
func (c *Change) Mail() bool {
	return c.Before != nil && c.Before.Messages > 0 || c.After != nil && c.After.Messages > 0
}

// Key returns where the file is, or was.
func (c *Change) Key() snapshot.Key {
	if c.After != nil {
		return c.After.Key
	}
	return c.Before.Key
}

// Between returns what happened in the ranges between two snapshots, in the
// order of the keys. h hashes with the repository's ID key. With an error that
// wraps a [*snapshot.Gap] the changes are those that can be known. It keeps some
// hundred bytes of each change in memory.
func Between(ctx context.Context, before, after *snapshot.Tree, ranges []snapshot.Range, h *blob.Hasher) ([]Change, error) {
	p := pairer{hasher: h}
	var damage error
	for _, r := range ranges {
		for d, err := range snapshot.Diff(ctx, before, after, r) {
			switch {
			case err == nil:
				p.add(&d)
			case errors.As(err, new(*snapshot.Gap)):
				damage = cmp.Or(damage, err)
			default:
				return nil, err
			}
		}
	}
	return p.changes(), damage
}

// A pairer makes changes out of differences.
type pairer struct {
	hasher         *blob.Hasher
	added, removed []*File
	done           []Change
}

func (p *pairer) add(d *snapshot.Difference) {
	switch {
	case d.Before == nil:
		p.added = append(p.added, p.file(d.Key, d.After))
	case d.After == nil:
		p.removed = append(p.removed, p.file(d.Key, d.Before))
	case !sameFolder(d.Before, d.After):
		c := Change{Kind: Changed, Before: p.file(d.Key, d.Before), After: p.file(d.Key, d.After)}
		if _, _, maildir := c.After.message(); c.Mail() && !maildir && d.Before.Kind == d.After.Kind {
			before, after := *d.Before, *d.After
			c.Before.entry, c.After.entry = &before, &after
		}
		p.done = append(p.done, c)
	}
}

// sameFolder reports whether two entries are of one folder that differs in its
// time alone: whatever comes or goes in it changes that.
func sameFolder(a, b *snapshot.Entry) bool {
	return a.Kind == snapshot.Dir && b.Kind == snapshot.Dir && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID &&
		slices.EqualFunc(a.Xattrs, b.Xattrs, func(x, y snapshot.Xattr) bool { return x.Name == y.Name && string(x.Value) == string(y.Value) })
}

func (p *pairer) file(k snapshot.Key, e *snapshot.Entry) *File {
	f := &File{Key: k, Kind: e.Kind, Size: e.Size, Mtime: e.Mtime, Messages: e.Messages}
	if _, _, ok := f.message(); ok {
		f.content = e.Recipe.ContentHash(p.hasher)
	}
	return f
}

// changes pairs what was removed with what was added.
func (p *pairer) changes() []Change {
	type place struct{ maildir, base string }
	pair(p, Flagged, func(f *File) (place, bool) {
		maildir, name, ok := f.message()
		return place{maildir, mailstore.BaseName(name)}, ok
	})
	pair(p, Moved, func(f *File) (blob.ID, bool) { return f.content, f.content != blob.ID{} })
	for _, f := range p.added {
		p.done = append(p.done, Change{Kind: Added, After: f})
	}
	for _, f := range p.removed {
		p.done = append(p.done, Change{Kind: Removed, Before: f})
	}
	slices.SortFunc(p.done, func(a, b Change) int { return cmp.Compare(a.Key(), b.Key()) })
	return p.done
}

// pair makes changes of what was added and what was removed and has the same
// identity, in the order of the keys.
func pair[T comparable](p *pairer, kind Kind, identity func(*File) (T, bool)) {
	gone := map[T][]int{}
	for i, f := range p.removed {
		if id, ok := identity(f); ok {
			gone[id] = append(gone[id], i)
		}
	}
	p.added = slices.DeleteFunc(p.added, func(f *File) bool {
		id, ok := identity(f)
		if !ok || len(gone[id]) == 0 {
			return false
		}
		i := gone[id][0]
		gone[id] = gone[id][1:]
		p.done = append(p.done, Change{Kind: kind, Before: p.removed[i], After: f})
		p.removed[i] = nil
		return true
	})
	p.removed = slices.DeleteFunc(p.removed, func(f *File) bool { return f == nil })
}
