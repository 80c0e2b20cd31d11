package verify_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"restante/blob"
	"restante/snapshot"
	"restante/verify"
)

// interiorPages returns some interior pages of real trees.
func interiorPages(t testing.TB) [][]byte {
	t.Helper()
	pages := pageSaver{h: blob.NewHasher(blob.Key{1})}
	b := snapshot.NewBuilder(&pages, blob.Key{1})
	for i := range 5000 {
		e := snapshot.Entry{Kind: snapshot.Dir, Mode: uint32(i % 512)}
		if err := b.Add(t.Context(), snapshot.Key([]byte{'k', byte('0' + i/1000), byte('0' + i/100%10), byte('0' + i/10%10), byte('0' + i%10)}), &e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(pages.interior) < 3 {
		t.Fatalf("there are %d interior pages", len(pages.interior))
	}
	return pages.interior
}

// A pageSaver keeps the interior pages.
type pageSaver struct {
	h        *blob.Hasher
	interior [][]byte
}

// FuzzInterior holds what this package takes for an interior page against what
// package snapshot does.
func FuzzInterior(f *testing.F) {
	for _, page := range interiorPages(f) {
		f.Add(page)
		for at := 1; at < len(page); at += 7 {
			f.Add(flip(page, at))
		}
		f.Add(page[:len(page)-3])
	}
	f.Add([]byte{1, 1})
	id := blob.ID{1}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 || data[1] == 0 {
			return // leaves are read by package snapshot
		}
		sum, err := verify.ParseInterior(data, data[1])
		tree := snapshot.OpenTree(pageSet{id: data}, snapshot.Root{ID: id, Level: data[1], Counts: sum})
		_, theirs := tree.Count(t.Context(), snapshot.Range{}) // which reads the root only
		if data[1] <= 48 && (err == nil) != (theirs == nil) {
			t.Errorf("read as %v here, and %v there", err, theirs)
		}
	})
}

func (p *pageSaver) SavePage(_ context.Context, data []byte) (blob.ID, error) {
	if data[1] > 0 {
		p.interior = append(p.interior, bytes.Clone(data))
	}
	return p.h.Sum(data), nil
}

// pageSet is a loader of some pages.
type pageSet map[blob.ID][]byte

func (p pageSet) LoadPage(_ context.Context, id blob.ID) ([]byte, error) {
	if data, ok := p[id]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("there is no page %v", id)
}
