package repair_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"restante/snapshot"
	"restante/storage"
	"restante/storage/local"
	"restante/storage/mem"
	"restante/verify"
)

// A copying is a storage of which a copy is taken, a folder at a time, while it is
// written to.
type copying struct {
	storage.Store
	t    *testing.T
	into *mem.Store
	copy func(step string) // copies a folder into into, or runs a command

	mu      sync.Mutex // guards the following
	folders []string   // that are still to be copied, or commands
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
		c.copy(c.folders[0])
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
	c.copy = c.folder
	f.backUpDuring(t, c)
	return c.into, c.changes
}

// backUpDuring makes the third backup during a copying, and then the rest of the copy.
func (f *fixture) backUpDuring(t *testing.T, c *copying) {
	t.Helper()
	during := &fixture{store: c, unlock: f.unlock, files: f.files}
	during.backup(t, 3)
	for _, step := range c.folders {
		c.copy(step)
	}
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

// readmeCommands returns the commands with which README.md copies a repository.
func readmeCommands(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	must(t, err)
	_, section, _ := strings.Cut(string(text), "\n## A copy of the repository\n")
	_, block, found := strings.Cut(section, "\n    cd /mnt/backup/mail\n")
	block, _, ended := strings.Cut(block, "\n\n")
	if !found || !ended {
		t.Fatal("README.md does not say how to copy a repository")
	}
	var commands []string
	for line := range strings.Lines(block) {
		commands = append(commands, strings.TrimSpace(line))
	}
	return commands
}

// onDisk copies the repository into a folder.
func (f *fixture) onDisk(t *testing.T) *local.Store {
	t.Helper()
	dst, err := local.Create(filepath.Join(t.TempDir(), "repository"))
	must(t, err)
	t.Cleanup(func() { dst.Close() })
	must(t, f.store.List(t.Context(), "", func(name string, _ int64) error {
		data, err := f.store.Get(t.Context(), name, 0, -1, nil)
		if err != nil {
			return err
		}
		return dst.Put(t.Context(), name, data)
	}))
	return dst
}

// The commands in README.md make a copy in which a check finds nothing and every
// snapshot can be restored, whenever a backup ends: between any two of them, while
// one of them lists folders, in whatever order, or with some of them run in its midst.
func TestCopyAsInReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Skip("rsync is not installed, which makes the copies")
	}
	f := newFixture(t)
	commands := readmeCommands(t)
	_, changes := f.backUpAndCopy(t, nil, nil)
	with := map[uint64]bool{} // how many snapshots copies have
	try := func(commands []string, at []int) {
		t.Run(fmt.Sprint(len(commands), at), func(t *testing.T) {
			with[f.copyAsInReadme(t, commands, at)] = true
		})
	}
	for before := range len(commands) + 1 {
		try(commands, make([]int, before)) // the others when the backup has ended
	}
	forth, back := f.byFolder(t, commands)
	for before := 1; before < len(forth); before++ {
		try(forth, make([]int, before))
		try(back, make([]int, before))
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 4 {
		at := make([]int, len(commands)) // after how many changes of the backup each command runs
		for i := range at {
			at[i] = rng.IntN(changes + 1)
		}
		slices.Sort(at)
		try(commands, at)
	}
	if !with[2] || !with[3] {
		t.Errorf("there were copies with %v snapshots, so not both with and without the new one", with)
	}
}

// byFolder returns the commands taken apart: each copies one folder of those that
// one of commands copies, in the order of their names, and back.
func (f *fixture) byFolder(t *testing.T, commands []string) (forth, back []string) {
	t.Helper()
	source := f.onDisk(t)
	for _, command := range commands {
		target := t.TempDir()
		runCopy(t, command, source.Path(), target)
		entries, err := os.ReadDir(target)
		must(t, err)
		var steps []string
		for _, e := range entries {
			only := fmt.Sprintf("rsync --include=/%s --include=/%[1]s/** --exclude=/* ", e.Name())
			steps = append(steps, only+strings.TrimPrefix(command, "rsync "))
		}
		forth = append(forth, steps...)
		slices.Reverse(steps)
		back = append(back, steps...)
	}
	return forth, back
}

// runCopy runs a command of README.md for a repository and a copy of it.
func runCopy(t *testing.T, command, source, target string) {
	t.Helper()
	argv := strings.Fields(strings.ReplaceAll(command, "/mnt/copy", target))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = source
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
}

// copyAsInReadme makes the third backup and meanwhile a copy by commands, and
// returns how many snapshots are in that.
func (f *fixture) copyAsInReadme(t *testing.T, commands []string, at []int) (snapshots uint64) {
	source, target := f.onDisk(t), filepath.Join(t.TempDir(), "copy")
	c := &copying{Store: source, t: t, folders: slices.Clone(commands), at: slices.Clone(at)}
	c.copy = func(command string) { runCopy(t, command, source.Path(), target) }
	f.backUpDuring(t, c)
	into, err := local.Open(target)
	must(t, err)
	defer into.Close()
	report, err := verify.Check(t.Context(), f.open(t, into), verify.Options{ReadData: true, NoMark: true})
	must(t, err)
	for _, found := range report.Findings {
		t.Errorf("%s: %s", found.Object, found.What)
	}
	if bad := f.wantReadableOrNamed(t, into); bad > 0 {
		t.Errorf("%d snapshots are incomplete", bad)
	}
	return report.Snapshots
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
