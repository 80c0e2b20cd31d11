package main

import (
	"context"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"restante/repo"
	"restante/seal"
	"restante/storage/local"
)

// writerKey adds a key that can write and not read, with a file that opens a
// repository and one for the new key: writerkey REPOSITORY KEY NEWKEY.
func writerKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: writerkey REPOSITORY KEY NEWKEY")
	}
	ctx := context.Background()
	store, err := local.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	key, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	unlock, err := seal.Identities(key)
	ts.Check(err)
	r, err := repo.Open(ctx, store, repo.OpenOptions{CacheDir: ts.MkAbs("writercache"), Unlock: unlock})
	ts.Check(err)
	defer r.Close()
	file, recipient, err := seal.NewIdentity("writer")
	ts.Check(err)
	_, err = r.AddKey(ctx, seal.Writer, "writer", func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) })
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), file, 0o600))
}
