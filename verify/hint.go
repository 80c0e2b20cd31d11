package verify

import (
	"fmt"
	"path"
	"slices"

	"restante/blob"
	"restante/repo"
)

// What the hints are made of. They rely on two properties of a backup: it reads
// the whole store when what is known to be lost is not what it was, and so it does
// with a new cache; then it stores the pieces that the index does not name.
const (
	copyBack       = "copy it back from another copy of the repository"
	readAll        = "restante backup, which reads the whole store and stores again what is still in it"
	listLost       = "restante repair snapshots lists what stays lost as lost"
	unreadableHint = "let this user read it, or see to the disk or the network, then check again; until then nothing counts as lost, and no repair touches it. " +
		"What a disk gives no more in part, copy with ddrescue and put in its place: then a repair saves the rest"
	lookFirst = "look first whether all of the repository is there: a disk may not be mounted, or a copy may not have ended; if it is, "
	saveWhole = "restante repair packs saves what is intact in it and takes it away"
)

// hint says what helps now against the damage of one object. It promises no
// more than the commands that there are keep.
func (c *checker) hint(f *finding) string {
	if !f.damaged {
		return unreadableHint
	}
	part, err := repo.PartOf(f.object)
	if err != nil {
		if f.object == string(repo.Indexes)+"/" {
			return c.first() + c.absenceHint(f)
		}
		return "if it was renamed, give it back its name; else move it out of the repository"
	}
	switch part {
	case repo.Configs, repo.KeyFiles, repo.Spares:
		return c.twinHint(f)
	case repo.Forgotten:
		if !c.listed[snapshotName(path.Base(f.object))] {
			return "its snapshot is gone, and nothing depends on it: restante prune removes it, a day after it has seen it first"
		}
		return "the snapshot counts as not forgotten; delete the object, then restante forget works again"
	case repo.Holds:
		return "the snapshot counts as held; restante hold or restante release replaces it"
	case repo.Intents:
		return "nothing depends on it: delete it when no backup is running"
	case repo.Damaged:
		return "it only says what is damaged: run restante repair packs, which removes it, then restante check --read-data, which notes that again"
	case repo.Marks:
		return "run restante prune, which removes it and marks again what it named"
	case repo.Seen:
		return "delete it; prune waits then for the session to end"
	case repo.Indexes:
		return copyBack + "; without one, run restante repair index, which makes it again from the packs; until then restante restore reads the directories of packs in its place"
	case repo.Packs:
		return c.packHint(f)
	}
	return RecordHint(f.object)
}

// RecordHint is for an object where snapshots are that is damaged.
func RecordHint(object string) string {
	return copyBack + "; the other snapshots do not need it. Without a copy nothing of it can be restored: " +
		"restante forget " + path.Base(object) + " gives it up; until then restante prune deletes nothing"
}

// doubtHint is for what may seem to be damaged only because the newest config is, and for that.
func (c *checker) doubtHint(f *finding, broken string) string {
	if f.object == broken {
		return copyBack + ", before anything else: which keys were added or removed in it is not known, and what they have signed may seem to be damaged; " +
			"until then the newest config that is whole counts"
	}
	return "first copy " + broken + " back from another copy of the repository, and check again: this may be sound; until then delete nothing, and repairs refuse"
}

// first is what comes before all repairs where most of what snapshots need is not there.
func (c *checker) first() string {
	if c.report.mostGone {
		return lookFirst
	}
	return ""
}

// absenceHint is for pieces that no index object names.
func (c *checker) absenceHint(f *finding) string {
	if c.wentAway && c.spare == 0 {
		return "if no backup has been made since the repair, run " + readAll + "; then " + listLost + "; " + f.rest()
	}
	return "run restante repair index, which names packs again that no index object names; if something is missing after that, run " +
		"restante backup with a new --cache-dir, which reads the whole store and stores again what is still in it; then " + listLost + "; " + f.rest()
}

func (c *checker) packHint(f *finding) string {
	p := c.packOf(f.object)
	switch {
	case !c.r.CanRead():
		return copyBack + "; a key that can read tells what is lost"
	case p != nil && p.size < 0 && !f.loses():
		return "nothing that snapshots need is lost; " + copyBack + ", or run restante repair index, which takes it out of the index"
	case p != nil && p.size < 0:
		return fmt.Sprintf("%s%s; without one, run %s; then restante repair index takes it out of the index, and %s; %s", c.first(), copyBack, readAll, listLost, f.rest())
	case p != nil && len(p.names) == 0 && p.blind:
		return "nothing tells what is in it, for no index object names it and its directory cannot be read: " + copyBack + "; without one move it out of the repository, and run " + readAll
	case p != nil && len(p.names) == 0:
		return "no index object that can be read names it; " + copyBack + ", or " + saveWhole + "; if that leaves it alone, move it out of the repository"
	case f.copied:
		return "nothing is lost: every piece has another sound copy; " + saveWhole
	case !f.loses():
		return "nothing that snapshots need is lost; " + copyBack + ", or " + saveWhole
	}
	return fmt.Sprintf("%s; without one, run %s; then %s, and %s; %s", copyBack, readAll, saveWhole, listLost, f.rest())
}

// HeldHint is for a snapshot that is held and missing; see repo.ErrHeldLost.
func HeldHint(snapshotID string) string {
	return copyBack + "; until then restante prune deletes nothing; only if it was given up for good: restante release " + snapshotID
}

// twinHint is for a config, a key file, or the spare of one, of which the other may be whole.
func (c *checker) twinHint(f *finding) string {
	twin := repo.SpareOf(f.object)
	id, err := blob.ParseID(path.Base(f.object))
	isKey := err == nil
	broken := c.r.BrokenConfig()
	switch inService := slices.ContainsFunc(c.r.Keys(), func(k repo.KeyInfo) bool { return k.Object == id }); {
	case isKey && !inService && broken != "":
		return copyBack + "; " + broken + ", which is damaged, may name it: keep it"
	case isKey && !inService:
		return "no key in service has it: delete it"
	case c.names[twin] && c.findings[twin] == nil:
		return fmt.Sprintf("nothing is lost: %s has the same bytes and is whole; copy it to this name, with cp -f say", twin)
	case isKey:
		return copyBack + fmt.Sprintf("; or take the key out of service (restante key remove %s) and add another (restante key add)", id.Short())
	case f.object == broken || twin == broken:
		return c.doubtHint(f, broken)
	case broken == "":
		return copyBack + ", or delete it: a newer config, which is whole, counts, and nothing needs this one"
	}
	return copyBack + "; until then the newest config that is whole counts"
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
