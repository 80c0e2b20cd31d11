package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/repair"
	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/verify"
)

// A repairs runs the three repairs, and says what is found after each.
type repairs struct {
	index, packs, snapshots []string
}

func (f *fixture) repairIndex(t *testing.T) {
	t.Helper()
	if _, err := f.open(t).RepairIndex(t.Context(), repo.RepairOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) repairPacks(t *testing.T) {
	t.Helper()
	if _, err := f.open(t).RepairPacks(t.Context(), nil, repo.RepairOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) repairSnapshots(t *testing.T) {
	t.Helper()
	if _, err := repair.Snapshots(t.Context(), f.open(t), repair.Options{}); err != nil {
		t.Fatal(err)
	}
}

// wantRepairs repairs and checks after each step.
func (f *fixture) wantRepairs(t *testing.T, want repairs) {
	t.Helper()
	for _, step := range []struct {
		name string
		do   func(*testing.T)
		want []string
	}{{"index", f.repairIndex, want.index}, {"packs", f.repairPacks, want.packs}, {"snapshots", f.repairSnapshots, want.snapshots}} {
		step.do(t)
		if got := f.render(f.check(t, true)); !slices.Equal(got, step.want) {
			t.Errorf("after the repair of %s:\ngot  %s\nwant %s", step.name, strings.Join(got, "\n     "), strings.Join(step.want, "\n     "))
		}
	}
}

// twice stores the messages of dave's in two sessions at once, so that both have
// all the pieces. Their objects get the suffixes 3 and 4.
func (f *fixture) twice(t *testing.T) {
	t.Helper()
	var writers []*writer
	for range 2 {
		w := f.begin2(t, fmt.Sprint("twin", len(writers)))
		writers = append(writers, w)
	}
	for i, w := range writers {
		for n := range 60 {
			w.message("dave", n, 0)
		}
		w.flush()
		w.commit(snapshot.Snapshot{Store: "mail", Host: "mx", Started: snapshot.Time{Sec: int64(3 + i)}})
		f.name(t, fmt.Sprint(3+i))
	}
}

// begin2 begins a session of a store of another name, which hinders none.
func (f *fixture) begin2(t *testing.T, store string) *writer {
	t.Helper()
	return f.beginOf(t, f.open(t), store)
}

// abandon leaves a data pack that no snapshot needs, with the suffix 3.
func (f *fixture) abandon(t *testing.T) {
	t.Helper()
	w := f.begin2(t, "abandoned")
	w.message("erin", 1, 0)
	w.flush()
	if err := w.s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.name(t, "3")
}

const (
	lost1  = "index/: 762 " + absent + all1
	shared = " | snapshot1 snapshot2 snapshot3 snapshot4 |  | pages" // the map of mailboxes
	unlike = "dataindex2: it does not name the pieces of pack # as the pack's directory does"
)

// What can become of a repository: the cases of restic's damaged repositories. What
// is found is exact, and so is what is left after each repair.
var repairMatrix = []struct {
	name   string
	damage func(t *testing.T, f *fixture)
	found  []string
	after  repairs
}{
	{"data missing", func(t *testing.T, f *fixture) { damages["delete"](t, f, f.names["data1"]) },
		[]string{"data1: it is missing" + all1}, repairs{index: []string{lost1}, packs: []string{lost1}}},
	{"tree missing", func(t *testing.T, f *fixture) { damages["delete"](t, f, f.names["tree2"]) },
		[]string{"tree2: it is missing" + tree2}, repairs{index: []string{"index/: some " + absent + tree2}, packs: []string{"index/: some " + absent + tree2}}},
	{"index missing", func(t *testing.T, f *fixture) { damages["delete"](t, f, f.names["dataindex1"]) }, []string{lost1}, repairs{}},
	{"index missing one piece", func(t *testing.T, f *fixture) {
		f.forgeIndex(t, "dataindex2", seal.KindDataIndex, "data2", f.indexEntries(t, "data2")[1:])
	}, []string{unlike, "index/: 1 piece that snapshots need is in no index object that can be read | snapshot2 | # | 1 #"}, repairs{}},
	{"duplicates", func(t *testing.T, f *fixture) { f.twice(t) }, nil, repairs{}},
	{"one of two duplicates damaged", func(t *testing.T, f *fixture) {
		f.twice(t)
		damages["flip"](t, f, f.names["data3"])
		damages["flip"](t, f, f.names["tree1"])
	}, []string{"data3: " + broken, "tree1: " + broken + "; " + sealed + shared}, repairs{
		index: []string{"data3: " + broken, "tree1: " + broken + "; " + sealed + shared},
		packs: []string{"index/: some " + absent + shared}}},
	{"mixed", func(t *testing.T, f *fixture) {
		f.forgeIndex(t, "dataindex2", seal.KindTreeIndex, "data2", f.indexEntries(t, "data2"))
	}, []string{"data2: it is not of the kind that the index says"}, repairs{}},
	{"obsolete index", func(t *testing.T, f *fixture) {
		old := f.get(t, f.names["dataindex1"])
		f.replace(t, f.names["data1"], flip(f.get(t, f.names["data1"]), int(f.clumps(t, "data1")[3].Offset)+40))
		f.check(t, true)
		f.backup(t, 1, "3")
		f.repairPacks(t)
		if err := f.store.Put(t.Context(), f.names["dataindex1"], old); err != nil {
			t.Fatal(err)
		}
	}, []string{"data1: it is missing"}, repairs{}},
	{"unreferenced data", func(t *testing.T, f *fixture) { f.abandon(t) }, nil, repairs{}},
	{"unused data missing", func(t *testing.T, f *fixture) {
		f.abandon(t)
		damages["delete"](t, f, f.names["data3"])
	}, []string{"data3: it is missing"}, repairs{}},
}

func TestRepairMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("it checks many repositories, one after the other")
	}
	whole := newFixture(t)
	for _, c := range repairMatrix {
		t.Run(c.name, func(t *testing.T) {
			f := whole.clone(t)
			c.damage(t, f)
			got := f.render(f.check(t, true))
			for i, line := range got { // whose piece is first depends on the keys
				if at := strings.Index(line, " | snapshot2 | "); at >= 0 && strings.Contains(line, "index/: 1 piece") {
					got[i] = line[:at] + " | snapshot2 | # | 1 #"
				}
			}
			wantLines(t, got, c.found)
			f.wantRepairs(t, c.after)
			f.wantContents(t)
		})
	}
}

