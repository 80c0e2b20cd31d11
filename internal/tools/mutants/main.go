// Command mutants removes each rule in turn on which it rests that nothing is
// lost, and runs the tests that have to notice.
//
// The rules are a table: which text of which file becomes what, and which tests
// fail then. Nothing in the tree changes: go test takes the changed file by its
// flag -overlay. The tests run once as the tree is: what fails or is skipped
// there says nothing about a rule, and nothing is removed.
//
// For each rule it prints the test that failed, or one of
//
//	ESCAPED    no test failed
//	TIMED OUT  a test came to no end, so that none has said what is wrong
//	BROKEN     a text does not occur once any more, what is left does not
//	           compile, or the tests ended without one of them failing
//
// and exits with 1 if there is any of these.
//
//	go run ./internal/tools/mutants [-rules REGEXP]
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A mutation is a rule that is taken away.
type mutation struct {
	rule  string
	file  string
	edits []edit
	tests []string // each a package and some of its tests: "./gc TestPrune TestGrace"
}

// An edit replaces a text that occurs once in its file.
type edit struct{ old, new string }

func main() {
	only := flag.String("rules", "", "only rules that match this regular expression")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err == nil {
		err = run(match)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(match *regexp.Regexp) error {
	temp, err := os.MkdirTemp("", "restante-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	var chosen []mutation
	for _, m := range mutations {
		if match.MatchString(m.rule) {
			chosen = append(chosen, m)
		}
	}
	if err := baseline(".", chosen); err != nil {
		return fmt.Errorf("with no rule removed: %w", err)
	}
	bad := 0
	for _, m := range chosen {
		by, err := m.try(".", temp)
		switch {
		case errors.Is(err, errTimedOut):
			bad++
			fmt.Printf("TIMED OUT  %s (%s): %v\n", m.rule, m.file, err)
		case err != nil:
			bad++
			fmt.Printf("BROKEN     %s (%s): %v\n", m.rule, m.file, err)
		case by == "":
			bad++
			fmt.Printf("ESCAPED    %s (%s)\n", m.rule, m.file)
		default:
			fmt.Printf("caught     %s: %s\n", m.rule, by)
		}
	}
	fmt.Printf("%d rules, %d of them not as they should be\n", len(chosen), bad)
	if bad > 0 || len(chosen) == 0 {
		return errors.New("not every rule has a test that fails without it")
	}
	return nil
}

// baseline runs the tests of all the rules as the tree is, once each. It is an
// error if one of them does not pass, be it that it is skipped or not there.
func baseline(root string, rules []mutation) error {
	tests := map[string][]string{}
	for _, m := range rules {
		for _, test := range m.tests {
			names := strings.Fields(test)
			tests[names[0]] = append(tests[names[0]], names[1:]...)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(tests)) {
		slices.Sort(tests[pkg])
		names := slices.Compact(tests[pkg])
		out, err := goTest(root, pkg, names, "-v")
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", pkg, err, out)
		}
		for _, name := range names {
			if !strings.Contains(string(out), "--- PASS: "+name+" (") {
				return fmt.Errorf("%s %s has not passed: it is skipped, or there is none", pkg, name)
			}
		}
	}
	return nil
}

// apply returns the file without the rule. It is an error if it is no Go source.
func (m *mutation) apply(root string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return nil, err
	}
	text := string(data)
	for _, e := range m.edits {
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("the text %q occurs %d times", e.old, n)
		}
		text = strings.Replace(text, e.old, e.new, 1)
	}
	if text == string(data) {
		return nil, errors.New("nothing changes")
	}
	_, err = parser.ParseFile(token.NewFileSet(), m.file, text, parser.SkipObjectResolution)
	return []byte(text), err
}

// try runs the tests of a rule without it, and returns the one that failed, ""
// if none did.
func (m *mutation) try(root, temp string) (by string, err error) {
	text, err := m.apply(root)
	if err != nil {
		return "", err
	}
	changed, overlay := filepath.Join(temp, "changed.go"), filepath.Join(temp, "overlay.json")
	original, err := filepath.Abs(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err == nil {
		err = errors.Join(os.WriteFile(changed, text, 0o600), os.WriteFile(overlay, replace, 0o600))
	}
	for _, test := range m.tests {
		if err != nil || by != "" {
			break
		}
		names := strings.Fields(test)
		out, runErr := goTest(root, names[0], names[1:], "-failfast", "-overlay="+overlay)
		if by, err = failed(out, runErr, names[1:]); by != "" {
			by = names[0] + " " + by
		}
	}
	return by, err
}

// goTest runs some tests of a package and returns what they print.
func goTest(root, pkg string, names []string, flags ...string) ([]byte, error) {
	args := append([]string{"test", "-count=1", "-vet=off", "-ldflags=-s -w", "-timeout=5m",
		"-run=^(" + strings.Join(names, "|") + ")$"}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir = root
	return cmd.CombinedOutput()
}

// errTimedOut says that a test came to no end.
var errTimedOut = errors.New("a test came to no end")

// failure is how go test names a test that failed.
var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// failed returns which of the named tests failed, "" if all passed, from what go
// test printed and how it ended. That a tree does not compile, or that a process
// ends for some other reason, is an error: then no test has noticed anything.
func failed(out []byte, ended error, names []string) (string, error) {
	text := string(out)
	switch {
	case ended == nil && strings.Contains(text, "[no tests to run]"):
		return "", fmt.Errorf("there are none of the tests %q", names)
	case ended == nil:
		return "", nil
	case strings.Contains(text, "[build failed]"), strings.Contains(text, "[setup failed]"):
		return "", fmt.Errorf("it does not compile:\n%s", text)
	case strings.Contains(text, "panic: test timed out after "):
		return "", fmt.Errorf("%w: %q", errTimedOut, names)
	}
	for _, found := range failure.FindAllStringSubmatch(text, -1) {
		if slices.Contains(names, found[1]) {
			return found[1], nil
		}
	}
	return "", fmt.Errorf("none of %q failed, and yet: %w\n%s", names, ended, text)
}
