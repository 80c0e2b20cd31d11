package index

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"restante/blob"
)

// Part of the format of the file synced.
const (
	stateMagic   = "rst-indx"
	stateVersion = 1
	stateHead    = 48
	recordSize   = blob.IDSize + 5*4
	maxState     = 1 << 30
)

var errState = errors.New("the file is damaged or of another version")

// A spot is a blob.Place with the pack's number in place of its ID.
type spot struct {
	pack, offset, length, inner, size uint32
}

// A record says that the piece id lies at a spot.
type record struct {
	id blob.ID
	spot
}

func compareRecords(a, b record) int {
	if c := a.id.Compare(b.id); c != 0 {
		return c
	}
	return compareSpots(a.spot, b.spot)
}

func compareSpots(a, b spot) int {
	return cmp.Or(
		cmp.Compare(a.pack, b.pack),
		cmp.Compare(a.offset, b.offset),
		cmp.Compare(a.length, b.length),
		cmp.Compare(a.inner, b.inner),
		cmp.Compare(a.size, b.size))
}

// A pack is a Pack and how many pieces it holds.
type pack struct {
	Pack
	pieces uint32
}

// A state is what the file synced says. Once it is in a view it is not changed.
// For each of its objects all records are in the generation or in recent.
type state struct {
	generation uint64
	runs       uint32
	folded     uint64 // records in the generation
	files      []file
	packs      []pack               // by number; numbers stay
	objects    map[blob.ID][]uint32 // index object → numbers of its packs
	recent     []record             // ascending, none twice
}

// clone returns a state that can be changed without changing s.
func (s *state) clone() *state {
	c := *s
	c.packs = slices.Clone(s.packs)
	c.objects = maps.Clone(s.objects)
	if c.objects == nil {
		c.objects = map[blob.ID][]uint32{}
	}
	return &c
}

// alive reports for each pack whether an index object lists it.
func (s *state) alive() []bool {
	alive := make([]bool, len(s.packs))
	for _, numbers := range s.objects {
		for _, n := range numbers {
			alive[n] = true
		}
	}
	return alive
}

// encode returns the bytes of the file synced.
func (s *state) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, stateHead+64*len(s.files)+40*len(s.packs)+64*len(s.objects)+recordSize*len(s.recent)+blob.IDSize)
	b = append(b, stateMagic...)
	b = le.AppendUint32(b, stateVersion)
	b = le.AppendUint32(b, s.runs)
	b = le.AppendUint64(b, s.folded)
	b = le.AppendUint64(b, s.generation)
	for _, n := range []int{len(s.files), len(s.packs), len(s.objects), len(s.recent)} {
		b = le.AppendUint32(b, uint32(n))
	}
	for _, f := range s.files {
		b = append(b, byte(len(f.name)))
		b = append(b, f.name...)
		b = le.AppendUint64(b, uint64(f.size))
		b = le.AppendUint64(b, uint64(f.mtime))
		b = le.AppendUint32(b, f.whole)
		b = le.AppendUint32(b, f.tail)
	}
	for _, p := range s.packs {
		b = append(b, p.ID[:]...)
		b = le.AppendUint32(b, p.Size)
		b = le.AppendUint32(b, p.pieces)
	}
	for _, name := range slices.SortedFunc(maps.Keys(s.objects), blob.ID.Compare) {
		numbers := s.objects[name]
		b = append(b, name[:]...)
		b = le.AppendUint32(b, uint32(len(numbers)))
		for _, n := range numbers {
			b = le.AppendUint32(b, n)
		}
	}
	for _, r := range s.recent {
		b = append(b, r.id[:]...)
		for _, v := range []uint32{r.pack, r.offset, r.length, r.inner, r.size} {
			b = le.AppendUint32(b, v)
		}
	}
	sum := blob.NameOf(b)
	return append(b, sum[:]...)
}

