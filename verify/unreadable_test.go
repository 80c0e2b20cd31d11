package verify_test

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"restante/repo"
	"restante/storage/faulty"
	"restante/verify"
)

// What cannot be read is named as that, whatever kind of object it is: nothing is lost
// because of it, and no damage is noted. When it can be read again all is sound.
func TestUnreadable(t *testing.T) {
	if testing.Short() {
		t.Skip("it checks many repositories, one after the other")
	}
	whole := newFixture(t)
	for role := range whole.names {
		if role == "README" {
			continue // nobody reads it
		}
		for _, why := range []error{fs.ErrPermission, syscall.EIO} {
			for _, readData := range []bool{false, true} {
				t.Run(role, func(t *testing.T) {
					f := whole.clone(t)
					store := faulty.New(f.store)
					r := f.openOn(t, store)
					if _, err := r.Pieces(t.Context()); err != nil { // so that the index is known
						t.Fatal(err)
					}
					store.Refuse(f.names[role], why)
					f.wantUnreadable(t, r, role, readData)
					store.Refuse("", nil)
					wantLines(t, f.noted(t), nil)
					wantLines(t, f.render(f.check(t, readData)), nil)
				})
			}
		}
	}
}

// wantUnreadable checks a repository of which one object cannot be read.
func (f *fixture) wantUnreadable(t *testing.T, r *repo.Repository, role string, readData bool) {
	t.Helper()
	report, err := verify.Check(t.Context(), r, verify.Options{ReadData: readData})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Findings) != 1 || report.Findings[0].Object != f.names[role] || report.Marked != 0 {
		t.Fatalf("%q, with %d packs marked", f.render(report), report.Marked)
	}
	found := report.Findings[0]
	lost := len(found.Lost.Snapshots.First) + len(found.Lost.Mailboxes.First) + int(found.Lost.Files.Count)
	if !found.Unreadable || !strings.HasPrefix(found.What, "it cannot be read: ") || lost > 0 || !strings.Contains(found.Hint, "nothing counts as lost") {
		t.Errorf("%+v", found)
	}
	for name := range f.roles {
		if id, isSnapshot := strings.CutPrefix(name, "snapshots/"); isSnapshot && report.Loses(id) {
			t.Errorf("snapshot %s is said to have lost something", id)
		}
	}
}

// What is damaged stays damaged beside what cannot be read.
func TestUnreadableBesideDamage(t *testing.T) {
	f := newFixture(t).clone(t)
	alice := f.clumps(t, "data1")[0]
	f.replace(t, f.names["data1"], flip(f.get(t, f.names["data1"]), int(alice.Offset)+20))
	store := faulty.New(f.store)
	store.Refuse(f.names["data2"], syscall.EIO)
	report, err := verify.Check(t.Context(), f.openOn(t, store), verify.Options{ReadData: true})
	if err != nil {
		t.Fatal(err)
	}
	unreadable := 0
	for i, found := range report.Findings {
		if found.Unreadable {
			unreadable++
			report.Findings[i].What = "unreadable"
		}
	}
	wantLines(t, f.render(report), []string{"data1: " + broken + "; " + sealed + " | snapshot1 snapshot2 | alice | 60", "data2: unreadable"})
	if unreadable != 1 {
		t.Errorf("%d are unreadable", unreadable)
	}
	wantLines(t, f.noted(t), []string{"data1 clump"})
}

// Without a key it is the same.
func TestUnreadableWithoutKey(t *testing.T) {
	f := newFixture(t).clone(t)
	store := faulty.New(f.store)
	k, err := repo.WithoutKey(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	store.Refuse(f.names["data1"], fs.ErrPermission)
	report, err := verify.CheckWithoutKey(t.Context(), k, verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Findings) != 1 || !report.Findings[0].Unreadable || report.Findings[0].Object != f.names["data1"] {
		t.Errorf("%+v", report.Findings)
	}
}
