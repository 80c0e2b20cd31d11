package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Limits of an entry's fields. They are part of the format.
const (
	maxTarget = 64 << 10
	maxReason = 4 << 10
	maxXattrs = 4 << 10
	maxNsec   = 999_999_999
)

// The first byte of an entry: its kind in the low four bits, and what follows.
// Part of the format.
const (
	hasXattrs   = 1 << 4
	hasLink     = 1 << 5
	hasMessages = 1 << 6
	kindBits    = 1<<4 - 1
)

// check refuses entries that the encoding cannot carry, and those that say
// something their kind has no meaning for, which would be lost.
func (e *Entry) check() error {
	if e.Kind < File || e.Kind > Unsaved {
		return fmt.Errorf("it has the unknown kind %d", e.Kind)
	}
	if e.Mode > 0o7777 || e.Mtime.Nsec > maxNsec {
		return fmt.Errorf("mode %o or nanoseconds %d are out of range", e.Mode, e.Mtime.Nsec)
	}
	isFile, isDevice := e.Kind == File, e.Kind == CharDevice || e.Kind == BlockDevice
	switch {
	case !isFile && (e.Messages != 0 || len(e.Recipe.Items) > 0 || e.Recipe.Long != nil || e.Recipe.Cutter != 0):
		return fmt.Errorf("a %v has messages or a recipe", e.Kind)
	case isFile && e.Size != e.Recipe.Length():
		return fmt.Errorf("its size is %d, but its recipe makes %d bytes", e.Size, e.Recipe.Length())
	case !isFile && e.Kind != Unsaved && e.Size != 0:
		return fmt.Errorf("a %v has size %d", e.Kind, e.Size)
	case (e.Kind == Symlink) != (e.Target != ""):
		return fmt.Errorf("a %v has the target %q", e.Kind, e.Target)
	case !isDevice && e.Rdev != 0:
		return fmt.Errorf("a %v has device number %d", e.Kind, e.Rdev)
	case e.Kind == Dir && e.Link != LinkID{}:
		return errors.New("a folder has a hard link group")
	case (e.Kind == Unsaved) != (e.Reason != ""):
		return fmt.Errorf("a %v has the reason %q", e.Kind, e.Reason)
	case len(e.Target) > maxTarget || len(e.Reason) > maxReason || len(e.Xattrs) > maxXattrs:
		return fmt.Errorf("its target, reason or extended attributes: %w", ErrTooLarge)
	}
	for i, x := range e.Xattrs {
		if x.Name == "" || i > 0 && x.Name <= e.Xattrs[i-1].Name {
			return fmt.Errorf("extended attribute %q is not in order", x.Name)
		}
	}
	return nil
}

// appendEntry appends the encoding of an entry that check accepts.
func appendEntry(dst []byte, e *Entry) ([]byte, error) {
	if err := e.check(); err != nil {
		return dst, err
	}
	first := byte(e.Kind)
	if len(e.Xattrs) > 0 {
		first |= hasXattrs
	}
	if e.Link != (LinkID{}) {
		first |= hasLink
	}
	if e.Messages > 0 {
		first |= hasMessages
	}
	dst = append(dst, first)
	dst = binary.AppendUvarint(dst, uint64(e.Mode))
	dst = binary.AppendUvarint(dst, uint64(e.UID))
	dst = binary.AppendUvarint(dst, uint64(e.GID))
	dst = binary.AppendVarint(dst, e.Mtime.Sec)
	dst = binary.AppendUvarint(dst, uint64(e.Mtime.Nsec))
	if first&hasXattrs != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(e.Xattrs)))
		for _, x := range e.Xattrs {
			dst = appendSized(dst, x.Name)
			dst = appendSized(dst, x.Value)
		}
	}
	if first&hasLink != 0 {
		dst = append(dst, e.Link[:]...)
	}
	if first&hasMessages != 0 {
		dst = binary.AppendUvarint(dst, e.Messages)
	}
	switch e.Kind {
	case File:
		return appendRecipe(dst, &e.Recipe)
	case Symlink:
		dst = append(dst, e.Target...)
	case CharDevice, BlockDevice:
		dst = binary.AppendUvarint(dst, e.Rdev)
	case Unsaved:
		dst = append(binary.AppendUvarint(dst, e.Size), e.Reason...)
	}
	return dst, nil
}

// parseEntry reads one entry, which takes all of r.
func parseEntry(r *reader) (Entry, error) {

	first := r.byte("kind")
	e := Entry{
		Kind:  Kind(first & kindBits),
		Mode:  uint32(r.uvarint("mode", 0o7777)),
		UID:   uint32(r.uvarint("owner", math.MaxUint32)),
		GID:   uint32(r.uvarint("group", math.MaxUint32)),
		Mtime: Time{Sec: unzigzag(r.uvarint("time", math.MaxUint64)), Nsec: uint32(r.uvarint("nanoseconds", maxNsec))},
	}
	if first&hasXattrs != 0 {
		e.Xattrs = parseXattrs(r)
	}
	if first&hasLink != 0 {
		copy(e.Link[:], r.bytes("hard link group", len(e.Link)))
	}
	if first&hasMessages != 0 {
		e.Messages = r.uvarint("count of messages", math.MaxUint64)
	}
	switch e.Kind {
	case File:
		e.Recipe = parseRecipe(r)
		e.Size = e.Recipe.Length()
	case Symlink:
		e.Target = string(r.rest())
	case CharDevice, BlockDevice:
		e.Rdev = r.uvarint("device number", math.MaxUint64)
	case Unsaved:
		e.Size = r.uvarint("size", math.MaxUint64)
		e.Reason = string(r.rest())
	}
	if len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	if r.err == nil && (first >= 1<<7 || first&hasLink != 0 && e.Link == (LinkID{}) || first&hasMessages != 0 && e.Messages == 0) {
		r.fail("a flag is set for nothing")
	}
	if r.err != nil {
		return Entry{}, r.err
	}
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	return e, nil
}

func parseXattrs(r *reader) []Xattr {
	n := r.uvarint("number of extended attributes", maxXattrs)
	if n == 0 {
		r.fail("the list of extended attributes is empty")
	}
	var out []Xattr
	for ; n > 0 && r.err == nil; n-- {
		name := string(r.sized("name of extended attribute", maxRecord))
		out = append(out, Xattr{name, bytes.Clone(r.sized("extended attribute", maxRecord))})
	}
	return out
}

// unzigzag undoes the mapping of signed numbers by binary.AppendVarint.
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }
