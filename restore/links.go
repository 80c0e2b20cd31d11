package restore

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"sync"

	"restante/snapshot"
)

// links remembers one file of each group of hard links, by a further name in
// a folder of its own: there may be more groups than memory has room for.
type links struct {
	t  *target
	mu sync.Mutex
	in *folder // nil until the first link
}

// folder returns the folder of links, made if it is not there.
func (l *links) folder() (*folder, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.in != nil {
		return l.in, nil
	}
	name := l.t.temp()
	if err := l.t.root.mkdir(name); err != nil {
		return nil, err
	}
	h, err := l.t.root.openDir(name)
	if err != nil {
		return nil, err
	}
	l.in = &folder{t: l.t, h: h, path: name}
	return l.in, nil
}

// add remembers a file as the one of its group.
func (l *links) add(id snapshot.LinkID, in *folder, name string) error {
	dir, err := l.folder()
	if err != nil {
		return err
	}
	err = dir.link(in, name, hex.EncodeToString(id[:]))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// find returns the file of a group, if there is one.
func (l *links) find(id snapshot.LinkID) (st info, ok bool, err error) {
	l.mu.Lock()
	dir := l.in
	l.mu.Unlock()
	if dir == nil {
		return info{}, false, nil
	}
	return dir.stat(hex.EncodeToString(id[:]))
}

// use gives the file of a group the further name in a folder.
func (l *links) use(id snapshot.LinkID, in *folder, name string, replace bool) error {
	dir, err := l.folder()
	if err != nil {
		return err
	}
	if !replace {
		return in.link(dir, hex.EncodeToString(id[:]), name)
	}
	temp := l.t.temp()
	if err := in.link(dir, hex.EncodeToString(id[:]), temp); err != nil {
		return err
	}
	if err := in.rename(temp, name, true); err != nil {
		_ = in.remove(temp) // the error that matters is the first
		return err
	}
	return nil
}

// close removes the folder of links.
func (l *links) close() error {
	if l.in == nil {
		return nil
	}
	_ = l.in.h.close() // it was only read
	return l.t.root.removeAll(l.in.path)
}
