package repair_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"restante/snapshot"
	"restante/storage"
	"restante/storage/mem"
	"restante/verify"
)

// A copying is a storage of which a copy is taken, a folder at a time, while it is
// written to.
type copying struct {
	storage.Store
	t    *testing.T
	into *mem.Store

	mu      sync.Mutex // guards the following
	folders []string   // that are still to be copied
	at      []int      // after how many changes
	changes int
}

func (c *copying) Put(ctx context.Context, name string, data []byte) error {
	err := c.Store.Put(ctx, name, data)
	c.changed()
	return err
}

func (c *copying) Stage(ctx context.Context) (storage.Staged, error) {
	s, err := c.Store.Stage(ctx)
	return copyingStaged{s, c}, err
}

type copyingStaged struct {
	storage.Staged
	c *copying
}

func (s copyingStaged) Commit(ctx context.Context, name string) error {
	err := s.Staged.Commit(ctx, name)
	s.c.changed()
	return err
}

// changed copies the folders whose time has come.
func (c *copying) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for len(c.at) > 0 && c.at[0] <= c.changes {
		c.folder(c.folders[0])
		c.folders, c.at = c.folders[1:], c.at[1:]
	}
}

func (c *copying) folder(name string) {
	err := c.Store.List(context.Background(), name+"/", func(name string, _ int64) error {
		data, err := c.Store.Get(context.Background(), name, 0, -1, nil)
		if err != nil {
			return err
		}
		return c.into.Put(context.Background(), name, data)
	})
	if err != nil {
		c.t.Error(err)
	}
}

// backUpAndCopy makes the third backup, and meanwhile a copy in this order.
func (f *fixture) backUpAndCopy(t *testing.T, folders []string, at []int) (into *mem.Store, changes int) {
	t.Helper()
	c := &copying{Store: f.clone(t), t: t, into: mem.New(), folders: folders, at: at}
	during := &fixture{store: c, unlock: f.unlock, files: f.files}
	during.backup(t, 3)
	for _, folder := range c.folders {
		c.folder(folder)
	}
	return c.into, c.changes
}

// A plain copy that is taken during a backup opens, and each snapshot in it can be
// read, or a check names it. In the order snapshots, index, packs all can be read.
func TestCopiesTakenDuringABackup(t *testing.T) {
	f := newFixture(t)
	safe := []string{"config", "keys", "snapshots", "index", "damaged", "intents", "packs"}
	_, changes := f.backUpAndCopy(t, slices.Clone(safe), make([]int, len(safe)))
	if changes < 5 {
		t.Fatalf("a backup makes %d changes", changes)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	incomplete := 0
	copies := 60
	if testing.Short() {
		copies = 6
	}
	for n := range copies {
		order := slices.Clone(safe)
		if n%2 == 1 {
			rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		at := make([]int, len(order))
		for i := range at {
			at[i] = rng.IntN(changes + 2)
		}
		slices.Sort(at)
		t.Run(fmt.Sprint(strings.Join(order, " "), at), func(t *testing.T) {
			into, _ := f.backUpAndCopy(t, order, slices.Clone(at))
			bad := f.wantReadableOrNamed(t, into)
			if n%2 == 0 && bad > 0 {
				t.Errorf("in the safe order %d snapshots are incomplete", bad)
			}
			incomplete += bad
		})
	}
	if incomplete == 0 && !testing.Short() {
		t.Error("no order made an incomplete snapshot, so nothing was tried")
	}
}

// wantReadableOrNamed checks that of all snapshots in a copy everything can be
// read, but for those that a check names. It returns how many it names.
func (f *fixture) wantReadableOrNamed(t *testing.T, store storage.Store) (named int) {
	t.Helper()
	report, err := verify.Check(t.Context(), f.open(t, store), verify.Options{ReadData: true})
	must(t, err)
	// A reader of the copy sees what its next backup would take up, and no more.
	r := f.open(t, store)
	all, err := r.Snapshots(t.Context(), nil)
	must(t, err)
	for _, o := range all {
		rec, err := snapshot.DecodeSnapshot(o.Payload)
		must(t, err)
		files := f.files[rec.Started.Sec]
		got := contents(t, r, rec.Tree)
		whole := len(got) == len(files)
		for name, data := range files {
			whole = whole && got[name] == string(data)
		}
		loses := report.Loses(o.ID.String())
		if loses {
			named++
		}
		if loses == whole {
			t.Errorf("snapshot %d (%s): all of it can be read: %t; a check names it: %t", rec.Started.Sec, path.Base(o.ID.String()), whole, loses)
		}
	}
	return named
}
