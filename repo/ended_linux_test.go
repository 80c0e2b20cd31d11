package repo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
)

// openClaims counts the open files of sets in a cache.
func openClaims(t *testing.T, cache string) (n int) {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(fds) == 0 {
		t.Skip("open files are not known: ", err)
	}
	for _, fd := range fds {
		if path, err := os.Readlink(fd); err == nil && strings.HasPrefix(path, cache) && strings.Contains(path, "claims-") {
			n++
		}
	}
	return n
}

// A session gives up what it has on disk when it ends, however it does: a prune
// goes on for long behind its own.
func TestEndedSessionsHaveNothingOnDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	r := f.open(t)
	for name, end := range map[string]func(*repo.Session) error{
		"Commit":  func(s *repo.Session) error { return s.Commit(t.Context(), payload("all")) },
		"Keep":    func(s *repo.Session) error { return s.Keep(t.Context()) },
		"Abandon": func(s *repo.Session) error { return s.Abandon(t.Context()) },
	} {
		s := begin(t, r)
		var pieces [][]byte
		for i := range 40_000 {
			pieces = append(pieces, []byte{byte(i), byte(i >> 8), name[0]})
		}
		save(t, s, blob.Text, pieces...)
		if openClaims(t, f.cache) == 0 {
			t.Fatal("the session has nothing on disk: the test shows nothing")
		}
		if err := end(s); err != nil {
			t.Fatal(err)
		}
		if n := openClaims(t, f.cache); n > 0 {
			t.Errorf("%s leaves %d files open", name, n)
		}
	}
}
