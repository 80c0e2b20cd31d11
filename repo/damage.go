package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"restante/blob"
	"restante/internal/cbor"
	"restante/seal"
	"restante/storage"
)

func damageName(id blob.ID) string { return "damaged/" + id.String() }

// A Damage says what of a pack is damaged, or was before the pack went: who
// relied on it learns from that that pieces may be lost.
type Damage struct {
	_     struct{} `cbor:",toarray"`
	Pack  blob.ID
	Whole bool // no piece in it counts as stored
	// Clumps are the offsets of those that are damaged, ascending; none if Whole.
	// With neither, no piece is damaged, but bytes that belong to none.
	Clumps []uint32
}

// Loses reports whether there are pieces that the damage makes absent.
func (d Damage) Loses() bool { return d.Whole || len(d.Clumps) > 0 }

// Hits reports whether the damage makes absent what lies at an offset.
func (d Damage) Hits(offset uint32) bool {
	_, found := slices.BinarySearch(d.Clumps, offset)
	return d.Whole || found
}

// and returns the damage that two records say there is.
func (d Damage) and(other Damage) Damage {
	if d.Whole || other.Whole {
		return Damage{Pack: d.Pack, Whole: true}
	}
	clumps := slices.Sorted(slices.Values(slices.Concat(d.Clumps, other.Clumps)))
	return Damage{Pack: d.Pack, Clumps: slices.Compact(clumps)}
}

// normal returns the damage as records have it.
func (d Damage) normal() Damage {
	d.Whole = d.Whole || len(d.Clumps) > maxClumps
	if d.Whole || d.Clumps == nil {
		d.Clumps = []uint32{}
	}
	return d
}

const (
	maxDamages = 1 << 14 // packs in one record
	maxClumps  = 1 << 17 // and damaged clumps; a pack with more is damaged as a whole
)

// damageRecord is the payload of one object.
type damageRecord struct {
	Packs []Damage `cbor:"1,keyasint"`
}

// decodeDamages reads the one encoding of a record.
func decodeDamages(plain []byte) ([]Damage, error) {
	var rec damageRecord
	if err := cbor.Unmarshal(plain, &rec); err != nil {
		return nil, err
	}
	if rec.Packs == nil { // null, which is no empty array
		return nil, errDamages
	}
	for i, d := range rec.Packs {
		ascending := slices.IsSorted(d.Clumps) && len(slices.Compact(slices.Clone(d.Clumps))) == len(d.Clumps)
		if i > 0 && rec.Packs[i-1].Pack.Compare(d.Pack) >= 0 || d.Whole && len(d.Clumps) > 0 || d.Clumps == nil || !ascending {
			return nil, errDamages
		}
	}
	if again, err := cbor.Marshal(rec); err != nil || !bytes.Equal(again, plain) {
		return nil, errDamages
	}
	return rec.Packs, nil
}

var errDamages = errors.New("the record of damage is malformed")

// readDamage reads the record called name. A DamageError says that it is none.
func (r *Repository) readDamage(ctx context.Context, name string, size int64) ([]Damage, error) {
	return readChecked(ctx, r.store, name, size, maxRecord, func(data []byte) ([]Damage, error) {
		packs, err := r.openDamage(ctx, name, data)
		if err != nil {
			return nil, &DamageError{Object: name, Err: err}
		}
		return packs, nil
	})
}

func (r *Repository) openDamage(ctx context.Context, name string, data []byte) ([]Damage, error) {
	if damageName(blob.NameOf(data)) != name {
		return nil, errName
	}
	_, plain, err := r.openBytes(data, seal.KindDamage, r.signer(ctx))
	if err != nil {
		return nil, err
	}
	return decodeDamages(plain)
}

