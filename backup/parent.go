package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"restante/blob"
	"restante/mailstore"
	"restante/repo"
	"restante/snapshot"
)

// The parent cache is a folder for each store and host on this machine: what
// the last snapshot holds, together with what tells that a file is still the
// same. It is a cache: when it is gone or does not fit, every file is read,
// and nothing new is stored. Its format may change with any version.
//
// The file "sections" is written anew by each run:
//
//	"restante parent 6\n"
//	32 bytes  hash of the options that decide what a snapshot holds
//	32 bytes  what stood for all that the repository had lost then (see
//	          [repo.Session.Absent])
//	16 bytes  session of the snapshot
//	 8 bytes  start of its run, in seconds since 1970
//	 8 bytes  number of mailboxes in it
//	 8 bytes  number of the file of blocks
//	uvarint   number of marks that its session had seen, and a uvarint for each
//	records, each begun by a byte:
//	1: a section of the snapshot's tree; their keys ascend
//	   uvarint n, n bytes: its last key; 32 bytes: its ID
//	   uvarints: sums of entries, files, messages, bytes and unsaved paths
//	   1 byte: 1 if it ends behind its last key whatever comes, else 0
//	   uvarint offset, uvarint length, the first 16 bytes of the BLAKE3 of its block
//	2: a folder of messages that may be at rest; their keys ascend
//	   uvarint n, n bytes: its key
//	   the times of the folder, and those of its Maildir's dovecot-uidlist: uvarint
//	   inode, varint seconds and uvarint nanoseconds of ctime and mtime, uvarint size
//	   varint: when it was listed, in seconds since 1970
//	32 bytes  ID of the root of the snapshot's tree
//	 1 byte   its level
//	16 bytes  of BLAKE3 of all before
//
// To the file "blocks-NUMBER", whose number is in 16 hexadecimal digits, a run
// appends a block for each section that the one before it did not have. A block has
// the records of a section in the order of their keys:
//
//	uvarint n, n bytes of key
//	1 byte: what the file was to the mail server (see mailstore.FileRole)
//	uvarint inode, varint seconds and uvarint nanoseconds of ctime
//	uvarint n, n bytes of entry (see package snapshot)
//
// All numbers of fixed size are little endian.
const (
	parentMagic  = "restante parent 6\n"
	sectionsName = "sections"
	blocksPrefix = "blocks-"
)

const (
	parentHeader = len(parentMagic) + 32 + 32 + 16 + 8 + 8 + 8
	parentTail   = blob.IDSize + 1 + parentSum
	parentSum    = 16
	maxBlock     = 256 << 20 // a section has some 8 leaves, each of which may be a record of 4 MiB
)

// What a record of the file "sections" is of.
const (
	sectionRecord = 1
	restRecord    = 2
)

// errParent says that a parent cache cannot be used.
var errParent = errors.New("the parent cache is damaged")

// A known is what the parent cache says of one path. Its bytes are parts of a
// block, so that what is only passed by costs nothing.
type known struct {
	key   []byte
	role  mailstore.FileRole
	id    identity
	entry []byte

	section, slot int // where it is: the number of the section, and that in its block
}

// decode returns the entry. One that makes no sense wraps errParent.
func (k *known) decode() (snapshot.Entry, error) {
	e, err := snapshot.DecodeEntry(k.entry)
	if err != nil {
		return e, fmt.Errorf("%w: %w", errParent, err)
	}
	return e, nil
}

// A sectionRef is a section of the snapshot's tree, and where its block lies.
type sectionRef struct {
	snapshot.Section
	offset, length int64
	sum            [parentSum]byte
}

// A parentHead is how a parent cache begins.
type parentHead struct {
	options   blob.ID
	absent    blob.ID
	session   [16]byte
	started   int64
	mailboxes uint64
	number    uint64       // of the file of blocks
	root      repo.PageRef // at the end of the file
	marks     []uint64     // that the session had seen; behind what encode makes
}

func (h parentHead) encode() []byte {
	b := append([]byte(parentMagic), h.options[:]...)
	b = append(b, h.absent[:]...)
	b = append(b, h.session[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.started))
	b = binary.LittleEndian.AppendUint64(b, h.mailboxes)
	return binary.LittleEndian.AppendUint64(b, h.number)
}

