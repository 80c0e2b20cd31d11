package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The rows that are timed.
const (
	firstBackup  = "first backup"
	unchanged    = "nothing changed, passphrase"
	unchangedKey = "nothing changed, key file"
	fullRestore  = "full restore"
	mailbox      = "one mailbox, passphrase"
	mailboxKey   = "one mailbox, key file"
	allData      = "check of all data, passphrase"
	allDataKey   = "check of all data, key file"
)

var rows = []string{firstBackup, unchanged, unchangedKey, fullRestore, mailbox, mailboxKey, allData, allDataKey}

// withPassphrase names, for each row with a key file, the one without. Peers
// open a repository with a passphrase only.
var withPassphrase = map[string]string{unchangedKey: unchanged, mailboxKey: mailbox, allDataKey: allData}

// A tool is a backup program to be measured.
type tool struct {
	name    string
	peer    bool // not restante
	version []string
	env     func(j job) []string
	setup   func(j job) [][]string      // not timed
	backup  func(j job, n int) []string // the n-th of the repository
	steps   func(j job) []step
	forget  func(j job) []string // leaves a week of nights, and prunes until the room is back
	// tell reads what the backup of a night says of itself; nil: nothing that is known here
	tell func(*output) (told, error)
}

// A job is one turn of one tool.
type job struct {
	store  store
	repo   string
	home   string // for caches and keys
	target string // where a step restores to
}

// job returns the job of a tool that has the folder dir.
func (s store) job(dir string) job {
	return job{store: s, repo: filepath.Join(dir, "repository"), home: filepath.Join(dir, "home"), target: filepath.Join(dir, "target")}
}

func (j job) cache() string { return filepath.Join(j.home, "cache") }
func (j job) key() string   { return filepath.Join(j.home, "key") }

// A step is a command that is timed.
type step struct {
	row  string
	argv []string
	dir  string // the folder it runs in; empty: this one
	// what it restores, to be compared with what is found in the target
	restores string
}

// week is how many nights are left of those that passed, as a number for a command line.
const week = "7"

// forgetScript prunes until nothing waits for a backup that goes on meanwhile. Its
// arguments are how many snapshots to keep, and restante with its options.
const forgetScript = `keep=$1; shift; out=$("$@" forget --keep-last "$keep" --prune --grace 0) || exit
while echo "$out" | grep -q '"why": "session"'; do out=$("$@" prune --grace 0) || exit; done`

const password = "correct horse battery staple"

func restante(program string) tool {
	return tool{
		name:    "restante",
		version: []string{program, "version"},
		env: func(j job) []string {
			return []string{"RESTANTE_REPOSITORY=" + j.repo, "XDG_CACHE_HOME=" + j.cache()}
		},
		setup: func(j job) [][]string {
			secret := filepath.Join(j.home, "password")
			return [][]string{
				{"sh", "-c", `printf '%s' "$1" >"$2"`, "sh", password, secret},
				{program, "init", "--new-password-file", secret},
				{program, "key", "add", "--password-file", secret, "--to-file", j.key()},
			}
		},
		backup: func(j job, _ int) []string {
			return []string{program, "--password-file", filepath.Join(j.home, "password"), "-q", "backup", j.store.dir}
		},
		steps: func(j job) []step {
			secret := filepath.Join(j.home, "password")
			pass := []string{program, "--password-file", secret, "-q"}
			key := []string{program, "--key-file", j.key(), "-q"}
			backup := func(with []string) []string { return slices.Concat(with, []string{"backup", j.store.dir}) }
			restore := func(with []string, what string) []string {
				args := slices.Concat(with, []string{"restore", what, "--target", j.target})
				if os.Getuid() != 0 {
					args = append(args, "--no-owner")
				}
				return args
			}
			box := filepath.Join(j.store.dir, j.store.box)
			return []step{
				{row: firstBackup, argv: backup(pass)},
				{row: unchanged, argv: backup(pass)},
				{row: unchangedKey, argv: backup(key)},
				{row: fullRestore, argv: restore(pass, "--all"), restores: j.store.dir},
				{row: mailbox, argv: restore(pass, j.store.mailbox), restores: box},
				{row: mailboxKey, argv: restore(key, j.store.mailbox), restores: box},
				{row: allData, argv: slices.Concat(pass, []string{"check", "--read-data"})},
				{row: allDataKey, argv: slices.Concat(key, []string{"check", "--read-data"})},
			}
		},
		forget: func(j job) []string {
			return []string{"sh", "-c", forgetScript, "sh", week, program, "--password-file", filepath.Join(j.home, "password"), "-q", "--json"}
		},
	}
}

