package repo

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"

	"restante/blob"
	"restante/index"
	"restante/seal"
	"restante/storage"
)

// A Part is one of the parts that a repository consists of: the first element
// of its objects' names.
type Part string

// The parts.
const (
	Configs   Part = "config"
	KeyFiles  Part = "keys"
	Packs     Part = "packs"
	Indexes   Part = "index"
	Snapshots Part = "snapshots"
	Intents   Part = "intents"
	Forgotten Part = "forgotten"
	Holds     Part = "holds"
	Damaged   Part = "damaged"
	Marks     Part = "marks"
	Seen      Part = "seen"
	Spares    Part = "spares" // of configs and key files
	Readme    Part = "README"
)

// PartOf returns the part that the object called name belongs to, "" when it
// is none of the repository's. It returns an error as well for a name that no
// object of its part has.
func PartOf(name string) (Part, error) {
	first, rest, below := strings.Cut(name, "/")
	part := Part(first)
	var err error
	good := true
	switch part {
	case Configs, Marks:
		var n uint64
		n, err = strconv.ParseUint(rest, 10, 64)
		good = fmt.Sprintf("%s/%08d", part, n) == name
	case KeyFiles, Indexes, Damaged:
		_, err = blob.ParseID(rest)
	case Spares:
		var of Part
		of, err = PartOf(rest)
		good = of == Configs || of == KeyFiles
	case Packs:
		var id blob.ID
		id, err = blob.ParseID(path.Base(rest))
		good = packName(id) == name
	case Snapshots, Intents, Forgotten, Seen:
		_, err = seal.ParseSession(rest)
	case Holds:
		_, err = parseHoldName(name)
	case Readme:
		if below {
			part = ""
		}
	default:
		part = ""
	}
	if err != nil || !good {
		return part, fmt.Errorf("no object in %s/ has such a name", part)
	}
	return part, nil
}

// EachObject calls fn for each object of the repository whose name begins with
// prefix (which ends in "/" or is empty), in no order, until fn fails.
func (r *Repository) EachObject(ctx context.Context, prefix string, fn func(name string, size int64) error) error {
	if err := listNames(ctx, r.store, prefix, fn); err != nil {
		return fmt.Errorf("listing the repository: %w", err)
	}
	return nil
}