// decodeHead reads what encode wrote; b is as long.
func decodeHead(b []byte) (h parentHead, err error) {
	if string(b[:len(parentMagic)]) != parentMagic {
		return h, errParent
	}
	b = b[len(parentMagic):]
	h.options, h.absent, h.session = blob.ID(b[:32]), blob.ID(b[32:64]), [16]byte(b[64:80])
	h.started = int64(binary.LittleEndian.Uint64(b[80:]))
	h.mailboxes = binary.LittleEndian.Uint64(b[88:])
	h.number = binary.LittleEndian.Uint64(b[96:])
	return h, nil
}

// sumOf returns the sum by which the cache knows that bytes are what it wrote.
func sumOf(b []byte) [parentSum]byte {
	id := blob.NameOf(b)
	return [parentSum]byte(id[:parentSum])
}

func blocksName(number uint64) string { return fmt.Sprintf(blocksPrefix+"%016x", number) }

// A parent is an open parent cache. It serves one goroutine; see share. A nil
// *parent is one that knows nothing.
//
// Leaves and folders are read again when they are asked for, a group at a time,
// and are asked for in the order of their keys: a store of any size takes
// little memory.
type parent struct {
	parentHead
	list     *os.File // the file "sections"
	blocks   *os.File
	groups   []group
	sections int             // how many there are
	counts   snapshot.Counts // of all sections
	end      int64           // of the blocks that sections refer to
	live     int64           // bytes of these

	// What was read last: cursors follow each other closely.
	memo  [2]memo
	opens [2]openGroup
}

// A memo is a block that was read.
type memo struct {
	offset int64
	bytes  []byte
}

// openParent opens the parent cache in the folder dir if it was made with the
// options that have this hash. It returns nil when there is none that can be used;
// others says that there is one, of other options.
func openParent(dir string, options blob.ID) (_ *parent, others bool) {
	p, err := readParent(dir)
	if err == nil && p.options == options {
		if p.blocks, err = os.Open(filepath.Join(dir, blocksName(p.number))); err == nil {
			return p, false
		}
	}
	if p != nil {
		others = p.options != options
		p.list.Close()
	}
	return nil, others
}

// share returns the same cache for another goroutine.
func (p *parent) share() *parent {
	if p == nil {
		return nil
	}
	again := *p
	again.memo, again.opens = [2]memo{}, [2]openGroup{}
	return &again
}

// worn reports whether more than half of the file of blocks is of no use: the next
// cache copies the rest, and reads each block that it takes over.
func (p *parent) worn() bool { return p.end > 2*p.live }

// block reads the block of a section and checks it.
func (p *parent) block(l *sectionRef) ([]byte, error) {
	for _, m := range p.memo {
		if m.bytes != nil && m.offset == l.offset {
			return m.bytes, nil
		}
	}
	b := make([]byte, l.length)
	if _, err := p.blocks.ReadAt(b, l.offset); err != nil {
		return nil, err
	}
	if sumOf(b) != l.sum {
		return nil, errParent
	}
	p.memo[1], p.memo[0] = p.memo[0], memo{l.offset, b}
	return b, nil
}

// id returns the session of the snapshot, zero for none.
func (p *parent) id() [16]byte {
	if p == nil {
		return [16]byte{}
	}
	return p.session
}

// rootPage returns the root of the snapshot's tree, or nil.
func (p *parent) rootPage() *repo.PageRef {
	if p == nil {
		return nil
	}
	return &p.root
}

func (p *parent) close() {
	if p != nil {
		p.list.Close()
		p.blocks.Close()
	}
}

// from returns a cursor that begins at the first record whose key is at least k.
func (p *parent) from(k snapshot.Key) *cursor {
	c := &cursor{p: p, section: -1}
	if p != nil {
		c.section = p.search(k) - 1
		c.low = k
	}
	return c
}

// messages returns the files directly in the folder with this key by the base
// names of messages, none if they are more than limit.
func (p *parent) messages(dir snapshot.Key, limit int) map[string]known {
	found := map[string]known{} // never nil
	begin := dir + "\x00"
	for c := p.from(begin); c.read(); {
		if string(c.next.key) < string(begin) {
			continue
		}
		name, in := cutKey(c.next.key, begin)
		if !in {
			break
		}
		if len(found) == limit {
			return map[string]known{}
		}
		found[mailstore.BaseName(name)] = c.next
	}
	return found
}

