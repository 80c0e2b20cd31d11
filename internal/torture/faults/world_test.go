package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"restante/backup"
	"restante/blob"
	"restante/gc"
	"restante/mailstore"
	"restante/repo"
	"restante/restore"
	"restante/seal"
	"restante/snapshot"
	"restante/storage"
	"restante/storage/mem"
	"restante/verify"
)

// A polynomial for tests only.
const polynomial = 0x3DA3358B4DC173

// files are the contents of files by their paths.
type files map[string]string

// A user is who does all this: his mail, his keys, and what he remembers.
type user struct {
	mail    string           // folder
	states  map[string]files // of the mail, by the description of the snapshots that are of them
	key     keyring
	other   keyring
	removed string // the ID of other's key
}

// A keyring makes key files that open without scrypt.
type keyring struct {
	unlock seal.Unlocker
	lock   func(*seal.Keys) ([]byte, error)
}

func newKeyring(t *testing.T) keyring {
	t.Helper()
	file, recipient, err := seal.NewIdentity("for a test")
	must(t, err)
	unlock, err := seal.Identities(file)
	must(t, err)
	return keyring{unlock, func(k *seal.Keys) ([]byte, error) { return seal.LockRecipient(k, recipient) }}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A world is a repository, and the machine that uses it.
type world struct {
	*user
	t       *testing.T
	objects *mem.Store
	cache   string
	target  string // where restores go
}

// clone returns a copy of a world, for one run.
func (w *world) clone(t *testing.T) *world {
	t.Helper()
	c := &world{user: w.user, t: t, objects: mem.New(), cache: t.TempDir(), target: filepath.Join(t.TempDir(), "restored")}
	for _, name := range w.names("") {
		must(t, c.objects.Put(t.Context(), name, w.get(name)))
	}
	must(t, os.CopyFS(c.cache, os.DirFS(w.cache)))
	return c
}

func (w *world) get(name string) []byte {
	w.t.Helper()
	data, err := w.objects.Get(w.t.Context(), name, 0, -1, nil)
	must(w.t, err)
	return data
}

// names returns the names of the objects below a prefix.
func (w *world) names(prefix string) []string {
	w.t.Helper()
	var names []string
	must(w.t, w.objects.List(w.t.Context(), prefix, func(name string, _ int64) error {
		names = append(names, name)
		return nil
	}))
	slices.Sort(names)
	return names
}

// write makes files of the mail, or with "" for a content removes one.
func (u *user) write(t *testing.T, all files) {
	t.Helper()
	for name, content := range all {
		path := filepath.Join(u.mail, filepath.FromSlash(name))
		if content == "" {
			must(t, os.Remove(path))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), 0o644))
	}
}

// filesIn returns the files below a folder.
func filesIn(t *testing.T, dir string) files {
	t.Helper()
	all := files{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		all[filepath.ToSlash(name)] = string(data)
		return err
	}))
	return all
}

// open opens the repository in a storage that may fail, with the key of the user.
func (w *world) open(ctx context.Context, store storage.Store) (*repo.Repository, error) {
	return repo.Open(ctx, store, repo.OpenOptions{CacheDir: w.cache, Unlock: w.key.unlock})
}

// with opens the repository for fn.
func (w *world) with(ctx context.Context, store storage.Store, fn func(*repo.Repository) error) error {
	r, err := w.open(ctx, store)
	if err != nil {
		return err
	}
	defer r.Close()
	return fn(r)
}

// backUp takes a snapshot of the mail, which is in the state of that name.
func (w *world) backUp(ctx context.Context, store storage.Store, state string) error {
	mail, err := mailstore.Detect(ctx, []string{w.mail}, mailstore.Options{})
	if err != nil {
		return err
	}
	return w.with(ctx, store, func(r *repo.Repository) error {
		_, err := backup.Run(ctx, r, backup.Options{Store: mail, Name: "mail", Host: "mx", User: "tester", Program: "test", Description: state, Jobs: 2,
			CacheDir: w.cache, Compression: repo.Fastest, Notice: func(n backup.Notice) { w.t.Logf("%s: %s", n.Path, n.Text) }})
		return err
	})
}

