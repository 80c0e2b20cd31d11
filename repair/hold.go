package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"restante/repo"
	"restante/seal"
)

// Hold is a hold that a snapshot has from the one in whose place it is.
type Hold struct {
	Reason string `json:"reason" doc:"why it is held"`
	By     string `json:"by" doc:"who holds it"`
	Until  string `json:"until,omitempty" doc:"until when, in UTC; left out for no end"`
}

// retire makes the snapshot old go, in whose place there is another. That is held first as the
// old one is, so that nothing that is held is ever without a hold. It returns the hold, if there is one.
func retire(ctx context.Context, r *repo.Repository, old, in seal.Session, user string) (*Hold, error) {
	h, err := heldBy(ctx, r, old, user)
	if err != nil {
		return nil, err
	}
	var out *Hold
	if h != nil {
		h.Snapshot = in
		if err := hold(ctx, r, *h, user); err != nil {
			return nil, fmt.Errorf("holding snapshot %s: %w", in, err)
		}
		out = &Hold{Reason: h.Reason, By: h.By}
		if !h.Until.IsZero() {
			out.Until = h.Until.UTC().Format(time.RFC3339)
		}
	}
	// Only now is the old one of no use.
	return out, r.Forget(ctx, old, user)
}

// hold puts a hold on a snapshot, unless an interrupted run, or somebody, has put one that lasts as long.
func hold(ctx context.Context, r *repo.Repository, h repo.Hold, user string) error {
	there, err := heldBy(ctx, r, h.Snapshot, user)
	if err == nil && (there == nil || !there.Outlasts(&h)) {
		_, err = r.Hold(ctx, h)
	}
	return err
}

// heldBy returns the hold of a snapshot: of several that which lasts longest, nil when there is
// none, or it is over. One that is damaged holds without an end, and says so.
func heldBy(ctx context.Context, r *repo.Repository, id seal.Session, user string) (found *repo.Hold, err error) {
	err = r.EachHold(ctx, func(h repo.Hold, err error) error {
		if h.Snapshot != id {
			return nil
		}
		if err != nil && !errors.As(err, new(*repo.DamageError)) {
			return err
		}
		if err != nil {
			h.Reason, h.By = "the hold of snapshot "+id.String()+" was damaged; what it said is not known", user
		}
		if h.Active(r.Now()) && h.Outlasts(found) {
			found = &h
		}
		return nil
	})
	return found, err
}
