package main

import (
	"context"
	"slices"
	"strings"

	"restante/restore"
	"restante/snapshot"
)

// parts says what is to be restored where: the whole tree when no mailbox is
// named, else each mailbox below a folder of its name.
func (o *opened) parts(ctx context.Context, s listed, names []string) ([]restore.Part, error) {
	if len(names) == 0 {
		return []restore.Part{{Ranges: []snapshot.Range{{}}, Path: snapshot.Key.Path}}, nil
	}
	tree := o.tree(s)
	var parts []restore.Part
	at := map[string]int{} // mailbox to index in parts
	for _, query := range names {
		m, folder, err := o.findMailbox(ctx, s, query)
		if err != nil {
			return nil, err
		}
		i, known := at[m.Name]
		if !known {
			home, err := homeOf(ctx, tree, m.Ranges)
			if err != nil {
				return nil, err
			}
			i = len(parts)
			at[m.Name] = i
			parts = append(parts, restore.Part{Path: below(folderName(m.Name), home)})
		}
		ranges := m.Ranges
		if folder != nil {
			ranges = folder.Ranges
		}
		parts[i].Ranges = union(parts[i].Ranges, ranges)
	}
	return parts, nil
}

// homeOf returns the deepest folder that holds all of the ranges.
func homeOf(ctx context.Context, tree *snapshot.Tree, ranges []snapshot.Range) (snapshot.Key, error) {
	var home snapshot.Key
	for i, r := range ranges {
		top := strings.TrimSuffix(string(r.From), "\x00")
		entry, found, err := tree.Get(ctx, snapshot.Key(top))
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		folder := found && entry.Kind == snapshot.Dir
		if err != nil { // the tree is damaged there, and the rest is to be restored
			folder = r == snapshot.Subtree(snapshot.Key(top))
		}
		if !folder { // a file, or the middle of a folder
			top = parentOf(top)
		}
		if i == 0 {
			home = snapshot.Key(top)
		}
		for !snapshot.Subtree(home).Contains(snapshot.Key(top)) {
			home = snapshot.Key(parentOf(string(home)))
		}
	}
	return home, nil
}

func parentOf(key string) string { return key[:max(strings.LastIndexByte(key, 0), 0)] }

// below returns the path of a key in home as one in the folder name.
func below(name string, home snapshot.Key) func(snapshot.Key) string {
	return func(k snapshot.Key) string {
		rest := strings.TrimPrefix(string(k), string(home))
		if rest = strings.TrimPrefix(snapshot.Key(rest).Path(), "/"); rest == "" {
			return name
		}
		return name + "/" + rest
	}
}

// folderName returns a mailbox's name as the name of one folder. Names that
// this program made are; a repository may hold others.
func folderName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '/' || r == 0 {
			return '_'
		}
		return r
	}, name)
	if name == "" || name == "." || name == ".." {
		return "_" + name
	}
	return name
}

// union returns the ranges of both, ascending and not overlapping.
func union(a, b []snapshot.Range) []snapshot.Range {
	all := append(slices.Clone(a), b...)
	slices.SortFunc(all, func(x, y snapshot.Range) int { return strings.Compare(string(x.From), string(y.From)) })
	var out []snapshot.Range
	for _, r := range all {
		last := len(out) - 1
		if last < 0 || out[last].To != "" && out[last].To < r.From {
			out = append(out, r)
			continue
		}
		if out[last].To != "" && (r.To == "" || r.To > out[last].To) {
			out[last].To = r.To
		}
	}
	return out
}

// wanted adds up what the parts hold, as far as it is known: what is damaged
// the restore meets itself.
func (o *opened) wanted(ctx context.Context, s listed, parts []restore.Part) (snapshot.Counts, error) {
	var sum snapshot.Counts
	for _, p := range parts {
		c, err := count(ctx, o.tree(s), p.Ranges)
		if err != nil && !isLocal(ctx, err) {
			return sum, err
		}
		if !sum.Add(c) {
			return sum, snapshot.ErrDamaged
		}
	}
	return sum, nil
}
