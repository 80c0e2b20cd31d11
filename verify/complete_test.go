package verify_test

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"testing"

	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/verify"
)

// TestComplete takes each pack away in turn and asks what the snapshots lack.
func TestComplete(t *testing.T) {
	whole := newFixture(t)
	for role, want := range map[string][2]string{ // of the first and the second snapshot
		"":      {"0 files, 0 unlisted, names false", "0 files, 0 unlisted, names false"},
		"data1": {"182 files, 0 unlisted, names false", "181 files, 0 unlisted, names false"},
		"data2": {"0 files, 0 unlisted, names false", "2 files, 0 unlisted, names false"},
		// The list of a file with many pieces may be there, and the leaf with the file in the second's own pack.
		"tree1": {"0 files, 183 unlisted, names true", `[01] files, \d+ unlisted, names true`},
		"tree2": {"0 files, 0 unlisted, names false", "0 files, 184 unlisted, names false"},
	} {
		t.Run(role, func(t *testing.T) {
			f := whole.clone(t)
			if role != "" {
				damages["delete"](t, f, f.names[role])
			}
			for i, name := range []string{"snapshot1", "snapshot2"} {
				if got := f.complete(t, name); !regexp.MustCompile("^" + want[i] + "$").MatchString(got) {
					t.Errorf("%s lacks %s, want %s", name, got, want[i])
				}
			}
		})
	}
}

// complete forgets a snapshot and says what Complete finds when it is taken back.
func (f *fixture) complete(t *testing.T, role string) (found string) {
	t.Helper()
	r := f.open(t)
	id, err := seal.ParseSession(path.Base(f.names[role]))
	if err != nil {
		t.Fatal(err)
	}
	var record *snapshot.Snapshot
	err = r.EachSnapshot(t.Context(), func(o repo.SnapshotObject, err error) error {
		if err == nil && o.ID == id {
			record, err = snapshot.DecodeSnapshot(o.Payload)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Forget(t.Context(), id, "root"); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	err = r.Unforget(t.Context(), id, repo.Intent{}, func(s *repo.Session) error {
		gone, err := verify.Complete(t.Context(), r, s, record)
		if err != nil {
			return err
		}
		found = fmt.Sprintf("%d files, %d unlisted, names %t", gone.Files.Count, gone.Unlisted, gone.Names)
		if gone.None() {
			return nil
		}
		return refused
	})
	if err != nil && !errors.Is(err, refused) {
		t.Fatal(err)
	}
	return found
}
