package crash

import (
	"strings"

	"restante/internal/durable"
	"restante/repo"
	"restante/seal"
)

// The three parts of a script in which processes are killed, and the machine
// crashes while others do their work.
func killedBackup(a *author, k keyring) {
	a.create("owner", k.lock("owner"))
	a.write("alice", "1", "2", "3")
	a.backUp()
	a.write("bob", "1")
	a.store()
	a.diesIn("backup", a.atRandom(45), nil, func(r *repo.Repository) error {
		_, err := a.backup(r, a.mail)
		return err
	})
}

func killedPrune(a *author, _ keyring) {
	a.takeStock(false)
	a.expunge("alice", "1", "2")
	a.backUp()
	for id := range a.now.Committed {
		if len(a.now.Committed) > 1 && a.now.Committed[id].Files["alice/cur/1700000001.mx:2,S"] != "" {
			a.forget(id)
		}
	}
	a.diesIn("prune", a.atRandom(45), pruned, func(r *repo.Repository) error {
		_, err := a.prune(r)
		return err
	})
}

// killedAt has a backup be killed when the n-th object in a folder has its name.
func killedAt(folder string, n int) func(*author, keyring) {
	return func(a *author, k keyring) {
		a.create("owner", k.lock("owner"))
		a.write("alice", "1", "2", "3")
		a.backUp()
		a.write("bob", "1")
		a.store()
		a.diesIn("backup", named(durable.Link, folder, n), nil, func(r *repo.Repository) error {
			_, err := a.backup(r, a.mail)
			return err
		})
	}
}

// named is when the n-th object in a folder has got its name, or has lost it.
func named(op durable.Op, folder string, n int) func(durable.Call) bool {
	return func(c durable.Call) bool {
		if c.Op == op && strings.HasPrefix(c.Name, folder) {
			n--
		}
		return n == 0
	}
}

// killedForget has a forget be killed when its record has its name.
func killedForget(a *author, k keyring) {
	first := a.twoSnapshots(k)
	session, err := seal.ParseSession(first)
	must(a.t, err)
	a.diesIn("forget", named(durable.Link, "forgotten/", 1), func(n *note) {
		n.Unsure[first] = n.Committed[first]
		delete(n.Committed, first)
	}, func(r *repo.Repository) error { return r.Forget(a.t.Context(), session, "tester") })
	clear(a.now.Unsure) // what a prune does of it depends
}

// twoSnapshots takes two, and returns the first one's ID.
func (a *author) twoSnapshots(k keyring) (first string) {
	a.create("owner", k.lock("owner"))
	a.write("alice", "1", "2", "3")
	first = a.backUp()
	a.expunge("alice", "1")
	a.backUp()
	return first
}

// killedSweep has a prune be killed when an object in a folder has lost its name.
func killedSweep(folder string) func(*author, keyring) {
	return func(a *author, k keyring) {
		a.forget(a.twoSnapshots(k))
		a.diesIn("prune", named(durable.Unlink, folder, 1), pruned, func(r *repo.Repository) error {
			_, err := a.prune(r)
			return err
		})
	}
}

// killedTombstone has a prune be killed when it has ended the session of a backup that was.
func killedTombstone(a *author, _ keyring) {
	a.diesIn("prune", named(durable.Link, "snapshots/", 1), nil, func(r *repo.Repository) error {
		_, err := a.prune(r)
		return err
	})
}

// repairedIndex names what the index does not.
func repairedIndex(a *author, _ keyring) {
	a.repair("repair index", func(r *repo.Repository) error {
		_, err := r.RepairIndex(a.t.Context(), repo.RepairOptions{User: "tester"})
		return err
	})
	a.backUp()
}

// sameAgain backs up what was to be backed up.
func sameAgain(a *author, _ keyring) {
	a.takeStock(false)
	a.backUp()
	a.clean()
}

// otherForgotten forgets the older snapshot because of a newer one that is listed.
func otherForgotten(a *author, k keyring) {
	for id := range a.now.Committed {
		a.forget(id)
	}
	a.takeStock(true)
	sameAgain(a, k)
	if len(a.now.Committed) != 2 {
		a.t.Errorf("%d snapshots are listed", len(a.now.Committed))
	}
}

// prunedAfterKill prunes before anything else.
func prunedAfterKill(a *author, _ keyring) {
	a.clean()
	a.takeStock(false)
	a.backUp()
}

func afterKills(a *author, _ keyring) {
	a.takeStock(false)
	a.write("carol", "1")
	a.backUp()
	a.clean()
}
