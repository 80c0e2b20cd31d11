// Package model has a test that lets several clients do anything to one
// repository in any order, and holds what is there against a map of what each
// snapshot has to hold.
//
// Each client is a machine: it has a mail store, caches and a clock of its own,
// which is wrong. What it does (a backup, a prune, forgetting, repairs) is the
// program's own code, and each of its calls to the storage waits until the
// history lets it through. So a history decides after how many calls one client
// is stopped and another goes on; a client that is stopped for long is a
// suspended one, and one that crashes makes no call any more.
//
// When an object has been damaged, all snapshots are restored and the repository
// is checked before anybody repairs it: what does not depend on the object is as it was, and the
// check tells of the rest, and of nothing else. Then clients heal the repository,
// which may not fail but for a crash or another that is at it.
//
// A history is a list of steps, which are data: it can be printed, run again,
// and made shorter. A step that cannot be done, because what it is about is not
// there, does nothing; so every part of a history is one. When a history fails,
// steps are left out of it for as long as it still does, and what is left is
// printed.
package model
