package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"restante/blob"
	"restante/gc"
	"restante/repo"
	"restante/restore"
	"restante/seal"
	"restante/snapshot"
	"restante/verify"
)

// look opens the repository as it is at this moment, on a machine that knows nothing of it.
func (w *world) look(fn func(*repo.Repository) error) error {
	cache, err := os.MkdirTemp(w.dir, "look")
	if err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	r, err := repo.Open(w.ctx, w.store, repo.OpenOptions{CacheDir: cache, Unlock: w.owner, Warn: log.New(io.Discard, "", 0)})
	if err != nil {
		return err
	}
	return errors.Join(fn(r), r.Close())
}

// inspect holds what is there against the model: that all snapshots are listed
// that have to be, and no others, and that each restores identically.
func (w *world) inspect() error {
	if w.harm.unhealed {
		return nil
	}
	return w.look(func(r *repo.Repository) error {
		if err := w.repaired(r); err != nil {
			return err
		}
		if err := w.recall(r); err != nil {
			return err
		}
		listed := map[seal.Session]bool{}
		err := r.EachSnapshot(w.ctx, func(o repo.SnapshotObject, err error) error {
			if err != nil {
				return err
			}
			listed[o.ID] = true
			record, err := snapshot.DecodeSnapshot(o.Payload)
			if err != nil {
				return err
			}
			k := w.kept[o.ID]
			if k == nil || k.state == no || k.forgotten {
				return fmt.Errorf("snapshot %s is listed, of which the model knows %+v", o.ID, k)
			}
			return w.restored(r, o.ID, record)
		})
		for id, k := range w.kept {
			if err == nil && isListed(k) && !listed[id] {
				err = fmt.Errorf("snapshot %s is not listed, of step %d", id, k.began)
			}
			if k.state == perhaps && k.op == nil { // it crashed, and nothing will come of it any more
				k.state = no
				if listed[id] {
					k.state = yes
				}
			}
		}
		return err
	})
}

// recall finds out what of that which was lost has been stored again, and forgets
// all that was lost when nobody can refer to it any more.
func (w *world) recall(r *repo.Repository) error {
	if len(w.harm.lost) == 0 {
		return nil
	}
	if err := w.harm.see(w.ctx, r); err != nil {
		return err
	}
	if !w.tainted() {
		clear(w.harm.lost)
	}
	return nil
}

// restored restores a snapshot and compares it with what it has to hold. What is
// known to be lost need not be there, and nothing may be other than it was.
func (w *world) restored(r *repo.Repository, id seal.Session, record *snapshot.Snapshot) error {
	k := w.kept[id]
	if err := w.learnFrom(r, k, record); err != nil {
		return fmt.Errorf("snapshot %s: %w", id, err)
	}
	got, err := restoredFiles(w.ctx, r, record, w.dir)
	if err != nil {
		return fmt.Errorf("restoring snapshot %s: %w", id, err)
	}
	for _, path := range slices.Sorted(maps.Keys(k.files)) {
		data, there := got[path]
		switch {
		case there && data == k.files[path]:
		case there:
			return fmt.Errorf("snapshot %s of step %d: %q is other than it was", id, k.began, path)
		case !w.mayLack(k, path):
			return fmt.Errorf("snapshot %s of step %d: %q cannot be restored", id, k.began, path)
		}
		delete(got, path)
	}
	if len(got) > 0 {
		return fmt.Errorf("snapshot %s of step %d has %q, too", id, k.began, slices.Collect(maps.Keys(got)))
	}
	return nil
}

// restoredFiles restores a snapshot, as far as that can be done, and returns the files.
func restoredFiles(ctx context.Context, r *repo.Repository, record *snapshot.Snapshot, temp string) (map[string]string, error) {
	dir, err := os.MkdirTemp(temp, "restored")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	_, err = restore.Run(ctx, r, snapshot.OpenTree(r, record.Tree), r.PieceKey(), restore.Options{Target: dir, NoOwner: true,
		Parts: []restore.Part{{Ranges: []snapshot.Range{{}}, Path: snapshot.Key.Path}}})
	if err != nil {
		return nil, err
	}
	return content(dir)
}

// learn reads what a snapshot that has just been made needs.
func (w *world) learn(id seal.Session) error {
	return w.look(func(r *repo.Repository) error {
		return r.EachSnapshot(w.ctx, func(o repo.SnapshotObject, err error) error {
			if err != nil || o.ID != id {
				return nil // of what is damaged healing tells
			}
			record, err := snapshot.DecodeSnapshot(o.Payload)
			if err != nil {
				return err
			}
			return w.learnFrom(r, w.kept[id], record)
		})
	})
}

