package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"restante/blob"
	"restante/index"
	"restante/seal"
	"restante/storage"
)

// An IndexRepair tells what RepairIndex did.
type IndexRepair struct {
	Objects  uint64     `json:"objects" doc:"index objects that there were"`
	Replaced []Replaced `json:"replaced" doc:"those that were not as the packs are; others have taken their place"`
	Named    uint64     `json:"named" doc:"packs that were named anew, from their directories or from objects that were replaced"`
	Gone     []string   `json:"gone" doc:"packs that the index named and that are not there; what was in them is lost, but for what is stored elsewhere"`
	Unnamed  []Replaced `json:"unnamed" doc:"packs whose directory cannot be read and that no index object names: what is in them cannot be found"`
}

// Replaced names an object and says what is wrong with it.
type Replaced struct {
	Object string `json:"object" doc:"its name in the storage"`
	Why    string `json:"why" doc:"what is wrong with it"`
}

// RepairIndex makes the index say what the directories of the packs say. Index
// objects that cannot be opened, that name packs that are gone, or that say other
// things than the directories, are replaced; packs that none names are named. A
// pack whose directory cannot be read stays in the index as it was. It needs no
// more than a writer's key.
//
// The order: new index objects, a record that packs are gone, and only then the
// old index objects go. A crash leaves packs that are named twice, which harms
// nothing, and the next run goes on. For who works meanwhile see the comment of
// repairer.
func (r *Repository) RepairIndex(ctx context.Context, opts RepairOptions) (*IndexRepair, error) {
	out := &IndexRepair{Replaced: []Replaced{}, Gone: []string{}, Unnamed: []Replaced{}}
	err := r.repair(ctx, "repair index", opts, func(p *repairer) error {
		ip := &indexRepair{repairer: p, out: out, read: map[blob.ID]directoryTally{}, errs: map[blob.ID]error{}, replaced: map[blob.ID]bool{}}
		return ip.run(ctx)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// An indexRepair is one run of RepairIndex.
type indexRepair struct {
	*repairer
	out      *IndexRepair
	read     map[blob.ID]directoryTally // of the packs whose directory can be read
	errs     map[blob.ID]error          // of the others that are there
	replaced map[blob.ID]bool           // index objects
}

// A directoryTally stands for what a pack's directory says.
type directoryTally struct {
	kind  seal.Kind
	tally Tally
}

func (p *indexRepair) run(ctx context.Context) error {
	p.out.Objects = uint64(len(p.indexes))
	if err := p.directories(ctx); err != nil {
		return err
	}
	gone := p.judge()
	if err := p.mostGone(ctx, len(gone)); err != nil {
		return err
	}
	named := map[blob.ID]bool{}
	for id, o := range p.indexes {
		for pack := range o.packs {
			named[pack] = named[pack] || !p.replaced[id]
		}
	}
	own := map[blob.ID]*index.Object{}
	for _, id := range slices.SortedFunc(maps.Keys(p.packs), blob.ID.Compare) {
		if named[id] {
			continue
		}
		if err := p.name(ctx, id); err != nil {
			return err
		}
		if p.s.entries >= checkpointEntries {
			if err := p.checkpoint(ctx, own); err != nil {
				return err
			}
		}
	}
	if err := p.checkpoint(ctx, own); err != nil {
		return err
	}
	if err := p.traces(ctx, gone); err != nil {
		return err
	}
	// From here on nothing is lost with the old objects.
	var keep []blob.ID
	for id := range p.indexes {
		if !p.replaced[id] {
			keep = append(keep, id)
		} else if err := p.remove(ctx, indexName(id)); err != nil {
			return err
		}
	}
	return p.useIndex(ctx, keep, own)
}

// checkpoint puts index objects for what has been named, and adds them to own.
func (p *indexRepair) checkpoint(ctx context.Context, own map[blob.ID]*index.Object) error {
	made, err := p.s.checkpoint(ctx)
	maps.Copy(own, made)
	return err
}

// directories reads the directory of each pack.
func (p *indexRepair) directories(ctx context.Context) error {
	for id, size := range p.packs {
		found, err := p.directory(ctx, id, size)
		p.opts.Progress(1, 0)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case InDoubt(err):
			return p.r.ErrDoubt()
		case errors.Is(err, storage.ErrNotFound):
			delete(p.packs, id) // gone this moment
		case Unreadable(err) || errors.Is(err, seal.ErrTooNew):
			return fmt.Errorf("reading %s: %w", packName(id), err)
		case err != nil:
			p.errs[id] = err
		default:
			p.read[id] = found
		}
	}
	return nil
}

func (p *indexRepair) directory(ctx context.Context, id blob.ID, size int64) (out directoryTally, err error) {
	clumps, err := p.r.directory(ctx, id, size)
	if err != nil {
		return out, err
	}
	obj, err := p.r.packObject(ctx, id)
	if err != nil {
		return out, err
	}
	return directoryTally{obj.Header.Kind, p.tallier.Clumps(clumps)}, nil
}

// judge decides which index objects are to be replaced, and returns the packs
// that are gone.
func (p *indexRepair) judge() map[blob.ID]bool {
	gone := map[blob.ID]bool{}
	for _, id := range slices.SortedFunc(maps.Keys(p.indexes), blob.ID.Compare) {
		o := p.indexes[id]
		err := o.err
		for _, pack := range slices.SortedFunc(maps.Keys(o.packs), blob.ID.Compare) {
			if _, there := p.packs[pack]; !there {
				gone[pack] = true
			}
			if err == nil {
				err = p.flaw(pack, o)
			}
		}
		if err != nil {
			p.replaced[id] = true
			p.out.Replaced = append(p.out.Replaced, Replaced{indexName(id), err.Error()})
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(gone), blob.ID.Compare) {
		p.out.Gone = append(p.out.Gone, packName(id))
	}
	return gone
}

// flaw returns what is wrong with what an index object says of a pack.
func (p *indexRepair) flaw(pack blob.ID, o *surveyed) error {
	named := o.packs[pack]
	size, there := p.packs[pack]
	found, readable := p.read[pack]
	switch {
	case !there:
		return fmt.Errorf("it names pack %s, which is not there", pack.Short())
	case !readable:
		return nil // what it says is all that there is
	case size != int64(named.size) || found.tally != named.tally:
		return fmt.Errorf("it does not name the pieces of pack %s as the pack's directory does", pack.Short())
	case found.kind != o.kind:
		return fmt.Errorf("it is not of the kind that pack %s is", pack.Short())
	}
	return nil
}

// name puts a pack among those that the next checkpoint names.
func (p *indexRepair) name(ctx context.Context, pack blob.ID) error {
	err := p.errs[pack]
	if err == nil {
		p.out.Named++
		return p.s.adoptPack(ctx, pack, p.packs[pack])
	}
	for id, o := range p.indexes {
		named, ok := o.packs[pack]
		if !ok {
			continue
		}
		entries, err := p.entries(ctx, id, pack)
		if err != nil {
			return err
		}
		clumps := clumpsOf(entries, o.kind)
		p.s.done = append(p.s.done, donePack{kind: o.kind, id: pack, size: named.size, clumps: clumps})
		p.s.entries += pieces(clumps)
		p.out.Named++
		return nil
	}
	p.out.Unnamed = append(p.out.Unnamed, Replaced{packName(pack), err.Error()})
	return nil
}
