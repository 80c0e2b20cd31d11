package backup

import (
	"encoding/binary"
	"errors"
	"os"
	"sort"

	"restante/blob"
	"restante/mailstore"
	"restante/snapshot"
)

// The parent cache is one file for each store and host on this machine: what
// the last snapshot holds, together with what tells that a file is still the
// same. It is a cache: when it is gone or does not fit, every file is read,
// and nothing new is stored. Its format may change with any version:
//
//	"restante parent 2\n"
//	32 bytes  hash of the options that decide what a snapshot holds
//	16 bytes  session of the snapshot
//	 8 bytes  start of its run, in seconds since 1970
//	 8 bytes  number of mailboxes in it
//	blocks of records, in the order of their keys; a record is
//	   uvarint n, n bytes of key
//	   1 byte: what the file was to the mail server (see mailstore.FileRole)
//	   uvarint inode, varint seconds and uvarint nanoseconds of ctime
//	   uvarint n, n bytes of entry (see package snapshot)
//	fences: for each block uvarint n, n bytes of its first key, uvarint offset,
//	   uvarint length, the first 16 bytes of its BLAKE3
//	 8 bytes  offset of the fences, 8 bytes number of files, 8 bytes of messages
//	16 bytes  of BLAKE3 of all but the blocks
//
// All numbers of fixed size are little endian.
const parentMagic = "restante parent 2\n"

const (
	parentHeader  = len(parentMagic) + 32 + 16 + 8 + 8
	parentNumbers = 8 + 8 + 8
	parentSum     = 16
	parentBlock   = 64 << 10
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
}

// A fence says where a block of the parent cache begins.
type fence struct {
	first  snapshot.Key
	offset int64
	length int64
	sum    [parentSum]byte
}

// A parentHead is how a parent cache begins.
type parentHead struct {
	options   blob.ID
	session   [16]byte
	started   int64
	mailboxes uint64
}

func (h parentHead) encode() []byte {
	b := append([]byte(parentMagic), h.options[:]...)
	b = append(b, h.session[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.started))
	return binary.LittleEndian.AppendUint64(b, h.mailboxes)
}

// decodeHead reads what encode wrote; b is as long.
func decodeHead(b []byte) (h parentHead, err error) {
	if string(b[:len(parentMagic)]) != parentMagic {
		return h, errParent
	}
	b = b[len(parentMagic):]
	h.options, h.session = blob.ID(b[:32]), [16]byte(b[32:48])
	h.started = int64(binary.LittleEndian.Uint64(b[48:]))
	h.mailboxes = binary.LittleEndian.Uint64(b[56:])
	return h, nil
}

// A parent is an open parent cache. It serves one goroutine. A nil *parent is
// one that knows nothing.
type parent struct {
	parentHead
	f      *os.File
	fences []fence
	end    int64  // of the last block
	files  uint64 // that it knows
	mails  uint64 // in them

	// What was read last: cursors follow each other closely.
	memo [2]struct {
		offset int64
		bytes  []byte
	}
}

// openParent opens the parent cache at path if it was made with the options
// that have this hash. It returns nil when there is none that can be used.
func openParent(path string, options blob.ID) *parent {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	p := &parent{f: f}
	if err := p.readFrame(); err != nil || p.options != options {
		f.Close()
		return nil
	}
	return p
}

// readFrame reads and checks all but the blocks.
func (p *parent) readFrame() error {
	info, err := p.f.Stat()
	if err != nil {
		return err
	}
	end := info.Size() - parentNumbers - parentSum
	if end < int64(parentHeader) {
		return errParent
	}
	head, tail := make([]byte, parentHeader), make([]byte, parentNumbers+parentSum)
	if _, err := p.f.ReadAt(head, 0); err != nil {
		return err
	}
	if _, err := p.f.ReadAt(tail, end); err != nil {
		return err
	}
	numbers, sum := tail[:parentNumbers], tail[parentNumbers:]
	p.end = int64(binary.LittleEndian.Uint64(numbers))
	if p.end < int64(parentHeader) || p.end > end {
		return errParent
	}
	fences := make([]byte, end-p.end)
	if _, err := p.f.ReadAt(fences, p.end); err != nil {
		return err
	}
	if string(frameSum(head, fences, numbers)) != string(sum) {
		return errParent
	}
	p.files = binary.LittleEndian.Uint64(numbers[8:])
	p.mails = binary.LittleEndian.Uint64(numbers[16:])
	if p.parentHead, err = decodeHead(head); err != nil {
		return err
	}
	return p.parseFences(fences)
}