// cutKey returns what comes behind the prefix of a key.
func cutKey(k []byte, prefix snapshot.Key) (rest string, ok bool) {
	if len(k) < len(prefix) || string(k[:len(prefix)]) != string(prefix) {
		return "", false
	}
	return string(k[len(prefix):]), true
}

// A cursor reads a parent cache in the order of its keys.
type cursor struct {
	p       *parent
	section int          // that of d, -1 before the first
	last    snapshot.Key // of that section
	low     snapshot.Key // sections that end before it are passed
	d       parentDecoder
	next    known
	full    bool // next holds a record
}

// find returns the record with key k, if there is one. Keys asked for must
// ascend. What is in a damaged block counts as unknown and is read from the store.
//
// If base is not empty, it is the key of a message without its flags. Then
// find may return the record of another key with this base, if there is none
// with key k.
func (c *cursor) find(k, base snapshot.Key) (old known, found bool) {
	if c.low = k; base != "" {
		c.low = base // which all names of a message begin with
	}
	for c.full || c.read() {
		c.full = true
		if string(c.next.key) > string(k) {
			if !found && sameBase(c.next.key, base) {
				return c.next, true
			}
			return old, found
		}
		c.full = false
		if string(c.next.key) == string(k) {
			return c.next, true
		}
		if sameBase(c.next.key, base) {
			old, found = c.next, true
		}
	}
	return old, found
}

// sameBase reports whether k is base with or without flags.
func sameBase(k []byte, base snapshot.Key) bool {
	if base == "" {
		return false
	}
	flags, ok := cutKey(k, base)
	return ok && mailstore.BaseName(flags) == ""
}

// read takes the next record and reports whether there was one.
func (c *cursor) read() bool {
	for {
		for len(c.d.b) == 0 || c.last < c.low {
			if !c.turn() {
				return false
			}
		}
		n := known{section: c.section, slot: c.next.slot + 1}
		n.key = c.d.bytes(c.d.uvarint())
		n.role = mailstore.FileRole(c.d.byte())
		n.id = c.d.identity()
		n.entry = c.d.bytes(c.d.uvarint())
		if !c.d.bad && (n.slot == 0 || string(n.key) > string(c.next.key)) {
			c.next = n
			return true
		}
		c.d.b = nil // what is left of the block makes no sense
	}
}

// turn goes to the next block that can be read and holds keys that are looked for.
func (c *cursor) turn() bool {
	c.d = parentDecoder{}
	if c.p == nil {
		return false
	}
	for c.section = max(c.section+1, c.p.search(c.low)); c.section < c.p.sections; c.section++ {
		section, err := c.p.section(c.section)
		if err != nil {
			continue
		}
		if block, err := c.p.block(section); err == nil && len(block) > 0 {
			c.last, c.d, c.next = section.Last, parentDecoder{b: block}, known{slot: -1}
			return true
		}
	}
	return false
}

// A parentDecoder takes bytes apart from the front; bad says that they ended early.
type parentDecoder struct {
	b   []byte
	bad bool
}

func (d *parentDecoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

// fixed returns n bytes, zeros where there are too few.
func (d *parentDecoder) fixed(n int) []byte {
	if b := d.bytes(uint64(n)); b != nil {
		return b
	}
	return make([]byte, n)
}

func (d *parentDecoder) byte() uint8 {
	return d.fixed(1)[0]
}

func (d *parentDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	d.bytes(uint64(max(n, 0)))
	d.bad = d.bad || n <= 0
	return v
}

func (d *parentDecoder) varint() int64 {
	v, n := binary.Varint(d.b)
	d.bytes(uint64(max(n, 0)))
	d.bad = d.bad || n <= 0
	return v
}

func (d *parentDecoder) time() snapshot.Time {
	return snapshot.Time{Sec: d.varint(), Nsec: uint32(d.uvarint())}
}

func (d *parentDecoder) identity() identity { return identity{inode: d.uvarint(), ctime: d.time()} }

func appendTime(b []byte, t snapshot.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(b, t.Sec), uint64(t.Nsec))
}

func appendIdentity(b []byte, id identity) []byte {
	return appendTime(binary.AppendUvarint(b, id.inode), id.ctime)
}
