package model

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"restante/backup"
	"restante/gc"
	"restante/mailstore"
	"restante/repair"
	"restante/repo"
	"restante/retention"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
	"restante/verify"
)

// operations have a client begin something. They report whether there is anything to do.
var operations = map[string]func(w *world, c *client, arg int) bool{
	"backup": (*world).backup, "prune": (*world).prune, "check": (*world).check, "heal": (*world).heal,
	"forget": (*world).forget, "policy": (*world).policy, "unforget": (*world).unforget,
	"hold": (*world).hold, "release": (*world).release, "key": (*world).changeKey,
}

// backup takes a snapshot of the client's mail.
func (w *world) backup(c *client, arg int) bool {
	store, err := mailstore.Detect(w.ctx, []string{c.mail}, mailstore.Options{})
	files, readErr := content(c.mail)
	if err = errors.Join(err, readErr); err != nil {
		panic(err)
	}
	var result *backup.Result
	o := &op{name: "backup", files: files}
	w.begin(c, o, false, func(r *repo.Repository) (err error) {
		result, err = backup.Run(w.ctx, r, backup.Options{Store: store, Name: "mail", Host: fmt.Sprint("mx", c.n), User: "root", Program: "model",
			CacheDir: c.cache, Compression: repo.Fastest, AllowShrink: true, Jobs: 1 + arg%2, Rescan: 24 * time.Hour, Paranoid: arg%16 == 0})
		return err
	})
	o.ended = func(err error) error {
		if err == nil {
			k := w.kept[seal.Session(result.Session)]
			k.state = yes
			if n := result.Snapshot.Tree.Counts.Unsaved; n > 0 {
				return fmt.Errorf("%d paths were not saved", n)
			}
			return w.learn(seal.Session(result.Session))
		}
		// A session that crashed holds the store, as its process lives as far as anybody knows.
		allowed := errors.Is(err, repo.ErrClosed) || errors.As(err, new(*repo.LockedError)) || errors.Is(err, repo.ErrWrongKey)
		return o.judge(err, allowed)
	}
	return true
}

// judge returns what is wrong with an outcome.
func (o *op) judge(err error, allowed bool) error {
	if err == nil || allowed || o.crashed || o.lenient {
		return nil
	}
	return fmt.Errorf("%s: %w", o.name, err)
}

// Arguments of prune: what nothing needs goes at once, or is marked and goes the
// next time.
const (
	noGrace  = 256
	onlyMark = 256 + 64
)

// prune prunes, with or without grace, and takes sessions for dead that may only sleep.
func (w *world) prune(c *client, arg int) bool {
	if w.harm.unhealed {
		return false // it could take the sound one of two copies for the one too many
	}
	opts := gc.Options{User: "root", CacheDir: w.clients[c.n%2].cache, MaxUnused: float64(arg / 16 % 4 * 20), Grace: []time.Duration{0, 1, 1, 24 * time.Hour}[arg/64%4], Lives: elsewhere}
	if arg/256%8 == 0 {
		opts.MinAge, opts.MinAgeLeft = 6*time.Hour, 12*time.Hour
	}
	if len(w.dead) > 0 && arg%2 == 0 {
		opts.Drop = []string{w.dead[0].String()}
		w.dead = w.dead[1:]
	} else if sleeping := w.sleeping(); len(sleeping) > 0 && arg%8 == 1 {
		opts.Drop = []string{sleeping[arg/8%len(sleeping)].String()}
		w.woken = true
	}
	o := &op{name: "prune"}
	w.begin(c, o, true, func(r *repo.Repository) error {
		_, err := gc.Prune(w.ctx, r, opts)
		return err
	})
	o.ended = func(err error) error {
		allowed := errors.Is(err, repo.ErrPruning) || errors.Is(err, gc.ErrUnknownSession) || errors.As(err, new(*repo.LockedError)) // of another that rewrites packs
		return errors.Join(o.judge(err, allowed), w.inspect())
	}
	return true
}

// sleeping returns the sessions of clients that were stopped.
func (w *world) sleeping() (ids []seal.Session) {
	for _, c := range w.clients {
		if c.op != nil {
			ids = append(ids, c.op.sessions...)
		}
	}
	return ids
}