// wantContents checks that what the snapshots list can be read, all of it, by a
// check that trusts nothing.
func (f *fixture) wantContents(t *testing.T) {
	t.Helper()
	report := f.check(t, true)
	if len(report.Findings) > 0 || report.PacksRead != report.Packs {
		t.Errorf("%+v", report)
	}
}

// A flipped bit anywhere is found at its object, and repaired, or said to be beyond
// repair.
func TestBitFlips(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	whole := newFixture(t)
	// A record of damage, of a pack that is whole.
	if _, err := whole.open(t).NoteDamage(t.Context(), noteOf(packID(t, whole.names["data2"]))); err != nil {
		t.Fatal(err)
	}
	whole.name(t, "")
	for role, name := range whole.names {
		if role == "README" {
			continue
		}
		size := len(whole.get(t, name))
		places := []int{1, 20, 63, 70, size / 3, size / 2, size - 90, size - 70, size - 1}
		if testing.Short() {
			places = places[5:6]
		}
		for _, at := range places {
			t.Run(fmt.Sprint(role, " ", at), func(t *testing.T) {
				f := whole.clone(t)
				f.replace(t, name, flip(f.get(t, name), at))
				if report := f.checkWithoutKey(t, verifyAll); len(report.Findings) != 1 && byContent(role) || len(report.Findings) == 1 && report.Findings[0].Object != name {
					t.Errorf("without a key: %+v", report.Findings)
				}
				if !slices.ContainsFunc(f.check(t, true).Findings, isOf(name)) {
					t.Error("it is not found")
				}
				f.repairIndex(t)
				f.repairPacks(t)
				f.repairSnapshots(t)
				report := f.check(t, true)
				for _, found := range report.Findings {
					beyond := isRecord(role)
					if !beyond || found.Object != name || found.Lost.Files.Count > 0 {
						t.Errorf("after all repairs: %+v", found)
					}
				}
			})
		}
	}
}