// withKeyFile is restante as a nightly job runs it.
func withKeyFile(program string) tool {
	t := restante(program)
	t.name = "restante, key file"
	t.backup = func(j job, _ int) []string {
		return []string{program, "--key-file", j.key(), "-q", "backup", j.store.dir}
	}
	return t
}

// A told is what restante says of a backup.
type told struct {
	read     int64 // files that were read
	unlisted int64 // folders of messages that were not listed
}

// telling is restante with a key file that says of each night what it read.
func telling(program string) tool {
	t := withKeyFile(program)
	quiet := t.backup
	t.backup = func(j job, n int) []string {
		if n < anotherOf {
			return quiet(j, n)
		}
		return []string{program, "--key-file", j.key(), "--json", "--verbose", "backup", j.store.dir}
	}
	t.tell = readTold
	return t
}

// readTold reads what restante's backup prints with --json and --verbose: of
// each file that was read a line, which begins with what became of it.
func readTold(out *output) (told, error) {
	var result struct {
		Unlisted *int64 `json:"unlisted"`
	}
	if err := json.Unmarshal(out.stdout.Bytes(), &result); err != nil {
		return told{}, fmt.Errorf("reading restante's result: %w", err)
	}
	if result.Unlisted == nil {
		return told{}, fmt.Errorf("reading restante's result: it does not say how many folders were not listed: %s", &out.stdout)
	}
	t := told{unlisted: *result.Unlisted}
	for line := range bytes.Lines(out.stderr.Bytes()) {
		change, _, _ := strings.Cut(string(line), " ")
		if slices.Contains([]string{"new", "changed", "unchanged"}, change) {
			t.read++
		}
	}
	return t, nil
}

func restic() tool {
	return tool{
		name:    "restic",
		peer:    true,
		version: []string{"restic", "version"},
		env: func(j job) []string {
			return []string{"RESTIC_REPOSITORY=" + j.repo, "RESTIC_PASSWORD=" + password, "RESTIC_CACHE_DIR=" + j.cache()}
		},
		setup:  func(job) [][]string { return [][]string{{"restic", "-q", "init"}} },
		backup: func(j job, _ int) []string { return []string{"restic", "-q", "backup", j.store.dir} },
		steps: func(j job) []step {
			box := filepath.Join(j.store.dir, j.store.box)
			return []step{
				{row: firstBackup, argv: restic().backup(j, 1)},
				{row: unchanged, argv: restic().backup(j, 2)},
				{row: fullRestore, argv: []string{"restic", "-q", "restore", "latest", "--target", j.target}, restores: j.store.dir},
				{row: mailbox, argv: []string{"restic", "-q", "restore", "latest", "--target", j.target, "--include", box}, restores: box},
				{row: allData, argv: []string{"restic", "-q", "check", "--read-data"}},
			}
		},
		forget: func(job) []string { return []string{"restic", "-q", "forget", "--keep-last", week, "--prune"} },
	}
}

func borg() tool {
	return tool{
		name:    "borg",
		peer:    true,
		version: []string{"borg", "--version"},
		env: func(j job) []string {
			return []string{"BORG_REPO=" + j.repo, "BORG_PASSPHRASE=" + password, "BORG_BASE_DIR=" + j.home}
		},
		setup: func(job) [][]string { return [][]string{{"borg", "init", "--encryption", "repokey-blake2"}} },
		backup: func(j job, n int) []string {
			return []string{"borg", "create", "--compression", "zstd,3", fmt.Sprintf("::%d", n), j.store.dir}
		},
		steps: func(j job) []step {
			box := filepath.Join(j.store.dir, j.store.box)
			return []step{
				{row: firstBackup, argv: borg().backup(j, 1)},
				{row: unchanged, argv: borg().backup(j, 2)},
				{row: fullRestore, argv: []string{"borg", "extract", "::2"}, dir: j.target, restores: j.store.dir},
				// borg stores absolute paths without their leading slash.
				{row: mailbox, argv: []string{"borg", "extract", "::2", box[1:]}, dir: j.target, restores: box},
				{row: allData, argv: []string{"borg", "check", "--verify-data"}},
			}
		},
		forget: func(job) []string {
			return []string{"sh", "-c", `borg prune --keep-last "$1" && borg compact`, "sh", week}
		},
	}
}
