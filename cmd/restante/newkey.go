package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"restante/internal/durable"
	"restante/repo"
	"restante/seal"
)

// addPassword adds an owner's key that opens with a password that is asked for.
func (a *app) addPassword(ctx context.Context, out *output, o *opened, file, label string) (repo.KeyInfo, error) {
	password, err := a.newPassword(ctx, out, file, false)
	if err != nil {
		return repo.KeyInfo{}, err
	}
	return o.AddKey(ctx, seal.Owner, label, func(k *seal.Keys) ([]byte, error) { return seal.LockPassphrase(k, password) })
}

// addKeyFile adds an owner's key that opens with the file that it makes. The
// file is durable before the repository has the key. A crash between the two
// leaves a file that opens nothing.
func addKeyFile(ctx context.Context, o *opened, label, path string) (repo.KeyInfo, error) {
	made := false
	added, err := o.AddKey(ctx, seal.Owner, label, func(k *seal.Keys) ([]byte, error) {
		file, recipient, err := seal.NewIdentity(fmt.Sprintf("Key of the Restante repository %s\nWhoever has this file can read all backups in it.", o.ID()))
		if err != nil {
			return nil, err
		}
		if err := durable.WritePrivate(path, file); errors.Is(err, fs.ErrExist) {
			return nil, keyFileThere(path)
		} else if err != nil {
			return nil, fmt.Errorf("making key file %q: %w", path, err)
		}
		made = true
		return seal.LockRecipient(k, recipient)
	})
	if err != nil && made {
		err = errors.Join(err, os.Remove(path)) // if the key was added all the same, nobody has it now
	}
	return added, err
}

func keyFileThere(path string) error {
	return fmt.Errorf("making key file %q: it is there already; choose another name", path)
}
