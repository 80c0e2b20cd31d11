package durable

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
)

// tempName is what names of unfinished files look like, those of rand.Text.
var tempName = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// Sweep removes the unfinished files of processes that have died, and returns
// how many there were and their size in bytes. Who writes a file holds a lock
// on it, so that no file of a live process is removed. Where locks are not
// known, or the file system may have users on other machines, nothing is; nor
// are files that this user may not open.
func (d *Dir) Sweep(ctx context.Context) (files int, bytes int64, err error) {
	info, err := d.root.Lstat(d.temp)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	folder, err := d.root.OpenRoot(d.temp)
	if err != nil {
		return 0, 0, err
	}
	defer folder.Close()
	f, err := folder.Open(".")
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	if !sweepable(f) {
		return 0, 0, nil
	}
	names, err := f.Readdirnames(-1)
	if err != nil {
		return 0, 0, err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return files, bytes, err
		}
		if !tempName.MatchString(name) {
			continue
		}
		size, removed, err := d.sweep(folder, name)
		if err != nil {
			return files, bytes, err
		}
		if removed {
			files++
			bytes += size
		}
	}
	return files, bytes, nil
}
