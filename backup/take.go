package backup

import (
	"context"

	"restante/mailstore"
	"restante/snapshot"
)

// A takenRecord is a record of the parent that goes into the snapshot as it is.
type takenRecord struct {
	known
	entry snapshot.Entry
}

// take takes the item over from the parent. Records wait until the section that
// they lie in is whole: then the section is taken, and nothing in it is looked at.
// Where one of its records is another one, or its first is not at the beginning of a
// section here, the others are added one by one.
func (rec *recorder) take(ctx context.Context, it *item) error {
	r := takenRecord{it.was, it.entry}
	if n := len(rec.taken); r.slot != n || n > 0 && rec.taken[0].section != r.section {
		if err := rec.giveBack(ctx); err != nil {
			return err
		}
		if r.slot != 0 {
			return rec.addTaken(ctx, &r)
		}
	}
	rec.taken = append(rec.taken, r)
	section, err := rec.parent.section(r.section)
	if err != nil {
		return err
	}
	if string(r.key) != string(section.Last) {
		return nil
	}
	if uint64(len(rec.taken)) != section.Counts.Entries {
		return nil
	}
	taken, err := rec.takeWhole(ctx, snapshot.Key(rec.taken[0].key), section)
	if err != nil {
		return err
	}
	if !taken {
		return rec.giveBack(ctx)
	}
	rec.forgetTaken()
	return nil
}

// takeWhole takes a section over, unless the repository has lost its page or the tree
// would not be the same; then it reports false. Its leaves are not asked for: the parent was
// found to be whole. A paranoid run relies on that no more than on the times of files.
func (rec *recorder) takeWhole(ctx context.Context, first snapshot.Key, l *sectionRef) (bool, error) {
	if rec.run.opts.Paranoid {
		return false, nil
	}
	if held, err := rec.run.session.Holds(l.ID); err != nil || !held {
		return false, err
	}
	taken, err := rec.tree.Take(ctx, first, l.Section)
	if taken {
		rec.sections = rec.sections[:0] // it was the only one: the tree was between two sections
		rec.cache.take(l)
	}
	return taken, err
}

// takeSection takes a section of the parent over whose records nobody looked at.
func (rec *recorder) takeSection(ctx context.Context, it *item) error {
	if err := rec.giveBack(ctx); err != nil {
		return err
	}
	taken, err := rec.takeWhole(ctx, it.behind+"\x00", it.section) // its first key is that, or behind it
	if err == nil && !taken {
		err = rec.addSection(ctx, it.was.section)
	}
	if err != nil {
		return err
	}
	c := it.section.Counts
	rec.result.Snapshot.Run.Unchanged += c.Files
	rec.kept, rec.still = rec.kept+c.Files, rec.still+c.Messages
	if it.mailbox != mailstore.Nobody && it.mailbox < len(rec.boxes) {
		rec.boxes[it.mailbox].messages += c.Messages
	}
	rec.run.progress.Skipped.Add(c.Files)
	rec.run.progress.Files.Add(c.Files)
	rec.run.progress.Size.Add(c.Bytes)
	return nil
}

// addSection adds the records of a section of the parent one by one.
func (rec *recorder) addSection(ctx context.Context, i int) error {
	return rec.parent.records(i, func(k known) error {
		e, err := k.decode()
		if err != nil {
			return err
		}
		return rec.addTaken(ctx, &takenRecord{k, e})
	})
}

// watch takes note of what tells whether a folder of messages will be at rest.
func (rec *recorder) watch(it *item) {
	dir := it.entry.Kind == snapshot.Dir
	if r := rec.resting; r != nil {
		if _, below := cutKey([]byte(it.key), r.key+"\x00"); !below {
			rec.rested()
		} else if r.spoils(it, rec.run.limits.settle) {
			rec.resting = nil
		}
	}
	if dir && snapshot.HoldsMessages(it.key) {
		rec.result.Snapshot.NoteFolder(it.rest != nil && it.rest.known, rec.folders)
		rec.folders++
	}
	if dir && it.rest != nil {
		rec.resting = it.rest
	}
}

// rested ends the folder at hand.
func (rec *recorder) rested() {
	if rec.resting != nil {
		rec.cache.rest(rec.resting)
	}
	rec.resting = nil
}

// giveBack adds the records that wait one by one.
func (rec *recorder) giveBack(ctx context.Context) error {
	for i := range rec.taken {
		if err := rec.addTaken(ctx, &rec.taken[i]); err != nil {
			return err
		}
	}
	rec.forgetTaken()
	return nil
}

func (rec *recorder) forgetTaken() {
	clear(rec.taken)
	rec.taken = rec.taken[:0]
}

func (rec *recorder) addTaken(ctx context.Context, r *takenRecord) error {
	if err := rec.tree.Add(ctx, snapshot.Key(r.key), &r.entry); err != nil {
		return err
	}
	rec.record(&r.known)
	return nil
}
