package main

import (
	"os"
	"path/filepath"
)

// The rows that are timed.
const (
	firstBackup  = "first backup"
	unchanged    = "nothing changed, passphrase"
	unchangedKey = "nothing changed, key file"
	fullRestore  = "full restore"
	oneMailbox   = "one mailbox"
)

var rows = []string{firstBackup, unchanged, unchangedKey, fullRestore, oneMailbox}

// A tool is a backup program to be measured.
type tool struct {
	name    string
	version []string
	env     func(j job) []string
	setup   func(j job) [][]string // not timed
	steps   func(j job) []step
}

// A job is one turn of one tool.
type job struct {
	store  store
	repo   string
	home   string // for caches and keys
	target string // where a step restores to
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
		steps: func(j job) []step {
			secret := filepath.Join(j.home, "password")
			command := func(args ...string) []string {
				return append([]string{program, "--password-file", secret, "-q"}, args...)
			}
			restore := func(args ...string) []string {
				args = append(args, "--target", j.target)
				if os.Getuid() != 0 {
					args = append(args, "--no-owner")
				}
				return command(append([]string{"restore"}, args...)...)
			}
			return []step{
				{row: firstBackup, argv: command("backup", j.store.dir)},
				{row: unchanged, argv: command("backup", j.store.dir)},
				{row: unchangedKey, argv: []string{program, "--key-file", j.key(), "-q", "backup", j.store.dir}},
				{row: fullRestore, argv: restore("--all"), restores: j.store.dir},
				{row: oneMailbox, argv: restore(j.store.mailbox), restores: filepath.Join(j.store.dir, j.store.box)},
			}
		},
	}
}

func restic() tool {
	return tool{
		name:    "restic",
		version: []string{"restic", "version"},
		env: func(j job) []string {
			return []string{"RESTIC_REPOSITORY=" + j.repo, "RESTIC_PASSWORD=" + password, "RESTIC_CACHE_DIR=" + j.cache()}
		},
		setup: func(job) [][]string { return [][]string{{"restic", "-q", "init"}} },
		steps: func(j job) []step {
			box := filepath.Join(j.store.dir, j.store.box)
			return []step{
				{row: firstBackup, argv: []string{"restic", "-q", "backup", j.store.dir}},
				{row: unchanged, argv: []string{"restic", "-q", "backup", j.store.dir}},
				{row: fullRestore, argv: []string{"restic", "-q", "restore", "latest", "--target", j.target}, restores: j.store.dir},
				{row: oneMailbox, argv: []string{"restic", "-q", "restore", "latest", "--target", j.target, "--include", box}, restores: box},
			}
		},
	}
}

func borg() tool {
	return tool{
		name:    "borg",
		version: []string{"borg", "--version"},
		env: func(j job) []string {
			return []string{"BORG_REPO=" + j.repo, "BORG_PASSPHRASE=" + password, "BORG_BASE_DIR=" + j.home}
		},
		setup: func(job) [][]string { return [][]string{{"borg", "init", "--encryption", "repokey-blake2"}} },
		steps: func(j job) []step {
			box := filepath.Join(j.store.dir, j.store.box)
			create := func(name string) []string {
				return []string{"borg", "create", "--compression", "zstd,3", "::" + name, j.store.dir}
			}
			return []step{
				{row: firstBackup, argv: create("first")},
				{row: unchanged, argv: create("second")},
				{row: fullRestore, argv: []string{"borg", "extract", "::second"}, dir: j.target, restores: j.store.dir},
				// borg stores absolute paths without their leading slash.
				{row: oneMailbox, argv: []string{"borg", "extract", "::second", box[1:]}, dir: j.target, restores: box},
			}
		},
	}
}
