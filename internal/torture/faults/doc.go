// Package faults does everything that is done to a repository, from its making
// to its repair, on a storage of which any operation fails at any time.
//
// It has tests only. Each step begins with the repository as the steps before it
// left it, and is run once for each call that it makes of the storage and each way
// in which that call can go wrong: it is refused; it is done, and the answer is
// lost; the storage is gone from then on; the user interrupts; a read returns other
// bytes. Then the step is done again, as a user would, and all that was promised
// must hold: a check finds nothing, each snapshot restores to the files that it
// is of, and prune leaves nothing that nobody needs.
package faults
