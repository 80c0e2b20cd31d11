package crash

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"time"

	"restante/internal/durable"
	"restante/repair"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
)

// scripts are what is recorded. Each part is done by a process of its own.
var scripts = map[string][]func(*author, keyring){
	"life":    {life},
	"keys":    {changeKeys},
	"repair":  {damageAndRepair},
	"renames": {withoutLinks},
	"killed":  {killedBackup, killedPrune, afterKills},

	// A process is killed when a name is there and before it is durable; another relies on it.
	"pack adopted":       {killedAt("packs/", 1), afterKills},
	"pack of a session":  {killedAt("packs/", 1), killedTombstone, afterKills},
	"pack named":         {killedAt("packs/", 1), repairedIndex},
	"index objects":      {killedAt("index/", 2), sameAgain},
	"forgotten record":   {killedForget, prunedAfterKill},
	"snapshot kept":      {killedAt("snapshots/", 1), otherForgotten},
	"snapshot built on":  {killedAt("snapshots/", 1), afterKills},
	"removed pack":       {killedSweep("packs/"), prunedAfterKill},
	"removed index":      {killedSweep("index/"), prunedAfterKill},
	"prune in two parts": {killedSweep("index/"), sameAgain},
}

// life makes a repository, backs up, forgets and prunes.
func life(a *author, k keyring) {
	a.create("owner", k.lock("owner"))
	a.write("alice", "1", "2", "3", "4")
	a.write("bob", "1", "2")
	first := a.backUp()
	a.expunge("alice", "1", "2")
	a.write("alice", "5")
	a.write("carol", "1")
	second := a.backUp()
	a.expunge("bob", "1", "2")
	a.write("bob", "3")
	third := a.backUp()
	a.forget(first)
	if report := a.clean(); report.Repacked == 0 || report.Deleted == 0 {
		a.t.Errorf("nothing was rewritten: %+v", report)
	}
	a.write("alice", "6")
	a.backUp()
	a.forget(second, third)
	a.takeBack(second)
	a.step("hold", nil, func(r *repo.Repository) {
		session, err := seal.ParseSession(second)
		must(a.t, err)
		for range 2 { // the second takes the first one's place
			_, err = r.Hold(a.t.Context(), repo.Hold{Snapshot: session, Reason: "a test", By: "tester", Made: time.Now()})
			must(a.t, err)
		}
		_, err = r.Release(a.t.Context(), session)
		must(a.t, err)
	}, nil)
	a.expunge("alice", "3", "4", "5", "6")
	last := a.backUp()
	a.forget(second)
	if report := a.clean(); report.Deleted == 0 {
		a.t.Errorf("nothing was deleted: %+v", report)
	}
	a.clean()
	if len(a.now.Committed) != 2 || a.now.Committed[last].Files == nil {
		a.t.Errorf("%d snapshots are left", len(a.now.Committed))
	}
}

// changeKeys adds keys, puts one in another's place, and removes one.
func changeKeys(a *author, k keyring) {
	a.create("owner", k.lock("owner"))
	a.write("alice", "1", "2")
	a.backUp()
	add := func(name string, role seal.Role) func(r *repo.Repository) {
		return func(r *repo.Repository) {
			_, err := r.AddKey(a.t.Context(), role, name, k.lock(name))
			must(a.t, err)
		}
	}
	remove := func(name string) func(r *repo.Repository) {
		return func(r *repo.Repository) {
			for _, key := range r.Keys() {
				if key.Label == name {
					must(a.t, r.RemoveKey(a.t.Context(), key))
				}
			}
		}
	}
	a.step("key add", nil, add("writer", seal.Writer), func(n *note) { n.Keys = []string{"owner", "writer"} })
	// key passwd
	a.step("key passwd, adding", nil, add("new", seal.Owner), func(n *note) { n.Keys = []string{"owner", "writer", "new"} })
	a.unlock = k.unlock("new")
	a.step("key passwd, removing", func(n *note) { n.Keys = []string{"new", "writer"} }, remove("test"),
		func(n *note) { n.Keys, n.NoKeys = []string{"new", "writer"}, []string{"owner"} })
	a.write("alice", "3")
	a.backUp()
	a.step("key remove", func(n *note) { n.Keys = []string{"new"} }, remove("writer"),
		func(n *note) { n.Keys, n.NoKeys = []string{"new"}, []string{"owner", "writer"} })
}

// damageAndRepair damages the index and a pack, and mends what can be mended.
func damageAndRepair(a *author, k keyring) {
	a.create("owner", k.lock("owner"))
	a.write("alice", "1", "2", "3")
	must(a.t, os.WriteFile(filepath.Join(a.mail, "notes"), bytes.Repeat([]byte("what is no mail\n"), 100), 0o600))
	first := a.backUp()
	a.write("bob", "1", "2")
	a.backUp()

	a.now.Damaged = true
	index := a.objects("index")[0]
	a.damage(index, nil)
	a.destroyed(index, nil)
	a.repair("repair index", func(r *repo.Repository) error {
		_, err := r.RepairIndex(a.t.Context(), repo.RepairOptions{User: "tester"})
		return err
	})
	a.damageSome(a.packOf(first))
	a.repair("check", func(r *repo.Repository) error {
		_, err := a.check(r)
		return err
	})
	a.repair("repair packs", func(r *repo.Repository) error {
		_, err := r.RepairPacks(a.t.Context(), nil, repo.RepairOptions{User: "tester"})
		return err
	})
	a.repairSnapshots()
	a.now.Damaged = false
	a.backUp()
	a.clean()
}

