package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"restante/internal/torture"
	"restante/repair"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
	"restante/storage/local"
)

// A machine is started again after a crash, and uses what is on its disk.
type machine struct {
	keys keyring
	all  map[string]taken // every snapshot that the script has taken, by ID
	dir  string
	made map[string]bool // contents of files, and mail stores
	runs int
}

func newMachine(t *testing.T, k keyring, events []event) *machine {
	m := &machine{keys: k, all: map[string]taken{}, dir: torture.Memory(t), made: map[string]bool{}}
	for _, e := range events {
		if n := e.Note; n != nil {
			for _, some := range []map[string]taken{n.Committed, n.Unsure, n.Forgotten, n.Pruned, n.Known} {
				maps.Copy(m.all, some)
			}
		}
	}
	return m
}

// start makes a tree on a real file system, and returns the folder that the disk is.
// Files are further names of those in a folder of contents: objects are never changed.
func (m *machine) start(tree []found) (string, error) {
	m.runs++
	disk := filepath.Join(m.dir, fmt.Sprint("disk", m.runs))
	if err := os.Mkdir(disk, 0o700); err != nil {
		return "", err
	}
	for _, f := range tree {
		at := filepath.Join(disk, f.path)
		if f.folder {
			if err := os.Mkdir(at, 0o700); err != nil {
				return "", err
			}
			continue
		}
		content := filepath.Join(m.dir, fmt.Sprint("content", f.file.number, "-", f.bytes, "-", f.zeros))
		if !m.made[content] {
			if err := os.WriteFile(content, append(bytes.Clone(f.file.data[:f.bytes]), make([]byte, f.zeros)...), 0o600); err != nil {
				return "", err
			}
			m.made[content] = true
		}
		if err := os.Link(content, at); err != nil {
			return "", err
		}
	}
	return disk, nil
}

// repository is where the repository lies on every disk.
const repository = "repository"

// look opens the storage on a disk, wants it to list what is there but for
// unfinished files, and sweeps those away if that is wanted.
func (m *machine) look(disk string, tree []found, n *note, sweep bool) error {
	store, err := local.Open(filepath.Join(disk, repository))
	if errors.Is(err, storage.ErrNotFound) && len(n.Keys) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	defer store.Close()
	want := map[string]int64{}
	for _, f := range tree {
		if name, _ := strings.CutPrefix(f.path, repository+"/"); !f.folder && storage.CheckName(name) == nil {
			want[name] = int64(f.bytes + f.zeros)
		}
	}
	list := func() error {
		got := map[string]int64{}
		err := store.List(context.Background(), "", func(name string, size int64) error {
			got[name] = size
			return nil
		})
		if err == nil && !maps.Equal(got, want) {
			err = fmt.Errorf("it lists %v, and %v is there", got, want)
		}
		return err
	}
	if err := list(); err != nil || !sweep {
		return err
	}
	if _, _, err := store.Sweep(context.Background()); err != nil {
		return err
	}
	return errors.Join(list(), m.swept(disk))
}

