package seal

import (
	"errors"
	"fmt"
)

var (
	// ErrDamaged is returned for bytes that are not what was sealed: changed,
	// cut, moved to another place, or never made by this program.
	ErrDamaged = errors.New("damaged or tampered with")
	// ErrTooNew is what a [TooNewError] wraps.
	ErrTooNew = errors.New("made by a newer version of restante; upgrade this one")
	// ErrDraft says that something is of format 0. One object that says so
	// may as well be damaged: then it comes with ErrDamaged.
	ErrDraft = errors.New("format 0, of the drafts before the first release, which no release reads")
	// ErrWrongKey is returned by Unlock when the passphrase or identity does
	// not open the key file.
	ErrWrongKey = errors.New("the passphrase or identity does not fit")
	// ErrNotOwner is returned when a writer's key is asked for what needs an
	// owner's.
	ErrNotOwner = errors.New("this needs an owner key; a writer key cannot do it")
)

// A TooNewError says that something was made by a newer version of the
// program. It wraps [ErrTooNew].
type TooNewError struct {
	What         string // what has the version, such as "format version"
	Found, Known uint16 // the version found, and the newest one known here
}

// Error names both versions.
func (e *TooNewError) Error() string {
	return fmt.Sprintf("%s %d, known up to %d: %v", e.What, e.Found, e.Known, ErrTooNew)
}

// Unwrap returns [ErrTooNew].
func (e *TooNewError) Unwrap() error { return ErrTooNew }

// A RepositoryError says that an object is of another repository than the
// keys.
type RepositoryError struct {
	Found, Want RepoID
}

// Error names both repositories.
func (e *RepositoryError) Error() string {
	return fmt.Sprintf("it belongs to repository %s, not to %s", e.Found, e.Want)
}
