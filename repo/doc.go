// Package repo is the repository: it keeps pieces of data, each once,
// compressed and sealed, in a [storage.Store], and the snapshots that refer to
// them. It knows neither files nor mailboxes.
//
// This comment is the format, version 1, and the order in which objects come
// and go. Headers, boxes ("content", "directory"), signatures and key files are
// those of package seal; IDs, names and classes those of package blob. CBOR is
// deterministic, as package cbor has it. Numbers are little endian; a uvarint
// is a number in 7-bit groups, the lowest first, in as few bytes as possible.
//
// # Objects
//
//	README                  plain text, says what this is
//	config/NNNNNNNN         kind 'c': number, decimal, eight digits at least, from 1
//	keys/HASH               a key file (package seal)
//	packs/HH/HASH           kind 'p' or 't'; HH: the first two digits of HASH
//	index/HASH              kind 'i' or 'j'
//	intents/SESSION         kind 'n'
//	snapshots/SESSION       kind 's', or 'x' for a tombstone
//	forgotten/SESSION       kind 'f'; SESSION is the snapshot's
//	holds/SNAPSHOT-SESSION  kind 'h'; SNAPSHOT is the session of the snapshot that is held
//	damaged/HASH            kind 'd'
//	marks/NNNNNNNN          kind 'm': number as of a config, from 1
//	seen/SESSION            kind 'v'
//	spares/config/NNNNNNNN  the same bytes as the config, once more
//	spares/keys/HASH        the same bytes as the key file, once more
//
// HASH is the name that the object's bytes have (BLAKE3, 64 hexadecimal
// digits), SESSION the session that its header names (32 digits). Objects are
// put once and never changed. Objects with other names are ignored. Packs and
// snapshots are of mode 1 (public), the others of mode 2 (index).
//
// # Records
//
// Configs, intents, snapshots, tombstones, forgotten records, holds, records of
// damage, marks and what was seen of them are records:
//
//	prefix      96 bytes in mode 2, 1,184 in mode 1
//	payload     padded and sealed: content box, part 'r', position 0
//	signature   64 bytes, of the BLAKE3 of all before
//
// Padded means: the byte 0x80 and then zeros bring the payload to the length
// that Padmé gives for one byte more than it has, but to 1,024 bytes at least
// (Nikitin et al., "Reducing Metadata Leakage", 2019, section 4: with E =
// ⌊log2 n⌋ and S = ⌊log2 E⌋+1, n is rounded up to a multiple of 2^(E-S)). The
// owner's key signs configs. The key that the header names signs the others;
// a config lists it, be it as removed: what it signed before stands. For forgotten
// records, holds and marks it must be an owner's: with a writer's key alone nobody makes
// snapshots or packs go by putting objects. What a session has seen must be signed
// by the key that signed its intent.
//
// The payload of a snapshot is package snapshot's affair. The others are CBOR
// maps; a reader refuses keys that are not listed here.
//
//	config     1 number   2 cutter version (1)   3 array of keys, each a map:
//	           1 signer, 16 bytes       2 Ed25519 public key, 32 bytes
//	           3 role, 1 or 2           4 HASH of the key file, 32 bytes
//	           5 label, at most 256 bytes
//	           6 made, 7 removed: seconds since 1970; 7 is left out until then
//	intent     1 operation: "backup", "unforget", "repair index", "repair packs",
//	           "repair snapshots" or "prune"
//	           2 store, empty for prune   3 host   4 user
//	           5 session of the parent snapshot, or of that which is taken
//	             back, 16 bytes, zeros for none
//	           6 started, nanoseconds since 1970
//	           7 process, a map: 1 machine (the boot ID on Linux, else the host)
//	             2 host   3 number   4 start time, in the system's own unit
//	           8 root page of the parent's tree, [ID, level]; left out without a parent
//	tombstone  1 time, seconds since 1970   2 true: not put by the session itself; else left out
//	forgotten  1 time, seconds since 1970    2 who did it, at most 256 bytes
//	hold       1 session of the snapshot, 16 bytes
//	           2 reason, at most 1,024 bytes   3 who, at most 256 bytes
//	           4 made, 5 until: seconds since 1970; 5 is left out for no end
//	damage     1 array of packs, ascending, each [HASH, whether no piece in it
//	           counts as stored, array of the offsets of damaged clumps,
//	           ascending, else empty]
//	mark       1 number
//	           2 the packs that are going to be deleted, at most 65,536: their
//	             HASHes as bytes, one after the other, ascending
//	           3 the snapshots that need nothing in them: their sessions, 16 bytes
//	             each, ascending; none if there are over 65,536
//	seen       1 array of the numbers of marks
//
// The config with the highest number that opens and has the owner's signature
// counts; others are passed over. Where a config or a key file is missing, damaged or cannot
// be read its spare counts; the spare may be missing. A reader remembers the number it has seen
// and refuses a lower one. A key that it does not list, or lists as removed,
// does not open the repository, though its key file may still be there.
//
// # Packs
//
//	prefix      1,184 bytes
//	clumps      each sealed: content box, part 'c', position = its offset in the pack
//	padding     random bytes
//	directory   sealed: directory box, part 'd', position 0
//	length      of the sealed directory, 4 bytes, sealed: directory box, part 'l', position 0
//	signature   64 bytes, of the BLAKE3 of prefix, sealed directory and sealed length
//
// The padding brings the pack to the length that Padmé gives, but to 256 KiB at
// least (kind 'p') or 16 KiB (kind 't'). Kind 't' holds the clumps of class
// page, kind 'p' all others. The last 84 bytes, length and signature, are read
// first by who looks for the directory.
//
// A clump is pieces of one class, one after the other. What is sealed is a byte
// that says how they are kept, and the bytes: 0, as they are; 1, zstd (RFC
// 8878) frames that decompress to at most 8 MiB.
//
// The directory describes the clumps in their order; the first begins after
// the prefix, each other where the one before ends.
//
//	uvarint      number of clumps; for each:
//	1 byte       class
//	uvarint      length, sealed
//	uvarint      length, opened and decompressed
//	16 bytes     the last 16 of the sealed clump, which bind its content
//	uvarint      number of pieces, at least 1; for each:
//	32 bytes     ID
//	uvarint      length, at least 1; they add up to the clump's
//
// # Index objects
//
// An index object says where the pieces of some packs lie, all of kind 'p'
// (then it is of kind 'i') or 't' ('j'). It says nothing that their
// directories do not say.
//
//	prefix      96 bytes
//	blocks      each sealed: content box, part 'b', position = its number from 0
//	head        padded and sealed: directory box, part 'h', position 0
//	length      of the sealed head, 4 bytes, sealed: directory box, part 'l', position 0
//	signature   64 bytes, of the BLAKE3 of all before
//
// The head's padding brings the whole object to the length that Padmé gives,
// but to 1,024 bytes at least. The head is a CBOR map: 1 array of packs, each
// [HASH, length], none twice; 2 array of blocks, each [ID of its first entry,
// length as sealed]. A block has 1,024 entries, the last one at least one.
// Entries ascend strictly by ID, then by HASH of the pack, offset and inner
// offset:
//
//	32 bytes     ID
//	uvarint      which of the head's packs, from 0
//	uvarint      offset of the clump in the pack
//	uvarint      length of the clump, sealed
//	uvarint      inner offset: where the piece begins in the opened clump
//	uvarint      length of the piece, at least 1
//
// The index is a hint: who reads a piece checks it against its ID.
//
// # Limits
//
// A reader refuses more, before it makes room for it.
//
//	piece, clump as opened   8 MiB
//	clump as sealed          8 MiB + 17 bytes
//	pack                     96 MiB
//	directory as sealed      32 MiB
//	index object             2^20 entries
//	record                   4 MiB, a config 1 MiB
//	key file                 16 KiB
//
// # Versions
//
// The version is the one in the headers. A program refuses a repository whose
// highest config has a newer one, and each object that has; it writes the one
// it knows. A change that old programs could misread is a new version.
//
// # Order
//
// Whatever is put is durable before what refers to it is put. A session is one
// run that writes. It ends with one exclusive put at snapshots/SESSION, by
// itself or by whoever takes it for dead; who comes second has lost. Between
// two steps a crash leaves what the right column says. Nothing that was
// committed is lost, and nothing has to be repaired.
//
//	new repository   README          a folder that is no repository and
//	                 key file        has to be removed by hand
//	                 its spare       the same
//	                 config 1        (the repository exists) it lacks a spare
//	                 its spare
//	session          intent          an open session; prune ends it once its process is gone
//	                 seen            the same
//	                 packs           packs that no index object names; the next
//	                                 session to begin adopts them, from their directories
//	                 index objects   pieces that no snapshot refers to; the next session finds them
//	                 snapshot        (the backup exists)
//	               or tombstone      (the session made no snapshot)
//	prune            tombstones      of sessions that are dead; they lose when they wake up
//	                 mark            packs that count as not stored; the next prune deletes them
//	                 index objects   the same packs, named by both or by none
//	                   without them
//	                 old ones go
//	                 packs go        a mark of packs that are not there
//	                 mark goes
//	                 seen, intent    an intent that says nothing any more; the next prune removes it
//	                   go
//	new key          key file        a key file that no config lists, and that therefore opens nothing
//	                 its spare       the same
//	                 config          (the key exists) it lacks a spare
//	                 its spare
//	removed key      config          (the key is no longer accepted) its file, which opens nothing; the same again
//	                 its spare       the same
//	                 key file goes   the same
//	                 its spare goes
//	forget           forgotten record (the snapshot is no longer one)
//	unforget         intent          an open session, as above
//	                 pack, index object (what is doomed is stored again) as above
//	                 forgotten record goes (the snapshot is one again) the same
//	                 tombstone
//	hold             hold            (the snapshot is held) an older hold of it, which holds it too
//	                 older holds go
//
// Small index objects are put together by maintenance, the new one first, and then the
// old ones go; a crash between leaves packs that are named twice.
//
// A record of damage says which packs are not what was stored. Sessions take
// pieces there for absent, and store them again; readers prefer other places; a
// damaged pack that no index object names is not adopted. Several records say
// together what is damaged. Who changes that puts a record with all and then
// deletes those that he read.
//
//	damage           record          two records, which say together that more is damaged than is
//	                 old ones go
//	repair of index  index objects   packs that are named twice
//	                 old ones go
//	repair of packs  damage          packs that the next repair reads
//	                 packs           as in a session
//	                 index objects   pieces in two packs
//	                 index objects without the damaged packs
//	                 old ones go     packs that no index object names, and that no session
//	                                 adopts, because they are recorded as damaged
//	                 packs go
//
// The record of damage stays when its pack has gone: a session whose parent was
// made before learns from it that pieces may be lost. It goes when no session is open
// and no snapshot that is not forgotten misses anything.
//
// Index objects are put at the end of a session and at checkpoints on the way:
// when five minutes have passed since the last one, or 32,768 pieces have been
// stored. What a crash makes a session do twice is what was in packs that were
// not durable: those of a session are no more at a time than it has workers, its
// readers and who writes the tree, and three at most.
// Whoever finds an index object gone that was listed lists them again: another has
// taken its place, which was put before.
// An object may be listed, or not be listed any more, before that is durable: when
// its process was killed in that moment, or waits for the disk. Whoever relies on what
// others did first makes that durable ([storage.Settler]): a session, when others have not
// ended, before it adopts packs and uses pieces; who ends another's session; a repair and a
// pruner, before anything goes; who forgets a snapshot because there are others; and who holds one.
// A put whose outcome is not known is settled by looking: when the name is
// taken, and by the same bytes, it has succeeded.
//
// A backup is refused while an older one is open that works on the same
// store of the same host, if its process lives on this machine. Of processes
// on other machines nothing can be known; two sessions of one store at once
// make two snapshots, which harms nothing.
//
// # Forgetting
//
// A snapshot that has a forgotten record is none any more: it is not listed, no
// backup builds on it, and what only it refers to may be removed. It stays at
// its name all the same, for two reasons. That name is what ends its session: a
// session without it looks as if it went on. And a name that is free can be
// taken: a writer that was suspended before it learned that its put had
// succeeded puts the snapshot again when it wakes, and would bring back one
// whose packs are gone. A forgotten record that is damaged, or not signed by an
// owner, forgets nothing.
//
// To take a snapshot back is a session of its own. Its intent names the snapshot
// as its parent, which keeps packs as the parent of a backup keeps them. Then
// it stores again what only packs under marks have, which are doomed and may go at any
// time; looks whether all pages and pieces are there, where packs that are missing,
// or doomed, count for nothing; and deletes the forgotten record.
//
// Whoever removes what no snapshot refers to goes by this. Roots are the
// snapshots that are not forgotten, and the parents of open sessions, forgotten
// or not. When the root of a forgotten snapshot has gone with its pack, the snapshot
// goes for good: first its session's intent, then snapshots/SESSION, and last
// forgotten/SESSION, for the other way round a crash would bring it back without its
// data. The forgotten record may stay as long as a tombstone would: while it is
// there, whatever is put at snapshots/SESSION late is forgotten already.
//
// A hold keeps a snapshot from being forgotten until its time is over. A hold that
// is damaged holds, too. A newer hold replaces the older ones. A hold lasts only after its
// snapshot does, and what is left of it goes before the forgotten record of one that
// has gone for good. So a snapshot that is held, and neither there nor forgotten, was
// lost: nobody deletes anything until it is there again, or released.
//
// # Deleting
//
// Packs are deleted while sessions write, and no clock decides whether that is
// safe. Who deletes is called a pruner; what follows is why nothing is lost.
//
// A session puts its intent, which names its parent: the snapshot from which it
// takes over what has not changed, piece by piece unseen. Then it lists the marks
// and puts on record which it saw (nothing if there were none); then it lists the index;
// then it looks whether the parent is still listed, and does without if not. Packs
// under the marks that it saw count as not stored: it adopts none of them, does
// not miss them, and stores again what is in them. A parent is done without, too,
// that may need one of them: one that is neither among the snapshots of a mark nor
// of a session that had seen it, unless the session has looked up all that it refers to, as
// who takes a snapshot back does, and found it in other packs.
//
// A pruner finds what is needed: it lists packs, then snapshots, then intents, in this
// order, and then brings its index up to date. Needed is what those snapshots refer to, and what
// the parents of open sessions do. Each needed piece is counted to one pack, to one under a
// mark only where it is in no other. Packs of open sessions are left
// alone. Packs that nothing was counted to go into a mark, with the number after
// the highest that is there: whoever finds it taken gives up, for another prunes.
// Then the pruner lists packs, snapshots and intents again, and adds what the new
// ones need. A pack is deleted when it is under a mark, nothing is counted to it, and
// each open session has seen the mark; and if the mark of this pruner
// is still the highest. A mark is for good: a pack that turns out to be needed stays
// until its pieces are copied to another one. The highest mark stays too, so that no number comes twice.
//
// So a session either has the mark of a pack, and does not rely on it; or its
// intent is older than the mark, and keeps the pack from being deleted until the
// session ends; then its snapshot is listed. What it takes over from its parent is
// needed by a snapshot that is listed, or was when its intent was put, and from then on by the intent.
// For that, snapshots are listed before intents: the other way round a session
// could come between, and its parent go.
//
// Only a pruner removes intents, of sessions that have ended. Last of all a session looks whether its
// own is still there, and makes no snapshot if not: a person, or a disk, has taken it away. A pruner ends those
// whose process is gone by a tombstone. The session may sleep and not be gone: its
// own put at the end fails then. Therefore such a tombstone stays for ever. One that
// the session itself put is removed after some time.
//
// # Memory
//
// What a session takes does not grow with what it stores. Of a piece it keeps 36
// bytes from when its pack is begun until the next checkpoint, which takes 140
// bytes a piece while it lasts: 32,768 and those of a pack of small ones are 14 MiB
// in all.
// That a piece has come is in an [index.Set], most of which lies in the cache
// directory. A Writer has a clump of each class and what zstd needs for one, 10 MiB
// in all. Of each pack the index keeps 60 bytes, and so does the listing that
// Begin compares it with.
//
// # Example
//
// The directory of a pack with one clump: class text, 300 bytes as sealed, 700
// as opened, with pieces of 500 and 200 bytes.
//
//	01                                       one clump
//	01                                       class text
//	ac02                                     300
//	bc05                                     700
//	7461 6720 6f66 2074 6865 2063 6c75 6d70  the clump's last 16 bytes
//	02                                       two pieces
//	6161 6161 6161 6161 6161 6161 6161 6161  ID of the first
//	6161 6161 6161 6161 6161 6161 6161 6161
//	f403                                     500
//	6262 6262 6262 6262 6262 6262 6262 6262  ID of the second
//	6262 6262 6262 6262 6262 6262 6262 6262
//	c801                                     200
//
// Sealed it is 16 bytes longer, and with the clump at offset 1,184 and the
// trailer of 84 bytes the pack would have 1,675 bytes; padding makes 256 KiB
// of it.
package repo
