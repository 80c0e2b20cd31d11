package model

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"restante/backup"
	"restante/gc"
	"restante/internal/torture"
	"restante/mailstore"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/storage/local"
	"restante/verify"
)

// A crowd is processes that use one repository on a disk, each with a store, a
// cache and a handle of its own.
type crowd struct {
	t      *testing.T
	dir    string
	unlock seal.Unlocker

	mu   sync.Mutex // guards the following
	want map[seal.Session]map[string]string
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{t: t, dir: t.TempDir(), want: map[seal.Session]map[string]string{}}
	file, recipient, err := seal.NewIdentity("for a test")
	must(t, err)
	c.unlock, err = seal.Identities(file)
	must(t, err)
	store, err := local.Create(c.path("repository"))
	must(t, err)
	must(t, repo.Create(t.Context(), store, repo.CreateOptions{Chunker: polynomial, Label: "test",
		Lock: func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) }}))
	must(t, store.Close())
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *crowd) path(name string) string { return filepath.Join(c.dir, name) }

// with opens the repository as the process of this name does.
func (c *crowd) with(name string, fn func(*repo.Repository) error) error {
	store, err := local.Open(c.path("repository"))
	if err != nil {
		return err
	}
	r, err := repo.Open(c.t.Context(), store, repo.OpenOptions{CacheDir: c.path("cache-" + name), Unlock: c.unlock})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return errors.Join(fn(r), r.Close(), store.Close())
}

// backup backs the store of this name up.
func (c *crowd) backup(name string) error {
	dir := c.path("mail-" + name)
	files, err := content(dir)
	if err != nil {
		return err
	}
	store, err := mailstore.Detect(c.t.Context(), []string{dir}, mailstore.Options{})
	if err != nil {
		return err
	}
	return c.with(name, func(r *repo.Repository) error {
		result, err := backup.Run(c.t.Context(), r, backup.Options{Store: store, Name: "mail", Host: name, User: "root", Program: "model",
			CacheDir: c.path("cache-" + name), Compression: repo.Fastest, AllowShrink: true, Jobs: 2})
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.want[seal.Session(result.Session)] = files
		return nil
	})
}

// forget forgets each snapshot with a probability.
func (c *crowd) forget(rng *rand.Rand, chance float64) error {
	return c.with("forget", func(r *repo.Repository) error {
		var err error
		for id := range c.want {
			if rng.Float64() < chance {
				err = errors.Join(err, r.Forget(c.t.Context(), id, "root"))
				delete(c.want, id)
			}
		}
		return err
	})
}

func (c *crowd) prune() error {
	return c.with("prune", func(r *repo.Repository) error {
		_, err := gc.Prune(c.t.Context(), r, gc.Options{User: "root", CacheDir: c.path("cache-prune")})
		return err
	})
}

func (c *crowd) check(name string) error {
	return c.with(name, func(r *repo.Repository) error {
		report, err := verify.Check(c.t.Context(), r, verify.Options{ReadData: true})
		if err == nil && len(report.Findings) > 0 {
			err = fmt.Errorf("a check found %+v", report.Findings)
		}
		return err
	})
}

// restore restores these snapshots, and holds them against what they have to be.
func (c *crowd) restore(want map[seal.Session]map[string]string) error {
	return c.with("restore", func(r *repo.Repository) error {
		all, err := r.Snapshots(c.t.Context(), nil)
		if err != nil {
			return err
		}
		found := 0
		for _, o := range all {
			files, wanted := want[o.ID]
			if !wanted {
				continue
			}
			found++
			record, err := snapshot.DecodeSnapshot(o.Payload)
			if err != nil {
				return err
			}
			got, err := restoredFiles(c.t.Context(), r, record, c.dir)
			if err != nil {
				return err
			}
			if !maps.Equal(got, files) {
				return fmt.Errorf("snapshot %s is restored with %d files, which are not the %d that it has", o.ID, len(got), len(files))
			}
		}
		if found != len(want) {
			return fmt.Errorf("of %d snapshots %d are listed", len(want), found)
		}
		return nil
	})
}

// Four backups and a prune at once, and a check and a restore beside them: each
// comes to a good end, and afterwards all that was saved is there.
func TestTogether(t *testing.T) {
	rng := rand.New(rand.NewPCG(torture.Seed(t), 3))
	c := newCrowd(t)
	rounds := torture.Rounds(12, 60)
	for round := range rounds {
		must(t, c.forget(rng, 0.4))
		before := maps.Clone(c.want)
		work := map[string]func() error{"prune": c.prune, "check": func() error { return c.check("check") }}
		for n := range clients {
			name := fmt.Sprint("mx", n)
			must(t, writeMail(c.path("mail-"+name), rng.IntN(1<<18)))
			work[name] = func() error { return c.backup(name) }
		}
		var late error // of a reader, from which without grace a pack may be taken
		work["restore"] = func() error { late = c.restore(before); return nil }
		var wg sync.WaitGroup
		for name, fn := range work {
			wg.Go(func() {
				if err := fn(); err != nil {
					t.Errorf("round %d, %s: %v", round, name, err)
				}
			})
		}
		wg.Wait()
		if late != nil {
			must(t, c.restore(before))
		}
		must(t, c.check("check"))
		must(t, c.restore(c.want))
		if t.Failed() {
			return
		}
	}
	torture.Report(t, "%d rounds of 4 backups, a prune, a check and a restore at once; %d snapshots at the end", rounds, len(c.want))
}