// isRecord reports whether no repair mends objects of a role.
func isRecord(role string) bool {
	return slices.ContainsFunc([]string{"snapshot", "intent", "config", "keys", "spare"}, func(kind string) bool { return strings.HasPrefix(role, kind) })
}

// The same in all that says how the repository is used. It is found, or the repository is not
// opened; and no repair takes away anything else, because of it.
func TestBitFlipsInRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	whole := newFixture(t)
	whole.addRecords(t)
	for _, role := range []string{"config", "config+", "keys", "keys+", "spare config", "spare config+", "spare keys", "mark+", "seen+", "forgotten+", "hold+"} {
		name := whole.names[role]
		size := len(whole.get(t, name))
		places := []int{1, 20, 70, size / 2, size - 1}
		if testing.Short() {
			places = places[3:4]
		}
		for _, at := range places {
			t.Run(fmt.Sprint(role, " ", at), func(t *testing.T) {
				f := whole.clone(t)
				sound := f.get(t, name)
				f.replace(t, name, flip(bytes.Clone(sound), at))
				before := f.objects(t)
				if f.openable(t) {
					if !slices.ContainsFunc(f.check(t, true).Findings, isOf(name)) {
						t.Error("it is not found")
					}
					f.tryRepairs(t)
				} else {
					t.Error("it cannot be opened")
				}
				after := f.objects(t)
				for other, data := range before {
					if other != name && !bytes.Equal(after[other], data) {
						t.Errorf("%s has changed", f.roles[other])
					}
				}
				f.replace(t, name, sound)
				f.wantContents(t)
			})
		}
	}
}

// addRecords adds a key, what a writer has done with it, a mark, a session that has seen it,
// a snapshot that is forgotten, and a hold. Their roles end in +.
func (f *fixture) addRecords(t *testing.T) {
	t.Helper()
	writer := &fixture{store: f.store, file: f.addWriter(t), roles: f.roles, names: f.names}
	f.name(t, "+")
	f.roles[f.names["keysb"]], f.names["keys+"] = "keys+", f.names["keysb"]
	r := f.open(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(r.PutMark(t.Context(), repo.Mark{Number: 1, Packs: []blob.ID{{1}}}))
	writer.backup(t, 3, "+") // the session has seen the mark
	id, err := seal.ParseSession(path.Base(f.names["snapshot+"]))
	must(err)
	must(r.Forget(t.Context(), id, "root"))
	id, err = seal.ParseSession(path.Base(f.names["snapshot1"]))
	must(err)
	_, err = r.Hold(t.Context(), repo.Hold{Snapshot: id, Reason: "a test"})
	must(err)
	f.name(t, "+")
}

// openable reports whether the repository can be opened. If not, it is said to be damaged.
func (f *fixture) openable(t *testing.T) bool {
	t.Helper()
	u, err := seal.Identities(f.file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), f.store, repo.OpenOptions{CacheDir: t.TempDir(), Unlock: u})
	if err == nil {
		return r.Close() == nil
	}
	if !errors.As(err, new(*repo.DamageError)) {
		t.Errorf("opening it: %v", err)
	}
	return false
}

// tryRepairs runs all repairs, which may refuse because of a config.
func (f *fixture) tryRepairs(t *testing.T) {
	t.Helper()
	_, index := f.open(t).RepairIndex(t.Context(), repo.RepairOptions{})
	_, packs := f.open(t).RepairPacks(t.Context(), nil, repo.RepairOptions{})
	_, snapshots := repair.Snapshots(t.Context(), f.open(t), repair.Options{})
	for _, err := range []error{index, packs, snapshots} {
		var damage *repo.DamageError
		if err != nil && (!errors.As(err, &damage) || !strings.HasPrefix(damage.Object, "config/")) {
			t.Error(err)
		}
	}
}

var verifyAll verify.Options

func isOf(name string) func(verify.Finding) bool {
	return func(f verify.Finding) bool { return f.Object == name }
}

