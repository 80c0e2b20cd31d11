package diff_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/diff"
	"restante/snapshot"
)

// A letter is a message of an mbox: its Message-ID, what else is in its header, and
// its body if that is one of its own.
type letter struct{ id, rest, body string }

func (l letter) head() blob.ID { return blob.NameOf([]byte(l.id + " " + l.rest)) }

// heads is a source that knows the Message-IDs of letters.
type heads struct {
	pages
	ids  map[blob.ID]string
	read int
}

func (h *heads) MessageIDs(_ context.Context, ids []blob.ID) (names []string, err error) {
	if !slices.IsSortedFunc(ids, blob.ID.Compare) {
		return nil, errors.New("they are not sorted")
	}
	for _, id := range ids {
		names = append(names, h.ids[id])
		h.read++
	}
	return names, nil
}

// mbox returns the entry of an mbox with these letters, each with a body behind its header.
func (h *heads) mbox(letters []letter) snapshot.Entry {
	e := snapshot.Entry{Kind: snapshot.File, Messages: uint64(len(letters)), Recipe: snapshot.Recipe{Cutter: 1}}
	for _, l := range letters {
		h.ids[l.head()] = l.id
		e.Recipe.Items = append(e.Recipe.Items, snapshot.Item{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: l.head(), Size: 100, Head: true}},
			snapshot.Item{Kind: snapshot.LiteralItem, Literal: []byte("hello\n\n")})
		if l.body != "" {
			e.Recipe.Items = append(e.Recipe.Items, snapshot.Item{Kind: snapshot.PieceItem, Piece: snapshot.Piece{ID: blob.NameOf([]byte(l.body)), Size: 1000}})
		}
	}
	e.Size = e.Recipe.Length()
	return e
}

// between compares two states of a file.
func (h *heads) between(t *testing.T, before, after snapshot.Entry) (diff.Change, diff.Sums) {
	t.Helper()
	tree := func(e snapshot.Entry) *snapshot.Tree {
		b := snapshot.NewBuilder(h.pages, testKey)
		if err := b.Add(t.Context(), "inbox", &e); err != nil {
			t.Fatal(err)
		}
		root, err := b.Finish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return snapshot.OpenTree(h.pages, root)
	}
	changes, err := diff.Between(t.Context(), tree(before), tree(after), []snapshot.Range{{}}, blob.NewHasher(testKey))
	if err == nil {
		err = diff.Within(t.Context(), h, changes)
	}
	if err != nil || len(changes) != 1 {
		t.Fatalf("%d changes, %v", len(changes), err)
	}
	var sums diff.Sums
	sums.Add(&changes[0])
	sums.Bytes = 0
	return changes[0], sums
}

func newHeads() *heads { return &heads{pages: pages{}, ids: map[blob.ID]string{}} }

