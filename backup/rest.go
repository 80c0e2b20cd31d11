package backup

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"restante/snapshot"
)

// DefaultRescan is how often each folder of messages is listed at least.
const DefaultRescan = 7 * 24 * time.Hour

const uidlist = "dovecot-uidlist"

// A rest tells that the messages in a folder of a Maildir, "cur" or "new", are
// those that were listed once: files and nothing else, all of them saved.
// Whatever comes, goes or gets another name in a folder changes its times. What
// does not, such as a change of an owner, is seen when the folder is listed
// again, which it is every few days.
type rest struct {
	key    snapshot.Key // of the folder
	times  times        // of the folder
	uids   times        // of the list that Dovecot keeps of the messages' numbers; zero: there is none
	listed int64        // when, in seconds since 1970
	clock  int64        // what the clock of its file system showed then at least
	known  bool         // the parent has it; else it is listed now
}

// times tell whether a path is the one that was there.
type times struct {
	id    identity
	mtime snapshot.Time
	size  uint64 // of a file
}

func timesOf(st stat) times {
	t := times{id: st.id, mtime: st.mtime}
	if st.kind == snapshot.File {
		t.size = st.size
	}
	return t
}

func (r *rest) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(r.key)))
	b = append(b, r.key...)
	for _, t := range [...]times{r.times, r.uids} {
		b = binary.AppendUvarint(b, t.id.inode)
		b = binary.AppendVarint(b, t.id.ctime.Sec)
		b = binary.AppendUvarint(b, uint64(t.id.ctime.Nsec))
		b = binary.AppendVarint(b, t.mtime.Sec)
		b = binary.AppendUvarint(b, uint64(t.mtime.Nsec))
		b = binary.AppendUvarint(b, t.size)
	}
	return binary.AppendVarint(binary.AppendVarint(b, r.listed), r.clock)
}

func (d *parentDecoder) rest() (r rest) {
	r.key = snapshot.Key(d.bytes(d.uvarint()))
	for _, t := range []*times{&r.times, &r.uids} {
		t.id = identity{inode: d.uvarint(), ctime: snapshot.Time{Sec: d.varint(), Nsec: uint32(d.uvarint())}}
		t.mtime = snapshot.Time{Sec: d.varint(), Nsec: uint32(d.uvarint())}
		t.size = d.uvarint()
	}
	r.listed, r.clock, r.known = d.varint(), d.varint(), true
	return r
}

// resting returns, by their names, the folders of a Maildir whose messages are as
// the parent has them. "new" is looked at first: a message goes to "cur" from
// there, and one that goes after that changes "cur".
func (w *walker) resting(s spot, names []string) map[string]*rest {
	if w.run.parent == nil || w.run.opts.Paranoid || w.run.opts.Rescan <= 0 {
		return nil
	}
	found := map[string]*rest{}
	for _, name := range []string{"new", "cur"} {
		r := w.run.parent.rests[child(s.key, name)]
		if r == nil || !slices.Contains(names, name) || w.excluded(s, name) || w.due(r) {
			continue
		}
		st, err := s.lstat(name)
		if err == nil && st.kind == snapshot.Dir && timesOf(st) == r.times && w.uids(s) == r.uids && w.readable(r) {
			found[name] = r
		}
	}
	return found
}

// uids returns the times of Dovecot's list.
func (w *walker) uids(s spot) times {
	st, err := s.lstat(uidlist)
	if err != nil {
		return times{}
	}
	return timesOf(st)
}

// due reports whether a folder is to be listed although it seems to be at
// rest: it had changed so shortly before it was listed that its times may not
// tell of another change, by the clock of this machine or by that of its file
// system; or it is its turn. The turns are spread over the days.
func (w *walker) due(r *rest) bool {
	const day = int64(24 * time.Hour / time.Second)
	now, period := w.run.started.Unix(), int64(w.run.opts.Rescan/time.Second)
	if age := now - r.listed; age < 0 || age >= period || r.times.id.inode == 0 {
		return true
	}
	settled := min(r.listed, r.clock) - int64(w.run.limits.settle/time.Second)
	if max(r.times.mtime.Sec, r.times.id.ctime.Sec) >= settled {
		return true
	}
	turns := max(1, uint64(period/day))
	h := fnv.New64a()
	h.Write([]byte(r.key))
	return now/day != r.listed/day && uint64(now/day)%turns == h.Sum64()%turns
}

