package model

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/verify"
)

// A broken object is what has just been damaged, before anybody repairs anything.
type broken struct {
	name   string
	gone   bool             // else a byte is another
	index  bool             // it is an index object
	named  bool             // a pack that an index object names
	hidden map[blob.ID]bool // pieces and pages that only this index object leads to
}

// breaks tells what depends on an object. It is asked while the object is whole.
func (h *harm) breaks(name string, gone bool) *broken {
	b := &broken{name: name, gone: gone, index: h.naming[name] != nil, hidden: map[blob.ID]bool{}}
	for id := range h.whole {
		b.named = b.named || repo.PackName(id) == name
	}
	if !b.index {
		return b
	}
	named := map[blob.ID]bool{} // by others
	for other, packs := range h.naming {
		for _, id := range packs {
			named[id] = named[id] || other != name
		}
	}
	for _, keep := range []bool{false, true} {
		for id := range h.whole {
			for _, c := range h.dirs[id] {
				for _, p := range c.Pieces {
					switch {
					case !keep && !named[id]:
						b.hidden[p.ID] = true
					case keep && named[id] && !h.clumps[id][c.Offset]:
						delete(b.hidden, p.ID)
					}
				}
			}
		}
	}
	return b
}

// wantFound checks the repository with b in it, and restores all snapshots: the check
// names b, if anything can show that it was damaged; what does not depend on it
// is restored identically; and what cannot be restored is what the check says is lost.
func (w *world) wantFound(b *broken) error {
	if b.index {
		if err := w.look(func(r *repo.Repository) error { return w.wantAround(r, b) }); err != nil {
			return fmt.Errorf("reading around %s: %w", b.name, err)
		}
	}
	return w.look(func(r *repo.Repository) error {
		report, err := verify.Check(w.ctx, r, verify.Options{ReadData: true, NoMark: true})
		if err != nil {
			return err
		}
		found := slices.ContainsFunc(report.Findings, func(f verify.Finding) bool { return f.Object == b.name })
		if !found && (!b.gone || b.named) { // an object that is gone, and that nothing names, leaves no trace
			return fmt.Errorf("%s was damaged (gone: %t), and a check finds %+v", b.name, b.gone, report.Findings)
		}
		if !b.index || b.gone {
			return w.wantLost(r, b, report)
		}
		// Who does more than read, and has not read the object before it was damaged, waits until the index is repaired.
		if err := r.EachPack(w.ctx, func(blob.ID, uint32) {}); !errors.As(err, new(*repo.DamageError)) {
			return fmt.Errorf("%s is damaged, and reading the index: %v", b.name, err)
		}
		return w.without(r, b, func(r *repo.Repository) error { return w.wantLost(r, b, report) })
	})
}

// wantAround restores all snapshots though an index object is damaged or gone: nothing is lost by that.
func (w *world) wantAround(r *repo.Repository, b *broken) error {
	r.ReadAround()
	return r.EachSnapshot(w.ctx, func(o repo.SnapshotObject, err error) error {
		if err != nil || w.kept[o.ID] == nil {
			return err
		}
		record, err := snapshot.DecodeSnapshot(o.Payload)
		if err == nil {
			_, err = w.failing(r, o.ID, &broken{name: b.name}, record)
		}
		return err
	})
}

// without opens the repository once more, with an index that lacks b, as a check does.
func (w *world) without(r *repo.Repository, b *broken, fn func(*repo.Repository) error) error {
	dir, err := os.MkdirTemp(w.dir, "without")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var names []blob.ID
	err = r.EachObject(w.ctx, "index/", func(name string, _ int64) error {
		if name == b.name {
			return nil
		}
		id, err := blob.ParseID(name[len("index/"):])
		names = append(names, id)
		return err
	})
	if err != nil {
		return err
	}
	others, err := r.WithIndex(w.ctx, dir, names)
	if err != nil {
		return err
	}
	return errors.Join(fn(others), others.Close())
}