func TestWithin(t *testing.T) {
	a, b, c, same := letter{id: "a"}, letter{id: "b"}, letter{id: "c"}, letter{rest: "no ID"}
	long, other := letter{id: "d", body: "one"}, letter{id: "d", body: "two"}
	seen := func(l letter) letter { return letter{id: l.id, rest: "Status: RO"} }
	for _, tt := range []struct {
		name          string
		before, after []letter
		want          string // kinds and offsets
		sums          diff.Sums
		read          int
	}{
		{"came", []letter{a}, []letter{a, b, c}, "added +107, added +214", diff.Sums{Added: 2}, 0},
		{"went", []letter{a, b, c}, []letter{b}, "removed -0, removed -214", diff.Sums{Removed: 2}, 0},
		{"as many came as went", []letter{a, b}, []letter{b, c}, "added +107, removed -0", diff.Sums{Added: 1, Removed: 1}, 2},
		{"other flags, and one came", []letter{a, b}, []letter{seen(a), b, c}, "changed -0 +0, added +214", diff.Sums{Changed: 1, Added: 1}, 3},
		{"a copy came", []letter{a, same}, []letter{a, same, same}, "added +214", diff.Sums{Added: 1}, 0},
		{"a copy went", []letter{a, a, b}, []letter{a, b}, "removed -0", diff.Sums{Removed: 1}, 0},
		{"copies got other flags", []letter{a, a}, []letter{seen(a), seen(a), seen(a)}, "changed -0 +0, changed -107 +107, added +214", diff.Sums{Changed: 2, Added: 1}, 2},
		{"no Message-ID", []letter{same, a}, []letter{seen(same), a}, "added +0, removed -0", diff.Sums{Added: 1, Removed: 1}, 2},
		{"another body, and one came", []letter{long, a}, []letter{other, a, b}, "changed -0 +0, added +1214", diff.Sums{Changed: 1, Added: 1}, 2},
		{"another body of what has no Message-ID", []letter{{body: "one"}, a}, []letter{{body: "two"}, a}, "changed -0 +0", diff.Sums{Changed: 1}, 1},
		{"another order", []letter{a, b}, []letter{b, a}, "", diff.Sums{Changed: 1}, 0},
		{"all went", []letter{a}, nil, "removed -0", diff.Sums{Removed: 1}, 0},
		{"one message, other flags", []letter{a}, []letter{seen(a)}, "", diff.Sums{Changed: 1}, 2},
	} {
		h := newHeads()
		change, sums := h.between(t, h.mbox(tt.before), h.mbox(tt.after))
		var got []string
		for _, p := range change.Parts {
			line := string(p.Kind)
			if p.Before != nil {
				line += fmt.Sprintf(" -%d", p.Before.Offset)
			}
			if p.After != nil {
				line += fmt.Sprintf(" +%d", p.After.Offset)
			}
			got = append(got, line)
		}
		if strings.Join(got, ", ") != tt.want || sums != tt.sums || h.read != tt.read {
			t.Errorf("%s: %q, %+v, %d headers read; want %q, %+v, %d", tt.name, got, sums, h.read, tt.want, tt.sums, tt.read)
		}
	}
}

// A file that does not say where its messages begin has only their number.
func TestWithinWhatIsNotMarked(t *testing.T) {
	h := newHeads()
	change, sums := h.between(t, entry(5), entry(3))
	if len(change.Parts) > 0 || sums != (diff.Sums{Removed: 2}) {
		t.Errorf("%+v, %+v", change.Parts, sums)
	}
	owner := h.mbox([]letter{{id: "a"}, {id: "b"}})
	other := owner
	other.UID = 7
	if change, sums := h.between(t, owner, other); len(change.Parts) > 0 || sums != (diff.Sums{Changed: 1}) {
		t.Errorf("another owner: %+v, %+v", change.Parts, sums)
	}
}

// Another version of the cutter may cut the same body into other pieces.
func TestWithinOtherCuts(t *testing.T) {
	h := newHeads()
	before := h.mbox([]letter{{id: "a", body: "cut so"}})
	after := h.mbox([]letter{{id: "a", body: "and so"}, {id: "b"}})
	after.Recipe.Cutter++
	if change, sums := h.between(t, before, after); len(change.Parts) != 1 || sums != (diff.Sums{Added: 1}) {
		t.Errorf("%+v, %+v", change.Parts, sums)
	}
}

// TestWithinNights lets mboxes change at random, and counts along.
func TestWithinNights(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		h := newHeads()
		var before, after []letter
		var want diff.Sums
		for i := range 1 + rng.IntN(60) {
			l := letter{id: fmt.Sprint(i)}
			before = append(before, l)
			switch rng.IntN(6) {
			case 0:
				want.Removed++
				continue
			case 1:
				l.rest = "Status: R"
				want.Changed++
			}
			after = append(after, l)
		}
		for i := range rng.IntN(20) {
			after = append(after, letter{id: fmt.Sprint("new ", i)})
			want.Added++
		}
		if want == (diff.Sums{}) {
			continue
		}
		if _, got := h.between(t, h.mbox(before), h.mbox(after)); got != want {
			t.Fatalf("round %d: %+v, want %+v", round, got, want)
		}
	}
}
