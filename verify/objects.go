package verify

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"os"
	"path"
	"slices"
	"strings"

	"restante/blob"
	"restante/repo"
)

// objects lists all objects, and checks those that say all by themselves.
func (c *checker) objects(ctx context.Context) error {
	var packBytes uint64
	// The order matters: a backup that ends now puts these the other way round.
	err := c.r.EachObject(ctx, string(repo.Snapshots)+"/", func(name string, _ int64) error {
		c.listed[name] = true
		return nil
	})
	if err != nil {
		return err
	}
	err = c.r.EachObject(ctx, string(repo.Indexes)+"/", func(name string, size int64) error {
		if _, err := repo.PartOf(name); err == nil {
			id, _ := blob.ParseID(path.Base(name))
			c.index[id] = size
		}
		return nil
	})
	if err != nil {
		return err
	}
	readme, strangers := false, names{}
	err = c.r.EachObject(ctx, "", func(name string, size int64) error {
		c.report.Objects++
		part, err := repo.PartOf(name)
		switch {
		case err != nil && part != repo.Snapshots: // of which the one that reads them tells
			c.find(name).tell(err.Error())
		case part == repo.Packs:
			id, _ := blob.ParseID(path.Base(name))
			c.packs[id] = &pack{size: size}
			packBytes += uint64(size)
		case slices.Contains([]repo.Part{repo.Configs, repo.KeyFiles, repo.Intents, repo.Marks, repo.Seen}, part):
			return c.object(ctx, part, name, size)
		case part == repo.Readme:
			readme = true
		case part == "":
			strangers.add(name)
		}
		return nil
	})
	c.report.Packs = uint64(len(c.packs))
	if !readme {
		c.note("the object README is gone; it only tells people what this is")
	}
	if n := strangers.result(); n.Count > 0 {
		c.note("%s, which restante has not made and does not read: %s", count(n.Count, "object is there", "objects are there"), strings.Join(n.First, ", "))
	}
	c.checkKeys()
	if c.opts.ReadData {
		c.opts.Total(c.report.Packs, packBytes)
	}
	return err
}

func (c *checker) object(ctx context.Context, part repo.Part, name string, size int64) error {
	err := c.r.CheckObject(ctx, name, size)
	c.report.BytesRead += uint64(size)
	id, _ := blob.ParseID(path.Base(name))
	if part == repo.KeyFiles {
		c.keys[id] = true
	}
	if err == nil {
		return nil
	}
	f, err := c.damaged(ctx, name, err)
	if err == nil && part == repo.KeyFiles {
		f.hint = "no key in service has it: delete it"
		if slices.ContainsFunc(c.r.Keys(), func(k repo.KeyInfo) bool { return k.Object == id }) {
			f.hint = keyHint(id)
		}
	}
	return err
}

// checkKeys compares the key files with the config.
func (c *checker) checkKeys() {
	for _, k := range c.r.Keys() {
		if name := string(repo.KeyFiles) + "/" + k.Object.String(); !c.keys[k.Object] {
			f := c.find(name)
			f.tell(fmt.Sprintf("it is missing: the key %q opens the repository no more", k.Label))
			f.hint = keyHint(k.Object)
		}
		delete(c.keys, k.Object)
	}
	for id := range c.keys {
		name := string(repo.KeyFiles) + "/" + id.String()
		if c.findings[name] == nil {
			c.note("%s is of no key in service; who has its passphrase or identity can open the repository with it, so delete it", name)
		}
	}
}

// indexes opens all index objects, and puts the broken ones aside.
func (c *checker) indexes(ctx context.Context) error {
	ids := make([]blob.ID, 0, len(c.index))
	for id := range c.index {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, blob.ID.Compare)
	whole := ids[:0]
	for _, id := range ids {
		c.read(1, uint64(c.index[id]))
		err := c.openIndex(ctx, id)
		if err == nil {
			whole = append(whole, id)
			continue
		}
		f, err := c.damaged(ctx, string(repo.Indexes)+"/"+id.String(), err)
		if err != nil {
			return err
		}
		c.broken = append(c.broken, f)
	}
	if len(c.broken) > 0 {
		if err := c.useIndex(ctx, whole); err != nil {
			return err
		}
	}
	var err error
	c.report.Pieces, err = c.r.Pieces(ctx)
	return err
}

func (c *checker) useIndex(ctx context.Context, whole []blob.ID) error {
	dir, err := os.MkdirTemp("", "restante-check-")
	if err != nil {
		return fmt.Errorf("making a folder for the index that can be read: %w", err)
	}
	r, err := c.r.WithIndex(ctx, dir, whole)
	if err != nil {
		os.RemoveAll(dir)
		return err
	}
	c.r = r
	c.close = func() {
		r.Close()
		os.RemoveAll(dir)
	}
	return nil
}

// openIndex opens an index object, and notes what it says of packs.
func (c *checker) openIndex(ctx context.Context, id blob.ID) error {
	o, isTree, err := c.r.OpenIndex(ctx, id, c.index[id])
	if err != nil {
		return err
	}
	tallies := make(map[blob.ID]tally, len(o.Packs))
	for _, e := range o.Entries {
		t := tallies[e.Place.Pack]
		c.sums.add(&t, e.ID, e.Place)
		tallies[e.Place.Pack] = t
	}
	for _, p := range o.Packs {
		known := c.packs[p.ID]
		if known == nil {
			known = &pack{size: -1}
			c.packs[p.ID] = known
		}
		known.names = append(known.names, naming{index: id, tree: isTree, size: p.Size, tally: tallies[p.ID]})
	}
	return nil
}

// A tally stands for a set of pieces and their places in a pack, whatever
// their order: their number, and the sums of two hashes under seeds of this
// run. So the index and a directory can be compared without keeping either.
type tally struct{ n, a, b uint64 }

type seeds struct{ a, b maphash.Seed }

func (s *seeds) add(t *tally, id blob.ID, at blob.Place) {
	var key [blob.IDSize + 4*4]byte
	b := append(key[:0], id[:]...)
	for _, v := range [...]uint32{at.Offset, at.Length, at.Inner, at.Size} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	t.n++
	t.a += maphash.Bytes(s.a, b)
	t.b += maphash.Bytes(s.b, b)
}

func (c *checker) note(format string, args ...any) {
	c.report.Notes = append(c.report.Notes, fmt.Sprintf(format, args...))
}

func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
