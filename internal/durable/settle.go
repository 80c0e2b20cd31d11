package durable

import (
	"context"
	"errors"
	"io/fs"
	"path"
)

// Settle makes durable which names there are in folder and below it, and its own
// name: also those that a process gave or took away that died before it had
// synced the folder. A folder that is not there has none.
func (d *Dir) Settle(ctx context.Context, folder string) error {
	err := fs.WalkDir(d.root.FS(), folder, func(p string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // or it went this moment
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !e.IsDir():
			return nil
		case p == d.temp:
			return fs.SkipDir
		}
		return d.syncThere(p)
	})
	for err == nil && folder != "." {
		folder = path.Dir(folder)
		err = d.syncThere(folder)
	}
	return err
}

// syncThere syncs a folder that may not be there.
func (d *Dir) syncThere(folder string) error {
	if err := d.sync(folder); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
