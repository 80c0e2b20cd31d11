package backup

import (
	"context"

	"restante/snapshot"
)

// A takenRecord is a record of the parent that goes into the snapshot as it is.
type takenRecord struct {
	known
	entry snapshot.Entry
}

// take takes the item over from the parent. Records wait until the leaf that
// they lie in is whole: then the leaf is taken, and nothing in it is looked at.
// Where one of its records is another one, or its first is not at the beginning of a
// leaf here, the others are added one by one.
func (rec *recorder) take(ctx context.Context, it *item) error {
	r := takenRecord{it.was, it.entry}
	if n := len(rec.taken); r.slot != n || n > 0 && rec.taken[0].leaf != r.leaf {
		if err := rec.giveBack(ctx); err != nil {
			return err
		}
		if r.slot != 0 {
			return rec.addTaken(ctx, &r)
		}
	}
	rec.taken = append(rec.taken, r)
	leaf := &rec.run.parent.leaves[r.leaf]
	if string(r.key) != string(leaf.Last) || uint64(len(rec.taken)) != leaf.Counts.Entries {
		return nil
	}
	taken, err := rec.tree.Take(ctx, snapshot.Key(rec.taken[0].key), leaf.Leaf)
	if err != nil {
		return err
	}
	if !taken {
		return rec.giveBack(ctx)
	}
	rec.forgetTaken()
	rec.leaves = rec.leaves[:0] // it was the only one: the tree was between two leaves
	rec.cache.take(leaf)
	return nil
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
