package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"restante/blob"
	"restante/mailstore"
	"restante/snapshot"
)

// SetHook has fn called at the events that [run.event] names, by several goroutines.
func SetHook(o *Options, fn func(op, path string)) { o.hook = fn }

// A Limit changes a limit that is too large or too slow for tests.
type Limit func(*limits)

func Window(batches int) Limit         { return func(l *limits) { l.window = batches } }
func Early(messages int) Limit         { return func(l *limits) { l.early = messages } }
func LockWait(d time.Duration) Limit   { return func(l *limits) { l.lockWait = d } }
func LockSize(bytes uint64) Limit      { return func(l *limits) { l.lockSize = bytes } }
func SettleTime(d time.Duration) Limit { return func(l *limits) { l.settle = d } }
func ShareText(bytes int) Limit        { return func(l *limits) { l.shareText = bytes } }
func LiteralText(bytes int) Limit      { return func(l *limits) { l.literalText = bytes } }
func Cutter(version uint8) Limit       { return func(l *limits) { l.cutter = version } }
func ClumpSize(bytes int) Limit        { return func(l *limits) { l.clumpSize = bytes } }
func Grown(bytes uint64, segment int64) Limit {
	return func(l *limits) { l.grown, l.segmentSize = bytes, segment }
}
func Defaults(l *limits) { *l = defaultLimits() }

// SetLimits changes limits; the others are as ever.
func SetLimits(o *Options, changes ...Limit) {
	if o.limits == (limits{}) {
		o.limits = defaultLimits()
	}
	for _, change := range changes {
		change(&o.limits)
	}
}

// Due reports whether a folder with these times that was listed at one time is to be listed at another.
func Due(path string, mtime, ctime, listed, now time.Time, rescan time.Duration) bool {
	w := walker{run: &run{started: now, opts: Options{Rescan: rescan}, limits: defaultLimits()}}
	key, _ := snapshot.KeyOf(path)
	return w.due(&rest{key: key, times: times{mtime: snapshot.TimeOf(mtime), id: identity{ctime: snapshot.TimeOf(ctime)}}, listed: listed.Unix()})
}

// A ParentRecord is what a parent cache says of one path.
type ParentRecord struct {
	Key   snapshot.Key
	Role  mailstore.FileRole
	Inode uint64
	Ctime snapshot.Time
	Entry string // encoded
}

// WriteParent makes a parent cache of records, some to a section, which ends when others have
// come, and of a folder at rest for each that is no message.
func WriteParent(dir string, records []ParentRecord) error {
	const some, late = 7, 3
	var ended []snapshot.Section
	w := newParentWriter(dir, nil, parentHead{})
	for i, r := range records {
		w.add(&known{key: []byte(r.Key), role: r.Role, id: identity{r.Inode, r.Ctime}, entry: []byte(r.Entry)})
		if r.Role != mailstore.Message {
			w.rest(&rest{key: r.Key, listed: int64(r.Inode)})
		}
		if i%some == some-1 || i == len(records)-1 {
			ended = append(ended, snapshot.Section{Last: r.Key, Counts: snapshot.Counts{Entries: uint64(i%some + 1)}})
		}
		if i%some == late || i == len(records)-1 {
			for _, s := range ended {
				w.end(s)
			}
			ended = nil
		}
	}
	return w.commit()
}

// WriteParentBlock makes a parent cache with one block of any bytes.
func WriteParentBlock(dir string, block []byte) error {
	w := newParentWriter(dir, nil, parentHead{})
	w.block, w.ends = append(w.block, block...), []int{len(block)}
	w.end(snapshot.Section{Last: "\xff\xff", Counts: snapshot.Counts{Entries: 1}})
	return w.commit()
}

// BlocksOf returns the path of the file of blocks of a parent cache.
func BlocksOf(dir string) string {
	p, _ := openParent(dir, blob.ID{})
	defer p.close()
	return p.blocks.Name()
}

// ReadParent returns the records of a parent cache as far as they can be read,
// and false if it cannot be used at all.
func ReadParent(path string) ([]ParentRecord, bool) {
	p, _ := openParent(path, blob.ID{})
	if p == nil {
		return nil, false
	}
	defer p.close()
	var all []ParentRecord
	for c := p.from(""); c.read(); {
		n := c.next
		all = append(all, ParentRecord{snapshot.Key(n.key), n.role, n.id.inode, n.id.ctime, string(n.entry)})
	}
	return all, true
}

// FindParent returns what a parent cache says of each key, in turn.
func FindParent(path string, keys []snapshot.Key) []string {
	p, _ := openParent(path, blob.ID{})
	defer p.close()
	c := p.from("")
	var found []string
	for _, k := range keys {
		if old, ok := c.find(k, ""); ok {
			found = append(found, string(old.key))
		}
	}
	return found
}

// Resting returns when a folder was listed by what a parent cache says of it, and
// false if it says nothing.
func Resting(path string, folder snapshot.Key) (int64, bool) {
	p, _ := openParent(path, blob.ID{})
	defer p.close()
	r := p.rest(folder)
	if r == nil {
		return 0, false
	}
	return r.listed, r.key == folder
}

// TornParent opens a parent cache, has its list of sections cut off, and returns
// how many records are found from a key on, and the error of taking a folder over.
func TornParent(path string, k snapshot.Key) (n int, err error) {
	p, _ := openParent(path, blob.ID{})
	defer p.close()
	if err := os.Truncate(filepath.Join(path, sectionsName), int64(parentHeader)); err != nil {
		return 0, err
	}
	for c := p.from(k); c.read(); {
		n++
	}
	return n, p.each(&rest{key: k}, func(int, *sectionRef, bool, snapshot.Key) error { return nil })
}

// TakeRecords takes the records of the first section of a parent cache one by one, and reports
// whether they are found damaged.
func TakeRecords(path string) (damaged bool, err error) {
	p, _ := openParent(path, blob.ID{})
	defer p.close()
	err = p.records(0, func(k known) error {
		_, err := k.decode()
		return err
	})
	return errors.Is(err, errParent), err
}

// ParseSketch takes the table of a sketch apart of which the items end at end, and returns how many bytes of
// the file and of items its segments have.
func ParseSketch(table []byte, end int64) (size, items int64, err error) {
	var s sketch
	if err := s.parse(table, end); err != nil {
		return 0, 0, err
	}
	for _, g := range s.segments {
		if g.size <= 0 || g.length <= 0 || g.offset+g.length > end {
			return 0, 0, fmt.Errorf("the segment %+v ends behind %d", g, end)
		}
		size, items = size+g.size, items+g.length
	}
	return size, items, nil
}

// SketchTable returns a table of segments of these sizes.
func SketchTable(lengths ...int64) (table []byte, end int64) {
	end = int64(sketchHead)
	for _, n := range lengths {
		g := segment{size: n * 10, length: n, messages: 3}
		table = g.append(table)
		end += n
	}
	return table, end
}