// each calls fn for the leaves of the parent that have messages of the folder,
// until it returns false. whole says that a leaf has nothing else and can be
// taken as it is: the one before it ends where the tree cuts, within the folder.
func (p *parent) each(r *rest, fn func(i int, whole bool) bool) {
	in := snapshot.Range{From: r.key + "\x00", To: r.key + "\x01"}
	for i := p.search(in.From); i < len(p.leaves); i++ {
		l := &p.leaves[i]
		whole := i > 0 && p.leaves[i-1].Cut && in.Contains(p.leaves[i-1].Last) && l.Cut && in.Contains(l.Last)
		if !fn(i, whole) || l.Last >= in.To {
			return
		}
	}
}

// readable reports whether all that the walk has to read of the folder's
// records can be read.
func (w *walker) readable(r *rest) bool {
	ok := true
	w.run.parent.each(r, func(i int, whole bool) bool {
		if !whole {
			_, err := w.run.parent.block(&w.run.parent.leaves[i])
			ok = err == nil
		}
		return ok
	})
	return ok
}

// takeOver hands out what the parent has of a folder that is at rest.
func (w *walker) takeOver(ctx context.Context, in spot, r *rest) (err error) {
	p := w.run.parent
	_, mailbox := in.info.File("")
	p.each(r, func(i int, whole bool) bool {
		if whole {
			err = w.add(ctx, in.dir, nil, item{key: p.leaves[i].Last, mailbox: mailbox, leaf: &p.leaves[i], behind: p.leaves[i-1].Last})
			return err == nil
		}
		var block []byte
		if block, err = p.block(&p.leaves[i]); err != nil {
			return false
		}
		c := cursor{p: p, leaf: i, d: parentDecoder{b: block}, next: known{slot: -1}}
		for n := p.leaves[i].Counts.Entries; n > 0 && err == nil; n-- {
			if !c.read() || c.next.leaf != i {
				err = errParent
			} else if _, below := cutKey(c.next.key, r.key+"\x00"); below {
				err = w.addTaken(ctx, in, c.next, mailbox)
			}
		}
		return err == nil
	})
	return err
}

// addTaken hands out a record of the parent.
func (w *walker) addTaken(ctx context.Context, in spot, k known, mailbox int) error {
	e, err := snapshot.DecodeEntry(k.entry)
	if err != nil {
		return err
	}
	return w.add(ctx, in.dir, nil, item{key: snapshot.Key(k.key), mailbox: mailbox, role: k.role, old: e.Kind, held: e.Messages, was: k, same: true, taken: true, entry: e})
}

// clocks are what the clocks of file systems showed at least, by their devices,
// in seconds since 1970: the newest ctime that was seen, for the clock of a file
// server is not this machine's, or this machine's time, where it is.
type clocks map[uint64]int64

// clock returns what the clock of the folder's file system shows at least.
func (w *walker) clock(s spot, dev uint64) int64 {
	local, known := w.local[dev]
	if !known {
		local = s.dir.isLocal()
		w.local[dev] = local
	}
	if local {
		return w.run.started.Unix()
	}
	return w.run.clocks[dev]
}

func (c clocks) saw(st stat) {
	if sec := st.id.ctime.Sec; sec > c[st.dev] {
		c[st.dev] = sec
	}
}

func (c clocks) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(c)))
	for _, dev := range slices.Sorted(maps.Keys(c)) {
		b = binary.AppendVarint(binary.AppendUvarint(b, dev), c[dev])
	}
	return b
}

func (d *parentDecoder) clocks() clocks {
	c := clocks{}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		dev := d.uvarint()
		c[dev] = d.varint()
	}
	return c
}
