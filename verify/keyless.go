package verify

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"restante/blob"
	"restante/repo"
)

// CheckWithoutKey checks what can be checked without a key: that the bytes of
// packs, index objects, key files and records of damage are those that they are called by, that
// objects begin as such of this repository do, and that there is a key. It reads packs as Check does
// with ReadData. What is lost by a damage, or missing, cannot be told then.
func CheckWithoutKey(ctx context.Context, k *repo.Keyless, opts Options) (*Report, error) {
	opts.ReadData = true
	opts.fill()
	c := &keyless{k: k, opts: opts, begun: opts.now(), packs: map[blob.ID]int64{},
		report: Report{ReadData: true, LookedAt: lookedAt(), Findings: []Finding{}, Notes: []string{}}}
	if err := c.objects(ctx); err != nil {
		return nil, err
	}
	d := dataReader{opts: &c.opts, report: &c.report, begun: c.begun, sizes: c.packs, check: c.pack, took: c.wasRead}
	if err := d.run(ctx); err != nil {
		return nil, err
	}
	c.report.note("without a key nobody can tell what is in packs, and what is missing; only looked at were %s", strings.Join(c.report.LookedAt, ", "))
	slices.SortFunc(c.report.Findings, func(a, b Finding) int { return strings.Compare(a.Object, b.Object) })
	return &c.report, nil
}

// lookedAt returns the parts of which names do not tell whether objects are what was stored.
func lookedAt() (parts []string) {
	for _, part := range append([]repo.Part{repo.Snapshots}, records...) {
		if !repo.NamedByBytes(part) {
			parts = append(parts, string(part))
		}
	}
	slices.Sort(parts)
	return parts
}

// A keyless is one check without a key.
type keyless struct {
	k      *repo.Keyless
	opts   Options
	begun  time.Time
	report Report
	packs  map[blob.ID]int64 // and their sizes
	keys   int               // how many there are
}

// objects lists all objects, and checks those that are no packs.
func (c *keyless) objects(ctx context.Context) error {
	var s strangers
	err := c.k.EachObject(ctx, "", func(name string, size int64) error {
		c.report.Objects++
		part, err := repo.PartOf(name)
		switch {
		case err != nil:
			c.damaged(name, err)
			return nil
		case part == repo.Packs:
			id, _ := blob.ParseID(path.Base(name))
			c.packs[id] = size
			return nil
		case s.meets(part, name):
			return nil
		case part == repo.Snapshots:
			if is, _ := c.k.LikeTombstone(ctx, name); !is { // else what is wrong with it is found below
				c.report.Snapshots++
			}
		case part == repo.KeyFiles, part == repo.Spares && !strings.HasPrefix(repo.SpareOf(name), string(repo.Configs)+"/"):
			c.keys++
		}
		c.report.BytesRead += uint64(size)
		err = c.k.CheckObject(ctx, name, size, func(int64) {})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.damaged(name, err)
		}
		return nil
	})
	c.report.Packs = uint64(len(c.packs))
	s.tell(&c.report)
	if err == nil && c.keys == 0 {
		f := finding{object: string(repo.KeyFiles) + "/", hint: "copy the keys back from another copy of the repository; without one of them nobody can open it"}
		f.flaw(errors.New("no key is there"))
		c.report.Findings = append(c.report.Findings, f.result())
	}
	return err
}

func (c *keyless) pack(ctx context.Context, id blob.ID, size int64, read func(n int64)) (*repo.PackCheck, error) {
	out := &repo.PackCheck{}
	if err := c.k.CheckObject(ctx, repo.PackName(id), size, read); err != nil {
		out.Damage = []error{err}
	}
	return out, ctx.Err()
}

func (c *keyless) wasRead(res packResult) {
	if len(res.check.Damage) > 0 {
		c.damaged(repo.PackName(res.id), errors.Join(res.check.Damage...))
	}
}

func (c *keyless) damaged(object string, err error) {
	f := finding{object: object, hint: copyBack + "; restante check with a key tells what is lost and what else helps"}
	if f.flaw(err); !f.damaged {
		f.hint = unreadableHint
	}
	c.report.Findings = append(c.report.Findings, f.result())
}
