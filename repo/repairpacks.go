package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"restante/blob"
	"restante/index"
	"restante/seal"
)

// A PacksRepair tells what RepairPacks did.
type PacksRepair struct {
	Packs   []RepairedPack `json:"packs" doc:"the packs that were damaged or gone, and are no longer referred to"`
	Whole   []string       `json:"whole" doc:"packs that were asked for, or noted as damaged, and are not; the index may be wrong about them"`
	Kept    []Replaced     `json:"kept" doc:"packs of which nothing is known, as no index object names them and their directories cannot be read: they were left alone"`
	Records []Replaced     `json:"records" doc:"records of damage that could not be read, and were removed; check --read-data notes again what is damaged"`
	Unread  uint64         `json:"unread" doc:"packs that were not asked for and of which no damage is known: they were not read"`
}

// A RepairedPack tells what became of the pieces of a pack.
type RepairedPack struct {
	Object string `json:"object" doc:"its name in the storage"`
	Why    string `json:"why" doc:"what was wrong with it"`
	Saved  uint64 `json:"saved" doc:"pieces that are in a new pack now, also from packs that prune is about to delete"`
	Held   uint64 `json:"held" doc:"pieces that other packs have anyway"`
	Lost   uint64 `json:"lost" doc:"pieces that could not be read and are nowhere else"`
}

// ErrBrokenIndex is returned where an index object cannot be opened, which
// RepairIndex helps.
var ErrBrokenIndex = errors.New("an index object is damaged")

// ErrNoPack is returned for a pack that neither the storage nor the index has.
var ErrNoPack = errors.New("there is no such pack")

