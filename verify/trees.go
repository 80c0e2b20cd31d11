package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"restante/blob"
	"restante/repo"
	"restante/snapshot"
)

// trees reads all snapshots that there were at the beginning, and their trees.
func (c *checker) trees(ctx context.Context) error {
	if !c.r.CanRead() {
		c.report.Snapshots = uint64(len(c.listed))
		c.report.note("the key cannot read: snapshots, and what is in packs, were not checked")
		return nil
	}
	if err := c.records(ctx); err != nil {
		return err
	}
	for i := range c.snapshots {
		s := &c.snapshots[i]
		if err := c.page(ctx, s, rootRef(s.root)); err != nil {
			return err
		}
		if err := c.mailboxes(ctx, s); err != nil {
			return err
		}
	}
	return c.lookUp(ctx)
}

// records reads the snapshots.
func (c *checker) records(ctx context.Context) error {
	return c.r.EachSnapshot(ctx, func(o repo.SnapshotObject, err error) error {
		name := snapshotName(o.ID.String())
		var damage *repo.DamageError
		if errors.As(err, &damage) {
			name = damage.Object
		}
		if !c.listed[name] {
			return nil // it came meanwhile
		}
		c.report.Snapshots++
		c.read(1, uint64(o.Size))
		var record *snapshot.Snapshot
		if err == nil {
			record, err = snapshot.DecodeSnapshot(o.Payload)
		}
		if err != nil {
			return c.damagedRecord(ctx, name, o, err)
		}
		c.snapshots = append(c.snapshots, tree{o.ID.String(), record.Tree, record.Mailboxes})
		return nil
	})
}

// damagedRecord makes a finding of an error about what ended a session. It counts as a snapshot,
// unless it begins as a tombstone: with that a session ends that made none.
func (c *checker) damagedRecord(ctx context.Context, name string, o repo.SnapshotObject, err error) error {
	f, err := c.damaged(ctx, name, err)
	if err != nil || !f.damaged {
		return err
	}
	if like, err := c.r.LikeTombstone(ctx, o.ID); like && err == nil {
		f.add("it begins as a tombstone does, with which a session ends that made no snapshot; then nothing is lost")
		return nil
	}
	f.snapshots.add(strings.TrimPrefix(name, string(repo.Snapshots)+"/"))
	return nil
}

// page checks a page and all below it, unless that has been done.
func (c *checker) page(ctx context.Context, s *tree, p ref) error {
	sign := p.sign()
	if c.seen[sign] {
		return nil
	}
	c.seen[sign] = true
	kids, records, err := c.open(ctx, &p)
	if err != nil {
		f, err := c.blame(ctx, s.id, p.id, err)
		if err == nil {
			c.strike(p.id, f)
			c.loseRange(f, p)
		}
		return err
	}
	for _, kid := range kids {
		if err := c.page(ctx, s, kid); err != nil {
			return err
		}
	}
	for i := range records {
		if err := c.entry(ctx, s, p.id, &records[i]); err != nil {
			return err
		}
	}
	return nil
}

// open reads a page, and returns what it consists of.
func (c *checker) open(ctx context.Context, p *ref) (kids []ref, records []snapshot.Record, err error) {
	data, err := c.load(ctx, p.id)
	if err != nil {
		return nil, nil, err
	}
	if p.level > 0 {
		kids, err = p.children(data)
	} else {
		records, err = p.records(ctx, data)
	}
	return kids, records, err
}

// entry takes the pieces of a file into the window. Other entries need none;
// what could not be saved has none, which is no damage.
func (c *checker) entry(ctx context.Context, s *tree, leaf blob.ID, rec *snapshot.Record) error {
	if rec.Entry.Kind != snapshot.File {
		return nil
	}
	f := file{rec.Key, leaf}
	if rec.Entry.Recipe.Long != nil {
		return c.list(ctx, s, f, &rec.Entry.Recipe)
	}
	for i := range rec.Entry.Recipe.Items {
		if err := c.item(ctx, f, &rec.Entry.Recipe.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) item(ctx context.Context, f file, it *snapshot.Item) error {
	switch it.Kind {
	case snapshot.PieceItem:
		return c.need(ctx, f, it.Piece)
	case snapshot.Base64Item:
		for _, piece := range it.Base64.Pieces {
			if err := c.need(ctx, f, piece); err != nil {
				return err
			}
		}
	}
	return nil
}

// list reads the list of items of a long recipe. It is made once more, into
// nothing, for its content hash.
func (c *checker) list(ctx context.Context, s *tree, f file, r *snapshot.Recipe) error {
	loader := &pageLoader{c: c}
	again := snapshot.NewRecipeWriter(nowhere{c.hasher}, c.r.PieceKey(), r.Cutter)
	for it, err := range snapshot.Items(ctx, loader, r, 0) {
		if err != nil {
			return c.badList(ctx, s, f, loader.last, err)
		}
		if err := again.Append(ctx, it.Item); err != nil {
			return err
		}
		if err := c.item(ctx, f, &it.Item); err != nil {
			return err
		}
	}
	made, err := again.Finish(ctx)
	if err == nil && (made.Long == nil || made.Long.Hash != r.Long.Hash) {
		return c.badList(ctx, s, f, loader.last,
			fmt.Errorf("reading file %q: %w: its content hash is not that of its items", f.key.Path(), snapshot.ErrDamaged))
	}
	return err
}

func (c *checker) badList(ctx context.Context, s *tree, f file, page blob.ID, err error) error {
	found, err := c.blame(ctx, s.id, page, err)
	if err == nil {
		c.hurt(found, f)
	}
	return err
}

// mailboxes reads the map of the snapshot's mailboxes, if it was not read yet.
func (c *checker) mailboxes(ctx context.Context, s *tree) error {
	root := s.mailboxes
	if _, known := c.maps[root]; known {
		return nil
	}
	c.maps[root] = nil
	loader := &pageLoader{c: c}
	for _, err := range snapshot.OpenMailboxes(loader, root).All(ctx) {
		if err == nil {
			continue
		}
		f, err := c.blame(ctx, s.id, loader.last, err)
		if err != nil {
			return err
		}
		c.maps[root] = f
		break // without it the map is of no use to a check
	}
	return nil
}

// A pageLoader reads pages for package snapshot. It serves one goroutine.
type pageLoader struct {
	c    *checker
	last blob.ID // that was asked for
}

// LoadPage implements [snapshot.Loader].
func (l *pageLoader) LoadPage(ctx context.Context, id blob.ID) ([]byte, error) {
	l.last = id
	return l.c.load(ctx, id)
}

func (c *checker) load(ctx context.Context, id blob.ID) ([]byte, error) {
	data, err := c.r.LoadPage(ctx, id)
	if err == nil {
		c.report.Pages++
		c.read(0, uint64(len(data)))
	}
	return data, err
}

// nowhere names pages and keeps none.
type nowhere struct{ h *blob.Hasher }

// SavePage implements [snapshot.Saver].
func (n nowhere) SavePage(_ context.Context, data []byte) (blob.ID, error) { return n.h.Sum(data), nil }