// learnFrom notes which pieces and pages a snapshot needs, unless it is known.
// Where something has been lost it may not be found out.
func (w *world) learnFrom(r *repo.Repository, k *kept, record *snapshot.Snapshot) error {
	if k.needs != nil {
		return nil
	}
	needs, pages := map[string][]blob.ID{}, []blob.ID(nil)
	var walk func(id blob.ID, level uint8) error
	walk = func(id blob.ID, level uint8) error {
		pages = append(pages, id)
		data, err := r.LoadPage(w.ctx, id)
		if err != nil {
			return err
		}
		return errors.Join(err, snapshot.References(data, level, func(id blob.ID, level uint8, _ bool) { err = errors.Join(err, walk(id, level)) }, func(blob.ID) {}), err)
	}
	err := errors.Join(walk(record.Tree.ID, record.Tree.Level), walk(record.Mailboxes.ID, record.Mailboxes.Level))
	for rec, failed := range snapshot.OpenTree(r, record.Tree).All(w.ctx, snapshot.Range{}) {
		if err = errors.Join(err, failed); failed != nil || rec.Entry.Kind != snapshot.File {
			continue
		}
		ids := []blob.ID{}
		for it, failed := range snapshot.Items(w.ctx, r, &rec.Entry.Recipe, 0) {
			if err = errors.Join(err, failed); failed != nil {
				break
			}
			ids = append(ids, piecesOf(&it.Item)...)
		}
		needs[rec.Key.Path()] = ids
	}
	if err == nil {
		k.needs, k.pages = needs, pages
	} else if len(w.harm.lost) > 0 || w.harm.unhealed {
		err = nil
	}
	return err
}

func piecesOf(it *snapshot.Item) (ids []blob.ID) {
	switch it.Kind {
	case snapshot.PieceItem:
		ids = append(ids, it.Piece.ID)
	case snapshot.Base64Item:
		for _, p := range it.Base64.Pieces {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// content reads all files below a folder.
func content(dir string) (map[string]string, error) {
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(rel)] = string(data)
		return err
	})
	return all, err
}

// end heals what is damaged, lets everything go that is not needed, and looks
// whether all that is left is whole.
func (w *world) end() error {
	c := w.clients[0]
	for range 10 {
		w.harm.unhealed = w.harm.unhealed || w.tainted()
		if !w.harm.unhealed {
			break
		}
		w.step++
		w.heal(c, 0)
		if err := w.goOn(c, -1); err != nil {
			return err
		}
	}
	if w.harm.unhealed {
		return errors.New("what was damaged cannot be healed")
	}
	for range 3 {
		w.step++
		w.prune(c, 0)
		if err := w.goOn(c, -1); err != nil {
			return err
		}
	}
	return w.look(func(r *repo.Repository) error {
		report, err := verify.Check(w.ctx, r, verify.Options{ReadData: true})
		if err == nil && len(report.Findings) > 0 {
			err = fmt.Errorf("at the end a check finds %+v", report.Findings)
		}
		return err
	})
}

// elsewhere takes the process of a session for one of another machine: all clients are in this one.
func elsewhere(*repo.Intent) bool { return false }

// endDead has a prune take all sessions for dead that have crashed. It may fail
// later, for what is damaged.
func (w *world) endDead(c *client) {
	o := &op{name: "end dead"}
	const ages = 100 * 365 * 24 * time.Hour // so that nothing else is done
	id := w.dead[0]
	w.dead = w.dead[1:]
	w.begin(c, o, true, func(r *repo.Repository) error {
		_, err := gc.Prune(w.ctx, r, gc.Options{User: "root", CacheDir: c.cache, MaxUnused: 100, MinAge: ages, MinAgeLeft: ages, Grace: ages, Drop: []string{id.String()}, Lives: elsewhere})
		return err
	})
	o.ended = func(err error) error {
		isDamage := errors.As(err, new(*repo.DamageError)) || errors.Is(err, repo.ErrMissingPiece) || errors.Is(err, snapshot.ErrDamaged)
		if err == nil || o.crashed || isDamage || errors.Is(err, gc.ErrUnknownSession) || errors.Is(err, repo.ErrPruning) || errors.As(err, new(*repo.LockedError)) {
			return nil
		}
		return fmt.Errorf("ending a session: %w", err)
	}
}