// damages returns what the records say, of each pack once, and the names of
// those that could be read.
func (r *Repository) damages(ctx context.Context) (all map[blob.ID]Damage, names []string, err error) {
	all = map[blob.ID]Damage{}
	err = r.eachDamage(ctx, func(name string, packs []Damage, err error) error {
		if errors.As(err, new(*DamageError)) {
			r.warnOnce("passing over %s: %v", name, err)
			return nil
		}
		if err != nil {
			return err
		}
		names = append(names, name)
		for _, d := range packs {
			if other, known := all[d.Pack]; known {
				d = d.and(other)
			}
			all[d.Pack] = d
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading what is known to be damaged: %w", err)
	}
	return all, names, nil
}

// eachDamage calls fn for each record of damage: with what it says, or with the error of reading it.
func (r *Repository) eachDamage(ctx context.Context, fn func(name string, packs []Damage, err error) error) error {
	return listNames(ctx, r.store, "damaged/", func(name string, size int64) error {
		if part, err := PartOf(name); err != nil || part != Damaged {
			return nil // not one of ours; check names it
		}
		packs, err := r.readDamage(ctx, name, size)
		if errors.Is(err, storage.ErrNotFound) {
			return nil // repaired this moment
		}
		return fn(name, packs, err)
	})
}

// Damages returns what is known to be damaged, of each pack once, in the order
// of the packs.
func (r *Repository) Damages(ctx context.Context) ([]Damage, error) {
	all, _, err := r.damages(ctx)
	return sorted(all), err
}

func sorted(all map[blob.ID]Damage) []Damage {
	return slices.SortedFunc(maps.Values(all), func(a, b Damage) int { return a.Pack.Compare(b.Pack) })
}

// NoteDamage changes what is known to be damaged, for all who use the
// repository, by change: it gets the damage of each pack, and may add, replace and
// delete. A record with all comes before the old ones go: a crash between leaves
// both, which say together that more is damaged than is, until the next change.
// What somebody else notes at the same time stays. It reports whether anything
// had to be changed.
func (r *Repository) NoteDamage(ctx context.Context, change func(map[blob.ID]Damage)) (changed bool, err error) {
	all, old, err := r.damages(ctx)
	if err != nil {
		return false, err
	}
	before := maps.Clone(all)
	change(all)
	if maps.EqualFunc(before, all, func(a, b Damage) bool { return a.Whole == b.Whole && slices.Equal(a.Clumps, b.Clumps) }) {
		return false, nil
	}
	for rec := range damageRecords(sorted(all)) {
		data, err := r.sealRecord(seal.Header{Kind: seal.KindDamage, Mode: seal.ModeIndex}, rec)
		if err != nil {
			return false, err
		}
		if err := putOnce(ctx, r.store, damageName(blob.NameOf(data)), data); err != nil {
			return false, err
		}
	}
	for _, name := range old {
		if err := r.store.Delete(ctx, name); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return false, fmt.Errorf("removing an older record of damage: %w", err)
		}
	}
	r.heed(all)
	return true, nil
}

// damageRecords yields records with packs, each within the format's limits.
func damageRecords(packs []Damage) func(func(damageRecord) bool) {
	return func(yield func(damageRecord) bool) {
		for len(packs) > 0 {
			n, clumps := 0, 0
			for ; n < min(len(packs), maxDamages); n++ {
				packs[n] = packs[n].normal()
				if clumps += len(packs[n].Clumps); n > 0 && clumps > maxClumps {
					break
				}
			}
			if !yield(damageRecord{packs[:n:n]}) {
				return
			}
			packs = packs[n:]
		}
	}
}

// heed makes look-ups take account of what is damaged.
func (r *Repository) heed(all map[blob.ID]Damage) {
	r.lost.mu.Lock()
	defer r.lost.mu.Unlock()
	state := r.lost.now()
	state.damaged = all
	r.setAbsent(state)
}

// readDamages reads what is known to be damaged, and heeds it.
func (r *Repository) readDamages(ctx context.Context) error {
	all, _, err := r.damages(ctx)
	if err != nil {
		return err
	}
	r.heed(all)
	return nil
}

// tellDamage warns of packs that the index names and that have lost pieces.
func (r *Repository) tellDamage() {
	state := r.lost.now()
	var names []string
	for _, p := range r.index.Packs() {
		if d, ok := state.damaged[p.ID]; ok && d.Loses() {
			names = append(names, p.ID.Short())
		}
	}
	if len(names) > 0 {
		r.warnf("%s: what was there is stored again where the mail store still has it; then run restante repair packs", packList(names, "damaged"))
	}
}

// packList says of packs what they are.
func packList(names []string, are string) string {
	slices.Sort(names)
	what := "1 pack is "
	if len(names) > 1 {
		what = fmt.Sprintf("%d packs are ", len(names))
	}
	more := ""
	if len(names) > namedInWarning {
		names, more = names[:namedInWarning], " and others"
	}
	return what + are + " (" + strings.Join(names, ", ") + more + ")"
}