// withoutLinks works on a file system that has no hard links.
func withoutLinks(a *author, k keyring) {
	a.rec.noLinks = true
	a.create("owner", k.lock("owner"))
	a.write("alice", "1", "2")
	first := a.backUp()
	a.expunge("alice", "1")
	a.write("bob", "1")
	a.backUp()
	a.forget(first)
	a.clean()
}

// repair does a step of a repair.
func (a *author) repair(name string, fn func(*repo.Repository) error) {
	a.t.Helper()
	a.step(name, nil, func(r *repo.Repository) { must(a.t, fn(r)) }, nil)
}

// repairSnapshots has snapshots replaced, and reads which files the new ones have.
func (a *author) repairSnapshots() {
	a.t.Helper()
	replaced := map[string]string{}
	a.step("repair snapshots", func(n *note) { n.Unsure, n.Committed = n.Committed, map[string]taken{} }, func(r *repo.Repository) {
		report, err := repair.Snapshots(a.t.Context(), r, repair.Options{User: "tester"})
		must(a.t, err)
		for _, s := range report.Repaired {
			replaced[s.New] = s.Old
		}
	}, func(n *note) {
		r, end, err := a.open()
		must(a.t, err)
		defer end()
		all, err := r.Snapshots(a.t.Context(), nil)
		must(a.t, err)
		for _, o := range all {
			record, err := snapshot.DecodeSnapshot(o.Payload)
			must(a.t, err)
			if old, ok := replaced[o.ID.String()]; ok {
				files, _, err := a.restored(r, record)
				must(a.t, err)
				n.Pruned[old] = n.Committed[old]
				delete(n.Committed, old)
				n.Committed[o.ID.String()] = taken{Files: files, Origin: old}
			}
		}
	})
	if len(replaced) != 2 {
		a.t.Errorf("%d snapshots were repaired", len(replaced))
	}
}

// objects returns the paths of the objects of a folder, the oldest first.
func (a *author) objects(folder string) (paths []string) {
	a.t.Helper()
	times := map[string]time.Time{}
	must(a.t, filepath.WalkDir(filepath.Join(a.dir, folder), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			times[path] = info.ModTime()
			paths = append(paths, path)
		}
		return err
	}))
	slices.SortFunc(paths, func(x, y string) int { return times[x].Compare(times[y]) })
	return paths
}

// packOf returns the path of the first data pack of a session.
func (a *author) packOf(session string) string {
	a.t.Helper()
	for _, path := range a.objects("packs") {
		data, err := os.ReadFile(path)
		must(a.t, err)
		h, err := seal.ParseHeader(data)
		must(a.t, err)
		if h.Kind == seal.KindDataPack && h.Session.String() == session {
			return path
		}
	}
	a.t.Fatal("there is no such pack")
	return ""
}

// damageSome changes a byte of a pack, one that some files need and others do not.
func (a *author) damageSome(pack string) {
	a.t.Helper()
	data, err := os.ReadFile(pack)
	must(a.t, err)
	for at := seal.PrefixSize(seal.ModePublic); at < len(data); at += 64 {
		changed := bytes.Clone(data)
		changed[at] ^= 1
		a.damage(pack, changed)
		all := a.lose()
		if n := len(a.now.Lost); n > 0 && n < all {
			a.destroyed(pack, changed)
			return
		}
	}
	a.t.Error("no byte is one that some files need and others do not")
}

// lose finds out which files can no longer be restored, of how many.
func (a *author) lose() (all int) {
	a.t.Helper()
	r, end, err := a.open()
	must(a.t, err)
	defer end()
	clear(a.now.Lost)
	must(a.t, r.EachSnapshot(a.t.Context(), func(o repo.SnapshotObject, err error) error {
		must(a.t, err)
		record, err := snapshot.DecodeSnapshot(o.Payload)
		must(a.t, err)
		files, _, err := a.restored(r, record)
		must(a.t, err)
		want := a.now.Committed[o.ID.String()].Files
		for p := range want {
			if _, ok := files[p]; !ok {
				a.now.Lost[p] = true
			}
		}
		all = max(all, len(want))
		return nil
	}))
	return all
}

// damage has an object be other bytes, or gone if they are nil, as the disk may have it at any time.
func (a *author) damage(path string, data []byte) {
	a.t.Helper()
	must(a.t, os.Remove(path))
	if data != nil {
		must(a.t, os.WriteFile(path, data, 0o600))
	}
}

// destroyed records what damage has done.
func (a *author) destroyed(path string, data []byte) {
	ops := []durable.Op{durable.Unlink}
	if data != nil {
		ops = append(ops, durable.Create, durable.Write, durable.Sync)
	}
	var calls []durable.Call
	for _, op := range ops {
		calls = append(calls, durable.Call{Op: op, Dir: filepath.Dir(path), Name: filepath.Base(path), Data: data})
	}
	a.rec.note(a.copied())
	a.rec.mu.Lock()
	defer a.rec.mu.Unlock()
	a.rec.write(append(calls, durable.Call{Op: durable.SyncFolder, Dir: filepath.Dir(path), Name: "."})...)
}
