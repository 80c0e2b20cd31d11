package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"restante/internal/torture"
)

// A fullStore is a mail store of files that do not compress, and a small disk.
type fullStore struct {
	*killStore
	disk, repository, cache string
}

// newFullStore returns one whose repository lies on the disk if that is wanted, else
// elsewhere. It has the keys of k.
func newFullStore(t *testing.T, k *killStore, size int, onDisk bool) *fullStore {
	t.Helper()
	dir := t.TempDir()
	f := &fullStore{disk: torture.SmallDisk(t, size), killStore: &killStore{dir: k.dir, mail: filepath.Join(dir, "vmail")}}
	f.repository = filepath.Join(dir, "repository")
	f.cache = f.repository + ".cache"
	if onDisk {
		f.repository = filepath.Join(f.disk, "repository")
	}
	check(t, os.Mkdir(f.mail, 0o700))
	check(t, os.CopyFS(f.repository, os.DirFS(filepath.Join(k.dir, "empty"))))
	return f
}

// deliver makes a file in the mail store that does not compress.
func (f *fullStore) deliver(t *testing.T, name string, size int) {
	t.Helper()
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(len(name)), name[0]}).Read(data)
	check(t, os.WriteFile(filepath.Join(f.mail, name), data, 0o600))
}

func (f *fullStore) command(args ...string) *exec.Cmd {
	return f.killStore.command(f.repository, append([]string{"--cache-dir", f.cache}, args...)...)
}

// succeed runs a command that does.
func (f *fullStore) succeed(t *testing.T, args ...string) {
	t.Helper()
	if out, err := f.command(args...).CombinedOutput(); err != nil {
		t.Fatalf("restante %s: %v\n%s", args, err, out)
	}
}

// fail runs a command that fails with a code, and says certain things.
func (f *fullStore) fail(t *testing.T, code int, args []string, says ...string) {
	t.Helper()
	cmd := f.command(args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		t.Fatalf("restante %s: %v, want exit code %d\n%s", args, err, code, &stderr)
	}
	for _, text := range says {
		if !strings.Contains(stderr.String(), text) {
			t.Errorf("restante %s does not say %q:\n%s", args, text, &stderr)
		}
	}
}

// sound wants nothing to be wrong with the repository, nothing unfinished in it,
// and the newest snapshot to be a mail store.
func (f *fullStore) sound(t *testing.T, mail map[string]string) {
	t.Helper()
	f.succeed(t, "check", "--read-data")
	if left := filesIn(t, f.repository, "tmp"); len(left) > 0 {
		t.Errorf("unfinished files stay: %v", left)
	}
	target := filepath.Join(t.TempDir(), "restored")
	f.succeed(t, "restore", "--all", "--target", target)
	f.wantRestored(t, target, mail)
}

func (f *fullStore) wantRestored(t *testing.T, target string, mail map[string]string) {
	t.Helper()
	if got := readAll(t, target); len(got) != len(mail) {
		t.Errorf("%d files were restored, want %d", len(got), len(mail))
	} else {
		for name, data := range mail {
			if got[name] != data {
				t.Errorf("%s came back as something else", name)
			}
		}
	}
}

// readAll reads the files of a folder.
func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for path := range filesIn(t, dir, ".") {
		data, err := os.ReadFile(filepath.Join(dir, path))
		check(t, err)
		all[path] = string(data)
	}
	return all
}

