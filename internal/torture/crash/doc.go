// Package crash proves what a crash of the machine leaves of a repository: its tests
// enumerate what may be on the disk after it.
//
// A child process does what the commands do (it makes a repository, backs up, forgets,
// prunes, changes keys, repairs) and records each system call by which package durable
// changes the disk or makes it durable. It is gone when its repository is looked at,
// as the process of a machine that crashed is. In some scripts processes were killed
// before, at random or when a name was there and not yet durable, and others went on.
//
// The calls are replayed on a disk that keeps apart what is durable and what is not.
// After each call the machine may crash, and of what was not synced may be there
// or not, each by itself and in any order: the bytes of a file (all of them, the first
// half, zeros in their place, none), and each name that was given or taken away in a folder.
// That is less than any file system promises. Where there are many such things, all of
// them are taken to be there, and none; each once otherwise than all others; and some at random.
//
// A name in the folder for unfinished files that is taken away again stays undecided until the
// command ends; afterwards it counts as gone. Only a sweep ever looks at it.
//
// Each folder that comes of this is made on a real file system, where it is opened by
// package local and swept. Two folders that differ in unfinished files alone are
// one storage, because nothing but the sweep looks at those; of folders that are one storage
// one is used as a repository: it is opened with an empty cache, all that was
// committed is restored, it is checked, backed up into, pruned, and all is done once more.
//
// That this finds what is wrong is shown by records from which syncs are left out, or in
// which objects come in another order: in each a broken state is found.
package crash