// check checks the repository: while nothing is damaged it finds nothing, whatever
// goes on beside it. What is, it notes.
func (w *world) check(c *client, arg int) bool {
	var report *verify.Report
	o := &op{name: "check"}
	damaged := w.harm.unhealed
	w.begin(c, o, true, func(r *repo.Repository) (err error) {
		report, err = verify.Check(w.ctx, r, verify.Options{ReadData: arg%2 == 0})
		return err
	})
	o.ended = func(err error) error {
		if err == nil && damaged && report.ReadData {
			w.harm.noted = min(w.harm.noted, w.step) // from now on everybody knows what is damaged
		}
		if err == nil && w.woken { // who was taken for dead and wakes up may name packs that are gone; a prune takes those out of the index
			report.Findings = slices.DeleteFunc(report.Findings, func(f verify.Finding) bool { return f.Lost.Snapshots.Count == 0 && f.What == "it is missing" })
		}
		if err == nil && len(report.Findings) > 0 {
			err = fmt.Errorf("it found %+v", report.Findings)
		}
		return o.judge(err, false)
	}
	return true
}

// some returns the sessions whose state is this, in the order in which they began.
func (w *world) some(match func(*kept) bool) (ids []seal.Session) {
	for id, k := range w.kept {
		if match(k) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b seal.Session) int { return w.kept[a].began - w.kept[b].began })
	return ids
}

func isListed(k *kept) bool { return k.state == yes && !k.forgotten }

// forget forgets some snapshots, by name: one, or every second one.
func (w *world) forget(c *client, arg int) bool {
	all := w.some(isListed)
	if len(all) == 0 {
		return false
	}
	ids := []seal.Session{all[arg/2%len(all)]}
	for i := 0; arg%2 == 0 && i < len(all); i += 2 {
		ids = append(ids, all[i])
	}
	o := &op{name: "forget"}
	w.begin(c, o, true, func(r *repo.Repository) (err error) {
		for _, id := range ids {
			err = errors.Join(err, r.Forget(w.ctx, id, "root"))
		}
		return err
	})
	o.ended = func(err error) error {
		listed := func(id seal.Session) bool { // and not because another took it back meanwhile
			k := w.kept[id]
			return !k.forgotten && !slices.Contains(o.touched, id) && k.back < o.began
		}
		if i := slices.IndexFunc(ids, listed); i >= 0 && err == nil {
			return fmt.Errorf("snapshot %s is not forgotten", ids[i])
		}
		return o.judge(err, errors.Is(err, storage.ErrNotFound))
	}
	return true
}