// A taken is a snapshot that is there.
type taken struct {
	repo.SnapshotObject
	record *snapshot.Snapshot
}

// snapshots returns those that are listed, or with forgotten those that are not, of
// one state, or with "" of all.
func snapshots(ctx context.Context, r *repo.Repository, forgotten bool, state string) (all []taken, err error) {
	add := func(o repo.SnapshotObject, err error) error {
		if err != nil {
			return err
		}
		record, err := snapshot.DecodeSnapshot(o.Payload)
		if err == nil && (state == "" || record.Description == state) {
			all = append(all, taken{o, record})
		}
		return err
	}
	if forgotten {
		err = r.EachForgotten(ctx, func(o repo.ForgottenObject, err error) error { return add(o.SnapshotObject, err) })
	} else {
		err = r.EachSnapshot(ctx, add)
	}
	return all, err
}

func (w *world) forget(ctx context.Context, store storage.Store, state string) error {
	return w.with(ctx, store, func(r *repo.Repository) error {
		all, err := snapshots(ctx, r, false, state)
		for _, s := range all {
			err = errors.Join(err, r.Forget(ctx, s.ID, "tester"))
		}
		return err
	})
}

// errGone says that something was not done, because what it needs cannot be read.
var errGone = errors.New("there is not all")

func (w *world) unforget(ctx context.Context, store storage.Store, state string) error {
	return w.with(ctx, store, func(r *repo.Repository) error {
		all, err := snapshots(ctx, r, true, state)
		for _, s := range all {
			root := repo.PageRef{ID: s.record.Tree.ID, Level: s.record.Tree.Level}
			err = errors.Join(err, r.Unforget(ctx, s.ID, repo.Intent{Store: "mail", Host: "mx", User: "tester", Root: &root}, func(session *repo.Session) error {
				gone, err := verify.Complete(ctx, r, session, s.record)
				if err == nil && !gone.None() {
					err = fmt.Errorf("of state %q: %w: %+v", state, errGone, gone)
				}
				return err
			}))
		}
		return err
	})
}

func (w *world) hold(ctx context.Context, store storage.Store, state string, until time.Time) error {
	return w.with(ctx, store, func(r *repo.Repository) error {
		all, err := snapshots(ctx, r, false, state)
		for _, s := range all {
			_, failed := r.Hold(ctx, repo.Hold{Snapshot: s.ID, Reason: "a test", By: "tester", Until: until})
			err = errors.Join(err, failed)
		}
		return err
	})
}

func (w *world) release(ctx context.Context, store storage.Store, state string) error {
	return w.with(ctx, store, func(r *repo.Repository) error {
		all, err := snapshots(ctx, r, false, state)
		for _, s := range all {
			_, failed := r.Release(ctx, s.ID)
			err = errors.Join(err, failed)
		}
		return err
	})
}

// prune prunes with no time of grace. Sessions that are open are taken for
// dead: they are of this process, which is to be another one.
func (w *world) prune(ctx context.Context, store storage.Store, change func(*gc.Options)) (report *gc.Report, err error) {
	opts := gc.Options{User: "tester", CacheDir: w.cache, Drop: w.openSessions(), Lives: func(*repo.Intent) bool { return false }}
	if change != nil {
		change(&opts)
	}
	err = w.with(ctx, store, func(r *repo.Repository) (err error) {
		report, err = gc.Prune(ctx, r, opts)
		return err
	})
	return report, err
}

// openSessions returns the sessions that have an intent and no end.
func (w *world) openSessions() (open []string) {
	ended := w.names("snapshots/")
	for _, name := range w.names("intents/") {
		id := strings.TrimPrefix(name, "intents/")
		if !slices.Contains(ended, "snapshots/"+id) {
			open = append(open, id)
		}
	}
	return open
}

// endSessions ends those of runs that have failed, as prune does when their
// process is gone, which here is this one.
func (w *world) endSessions() {
	w.t.Helper()
	open := w.openSessions()
	if len(open) == 0 {
		return
	}
	must(w.t, w.with(w.t.Context(), w.objects, func(r *repo.Repository) error {
		for _, text := range open {
			id, err := seal.ParseSession(text)
			if err != nil {
				return err
			}
			if _, err := r.EndSession(w.t.Context(), id); err != nil {
				return err
			}
		}
		return nil
	}))
}

