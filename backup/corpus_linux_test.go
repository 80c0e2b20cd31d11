package backup_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// corpus unpacks a collection of real mail, or says why it cannot.
func corpus(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("RESTANTE_CORPORA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "corpora")
	}
	script, err := filepath.Abs(filepath.Join(dir, "unpack"))
	must(t, err)
	if _, err := os.Stat(script); err != nil {
		t.Skip("no corpora: set RESTANTE_CORPORA to their folder")
	}
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Skip("zstd is not installed, which unpacks the corpora")
	}
	to := t.TempDir()
	if out, err := exec.Command(script, to, name).CombinedOutput(); err != nil {
		t.Fatalf("unpacking %s: %v\n%s", name, err, out)
	}
	return filepath.Join(to, name)
}

// TestTortureCorpus backs the test files of many mail programs up, as files and
// as messages, and wants the same bytes back.
func TestTortureCorpus(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a few seconds")
	}
	f := newFixture(t)
	files := corpus(t, "torture")
	must(t, os.Rename(files, f.root("torture")))
	f.maildir("alice/Maildir", 0)
	n := 0
	err := filepath.WalkDir(f.root("torture"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		f.write(fmt.Sprintf("alice/Maildir/cur/%d:2,", n), string(data))
		return nil
	})
	must(t, err)
	if n < 100 {
		t.Fatalf("%d files", n)
	}
	result := f.clean()
	if got := result.Snapshot.Tree.Counts.Messages; got < uint64(n) { // there are mboxes among the files, too
		t.Errorf("%d messages of %d", got, n)
	}
	dir, failed := f.restore(result)
	for _, fail := range failed {
		t.Errorf("%q: %v", fail.Path, fail.Err)
	}
	same(t, dir, f.roots[0])
	if run := f.clean().Snapshot.Run; run.BytesRead != 0 {
		t.Errorf("the second run: %+v", run)
	}
}

// TestCorporaComeBack backs up each corpus as it is and wants it back, file by file.
func TestCorporaComeBack(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	for _, name := range []string{"users-b", "usrp-users", "dovecot", "vcard-ical"} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.roots = []string{corpus(t, name)}
			dir, failed := f.restore(f.clean())
			for _, fail := range failed {
				t.Errorf("%q: %v", fail.Path, fail.Err)
			}
			same(t, dir, f.roots[0])
		})
	}
}
