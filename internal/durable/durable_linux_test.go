package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"restante/internal/durable"
)

// traced tells the test binary to be the process that is traced.
const traced = "RESTANTE_DURABLE_TRACED"

// TestSystemCalls watches the system calls that make files durable, and what [durable.Watch]
// tells of them: without it nothing but a power cut would tell that an fsync is missing.
func TestSystemCalls(t *testing.T) {
	if dir := os.Getenv(traced); dir != "" {
		watched := beTraced(t, dir)
		if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "watched"), []byte(strings.Join(watched, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "log")
	cmd := exec.Command(strace, "-f", "-y", "-o", log, "-e", "trace=mkdirat,write,fsync,fdatasync,linkat,renameat2,unlinkat",
		os.Args[0], "-test.run=^TestSystemCalls$", "-test.count=1")
	cmd.Env = append(os.Environ(), traced+"="+filepath.Join(dir, "store"))
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "ptrace") {
			t.Skipf("strace may not trace here: %s", out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	calls, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(`
mkdirat new
fsync .
mkdirat new/store
fsync new
mark
mkdirat tmp
write tmp/T
fsync tmp/T
mkdirat a
mkdirat a/b
linkat tmp/T a/b/one
unlinkat tmp/T
fsync a/b
fsync a
fsync .
mark
write tmp/T
fsync tmp/T
linkat tmp/T a/b/two
unlinkat tmp/T
fsync a/b
mark
write tmp/T
fsync tmp/T
linkat tmp/T a/b/two = EEXIST
unlinkat tmp/T
fsync a/b
fsync a
fsync .
mark
unlinkat a/b/two
fsync a/b
mark
write tmp/T
fsync tmp/T
mkdirat a
mkdirat a/b
linkat tmp/T a/b/three
unlinkat tmp/T
fsync a/b
fsync a
fsync .`)
	if got := strings.Join(condense(string(calls), filepath.Join(dir, "store")), "\n"); got != want {
		t.Errorf("the system calls are\n%s\n\nwant\n%s", got, want)
	}
	if watched, err := os.ReadFile(filepath.Join(dir, "watched")); err != nil || string(watched) != want {
		t.Errorf("Watch told of\n%s\n\nwant\n%s\n%v", watched, want, err)
	}
}

// beTraced writes below dir, with a mark between the parts. It returns what Watch
// tells of that, as condense does.
func beTraced(t *testing.T, dir string) (watched []string) {
	store := filepath.Join(dir, "new", "store")
	base := dir
	t.Cleanup(durable.Watch(func(c durable.Call, do func() error) error {
		err := do()
		call, _, _ := strings.Cut(string(c.Op), " ")
		for _, name := range []string{c.From, c.Name} {
			if path, _ := filepath.Rel(base, filepath.Join(c.Dir, name)); name != "" {
				call += " " + randomName.ReplaceAllString(path, "tmp/T")
			}
		}
		switch {
		case c.Op == durable.Create: // strace is not asked for it
		case err == nil:
			watched = append(watched, call)
		case c.Op == durable.Link && errors.Is(err, fs.ErrExist):
			watched = append(watched, call+" = EEXIST")
		}
		return err
	}))
	steps := []func() error{
		func() error { return os.Mkdir(dir, 0o700) },
		func() error { return durable.MakeDir(store) },
	}
	var d *durable.Dir
	commit := func(name string) func() error {
		return func() error {
			if d == nil {
				d = openDir(t, store)
			}
			return create(t, d, "x").Commit(name)
		}
	}
	second := func() error {
		if err := create(t, openDir(t, store), "x").Commit("a/b/two"); err == nil {
			t.Error("Commit over a file succeeded")
		}
		return nil
	}
	remove := func() error { return d.Remove("a/b/two") }
	again := func() error { // in folders that are new
		if err := os.Rename(filepath.Join(store, "a"), filepath.Join(dir, "a")); err != nil {
			return err
		}
		return commit("a/b/three")()
	}
	steps = append(steps, commit("a/b/one"), commit("a/b/two"), second, remove, again)
	for i, step := range steps {
		if i > 1 {
			if _, err := os.Stderr.WriteString("mark"); err != nil {
				t.Fatal(err)
			}
			base, watched = store, append(watched, "mark")
		}
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return watched
}

var (
	straceLine = regexp.MustCompile(`^\d+ +(\w+)\((.*)\) += (-?\d+)(?: (E\w+))?`)
	straceFile = regexp.MustCompile(`\d+<([^>]*)>(?:, "([^"]*)")?`)
	straceHead = regexp.MustCompile(`^(\d+) .* <unfinished \.\.\.>$`)
	straceTail = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>`)
	randomName = regexp.MustCompile(`tmp/[A-Z2-7]{26}`)
)

// condense turns strace's lines into "call path… = error", with paths relative
// to the store, or before that exists to dir, and leaves out what is elsewhere.
func condense(log, dir string) []string {
	var out []string
	base := dir
	heads := make(map[string]string) // by thread: calls that another thread's came between
	for line := range strings.Lines(log) {
		line = strings.TrimSuffix(line, "\n")
		if m := straceHead.FindStringSubmatch(line); m != nil {
			heads[m[1]] = strings.TrimSuffix(line, " <unfinished ...>")
			continue
		}
		if m := straceTail.FindStringSubmatch(line); m != nil {
			line = heads[m[1]] + line[len(m[0]):]
		}
		m := straceLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if m[1] == "write" && strings.HasPrefix(m[2], "2<") && strings.Contains(m[2], `"mark"`) {
			out = append(out, "mark")
			base = filepath.Join(dir, "new", "store")
			continue
		}
		call := []string{m[1]}
		for _, f := range straceFile.FindAllStringSubmatch(m[2], -1) {
			if m[1] == "write" {
				f[2] = "" // that is not a name
			}
			path, err := filepath.Rel(base, filepath.Join(f[1], f[2]))
			if err != nil || strings.HasPrefix(path, "..") || f[1] == "" {
				call = nil
				break
			}
			call = append(call, randomName.ReplaceAllString(path, "tmp/T"))
		}
		if len(call) < 2 || m[1] == "unlinkat" && m[4] != "" {
			continue
		}
		if m[4] != "" {
			call = append(call, "=", m[4])
		}
		out = append(out, strings.Join(call, " "))
	}
	return out
}
