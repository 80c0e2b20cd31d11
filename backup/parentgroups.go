package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"restante/blob"
	"restante/repo"
	"restante/snapshot"
)

const (
	groupRecords = 64        // that are read together
	sectionsRead = 128 << 10 // bytes of the file "sections" that are read together when it is opened
	maxRecord    = 1 << 20   // bytes of a record that are taken seriously
)

// A group is some records of the file "sections" that follow each other.
type group struct {
	offset  int64 // where they begin; behind the last group there is one without records
	section int   // the number of its first section

	// Of all groups up to this one.
	last  snapshot.Key // of the last section
	rest  snapshot.Key // the last folder
	rests int          // how many folders there are; the root's key is empty
}

// An openGroup is what a group holds.
type openGroup struct {
	number   int // of the group, plus one
	sections []sectionRef
	rests    []rest
}

// A sectionsReader reads the file "sections" from its beginning and sums it up.
type sectionsReader struct {
	file *os.File
	left int64 // bytes that are to be read
	mem  []byte
	d    parentDecoder // of what was read
	read int64
	sum  *blob.NameHash
	one  openGroup // has the record at hand
}

// next takes something from the file. parse is called again, from its
// beginning, when there was too little.
func (r *sectionsReader) next(parse func(d *parentDecoder)) error {
	for {
		d := r.d
		if parse(&d); !d.bad {
			r.d = d
			return nil
		}
		if r.left == 0 || len(r.d.b) > maxRecord {
			return errParent
		}
		r.mem = append(r.mem[:0], r.d.b...)
		from, n := len(r.mem), int(min(r.left, sectionsRead))
		r.mem = slices.Grow(r.mem, n)[:from+n]
		if _, err := io.ReadFull(r.file, r.mem[from:]); err != nil {
			return err
		}
		r.sum.Write(r.mem[from:])
		r.left, r.read, r.d.b = r.left-int64(n), r.read+int64(n), r.mem
	}
}

// at returns where in the file the next record begins.
func (r *sectionsReader) at() int64 { return r.read - int64(len(r.d.b)) }

// readParent reads the file "sections" in the folder dir and checks it.
func readParent(dir string) (*parent, error) {
	f, err := os.Open(filepath.Join(dir, sectionsName))
	if err != nil {
		return nil, err
	}
	p := &parent{list: f}
	if err := p.check(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return p, nil
}

// check reads all of the file "sections".
func (p *parent) check() error {
	info, err := p.list.Stat()
	if err != nil {
		return err
	}
	if info.Size() < int64(parentHeader+parentTail) {
		return errParent
	}
	r := &sectionsReader{file: p.list, left: info.Size() - parentSum, sum: blob.NewNameHash()}
	if err := p.readHead(r); err != nil {
		return err
	}
	end := info.Size() - parentTail
	for n := 0; r.at() < end; n++ {
		if n%groupRecords == 0 {
			p.begin(r.at())
		}
		if err := p.readRecord(r); err != nil {
			return err
		}
	}
	p.begin(r.at())
	if r.at() != end {
		return errParent
	}
	if err := r.next(func(d *parentDecoder) {
		p.root = repo.PageRef{ID: blob.ID(d.fixed(blob.IDSize)), Level: d.byte()}
	}); err != nil {
		return err
	}
	var want [parentSum]byte
	if _, err := io.ReadFull(p.list, want[:]); err != nil {
		return err
	}
	if sum := r.sum.ID(); [parentSum]byte(sum[:parentSum]) != want {
		return errParent
	}
	return nil
}

// readHead reads what comes before the records.
func (p *parent) readHead(r *sectionsReader) error {
	var (
		head  []byte
		marks uint64
	)
	err := r.next(func(d *parentDecoder) {
		head = d.fixed(parentHeader)
		marks = d.uvarint()
	})
	if err != nil {
		return err
	}
	p.parentHead, err = decodeHead(head)
	for ; marks > 0 && err == nil; marks-- {
		var n uint64
		err = r.next(func(d *parentDecoder) { n = d.uvarint() })
		p.marks = append(p.marks, n)
	}
	return err
}

// begin begins a group at an offset, behind the one before.
func (p *parent) begin(offset int64) {
	g := group{offset: offset, section: p.sections}
	if n := len(p.groups); n > 0 {
		g.last, g.rest, g.rests = p.groups[n-1].last, p.groups[n-1].rest, p.groups[n-1].rests
	}
	p.groups = append(p.groups, g)
}

// readRecord reads a record and checks that it fits to those before.
func (p *parent) readRecord(r *sectionsReader) error {
	o := &r.one
	if err := r.next(func(d *parentDecoder) {
		o.sections, o.rests = o.sections[:0], o.rests[:0]
		d.record(o)
	}); err != nil {
		return err
	}
	g := &p.groups[len(p.groups)-1]
	for i := range o.sections {
		l := &o.sections[i]
		if l.offset < 0 || l.length < 0 || l.length > maxBlock || l.offset+l.length < 0 || !p.counts.Add(l.Counts) || p.sections > 0 && l.Last <= g.last {
			return errParent
		}
		p.end, p.live = max(p.end, l.offset+l.length), p.live+l.length
		p.sections, g.last = p.sections+1, l.Last
	}
	for i := range o.rests {
		if g.rests > 0 && o.rests[i].key <= g.rest {
			return errParent
		}
		g.rests, g.rest = g.rests+1, o.rests[i].key
	}
	return nil
}

// record takes a record and appends it to those of a group.
func (d *parentDecoder) record(o *openGroup) {
	switch d.byte() {
	case sectionRecord:
		o.sections = append(o.sections, d.section())
	case restRecord:
		o.rests = append(o.rests, d.rest())
	default:
		d.bad = true
	}
}

// open returns what a group holds.
func (p *parent) open(g int) (*openGroup, error) {
	for i := range p.opens {
		if p.opens[i].number == g+1 {
			return &p.opens[i], nil
		}
	}
	b := make([]byte, p.groups[g+1].offset-p.groups[g].offset)
	if _, err := p.list.ReadAt(b, p.groups[g].offset); err != nil {
		return nil, err
	}
	o := openGroup{number: g + 1}
	for d := (parentDecoder{b: b}); len(d.b) > 0; {
		if d.record(&o); d.bad {
			return nil, errParent
		}
	}
	if len(o.sections) != p.groups[g+1].section-p.groups[g].section {
		return nil, errParent
	}
	p.opens[1], p.opens[0] = p.opens[0], o
	return &p.opens[0], nil
}

// section returns the i-th section, or an error that wraps errParent.
func (p *parent) section(i int) (*sectionRef, error) {
	g := sort.Search(len(p.groups), func(g int) bool { return p.groups[g].section > i }) - 1
	o, err := p.open(g)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errParent, err)
	}
	return &o.sections[i-p.groups[g].section], nil
}

