package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"restante/blob"
	"restante/repo"
	"restante/snapshot"
)

const (
	maxNamed = 10      // names that a finding lists
	maxKnown = 10_000  // names that a finding tells apart, to count them
	maxKept  = 200_000 // keys that all findings together keep
	maxWhat  = 5       // flaws of one object that are told
)

// A Finding is one object that is damaged, or that cannot be read.
type Finding struct {
	// Object is its name in the storage; "index/" when an index object is gone
	// of which nothing but that is known.
	Object string `json:"object" doc:"its name in the storage"`
	What   string `json:"what" doc:"what is wrong with it"`
	// Unreadable says that no damage is known: this user may not read the object, or
	// the storage fails.
	Unreadable bool   `json:"unreadable" doc:"it is not known to be damaged, but cannot be read; nothing counts as lost by that"`
	Lost       Lost   `json:"lost" doc:"what can therefore not be read, as far as that can be told"`
	Hint       string `json:"hint" doc:"what helps"`

	unread bool
}

// Unread reports whether something of the object, which may be damaged besides, could not be
// read: as long as that is so, nobody knows whether it is lost.
func (f *Finding) Unread() bool { return f.unread }

// Lost says what cannot be read because of a damage.
type Lost struct {
	Snapshots Names `json:"snapshots" doc:"snapshots of which something is lost"`
	Mailboxes Names `json:"mailboxes" doc:"mailboxes of which something is lost in any snapshot"`
	Files     Names `json:"files" doc:"files lost in any snapshot"`
}

// Names are some names of many, as they are stored: any bytes.
type Names struct {
	First []string `json:"first" doc:"up to 10 of them; what cannot be printed stands as in a Go string"`
	Count uint64   `json:"count" doc:"how many there are"`
	More  bool     `json:"more,omitempty" doc:"there are more than that"`
}

// A finding is a Finding in the making.
type finding struct {
	object  string
	what    []string
	further int    // flaws that are not in what
	damaged bool   // else nothing is known but that it cannot be read
	unread  bool   // something of it could not be read
	hint    string // "" for that of its part
	copied  bool   // every piece that is damaged in it can be read elsewhere

	snapshots, mailboxes names
	files                names                 // paths
	keys                 map[snapshot.Key]bool // of files, for finding their mailboxes
	ranges               []keyRange            // in which nothing can be read
	unnamed              uint64                // files in these
}

// names counts different names.
type names struct {
	known map[string]bool
	more  bool
}

func (n *names) add(name string) {
	if n.known[name] {
		return
	}
	if len(n.known) == maxKnown {
		n.more = true
		return
	}
	if n.known == nil {
		n.known = map[string]bool{}
	}
	n.known[name] = true
}

func (n *names) result() Names {
	first := make([]string, 0, len(n.known))
	for name := range n.known {
		first = append(first, name)
	}
	slices.Sort(first)
	return Names{First: first[:min(len(first), maxNamed)], Count: uint64(len(first)), More: n.more}
}

// find returns the finding about an object, a new one if there is none yet.
func (c *checker) find(object string) *finding {
	f := c.findings[object]
	if f == nil {
		f = &finding{object: object}
		c.findings[object] = f
	}
	return f
}

// tell adds a damage to the finding, once.
func (f *finding) tell(what string) {
	f.damaged = true
	f.add(what)
}

// flaw adds an error about the object: damage, or that it cannot be read.
func (f *finding) flaw(err error) {
	if repo.Unreadable(err) {
		f.unread = true
	} else {
		f.damaged = true
	}
	f.add(reason(err))
}

func (f *finding) add(what string) {
	switch {
	case slices.Contains(f.what, what):
	case len(f.what) == maxWhat:
		f.further++
	default:
		f.what = append(f.what, what)
	}
}

// damaged makes a finding of an error about an object. It returns the error
// instead when that is of the check itself.
func (c *checker) damaged(ctx context.Context, object string, err error) (*finding, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	f := c.find(object)
	c.flaw(f, err)
	return f, nil
}

// flaw adds an error about an object to its finding, and notes whether that is in doubt.
func (c *checker) flaw(f *finding, err error) {
	f.flaw(err)
	c.report.inDoubt = c.report.inDoubt || repo.InDoubt(err)
}

// reason leaves out the object that the finding names anyway.
func reason(err error) string {
	var u *repo.UnreadableError
	var d *repo.DamageError
	switch {
	case errors.As(err, &u):
		return fmt.Sprintf("it cannot be read: %v", u.Err)
	case errors.As(err, &d):
		err = d.Err
	}
	return err.Error()
}

