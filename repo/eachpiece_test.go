package repo_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"restante/blob"
	"restante/repo"
)

// located stores pieces, in several clumps, and returns where they lie.
func located(t *testing.T, pieces [][]byte) (*repo.Repository, []repo.Located) {
	t.Helper()
	f := newFixture(t)
	s := begin(t, f.open(t))
	ids := slices.Concat(save(t, s, blob.Text, pieces[:len(pieces)/2]...), save(t, s, blob.Head, pieces[len(pieces)/2:]...))
	if err := s.Commit(t.Context(), payload("first")); err != nil {
		t.Fatal(err)
	}
	r := f.open(t)
	var all []repo.Located
	for _, id := range ids {
		places, err := r.Places(t.Context(), []blob.ID{id})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, repo.Located{ID: id, Place: places[0]})
	}
	return r, all
}

// Each piece is told once: its bytes, or why it cannot be read, which is not
// true of those beside it.
func TestEachPiece(t *testing.T) {
	pieces := randomPieces(300, 4)
	r, all := located(t, pieces)
	const wrong = 7
	all[wrong].ID[0]++
	told := make([]int, len(all))
	var mu sync.Mutex
	err := r.EachPiece(t.Context(), all, func(i int, data []byte, err error) error {
		mu.Lock()
		defer mu.Unlock()
		told[i]++
		switch damage := (*repo.DamageError)(nil); {
		case i == wrong && !errors.As(err, &damage):
			t.Errorf("a piece that is nowhere reads as %x, %v", data, err)
		case i != wrong && (err != nil || !bytes.Equal(data, pieces[i])):
			t.Errorf("piece %d reads as %d bytes, %v", i, len(data), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range told {
		if n != 1 {
			t.Errorf("piece %d was told %d times", i, n)
		}
	}
	if err := r.EachPiece(t.Context(), nil, nil); err != nil {
		t.Errorf("no pieces: %v", err)
	}
}

func TestEachPieceStops(t *testing.T) {
	r, all := located(t, randomPieces(300, 5))
	stop := errors.New("stop")
	if err := r.EachPiece(t.Context(), all, func(int, []byte, error) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the caller's error became %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := r.EachPiece(ctx, all, func(_ int, _ []byte, err error) error {
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled in the middle it returns %v", err)
	}
	if err := r.EachPiece(ctx, all, func(int, []byte, error) error { return stop }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before it began it returns %v", err)
	}
}