// wantLost holds what can be restored beside b against the map, and against a check.
func (w *world) wantLost(r *repo.Repository, b *broken, report *verify.Report) error {
	failing, silent, pages := map[string]bool{}, map[string]bool{}, false
	for id, k := range w.kept {
		if k.forgotten && report.Loses(id.String()) {
			maps.Copy(silent, w.lacking(k, func(*kept, string) bool { return true })) // a check names what it has lost, and nobody restores it
		}
	}
	err := r.EachSnapshot(w.ctx, func(o repo.SnapshotObject, err error) error {
		k := w.kept[o.ID]
		if err != nil || k == nil {
			return nil // that it cannot be read is found
		}
		record, err := snapshot.DecodeSnapshot(o.Payload)
		if err != nil {
			return err
		}
		fails, err := w.failing(r, o.ID, b, record)
		if err != nil {
			return err
		}
		maps.Copy(silent, k.lacks)
		if w.missesPage(k, b) {
			pages = true // which files they list cannot be told
			return nil
		}
		maps.Copy(failing, fails)
		if loses := report.Loses(o.ID.String()); loses != (len(fails) > 0) && (len(k.lacks) == 0 || len(fails) > 0) {
			return fmt.Errorf("%q of snapshot %s cannot be restored, and a check says that it has lost something: %t", slices.Sorted(maps.Keys(fails)), o.ID, loses)
		}
		return nil
	})
	if err != nil || pages {
		return err
	}
	told := map[string]bool{}
	for _, f := range report.Findings {
		for _, name := range f.Lost.Files.First {
			told[name] = true
		}
	}
	for name := range failing {
		if !told[name] {
			return fmt.Errorf("%q cannot be restored, and a check says that %q are lost", name, slices.Sorted(maps.Keys(told)))
		}
	}
	for name := range told {
		if !failing[name] && !silent[name] {
			return fmt.Errorf("a check says that %q is lost, and it is restored: %q are not", name, slices.Sorted(maps.Keys(failing)))
		}
	}
	return nil
}

// failing restores a snapshot beside b, and returns which of its files that fails for. It is
// an error if one of these depends on nothing that was damaged, or if one is other than it was.
func (w *world) failing(r *repo.Repository, id seal.Session, b *broken, record *snapshot.Snapshot) (map[string]bool, error) {
	k := w.kept[id]
	fails := map[string]bool{}
	got, err := restoredFiles(w.ctx, r, record, w.dir)
	if err != nil && !w.missesPage(k, b) {
		return nil, fmt.Errorf("restoring snapshot %s: %w", id, err)
	}
	for path, data := range k.files {
		text, there := got[path]
		switch {
		case there && text != data:
			return nil, fmt.Errorf("snapshot %s: %q is other than it was", id, path)
		case !there && !w.mayLack(k, path) && !w.hides(k, path, b):
			return nil, fmt.Errorf("snapshot %s: %q has nothing to do with %s, and cannot be restored", id, path, b.name)
		case !there && !k.lacks[path]:
			fails[path] = true
		}
	}
	return fails, nil
}

// hides reports whether a file needs anything that only b leads to.
func (w *world) hides(k *kept, path string, b *broken) bool {
	isHidden := func(id blob.ID) bool { return b.hidden[id] }
	return len(b.hidden) > 0 && (k.needs == nil || slices.ContainsFunc(k.pages, isHidden) || slices.ContainsFunc(k.needs[path], isHidden))
}

// missesPage reports whether a page of a snapshot may be missing.
func (w *world) missesPage(k *kept, b *broken) bool {
	return k.needs == nil || slices.ContainsFunc(k.pages, func(id blob.ID) bool { return w.harm.lost[id] || b.hidden[id] })
}

// know learns what each snapshot needs that is listed, while that can be read.
func (w *world) know(r *repo.Repository) error {
	return r.EachSnapshot(w.ctx, func(o repo.SnapshotObject, err error) error {
		k := w.kept[o.ID]
		if err != nil || k == nil {
			return err
		}
		record, err := snapshot.DecodeSnapshot(o.Payload)
		return errors.Join(err, w.learnFrom(r, k, record))
	})
}

// isThere reports whether all that a snapshot needs is in packs that are there, and named by
// the index, be they under a mark.
func (w *world) isThere(k *kept) (is bool, err error) {
	err = w.look(func(r *repo.Repository) error {
		if err := w.harm.see(w.ctx, r); err != nil {
			return err
		}
		there := map[blob.ID]bool{}
		for id := range w.harm.whole {
			for _, c := range w.harm.dirs[id] {
				for _, p := range c.Pieces {
					there[p.ID] = true
				}
			}
		}
		is = k.needs != nil && !slices.ContainsFunc(k.pages, func(id blob.ID) bool { return !there[id] })
		for _, ids := range k.needs {
			is = is && !slices.ContainsFunc(ids, func(id blob.ID) bool { return !there[id] })
		}
		return nil
	})
	return is, err
}