// enlarge gives the disk more room.
func (f *fullStore) enlarge(t *testing.T, size int) {
	t.Helper()
	check(t, unix.Mount("tmpfs", f.disk, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", size)))
}

// fill leaves so many bytes free on the disk.
func (f *fullStore) fill(t *testing.T, free int) {
	t.Helper()
	f.empty(t)
	var st unix.Statfs_t
	check(t, unix.Statfs(f.disk, &st))
	check(t, os.WriteFile(f.filler(), make([]byte, int(st.Bavail)*int(st.Bsize)-free), 0o600))
}

// empty takes away what fill made.
func (f *fullStore) empty(t *testing.T) {
	t.Helper()
	check(t, os.RemoveAll(f.filler()))
}

func (f *fullStore) filler() string { return filepath.Join(f.disk, "filler") }

const hintOfRoom = "hint: free space where the repository lies"

// On a full disk each command says what failed and what to do, leaves nothing broken,
// and goes on when there is room.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts many processes")
	}
	k := newKillStore(t, t.TempDir())
	for name, test := range map[string]func(*testing.T, *killStore){
		"backup": backUpToFullDisk, "prune": pruneOnFullDisk, "restore": restoreToFullDisk, "cache": useFullCache,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

func backUpToFullDisk(t *testing.T, k *killStore) {
	f := newFullStore(t, k, 8<<20, true)
	f.deliver(t, "a", 1<<20)
	f.succeed(t, "backup", "--min-free", "0", f.mail)
	first := readAll(t, f.mail)
	for i := range 16 {
		f.deliver(t, fmt.Sprint("b", strings.Repeat("x", i)), 1<<20)
	}
	f.fail(t, exitFailed, []string{"backup", f.mail}, "MiB are to stay free", hintOfRoom)
	f.sound(t, first)
	again := []string{"backup", "--min-free", "0", f.mail}
	for range 2 {
		f.fail(t, exitFailed, again, "no space left", f.repository, hintOfRoom)
		f.sound(t, first)
	}
	f.enlarge(t, 64<<20)
	f.succeed(t, again...)
	f.sound(t, readAll(t, f.mail))
}

// pruneOnFullDisk writes a few KiB before it deletes.
func pruneOnFullDisk(t *testing.T, k *killStore) {
	f := newFullStore(t, k, 16<<20, true)
	f.deliver(t, "keep", 1<<20)
	f.deliver(t, "a", 2<<20)
	f.succeed(t, "backup", "--min-free", "0", f.mail)
	check(t, os.Remove(filepath.Join(f.mail, "a")))
	f.deliver(t, "bb", 2<<20)
	f.succeed(t, "backup", "--min-free", "0", f.mail)
	check(t, os.Remove(filepath.Join(f.mail, "bb")))
	f.succeed(t, "backup", "--min-free", "0", f.mail)
	last := readAll(t, f.mail)
	f.succeed(t, "forget", "--keep-last", "1")
	prune := []string{"prune", "--grace", "0", "--max-unused", "0"}
	f.fill(t, 0)
	f.fail(t, exitFailed, prune, "no space left", f.repository, hintOfRoom)
	f.sound(t, last)
	f.fill(t, 8<<10)
	before := sizeOf(t, f.repository, "packs")
	f.succeed(t, prune...)
	if after := sizeOf(t, f.repository, "packs"); after > before-2<<20 {
		t.Errorf("packs have %d bytes, and had %d", after, before)
	}
	f.sound(t, last)
	f.enlarge(t, 128<<20)
	f.succeed(t, prune...) // what there was no room to rewrite
	if after := sizeOf(t, f.repository, "packs"); after > 2<<20 {
		t.Errorf("packs still have %d bytes", after)
	}
	f.sound(t, last)
}

func restoreToFullDisk(t *testing.T, k *killStore) {
	f := newFullStore(t, k, 4<<20, false)
	for _, name := range []string{"a", "bb", "ccc", "dddd", "eeeee"} {
		f.deliver(t, name, 1<<20)
	}
	f.succeed(t, "backup", f.mail)
	target := filepath.Join(f.disk, "restored")
	f.fail(t, exitFailed, []string{"restore", "--all", "--target", target}, "are to be written", "there is too little room", "hint: free space there")
	resume := []string{"restore", "--all", "--target", target, "--resume"}
	f.fail(t, exitFailed, resume, "no space left on device", target, "hint: free space on the target, then run the same command with --resume")
	f.enlarge(t, 16<<20)
	f.succeed(t, resume...)
	f.wantRestored(t, target, readAll(t, f.mail))
	f.sound(t, readAll(t, f.mail))
}

// useFullCache does with little cache, and fails without any.
func useFullCache(t *testing.T, k *killStore) {
	f := newFullStore(t, k, 4<<20, false)
	f.deliver(t, "a", 1<<20)
	f.succeed(t, "backup", f.mail)
	first, there := readAll(t, f.mail), f.cache
	f.deliver(t, "bb", 1<<20)
	f.cache = filepath.Join(f.disk, "cache")
	f.fill(t, 0)
	f.fail(t, exitFailed, []string{"backup", f.mail}, "no space left on device", f.cache, "choose another with --cache-dir")
	f.cache = there
	f.sound(t, first)
	f.cache = filepath.Join(f.disk, "cache")
	for _, room := range []int{4 << 10, 8 << 10} {
		f.fill(t, room)
		out, err := f.command("backup", f.mail).CombinedOutput()
		if text := string(out); err != nil || !strings.Contains(text, "warning: ") || !strings.Contains(text, "no space left on device") {
			t.Errorf("with %d bytes: %v\n%s", room, err, out)
		}
	}
	f.empty(t)
	if out, err := f.command("backup", f.mail).CombinedOutput(); err != nil || strings.Contains(string(out), "warning: ") {
		t.Errorf("with enough room: %v\n%s", err, out)
	}
	f.sound(t, readAll(t, f.mail))
}
