// Package storage is the contract between the repository and the place that
// keeps its objects: a local folder, memory, and later SFTP and S3.
//
// An object is an immutable run of bytes with a name. A name is one or more
// elements joined by "/", each of the characters a-z, 0-9, "-" and "_" (and
// the single object "README"); it never begins or ends with "/", its first
// element is never [Temp], and it is at most 200 bytes long. Implementations
// refuse other names; [CheckName] tells them apart. No object's name is a
// folder of another's ("a" and "a/b"): what a Store does with such is its own.
//
// Package storagetest holds the conformance suite that every implementation
// passes.
package storage

import (
	"context"
	"errors"
	"io"
)

var (
	// ErrExists is returned by Put and Commit when the name is taken.
	ErrExists = errors.New("object exists")
	// ErrNotFound is returned by Get and Delete when the name is not there,
	// and by the opening of a storage that is not there.
	ErrNotFound = errors.New("object not found")
	// ErrShort is returned by Get when the object ends before the range does.
	ErrShort = errors.New("object is shorter than asked for")
	// ErrNoSpace is returned by Put, a Staged's Write and Commit when the
	// storage is full. The object is not there.
	ErrNoSpace = errors.New("no space left on the storage")
)

// A Store keeps objects. Its methods may be called by several goroutines and
// several processes at once. Errors wrap one of the sentinels above where a
// caller acts on it, and name the object. When the context is done before a
// method begins, it does nothing and returns the context's error, wrapped.
type Store interface {
	// Put stores data under name, exclusively: of several callers at once
	// with one name exactly one succeeds and the others get ErrExists; an
	// object is never overwritten. When Put returns nil or ErrExists the object
	// of that name is durable and listed, whole. After another error the object
	// may or may not be there, but it is never there in part. Put keeps no
	// reference to data.
	Put(ctx context.Context, name string, data []byte) error

	// Stage begins an object whose name is known only when its bytes are. The
	// caller ends it by Commit or Discard.
	Stage(ctx context.Context) (Staged, error)

	// Get returns length bytes of the object from offset on; a negative
	// length means up to its end. It returns ErrShort, and no bytes, when the
	// object ends earlier, and refuses to return more than MaxGet bytes. The
	// bytes lie in the memory of buf if that has the room, whatever its length,
	// else in new memory; they are the caller's to change. After an error what
	// buf holds is unknown.
	Get(ctx context.Context, name string, offset, length int64, buf []byte) ([]byte, error)

	// List calls fn for each object whose name begins with prefix (which ends
	// in "/" or is empty), in no order, and stops at fn's first error, which
	// it returns. An object that is put or deleted meanwhile may or may not
	// appear; all others appear exactly once, or List fails: what it cannot look at
	// is not missing. Staged bytes never appear. fn may call the Store's methods.
	List(ctx context.Context, prefix string, fn func(name string, size int64) error) error

	// Delete removes the object. When it returns nil the removal is durable.
	Delete(ctx context.Context, name string) error
}

// Staged is an object being written. It serves one goroutine. After a failed
// Write it cannot become an object any more: Commit returns the error.
type Staged interface {
	// Write appends to the object. Implementations need not buffer: callers
	// write some hundred KiB at a time.
	io.Writer

	// Commit makes what was written an object, as Put does. Whatever it
	// returns, the Staged is finished with.
	Commit(ctx context.Context, name string) error

	// Discard drops what was written. It is a no-op after Commit or Discard;
	// Write and Commit fail after either.
	Discard() error
}

// A Spacer is a Store that knows how many bytes can still be written.
type Spacer interface {
	// Free returns how many bytes this process may still write: an estimate,
	// for other writers use the same space. Its error wraps
	// errors.ErrUnsupported where that cannot be known.
	Free(ctx context.Context) (uint64, error)
}

// A Sweeper is a Store that can tell staged bytes that are being written from
// those that nobody will ever commit, because their process is gone.
type Sweeper interface {
	// Sweep removes the latter and returns how many there were. It never
	// touches what a live process writes, whosever it is. Where it cannot tell
	// it removes nothing, which is no error.
	Sweep(ctx context.Context) (files int, bytes int64, err error)
}

// A Settler is a Store that may list an object, or not list it any more, before
// that is durable: when a process was killed in Put, Commit or Delete, or is at work there.
type Settler interface {
	// Settle makes durable what a listing with prefix would say, whoever put or
	// deleted it. Who relies on what others did calls it after listing that and before
	// anything becomes durable that is wrong without it.
	Settle(ctx context.Context, prefix string) error
}
