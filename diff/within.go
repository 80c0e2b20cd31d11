package diff

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"restante/blob"
	"restante/snapshot"
)

// A Part is what happened to one message of a file that holds several.
type Part struct {
	Kind   Kind                // Added, Removed or Changed
	Before *snapshot.MessageAt // nil if it was added
	After  *snapshot.MessageAt // nil if it was removed
}

// A Source reads what Within needs.
type Source interface {
	snapshot.Loader
	// MessageIDs returns the Message-IDs in pieces with which messages begin,
	// "" where there is none or the piece cannot be read. The IDs are sorted and
	// come once.
	MessageIDs(ctx context.Context, heads []blob.ID) ([]string, error)
}

// Within finds out which messages came, went and were changed in the files of
// several messages that changed. A message is the same if it begins with the
// same piece, which has its header, and has the same pieces behind that, if these
// were cut by one version; where some came and some went in one file, the
// headers of these are read, and those with one Message-ID, or one piece, are one message that
// was changed: programs keep flags there. It costs the recipes of these files
// and the headers of such messages. Of a file whose recipes do not say where
// messages begin nothing is found out. The error is that of ctx or of src, else
// the first of a recipe that cannot be read.
func Within(ctx context.Context, src Source, changes []Change) error {
	var damage error
	var heads []blob.ID
	for i := range changes {
		c := &changes[i]
		if c.After == nil || c.After.entry == nil {
			continue
		}
		err := c.compare(ctx, src)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, snapshot.ErrUnmarked):
		case err != nil:
			damage = cmp.Or(damage, err)
		case c.mixed():
			for _, p := range c.Parts {
				heads = append(heads, p.At().Head.ID)
			}
		}
	}
	slices.SortFunc(heads, blob.ID.Compare)
	heads = slices.Compact(heads)
	if len(heads) == 0 {
		return damage
	}
	names, err := src.MessageIDs(ctx, heads)
	if err != nil {
		return err
	}
	for i := range changes {
		if c := &changes[i]; c.mixed() {
			c.join(func(m *snapshot.MessageAt) string {
				j, _ := slices.BinarySearchFunc(heads, m.Head.ID, blob.ID.Compare)
				return cmp.Or(names[j], "\x00"+string(m.Head.ID[:])) // which is no Message-ID
			})
		}
	}
	return damage
}

// At returns where the message is, or was.
func (p *Part) At() *snapshot.MessageAt { return cmp.Or(p.After, p.Before) }

// mixed reports whether messages came and went.
func (c *Change) mixed() bool {
	has := func(k Kind) bool { return slices.ContainsFunc(c.Parts, func(p Part) bool { return p.Kind == k }) }
	return has(Added) && has(Removed)
}

// compare sets Parts to the messages that came and went. Of messages that are the
// same as many are still there as both files have.
func (c *Change) compare(ctx context.Context, loader snapshot.Loader) error {
	type content struct {
		head blob.ID
		rest uint64
	}
	oneVersion := c.Before.entry.Recipe.Cutter == c.After.entry.Recipe.Cutter
	of := func(m *snapshot.MessageAt) content {
		if !oneVersion {
			return content{head: m.Head.ID}
		}
		return content{m.Head.ID, m.Rest}
	}
	left := map[content]int{} // of the messages before
	for m, err := range snapshot.Messages(ctx, loader, c.Before.entry) {
		if err != nil || m.Head.Size == 0 {
			return cmp.Or(err, snapshot.ErrUnmarked)
		}
		left[of(&m)]++
	}
	var parts []Part
	for m, err := range snapshot.Messages(ctx, loader, c.After.entry) {
		switch {
		case err != nil || m.Head.Size == 0:
			return cmp.Or(err, snapshot.ErrUnmarked)
		case left[of(&m)] > 0:
			left[of(&m)]--
		default:
			parts = append(parts, Part{Kind: Added, After: &m})
		}
	}
	for m, err := range snapshot.Messages(ctx, loader, c.Before.entry) {
		if err != nil {
			return err
		}
		if left[of(&m)] > 0 {
			left[of(&m)]--
			parts = append(parts, Part{Kind: Removed, Before: &m})
		}
	}
	c.Parts, c.known = parts, true
	return nil
}

// join makes one change of a message that went and one that came by the same
// Message-ID, in the order in which they lie in the file.
func (c *Change) join(name func(*snapshot.MessageAt) string) {
	gone := map[string][]*snapshot.MessageAt{}
	for _, p := range c.Parts {
		if p.Kind == Removed {
			gone[name(p.Before)] = append(gone[name(p.Before)], p.Before)
		}
	}
	joined := map[*snapshot.MessageAt]bool{}
	for i := range c.Parts {
		p := &c.Parts[i]
		if p.Kind != Added || len(gone[name(p.After)]) == 0 {
			continue
		}
		was := gone[name(p.After)]
		p.Kind, p.Before, gone[name(p.After)] = Changed, was[0], was[1:]
		joined[was[0]] = true
	}
	c.Parts = slices.DeleteFunc(c.Parts, func(p Part) bool { return p.Kind == Removed && joined[p.Before] })
	if c.Before.Messages == 1 && c.After.Messages == 1 && len(c.Parts) == 1 {
		c.Parts = nil // which the change of the file says
	}
}