// search returns the first section that may hold k or a key behind it.
func (p *parent) search(k snapshot.Key) int {
	g := sort.Search(len(p.groups), func(g int) bool { return p.groups[g].last >= k })
	if g >= len(p.groups)-1 {
		return p.sections
	}
	o, err := p.open(g)
	if err != nil {
		return p.groups[g].section
	}
	return p.groups[g].section + sort.Search(len(o.sections), func(i int) bool { return o.sections[i].Last >= k })
}

// rest returns what is known of a folder of messages, or nil.
func (p *parent) rest(k snapshot.Key) *rest {
	g := sort.Search(len(p.groups), func(g int) bool { return p.groups[g].rests > 0 && p.groups[g].rest >= k })
	if g >= len(p.groups)-1 {
		return nil
	}
	o, err := p.open(g)
	if err != nil {
		return nil // it is listed, and its messages are looked at
	}
	i := sort.Search(len(o.rests), func(i int) bool { return o.rests[i].key >= k })
	if i == len(o.rests) || o.rests[i].key != k {
		return nil
	}
	return &o.rests[i]
}

// section takes a section.
func (d *parentDecoder) section() (l sectionRef) {
	l.Last = snapshot.Key(d.bytes(d.uvarint()))
	l.ID = blob.ID(d.fixed(blob.IDSize))
	c := &l.Counts
	for _, n := range [...]*uint64{&c.Entries, &c.Files, &c.Messages, &c.Bytes, &c.Unsaved} {
		*n = d.uvarint()
	}
	l.Firm = d.byte() == 1
	l.offset, l.length = int64(d.uvarint()), int64(d.uvarint())
	l.sum = [parentSum]byte(d.fixed(parentSum))
	return l
}

func (l *sectionRef) append(b []byte) []byte {
	b = binary.AppendUvarint(append(b, sectionRecord), uint64(len(l.Last)))
	b = append(b, l.Last...)
	b = append(b, l.ID[:]...)
	c := l.Counts
	for _, n := range [...]uint64{c.Entries, c.Files, c.Messages, c.Bytes, c.Unsaved} {
		b = binary.AppendUvarint(b, n)
	}
	cut := byte(0)
	if l.Firm {
		cut = 1
	}
	b = append(b, cut)
	b = binary.AppendUvarint(b, uint64(l.offset))
	b = binary.AppendUvarint(b, uint64(l.length))
	return append(b, l.sum[:]...)
}
