package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"restante/seal"
)

const (
	killJobs    = 2
	killWorkers = killJobs + 1 // and who writes the tree
	firstPack   = 16 << 20     // how large the packs of a new repository become
)

// A moment says in which folder of the repository how many new objects are to be
// seen before a run is killed.
type moment struct {
	folder string
	more   int
}

// A first backup that is killed, at any time and again and again, and then
// finished has stored each piece once. What a kill makes it store again is no more
// than one pack a worker, in number and in bytes. The store has more pieces than there are between two
// checkpoints, so that one of them is met too.
func TestKilledFirstBackups(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes several hundred MiB")
	}
	k := newKillStore(t, t.TempDir())
	k.fill(t)
	whole := k.repository(t)
	k.run(t, whole, "backup", "--jobs", fmt.Sprint(killJobs), k.mail)
	want := k.pieces(t, whole)
	for name, moments := range map[string][]moment{
		// The last is when the packs of the run before have been adopted.
		"packs": {{"intents", 1}, {"tmp", 1}, {"packs", 1}, {"packs", 2}, {"index", 1}},
		// First at a checkpoint, then when packs are adopted or all is stored.
		"checkpoint": {{"index", 1}, {"index", 1}},
	} {
		t.Run(name, func(t *testing.T) {
			repository := k.repository(t)
			for _, m := range moments {
				k.kill(t, repository, m)
			}
			k.run(t, repository, "backup", "--jobs", fmt.Sprint(killJobs), k.mail)
			if n := k.pieces(t, repository); n != want {
				t.Errorf("the index names %d pieces, %d after a run that was not killed", n, want)
			}
			once, stored := sizeOf(t, whole, "packs"), sizeOf(t, repository, "packs")
			t.Logf("packs have %d bytes, %d after a run that was not killed", stored, once)
			// What ends earlier is padded and compresses less, by little.
			if stored > once+firstPack/4 {
				t.Errorf("packs have %d bytes, %d after a run that was not killed", stored, once)
			}
			k.compare(t, repository)
		})
	}
}

// A killStore is a mail store, and an empty repository for it, of which each
// test has a copy: with the same keys, so that the same is cut in the same places.
type killStore struct{ dir, mail string }

// newKillStore returns one whose mail is still to be written.
func newKillStore(t *testing.T, dir string) *killStore {
	t.Helper()
	k := &killStore{dir: dir, mail: filepath.Join(dir, "vmail")}
	check(t, os.Mkdir(k.mail, 0o700))
	password := filepath.Join(dir, "password")
	check(t, os.WriteFile(password, []byte("secret\n"), 0o600))
	empty := filepath.Join(dir, "empty")
	k.run(t, empty, "init", "--new-password-file", password)
	k.run(t, empty, "key", "add", "--password-file", password, "--to-file", filepath.Join(dir, "key"))
	return k
}

