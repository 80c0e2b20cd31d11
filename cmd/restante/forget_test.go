package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"restante/repo"
	"restante/seal"
	"restante/snapshot"
	"restante/storage/local"
)

// laterNow is the time of the program "later".
var laterNow = time.Date(2131, 6, 15, 12, 0, 0, 0, time.UTC)

// openInScript opens a repository with a key file.
func openInScript(ts *testscript.TestScript, repository, keyFile string) *repo.Repository {
	store, err := local.Open(ts.MkAbs(repository))
	ts.Check(err)
	unlock, err := seal.Identities([]byte(ts.ReadFile(keyFile)))
	ts.Check(err)
	r, err := repo.Open(context.Background(), store, repo.OpenOptions{CacheDir: ts.MkAbs("cache-in-script"), Unlock: unlock})
	ts.Check(err)
	return r
}

// addWriter makes a key file that can write and not read, which no command does
// yet: addwriter REPOSITORY KEYFILE NEWKEYFILE.
func addWriter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: addwriter REPOSITORY KEYFILE NEWKEYFILE")
	}
	r := openInScript(ts, args[0], args[1])
	defer r.Close()
	file, recipient, err := seal.NewIdentity("a writer's")
	ts.Check(err)
	_, err = r.AddKey(context.Background(), seal.Writer, "writer", func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) })
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), file, 0o600))
}

// addSnapshots puts snapshots with times of one's own into a repository that has one
// already, whose tree they share: addsnapshots REPOSITORY KEYFILE LIST. Lines of LIST are
// "NAME TIME STORE HOST [incomplete] [shrunk] [tag=TAG]", or "... open" for a session that goes on; the ID of each becomes the
// variable NAME, and its first eight digits NAME8.
func addSnapshots(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: addsnapshots REPOSITORY KEYFILE LIST")
	}
	ctx, r := context.Background(), openInScript(ts, args[0], args[1])
	defer r.Close()
	all, err := r.Snapshots(ctx, nil)
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile(args[2])) {
		words := strings.Fields(line)
		record, err := snapshot.DecodeSnapshot(all[0].Payload)
		ts.Check(err)
		at, err := time.Parse(time.RFC3339, words[1])
		ts.Check(err)
		record.Started = snapshot.Time{Sec: at.Unix()}
		record.Store, record.Host = words[2], words[3]
		record.Incomplete, record.Shrunk = slices.Contains(words, "incomplete"), slices.Contains(words, "shrunk")
		for _, word := range words[4:] {
			if tag, ok := strings.CutPrefix(word, "tag="); ok {
				record.Tags = append(record.Tags, tag)
			}
		}
		s, err := r.Begin(ctx, repo.SessionOptions{Intent: repo.Intent{Operation: repo.OpBackup, Store: words[2], Host: words[0]}})
		ts.Check(err)
		if !slices.Contains(words, "open") {
			ts.Check(s.Commit(ctx, func(int64) ([]byte, error) { return record.Encode() }))
		}
		ts.Setenv(words[0], s.ID().String())
		ts.Setenv(words[0]+"8", s.ID().String()[:8])
	}
}
