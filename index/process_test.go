package index_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"restante/blob"
	"restante/index"
)

// The test binary runs itself as another process: childEnv names a directory
// and what to do there.
const (
	childEnv = "RESTANTE_INDEX_TEST_DIR"
	taskEnv  = "RESTANTE_INDEX_TEST_TASK"
	seedEnv  = "RESTANTE_INDEX_TEST_SEED"
)

func child(t *testing.T, dir, task string, seed int) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"="+dir, taskEnv+"="+task, fmt.Sprintf("%s=%d", seedEnv, seed))
	return cmd
}

// grown returns a repository that all processes know; of its objects each sees the first n.
func grown(n int) (m *model, names []blob.ID) {
	m = newModel(30)
	for range n {
		names = append(names, m.add(2, 1, 60))
	}
	return m, names
}

func TestChild(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		t.Skip("runs as a process of other tests only")
	}
	seed, err := strconv.Atoi(os.Getenv(seedEnv))
	if err != nil {
		t.Fatal(err)
	}
	switch os.Getenv(taskEnv) {
	case "share":
		shareTask(t, dir, seed)
	case "die":
		dieTask(t, dir)
	default:
		t.Fatal("no such task")
	}
}

// shareTask syncs with a growing and shrinking part of the repository.
func shareTask(t *testing.T, dir string, seed int) {
	for round := range 8 {
		m, names := grown(4 + (round*5+seed*3)%9)
		if seed%2 == 1 {
			delete(m.objects, names[round%4])
		}
		x := open(t, dir)
		x.SetLimits(100, 250, uint64(seed)*200)
		m.sync(t, x)
		m.check(t, x)
		x.Close()
	}
}

func TestProcessesShareACache(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and the race detector does not see what other processes do")
	}
	dir := t.TempDir()
	var children []*exec.Cmd
	for seed := range 4 {
		cmd := child(t, dir, "share", seed)
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, cmd)
	}
	for _, cmd := range children {
		if err := cmd.Wait(); err != nil {
			out, _ := os.ReadFile(cmd.Stdout.(*os.File).Name())
			t.Errorf("%v:\n%s", err, out)
		}
	}
	m, _ := grown(13)
	x := open(t, dir)
	m.sync(t, x)
	m.check(t, x)
	x.Close()
}

// Of two that fold beside each other the one that knows fewer objects leaves the other's
// cache as it is, and no generation of its own.
func TestWhoKnowsLessDoesNotPublish(t *testing.T) {
	for _, fold := range []int{1, 1 << 14} {
		dir := t.TempDir()
		m, names := grown(6)
		x, y := open(t, dir), open(t, dir)
		sync := func(x *index.Index, names []blob.ID) {
			t.Helper()
			x.SetLimits(fold, 1<<18, 1<<16)
			if err := x.Sync(t.Context(), names, m.load); err != nil {
				t.Fatal(err)
			}
		}
		sync(x, names[:2])
		sync(y, names[:2])
		sync(x, names)
		sync(y, names[:3])
		y.Close()
		x.Close()
		m.loads = 0
		z := open(t, dir)
		sync(z, names)
		m.check(t, z)
		z.Close()
		if m.loads > 0 {
			t.Errorf("%d objects had to be loaded again", m.loads)
		}
		checkTidy(t, dir)
	}
}

// dieTask prints a line for each object it loads, and waits to be killed.
func dieTask(t *testing.T, dir string) {
	m, names := grown(40)
	x := open(t, dir)
	x.SetLimits(100, 250, 1<<16)
	err := x.Sync(t.Context(), names, func(ctx context.Context, name blob.ID) (*index.Object, error) {
		fmt.Println("loading")
		return m.load(ctx, name)
	})
	if err != nil {
		t.Fatal(err)
	}
	x.Close()
}

// A process killed anywhere in Sync leaves what it had published, and nothing
// that a look-up or the next fold would mind.
func TestKilledInSync(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	dir := t.TempDir()
	m, _ := grown(40)
	for kill := 1; kill <= 40; kill += 5 {
		if kill%4 == 0 {
			os.RemoveAll(dir)
		}
		cmd := child(t, dir, "die", 0)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); {
			if lines.Text() == "loading" {
				n++
			}
			if n == kill {
				break
			}
		}
		cmd.Process.Kill()
		cmd.Wait() // it was killed, or had nothing left to load: either is right
		x := open(t, dir)
		x.SetLimits(100, 250, 1<<16)
		part, names := grown(10)
		if err := x.Sync(t.Context(), names, part.load); err != nil {
			t.Fatal(err)
		}
		part.check(t, x)
		x.Close()
	}
	x := open(t, dir)
	x.SetLimits(100, 250, 1<<16)
	m.sync(t, x)
	m.check(t, x)
	m.add(2, 0, 100)
	m.sync(t, x)
	x.Close()
	checkTidy(t, dir)
}