// swept wants no unfinished file on a disk.
func (m *machine) swept(disk string) error {
	left, err := os.ReadDir(filepath.Join(disk, repository, storage.Temp))
	if len(left) > 0 {
		err = fmt.Errorf("%d unfinished files stay", len(left))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// A run is the use of one disk after a crash.
type run struct {
	*machine
	user
	disk   string
	n      *note
	r      *repo.Repository
	mine   map[string]taken // snapshots taken since
	pruned bool             // since
	warns  bytes.Buffer
}

// use uses the repository on a disk: all that was committed is there, nothing is
// wrong with it, and work goes on. takeBack has what was forgotten taken back first.
func (m *machine) use(disk string, n *note, takeBack bool) (err error) {
	u := &run{machine: m, disk: disk, n: n, mine: map[string]taken{}}
	u.user = user{ctx: context.Background(), dir: filepath.Join(disk, repository), warn: log.New(&u.warns, "", 0)}
	u.cache = disk + "-cache"
	if err := os.Mkdir(u.cache, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(u.cache)
	exists, err := u.tryKeys()
	if err != nil || !exists {
		return err
	}
	r, end, err := u.open()
	if err != nil {
		return err
	}
	defer end()
	u.r = r
	steps := []func() error{u.compare, u.sound, u.goOn, u.compare, u.clean, u.compare, u.sound}
	if n.Damaged {
		steps = slices.Insert(steps, 0, u.mend)
	}
	if takeBack && !n.Damaged {
		steps = slices.Insert(steps, 2, u.takeBack)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	if u.warns.Len() > 0 && !n.Damaged {
		return fmt.Errorf("it warns: %s", &u.warns)
	}
	return nil
}

// tryKeys opens the repository with each key. It reports false if there is no
// repository, and need not be one.
func (u *run) tryKeys() (exists bool, err error) {
	names := u.n.Keys
	if len(names) == 0 {
		names = []string{"owner"}
	}
	for _, name := range slices.Backward(names) { // the first one is used from now on
		u.unlock = u.keys.unlock(name)
		_, end, err := u.open()
		if len(u.n.Keys) == 0 && (errors.Is(err, storage.ErrNotFound) || errors.Is(err, repo.ErrNoRepository)) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("opening with key %q: %w", name, err)
		}
		end()
	}
	for _, name := range u.n.NoKeys {
		other := u.user
		other.unlock = u.keys.unlock(name)
		if _, _, err := other.open(); !errors.Is(err, repo.ErrWrongKey) {
			return false, fmt.Errorf("opening with key %q, which was removed: %w", name, err)
		}
	}
	return true, nil
}

// compare restores all snapshots that are listed, and compares them with what was taken.
func (u *run) compare() error {
	all, err := u.r.Snapshots(u.ctx, u.warn)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, o := range all {
		record, err := snapshot.DecodeSnapshot(o.Payload)
		if err != nil {
			return err
		}
		id := o.ID.String()
		_, forgotten := u.n.Forgotten[id]
		if _, pruned := u.n.Pruned[id]; forgotten || pruned {
			return fmt.Errorf("snapshot %s, which was forgotten, is listed", id)
		}
		want, known := u.mine[id]
		if !known {
			want, known = u.all[id]
		}
		if !known {
			want, known = u.all[seal.Session(record.Repaired).String()]
		}
		if !known {
			return fmt.Errorf("snapshot %s is listed, which nobody took", id)
		}
		if err := u.same(record, want); err != nil {
			return fmt.Errorf("restoring snapshot %s: %w", id, err)
		}
		have[want.Origin] = true
	}
	for _, some := range []map[string]taken{u.n.Committed, u.mine} {
		for id, want := range some {
			if !have[want.Origin] {
				return fmt.Errorf("snapshot %s is not listed", id)
			}
		}
	}
	return u.unsure(have)
}

// unsure wants what is being forgotten, or taken back, to be listed or forgotten.
func (u *run) unsure(have map[string]bool) error {
	want := maps.Clone(u.n.Unsure)
	maps.DeleteFunc(want, func(_ string, s taken) bool { return have[s.Origin] })
	err := u.r.EachForgotten(u.ctx, func(o repo.ForgottenObject, err error) error {
		if !u.n.Damaged { // else another has taken its place
			delete(want, o.ID.String())
		}
		return err
	})
	for id := range want {
		if u.mine[id].Files == nil && !u.pruned {
			err = errors.Join(err, fmt.Errorf("snapshot %s is neither listed nor forgotten", id))
		}
	}
	return err
}

// same restores a snapshot. What damage may have taken may be missing.
func (u *run) same(record *snapshot.Snapshot, want taken) error {
	got, failed, err := u.restored(u.r, record)
	if err != nil {
		return err
	}
	if failed > 0 && len(u.n.Lost) == 0 {
		return fmt.Errorf("%d files fail", failed)
	}
	for p, data := range want.Files {
		if text, ok := got[p]; text != data && (ok || !u.n.Lost[p]) {
			return fmt.Errorf("file %q is not what it was (there: %t)", p, ok)
		}
		delete(got, p)
	}
	for p := range got {
		return fmt.Errorf("file %q comes from nowhere", p)
	}
	return nil
}

// sound wants a check to find nothing.
func (u *run) sound() error {
	report, err := u.check(u.r)
	if err == nil && len(report.Findings) > 0 {
		err = fmt.Errorf("check finds %+v", report.Findings)
	}
	return err
}

// mend repairs all that can be repaired.
func (u *run) mend() error {
	opts := repo.RepairOptions{User: "tester"}
	_, err := u.r.RepairIndex(u.ctx, opts)
	if err == nil {
		_, err = u.check(u.r)
	}
	if err == nil {
		_, err = u.r.RepairPacks(u.ctx, nil, opts)
	}
	if err == nil {
		_, err = repair.Snapshots(u.ctx, u.r, repair.Options{User: "tester"})
	}
	return err
}

// takeBack takes back what was forgotten. What was not pruned has to be whole.
func (u *run) takeBack() error {
	var all []repo.ForgottenObject
	err := u.r.EachForgotten(u.ctx, func(o repo.ForgottenObject, err error) error {
		all = append(all, o)
		return err
	})
	if err != nil {
		return err
	}
	left := *u.n
	left.Forgotten, left.Pruned = maps.Clone(left.Forgotten), maps.Clone(left.Pruned)
	for _, o := range all {
		id := o.ID.String()
		complete, err := u.unforget(u.r, o)
		if err != nil {
			return err
		}
		_, whole := left.Forgotten[id]
		if _, unsure := left.Unsure[id]; !complete && (whole || unsure) {
			return fmt.Errorf("snapshot %s was forgotten, and cannot be taken back", id)
		}
		if complete {
			delete(left.Forgotten, id)
			delete(left.Pruned, id)
			u.mine[id] = u.all[id]
		}
	}
	u.n = &left
	return nil
}

// goOn backs up what the mail store held.
func (u *run) goOn() error {
	mail, err := u.store(u.n.Store)
	if err != nil {
		return err
	}
	result, err := u.backup(u.r, mail)
	if err != nil {
		return err
	}
	if len(result.Unsaved) > 0 {
		return fmt.Errorf("not saved: %+v", result.Unsaved)
	}
	id := result.Session.String()
	u.mine[id] = taken{u.n.Store, id}
	return u.swept(u.disk)
}

// store returns a folder with a mail store.
func (m *machine) store(files map[string]string) (string, error) {
	names := slices.Sorted(maps.Keys(files))
	dir := filepath.Join(m.dir, "mail"+strings.ReplaceAll(strings.Join(names, ","), "/", "."))
	if m.made[dir] {
		return dir, nil
	}
	m.made[dir] = true
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for name, data := range files {
		if box, ok := strings.CutSuffix(path.Dir(name), "/cur"); ok {
			for _, part := range []string{"cur", "new", "tmp"} {
				if err := os.MkdirAll(filepath.Join(dir, box, part), 0o700); err != nil {
					return "", err
				}
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// clean prunes.
func (u *run) clean() error {
	u.pruned = true
	_, err := u.prune(u.r)
	return err
}
