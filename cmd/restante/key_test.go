package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// patch changes one byte of a file, and called again changes it back:
// patch FILE OFFSET XOR.
func patch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: patch FILE OFFSET XOR")
	}
	offset, err := strconv.Atoi(args[1])
	ts.Check(err)
	mask, err := strconv.ParseUint(args[2], 0, 8)
	ts.Check(err)
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	data[offset] ^= byte(mask)
	ts.Check(os.WriteFile(path, data, 0o600))
}

// damagekey changes the last byte of the one key object of a repository, and of its spare, and
// called again changes it back: damagekey REPOSITORY.
func damageKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damagekey REPOSITORY")
	}
	found, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "keys", "*"))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("there are %d key objects", len(found))
	}
	info, err := os.Stat(found[0])
	ts.Check(err)
	for _, folder := range []string{"keys", filepath.Join("spares", "keys")} {
		path := filepath.Join(ts.MkAbs(args[0]), folder, filepath.Base(found[0]))
		patch(ts, false, []string{path, strconv.FormatInt(info.Size()-1, 10), "1"})
	}
}

var starred = regexp.MustCompile(`(?m)^\* +([0-9a-f]+) `)

// usedKey puts the ID of the key that opens the repository into a variable:
// usedkey NAME [OPTION…].
func usedKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: usedkey NAME [OPTION...]")
	}
	ts.Check(ts.Exec("restante", append([]string{"key", "list"}, args[1:]...)...))
	found := starred.FindStringSubmatch(ts.ReadFile("stdout"))
	if found == nil {
		ts.Fatalf("no key has a star")
	}
	ts.Setenv(args[0], found[1])
}
