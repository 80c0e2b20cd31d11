// Package index tells where a piece lies: a map from a piece's ID to its
// [blob.Place], filled from the repository's index objects and kept on disk so
// that the next run need not read them again.
//
// The truth is in the repository. What is on disk is a cache: it can be
// deleted whenever no process uses it, and whatever is found wrong with it is
// answered by building it again from the index objects.
//
// # On disk
//
// The cache is a directory with one file and a few subdirectories:
//
//	synced                 which index objects are in, and the newest records
//	g-0123456789abcdef/    a generation: a Badger database and a file named lock
//
// A generation is written once and never changed. Folding new records in makes
// another generation that shares the old one's tables by hard links (or
// copies, where there are none) and has one table run more; then a rename of
// synced makes it the current one. So a crash at any point leaves the old
// cache whole, readers never wait for writers nor writers for each other, and
// no background compaction of Badger ever runs: after 12 runs, or when more
// than half of the records are dead, a generation is rewritten as one run.
// Two processes that fold at once both succeed; the one that knows fewer index
// objects does not publish its generation and drops it at Close.
//
// Everybody who uses a generation holds a shared lock on its file lock. Who has
// published a new one removes the others, but only when it gets the exclusive
// lock and synced still does not name it. A crash leaves at most an unnamed
// generation, which the next fold removes. Badger's own directory lock is not
// used: it would keep readers and writers apart that need not be.
//
// # The file synced
//
// Integers are little endian.
//
//	offset  size  field
//	     0     8  "rst-indx"
//	     8     4  version: 1; a cache of another version is built again
//	    12     4  table runs in the generation
//	    16     8  records in the generation
//	    24     8  the generation's number, as its name has it in hex (0: there is none)
//	    32     4  F, the number of files of the generation
//	    36     4  P, the number of packs
//	    40     4  O, the number of index objects
//	    44     4  R, the number of records
//	    48        F files, ascending by name: 1 byte length of the name, the name,
//	              8 size, 8 modification time (ns), 4 CRC-32C of all, 4 CRC-32C of
//	              the last size/8 + 64 KiB bytes, where a table has its index
//	              P packs, numbered from 0: 32 ID, 4 size, 4 pieces in it
//	              O index objects, ascending: 32 name, 4 number of packs, 4 each pack's number
//	              R records, ascending: 32 piece, 4 pack's number, 4 offset,
//	              4 length, 4 inner, 4 size
//	             32  BLAKE3 of all before
//
// For example an index object named 11…, whose only pack 22… of 4,096 (0x1000)
// bytes holds one piece 33… in the clump at 64 with 100 bytes, at 5, 7 bytes long:
//
//	72 73 74 2d 69 6e 64 78  01 00 00 00  00 00 00 00  00×8  00×8
//	00 00 00 00  01 00 00 00  01 00 00 00  01 00 00 00
//	22×32  00 10 00 00  01 00 00 00
//	11×32  01 00 00 00  00 00 00 00
//	33×32  00 00 00 00  40 00 00 00  64 00 00 00  05 00 00 00  07 00 00 00
//	32 bytes of BLAKE3
//
// In Badger the key is the piece's ID and the value one place or more, each as
// five uvarints: pack's number, offset, length, inner, size. The key's version
// is the number of the run, so an older run's places stay readable; they count
// when all newer ones are in packs that no index object lists any more.
//
// # Why not everything in Badger
//
// Opening Badger to write, adding 100 records and closing takes 15 to 90 ms,
// most of it waiting for the disk; writing synced, which is not forced to the
// disk, takes under 1 ms for a small repository and 4 ms with 16,384 records
// in it. So records stay in synced until there are 16,384 of them, or a 64th
// of those in Badger if that is more, up to 131,072 (6.8 MB).
//
// # Damage
//
// synced proves itself by its hash. Before Badger sees a generation, all its
// files must be there with the right sizes, and no others; their checksums are
// compared, for a generation of more than 16 MiB with unchanged modification
// times only those of the ends. The check is needed because Badger answers a
// damaged table with a miss, or by ending the process.
//
// # Sets
//
// A [Set] is what a session has taken in hand: it keeps the session from storing
// a piece twice, and is of no use after it. Half of an ID is 16 bytes. 32,768
// of them are in memory, in maps; then they become a run, a file of 16 bytes for
// each, ascending, while the next ones gather. Four runs of one size become one,
// so that 100 million pieces are in 18 files at most, with 1.6 GB, and as much again
// while they are joined. The files are in the cache directory and, where the
// system can do that, have no names, so that a crash leaves none; elsewhere they
// are named claims-*, and a later fold removes those that are left.
//
// Of each run memory holds the first ID of every 256, 16 bytes, and a Bloom
// filter of 10 bits for each piece, which answers 119 misses of 120. All filters
// of a set take 32 MiB at most: from 27 million pieces on they have fewer
// bits, down to none, and more misses read a block of 4 KiB from each run that
// the filters do not rule out, which is mostly in the page cache. So a set takes
// up to 4 MiB, and 1.3 bytes a piece up to those 32 MiB, then 0.06.
//
// # Memory
//
// What follows does not grow with the number of pieces, but for what is said of
// the file synced.
//
// A record takes 52 bytes while it is in memory: at most 327,680 are collected
// before they are folded (17 MB); few, as of a night, take no more than they need.
// They are folded in ascending order, a batch of 256 KiB at a time. Badger has no
// block cache and no index cache, and one memtable of 1 MiB, which idles. While it
// writes it has up to 16 tables in memory, of 1 to 4 MiB by the size of the
// generation. In addition there is the loaded index object, which belongs to the
// caller.
//
// Badger maps its tables, filters and all. Each run has Bloom filters of 10 bits a
// piece, 1.2 bytes, which answer 99 misses of 100; with 12 runs, a miss may look at
// 12 filters. Mapped tables count as the process's memory, though the kernel can
// drop them: on Linux they are given back whenever 8 MiB more than before are
// resident. They stay in the page cache. Elsewhere that is left to the kernel.
//
// synced is read whole: 40 bytes a pack and 36 an index object, and up to 131,072
// records.
package index
