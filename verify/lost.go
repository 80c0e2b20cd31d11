package verify

import (
	"context"
	"slices"
	"sort"

	"restante/blob"
	"restante/snapshot"
)

// nobody is what people are told for files of no mailbox.
const nobody = "(other)"

// A keyRange is the keys that a page had which cannot be read.
type keyRange struct {
	after, last snapshot.Key
	bound       bool // nothing up to after is in it
	all         bool // it has no end
}

func (k keyRange) meets(r snapshot.Range) bool {
	return (k.all || r.From <= k.last) && (!k.bound || r.To == "" || r.To > k.after)
}

// maxRanges is how many ranges a finding keeps.
const maxRanges = 1000

// loseRange adds all that is on a page and below it to what is lost.
func (c *checker) loseRange(f *finding, p ref) {
	if !f.damaged {
		return
	}
	f.unnamed += p.counts.Files
	if len(f.ranges) < maxRanges {
		f.ranges = append(f.ranges, keyRange{after: p.after, last: p.last, bound: p.bound, all: p.isRoot})
	}
}

// attribute finds the snapshots and mailboxes that what is lost belongs to.
func (c *checker) attribute(ctx context.Context) error {
	memo := map[blob.ID][]*finding{}
	told := map[mapFinding]bool{}
	for i := range c.snapshots {
		s := &c.snapshots[i]
		if f := c.maps[s.mailboxes]; f != nil && f.damaged {
			f.snapshots.add(s.id)
		}
		if len(c.hit) == 0 {
			continue
		}
		root := rootRef(s.root)
		found, err := c.below(ctx, memo, &root)
		if err != nil {
			return err
		}
		for _, f := range found {
			if !f.damaged {
				continue
			}
			f.snapshots.add(s.id)
			at := mapFinding{s.mailboxes, f}
			if told[at] {
				continue
			}
			told[at] = true
			if err := c.owners(ctx, s, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// A mapFinding is a finding whose owners were looked for in a map of mailboxes.
type mapFinding struct {
	root snapshot.Root
	f    *finding
}

// below returns the findings because of which something on a page, or below
// it, is lost. memo holds what it returned for interior pages.
func (c *checker) below(ctx context.Context, memo map[blob.ID][]*finding, p *ref) ([]*finding, error) {
	own := c.hit[p.id]
	if p.level == 0 || len(own) > 0 { // an interior page is only hit itself if it cannot be read
		return own, nil
	}
	if found, ok := memo[p.id]; ok {
		return found, nil
	}
	data, err := c.r.LoadPage(ctx, p.id)
	if err != nil {
		return nil, err
	}
	kids, err := p.children(data)
	if err != nil {
		return nil, err
	}
	var found []*finding
	for i := range kids {
		more, err := c.below(ctx, memo, &kids[i])
		if err != nil {
			return nil, err
		}
		for _, f := range more {
			if !slices.Contains(found, f) {
				found = append(found, f)
			}
		}
	}
	memo[p.id] = found
	return found, nil
}

// owners finds the mailboxes in the snapshot that what the finding lost
// belongs to.
func (c *checker) owners(ctx context.Context, s *tree, f *finding) error {
	if c.maps[s.mailboxes] != nil {
		return nil // the map cannot be read either
	}
	keys := make([]snapshot.Key, 0, len(f.keys))
	for k := range f.keys {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	owned := make([]bool, len(keys))
	for m, err := range snapshot.OpenMailboxes(c.r, s.mailboxes).All(ctx) {
		if err != nil {
			return err
		}
		for _, r := range m.Ranges {
			from := sort.Search(len(keys), func(i int) bool { return keys[i] >= r.From })
			i := from
			for ; i < len(keys) && r.Contains(keys[i]); i++ {
				owned[i] = true
			}
			if i > from || slices.ContainsFunc(f.ranges, func(lost keyRange) bool { return lost.meets(r) }) {
				f.mailboxes.add(m.Name)
			}
		}
	}
	if slices.Contains(owned, false) {
		f.mailboxes.add(nobody)
	}
	return nil
}