// policy forgets by rules, as the command does.
func (w *world) policy(c *client, arg int) bool {
	p := retention.Policy{Last: 1 + arg%3, GroupBy: retention.GroupBy{Host: true, Store: true}}
	if arg%4 == 0 {
		p.Daily = 2
	}
	var all []retention.Snapshot
	var at time.Time
	o := &op{name: "policy"}
	w.begin(c, o, true, func(r *repo.Repository) (err error) {
		at = r.Now()
		p.Made = r.Made()
		if all, err = candidates(w.ctx, r, at); err != nil {
			return err
		}
		for _, d := range retention.Apply(all, p, at) {
			if d.Keep() {
				continue
			}
			id, err := seal.ParseSession(d.ID)
			if err != nil {
				return err
			}
			if err := r.Forget(w.ctx, id, "root"); err != nil && !errors.Is(err, storage.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	o.ended = func(err error) error {
		return errors.Join(o.judge(err, false), w.mayForget(o, all, &p, at))
	}
	return true
}

// candidates returns what rules decide about.
func candidates(ctx context.Context, r *repo.Repository, at time.Time) (all []retention.Snapshot, err error) {
	objects, err := r.Snapshots(ctx, nil)
	if err != nil {
		return nil, err
	}
	held := map[seal.Session]bool{}
	err = r.EachHold(ctx, func(h repo.Hold, err error) error {
		held[h.Snapshot] = held[h.Snapshot] || err != nil || h.Active(at)
		return nil
	})
	for _, o := range objects {
		s, failed := snapshot.DecodeSnapshot(o.Payload)
		if failed != nil {
			return nil, failed
		}
		c := retention.Snapshot{ID: o.ID.String(), Time: s.Started.Go(), Host: s.Host, Store: s.Store, Incomplete: s.Incomplete, Shrunk: s.Shrunk}
		if held[o.ID] {
			c.Held = "for the model"
		}
		all = append(all, c)
	}
	return all, err
}

// mayForget returns what was forgotten that had to stay: what is held, and of each
// host's complete snapshots as many as the rule for the last ones says.
func (w *world) mayForget(o *op, all []retention.Snapshot, p *retention.Policy, at time.Time) error {
	gone := map[string]bool{}
	for _, id := range o.touched {
		gone[id.String()] = true
		for _, h := range w.holds[id] {
			if h.from < o.began && h.to == 0 && (h.until.IsZero() || at.Before(h.until)) {
				return fmt.Errorf("snapshot %s was forgotten, which is held", id)
			}
		}
	}
	complete, left := map[string]int{}, map[string]int{}
	for _, s := range all {
		if !s.Incomplete && !s.Shrunk {
			complete[s.Host]++
			if !gone[s.ID] {
				left[s.Host]++
			}
		}
	}
	for host, n := range complete {
		if left[host] < min(n, p.Last) {
			return fmt.Errorf("of %d complete snapshots of %s %d are left", n, host, left[host])
		}
	}
	return nil
}

// unforget takes a snapshot back, as the command does.
func (w *world) unforget(c *client, arg int) bool {
	all := w.some(func(k *kept) bool { return k.state == yes && k.forgotten && !k.broken })
	if len(all) == 0 {
		return false
	}
	id := all[arg%len(all)]
	gone := errors.New("not all of it is there")
	o := &op{name: "unforget"}
	w.begin(c, o, true, func(r *repo.Repository) error {
		record, err := forgottenRecord(w.ctx, r, id)
		if err != nil {
			return err
		}
		root := repo.PageRef{ID: record.Tree.ID, Level: record.Tree.Level}
		return r.Unforget(w.ctx, id, repo.Intent{Store: record.Store, Host: record.Host, User: "root", Root: &root}, func(s *repo.Session) error {
			if err := gc.Rescue(w.ctx, r, s, record, w.clients[c.n%2].cache); err != nil {
				return err
			}
			lost, err := verify.Complete(w.ctx, r, s, record)
			if err == nil && !lost.None() {
				err = gone
			}
			return err
		})
	})
	o.ended = func(err error) error {
		if errors.Is(err, gone) && !o.crashed && !o.lenient && !w.kept[id].hurt {
			return w.wantGone(o, id)
		}
		allowed := errors.Is(err, gone) || errors.Is(err, storage.ErrNotFound) || errors.Is(err, repo.ErrClosed)
		return errors.Join(o.judge(err, allowed), w.inspect())
	}
	return true
}

// wantGone wants not all of a forgotten snapshot to be there, which could not be taken
// back: a prune has marked packs since its session began, and, unless the client was stopped in the middle
// and others went on, something that the snapshot needs is gone.
func (w *world) wantGone(o *op, id seal.Session) error {
	k := w.kept[id]
	if w.mark < k.began {
		return fmt.Errorf("snapshot %s of step %d cannot be taken back, and the last mark is of step %d", id, k.began, w.mark)
	}
	if o.began < w.step {
		return nil
	}
	is, err := w.isThere(k)
	if err == nil && is {
		err = fmt.Errorf("snapshot %s cannot be taken back, and all of it is there", id)
	}
	return err
}

// forgottenRecord reads a snapshot that was forgotten. One that is not any more is not found.
func forgottenRecord(ctx context.Context, r *repo.Repository, id seal.Session) (record *snapshot.Snapshot, err error) {
	err = r.EachForgotten(ctx, func(f repo.ForgottenObject, err error) error {
		if f.ID != id {
			return nil
		}
		if err == nil {
			record, err = snapshot.DecodeSnapshot(f.Payload)
		}
		return err
	})
	if err == nil && record == nil {
		err = storage.ErrNotFound
	}
	return record, err
}

// hold holds a snapshot, for a while or for ever.
func (w *world) hold(c *client, arg int) bool {
	all := w.some(isListed)
	if len(all) == 0 {
		return false
	}
	id := all[arg%len(all)]
	h := repo.Hold{Snapshot: id, Reason: "for the model", By: "root"}
	if arg%3 == 0 {
		h.Until = w.now(c).Add(time.Duration(arg%100) * time.Hour)
	}
	o := &op{name: "hold"}
	w.begin(c, o, true, func(r *repo.Repository) error {
		_, err := r.Hold(w.ctx, h)
		return err
	})
	o.ended = func(err error) error {
		w.release1(id)
		if err == nil {
			w.holds[id] = append(w.holds[id], held{from: w.step, until: h.Until})
		}
		return o.judge(err, false)
	}
	return true
}

// release1 notes that a snapshot is not held any more, as far as is known.
func (w *world) release1(id seal.Session) {
	for i := range w.holds[id] {
		w.holds[id][i].to = w.step
	}
}

// release removes all holds of a snapshot.
func (w *world) release(c *client, arg int) bool {
	if len(w.holds) == 0 {
		return false
	}
	ids := w.some(func(k *kept) bool { return k.state == yes })
	ids = slices.DeleteFunc(ids, func(id seal.Session) bool { return len(w.holds[id]) == 0 })
	if len(ids) == 0 {
		return false
	}
	id := ids[arg%len(ids)]
	w.release1(id) // from now on nobody relies on it
	o := &op{name: "release"}
	w.begin(c, o, true, func(r *repo.Repository) error {
		_, err := r.Release(w.ctx, id)
		return err
	})
	o.ended = func(err error) error { return o.judge(err, false) }
	return true
}

// changeKey gives a client a key that cannot read, for its backups, or takes it away.
func (w *world) changeKey(c *client, _ int) bool {
	o := &op{name: "key"}
	if c.writer != nil {
		w.begin(c, o, true, func(r *repo.Repository) error { return r.RemoveKey(w.ctx, c.key) })
		o.ended = func(err error) error {
			c.writer = nil
			return o.judge(err, errors.Is(err, repo.ErrChanged))
		}
		return true
	}
	var unlock seal.Unlocker
	var key repo.KeyInfo
	w.begin(c, o, true, func(r *repo.Repository) error {
		file, recipient, err := seal.NewIdentity("a writer's")
		if err != nil {
			return err
		}
		if unlock, err = seal.Identities(file); err != nil {
			return err
		}
		key, err = r.AddKey(w.ctx, seal.Writer, "writer", func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) })
		return err
	})
	o.ended = func(err error) error {
		if err == nil {
			c.writer, c.key = &unlock, key
		}
		return o.judge(err, errors.Is(err, repo.ErrChanged))
	}
	return true
}

// heal repairs what was damaged, in the order that the command's messages give.
func (w *world) heal(c *client, _ int) bool {
	if !w.harm.unhealed {
		return false
	}
	if len(w.dead) > 0 { // a repair that crashed keeps others from repairing
		w.endDead(c)
		return true
	}
	o := &op{name: "heal"}
	var h healing
	w.begin(c, o, true, func(r *repo.Repository) error { return h.run(w.ctx, r) })
	o.ended = func(err error) error {
		if err == nil {
			return w.healed(&h)
		}
		// A repair that crashed holds the repository; another heals.
		if o.crashed || errors.As(err, new(*repo.LockedError)) {
			return nil
		}
		return fmt.Errorf("heal: %w", err)
	}
	return true
}

// A healing is what somebody does who finds out that his repository is damaged.
type healing struct {
	first, then *verify.Report // a check may only have noted which packs are damaged when it had looked up most
	repaired    *repair.Report
}

func (h *healing) run(ctx context.Context, r *repo.Repository) (err error) {
	data := verify.Options{ReadData: true}
	if h.first, err = verify.Check(ctx, r, data); err != nil {
		return err
	}
	if _, err = r.RepairIndex(ctx, repo.RepairOptions{User: "root", Force: true}); err != nil {
		return err
	}
	if h.then, err = verify.Check(ctx, r, data); err != nil {
		return err
	}
	if _, err = r.RepairPacks(ctx, nil, repo.RepairOptions{User: "root", Force: true}); err != nil {
		return err
	}
	if h.repaired, err = repair.Snapshots(ctx, r, repair.Options{User: "root", Force: true}); err != nil {
		return err
	}
	for _, u := range h.repaired.Unreadable {
		id, err := seal.ParseSession(u.Object[len("snapshots/"):])
		if err == nil {
			err = r.Forget(ctx, id, "root")
		}
		if err != nil {
			return err
		}
	}
	return giveUpHeld(ctx, r)
}

// giveUpHeld releases what is held and missing, for else no prune deletes anything.
func giveUpHeld(ctx context.Context, r *repo.Repository) error {
	lost, err := r.LostHeld(ctx)
	for _, id := range lost {
		if err == nil {
			_, err = r.Release(ctx, id)
		}
	}
	return err
}
