package backup

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"restante/snapshot"
)

// DefaultRescan is how often each folder of messages is listed at least.
const DefaultRescan = 7 * 24 * time.Hour

const uidlist = "dovecot-uidlist"

// A rest tells that the messages in a folder of a Maildir, "cur" or "new", are
// those that were listed once: files with one name and nothing else, all of them
// saved, on a file system of this machine. Whatever comes, goes or gets another
// name in a folder changes its times. What does not, such as a change of an
// owner, is seen when the folder is listed again, which it is every few days.
type rest struct {
	key    snapshot.Key // of the folder
	times  times        // of the folder
	uids   times        // of the list that Dovecot keeps of the messages' numbers; zero: there is none
	listed int64        // when, in seconds since 1970
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
	b = binary.AppendUvarint(append(b, restRecord), uint64(len(r.key)))
	b = append(b, r.key...)
	for _, t := range [...]times{r.times, r.uids} {
		b = appendTime(appendIdentity(b, t.id), t.mtime)
		b = binary.AppendUvarint(b, t.size)
	}
	return binary.AppendVarint(b, r.listed)
}

func (d *parentDecoder) rest() (r rest) {
	r.key = snapshot.Key(d.bytes(d.uvarint()))
	for _, t := range []*times{&r.times, &r.uids} {
		t.id, t.mtime, t.size = d.identity(), d.time(), d.uvarint()
	}
	r.listed, r.known = d.varint(), true
	return r
}

// settled returns the second before which times have to lie to tell of each
// change after the listing.
func (r *rest) settled(margin time.Duration) int64 { return r.listed - int64(margin/time.Second) }

// spoils reports whether the item, in a folder that was listed, keeps it from
// being at rest: it is no file, or could not be saved; or it changed so shortly
// before that it may have changed again; or it has other names, which may come to
// mean other files.
func (r *rest) spoils(it *item, margin time.Duration) bool {
	return it.entry.Kind != snapshot.File || it.st.links > 1 || it.st.id.ctime.Sec >= r.settled(margin)
}

// resting returns, by their names, the folders of a Maildir whose messages are as
// the parent has them. Where only one is at rest it has to be looked at after the
// other was listed: a message that goes from there to "cur" was listed, or has
// changed "cur".
func (w *walker) resting(s spot, now maildirTimes) map[string]*rest {
	if w.run.parent == nil || w.run.opts.Paranoid || w.run.opts.Rescan <= 0 {
		return nil
	}
	found := map[string]*rest{}
	for name, t := range now.folders {
		r := w.run.parent.rest(child(s.key, name))
		if r != nil && t == r.times && now.uids == r.uids && !w.excluded(s, name) && !w.due(r) && w.readable(r) {
			found[name] = r
		}
	}
	return found
}

// maildirTimes are those of the folders of a Maildir that hold messages, by
// their names, and of Dovecot's list. What is not there, or is no folder, has
// none that come again.
type maildirTimes struct {
	folders map[string]times
	uids    times
}

// times looks at a Maildir in which there are these names.
func (w *walker) times(s spot, names []string) maildirTimes {
	now := maildirTimes{folders: map[string]times{}}
	for _, name := range []string{"new", "cur"} {
		if !slices.Contains(names, name) {
			continue
		}
		now.folders[name] = times{}
		if st, err := s.lstat(name); err == nil && st.kind == snapshot.Dir {
			now.folders[name] = timesOf(st)
		}
		w.run.event("looked", child(s.key, name))
	}
	if st, err := s.lstat(uidlist); err == nil {
		now.uids = timesOf(st)
	}
	return now
}