// blame makes a finding of an error about reading a snapshot's tree: about the
// pack or the index if they are the reason, else about the snapshot. It returns
// the error instead when that is of the check itself.
func (c *checker) blame(ctx context.Context, snapshotID string, page blob.ID, err error) (*finding, error) {
	var d *repo.DamageError
	var u *repo.UnreadableError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &u):
		return c.damaged(ctx, u.Object, err)
	case errors.As(err, &d):
		f := c.find(d.Object)
		if p := c.packOf(d.Object); p == nil || p.suspect == nil { // else it was told already
			f.tell(reason(err))
		}
		return f, nil
	case errors.Is(err, repo.ErrMissingPiece):
		return c.lacks(page), nil
	case errors.Is(err, snapshot.ErrDamaged):
		return c.damaged(ctx, snapshotName(snapshotID), err)
	}
	return nil, err
}

// packOf returns the pack that an object is, nil if it is none that is known.
func (c *checker) packOf(object string) *pack {
	id, err := blob.ParseID(object[strings.LastIndexByte(object, '/')+1:])
	if err != nil || object != repo.PackName(id) {
		return nil
	}
	return c.packs[id]
}

func snapshotName(id string) string { return string(repo.Snapshots) + "/" + id }

// lacks notes that the index does not name a piece that is needed.
func (c *checker) lacks(id blob.ID) *finding {
	if len(c.missing) <= maxKnown {
		c.missing[id] = true
	}
	return c.absence()
}

// absence returns the finding about what the index does not name: that of the
// index object that cannot be opened, if there is one such, or of one that cannot be
// read, which may name it.
func (c *checker) absence() *finding {
	for _, f := range c.broken {
		if len(c.broken) == 1 || !f.damaged {
			return f
		}
	}
	f := c.find(string(repo.Indexes) + "/")
	f.damaged = true
	return f
}

// lose adds a file to what is lost, unless nothing is known to be.
func (c *checker) lose(f *finding, k snapshot.Key) {
	if f.keys[k] || !f.damaged {
		return
	}
	if c.keep == 0 || len(f.keys) == maxKnown {
		f.files.more = true
		return
	}
	c.keep--
	if f.keys == nil {
		f.keys = map[snapshot.Key]bool{}
	}
	f.keys[k] = true
	f.files.add(k.Path())
}

// rootless returns of how many snapshots the index does not name the page that all others
// are found by.
func (c *checker) rootless() (n int) {
	for _, s := range c.snapshots {
		if c.missing[s.root.ID] {
			n++
		}
	}
	return n
}

// finish makes the report.
func (c *checker) finish() *Report {
	switch n := len(c.missing); {
	case n == 1:
		c.absence().add("1 piece that snapshots need is in no index object that can be read")
	case n > maxKnown:
		c.absence().add(fmt.Sprintf("more than %d pieces that snapshots need are in no index object that can be read", maxKnown))
	case n > 1:
		c.absence().add(fmt.Sprintf("%d pieces that snapshots need are in no index object that can be read", n))
	}
	c.report.losing, c.report.suspects = map[string]bool{}, map[blob.ID]bool{}
	gone, named := 0, 0
	for id, p := range c.packs {
		if p.size < 0 {
			gone++
		}
		if len(p.names) > 0 {
			named++
		}
		if p.suspect != nil || c.findings[repo.PackName(id)] != nil {
			c.report.suspects[id] = true
		}
	}
	c.report.mostGone = 2*gone > named || gone == len(c.packs) && len(c.listed) > 0 ||
		!c.wentAway && (2*c.rootless() > len(c.snapshots) || 2*c.lacking > c.needed) // else a repair has told what was lost
	if len(c.listed) == 0 && len(c.packs) > gone {
		c.report.note("there are packs, but no snapshot: no backup has ended yet, or put the snapshots back from a copy before a prune")
	}
	for _, f := range c.findings {
		maps.Copy(c.report.losing, f.snapshots.known)
		c.report.manyLose = c.report.manyLose || f.snapshots.more
		if broken := c.r.BrokenConfig(); broken != "" && c.report.inDoubt {
			f.hint = c.doubtHint(f, broken)
		}
		if f.hint == "" {
			f.hint = c.hint(f)
		}
		c.report.Findings = append(c.report.Findings, f.result())
	}
	slices.SortFunc(c.report.Findings, func(a, b Finding) int { return strings.Compare(a.Object, b.Object) })
	return &c.report
}

func (f *finding) result() Finding {
	out := Finding{Object: f.object, What: strings.Join(f.what, "; "), Hint: f.hint, Unreadable: !f.damaged, unread: f.unread}
	if f.further > 0 {
		out.What += fmt.Sprintf("; and %d more", f.further)
	}
	out.Lost = Lost{Snapshots: f.snapshots.result(), Mailboxes: f.mailboxes.result(), Files: f.files.result()}
	out.Lost.Files.Count += f.unnamed
	return out
}
