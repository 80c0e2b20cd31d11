package verify

import (
	"fmt"
	"strings"

	"restante/blob"
	"restante/repo"
)

// What the hints are made of. They rely on two properties of a backup: it
// names packs again that no index object names, and with a new cache it reads
// every file and stores the pieces that the index does not name.
const (
	copyBack = "copy it back from another copy of the repository"
	readAll  = "restante backup with a new --cache-dir, which reads the whole store and stores again what is still in it"
)

// hint says what helps now against the damage of one object. It promises no
// more than the commands that there are keep.
func (c *checker) hint(f *finding) string {
	part, err := repo.PartOf(f.object)
	if err != nil {
		if f.object == string(repo.Indexes)+"/" {
			return "run restante backup, which names packs again that no index object names; if something is missing after that, run " + readAll + "; " + f.rest()
		}
		return "if it was renamed, give it back its name; else move it out of the repository"
	}
	switch part {
	case repo.Configs:
		return copyBack + "; until then the newest config that is whole counts"
	case repo.Intents:
		return "nothing depends on it: delete it when no backup is running"
	case repo.Marks:
		return "run restante prune, which removes it and marks again what it named"
	case repo.Seen:
		return "delete it; prune waits then for the session to end"
	case repo.Indexes:
		return copyBack + "; without one, move it out of the repository, where it keeps machines from restoring that have not read it before, " +
			"and run restante backup, which names its packs again"
	case repo.Packs:
		return c.packHint(f)
	}
	return copyBack + "; the other snapshots do not need it"
}

func (c *checker) packHint(f *finding) string {
	var indexes []string
	p := c.packOf(f.object)
	if p != nil {
		for _, n := range p.names {
			indexes = append(indexes, string(repo.Indexes)+"/"+n.index.String())
		}
	}
	switch {
	case len(indexes) == 0:
		return "no index object that can be read names it: move it out of the repository before the next backup, which would take it up"
	case !c.r.CanRead():
		return copyBack + "; a key that can read tells what is lost"
	case !f.loses():
		return "nothing that snapshots need is lost; " + copyBack + " if there is one"
	}
	away := strings.Join(indexes, ", ")
	if p.size >= 0 {
		away = "it and " + away
	}
	return fmt.Sprintf("%s; without one, move %s out of the repository, keep it, and run %s; it names the other packs again; %s", copyBack, away, readAll, f.rest())
}

// keyHint is for a key file that a config names.
func keyHint(id blob.ID) string {
	return copyBack + fmt.Sprintf("; or take the key out of service (restante key remove %s) and add another (restante key add)", id.Short())
}

func (f *finding) loses() bool {
	return len(f.snapshots.known) > 0 || len(f.keys) > 0 || f.files.more || len(f.ranges) > 0
}

// rest says what can still be restored.
func (f *finding) rest() string {
	if len(f.ranges) > 0 {
		return "restante restore still gives back other snapshots, and mailboxes that are not named here"
	}
	return "restante restore still gives back everything else"
}
