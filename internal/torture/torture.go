// Package torture says how much the tests do that try to break a repository:
// crashes, faults, random histories, kills. Each has a short form, which is part
// of the tests, and a long one, which scripts/torture runs.
package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

const (
	longVariable = "RESTANTE_TORTURE" // set to anything for the long form
	seedVariable = "RESTANTE_SEED"    // a number, to do again what failed
)

// Long reports whether the long form is asked for.
func Long() bool { return os.Getenv(longVariable) != "" }

// Rounds returns how many rounds to do, of those of the short and of the long form.
func Rounds(short, long int) int {
	if Long() {
		return long
	}
	return short
}

// Seed returns what random choices are made from, and prints it in the long form and if
// the test fails: the one that was asked for, else the same one always in the short form
// and any in the long one.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(1)
	if text := os.Getenv(seedVariable); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
		seed = n
	} else if Long() {
		seed = rand.Uint64()
	}
	if Long() {
		Report(t, "seed %d", seed)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to do this again: %s=%d", seedVariable, seed)
		}
	})
	return seed
}

// Report says what a test has tried. scripts/torture gathers these lines.
func Report(t testing.TB, format string, args ...any) {
	t.Helper()
	t.Logf("torture: %s: %s", t.Name(), fmt.Sprintf(format, args...))
}
