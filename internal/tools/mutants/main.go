// Command mutants removes each rule in turn on which it rests that nothing is
// lost, and runs the tests that have to notice.
//
// The rules are a table: which text of which file becomes what, and which tests
// fail then. Nothing in the tree changes: go test takes the changed file by its
// flag -overlay. It prints for each rule the test that failed, and exits with 1
// when none did, or when a text does not occur once any more.
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
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	tried, bad := 0, 0
	for _, m := range mutations {
		if !match.MatchString(m.rule) {
			continue
		}
		tried++
		by, err := m.try(".", temp)
		switch {
		case err != nil:
			bad++
			fmt.Printf("BROKEN   %s (%s): %v\n", m.rule, m.file, err)
		case by == "":
			bad++
			fmt.Printf("ESCAPED  %s (%s)\n", m.rule, m.file)
		default:
			fmt.Printf("caught   %s: %s\n", m.rule, by)
		}
	}
	fmt.Printf("%d rules, %d of them not as they should be\n", tried, bad)
	if bad > 0 || tried == 0 {
		return errors.New("not every rule has a test that fails without it")
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
		by, err = runTest(root, overlay, strings.Fields(test))
	}
	return by, err
}

// failure is how go test names a test that failed.
var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// runTest runs some tests of a package with an overlay, and returns the first
// that failed.
func runTest(root, overlay string, test []string) (by string, err error) {
	cmd := exec.Command("go", "test", "-count=1", "-failfast", "-vet=off", "-ldflags=-s -w", "-timeout=5m", "-overlay="+overlay,
		"-run=^("+strings.Join(test[1:], "|")+")$", test[0])
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil {
		if strings.Contains(string(out), "[no tests to run]") {
			return "", fmt.Errorf("package %s has none of the tests %q", test[0], test[1:])
		}
		return "", nil
	}
	if strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]") {
		return "", fmt.Errorf("it does not compile:\n%s", out)
	}
	if found := failure.FindSubmatch(out); found != nil {
		return test[0] + " " + string(found[1]), nil
	}
	return test[0] + ", which did not come to its end", nil
}