func noteOf(pack blob.ID) func(map[blob.ID]repo.Damage) {
	return func(all map[blob.ID]repo.Damage) { all[pack] = repo.Damage{Pack: pack} }
}

// byContent reports whether objects of a role are called by their bytes.
func byContent(role string) bool {
	return !isRecord(role) || strings.HasSuffix(role, "keys")
}

// While the newest config is damaged, what a key has signed that only it names seems to be
// forged. Nobody is told to do away with it, and no repair does.
func TestBrokenConfig(t *testing.T) {
	f := newFixture(t)
	writer := &fixture{store: f.store, file: f.addWriter(t), roles: f.roles, names: f.names}
	f.name(t, "")
	writer.backup(t, 3, "3")
	config := "config/00000002"
	sound := f.get(t, config)
	f.replace(t, config, flip(sound, len(sound)/2))
	f.replace(t, "spares/"+config, nil)
	before := f.objects(t)

	report := f.check(t, true)
	for _, role := range []string{"dataindex3", "treeindex3", "snapshot3"} {
		if !slices.ContainsFunc(report.Findings, isOf(f.names[role])) {
			t.Errorf("%s is not found", role)
		}
	}
	for _, found := range report.Findings {
		if !strings.Contains(found.Hint, "copy") || !strings.Contains(found.Object+found.Hint, config) || strings.Contains(found.Hint, "restante") {
			t.Errorf("%s: what helps: %s", found.Object, found.Hint)
		}
	}
	if !strings.Contains(strings.Join(report.Notes, ""), "keep it") || report.Marked > 0 {
		t.Errorf("%q, %d marked", report.Notes, report.Marked)
	}
	for what, run := range map[string]func() error{
		"index": func() error {
			_, err := f.open(t).RepairIndex(t.Context(), repo.RepairOptions{Force: true})
			return err
		},
		"packs": func() error {
			_, err := f.open(t).RepairPacks(t.Context(), nil, repo.RepairOptions{Force: true})
			return err
		},
		"snapshots": func() error {
			_, err := repair.Snapshots(t.Context(), f.open(t), repair.Options{Force: true})
			return err
		},
	} {
		var damage *repo.DamageError
		if err := run(); !errors.As(err, &damage) || damage.Object != config {
			t.Errorf("repair %s: %v", what, err)
		}
	}
	after := f.objects(t)
	for name, data := range before {
		if !bytes.Equal(after[name], data) {
			t.Errorf("%s has changed", f.roles[name])
		}
	}
	f.replace(t, config, sound)
	f.wantContents(t)
}

// objects returns all objects.
func (f *fixture) objects(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := f.store.List(t.Context(), "", func(name string, _ int64) error {
		out[name] = f.get(t, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRepairsOfNothing(t *testing.T) {
	f := newFixture(t)
	before := map[string][]byte{}
	for name := range f.roles {
		before[name] = f.get(t, name)
	}
	f.wantRepairs(t, repairs{})
	for name, data := range before {
		if !bytes.Equal(f.get(t, name), data) {
			t.Errorf("%s has changed", name)
		}
	}
}

// TestPackOfWhichNothingIsKnown: where a pack cannot be read at all, and the index object that
// named it is gone too, no repair may take it away; check says that a person should, and then all ends well.
func TestPackOfWhichNothingIsKnown(t *testing.T) {
	f := newFixture(t)
	name := f.names["data2"]
	f.replace(t, name, make([]byte, len(f.get(t, name))))
	f.replace(t, f.names["dataindex2"], nil)
	for range 2 {
		f.repairIndex(t)
		f.repairPacks(t)
		f.repairSnapshots(t)
		report := f.check(t, true)
		i := slices.IndexFunc(report.Findings, isOf(name))
		if i < 0 || !strings.Contains(report.Findings[i].Hint, "move it out of the repository") || strings.Contains(report.Findings[i].Hint, "repair packs") {
			t.Fatalf("%+v", report.Findings)
		}
	}
	f.replace(t, name, nil)
	wantLines(t, f.render(f.check(t, true)), nil)
}