// RepairPacks saves what is intact of damaged packs, also where the directory is damaged, of which
// the index knows what it says, or the header, which says nothing that is not known, and takes them away: those
// that only names, those that are noted as damaged, and those that are gone or have
// another length than the index says. One of which nobody knows what is in it stays. Where one
// cannot be read, or another that may have what is lost in one, it returns the UnreadableError, and has taken nothing away. It needs an owner's key, to prove each piece
// that it saves; else it returns ErrCannotRead.
//
// The order: a record of the damage; packs with what is intact, and index objects
// that name them; index objects without the damaged packs; the old index objects
// go; the damaged packs go. The record stays, for whoever relied on what is lost. A
// crash leaves pieces in two packs, or a damaged pack that no index object names
// and that, being noted, no session adopts; the next run goes on. For who works
// meanwhile see the comment of repairer.
func (r *Repository) RepairPacks(ctx context.Context, only []blob.ID, opts RepairOptions) (*PacksRepair, error) {
	if !r.CanRead() {
		return nil, ErrCannotRead
	}
	out := &PacksRepair{Packs: []RepairedPack{}, Whole: []string{}, Kept: []Replaced{}, Records: []Replaced{}}
	err := r.repair(ctx, "repair packs", opts, func(p *repairer) error {
		pp := &packsRepair{repairer: p, out: out, targets: map[blob.ID]*target{}}
		return pp.run(ctx, only)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// A packsRepair is one run of RepairPacks.
type packsRepair struct {
	*repairer
	out     *PacksRepair
	targets map[blob.ID]*target
	comp    *compressor

	sessions []seal.Session // that are known, once a header is to be mended
}

// A target is a pack that is taken away.
type target struct {
	why    string
	damage Damage
	kind   seal.Kind
	clumps []ClumpInfo // as far as is known
	there  bool
	mended *seal.Object // of which the header is damaged, and known all the same; else nil
	result RepairedPack
	lost   []blob.ID // pieces that could not be read
}

func (p *packsRepair) run(ctx context.Context, only []blob.ID) (err error) {
	for id, o := range p.indexes {
		if o.err != nil {
			return fmt.Errorf("%w: %s: %w", ErrBrokenIndex, indexName(id), o.err)
		}
	}
	if p.comp, err = newCompressor(Default); err != nil {
		return err
	}
	if err := p.choose(ctx, only); err != nil {
		return err
	}
	if err := p.dropRecords(ctx); err != nil || len(p.targets) == 0 {
		return err
	}
	if err := p.note(ctx); err != nil {
		return err
	}
	if err := p.useIndex(ctx, p.sound(), nil); err != nil {
		return err
	}
	p.avoid()
	for _, id := range p.inOrder() {
		if err := p.save(ctx, id, p.targets[id]); err != nil {
			return err
		}
	}
	if err := p.count(ctx); err != nil {
		return err
	}
	p.s.flush(ctx)
	if err := p.s.failed(); err != nil {
		return err
	}
	// What is saved is durable and named before anything goes.
	own, err := p.s.checkpoint(ctx)
	if err != nil {
		return err
	}
	return p.drop(ctx, own)
}

// dropRecords removes the records of damage that cannot be read, and that therefore say nothing.
func (p *packsRepair) dropRecords(ctx context.Context) error {
	err := p.r.eachDamage(ctx, func(name string, _ []Damage, err error) error {
		damage := new(DamageError)
		switch {
		case err == nil:
		case InDoubt(err):
			return p.r.ErrDoubt()
		case !errors.As(err, &damage) || errors.Is(err, seal.ErrTooNew):
			return err
		default:
			p.out.Records = append(p.out.Records, Replaced{name, damage.Err.Error()})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading records of damage: %w", err)
	}
	slices.SortFunc(p.out.Records, func(a, b Replaced) int { return strings.Compare(a.Object, b.Object) })
	for _, o := range p.out.Records {
		if err := p.remove(ctx, o.Object); err != nil {
			return err
		}
	}
	return nil
}

func (p *packsRepair) inOrder() []blob.ID {
	return slices.SortedFunc(maps.Keys(p.targets), blob.ID.Compare)
}

// choose finds the packs that are to be repaired.
func (p *packsRepair) choose(ctx context.Context, only []blob.ID) error {
	noted, _, err := p.r.damages(ctx)
	if err != nil {
		return err
	}
	sizes := map[blob.ID]int64{} // as the index says
	for _, o := range p.indexes {
		for id, named := range o.packs {
			sizes[id] = int64(named.size)
		}
	}
	wanted := map[blob.ID]bool{}
	for _, id := range only {
		_, there := p.packs[id]
		if _, named := sizes[id]; !there && !named {
			return fmt.Errorf("%w: %s", ErrNoPack, id)
		}
		wanted[id] = true
	}
	gone := 0
	p.out.Unread = uint64(len(p.packs))
	for _, id := range p.candidates(sizes, noted, wanted) {
		if _, there := p.packs[id]; there {
			p.out.Unread--
		} else {
			gone++
		}
		if err := p.look(ctx, id, sizes); err != nil {
			return err
		}
	}
	return p.mostGone(ctx, gone)
}

// candidates returns the packs that have to be looked at: those that are wanted,
// else those that something is known to be wrong with.
func (p *packsRepair) candidates(sizes map[blob.ID]int64, noted map[blob.ID]Damage, wanted map[blob.ID]bool) []blob.ID {
	if len(wanted) == 0 {
		for id := range noted {
			_, there := p.packs[id]
			if _, named := sizes[id]; there || named {
				wanted[id] = true
			}
		}
		for id, want := range sizes {
			if size, there := p.packs[id]; !there || size != want {
				wanted[id] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(wanted), blob.ID.Compare)
}

// look reads a pack and makes it a target if it is damaged. One that is not loses
// its note.
func (p *packsRepair) look(ctx context.Context, id blob.ID, sizes map[blob.ID]int64) error {
	t := &target{damage: Damage{Pack: id, Whole: true}}
	size, there := p.packs[id]
	if !there {
		t.why = "it is missing"
		p.targets[id] = t
		return p.fromIndex(ctx, id, t)
	}
	t.there = true
	if err := p.mendHeader(ctx, id, size, t); err != nil {
		return err
	}
	check, err := p.r.CheckPack(ctx, id, size, func(n int64) { p.opts.Progress(0, uint64(n)) })
	p.opts.Progress(1, 0)
	if err != nil {
		return err
	}
	want, named := sizes[id]
	if len(check.Damage) == 0 {
		p.out.Whole = append(p.out.Whole, packName(id))
		_, err := p.r.NoteDamage(ctx, func(all map[blob.ID]Damage) { delete(all, id) })
		return err
	}
	if InDoubt(errors.Join(check.Damage...)) {
		return p.r.ErrDoubt()
	}
	if len(check.Damage) > 0 && check.Note == nil {
		return fmt.Errorf("reading %s: %w", packName(id), errors.Join(check.Damage...))
	}
	if check.Note != nil {
		t.damage = *check.Note
	}
	t.why, t.clumps = whyDamaged(check, size, want), check.Clumps
	if t.mended != nil { // nobody else can read it
		t.why = "its header is damaged; " + t.why
		t.damage = Damage{Pack: id, Whole: true}
	}
	if check.Clumps == nil && !named {
		p.out.Kept = append(p.out.Kept, Replaced{packName(id), t.why})
		return nil
	}
	p.targets[id] = t
	if check.Clumps == nil {
		return p.fromIndex(ctx, id, t)
	}
	obj, err := p.r.packObject(ctx, id)
	if err == nil {
		t.kind = obj.Header.Kind
	}
	return err
}

// mendHeader has the pack read as if its header were not damaged, if it is and that can be.
func (p *packsRepair) mendHeader(ctx context.Context, id blob.ID, size int64, t *target) (err error) {
	t.mended, err = p.mend(ctx, id, size)
	if isLoss(err) {
		return nil // the check tells
	}
	if t.mended != nil {
		p.r.boxes.put(id, t.mended)
	}
	return err
}

func whyDamaged(check *PackCheck, size, want int64) string {
	var all []string
	if size != want && want != 0 {
		all = append(all, fmt.Sprintf("it has %d bytes, and the index says %d", size, want))
	}
	for _, err := range check.Damage {
		all = append(all, err.Error())
	}
	const most = 5
	if n := len(all) - most; n > 0 {
		all = append(all[:most], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(all, "; ")
}

// fromIndex takes what the index says of a pack whose directory cannot be read.
func (p *packsRepair) fromIndex(ctx context.Context, id blob.ID, t *target) error {
	for object, o := range p.indexes {
		if _, named := o.packs[id]; !named {
			continue
		}
		entries, err := p.entries(ctx, object, id)
		if err != nil {
			return err
		}
		if clumps := clumpsOf(entries, o.kind); len(clumps) > len(t.clumps) {
			t.kind, t.clumps = o.kind, clumps
		}
	}
	return nil
}

// note records the damage, so that from now on sessions take it into account
// and adopt none of the packs.
func (p *packsRepair) note(ctx context.Context) error {
	_, err := p.r.NoteDamage(ctx, func(all map[blob.ID]Damage) {
		for id, t := range p.targets {
			all[id] = t.damage
		}
	})
	return err
}

// avoid makes look-ups take what is in the targets for absent.
func (p *packsRepair) avoid() {
	p.r.lost.mu.Lock()
	defer p.r.lost.mu.Unlock()
	state := p.r.lost.now()
	lost := maps.Clone(state.lost)
	if lost == nil {
		lost = map[blob.ID]struct{}{}
	}
	for id := range p.targets {
		lost[id] = struct{}{}
	}
	state.lost = lost
	p.r.setAbsent(state)
}

// save stores anew what can be read of a pack, or of packs under marks, and is in none that stays.
func (p *packsRepair) save(ctx context.Context, id blob.ID, t *target) error {
	t.result = RepairedPack{Object: packName(id), Why: t.why}
	for i := range t.clumps {
		if t.mended != nil { // others may have taken its place, or a damaged clump made it doubtful
			p.r.boxes.put(id, t.mended)
		}
		if err := p.saveClump(ctx, id, &t.clumps[i], t); err != nil {
			return err
		}
	}
	return nil
}

func (p *packsRepair) saveClump(ctx context.Context, pack blob.ID, c *ClumpInfo, t *target) error {
	missing := map[blob.ID]bool{}
	for _, piece := range c.Pieces {
		held, err := p.held(ctx, piece.ID)
		switch {
		case err != nil && !Unreadable(err): // else count asks again, if it is not saved
			return err
		case held:
			t.result.Held++
		default:
			missing[piece.ID] = true
		}
	}
	if len(missing) == 0 {
		return nil
	}
	raw, intact, err := p.intact(ctx, pack, c, t, missing)
	if err != nil {
		return err
	}
	more, others, err := p.fromMarked(ctx, c, missing)
	if err != nil {
		return err
	}
	raw, intact = append(raw, more...), append(intact, others...)
	t.result.Saved += uint64(len(intact))
	t.lost = slices.AppendSeq(t.lost, maps.Keys(missing)) // what is left of them, unless another target has it
	for _, piece := range intact {
		p.s.claimed.Add(piece.ID)
	}
	if len(intact) == 0 {
		return nil
	}
	packed, err := p.comp.pack(c.Class, raw)
	if err != nil {
		return err
	}
	return p.s.addClump(ctx, c.Class, packed, len(raw), intact)
}

// held reports whether a piece is in a new pack, or in another one that stays. There
// it is read: of two copies the one that nobody knows to be damaged must not be all that is left.
// Where that is not known, as what may hold it cannot be read, it returns the UnreadableError.
func (p *packsRepair) held(ctx context.Context, id blob.ID) (bool, error) {
	if p.s.claimed.Has(id) {
		return true, nil
	}
	state := p.r.lost.now()
	data, err := p.copyAt(ctx, id, func(at blob.Place) bool { return !state.denies(at) })
	return data != nil, err
}

// copyAt returns a piece from one of the places that fit, nil if it is whole in none.
// That one cannot be read is an error where no other has it.
func (p *packsRepair) copyAt(ctx context.Context, id blob.ID, fits func(blob.Place) bool) (data []byte, unreadable error) {
	places, err := p.r.index.All(id)
	if err != nil {
		return nil, err
	}
	for _, at := range places {
		if !fits(at) {
			continue
		}
		data, err := p.r.pieceAt(ctx, id, at)
		switch {
		case err == nil:
			return data, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case Unreadable(err):
			unreadable = err
		}
	}
	return nil, unreadable
}

// fromMarked returns those of the missing pieces of a clump that packs under marks have,
// which a prune has rewritten or is about to delete, and leaves the others in missing.
func (p *packsRepair) fromMarked(ctx context.Context, c *ClumpInfo, missing map[blob.ID]bool) (raw []byte, pieces []Piece, err error) {
	state := p.r.lost.now()
	for _, piece := range c.Pieces {
		if !missing[piece.ID] {
			continue
		}
		data, err := p.copyAt(ctx, piece.ID, func(at blob.Place) bool { return state.denies(at) && !state.hits(at) })
		if err != nil {
			return nil, nil, err
		}
		if data != nil {
			raw = append(raw, data...)
			pieces = append(pieces, piece)
			delete(missing, piece.ID)
		}
	}
	return raw, pieces, nil
}

// intact returns those of the missing pieces of a clump that can be read, and
// their bytes, and leaves the others in missing.
func (p *packsRepair) intact(ctx context.Context, pack blob.ID, c *ClumpInfo, t *target, missing map[blob.ID]bool) (raw []byte, pieces []Piece, err error) {
	if !t.there {
		return nil, nil, nil
	}
	all, err := p.clump(ctx, blob.Clump{Pack: pack, Offset: c.Offset, Length: c.Length})
	if err != nil || all == nil {
		return nil, nil, err
	}
	h := p.r.hasher()
	for _, piece := range c.Pieces {
		if int(piece.Size) > len(all) {
			break
		}
		data := all[:piece.Size]
		all = all[piece.Size:]
		if missing[piece.ID] && h.Sum(data) == piece.ID {
			raw = append(raw, data...)
			pieces = append(pieces, piece)
			delete(missing, piece.ID)
		}
	}
	return raw, pieces, nil
}

// clump returns the bytes of a clump, nil if it is damaged. That the storage could
// not be asked is an error: what only cannot be read now must not be given up.
func (p *packsRepair) clump(ctx context.Context, c blob.Clump) ([]byte, error) {
	raw, err := p.r.Clump(ctx, nil, c)
	switch {
	case err == nil:
		return raw, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case Unreadable(err):
		return nil, err
	}
	return nil, nil
}

// count makes the report: what one target had lost another may have had.
func (p *packsRepair) count(ctx context.Context) error {
	for _, id := range p.inOrder() {
		t := p.targets[id]
		for _, piece := range t.lost {
			held, err := p.held(ctx, piece)
			if err != nil {
				return err
			}
			if held {
				t.result.Held++
			} else {
				t.result.Lost++
			}
		}
		p.out.Packs = append(p.out.Packs, t.result)
	}
	return nil
}

// drop takes the targets out of the index, and then away.
func (p *packsRepair) drop(ctx context.Context, own map[blob.ID]*index.Object) error {
	gone := map[blob.ID]bool{}
	for id := range p.targets {
		gone[id] = true
	}
	var keep []blob.ID
	var old []string
	for _, id := range slices.SortedFunc(maps.Keys(p.indexes), blob.ID.Compare) {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(p.indexes[id].packs)), func(pack blob.ID) bool { return gone[pack] }) {
			keep = append(keep, id)
			continue
		}
		name, o, err := p.without(ctx, id, gone)
		if err != nil {
			return err
		}
		if o != nil {
			own[name] = o
		}
		old = append(old, indexName(id))
	}
	if err := p.remove(ctx, old...); err != nil {
		return err
	}
	for _, id := range p.inOrder() {
		if p.targets[id].there {
			if err := p.remove(ctx, packName(id)); err != nil {
				return err
			}
		}
	}
	return p.useIndex(ctx, keep, own)
}
