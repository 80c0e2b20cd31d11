package main

import (
	"slices"
	"testing"
)

// Each rule can be taken away: its text is there, once, and leaves Go source.
func TestMutationsApply(t *testing.T) {
	var rules []string
	for _, m := range mutations {
		if _, err := m.apply("../../.."); err != nil {
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
