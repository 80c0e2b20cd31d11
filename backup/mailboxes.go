package backup

import (
	"cmp"
	"context"
	"slices"

	"restante/mailstore"
	"restante/snapshot"
)

// mailboxes writes the map of mailboxes. Those that are left out are not in it.
func (rec *recorder) mailboxes(ctx context.Context, boxes []mailstore.Mailbox) (snapshot.Root, error) {
	roots, err := rootsOf(rec.run.opts.Store.Roots)
	if err != nil {
		return snapshot.Root{}, err
	}
	keys := make([]snapshot.Key, len(roots))
	for _, r := range roots {
		keys[r.index] = r.key
	}
	b := snapshot.NewMailboxBuilder(rec.pages, rec.run.repo.PieceKey())
	for _, box := range boxes {
		m := snapshot.Mailbox{Name: box.Name, Aliases: box.Aliases, Component: box.Component, Ranges: rangesOf(keys, box.Places)}
		if rec.excluded(m.Ranges) {
			continue
		}
		for _, f := range box.Folders {
			if ranges := rangesOf(keys, f.Places); !rec.excluded(ranges) {
				m.Folders = append(m.Folders, snapshot.Folder{Name: f.Name, Ranges: ranges})
			}
		}
		if err := b.Add(ctx, &m); err != nil {
			return snapshot.Root{}, err
		}
	}
	return b.Finish(ctx)
}

// excluded reports whether all that ranges hold is left out.
func (rec *recorder) excluded(ranges []snapshot.Range) bool {
	kept := func(r snapshot.Range) bool { return !rec.run.opts.Exclude.Match(r.From.Path()) }
	return len(ranges) > 0 && !slices.ContainsFunc(ranges, kept)
}

// rangesOf turns places of a store into ranges of keys, ascending.
func rangesOf(roots []snapshot.Key, places []mailstore.Place) []snapshot.Range {
	var out []snapshot.Range
	for _, p := range places {
		key := below(roots[p.Root], p.Path)
		ranges := []snapshot.Range{snapshot.Subtree(key)}
		if p.Form == mailstore.NoDotDirs {
			// Everything below but names that begin with a dot. "/" sorts next
			// after "." and is in no name.
			ranges = without(ranges, snapshot.Range{From: child(key, "."), To: child(key, "/")})
		}
		for _, except := range p.Except {
			ranges = without(ranges, snapshot.Subtree(below(roots[p.Root], except)))
		}
		out = append(out, ranges...)
	}
	slices.SortFunc(out, func(a, b snapshot.Range) int { return cmp.Compare(a.From, b.From) })
	return out
}

// without cuts a hole into ranges.
func without(ranges []snapshot.Range, hole snapshot.Range) []snapshot.Range {
	var out []snapshot.Range
	for _, r := range ranges {
		if r.To != "" && r.To <= hole.From || hole.To != "" && hole.To <= r.From {
			out = append(out, r)
			continue
		}
		if r.From < hole.From {
			out = append(out, snapshot.Range{From: r.From, To: hole.From})
		}
		if hole.To != "" && (r.To == "" || hole.To < r.To) {
			out = append(out, snapshot.Range{From: hole.To, To: r.To})
		}
	}
	return out
}

// below returns the key of a path below a root.
func below(root snapshot.Key, path string) snapshot.Key {
	key, err := snapshot.KeyOf(path)
	if err != nil || key == "" {
		return root
	}
	return child(root, string(key))
}
