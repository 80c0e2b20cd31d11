package verify_test

import (
	"slices"
	"strings"
	"testing"

	"restante/repo"
	"restante/storage/faulty"
	"restante/verify"
)

// noted returns what is noted as damaged: roles, with the number of damaged
// clumps, or "whole".
func (f *fixture) noted(t *testing.T) (lines []string) {
	t.Helper()
	all, err := f.open(t).Damages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		line := f.roles[repo.PackName(d.Pack)] + strings.Repeat(" clump", len(d.Clumps))
		if d.Whole {
			line += " whole"
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// A check notes which packs are damaged, and how far.
func TestMarks(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	whole := newFixture(t)
	bob := whole.clumps(t, "data1")[1]
	end := int(bob.Offset + bob.Length)
	for _, c := range []struct {
		name       string
		at         int
		want, read []string // without and with --read-data
	}{
		{"header", 3, []string{"data1 whole"}, []string{"data1 whole"}},
		{"encapsulation", 500, nil, []string{"data1 whole"}},
		{"a clump", end - 20, nil, []string{"data1 clump"}},
		{"padding", end + 70_000, nil, []string{"data1"}},
		{"directory", -100, nil, []string{"data1 whole"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := whole.clone(t)
			name := f.names["data1"]
			sound := f.get(t, name)
			f.replace(t, name, flip(sound, c.at))
			f.check(t, false)
			wantLines(t, f.noted(t), c.want)
			report := f.check(t, true)
			wantLines(t, f.noted(t), c.read)
			if report.Marked != 1 {
				t.Errorf("%d packs are marked", report.Marked)
			}
			// What is noted is a finding until the pack is whole or gone.
			if report = f.check(t, false); len(report.Findings) != 1 || report.Findings[0].Object != name {
				t.Errorf("findings: %+v", report.Findings)
			}
			f.replace(t, name, sound)
			wantLines(t, f.render(f.check(t, false)), nil)
			wantLines(t, f.noted(t), nil)
		})
	}
}

// A clump of a tree that is damaged is noted though not all is read; so the next
// backup stores what is missing, and all can be read.
func TestMarkedPiecesAreStoredAgain(t *testing.T) {
	f := newFixture(t).clone(t)
	damages["flip"](t, f, f.names["tree1"])
	alice := f.clumps(t, "data1")[0]
	f.replace(t, f.names["data1"], flip(f.get(t, f.names["data1"]), int(alice.Offset)+9))
	f.check(t, false)
	wantLines(t, f.noted(t), []string{"tree1 clump"})
	f.check(t, true)
	wantLines(t, f.noted(t), []string{"data1 clump", "tree1 clump"})
	f.backup(t, 1, "3")
	f.backup(t, 2, "4")
	for _, found := range f.check(t, true).Findings {
		if found.Lost.Files.Count+found.Lost.Snapshots.Count > 0 {
			t.Errorf("after two backups of the same this is lost: %+v", found)
		}
	}
	f.replace(t, f.names["data1"], nil)
	if report := f.check(t, false); report.Marked != 1 {
		t.Errorf("%d packs are marked", report.Marked)
	}
	wantLines(t, f.noted(t), []string{"data1 clump", "tree1 clump"})
}

// With a key that cannot read all of a damaged pack counts as absent, unless it
// is known better.
func TestMarksOfAWriter(t *testing.T) {
	f := newFixture(t).clone(t)
	owner := f.file
	writer := f.addWriter(t)
	alice := f.clumps(t, "data1")[0]
	f.replace(t, f.names["data1"], flip(f.get(t, f.names["data1"]), int(alice.Offset)+9))
	f.file = writer
	f.check(t, true)
	wantLines(t, f.noted(t), []string{"data1 whole"})
	f.file = owner
	f.check(t, true)
	wantLines(t, f.noted(t), []string{"data1 clump"})
	f.file = writer
	f.check(t, true)
	wantLines(t, f.noted(t), []string{"data1 clump"})
}

// A storage that cannot be written to is checked all the same.
func TestMarksThatCannotBePut(t *testing.T) {
	f := newFixture(t).clone(t)
	damages["flip"](t, f, f.names["data1"])
	readOnly := faulty.New(f.store)
	r := f.openOn(t, readOnly)
	readOnly.Arm(faulty.Fault{Ops: faulty.Changes})
	report, err := verify.Check(t.Context(), r, verify.Options{ReadData: true})
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, f.render(report), []string{"data1: " + broken})
	if report.Marked != 0 || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "could not be noted") {
		t.Errorf("%d packs are marked; notes: %q", report.Marked, report.Notes)
	}
	report, err = verify.Check(t.Context(), f.open(t), verify.Options{ReadData: true, NoMark: true})
	if err != nil || report.Marked != 0 || len(f.noted(t)) > 0 {
		t.Errorf("with NoMark %+v is noted, %v", f.noted(t), err)
	}
}
