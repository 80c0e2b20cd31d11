package snapshot

import (
	"fmt"
	"math/bits"
	"time"

	"restante/blob"
)

// A Kind says what an entry is.
type Kind uint8

// The kinds. They are part of the format: values are never reused.
const (
	File        Kind = 1
	Dir         Kind = 2
	Symlink     Kind = 3
	FIFO        Kind = 4
	Socket      Kind = 5
	CharDevice  Kind = 6
	BlockDevice Kind = 7
	Unsaved     Kind = 8 // it exists, but could not be saved: Reason says why
)

// String returns the kind in words.
func (k Kind) String() string {
	names := [...]string{File: "file", Dir: "folder", Symlink: "symlink", FIFO: "FIFO", Socket: "socket",
		CharDevice: "character device", BlockDevice: "block device", Unsaved: "unsaved"}
	if k >= File && int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Time is a moment as file systems keep it: seconds since 1970 UTC, and
// nanoseconds from 0 to 999,999,999 on top.
type Time struct {
	Sec  int64
	Nsec uint32
}

// TimeOf returns t with its nanoseconds, without its zone.
func TimeOf(t time.Time) Time { return Time{t.Unix(), uint32(t.Nanosecond())} }

// Go returns the time in UTC.
func (t Time) Go() time.Time { return time.Unix(t.Sec, int64(t.Nsec)).UTC() }

// An Xattr is an extended attribute with its full name, such as "user.mime".
type Xattr struct {
	Name  string
	Value []byte
}

// LinkID names a group of hard links: the keyed hash of the group's first
// path, cut to 16 bytes. Zero means no group.
type LinkID [16]byte

// LinkOf returns the name of the hard link group whose first path has key k.
func LinkOf(h *blob.Hasher, k Key) LinkID {
	sum := h.Sum([]byte("restante link v1\x00"), []byte(k))
	return LinkID(sum[:16])
}

// Entry is what a snapshot knows of one path. It holds neither device, inode
// nor ctime: those would change with every move of the store.
type Entry struct {
	Kind     Kind
	Mode     uint32 // permission, setuid, setgid and sticky bits: 07777
	UID, GID uint32
	Mtime    Time
	Size     uint64  // File: the length of what the recipe gives; Unsaved: what was seen, or 0; else 0
	Xattrs   []Xattr // names strictly ascending
	Target   string  // Symlink: where it points to, any bytes
	Rdev     uint64  // devices: the number, as the system gives it
	Link     LinkID  // not for folders; every entry of a group has its full recipe
	Messages uint64  // File: 1 for a Maildir message, n for an mbox; else 0
	Recipe   Recipe  // File: how to make its bytes
	Reason   string  // Unsaved: why, for a person
}

// Counts returns what the entry adds to the sums of its pages.
func (e *Entry) Counts() Counts {
	c := Counts{Entries: 1}
	switch e.Kind {
	case File:
		c.Files, c.Messages, c.Bytes = 1, e.Messages, e.Size
	case Unsaved:
		c.Unsaved = 1
	}
	return c
}

// Counts are sums over a range of entries. A file with several hard links
// counts once for each.
type Counts struct {
	Entries  uint64 // of every kind, the unsaved too
	Files    uint64
	Messages uint64
	Bytes    uint64 // of files
	Unsaved  uint64
}

// Add adds d. It reports false, and leaves c unusable, when a sum is over 64
// bits, which only a damaged or hostile page brings about.
func (c *Counts) Add(d Counts) bool {
	var carry [5]uint64
	c.Entries, carry[0] = bits.Add64(c.Entries, d.Entries, 0)
	c.Files, carry[1] = bits.Add64(c.Files, d.Files, 0)
	c.Messages, carry[2] = bits.Add64(c.Messages, d.Messages, 0)
	c.Bytes, carry[3] = bits.Add64(c.Bytes, d.Bytes, 0)
	c.Unsaved, carry[4] = bits.Add64(c.Unsaved, d.Unsaved, 0)
	return carry == [5]uint64{}
}