// decodeState reads what encode wrote, and nothing else.
func decodeState(data []byte) (*state, error) {
	if len(data) < stateHead+blob.IDSize || string(data[:8]) != stateMagic {
		return nil, errState
	}
	body, sum := data[:len(data)-blob.IDSize], data[len(data)-blob.IDSize:]
	if blob.NameOf(body) != blob.ID(sum) {
		return nil, errState
	}
	d := decoder{rest: body[8:]}
	if d.uint32() != stateVersion {
		return nil, errState
	}
	s := &state{runs: d.uint32(), folded: d.uint64(), generation: d.uint64()}
	files, packs, objects, records := d.uint32(), d.uint32(), d.uint32(), d.uint32()
	s.files = d.files(files)
	s.packs = d.packs(packs)
	s.objects = d.objects(objects, packs)
	s.recent = d.records(records, packs)
	if d.bad || len(d.rest) != 0 || (s.generation == 0) != (files == 0) || s.runs > maxRuns {
		return nil, errState
	}
	return s, nil
}

// A decoder takes fields off the front of rest. After bad is set all fields are zero.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n > len(d.rest) {
		d.bad = true
		return make([]byte, min(n, 256))
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uint32() uint32 { return binary.LittleEndian.Uint32(d.take(4)) }
func (d *decoder) uint64() uint64 { return binary.LittleEndian.Uint64(d.take(8)) }
func (d *decoder) id() blob.ID    { return blob.ID(d.take(blob.IDSize)) }

// fits reports whether n elements of at least size bytes can follow; no more
// than that is ever allocated.
func (d *decoder) fits(n uint32, size int) bool {
	if d.bad || uint64(n)*uint64(size) > uint64(len(d.rest)) {
		d.bad = true
	}
	return !d.bad
}

func (d *decoder) files(n uint32) []file {
	if !d.fits(n, 25) {
		return nil
	}
	files := make([]file, n)
	for i := range files {
		f := &files[i]
		f.name = string(d.take(int(d.take(1)[0])))
		f.size, f.mtime = int64(d.uint64()), int64(d.uint64())
		f.whole, f.tail = d.uint32(), d.uint32()
		if !validFile(f.name) || f.size < 0 || i > 0 && strings.Compare(files[i-1].name, f.name) >= 0 {
			d.bad = true
			return nil
		}
	}
	return files
}

func (d *decoder) packs(n uint32) []pack {
	if !d.fits(n, blob.IDSize+8) {
		return nil
	}
	packs := make([]pack, n)
	for i := range packs {
		packs[i] = pack{Pack{ID: d.id(), Size: d.uint32()}, d.uint32()}
	}
	return packs
}

func (d *decoder) objects(n, packs uint32) map[blob.ID][]uint32 {
	if !d.fits(n, blob.IDSize+4) {
		return nil
	}
	objects := make(map[blob.ID][]uint32, n)
	var last blob.ID
	for i := range n {
		name, count := d.id(), d.uint32()
		if i > 0 && last.Compare(name) >= 0 || !d.fits(count, 4) {
			d.bad = true
			return nil
		}
		last = name
		numbers := make([]uint32, count)
		for j := range numbers {
			numbers[j] = d.uint32()
			d.bad = d.bad || numbers[j] >= packs
		}
		objects[name] = numbers
	}
	return objects
}

func (d *decoder) records(n, packs uint32) []record {
	if !d.fits(n, recordSize) {
		return nil
	}
	records := make([]record, n)
	for i := range records {
		r := &records[i]
		r.id = d.id()
		r.spot = spot{d.uint32(), d.uint32(), d.uint32(), d.uint32(), d.uint32()}
		if r.pack >= packs || i > 0 && compareRecords(records[i-1], *r) >= 0 {
			d.bad = true
			return nil
		}
	}
	return records
}

// errValue says that a value in Badger is none of ours.
var errValue = fmt.Errorf("%w: a value cannot be decoded", errDamaged)

// appendSpot appends one place of a Badger value.
func appendSpot(b []byte, s spot) []byte {
	for _, v := range []uint32{s.pack, s.offset, s.length, s.inner, s.size} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return b
}

// decodeSpots appends the places of a Badger value to spots.
func decodeSpots(spots []spot, value []byte) ([]spot, error) {
	for len(value) > 0 {
		var fields [5]uint32
		for i := range fields {
			v, n := binary.Uvarint(value)
			if n <= 0 || v > 1<<32-1 {
				return nil, errValue
			}
			fields[i], value = uint32(v), value[n:]
		}
		spots = append(spots, spot{fields[0], fields[1], fields[2], fields[3], fields[4]})
	}
	return spots, nil
}
