package crash

import (
	"bytes"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"restante/internal/torture"
	"restante/seal"
)

// authoring tells the test binary to be the process that does a part of the script
// that a folder is named after.
const (
	authoring     = "RESTANTE_CRASH_AUTHOR"
	authoringPart = "RESTANTE_CRASH_PART"
)

// A keyring is a folder of key files, by name.
type keyring struct {
	t   *testing.T
	dir string
}

// newKeyring makes key files that open without scrypt.
func newKeyring(t *testing.T) keyring {
	k := keyring{t, t.TempDir()}
	for _, name := range []string{"owner", "new", "writer"} {
		file, recipient, err := seal.NewIdentity("for a test")
		must(t, err)
		must(t, os.WriteFile(filepath.Join(k.dir, name), file, 0o600))
		must(t, os.WriteFile(filepath.Join(k.dir, name+".recipient"), []byte(recipient), 0o600))
	}
	return k
}

func (k keyring) lock(name string) func(*seal.Keys) ([]byte, error) {
	recipient, err := os.ReadFile(filepath.Join(k.dir, name+".recipient"))
	must(k.t, err)
	return func(keys *seal.Keys) ([]byte, error) { return seal.LockRecipient(keys, string(recipient)) }
}

func (k keyring) unlock(name string) seal.Unlocker {
	file, err := os.ReadFile(filepath.Join(k.dir, name))
	must(k.t, err)
	unlock, err := seal.Identities(file)
	must(k.t, err)
	return unlock
}

// TestAuthor is the child process: it does a part of a script and records it.
func TestAuthor(t *testing.T) {
	dir := os.Getenv(authoring)
	if dir == "" {
		t.Skip("this is the process that other tests start")
	}
	part, err := strconv.Atoi(os.Getenv(authoringPart))
	must(t, err)
	k := keyring{t, filepath.Join(dir, "keys")}
	none := func() map[string]taken { return map[string]taken{} }
	a := &author{t: t, mail: filepath.Join(dir, "mail"), rng: rand.New(rand.NewPCG(torture.Seed(t), uint64(part))),
		user: user{t.Context(), filepath.Join(dir, "disk", repository), filepath.Join(dir, "cache"), k.unlock("owner"), log.New(os.Stderr, "warning: ", 0)},
		now:  note{Committed: none(), Unsure: none(), Forgotten: none(), Pruned: none(), Known: none(), Lost: map[string]bool{}}}
	if part == 0 {
		for _, folder := range []string{a.mail, filepath.Dir(a.dir), a.cache} {
			must(t, os.Mkdir(folder, 0o700))
		}
	} else {
		events := readRecord(t, recordOf(dir, part-1))
		a.now = *events[slices.IndexFunc(events, func(e event) bool { return e.Note != nil && e.Note.Last })].Note
		a.now.Last = false
	}
	out, err := os.Create(recordOf(dir, part))
	must(t, err)
	a.rec = record(t, filepath.Dir(a.dir), out)
	scripts[filepath.Base(dir)][part](a, k)
	a.now.Last = true
	a.rec.note(a.now)
	must(t, a.rec.err)
	must(t, out.Close())
}

func recordOf(dir string, part int) string { return filepath.Join(dir, fmt.Sprint("record", part)) }

// recorded has child processes do a script, and returns their record.
func recorded(t *testing.T, script string, k keyring, seed uint64) (events []event) {
	t.Helper()
	dir := filepath.Join(torture.Memory(t), script)
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Symlink(k.dir, filepath.Join(dir, "keys")))
	for part := range scripts[script] {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAuthor$", "-test.count=1")
		cmd.Env = append(os.Environ(), authoring+"="+dir, fmt.Sprint(authoringPart, "=", part), fmt.Sprint("RESTANTE_SEED=", seed))
		if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("warning: ")) {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		events = append(events, readRecord(t, recordOf(dir, part))...)
	}
	return events
}
