package backup

import (
	"fmt"
	"slices"
	"time"

	"restante/mailstore"
	"restante/snapshot"
)

const (
	// heldNames is up to how many names a folder may have for the folders among
	// them to be opened together. Those with more hold messages, or homes, which
	// nobody renames.
	heldNames = 512

	// heldFolders is how many folders are held at most, on all levels.
	heldFolders = 1024

	heldRounds   = 5
	missedRounds = 8

	// restTime is how old a folder's time must be to prove that it is at rest:
	// file systems keep times as coarse as that.
	restTime = 2 * time.Second
)

// A siblings is what a folder was listed to have in it.
type siblings struct {
	names  []string // sorted
	held   map[string]*folder
	room   int  // how many it may hold
	left   *int // how many more all may hold
	missed int  // how often something was not there any more
}

// mayHold returns how many folders may be held on all levels: files have to be
// opened, too.
func mayHold() int { return min(heldFolders, openLimit()/4) }

// list lists a folder and opens the folders in it at once, again until the
// names stay the same. A mail server that renames a folder from then on moves
// a name and not what is open: the folder is saved under the name that it was
// listed by, as messages are. It holds up to half of the left ones, so that
// some are left for the folders below. The caller releases what is held.
func list(d *folder, left *int) (*siblings, error) {
	began := time.Now()
	names, err := d.names()
	s := &siblings{names: names, held: map[string]*folder{}, room: *left / 2, left: left}
	if err != nil || len(names) > heldNames {
		return s, err
	}
	known := map[fileID]string{}
	for range heldRounds {
		for _, name := range s.names {
			s.hold(d, name, known)
		}
		if st, err := d.lstat(""); err == nil && began.Sub(st.mtime.Go()) > restTime {
			break // nothing has come or gone since it was listed
		}
		again, err := relist(d)
		if err != nil || slices.Equal(again, s.names) {
			break
		}
		s.names = again
	}
	for name := range s.held {
		if _, listed := slices.BinarySearch(s.names, name); !listed { // removed, and not renamed
			s.drop(name)
		}
	}
	return s, nil
}

// hold opens the folder of this name, if it is one. A folder that is held under
// another name has been renamed.
func (s *siblings) hold(d *folder, name string, known map[fileID]string) {
	if s.held[name] != nil || len(s.held) >= s.room {
		return
	}
	if st, err := d.lstat(name); err != nil || st.kind != snapshot.Dir {
		return
	}
	sub, err := d.sub(name)
	if err != nil {
		return // the walk meets the same error and records it
	}
	st, err := sub.lstat("")
	if err != nil {
		sub.release()
		return
	}
	if before, renamed := known[st.file()]; renamed {
		s.drop(before)
	}
	s.held[name], known[st.file()] = sub, name
	*s.left--
}

// drop lets go of the folder that is held under the name.
func (s *siblings) drop(name string) {
	if sub := s.held[name]; sub != nil {
		sub.release()
		delete(s.held, name)
		*s.left++
	}
}

func (s *siblings) release() {
	for name := range s.held {
		s.drop(name)
	}
}

func relist(d *folder) ([]string, error) {
	again, err := d.sub(".")
	if err != nil {
		return nil, err
	}
	defer again.release()
	return again.names()
}

// lstat looks at a name in the spot's folder; what is held is there, whatever
// became of its name.
func (s spot) lstat(name string) (stat, error) {
	st, err := s.dir.lstat(name)
	if held := s.beside.folder(name); held != nil && (err != nil || st.kind != snapshot.Dir) {
		return held.lstat("")
	}
	return st, err
}

// sub opens a folder in the spot's folder.
func (s spot) sub(name string) (*folder, error) {
	if held := s.beside.folder(name); held != nil {
		held.retain()
		return held, nil
	}
	return s.dir.sub(name)
}

// folder returns what is held under the name, or nil.
func (s *siblings) folder(name string) *folder {
	if s == nil {
		return nil
	}
	return s.held[name]
}

// missing returns why a name that was listed and is not there any more cannot
// pass for removed: something that was not listed has come, which may be the
// same by another name. The order of keys does not let the walk go back for it.
func (s spot) missing() error {
	if s.beside == nil || s.beside.missed >= missedRounds {
		return nil
	}
	s.beside.missed++
	again, err := relist(s.dir)
	if err != nil {
		return nil
	}
	for _, name := range again {
		if _, listed := slices.BinarySearch(s.beside.names, name); listed {
			continue
		}
		st, err := s.dir.lstat(name)
		if err == nil && (st.kind == snapshot.Dir || st.kind == snapshot.File && s.info.Role == mailstore.MboxDir) {
			return fmt.Errorf("it was renamed or removed while the backup ran, and %q has come, which the next backup takes", name)
		}
	}
	return nil
}
