package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"restante/gc"
	"restante/repo"
	"restante/restore"
	"restante/snapshot"
)

// hintFor returns the hint of a command line that ended with err.
func hintFor(t *testing.T, opened bool, err error, line ...string) string {
	t.Helper()
	a := newApp()
	a.opened = opened
	cmd, args, findErr := newRoot(a, commands).Find(line)
	if findErr != nil {
		t.Fatal(findErr)
	}
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return a.hint(cmd, err)
}

func TestHintAfterInterruptIsTheCommands(t *testing.T) {
	for line, want := range map[string]string{
		"backup x":                         "the same command goes on from there",
		"restore a --target x":             "run it again with --resume to go on",
		"restore a --target x --resume":    "the same command goes on from there",
		"restore a --target x --overwrite": "run it again with --resume instead of --overwrite",
		"forget --keep-last 1":             "with rules or IDs the same command goes on from there",
		"check":                            "",
	} {
		got := hintFor(t, true, errInterrupted, strings.Fields(line)...)
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: hint %q, want %q", line, got, want)
		}
		if got := hintFor(t, false, errInterrupted, strings.Fields(line)...); got != "" {
			t.Errorf("%s, before the repository is open: hint %q", line, got)
		}
	}
}

func TestHintForFullDiskIsTheTargets(t *testing.T) {
	full := fmt.Errorf("writing: %w", syscall.ENOSPC)
	if got := hintFor(t, true, full, "restore", "a"); !strings.Contains(got, "free space on the target") {
		t.Errorf("restore: %q", got)
	}
	for name, got := range map[string]string{
		"listing": hintFor(t, true, full, "ls"),
		"output":  hintFor(t, true, fmt.Errorf("%w: %w", errPrinting, full), "restore", "a"),
	} {
		if got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestEveryFormOfDamageIsExitCode4(t *testing.T) {
	for _, err := range []error{&repo.DamageError{Object: "packs/x"}, repo.ErrMissingPiece, snapshot.ErrDamaged, restore.ErrDamaged} {
		if code := exitCode(fmt.Errorf("reading: %w", err)); code != exitDamage {
			t.Errorf("%v: exit code %d", err, code)
		}
	}
}

func TestRestoreOutcomeSaysAllAndTheWorstDecides(t *testing.T) {
	if err := restoreOutcome(restoreJSON{}, 0); err != nil {
		t.Errorf("all is well, but %v", err)
	}
	for _, test := range []struct {
		j       restoreJSON
		damaged uint64
		code    int
		want    string
	}{
		{restoreJSON{Failed: 3, NotSet: 1, OwnersNotSet: 9}, 2, exitDamage,
			"restante: 3 paths could not be restored, 2 because the repository is damaged (restante check says what is affected)\n" +
				"restante: attributes of 1 path could not be set\n" +
				"restante: owners not set, which only root may; --no-owner restores without them\n"},
		{restoreJSON{Failed: 1}, 0, exitIncomplete, "restante: 1 path could not be restored\n"},
		{restoreJSON{NotSet: 2}, 0, exitIncomplete, "restante: attributes of 2 paths could not be set\n"},
	} {
		err := restoreOutcome(test.j, test.damaged)
		a := newApp()
		var b bytes.Buffer
		a.report(&b, newRestoreCommand(a), err)
		if code := exitCode(err); code != test.code || b.String() != test.want {
			t.Errorf("%+v: exit code %d and\n%s\nwant %d and\n%s", test.j, code, b.String(), test.code, test.want)
		}
	}
}

// A backup that may not have all says so, all of it.
func TestBackupOutcome(t *testing.T) {
	for _, test := range []struct {
		j    backupJSON
		code int
		want string
	}{
		{backupJSON{}, exitDone, ""},
		{backupJSON{Harmed: 1}, exitIncomplete, "restante: 1 pack was found damaged while this ran, and the snapshot may need what was there: back up once more, which stores it again\n"},
		{backupJSON{Unsaved: 2, Harmed: 3}, exitIncomplete, "restante: 2 paths could not be read; the snapshot lists them and the next backup tries again\n" +
			"restante: 3 packs were found damaged while this ran, and the snapshot may need what was there: back up once more, which stores it again\n"},
	} {
		err := backupOutcome(test.j)
		a := newApp()
		var b bytes.Buffer
		a.report(&b, newBackupCommand(a), err)
		if code := exitCode(err); code != test.code || b.String() != test.want {
			t.Errorf("%+v: exit code %d and\n%s\nwant %d and\n%s", test.j, code, b.String(), test.code, test.want)
		}
	}
}

func TestOneCauseIsNotToldOfForEveryFile(t *testing.T) {
	var stdout, stderr bytes.Buffer
	out := newOutput(&stdout, &stderr, newApp(), nil)
	c := newCauses(out)
	for i := range 4996 {
		c.warn(fmt.Sprint("f", i), &fs.PathError{Op: "open", Path: fmt.Sprint("f", i), Err: syscall.EACCES})
	}
	for i := range 7 {
		c.warn(fmt.Sprint("g", i), &repo.DamageError{Object: "packs/x", Err: fmt.Errorf("clump at %d: gone", i)})
	}
	c.warn("list", fmt.Errorf("reading the list of files: %w", &snapshot.Gap{Counts: snapshot.Counts{Entries: 30}, Err: &repo.DamageError{Object: "packs/y", Err: errors.New("gone")}}))
	c.warn("", errors.New("reading the list of files: all of it is gone"))
	for i := range 1000 {
		c.warn("h", errors.New(fmt.Sprint("odd ", i)))
	}
	c.end()
	for _, want := range []string{
		"warning: and 4,991 more for the same reason: permission denied\n",
		"warning: and 2 more for the same reason: object packs/x is damaged\n",
		" more for other reasons\n",
		"warning: reading the list of files: all of it is gone\n",
	} {
		if strings.Count(stderr.String(), want) != 1 {
			t.Errorf("no %q", want)
		}
	}
	if n := strings.Count(stderr.String(), "\n"); n > 150 {
		t.Errorf("%d lines", n)
	}
	if c.damaged != 7+30 {
		t.Errorf("%d are the repository's fault", c.damaged)
	}
}

// TestDamageThatPruneMet: what stays is named, and once who says what helps.
func TestDamageThatPruneMet(t *testing.T) {
	if err := pruneDamage(&gc.Report{}); err != nil {
		t.Error(err)
	}
	err := pruneDamage(&gc.Report{Damaged: []string{"pack a is damaged", "pack b is damaged"}})
	want := "pack a is damaged; its pack stays\npack b is damaged; its pack stays; restante check --read-data says what helps"
	if err == nil || err.Error() != want {
		t.Errorf("it is %v", err)
	}
}
