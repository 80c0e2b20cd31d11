package verify

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"restante/blob"
	"restante/repo"
)

// objects lists all objects, and checks those that say all by themselves.
func (c *checker) objects(ctx context.Context) error {
	// The order matters: a backup that ends now puts these the other way round.
	err := c.r.EachObject(ctx, string(repo.Snapshots)+"/", func(name string, _ int64) error {
		c.listed[name], c.names[name] = true, true
		return nil
	})
	if err != nil {
		return err
	}
	err = c.r.EachObject(ctx, string(repo.Indexes)+"/", func(name string, size int64) error {
		c.names[name] = true
		if _, err := repo.PartOf(name); err == nil {
			id, _ := blob.ParseID(path.Base(name))
			c.index[id] = size
		}
		return nil
	})
	if err != nil {
		return err
	}
	var odd strangers
	err = c.r.EachObject(ctx, "", func(name string, size int64) error {
		c.report.Objects++
		c.names[name] = true
		part, err := repo.PartOf(name)
		switch {
		case err != nil && part != repo.Snapshots: // of which the one that reads them tells
			c.find(name).tell(err.Error())
		case part == repo.Packs:
			id, _ := blob.ParseID(path.Base(name))
			c.packs[id] = &pack{size: size}
		case slices.Contains(records, part):
			return c.object(ctx, part, name, size)
		default:
			odd.meets(part, name)
		}
		return nil
	})
	c.report.Packs = uint64(len(c.packs))
	if c.forgotten > 0 {
		c.report.note("%s forgotten; what is only in such is not checked", count(c.forgotten, "snapshot is", "snapshots are"))
	}
	odd.tell(&c.report)
	if err == nil {
		err = c.checkKeys(ctx)
	}
	if err == nil {
		err = c.checkConfigs(ctx)
	}
	return err
}

// held finds snapshots that are held and missing.
func (c *checker) held(ctx context.Context) error {
	lost, err := c.r.LostHeld(ctx)
	for _, id := range lost {
		f := c.find(snapshotName(id.String()))
		f.tell(repo.ErrHeldLost.Error())
		f.snapshots.add(id.String())
		f.hint = HeldHint(id.String())
	}
	return err
}

// vanished reports whether an object has gone that was listed.
func (c *checker) vanished(ctx context.Context) (bool, error) {
	left := len(c.names)
	err := c.r.EachObject(ctx, "", func(name string, _ int64) error {
		if c.names[name] {
			left--
		}
		return nil
	})
	return left > 0, err
}

// records are the parts of which every object is opened here.
var records = []repo.Part{repo.Configs, repo.KeyFiles, repo.Intents, repo.Forgotten, repo.Holds, repo.Damaged, repo.Marks, repo.Seen, repo.Spares}

// strangers are the objects that the repository does not consist of.
type strangers struct {
	names  names
	readme bool // there is the one that people read
}

// meets reports whether an object is one of them.
func (s *strangers) meets(part repo.Part, name string) bool {
	switch part {
	case repo.Readme:
		s.readme = true
	case "":
		s.names.add(name)
	default:
		return false
	}
	return true
}

func (s *strangers) tell(r *Report) {
	if !s.readme {
		r.note("the object README is gone; it only tells people what this is")
	}
	if n := s.names.result(); n.Count > 0 {
		r.note("%s, which restante has not made and does not read: %s", count(n.Count, "object is there", "objects are there"), strings.Join(n.First, ", "))
	}
}

func (c *checker) object(ctx context.Context, part repo.Part, name string, size int64) error {
	err := c.r.CheckObject(ctx, name, size)
	c.report.BytesRead += uint64(size)
	if id, err := blob.ParseID(path.Base(name)); err == nil && (part == repo.KeyFiles || part == repo.Spares) {
		c.keys[id] = true
	}
	if err == nil {
		if part == repo.Forgotten && c.listed[string(repo.Snapshots)+"/"+path.Base(name)] {
			c.forgotten++
		}
		return nil
	}
	_, err = c.damaged(ctx, name, err)
	return err
}

const spareUsed = "it is missing; its spare is used in its place"

// checkConfigs finds configs of which only the spare is there.
func (c *checker) checkConfigs(ctx context.Context) error {
	// Listed once more: a config is put before its spare, so that of each that was listed is there by now.
	err := c.r.EachObject(ctx, string(repo.Configs)+"/", func(name string, _ int64) error {
		c.names[name] = true
		return nil
	})
	for name := range c.names {
		of := repo.SpareOf(name)
		if part, err := repo.PartOf(of); part == repo.Configs && err == nil && !c.names[of] {
			c.find(of).tell(spareUsed)
		}
	}
	return err
}

// checkKeys compares the key files with the config.
func (c *checker) checkKeys(ctx context.Context) error {
	for _, k := range c.r.Keys() {
		if !c.names[keyFileName(k.Object)] {
			if err := c.missingKey(ctx, k); err != nil {
				return err
			}
		}
		delete(c.keys, k.Object)
	}
	for id := range c.keys {
		name := keyFileName(id)
		if !c.names[name] {
			name = repo.SpareOf(name)
		}
		if broken := c.r.BrokenConfig(); broken != "" {
			c.report.note("%s is of no key that is known; %s, which is damaged, may name it: keep it", name, broken)
		} else if c.findings[name] == nil {
			c.report.note("%s is of no key in service; who has its passphrase or identity can open the repository with it, so delete it", name)
		}
	}
	return nil
}

func keyFileName(id blob.ID) string { return string(repo.KeyFiles) + "/" + id.String() }

// missingKey tells of a key whose file was not listed, unless it has been removed
// since the repository was opened.
func (c *checker) missingKey(ctx context.Context, k repo.KeyInfo) error {
	now, err := c.r.KeysNow(ctx)
	if err != nil || !slices.ContainsFunc(now, func(n repo.KeyInfo) bool { return n.Object == k.Object }) {
		return err
	}
	name := keyFileName(k.Object)
	if c.names[repo.SpareOf(name)] {
		c.find(name).tell(spareUsed)
	} else {
		c.find(name).tell(fmt.Sprintf("it is missing: the key %q opens the repository no more", k.Label))
	}
	return nil
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
	tallies := make(map[blob.ID]repo.Tally, len(o.Packs))
	for _, e := range o.Entries {
		t := tallies[e.Place.Pack]
		c.sums.Add(&t, e.ID, e.Place)
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

func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
