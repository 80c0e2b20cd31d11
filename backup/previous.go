package backup

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"

	"restante/blob"
	"restante/repo"
	"restante/snapshot"
)

// lastSnapshot returns how many mailboxes the newest snapshot of this store
// has, 0 if there is none. It drops the parent cache when the snapshot that it
// describes is gone: what the cache refers to may go with it. A key that cannot
// read snapshots goes by the parent cache alone.
func (run *run) lastSnapshot(ctx context.Context) (mailboxes int, err error) {
	objects, err := run.repo.Snapshots(ctx, run.opts.Warn)
	if errors.Is(err, repo.ErrCannotRead) {
		if run.parent != nil {
			mailboxes = int(run.parent.mailboxes)
		}
		return mailboxes, nil
	}
	if err != nil {
		return 0, err
	}
	var newest snapshot.Time
	listed := false
	for _, o := range objects {
		listed = listed || [16]byte(o.ID) == run.parent.id()
		s, err := snapshot.DecodeSnapshot(o.Payload)
		if err != nil || s.Store != run.opts.Name || s.Host != run.opts.Host {
			continue
		}
		if t := s.Started; t.Sec > newest.Sec || t.Sec == newest.Sec && t.Nsec >= newest.Nsec {
			newest, mailboxes = t, int(s.Mailboxes.Counts.Entries)
		}
	}
	if !listed {
		run.dropParent()
	}
	return mailboxes, nil
}

// confirmParent drops the parent cache unless its snapshot is still there. It
// is called after the session's intent has been put, which keeps what the
// parent refers to from being removed.
func (run *run) confirmParent(ctx context.Context) error {
	if run.parent == nil {
		return nil
	}
	listed, name := false, string(repo.Snapshots)+"/"+Session(run.parent.id()).String()
	err := run.repo.EachObject(ctx, string(repo.Snapshots)+"/", func(n string, _ int64) error {
		listed = listed || n == name
		return nil
	})
	if err == nil && !listed {
		run.dropParent()
	}
	return err
}

func (run *run) dropParent() {
	run.parent.close()
	run.parent = nil
}

// parentPath returns where the parent cache of the store and host lies. Other
// machines' caches of stores with these names are elsewhere.
func (run *run) parentPath() string {
	store := blob.NewHasher(run.repo.PieceKey()).Sum([]byte(run.opts.Host), []byte{0}, []byte(run.opts.Name))
	return run.repo.CachePath(run.opts.CacheDir, filepath.Join("parent", store.String()[:16]))
}

// optionsHash covers the options that decide what a snapshot holds. After a
// change of them everything is read anew.
func (run *run) optionsHash() blob.ID {
	b := []byte{repo.CutterVersion}
	for _, p := range run.opts.Exclude.Patterns() {
		b = append(binary.AppendUvarint(b, uint64(len(p))), p...)
	}
	return blob.NewHasher(run.repo.PieceKey()).Sum(b)
}
