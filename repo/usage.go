package repo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// A KindUsage says how much room the objects of one kind take.
type KindUsage struct {
	Kind    string // the folder they lie in: "packs", "index", …; or their whole name
	Objects uint64
	Bytes   uint64
}

// Usage returns how much room the repository takes on its storage, by kind and
// the largest first. It reads no object.
func (r *Repository) Usage(ctx context.Context) ([]KindUsage, error) {
	byKind := map[string]*KindUsage{}
	err := listNames(ctx, r.store, "", func(name string, size int64) error {
		kind, _, _ := strings.Cut(name, "/")
		u := byKind[kind]
		if u == nil {
			u = &KindUsage{Kind: kind}
			byKind[kind] = u
		}
		u.Objects++
		u.Bytes += uint64(max(size, 0))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the repository: %w", err)
	}
	var all []KindUsage
	for _, u := range byKind {
		all = append(all, *u)
	}
	slices.SortFunc(all, func(a, b KindUsage) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Kind, b.Kind))
	})
	return all, nil
}

// Pieces returns how many pieces the index names. A piece in two packs counts
// twice.
func (r *Repository) Pieces(ctx context.Context) (uint64, error) {
	if err := r.syncIndex(ctx); err != nil {
		return 0, err
	}
	return r.index.Count(), nil
}
