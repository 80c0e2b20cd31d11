package crash

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"restante/internal/durable"
)

// A disk is what recorded calls have made: what a process sees of it, and what a
// crash may leave.
type disk struct {
	root  *node
	nodes int
}

// A node is a file or a folder, which names may lead to.
type node struct {
	number int
	names  map[string]*name // of a folder; nil for a file
	data   []byte           // of a file, as written
	synced int              // how many bytes of that are durable
}

// A name is an entry of a folder: what it was when the folder was synced, and what
// each call since made of it. nil stands for nothing.
type name struct {
	durable *node
	later   []*node
}

// now is what a process sees.
func (n *name) now() *node {
	if len(n.later) > 0 {
		return n.later[len(n.later)-1]
	}
	return n.durable
}

// errReplay is the error of a record that cannot be.
var errReplay = errors.New("replaying")

func newDisk() *disk {
	d := &disk{}
	d.root = d.node(true)
	return d
}

func (d *disk) node(folder bool) *node {
	d.nodes++
	n := &node{number: d.nodes}
	if folder {
		n.names = map[string]*name{}
	}
	return n
}

// find returns what a process sees at a path, nil if there is nothing.
func (d *disk) find(p string) *node {
	at := d.root
	if p == "." {
		return at
	}
	for element := range strings.SplitSeq(p, "/") {
		n := at.names[element]
		if n == nil || n.now() == nil {
			return nil
		}
		at = n.now()
	}
	return at
}

// set gives or takes away a name.
func (d *disk) set(p string, n *node) error {
	folder := d.find(path.Dir(p))
	if folder == nil || folder.names == nil {
		return fs.ErrNotExist
	}
	entry := folder.names[path.Base(p)]
	if entry == nil {
		entry = &name{}
		folder.names[path.Base(p)] = entry
	}
	if there := entry.now() != nil; there == (n != nil) {
		return errors.New("the name is there, or is not")
	}
	entry.later = append(entry.later, n)
	return nil
}

// apply does what a call did. Its names are those in the disk.
func (d *disk) apply(c durable.Call) error {
	at := d.find(c.Name)
	err := error(nil)
	switch c.Op {
	case durable.Create:
		err = d.set(c.Name, d.node(false))
	case durable.Mkdir:
		err = d.set(c.Name, d.node(true))
	case durable.Link:
		err = d.set(c.Name, d.find(c.From))
	case durable.Rename:
		if err = d.set(c.Name, d.find(c.From)); err == nil {
			err = d.set(c.From, nil)
		}
	case durable.Unlink:
		err = d.set(c.Name, nil)
	case durable.Write, durable.Sync, durable.SyncFolder:
		if at == nil || (at.names != nil) != (c.Op == durable.SyncFolder) {
			err = fs.ErrNotExist
			break
		}
		if c.Op == durable.Write {
			at.data = append(at.data, c.Data...)
			break
		}
		at.synced = len(at.data)
		for _, entry := range at.names {
			entry.durable, entry.later = entry.now(), nil
		}
	default:
		err = errors.ErrUnsupported
	}
	if err != nil {
		return fmt.Errorf("%w: %s %s: %w", errReplay, c.Op, c.Name, err)
	}
	return nil
}

// settle has the names be gone that came and went in a folder that was not synced.
func (d *disk) settle(folder string) {
	if at := d.find(folder); at != nil {
		maps.DeleteFunc(at.names, func(_ string, n *name) bool { return n.durable == nil && n.now() == nil })
	}
}

// An undecided thing is a name, or the bytes of a file, of which a crash decides.
type undecided struct {
	entry *name
	file  *node
}

// The states of the bytes of a file that were not synced. Those of a name are
// what it was when its folder was synced, and after each call since.
const (
	lost = iota
	half
	zeros
	whole
	contents
)

// states returns in how many states the thing may be; in 0 nothing has happened to it
// since it was synced, in the last everything.
func (u undecided) states() int {
	if u.file != nil {
		return contents
	}
	return len(u.entry.later) + 1
}

// undecided returns what a crash decides now, always in the same order.
func (d *disk) undecided() []undecided {
	var all []undecided
	seen := map[*node]bool{}
	var visit func(*node)
	visit = func(n *node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		if n.synced < len(n.data) {
			all = append(all, undecided{file: n})
		}
		for _, key := range slices.Sorted(maps.Keys(n.names)) {
			entry := n.names[key]
			if len(entry.later) > 0 {
				all = append(all, undecided{entry: entry})
			}
			visit(entry.durable)
			for _, later := range entry.later {
				visit(later)
			}
		}
	}
	visit(d.root)
	return all
}

// A found is a file or a folder that is there after a crash.
type found struct {
	path   string
	folder bool
	file   *node
	bytes  int // of the file's
	zeros  int // that come after them
}

// crash returns what is there when each undecided thing takes a state, sorted.
func (d *disk) crash(all []undecided, states []int) []found {
	entries, files := map[*name]int{}, map[*node]int{}
	for i, u := range all {
		if u.file != nil {
			files[u.file] = states[i]
		} else {
			entries[u.entry] = states[i]
		}
	}
	var tree []found
	var visit func(string, *node)
	visit = func(p string, n *node) {
		if n.names == nil {
			tree = append(tree, n.after(p, files))
			return
		}
		if n != d.root {
			tree = append(tree, found{path: p, folder: true})
		}
		for key, entry := range n.names {
			at := entry.durable
			if i := entries[entry]; i > 0 {
				at = entry.later[i-1]
			}
			if at != nil {
				visit(path.Join(p, key), at)
			}
		}
	}
	visit("", d.root)
	slices.SortFunc(tree, func(a, b found) int { return cmp.Compare(a.path, b.path) })
	return tree
}

func (n *node) after(p string, states map[*node]int) found {
	f := found{path: p, file: n, bytes: len(n.data)}
	if state, ok := states[n]; ok {
		more := len(n.data) - n.synced
		switch state {
		case lost:
			f.bytes = n.synced
		case half:
			f.bytes = n.synced + more/2
		case zeros:
			f.bytes, f.zeros = n.synced, more
		}
	}
	return f
}

// sums is the key of sumOf.
var sums = maphash.MakeSeed()

// sumOf tells trees apart. Which file it is says what is in it.
func sumOf(tree []found) uint64 {
	var b []byte
	for _, f := range tree {
		b = append(append(b, f.path...), 0)
		number := 0 // a folder's
		if f.file != nil {
			number = f.file.number
		}
		for _, n := range []int{number, f.bytes, f.zeros} {
			b = binary.LittleEndian.AppendUint64(b, uint64(n))
		}
	}
	return maphash.Bytes(sums, b)
}
