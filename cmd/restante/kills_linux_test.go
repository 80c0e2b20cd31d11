package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"restante/internal/torture"
)

// Killed at any time, again and again, a repository keeps every snapshot, and
// the same command succeeds when it is run again.
func TestKills(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts very many processes")
	}
	v := newVictim(t, torture.Seed(t))
	for round := range torture.Rounds(4, 300) {
		v.round(t, victimCommands[round%len(victimCommands)])
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	v.pieces(t, v.repository)
	v.wantAll(t)
	if killed := v.hits["backup"] + v.hits["prune"] + v.hits["forget"]; torture.Long() && killed < 200 {
		t.Errorf("only %d backups and prunes were killed", killed)
	}
	torture.Report(t, "%d commands, of which %d were killed (%s); %d snapshots taken, %d of them by a run that was killed; %d restored",
		v.commands, v.killed(), v.kills(), v.taken, v.late, v.restored)
}

// victimCommands are what is killed, in turns.
var victimCommands = []string{"backup", "prune", "forget", "repair", "backup", "prune"}

// A victim is a small repository with all that is known to be in it.
type victim struct {
	*killStore
	repository string
	rng        *rand.Rand
	now        map[string]string            // the mail store
	snapshots  map[string]map[string]string // that were committed, and not forgotten
	order      []string                     // their IDs, the oldest first
	took       map[string]time.Duration     // how long commands take that are not killed
	hits       map[string]int               // how many were killed
	messages   int

	commands, taken, late, restored int
}

func newVictim(t *testing.T, seed uint64) *victim {
	t.Helper()
	k := newKillStore(t, torture.Memory(t))
	v := &victim{killStore: k, repository: filepath.Join(k.dir, "repository"), rng: rand.New(rand.NewPCG(seed, 3)), now: map[string]string{},
		snapshots: map[string]map[string]string{}, took: map[string]time.Duration{}, hits: map[string]int{}}
	check(t, os.CopyFS(v.repository, os.DirFS(filepath.Join(k.dir, "empty"))))
	for range 3 {
		v.change(t)
		v.again(t, "backup", k.mail)
	}
	for _, name := range victimCommands { // so that it is known how long they take
		v.again(t, v.arguments(name)...)
	}
	v.settled(t)
	return v
}

// change expunges some messages and delivers others.
func (v *victim) change(t *testing.T) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(v.now)) {
		if v.rng.IntN(3) == 0 {
			check(t, os.Remove(filepath.Join(v.mail, name)))
			delete(v.now, name)
		}
	}
	for range 8 {
		v.messages++
		name := fmt.Sprintf("user%d/cur/17000%05d.mx:2,S", v.rng.IntN(3), v.messages)
		text := fmt.Sprintf("From: a@example.com\nSubject: message %d\n\n", v.messages)
		for range v.rng.IntN(200) {
			text += fmt.Sprintf("line %x\n", v.rng.Uint64())
		}
		for _, part := range []string{"cur", "new", "tmp"} {
			check(t, os.MkdirAll(filepath.Join(v.mail, filepath.Dir(filepath.Dir(name)), part), 0o700))
		}
		check(t, os.WriteFile(filepath.Join(v.mail, name), []byte(text), 0o600))
		v.now[name] = text
	}
}

// arguments returns the command line of what is to be killed.
func (v *victim) arguments(name string) []string {
	switch name {
	case "backup":
		return []string{"backup", v.mail}
	case "forget":
		return []string{"forget", "--keep-last", fmt.Sprint(victimKeeps), "--prune"}
	case "prune":
		return []string{"prune", "--grace", "0", "--min-age", "0", "--max-unused", "0"}
	}
	return []string{"repair", []string{"index", "packs", "snapshots"}[v.rng.IntN(3)]}
}

// round changes the store, kills a command, and has it and a backup succeed.
func (v *victim) round(t *testing.T, name string) {
	t.Helper()
	v.change(t)
	args := v.arguments(name)
	if name == "repair" {
		v.damage(t, args[1])
	}
	for range 1 + v.rng.IntN(2) {
		v.kill(t, args)
	}
	v.again(t, args...)
	v.again(t, "backup", v.mail)
	v.settled(t)
	v.wantAll(t)
}

