package model

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"restante/internal/torture"
)

// run plays a history in a new world.
func run(ctx context.Context, dir string, h history) (w *world, err error) {
	dir, err = os.MkdirTemp(dir, "world")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if w, err = newWorld(ctx, dir); err == nil {
		err = w.play(h)
	}
	return w, err
}

// Whatever clients do to a repository in whatever order, wherever they are
// stopped or crash, whatever their clocks say and whatever is damaged: each
// snapshot that is listed restores identically, but for what is known to be lost.
func TestModel(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays histories by many clients, one call at a time")
	}
	seed := torture.Seed(t)
	histories, steps := torture.Rounds(14, 700), 80
	tried := map[string]int{}
	for n := range histories {
		h := generate(rand.New(rand.NewPCG(seed, uint64(n))), steps)
		w, err := run(t.Context(), t.TempDir(), h)
		if err != nil {
			report(t, h, err)
		}
		for name, times := range w.tried {
			tried[name] += times
		}
	}
	torture.Report(t, "%d histories of %d steps by %d clients; came to their end: %v", histories, steps, clients, tried)
	for _, name := range append(slices.Collect(maps.Keys(operations)), "damage") {
		if tried[name] == 0 && torture.Long() {
			t.Errorf("no %s came to its end", name)
		}
	}
}

// report makes a history that failed as short as it gets, and prints it.
func report(t *testing.T, h history, err error) {
	t.Helper()
	var last *world
	short := shrink(h, 150, func(h history) bool {
		for range 2 { // what a backup's goroutines do at once is not always the same
			w, failed := run(t.Context(), t.TempDir(), h)
			if failed != nil {
				last, err = w, failed
				return true
			}
		}
		return false
	})
	trace := ""
	if last != nil {
		trace = strings.Join(last.trace, "\n")
	}
	t.Fatalf("%v\nafter %d steps, of %d:\n%v\n%s", err, len(short), len(h), short, trace)
}

// Of a history that fails the steps are left that it takes.
func TestShrink(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	h := generate(rng, 100)
	guilty := history{h[17], h[18], h[70]}
	asked := 0
	short := shrink(h, 1000, func(h history) bool {
		asked++
		for _, s := range guilty {
			if !slices.Contains(h, s) {
				return false
			}
		}
		return true
	})
	if !slices.Equal(short, guilty) {
		t.Errorf("after %d tries there are left\n%v", asked, short)
	}
	if fmt.Sprint(guilty[0]) == "" || !strings.Contains(short.String(), guilty[2].String()) {
		t.Errorf("it is printed as %q", short)
	}
}