// due reports whether a folder is to be listed although it seems to be at
// rest: it had changed so shortly before it was listed that its times may not
// tell of another change, or it is its turn. The turns are spread over the days.
func (w *walker) due(r *rest) bool {
	const day = int64(24 * time.Hour / time.Second)
	now, period := w.run.started.Unix(), int64(w.run.opts.Rescan/time.Second)
	if age := now - r.listed; age < 0 || age >= period {
		return true
	}
	if settled := r.settled(w.run.limits.settle); r.times.mtime.Sec >= settled || r.times.id.ctime.Sec >= settled {
		return true
	}
	turns := max(1, uint64(period/day))
	h := fnv.New64a()
	h.Write([]byte(r.key))
	return now/day != r.listed/day && uint64(now/day)%turns == h.Sum64()%turns
}

// each calls fn for the sections of the parent that have messages of the folder,
// until it returns an error. whole says that a section has nothing else and can be
// taken as it is: the one before it, which is given too, ends where the tree cuts, within
// the folder.
func (p *parent) each(r *rest, fn func(i int, l *sectionRef, whole bool, before snapshot.Key) error) error {
	in := snapshot.Range{From: r.key + "\x00", To: r.key + "\x01"}
	begins := false // the section at hand does, where the tree cuts within the folder
	var before snapshot.Key
	first := p.search(in.From)
	if first > 0 {
		l, err := p.section(first - 1)
		if err != nil {
			return err
		}
		begins, before = l.Firm && in.Contains(l.Last), l.Last
	}
	for i := first; i < p.sections; i++ {
		l, err := p.section(i)
		if err != nil {
			return err
		}
		ends := l.Firm && in.Contains(l.Last)
		if err := fn(i, l, begins && ends, before); err != nil || l.Last >= in.To {
			return err
		}
		begins, before = ends, l.Last
	}
	return nil
}

// records calls fn for the records of the i-th section, all of them. What is wrong with
// these wraps errParent.
func (p *parent) records(i int, fn func(known) error) error {
	section, err := p.section(i)
	if err != nil {
		return err
	}
	block, err := p.block(section)
	if err != nil {
		return fmt.Errorf("%w: %w", errParent, err)
	}
	c := cursor{p: p, section: i, d: parentDecoder{b: block}, next: known{slot: -1}}
	for n := section.Counts.Entries; n > 0; n-- {
		if !c.read() || c.next.section != i {
			return errParent
		}
		if err := fn(c.next); err != nil {
			return err
		}
	}
	return nil
}

// readable reports whether all that this run has to read of the folder's records
// can be read: those that the walk looks at, or all, where the next cache gets copies.
func (w *walker) readable(r *rest) bool {
	copies := w.run.parent.worn()
	return w.run.parent.each(r, func(_ int, l *sectionRef, whole bool, _ snapshot.Key) error {
		if whole && !copies {
			return nil
		}
		_, err := w.run.parent.block(l)
		return err
	}) == nil
}

// takeOver hands out what the parent has of a folder that is at rest.
func (w *walker) takeOver(ctx context.Context, in spot, r *rest) error {
	p := w.run.parent
	_, mailbox := in.info.File("")
	return p.each(r, func(i int, l *sectionRef, whole bool, before snapshot.Key) error {
		if whole {
			return w.add(ctx, in.dir, nil, item{key: l.Last, mailbox: mailbox, section: l, was: known{section: i}, behind: before})
		}
		return p.records(i, func(k known) error {
			if _, below := cutKey(k.key, r.key+"\x00"); !below {
				return nil // a neighbour's, which is not even decoded
			}
			return w.addTaken(ctx, in, k, mailbox)
		})
	})
}

// addTaken hands out a record of the parent.
func (w *walker) addTaken(ctx context.Context, in spot, k known, mailbox int) error {
	e, err := k.decode()
	if err != nil {
		return err
	}
	return w.add(ctx, in.dir, nil, item{key: snapshot.Key(k.key), mailbox: mailbox, role: k.role, old: e.Kind, held: e.Messages, was: k, same: true, taken: true, entry: e})
}

// isLocal reports whether the folder's file system is one of this machine's,
// whose folders' times follow what is in them by this machine's clock.
func (w *walker) isLocal(d *folder, dev uint64) bool {
	local, known := w.local[dev]
	if !known {
		local = d.isLocal()
		w.local[dev] = local
	}
	return local
}