// kill kills a command at a time at which it probably works, and looks what it has done.
func (v *victim) kill(t *testing.T, args []string) {
	t.Helper()
	v.commands++
	cmd := v.command(v.repository, args...)
	check(t, cmd.Start())
	timer := time.AfterFunc(time.Duration(v.rng.Int64N(int64(v.took[args[0]])+1)), func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err == nil {
		v.look(t, args[0], false)
		return
	} else if cmd.ProcessState.ExitCode() >= 0 {
		t.Fatalf("restante %s was not killed: %v", args, err)
	}
	v.hits[args[0]]++
	v.look(t, args[0], true)
}

// again runs a command to its end, notes how long it takes, and looks what it has done.
func (v *victim) again(t *testing.T, args ...string) {
	t.Helper()
	began := time.Now()
	v.run(t, v.repository, args...)
	v.took[args[0]] = time.Since(began)
	v.look(t, args[0], false)
}

// damage does what a repair can mend without a loss: it takes away an index object,
// or puts a byte at the end of a pack.
func (v *victim) damage(t *testing.T, kind string) {
	t.Helper()
	folder := map[string]string{"index": "index", "packs": "packs"}[kind]
	if folder == "" {
		return
	}
	all := slices.Sorted(maps.Keys(filesIn(t, v.repository, folder)))
	path := filepath.Join(v.repository, all[v.rng.IntN(len(all))])
	if kind == "index" {
		check(t, os.Remove(path))
		return
	}
	data, err := os.ReadFile(path)
	check(t, err)
	check(t, os.WriteFile(path, append(data, 0), 0o600))
}

// victimKeeps is how many snapshots, the newest ones, a forget keeps.
const victimKeeps = 3

// look reads which snapshots are listed after a command. Only a backup adds one, which is of
// the store as it is, and only a forget takes some away: all but the newest ones,
// or fewer if it was killed.
func (v *victim) look(t *testing.T, command string, killed bool) {
	t.Helper()
	var listed []struct{ ID string }
	check(t, json.Unmarshal(v.run(t, v.repository, "snapshots", "--json"), &listed))
	have := map[string]bool{}
	added := 0
	for _, s := range listed {
		have[s.ID] = true
		if v.snapshots[s.ID] == nil {
			added++
			v.taken++
			if killed {
				v.late++
			}
			v.snapshots[s.ID] = maps.Clone(v.now)
			v.order = append(v.order, s.ID)
		}
	}
	if most := map[string]int{"backup": 1}[command]; added > most || added < most && !killed {
		t.Errorf("%s (killed: %t) adds %d snapshots", command, killed, added)
	}
	v.wantGone(t, command, killed, have)
	v.order = slices.DeleteFunc(v.order, func(id string) bool { return !have[id] })
	maps.DeleteFunc(v.snapshots, func(id string, _ map[string]string) bool { return !have[id] })
}

// wantGone wants those snapshots not to be listed any more that a command has to take away.
func (v *victim) wantGone(t *testing.T, command string, killed bool, have map[string]bool) {
	t.Helper()
	for i, id := range v.order {
		mayGo := command == "forget" && i < len(v.order)-victimKeeps
		switch {
		case !have[id] && !mayGo:
			t.Errorf("%s (killed: %t): snapshot %s is lost, the %d. of %d", command, killed, id, i+1, len(v.order))
		case have[id] && mayGo && !killed:
			t.Errorf("forget: snapshot %s stays, the %d. of %d", id, i+1, len(v.order))
		}
	}
}

// settled wants the repository to be sound, and nothing unfinished in it or in the cache.
func (v *victim) settled(t *testing.T) {
	t.Helper()
	var report struct{ Findings []json.RawMessage }
	check(t, json.Unmarshal(v.run(t, v.repository, "check", "--json"), &report))
	if len(report.Findings) > 0 {
		t.Errorf("check finds %s", report.Findings)
	}
	if left := filesIn(t, v.repository, "tmp"); len(left) > 0 {
		t.Errorf("unfinished files stay: %v", left)
	}
}

// wantAll compares all snapshots with what was backed up.
func (v *victim) wantAll(t *testing.T) {
	t.Helper()
	for _, id := range v.order {
		v.want(t, id)
	}
}

func (v *victim) want(t *testing.T, id string) {
	t.Helper()
	v.restored++
	target := filepath.Join(v.dir, "restored")
	v.run(t, v.repository, "restore", "--all", "--snapshot", id, "--target", target)
	got := map[string]string{}
	for path := range filesIn(t, v.dir, "restored") {
		data, err := os.ReadFile(filepath.Join(v.dir, path))
		check(t, err)
		got[strings.TrimPrefix(path, "restored/")] = string(data)
	}
	check(t, os.RemoveAll(target))
	if !maps.Equal(got, v.snapshots[id]) {
		t.Errorf("snapshot %s came back as something else", id)
	}
}

func (v *victim) killed() (n int) {
	for _, hits := range v.hits {
		n += hits
	}
	return n
}

func (v *victim) kills() string {
	var parts []string
	for _, name := range victimCommands {
		parts = append(parts, fmt.Sprint(name, " ", v.hits[name]))
	}
	return strings.Join(parts, ", ")
}
