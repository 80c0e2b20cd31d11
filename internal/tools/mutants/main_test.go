package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

// Each rule can be taken away: its text is there, once, and leaves Go source.
func TestMutationsApply(t *testing.T) {
	var rules []string
	for _, m := range mutations {
		if _, err := m.apply(root); err != nil {
			t.Errorf("%s (%s): %v", m.rule, m.file, err)
		}
		if len(m.tests) == 0 || slices.Contains(rules, m.rule) {
			t.Errorf("%s: it has no test, or is there twice", m.rule)
		}
		rules = append(rules, m.rule)
	}
}

// A text that is not there, or twice, is told, and so is a change that changes nothing.
func TestBrokenMutations(t *testing.T) {
	for _, m := range []mutation{
		{file: "main.go", edits: []edit{{"this is " + "nowhere", ""}}},
		{file: "main.go", edits: []edit{{"err", "error"}}},
		{file: "main.go", edits: []edit{{"package main\n", "package main\n"}}},
		{file: "main.go", edits: []edit{{"package main\n", "package\n"}}},
		{file: "missing.go"},
	} {
		if _, err := m.apply("."); err == nil {
			t.Errorf("%+v is applied", m)
		}
	}
}

// Rules that are taken away are caught, by tests that pass while they are there. A
// change that breaks nothing escapes, and what does not compile is told from both.
func TestMutants(t *testing.T) {
	var rules []mutation
	for _, m := range mutations {
		if m.file == "retention/retention.go" {
			rules = append(rules, m)
		}
	}
	if len(rules) < 3 {
		t.Fatalf("there are only %d rules of this file", len(rules))
	}
	if err := baseline(root, rules); err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	for _, m := range rules[:2] {
		if by, err := m.try(root, temp); !strings.HasPrefix(by, "./retention Test") || err != nil {
			t.Errorf("%s: caught by %q, %v", m.rule, by, err)
		}
	}
	sham := rules[0]
	sham.edits = []edit{{"\npackage retention\n", "\npackage retention // which decides\n"}}
	if by, err := sham.try(root, temp); by != "" || err != nil {
		t.Errorf("a comment: caught by %q, %v", by, err)
	}
	broken := rules[0]
	broken.edits = []edit{{broken.edits[0].old, "	if nowhere {"}}
	if by, err := broken.try(root, temp); by != "" || err == nil || !strings.Contains(err.Error(), "does not compile") {
		t.Errorf("a name that is nowhere: caught by %q, %v", by, err)
	}
}

// Rules whose tests fail, are skipped or are not there are not tried.
func TestBaseline(t *testing.T) {
	for _, test := range []string{"./retention TestAlwaysKept TestNowhere", "./nowhere TestAlwaysKept"} {
		if err := baseline(root, []mutation{{tests: []string{test}}}); err == nil {
			t.Errorf("%s passes", test)
		}
	}
}

// What go test prints is a test that failed, or it is no proof.
func TestFailed(t *testing.T) {
	ended := errors.New("exit status 1")
	names := []string{"TestA", "TestB"}
	for _, c := range []struct {
		out         string
		ended       error
		by          string
		want, timed bool // an error, and that one
	}{
		{"ok  \tpkg\t0.1s\n", nil, "", false, false},
		{"ok  \tpkg\t0.1s [no tests to run]\n", nil, "", true, false},
		{"--- FAIL: TestB (0.01s)\n    x_test.go:3: no\nFAIL\n", ended, "TestB", false, false},
		{"--- FAIL: TestA (0.01s)\n    --- FAIL: TestA/b (0.00s)\npanic: no [recovered]\n", ended, "TestA", false, false},
		{"--- FAIL: TestOther (0.01s)\n    --- FAIL: TestA/b (0.00s)\nFAIL\n", ended, "", true, false},
		{"fatal error: all goroutines are asleep - deadlock!\nFAIL\tpkg\t0.1s\n", ended, "", true, false},
		{"panic: test timed out after 5m0s\n\trunning tests:\n\t\tTestA (5m0s)\n", ended, "", true, true},
		{"--- FAIL: TestA (0.01s)\npanic: test timed out after 5m0s\n", ended, "", true, true},
		{"# pkg\n./x.go:1:1: undefined: x\nFAIL\tpkg [build failed]\n", ended, "", true, false},
		{"# pkg\nFAIL\tpkg [setup failed]\n", ended, "", true, false},
	} {
		by, err := failed([]byte(c.out), c.ended, names)
		if by != c.by || (err != nil) != c.want || errors.Is(err, errTimedOut) != c.timed {
			t.Errorf("%q, %v: %q, %v", c.out, c.ended, by, err)
		}
	}
}