// CheckObject checks an object that says all by itself: a config, a key file, a
// spare of one, an intent, a forgotten record, a hold, a record of damage, a mark or what a
// session has seen of them. Of the other parts it checks nothing. Any error but the
// context's and an UnreadableError is damage of the object; one that was deleted meanwhile is none.
func (r *Repository) CheckObject(ctx context.Context, name string, size int64) error {
	part, err := PartOf(name)
	if err != nil {
		return err
	}
	of := part
	if part == Spares {
		of, _ = PartOf(SpareOf(name)) // it is one: PartOf saw to that
	}
	switch of {
	case Configs:
		if size > maxConfig {
			return tooLarge(size, maxConfig)
		}
		_, err = r.readConfigAt(ctx, name)
	case KeyFiles:
		_, err = readKey(ctx, r.store, name, size)
	case Intents, Forgotten, Marks, Seen:
		if size > maxRecord {
			return tooLarge(size, maxRecord)
		}
		err = r.checkRecord(ctx, part, path.Base(name), size)
	case Holds:
		var h Hold
		if h, err = parseHoldName(name); err == nil {
			_, err = r.readHold(ctx, h, size)
		}
	case Damaged:
		_, err = r.readDamage(ctx, name, size)
	}
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

func (r *Repository) checkRecord(ctx context.Context, part Part, base string, size int64) error {
	if part == Marks {
		n, err := strconv.ParseUint(base, 10, 64)
		if err == nil {
			_, err = r.readMark(ctx, n, size)
		}
		return err
	}
	id, err := seal.ParseSession(base)
	if err != nil {
		return err
	}
	switch part {
	case Seen:
		_, _, err = r.readSeen(ctx, id)
	case Forgotten:
		_, err = r.readForgotten(ctx, id, size)
	default:
		_, err = r.readIntent(ctx, id, size)
	}
	return err
}

// OpenIndex opens the index object named id, of size bytes, and tells whether
// it is one of tree packs. Any error but the context's and an UnreadableError is damage of the object.
func (r *Repository) OpenIndex(ctx context.Context, id blob.ID, size int64) (o *index.Object, tree bool, err error) {
	if size > maxIndexObject {
		return nil, false, tooLarge(size, maxIndexObject)
	}
	return r.readIndex(ctx, id)
}

// WithIndex returns the repository once more, as one whose index consists of
// the index objects named by names alone, with its cache in the folder dir.
// So pieces can be looked up though other index objects are damaged, and what
// the cache of this machine still knows of those is left as it is. The caller
// closes it.
func (r *Repository) WithIndex(ctx context.Context, dir string, names []blob.ID) (*Repository, error) {
	x, err := index.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := x.Sync(ctx, names, r.loadIndex); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	out := &Repository{store: r.store, keys: r.keys, broken: r.broken, config: r.config, index: x, dec: r.dec, boxes: r.boxes, pages: r.pages, warn: r.warn, left: r.left, clock: r.clock,
		synced: true, refreshed: true}
	if err := out.readDamages(ctx); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return out, nil
}

// PackName returns the name in the storage of the pack named id.
func PackName(id blob.ID) string { return packName(id) }

// PackKind reads the header of the pack named id and tells whether it is a
// tree pack. Any error but the context's and an UnreadableError is damage of the pack.
func (r *Repository) PackKind(ctx context.Context, id blob.ID) (tree bool, err error) {
	h, err := r.packHeader(ctx, id)
	return h.Kind == seal.KindTreePack, err
}

func (r *Repository) packHeader(ctx context.Context, id blob.ID) (seal.Header, error) {
	return again(ctx, func() (seal.Header, error) {
		header, err := get(ctx, r.store, packName(id), 0, seal.HeaderSize, nil)
		if err != nil {
			return seal.Header{}, err
		}
		h, err := seal.ParseHeader(header)
		switch {
		case err != nil:
		case h.Repo != r.keys.Repo:
			err = &seal.RepositoryError{Found: h.Repo, Want: r.keys.Repo}
		case h.Mode != seal.ModePublic || h.Kind != seal.KindDataPack && h.Kind != seal.KindTreePack:
			err = fmt.Errorf("it is an object of kind %q, no pack", h.Kind)
		}
		if err != nil {
			return seal.Header{}, err
		}
		return h, nil
	})
}

// packSpan is how much of a pack is read at once, unless a clump is longer:
// much enough for a disk to stream, little enough for several packs at once.
const packSpan = 4 << 20

// A PackCheck tells what reading a whole pack showed.
type PackCheck struct {
	Clumps []ClumpInfo // of its directory; nil when that cannot be read
	Damage []error     // none: the pack is what its writer stored
	Note   *Damage     // to be noted with NoteDamage; nil if there is none, or if the pack cannot be read, is gone, or is in doubt
}

// CheckPack reads the pack named id, of size bytes, once from beginning to end
// and checks all that can be checked: that its bytes hash to its name, its
// directory with the signature, that each clump is the one the directory
// means, opens and decompresses, and that each piece in it has its ID. With a
// key that cannot read, clumps are not opened. It calls read with the bytes
// of each read. Its error is the context's; what else goes wrong is damage, or an UnreadableError among it.
func (r *Repository) CheckPack(ctx context.Context, id blob.ID, size int64, read func(n int64)) (*PackCheck, error) {
	if size > MaxPack {
		return &PackCheck{Damage: []error{tooLarge(size, MaxPack)}, Note: &Damage{Pack: id, Whole: true}}, nil
	}
	c, _ := again(ctx, func() (packCheck, error) {
		c := packCheck{note: Damage{Pack: id}}
		r.checkPack(ctx, id, size, read, &c)
		read = func(int64) {} // what is read once more is not counted
		return c, errors.Join(c.Damage...)
	})
	for _, err := range c.Damage {
		if errors.Is(err, storage.ErrNotFound) || Unreadable(err) || InDoubt(err) {
			return &c.PackCheck, ctx.Err()
		}
	}
	if len(c.Damage) > 0 {
		c.Note = &c.note
	}
	return &c.PackCheck, ctx.Err()
}

// A packCheck is a PackCheck in the making.
type packCheck struct {
	PackCheck
	note Damage
}

// spoil adds damage because of which no piece of the pack counts as stored.
func (c *packCheck) spoil(err error) {
	c.Damage = append(c.Damage, err)
	c.note = Damage{Pack: c.note.Pack, Whole: true}
}

func (r *Repository) checkPack(ctx context.Context, id blob.ID, size int64, read func(n int64), out *packCheck) {
	var obj *seal.Object
	clumps, err := r.directory(ctx, id, size)
	if err == nil {
		out.Clumps = clumps
		obj, err = r.packObject(ctx, id)
	}
	if err != nil {
		out.spoil(fmt.Errorf("its directory: %w", err))
	}
	name := blob.NewNameHash()
	s := clumpChecker{r: r, obj: obj, hasher: r.hasher()}
	var data []byte
	for next := int64(0); next < size; {
		end, within := span(out.Clumps, next, size)
		data, err = get(ctx, r.store, packName(id), next, end-next, data)
		if err != nil {
			out.spoil(err)
			return
		}
		read(int64(len(data)))
		name.Write(data)
		for i := range within {
			c := &within[i]
			at := int64(c.Offset) - next
			if err := s.check(c, data[at:at+int64(c.Length)]); err != nil {
				out.Damage = append(out.Damage, fmt.Errorf("clump at %d: %w", c.Offset, err))
				if !out.note.Whole {
					out.note.Clumps = append(out.note.Clumps, c.Offset)
				}
			}
		}
		next = end
	}
	if name.ID() != id {
		out.Damage = slices.Insert(out.Damage, 0, errName)
		if !r.CanRead() { // nobody knows which clumps are damaged
			out.note = Damage{Pack: id, Whole: true}
		}
	}
}

// span returns where a read that begins at next ends, and the clumps that lie
// in it. Where there are clumps, reads end where one ends.
func span(clumps []ClumpInfo, next, size int64) (end int64, within []ClumpInfo) {
	i := sort.Search(len(clumps), func(i int) bool { return int64(clumps[i].Offset) >= next })
	j := i
	for ; j < len(clumps); j++ {
		after := int64(clumps[j].Offset) + int64(clumps[j].Length)
		if j > i && after-next > packSpan {
			break
		}
		end = after
	}
	if j == i {
		end = min(next+packSpan, size)
	}
	return end, clumps[i:j]
}

// A clumpChecker checks the clumps of one pack. It serves one goroutine.
type clumpChecker struct {
	r      *Repository
	obj    *seal.Object
	hasher *blob.Hasher
	raw    []byte
}

// check checks a clump, and uses sealed up.
func (s *clumpChecker) check(c *ClumpInfo, sealed []byte) error {
	if c.checkTag(sealed) != nil {
		return errors.New("it is not the one that the directory names")
	}
	if s.obj.Content == nil {
		return nil
	}
	packed, err := s.obj.Content.Open(sealed[:0], sealed, partClump, uint64(c.Offset))
	if err != nil {
		return err
	}
	if s.raw, err = unpackClump(s.r.dec, s.raw[:0], packed); err != nil {
		return err
	}
	if len(s.raw) != int(c.Raw) {
		return fmt.Errorf("it has %d bytes, and the directory says %d", len(s.raw), c.Raw)
	}
	rest := s.raw
	for _, p := range c.Pieces {
		if s.hasher.Sum(rest[:p.Size]) != p.ID {
			return fmt.Errorf("it holds other bytes than piece %s", p.ID.Short())
		}
		rest = rest[p.Size:]
	}
	return nil
}
