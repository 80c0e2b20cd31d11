package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"restante/blob"
	"restante/repo"
	"restante/seal"
	"restante/storage"
)

// checkMissing finds packs that the index names and that are gone, and counts
// the pieces that are needed of them. A pack is there before the index names it.
func (p *pruner) checkMissing(ctx context.Context) error {
	for id, k := range p.packs {
		if !k.named || k.size >= 0 {
			continue
		}
		switch _, err := p.r.PackKind(ctx, id); {
		case errors.Is(err, storage.ErrNotFound):
			k.lost = true
			p.report.Missing += k.needs
		case err != nil:
			return fmt.Errorf("looking at pack %s: %w", id.Short(), err)
		}
	}
	return nil
}

// choose returns the packs that are to be marked: nothing is needed of them,
// they are under no mark, no open session has stored them, and this machine has
// known that for long enough. Where pieces are missing, packs that no index
// object names may hold them, and stay; so do those whose header is damaged or cut off.
func (p *pruner) choose(ctx context.Context) ([]blob.ID, error) {
	open := p.openSessions()
	var fresh []blob.ID
	for id, k := range p.packs {
		if k.needs > 0 {
			p.report.Needed++
			continue
		}
		if k.size < 0 || k.mark != 0 || !k.named && p.report.Missing > 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if p.timeUp() {
			break
		}
		by, err := p.r.PackSession(ctx, id)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if repo.Unreadable(err) {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil { // nobody knows whose it is
			p.damaged(&repo.DamageError{Object: repo.PackName(id), Err: err})
			continue
		}
		if open[by] {
			p.wait(Waiting{Why: "unfinished", Session: by.String(), Text: "stored by " + p.session(by)}, k)
			continue
		}
		least, text := p.opts.MinAge, "not needed for too short a time (--min-age)"
		if p.tombs[by] && p.opts.MinAgeLeft > least {
			least, text = p.opts.MinAgeLeft, "stored by a run that made no snapshot; the next one may use it (--min-age)"
		}
		if at, over := p.memo.until(repo.PackName(id), least); !over {
			p.wait(Waiting{Why: "age", Until: &at, Text: text}, k)
			continue
		}
		fresh = append(fresh, id)
		p.report.Marked++
		p.report.MarkedBytes += uint64(k.size)
	}
	slices.SortFunc(fresh, blob.ID.Compare)
	return fresh, nil
}

func (p *pruner) openSessions() map[seal.Session]bool {
	open := map[seal.Session]bool{}
	for _, s := range p.open {
		open[s.ID] = true
	}
	return open
}

// session names an open session for a person.
func (p *pruner) session(id seal.Session) string {
	for _, s := range p.open {
		if s.ID == id && s.Intent != nil {
			return fmt.Sprintf("session %s, open since %s: %s, store %q of host %q", id, time.Unix(0, s.Intent.Started).Format(time.DateTime),
				s.Intent.Where(), s.Intent.Store, s.Intent.Host)
		}
	}
	return fmt.Sprintf("session %s, of which nothing can be read", id)
}

// wait adds a pack to those that wait for a reason, up to the latest time of any.
func (p *pruner) wait(w Waiting, k *pack) {
	i := slices.IndexFunc(p.report.Waiting, func(o Waiting) bool { return o.Why == w.Why && o.Session == w.Session && o.Text == w.Text })
	if i < 0 {
		p.report.Waiting = append(p.report.Waiting, w)
		i = len(p.report.Waiting) - 1
	}
	all := &p.report.Waiting[i]
	all.Packs++
	all.Bytes += uint64(max(k.size, 0))
	if w.Until != nil && w.Until.After(*all.Until) {
		all.Until = w.Until
	}
}
