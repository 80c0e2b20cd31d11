package crash

import (
	"errors"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"restante/internal/durable"
	"restante/storage"
)

// What is found in a repository where a rule was broken, as regular expressions.
const (
	noRepository = `opening (repository folder|with key "owner").*: there is no |check finds \[\{Object:config/\S+ What:it is missing`
	empty        = `damaged or tampered with: it has 0 bytes`
	packGone     = `check finds \[\{Object:packs/\S+ What:it is missing`
	keyGone      = `check finds \[\{Object:keys/\S+ What:it is missing`
	filesGone    = `restoring snapshot \S+: (\d+ files fail|file ".*" is not what it was \(there: false\))`
	snapshotGone = `snapshot \S+ is (neither listed nor forgotten|not listed)`
)

// broken are records of programs that sync less than they have to, or do things
// in another order. Each breaks one rule, in the steps of one kind, and that is found as
// what it leads to: an error of another kind would say that the test is broken.
var broken = []struct {
	name, script, step string
	change             func([]event) []event
	found              string
}{
	{"files are not synced", "life", "backup", without(func(c, _ durable.Call) bool { return c.Op == durable.Sync }), empty},
	{"no folder is synced", "life", "backup", without(func(c, _ durable.Call) bool { return c.Op == durable.SyncFolder }), noRepository},
	{"no folder above another is synced", "life", "backup", without(func(c, last durable.Call) bool {
		return c.Op == durable.SyncFolder && last.Op == durable.SyncFolder
	}), noRepository},
	{"the repository's own name is not synced", "life", "backup", without(func(c, _ durable.Call) bool { return c.Op == durable.SyncFolder && c.Name == "." }), noRepository},
	{"removals are not synced", "life", "prune", without(func(c, last durable.Call) bool {
		return c.Op == durable.SyncFolder && last.Op == durable.Unlink && !unfinished(last.Name)
	}), packGone},
	{"a file is synced after it has its name", "life", "backup", syncedLate, empty},
	{"the snapshot comes before the index", "life", "backup", before("snapshots/", "index/"), filesGone},
	{"the index comes before the packs", "life", "backup", before("index/", "packs/"), packGone},
	{"packs go before index objects", "life", "prune", before("-packs/", "index/"), packGone + "|" + filesGone}, // of what is being rewritten
	{"a key is listed before it is there", "keys", "key add", before("config/", "keys/"), keyGone},
	{"a snapshot goes before another takes its place", "repair", "repair snapshots", before("forgotten/", "snapshots/"), snapshotGone},
	{"a damaged pack goes before what is intact is in another", "repair", "repair packs", before("-packs/", "packs/"), filesGone},

	{"a pack that a killed process put is adopted as it is", "pack adopted", "backup", unsettled, packGone},
	{"index objects that a killed process put are used as they are", "index objects", "backup", unsettled, filesGone},
	{"a session is ended as it is", "pack of a session", "backup", unsettled, packGone},
	{"a repair names a pack as it is", "pack named", "repair index", unsettled, packGone},
	{"a prune takes a forgotten record as it is", "forgotten record", "prune", unsettled, filesGone},
	{"a prune takes an index object for gone as it is", "removed index", "prune", unsettled, packGone},
	{"another snapshot is forgotten for one as it is", "snapshot kept", "after begin", unsettled, snapshotGone},
}

func unfinished(name string) bool {
	return strings.HasPrefix(name, repository+"/"+storage.Temp+"/")
}

// op returns what an event of one call does.
func op(e event) durable.Op {
	if len(e.Calls) != 1 {
		return ""
	}
	return e.Calls[0].Op
}

// without leaves out calls. It is told of the one before, too.
func without(drop func(c, last durable.Call) bool) func([]event) []event {
	return func(events []event) []event {
		var last durable.Call
		return slices.DeleteFunc(slices.Clone(events), func(e event) bool {
			if op(e) == "" {
				return false
			}
			gone := drop(e.Calls[0], last)
			last = e.Calls[0]
			return gone
		})
	}
}

// unsettled has processes sync only the folders of what they put and remove themselves, and
// those above, when one has been killed before.
func unsettled(events []event) []event {
	killed := 1 + slices.IndexFunc(events, func(e event) bool { return e.Note != nil && e.Note.Last })
	own := map[string]bool{}
	return append(slices.Clone(events[:killed]), slices.DeleteFunc(slices.Clone(events[killed:]), func(e event) bool {
		switch op(e) {
		case durable.Link, durable.Unlink, durable.Mkdir:
			for folder := path.Dir(e.Calls[0].Name); folder != "."; folder = path.Dir(folder) {
				own[folder] = true
			}
		case durable.SyncFolder:
			wasOwn := own[e.Calls[0].Name]
			delete(own, e.Calls[0].Name)
			return !wasOwn
		}
		return false
	})...)
}

// syncedLate has files synced when they have their names.
func syncedLate(events []event) []event {
	late := map[string]event{}
	var out []event
	for _, e := range events {
		switch op(e) {
		case durable.Sync:
			late[e.Calls[0].Name] = e
		case durable.Link:
			out = append(out, e, late[e.Calls[0].From])
		default:
			out = append(out, e)
		}
	}
	return out
}

// before puts the objects of one folder, or with "-" before it their removal, before
// what is done to those of another in the same step.
func before(moved, mark string) func([]event) []event {
	return func(events []event) []event {
		var out, step, first []event
		end := func() {
			out = append(append(out, first...), step...)
			first, step = nil, nil
		}
		marked := false
		for _, group := range groups(events) {
			name := nameOf(group)
			switch {
			case group[0].Note != nil:
				end()
				out, marked = append(out, group...), false
				continue
			case name == moved:
				first = append(first, group...)
				continue
			case strings.TrimPrefix(name, "-") == mark && !marked:
				out, step, marked = append(out, step...), nil, true
			}
			step = append(step, group...)
		}
		end()
		return out
	}
}

// groups parts a record at notes, at the beginning of each file, and at each removal of an object.
func groups(events []event) (all [][]event) {
	for _, e := range events {
		begins := e.Note != nil || op(e) == durable.Create || op(e) == durable.Unlink && !unfinished(e.Calls[0].Name)
		if begins || len(all) == 0 {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], e)
	}
	return all
}

// nameOf returns in which folder a group makes an object, or with "-" before it removes one.
func nameOf(group []event) string {
	for _, e := range group {
		if op(e) != durable.Link && op(e) != durable.Unlink || unfinished(e.Calls[0].Name) {
			continue
		}
		folder, _, _ := strings.Cut(strings.TrimPrefix(e.Calls[0].Name, repository+"/"), "/")
		if op(e) == durable.Unlink {
			return "-" + folder + "/"
		}
		return folder + "/"
	}
	return ""
}

// What breaks a rule is found: without that TestCrashes would say nothing.
func TestBrokenRulesAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes some hundred repositories")
	}
	k := newKeyring(t)
	records := map[string][]event{}
	for _, b := range broken {
		if records[b.script] == nil {
			records[b.script] = recorded(t, b.script, k, 1)
		}
	}
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			events := b.change(records[b.script])
			x := newExplorer(newMachine(t, k, events), 1)
			x.only, x.folders, x.random = b.step, 10, 0
			for reflect.DeepEqual(events[x.begin], records[b.script][x.begin]) {
				x.begin++
			}
			err := x.explore(events)
			if err == nil || errors.Is(err, errReplay) || !regexp.MustCompile(b.found).MatchString(err.Error()) {
				t.Fatalf("after %d states: %v, which is not %q", x.states, err, b.found)
			}
			t.Logf("found after %d states: %v", x.states, err)
		})
	}
}
