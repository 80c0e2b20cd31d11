package local_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"restante/storage/local"
)

// writing tells the test binary to be a process that writes an object.
const writing = "RESTANTE_LOCAL_WRITING"

// What a killed process was writing is removed, what a live one or this one
// writes is not, and an object that is whole stays.
func TestSweep(t *testing.T) {
	if dir := os.Getenv(writing); dir != "" {
		beWriting(t, dir)
		return
	}
	dir := filepath.Join(t.TempDir(), "store")
	s, err := local.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put(t, s, "config/1", "x")
	own, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSweep$", "-test.count=1")
	cmd.Env = append(os.Environ(), writing+"="+dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe() // open until the process is killed
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tmp", "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	wantSwept(t, s, 0, 0)
	cmd.Process.Kill()
	cmd.Wait()
	wantSwept(t, s, 1, 5)
	wantSwept(t, s, 0, 0)

	if _, err := own.Write([]byte("own")); err != nil {
		t.Fatal(err)
	}
	if err := own.Commit(t.Context(), "packs/own"); err != nil {
		t.Error(err)
	}
	got := names(t, s, "")
	slices.Sort(got)
	if !slices.Equal(got, []string{"config/1", "packs/own"}) {
		t.Errorf("listed %q", got)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 1 || left[0].Name() != "notes.txt" {
		t.Errorf("left %v, %v", left, err)
	}
}

func wantSwept(t *testing.T, s *local.Store, files int, bytes int64) {
	t.Helper()
	if n, size, err := s.Sweep(t.Context()); n != files || size != bytes || err != nil {
		t.Errorf("swept %d files of %d bytes, %v; want %d of %d", n, size, err, files, bytes)
	}
}

// beWriting writes an object until the process is killed.
func beWriting(t *testing.T, dir string) {
	s, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Write([]byte("bytes")); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("+")
	os.Stdin.Read(make([]byte, 1))
}

// Objects that are put while others sweep all arrive.
func TestSweepWhilePutting(t *testing.T) {
	s, err := local.Create(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	done, swept := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-done:
				swept <- nil
				return
			default:
			}
			if n, _, err := s.Sweep(t.Context()); err != nil {
				swept <- err
				return
			} else if n > 0 {
				t.Logf("swept %d", n)
			}
		}
	}()
	const count = 60
	for i := range count {
		if err := s.Put(t.Context(), "packs/"+strings.Repeat("a", 1+i%30)+strings.Repeat("b", i/30), []byte("x")); err != nil {
			t.Error(err)
		}
	}
	close(done)
	if err := <-swept; err != nil {
		t.Error(err)
	}
	if got := len(names(t, s, "")); got != count {
		t.Errorf("%d objects", got)
	}
}