// fill writes so much mail that a backup of it takes seconds.
func (k *killStore) fill(t *testing.T) {
	t.Helper()
	rnd := rand.NewChaCha8([32]byte{1})
	body := make([]byte, 288)
	for box := range 4 {
		var mbox bytes.Buffer
		for n := range 50_000 {
			rnd.Read(body)
			fmt.Fprintf(&mbox, "From a@b Mon May  6 07:08:09 2024\nSubject: %d\n\n%s\n\n", n, base64.StdEncoding.EncodeToString(body))
		}
		check(t, os.WriteFile(filepath.Join(k.mail, fmt.Sprint("user", box)), mbox.Bytes(), 0o600))
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// repository returns a new repository, which has nothing.
func (k *killStore) repository(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repository")
	check(t, os.CopyFS(dir, os.DirFS(filepath.Join(k.dir, "empty"))))
	return dir
}

// command is the program at work on a repository, with a cache beside it unless args say where.
func (k *killStore) command(repository string, args ...string) *exec.Cmd {
	cmd := exec.Command("restante", append([]string{"--repo", repository, "--cache-dir", repository + ".cache"}, args...)...)
	cmd.Env = os.Environ()
	if args[0] != "init" && args[0] != "key" {
		cmd.Env = append(cmd.Env, "RESTANTE_KEY_FILE="+filepath.Join(k.dir, "key"))
	}
	return cmd
}

func (k *killStore) run(t *testing.T, repository string, args ...string) []byte {
	t.Helper()
	cmd := k.command(repository, args...)
	var text bytes.Buffer
	cmd.Stderr = &text
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("restante %s: %v\n%s%s", args, err, out, &text)
	}
	return out
}

// kill starts a backup and kills it when the moment has come.
func (k *killStore) kill(t *testing.T, repository string, m moment) {
	t.Helper()
	before := len(filesIn(t, repository, m.folder))
	cmd := k.command(repository, "backup", "--jobs", fmt.Sprint(killJobs), k.mail)
	check(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(filesIn(t, repository, m.folder)) < before+m.more {
		select {
		case err := <-ended:
			t.Fatalf("it ended before %s had %d more objects: %v", m.folder, m.more, err)
		case <-tick.C:
		}
	}
	check(t, cmd.Process.Kill())
	if err := <-ended; err == nil {
		t.Fatal("it ended before it was killed")
	}
	// What was not durable yet is what is stored again.
	packs, bytes := unfinishedPacks(t, repository)
	t.Logf("killed with %d packs, %d index objects, %d unfinished packs: %d bytes", len(filesIn(t, repository, "packs")),
		len(filesIn(t, repository, "index")), packs, bytes)
	if packs > killWorkers || bytes > killWorkers*firstPack {
		t.Errorf("%d packs of %d bytes are stored again, by %d workers", packs, bytes, killWorkers)
	}
}

// unfinishedPacks counts the packs that were on their way, and their bytes. Other
// objects may have been so too. What has no header yet is taken for a pack.
func unfinishedPacks(t *testing.T, repository string) (packs int, bytes int64) {
	t.Helper()
	for name, size := range filesIn(t, repository, "tmp") {
		data, err := os.ReadFile(filepath.Join(repository, name))
		check(t, err)
		h, err := seal.ParseHeader(data)
		if err != nil || h.Kind == seal.KindDataPack || h.Kind == seal.KindTreePack {
			packs, bytes = packs+1, bytes+size
		}
	}
	return packs, bytes
}

// pieces checks a repository, all of it, and returns how many pieces its index
// names. One in two packs counts twice.
func (k *killStore) pieces(t *testing.T, repository string) uint64 {
	t.Helper()
	var report struct {
		Pieces   uint64
		Findings []json.RawMessage
	}
	out := k.run(t, repository, "check", "--read-data", "--json")
	check(t, json.Unmarshal(out, &report))
	if report.Pieces == 0 || len(report.Findings) != 0 {
		t.Errorf("check says %s", out)
	}
	return report.Pieces
}

// compare restores the store and compares it with what it was.
func (k *killStore) compare(t *testing.T, repository string) {
	t.Helper()
	target := filepath.Join(t.TempDir(), "restored")
	k.run(t, repository, "restore", "--all", "--target", target)
	for path := range filesIn(t, k.dir, "vmail") {
		want, err := os.ReadFile(filepath.Join(k.dir, path))
		check(t, err)
		name := filepath.Base(path)
		got, err := os.ReadFile(filepath.Join(target, name))
		check(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s came back as something else", name)
		}
	}
}

// filesIn returns the files below a folder, with their sizes.
func filesIn(t *testing.T, dir, folder string) map[string]int64 {
	t.Helper()
	files := map[string]int64{}
	err := fs.WalkDir(os.DirFS(dir), folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			return nil
		}
		var info fs.FileInfo
		if err == nil {
			info, err = e.Info()
		}
		if errors.Is(err, fs.ErrNotExist) { // not yet, or no more
			return nil
		}
		if err == nil {
			files[path] = info.Size()
		}
		return err
	})
	check(t, err)
	return files
}

func sizeOf(t *testing.T, dir, folder string) (sum int64) {
	t.Helper()
	for _, size := range filesIn(t, dir, folder) {
		sum += size
	}
	return sum
}
