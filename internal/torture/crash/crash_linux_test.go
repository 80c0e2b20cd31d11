package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"restante/internal/torture"
	"restante/storage"
)

// An explorer tries what a crash may leave at each point of a record.
type explorer struct {
	m      *machine
	rng    *rand.Rand
	disk   *disk
	now    *note
	notes  int
	random int    // how many states of all undecided things are tried at random at each point
	only   string // the steps in which anything is tried; "" for all
	begin  int    // before which event nothing is tried
	// Of every so many folders, and storages, that are new one is tried.
	folders, storages int

	points, states int
	known, views   map[uint64]bool // by their sums: folders, and storages
	seen           map[[2]uint64]bool
	looked, used   int
}

func newExplorer(m *machine, seed uint64) *explorer {
	return &explorer{m: m, rng: rand.New(rand.NewPCG(seed, 1)), disk: newDisk(), now: &note{}, random: torture.Rounds(2, 24), folders: 1, storages: 1,
		known: map[uint64]bool{}, views: map[uint64]bool{}, seen: map[[2]uint64]bool{}}
}

// explore replays a record, and returns the first state that is broken as an error.
func (x *explorer) explore(events []event) error {
	for i, e := range events {
		if e.Note != nil {
			x.now = e.Note
			x.notes++
			if strings.HasPrefix(x.now.Step, "after ") {
				x.disk.settle(repository + "/" + storage.Temp)
			}
		}
		what := "note"
		for _, c := range e.Calls {
			what = fmt.Sprintf("%s %s", c.Op, c.Name)
			if err := x.disk.apply(c); err != nil {
				return err
			}
		}
		if x.only != "" && x.now.Step != x.only || i < x.begin {
			continue
		}
		x.points++
		if err := x.point(); err != nil {
			return fmt.Errorf("%s, crash after event %d, %s: %w", x.now.Step, i, what, err)
		}
	}
	return nil
}

// point tries the states that a crash may leave now.
func (x *explorer) point() error {
	all := x.disk.undecided()
	base := func(last bool) []int {
		states := make([]int, len(all))
		for i, u := range all {
			if last {
				states[i] = u.states() - 1
			}
		}
		return states
	}
	try := func(states []int) error {
		x.states++
		err := x.try(x.disk.crash(all, states))
		if err != nil {
			err = fmt.Errorf("states %v of what was not synced: %w", states, err)
		}
		return err
	}
	for _, last := range []bool{true, false} {
		if err := try(base(last)); err != nil {
			return err
		}
		for i, u := range all {
			states := base(last)
			for states[i] = range u.states() {
				if states[i] == base(last)[i] {
					continue
				}
				if err := try(states); err != nil {
					return err
				}
			}
		}
	}
	for range x.random {
		states := base(false)
		for i, u := range all {
			states[i] = x.rng.IntN(u.states())
		}
		if err := try(states); err != nil {
			return err
		}
	}
	return nil
}

// try tries what is on the disk after a crash, unless the same was tried when the same held.
func (x *explorer) try(tree []found) error {
	view := slices.DeleteFunc(slices.Clone(tree), func(f found) bool {
		return strings.HasPrefix(f.path, repository+"/"+storage.Temp+"/") || f.folder && strings.Count(f.path, "/") > 1
	})
	sum, seen := sumOf(tree), sumOf(view)
	newFolder, newView := !x.known[sum], !x.seen[[2]uint64{seen, uint64(x.notes)}]
	x.known[sum], x.views[seen], x.seen[[2]uint64{seen, uint64(x.notes)}] = true, true, true
	use := newView && len(x.seen)%x.storages == 0
	if !use && (!newFolder || len(x.known)%x.folders != 0) {
		return nil
	}
	disk, err := x.m.start(tree)
	if err != nil {
		return err
	}
	x.looked++
	err = x.m.look(disk, tree, x.now, !use)
	if err == nil && use {
		x.used++
		err = x.m.use(disk, x.now, x.used%2 == 0)
	}
	if err == nil {
		err = os.RemoveAll(disk)
	}
	return err
}

// After a crash at any point nothing that was committed is lost, nothing is broken,
// and work goes on.
func TestCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes some hundred repositories")
	}
	k, seed := newKeyring(t), torture.Seed(t)
	for name := range scripts {
		rounds := 1
		if name == "killed" { // where a process dies is up to chance
			rounds = torture.Rounds(1, 5)
		}
		for round := range rounds {
			t.Run(fmt.Sprint(name, round), func(t *testing.T) {
				t.Parallel()
				seed := seed + uint64(round)
				events := recorded(t, name, k, seed)
				x := newExplorer(newMachine(t, k, events), seed)
				x.folders, x.storages = torture.Rounds(50, 1), torture.Rounds(16, 1)
				if err := x.explore(events); err != nil {
					t.Error(err)
				}
				torture.Report(t, "%d crash points, %d states, %d folders, %d storages; %d folders made, %d used as repositories",
					x.points, x.states, len(x.known), len(x.views), x.looked, x.used)
			})
		}
	}
}
