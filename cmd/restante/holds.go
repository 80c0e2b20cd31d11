package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"restante/cmd/restante/internal/cli"
	"restante/repo"
)

// holdInfo is a hold in JSON.
type holdInfo struct {
	Reason string `json:"reason" doc:"why it is held"`
	By     string `json:"by" doc:"who holds it"`
	Made   string `json:"made,omitempty" doc:"since when, in UTC; left out if the hold is damaged"`
	Until  string `json:"until,omitempty" doc:"until when, in UTC; left out for no end"`
}

// holdRecord is what "hold --json" prints of each hold.
type holdRecord struct {
	Snapshot string `json:"snapshot" doc:"the ID of the snapshot"`
	State    string `json:"state" doc:"active; over: its time has come; gone: the snapshot is forgotten, or was before it went; lost: it is missing, which is damage; damaged: it holds, and release removes it"`
	holdInfo
}

// The states of a hold.
const (
	holdActive  = "active"
	holdOver    = "over"
	holdGone    = "gone"
	holdLost    = "lost"
	holdDamaged = "damaged"
)

// damagedHold stands for the reason of a hold that cannot be read.
const damagedHold = "its hold is damaged; it stays held"

func jsonTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// holdInfoOf returns the hold for JSON, nil for none.
func holdInfoOf(h *repo.Hold) *holdInfo {
	if h == nil {
		return nil
	}
	info := &holdInfo{Reason: h.Reason, By: h.By}
	if !h.Made.IsZero() { // else it is damaged
		info.Made = jsonTime(h.Made)
	}
	if !h.Until.IsZero() {
		info.Until = jsonTime(h.Until)
	}
	return info
}

// holdText says why a snapshot is held and until when, "" for no hold.
func holdText(h *repo.Hold) string {
	switch {
	case h == nil:
		return ""
	case h.Until.IsZero():
		return h.Reason
	}
	return h.Reason + ", until " + cli.Time(h.Until)
}

// addHolds notes which snapshots are held now: of several holds the one that
// lasts longest. One that is damaged holds without an end, with a warning.
func (o *opened) addHolds(ctx context.Context, all []listed, now time.Time) error {
	byID := map[string]*listed{}
	for i := range all {
		byID[all[i].id] = &all[i]
	}
	return o.EachHold(ctx, func(h repo.Hold, err error) error {
		s := byID[h.Snapshot.String()]
		if err != nil && !isDamage(err) {
			return err
		}
		if err != nil {
			o.warn.Printf("%v: it counts as a hold", err)
			h.Reason = damagedHold
		}
		if s != nil && h.Active(now) && h.Outlasts(s.hold) {
			s.hold = &h
		}
		return nil
	})
}

// runHolds lists the holds.
func (a *app) runHolds(ctx context.Context, out *output, opts holdOptions) error {
	if opts.reason != "" || opts.until != "" || opts.choice != (choice{}) {
		return cli.Usagef("the snapshot is missing")
	}
	o, err := a.openAsOwner(ctx, out)
	if err != nil {
		return err
	}
	defer o.Close()
	all, failed := o.readable(ctx, out)
	if failed != nil && !errors.As(failed, new(outcome)) {
		return failed
	}
	records, err := o.holdRecords(ctx, a.now())
	if err != nil {
		return err
	}
	if len(records) == 0 {
		out.note("nothing is held")
	}
	if out.json {
		err = out.list(func(add func(any) error) error {
			for _, r := range records {
				if err := add(r); err != nil {
					return err
				}
			}
			return nil
		})
	} else {
		err = holdTable(records, digits(all)).Print(out)
	}
	return errors.Join(err, failed)
}

// holdRecords returns all holds and how it is with them.
func (o *opened) holdRecords(ctx context.Context, now time.Time) (records []holdRecord, err error) {
	lost, err := o.LostHeld(ctx)
	if err != nil {
		return nil, err
	}
	err = o.EachHold(ctx, func(h repo.Hold, err error) error {
		r := holdRecord{Snapshot: h.Snapshot.String(), State: holdActive, holdInfo: *holdInfoOf(&h)}
		there, lookErr := o.Listed(ctx, h.Snapshot)
		switch {
		case err != nil && !isDamage(err):
			return err
		case lookErr != nil:
			return lookErr
		case err != nil:
			r.State, r.Reason = holdDamaged, damagedHold
		case !there && h.Active(now) && slices.Contains(lost, h.Snapshot):
			r.State = holdLost
		case !there:
			r.State = holdGone
		case !h.Active(now):
			r.State = holdOver
		}
		records = append(records, r)
		return nil
	})
	return records, err
}

func holdTable(records []holdRecord, digits int) *cli.Table {
	table := cli.NewTable(cli.Column{Title: "Snapshot"}, cli.Column{Title: "State"}, cli.Column{Title: "Since"}, cli.Column{Title: "Until"},
		cli.Column{Title: "By"}, cli.Column{Title: "Reason"})
	for _, r := range records {
		id := r.Snapshot
		if r.State != holdGone && r.State != holdLost { // which no listing shows, and which is named in full
			id = id[:digits]
		}
		table.Row(id, r.State, localTime(r.Made), localTime(r.Until), r.By, r.Reason)
	}
	return table
}

// localTime prints a time of jsonTime's for a person.
func localTime(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return ""
	}
	return cli.Time(t)
}
