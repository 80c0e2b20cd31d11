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
// packs, index objects and key files are those that they are called by, and that
// all objects begin as such of this repository do. It reads packs as Check does
// with ReadData. What is lost by a damage cannot be told then.
func CheckWithoutKey(ctx context.Context, k *repo.Keyless, opts Options) (*Report, error) {
	opts.ReadData = true
	opts.fill()
	c := &keyless{k: k, opts: opts, begun: opts.now(), packs: map[blob.ID]int64{},
		report: Report{ReadData: true, Findings: []Finding{}, Notes: []string{}}}
	if err := c.objects(ctx); err != nil {
		return nil, err
	}
	d := dataReader{opts: &c.opts, report: &c.report, begun: c.begun, sizes: c.packs, check: c.pack, took: c.wasRead}
	if err := d.run(ctx); err != nil {
		return nil, err
	}
	c.report.note("without a key configs, intents and snapshots were only looked at, and nobody can tell what is in packs")
	slices.SortFunc(c.report.Findings, func(a, b Finding) int { return strings.Compare(a.Object, b.Object) })
	return &c.report, nil
}

// A keyless is one check without a key.
type keyless struct {
	k      *repo.Keyless
	opts   Options
	begun  time.Time
	report Report
	packs  map[blob.ID]int64 // and their sizes
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
			c.report.Snapshots++
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