// check checks the repository and notes damage. It reports what it found.
func (w *world) check(ctx context.Context, store storage.Store) (report *verify.Report, err error) {
	err = w.with(ctx, store, func(r *repo.Repository) (err error) {
		report, err = verify.Check(ctx, r, verify.Options{ReadData: true})
		return err
	})
	return report, err
}

// restore restores a snapshot. What failed is in the result; files that are
// whole already stay.
func (w *world) restore(ctx context.Context, r *repo.Repository, s taken, target string) (restore.Result, error) {
	return restore.Run(ctx, r, snapshot.OpenTree(r, s.record.Tree), r.PieceKey(), restore.Options{
		Target: target, Resume: true, NoOwner: true, Parts: []restore.Part{{Ranges: []snapshot.Range{{}}, Path: snapshot.Key.Path}},
	})
}

// wantSound wants a check to find nothing, each snapshot to restore to what it is of,
// and those of some states to be there.
func (w *world) wantSound(states ...string) {
	w.t.Helper()
	report, err := w.check(w.t.Context(), w.objects)
	must(w.t, err)
	for _, f := range report.Findings {
		w.t.Errorf("a check finds: %+v", f)
	}
	must(w.t, w.with(w.t.Context(), w.objects, func(r *repo.Repository) error {
		all, err := snapshots(w.t.Context(), r, false, "")
		for _, s := range all {
			dir := w.t.TempDir()
			result, err := w.restore(w.t.Context(), r, s, dir)
			want, got := w.states[s.record.Description], filesIn(w.t, dir)
			for _, f := range result.Failed {
				if _, isThere := want[f.Path]; isThere {
					w.t.Errorf("restoring %q of state %q: %v", f.Path, s.record.Description, f.Err)
				}
			}
			if err != nil || !maps.Equal(got, want) {
				w.t.Errorf("restoring state %q: %v", s.record.Description, err)
				w.t.Errorf("of state %q there are %q, want %q", s.record.Description, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
		}
		for _, state := range states {
			if !slices.ContainsFunc(all, func(s taken) bool { return s.record.Description == state }) {
				w.t.Errorf("there is no snapshot of state %q", state)
			}
		}
		return err
	}))
}

// wantNothingLeft prunes, and wants to be there then only what somebody needs.
func (w *world) wantNothingLeft() {
	w.t.Helper()
	all := func(o *gc.Options) { o.MaxUnused = 0 }
	_, err := w.prune(w.t.Context(), w.objects, all)
	must(w.t, err)
	report, err := w.prune(w.t.Context(), w.objects, all)
	must(w.t, err)
	if report.Marked+report.Deleted+report.Repacked+report.Ended+report.Missing != 0 || len(report.Waiting) != 0 {
		w.t.Errorf("a second prune still had something to do: %+v", report)
	}
	allowed := map[string]bool{"README": true}
	must(w.t, w.with(w.t.Context(), w.objects, func(r *repo.Repository) error {
		for _, name := range w.names("keys/") { // one that no config ever listed opens nothing, and stays
			k, err := r.FindKey(filepath.Base(name))
			allowed[name] = err != nil || k.Removed == 0
			allowed[repo.SpareOf(name)] = allowed[name]
		}
		return r.EachPack(w.t.Context(), func(id blob.ID, _ uint32) { allowed[repo.PackName(id)] = true })
	}))
	for _, name := range w.names("") {
		folder, below, _ := strings.Cut(name, "/")
		if folder == "spares" && strings.HasPrefix(below, "config/") {
			continue
		}
		switch folder {
		case "config", "index", "snapshots", "holds":
		case "forgotten": // stays for a while, of a snapshot that is gone
			if slices.Contains(w.names("snapshots/"), "snapshots/"+strings.TrimPrefix(name, "forgotten/")) {
				w.t.Errorf("there is left a forgotten snapshot: %s", name)
			}
		case "marks":
			if len(w.names("marks/")) > 1 {
				w.t.Errorf("there are left the marks %q", w.names("marks/"))
			}
		default:
			if !allowed[name] {
				w.t.Errorf("there is left %s", name)
			}
		}
	}
}
