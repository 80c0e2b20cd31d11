// Package snapshot is the record of one state of a mail store: which paths it
// had, what each was, of which pieces its files are made, and which of them
// make up whose mailbox.
//
// # Terms
//
// An entry is one path with its metadata. A recipe says how to make a file's
// bytes from pieces. A tree is a sorted map from key to entry, cut into pages.
// The snapshot record names the root page of its tree and of its map of
// mailboxes.
//
// A tree depends only on what is in it, not on how it came about: equal
// trees are equal pages, and a small change makes about one new page a level.
//
// # Pages
//
// Numbers are unsigned varints as in encoding/binary, in their shortest form;
// the time's seconds are zigzag varints. "Sized" is a number and as many
// bytes. A page is a piece of the repository:
//
//	1 byte   kind of tree: 1 entries, 2 mailboxes, 3 items of a recipe
//	1 byte   level: 0 for a leaf
//	records, up to the page's end
//
//	leaf of 1, 2   sized key, sized value
//	leaf of 3      item
//	interior, 1, 2 sized last key of the child page, its ID (32 bytes), its
//	               sums: entries, files, messages, bytes, unsaved entries
//	interior, 3    ID of the child page, its items, the bytes they make
//
// Keys ascend strictly. A reader holds every page against what its parent says
// of it: level, sums, last key, and that its keys lie behind the page before.
//
// # Where pages are cut
//
// A page ends behind a record when the record's hash, its first four bytes
// taken as a little-endian number, is a multiple of 8 (in trees of kind 3 of
// 128), and at the end of its level. The hash is BLAKE3 keyed with the repository's ID
// key derived for "restante tree v1", over the kind, the level, and
//
//	in kinds 1, 2  the key
//	leaf of 3      the ID of the item's first piece; a literal never cuts
//	interior of 3  the ID of the child
//
// There are two exceptions. The first record of an interior page does not end
// it, so that each level has at most half the pages of the one below, and one
// more. A record that would take the page over 65,536 bytes of records begins
// the next. So only a record larger than that (up to 4 MiB) exceeds a page, and
// it is alone there. Interior records always fit three to a page.
//
// The root is the page of the lowest level that has but one. An empty tree is
// one empty leaf. Readers do not hold pages against the rule of the hash: a
// page cut elsewhere, as by a program that took multiples of 32 for kinds 1 and 2, costs
// space, and says nothing wrong.
//
// # Keys and entries
//
// A key is a path below the store's root with NUL for "/", at most 16,384
// bytes, with no element empty, "." or "..". The value of an entry:
//
//	1 byte   kind (see [Kind]); plus 16 with xattrs, 32 with a hard link
//	         group, 64 with a count of messages
//	         mode, owner, group, seconds, nanoseconds
//	16       number of xattrs, each a sized name and a sized value
//	32       16 bytes: name of the hard link group
//	64       count of messages
//	File     1 byte version of the cutter, 1 byte form, then
//	         form 0: items, at most 4,096 bytes of them
//	         form 1: root of the list, 1 byte its level, number of items,
//	         bytes of the file, content hash
//	Symlink  target, up to the end
//	devices  device number
//	Unsaved  size, then the reason up to the end
//
// Items over 4,096 bytes are a tree of kind 3, which is the list. The name of a
// hard link group is the keyed hash of "restante link v1", NUL and the first
// path's key, cut to 16 bytes. Items:
//
//	1   piece that ended with its span: ID, size (1 byte to 8 MiB)
//	2   piece that ended at a content cut: ID, size
//	3   literal: sized, 1 to 1,024 bytes
//	4   base64: line length, 1 byte form (1: lines end in CRLF, 2: the last
//	    line has no end), keyed hash of the encoded bytes, number of pieces
//	    (1 to 256), each as 1 or 2. Line length 0 is one line of more than
//	    65,535 characters, and has form 2
//	5   piece as 1 that a message begins with: its header comes first, of a
//	    long one the lines in its first 262,144 bytes
//
// The content hash of a file follows from its items: each counts as 41 bytes,
// its [ItemKind], the bytes it makes (8, little endian), and the keyed hash of
// those (of a piece its ID). Beginning with 32 zeros, the state becomes the
// keyed hash of "restante content v1", NUL, the state and the next 256 items,
// the last block having 0 to 256 of them (0 only in an empty file).
//
// For example the leaf
//
//	01 00                                kind 1, level 0
//	00 07                                key "", a value of 7 bytes
//	   02 ed 03 00 00 00 00              folder, mode 0755, owner, group and time 0
//	03 61 00 6e 0d                       key of "a/n", a value of 13 bytes
//	   01 a4 03 00 00 02 00              file, mode 0644, time 1 s
//	   01 00 03 02 68 69                 cutter 1, one literal "hi"
//
// Entries and items are encoded by hand, not in CBOR as the records below:
// 0.15 µs to write and 0.9 µs to read an entry of two pieces, against 2.6 and
// 6.9 for deterministic CBOR by reflection, which would also have to be
// written again to prove it canonical.
//
// # Mailboxes and the snapshot record
//
// The value of a mailbox, whose key is its name, is a CBOR array: aliases,
// component, ranges, folders, each an array, of byte strings but for
// the component; a range is [from, to], a folder [name, ranges]. The snapshot
// record is the byte 1 (its version) and a CBOR map with the keys
//
//	1 store    2 host     3 user      4 roots         5 layout    6 program
//	7 tags     8 description          9 started      10 ended    11 parent
//	12 tree   13 mailboxes           14 run          15 excludes
//	16 incomplete                    17 shrunk       18 unlisted
//	19 session of the snapshot that this one has replaced: of a repair
//
// where an empty value is left out, times are [seconds, nanoseconds], trees
// [ID, level, and the five sums], and run the eleven numbers of [Run] in order.
// Unlisted is a string of bits, of as many bytes as are needed for the last that
// is set. The record is at most 1 MiB. CBOR is in its core deterministic encoding,
// with null for an empty array; any other encoding is refused, and so is another
// version.
package snapshot
