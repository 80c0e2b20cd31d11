package model

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/verify"
)

// prefix is how many bytes a pack has before its clumps, without which none opens.
const prefix = 1184

// harm is what was done to the repository, and what was lost by it.
type harm struct {
	unhealed bool
	noted    int              // in which step the last damage was noted: who begins later has to know of it
	alone    bool             // nothing else went on when the damage came, and until it was healed
	lost     map[blob.ID]bool // pieces and pages of which no sound copy was left

	clumps map[blob.ID]map[uint32]bool  // the damaged ones of packs, by their offsets
	dirs   map[blob.ID][]repo.ClumpInfo // of all packs, from before they were damaged
	whole  map[blob.ID]bool             // packs that are there, and named by the index
	naming map[string][]blob.ID         // the packs that each index object names
}

func newHarm() harm {
	return harm{lost: map[blob.ID]bool{}, clumps: map[blob.ID]map[uint32]bool{}, dirs: map[blob.ID][]repo.ClumpInfo{}}
}

// damage flips a byte of an object, or deletes it: a pack, an index object or a
// snapshot. It waits until what was damaged before is healed, and no prune is at
// work, which deletes what it takes for a second copy. With every second number
// all clients come to an end before, and somebody heals at once.
func (w *world) damage(arg int) error {
	alone := arg&1 == 0
	for _, c := range w.clients {
		if alone {
			if err := w.goOn(c, -1); err != nil {
				return err
			}
		}
	}
	if w.harm.unhealed || w.busy("prune", "heal", "end dead") {
		return nil
	}
	name, size, err := w.victim(arg >> 1)
	if err != nil || name == "" {
		return err
	}
	w.note("  damage to %s", name)
	at, gone := int64(arg>>4)*7919%size, arg>>3&1 == 0
	b := w.harm.breaks(name, gone)
	w.harm.unhealed, w.harm.noted = true, math.MaxInt
	for _, c := range w.clients {
		if c.op != nil {
			c.op.lenient = true
		}
	}
	data, err := w.store.Get(w.ctx, name, 0, -1, nil)
	if err != nil {
		return err
	}
	err = w.store.Delete(w.ctx, name)
	if err == nil && !gone {
		data[at] ^= 1 << (arg % 8)
		err = w.store.Put(w.ctx, name, data)
	}
	if err != nil {
		return err
	}
	if err := w.hurt(name, at, gone); err != nil {
		return err
	}
	if err := w.wantFound(b); err != nil {
		return err
	}
	w.tried["damage"]++
	if w.harm.alone = alone && len(w.dead) == 0; w.harm.alone {
		w.heal(w.clients[arg>>2%clients], 0)
		return w.goOn(w.clients[arg>>2%clients], -1)
	}
	return nil
}

// hurt notes what is lost with a byte of an object, or with the whole.
func (w *world) hurt(name string, at int64, gone bool) error {
	if text, ok := strings.CutPrefix(name, "snapshots/"); ok {
		id, err := seal.ParseSession(text)
		if err != nil {
			return err
		}
		w.kept[id].broken = true
		if gone {
			w.kept[id].state = no
			w.dead = append(w.dead, id) // it looks as if its session went on
		}
	}
	if text, ok := strings.CutPrefix(name, "packs/"); ok {
		if err := w.harm.pack(text[3:], at, gone); err != nil {
			return err
		}
	}
	for _, k := range w.kept {
		k.hurt = k.hurt || k.needs == nil || len(w.lacking(k, w.lost)) > 0
	}
	return nil
}

// victim chooses the object to be damaged, and sees what there is before.
func (w *world) victim(arg int) (name string, size int64, err error) {
	part := []string{"packs/", "packs/", "index/", "snapshots/"}[arg%4]
	sizes := map[string]int64{}
	err = w.store.List(w.ctx, part, func(name string, size int64) error {
		if text, ok := strings.CutPrefix(name, "snapshots/"); ok {
			id, err := seal.ParseSession(text)
			if k := w.kept[id]; k == nil || !isListed(k) || err != nil {
				return err
			}
		}
		sizes[name] = size
		return nil
	})
	if err != nil || len(sizes) == 0 {
		return "", 0, err
	}
	names := slices.Sorted(maps.Keys(sizes))
	name = names[arg/4%len(names)]
	return name, sizes[name], w.look(func(r *repo.Repository) error {
		return errors.Join(w.harm.see(w.ctx, r), w.repaired(r), w.know(r))
	})
}

// see notes what is in which pack, what leads there, and what has been stored again that was lost.
func (h *harm) see(ctx context.Context, r *repo.Repository) error {
	h.whole, h.naming = map[blob.ID]bool{}, map[string][]blob.ID{}
	err := r.EachPack(ctx, func(id blob.ID, _ uint32) { h.whole[id] = true })
	if err != nil {
		return err
	}
	heads, err := r.IndexObjects(ctx)
	if err != nil {
		return err
	}
	for _, head := range heads {
		h.naming["index/"+head.ID.String()] = head.Packs
	}
	there := map[blob.ID]bool{}
	err = r.EachObject(ctx, "packs/", func(name string, size int64) error {
		id, err := blob.ParseID(name[len("packs/00/"):])
		if err != nil {
			return err
		}
		there[id] = true
		if h.dirs[id] == nil {
			h.dirs[id], _ = r.Directory(ctx, id, size) // of what was damaged before, none
		}
		return nil
	})
	maps.DeleteFunc(h.whole, func(id blob.ID, _ bool) bool { return !there[id] })
	h.found()
	return err
}

// pack notes what is lost with a byte of a pack, or with the whole.
func (h *harm) pack(name string, at int64, gone bool) error {
	id, err := blob.ParseID(name)
	if err != nil {
		return err
	}
	if h.clumps[id] == nil {
		h.clumps[id] = map[uint32]bool{}
	}
	for _, c := range h.dirs[id] {
		if gone || at < prefix || at >= int64(c.Offset) && at < int64(c.Offset)+int64(c.Length) {
			h.clumps[id][c.Offset] = true
			for _, p := range c.Pieces {
				h.lost[p.ID] = true
			}
		}
	}
	h.found()
	return nil
}

// found takes away from what is lost that of which there is a sound copy.
func (h *harm) found() {
	for id := range h.whole {
		for _, c := range h.dirs[id] {
			for _, p := range c.Pieces {
				if !h.clumps[id][c.Offset] {
					delete(h.lost, p.ID)
				}
			}
		}
	}
}

// mayLack reports whether a snapshot may lack a file: something that it needs
// was lost, and its session could not know.
func (w *world) mayLack(k *kept, path string) bool {
	return k.lacks[path] || w.lost(k, path)
}

// lost reports whether something of a file was lost of which the snapshot does not say so itself.
func (w *world) lost(k *kept, path string) bool {
	isLost := func(id blob.ID) bool { return w.harm.lost[id] }
	switch {
	case k.began > w.harm.noted:
		return false
	case k.needs == nil:
		return len(w.harm.lost) > 0
	}
	return slices.ContainsFunc(k.pages, isLost) || slices.ContainsFunc(k.needs[path], isLost)
}

// lacking returns the files of a snapshot of which something may be missing.
func (w *world) lacking(k *kept, missing func(*kept, string) bool) map[string]bool {
	lacks := map[string]bool{}
	for path := range k.files {
		if missing(k, path) {
			lacks[path] = true
		}
	}
	return lacks
}

// tainted reports whether there is a snapshot, or may come one, that may lack
// something and says nothing of it.
func (w *world) tainted() bool {
	for _, k := range w.kept {
		if k.state != no && !k.forgotten && (k.op != nil && k.began <= w.harm.noted && len(w.harm.lost) > 0 || len(w.lacking(k, w.lost)) > 0) {
			return true
		}
	}
	return false
}

// healed takes into account that somebody has healed.
func (w *world) healed(h *healing) error {
	if err := w.look(w.repaired); err != nil {
		return err
	}
	var err error
	if w.harm.alone {
		err = w.exact(h.then)
	}
	w.harm.unhealed, w.harm.noted = false, min(w.harm.noted, w.step)
	return errors.Join(err, w.inspect())
}

// repaired notes which snapshots have taken the place of others, and what they may lack.
func (w *world) repaired(r *repo.Repository) error {
	return r.EachSnapshot(w.ctx, func(o repo.SnapshotObject, err error) error {
		if err != nil {
			return err
		}
		record, err := snapshot.DecodeSnapshot(o.Payload)
		if old := w.kept[seal.Session(record.Repaired)]; err == nil && w.kept[o.ID] == nil && old != nil {
			w.kept[o.ID] = &kept{files: old.files, began: w.step, state: yes, lacks: w.lacking(old, w.mayLack)}
		}
		return err
	})
}

// exact holds what a check says is lost against what is.
func (w *world) exact(report *verify.Report) error {
	lost := map[string]bool{}
	for id, k := range w.kept {
		if k.state != yes || k.broken || k.forgotten && !report.Loses(id.String()) {
			continue
		}
		if k.needs == nil || slices.ContainsFunc(k.pages, func(id blob.ID) bool { return w.harm.lost[id] }) {
			return nil // of pages that are gone a check can tell only how many files they had
		}
		lacks := w.lacking(k, w.lost)
		maps.Copy(lost, lacks)
		if report.Loses(id.String()) != (len(lacks) > 0) {
			return fmt.Errorf("snapshot %s has lost %q, and a check says that it has lost something: %t", id, slices.Collect(maps.Keys(lacks)), report.Loses(id.String()))
		}
	}
	told := map[string]bool{}
	for _, f := range report.Findings {
		for _, name := range f.Lost.Files.First {
			told[name] = true
		}
	}
	if !maps.Equal(lost, told) {
		return fmt.Errorf("there are lost %q, and a check says %q", slices.Sorted(maps.Keys(lost)), slices.Sorted(maps.Keys(told)))
	}
	return nil
}
