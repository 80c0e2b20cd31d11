package backup

import (
	"fmt"
	"slices"

	"restante/mailstore"
	"restante/snapshot"
)

const (
	// heldNames is up to how many names a folder may have for the folders among
	// them to be opened together. Those with more hold messages, or homes, which
	// nobody renames.
	heldNames = 512

	heldRounds   = 5
	missedRounds = 8
)

// A siblings is what a folder was listed to have in it.
type siblings struct {
	names  []string // sorted
	held   map[string]*folder
	missed int // how often something was not there any more
}

// list lists a folder and opens the folders in it at once, again until the
// names stay the same. A mail server that renames a folder from then on moves
// a name and not what is open: the folder is saved under the name that it was
// listed by, as messages are. The caller releases what is held.
func list(d *folder) (*siblings, error) {
	names, err := d.names()
	s := &siblings{names: names, held: map[string]*folder{}}
	if err != nil || len(names) > heldNames {
		return s, err
	}
	known := map[fileID]string{}
	for range heldRounds {
		for _, name := range s.names {
			s.hold(d, name, known)
		}
		again, err := relist(d)
		if err != nil || slices.Equal(again, s.names) {
			break
		}
		s.names = again
	}
	for name, sub := range s.held {
		if _, listed := slices.BinarySearch(s.names, name); !listed { // removed, and not renamed
			sub.release()
			delete(s.held, name)
		}
	}
	return s, nil
}

// hold opens the folder of this name, if it is one. A folder that is held under
// another name has been renamed.
func (s *siblings) hold(d *folder, name string, known map[fileID]string) {
	if s.held[name] != nil {
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
		s.held[before].release()
		delete(s.held, before)
	}
	s.held[name], known[st.file()] = sub, name
}

func (s *siblings) release() {
	for _, sub := range s.held {
		sub.release()
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