// frameSum covers all of a parent cache but its blocks, which the fences cover.
func frameSum(head, fences, numbers []byte) []byte {
	h := blob.NewNameHash()
	h.Write(head)
	h.Write(fences)
	h.Write(numbers)
	sum := h.ID()
	return sum[:parentSum]
}

func (p *parent) parseFences(b []byte) error {
	d := parentDecoder{b: b}
	for len(d.b) > 0 && !d.bad {
		f := fence{first: snapshot.Key(d.bytes(d.uvarint()))}
		f.offset, f.length = int64(d.uvarint()), int64(d.uvarint())
		copy(f.sum[:], d.bytes(parentSum))
		if f.offset < int64(parentHeader) || f.length < 0 || f.offset > p.end || f.length > p.end-f.offset {
			return errParent
		}
		p.fences = append(p.fences, f)
	}
	if d.bad {
		return errParent
	}
	return nil
}

// block reads a block and checks it.
func (p *parent) block(f fence) ([]byte, error) {
	for _, m := range p.memo {
		if m.offset == f.offset {
			return m.bytes, nil
		}
	}
	b := make([]byte, f.length)
	if _, err := p.f.ReadAt(b, f.offset); err != nil {
		return nil, err
	}
	if sum := blob.NameOf(b); [parentSum]byte(sum[:parentSum]) != f.sum {
		return nil, errParent
	}
	p.memo[1] = p.memo[0]
	p.memo[0].offset, p.memo[0].bytes = f.offset, b
	return b, nil
}

// id returns the session of the snapshot, zero for none.
func (p *parent) id() [16]byte {
	if p == nil {
		return [16]byte{}
	}
	return p.session
}

func (p *parent) close() {
	if p != nil {
		p.f.Close()
	}
}

// from returns a cursor that begins at the first record whose key is at least k.
func (p *parent) from(k snapshot.Key) *cursor {
	if p == nil {
		return &cursor{}
	}
	i := sort.Search(len(p.fences), func(i int) bool { return p.fences[i].first > k })
	return &cursor{p: p, fences: p.fences[max(i-1, 0):]}
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
	p      *parent
	fences []fence // of the blocks to come
	d      parentDecoder
	next   known
	full   bool // next holds a record
}

// find returns the record with key k, if there is one. Keys asked for must
// ascend. A damaged block ends the cursor: what follows counts as unknown
// and is read from the store.
//
// If base is not empty, it is the key of a message without its flags. Then
// find may return the record of another key with this base, if there is none
// with key k.
func (c *cursor) find(k, base snapshot.Key) (old known, found bool) {
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
	for len(c.d.b) == 0 {
		if len(c.fences) == 0 {
			return false
		}
		block, err := c.p.block(c.fences[0])
		if err != nil {
			c.fences = nil
			return false
		}
		c.fences = c.fences[1:]
		c.d = parentDecoder{b: block}
	}
	c.next.key = c.d.bytes(c.d.uvarint())
	c.next.role = mailstore.FileRole(c.d.byte())
	c.next.id = identity{inode: c.d.uvarint(), ctime: snapshot.Time{Sec: c.d.varint(), Nsec: uint32(c.d.uvarint())}}
	c.next.entry = c.d.bytes(c.d.uvarint())
	if c.d.bad {
		c.fences, c.d.b = nil, nil
	}
	return !c.d.bad
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

func (d *parentDecoder) byte() uint8 {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
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
