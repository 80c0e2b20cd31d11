package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"

	"restante/chunking"
	"restante/repo"
	"restante/seal"
	"restante/storage/local"
)

// refuseRepositoryAt returns an error when path is a repository, or lies in one.
func refuseRepositoryAt(ctx context.Context, path string) error {
	for dir, inside := path, false; ; dir, inside = filepath.Dir(dir), true {
		found, err := isRepository(ctx, dir)
		switch {
		case err != nil:
			return err
		case found && inside:
			return fmt.Errorf("making repository %q: it would lie inside the repository %q; choose a folder outside of it with -r", path, dir)
		case found:
			return fmt.Errorf("making repository %q: %w; choose another folder with -r, or use this one as it is", path, repo.ErrHasRepository)
		case filepath.Dir(dir) == dir:
			return nil
		}
	}
}

// isRepository reports whether there is a repository in dir, be it a newer
// one, or a draft. What cannot be looked into is none for the folders above the wanted one.
func isRepository(ctx context.Context, dir string) (bool, error) {
	store, err := local.Open(dir)
	if err != nil {
		return false, nil // if it is in the way, making the repository says how
	}
	defer store.Close()
	err = repo.Probe(ctx, store)
	if errors.Is(err, seal.ErrTooNew) || errors.Is(err, seal.ErrDraft) {
		return true, nil
	}
	return err == nil, ctx.Err()
}

// initialize makes the repository. When it fails, it takes away what it made.
func initialize(ctx context.Context, path, password string) (made initialized, err error) {
	polynomial, err := chunking.NewPolynomial()
	if err != nil {
		return made, err
	}
	first := firstMissing(path)
	store, err := local.Create(path)
	if err != nil {
		removeEmpty(above(path, first))
		return made, err
	}
	defer store.Close()
	made.Repository = path
	err = repo.Create(ctx, store, repo.CreateOptions{
		Chunker: polynomial,
		Label:   whoAmI(),
		Lock: func(k *seal.Keys) ([]byte, error) {
			made.ID = k.Repo.String()
			return seal.LockPassphrase(k, password)
		},
	})
	if err != nil {
		removeEmpty(append([]string{filepath.Join(path, "config"), filepath.Join(path, "keys"), filepath.Join(path, "tmp")}, above(path, first)...))
		return initialized{}, fmt.Errorf("making repository %q: %w", path, err)
	}
	return made, nil
}

// firstMissing returns the topmost folder of path that is not there, or "".
func firstMissing(path string) string {
	missing := ""
	for {
		if _, err := os.Lstat(path); err == nil || path == filepath.Dir(path) {
			return missing
		}
		missing, path = path, filepath.Dir(path)
	}
}

// above returns the folders from path up to first, none if first is "".
func above(path, first string) (folders []string) {
	for dir := path; first != "" && len(dir) >= len(first); dir = filepath.Dir(dir) {
		folders = append(folders, dir)
	}
	return folders
}

// removeEmpty takes away those folders that are empty; others hold what
// somebody else made meanwhile.
func removeEmpty(folders []string) {
	for _, dir := range folders {
		if info, err := os.Lstat(dir); err == nil && info.IsDir() {
			_ = os.Remove(dir) // a folder that stays does no harm
		}
	}
}

// whoAmI is the label of a key that was given none.
func whoAmI() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}
