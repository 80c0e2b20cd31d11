package crash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restante/backup"
	"restante/gc"
	"restante/internal/durable"
	"restante/mailstore"
	"restante/repo"
	"restante/restore"
	"restante/seal"
	"restante/snapshot"
	"restante/storage/local"
	"restante/verify"
)

// A polynomial for tests only.
const polynomial = 0x3DA3358B4DC173

// A user opens one repository with one key and one cache, and does what the
// commands do. Errors are returned, for they may be what a test looks for.
type user struct {
	ctx    context.Context
	dir    string // the repository's folder
	cache  string
	unlock seal.Unlocker
	warn   *log.Logger
}

// open opens the repository, which the caller closes by calling end.
func (u user) open() (r *repo.Repository, end func(), err error) {
	store, err := local.Open(u.dir)
	if err != nil {
		return nil, nil, err
	}
	r, err = repo.Open(u.ctx, store, repo.OpenOptions{CacheDir: u.cache, Unlock: u.unlock, Warn: u.warn})
	if err != nil {
		store.Close()
		return nil, nil, err
	}
	return r, func() {
		r.Close()
		store.Close()
	}, nil
}

// backup backs up the folder mail.
func (u user) backup(r *repo.Repository, mail string) (*backup.Result, error) {
	store, err := mailstore.Detect(u.ctx, []string{mail}, mailstore.Options{})
	if err != nil {
		return nil, err
	}
	return backup.Run(u.ctx, r, backup.Options{Store: store, Name: "store", Host: "mx", User: "tester", Program: "restante test",
		CacheDir: u.cache, Skip: []string{u.cache, u.dir}, Warn: u.warn, Jobs: 2})
}

// prune prunes all at once.
func (u user) prune(r *repo.Repository) (*gc.Report, error) {
	return gc.Prune(u.ctx, r, gc.Options{User: "tester", CacheDir: u.cache})
}

// check reads all there is.
func (u user) check(r *repo.Repository) (*verify.Report, error) {
	return verify.Check(u.ctx, r, verify.Options{ReadData: true})
}

// unforget takes a forgotten snapshot back, if it is complete.
func (u user) unforget(r *repo.Repository, o repo.ForgottenObject) (complete bool, err error) {
	record, err := snapshot.DecodeSnapshot(o.Payload)
	if err != nil {
		return false, err
	}
	root := repo.PageRef{ID: record.Tree.ID, Level: record.Tree.Level}
	gone := errors.New("something is gone")
	err = r.Unforget(u.ctx, o.ID, repo.Intent{Store: record.Store, Host: record.Host, User: "tester", Root: &root}, func(s *repo.Session) error {
		missing, err := verify.Complete(u.ctx, r, s, record)
		if err == nil && !missing.None() {
			err = gone
		}
		return err
	})
	if errors.Is(err, gone) {
		return false, nil
	}
	return err == nil, err
}

// restored returns the files of a snapshot, as they are when they are restored to a new folder.
func (u user) restored(r *repo.Repository, record *snapshot.Snapshot) (files map[string]string, failed uint64, err error) {
	target, err := os.MkdirTemp(u.cache, "restored")
	if err != nil {
		return nil, 0, err
	}
	defer os.RemoveAll(target)
	result, err := restore.Run(u.ctx, r, snapshot.OpenTree(r, record.Tree), r.PieceKey(), restore.Options{
		Target: target, Resume: true, NoOwner: os.Geteuid() != 0, Workers: 1,
		Parts: []restore.Part{{Ranges: []snapshot.Range{{}}, Path: snapshot.Key.Path}}})
	if err != nil {
		return nil, 0, err
	}
	files, err = contentOf(target)
	return files, result.Failures, err
}

// contentOf reads the files below a folder.
func contentOf(dir string) (map[string]string, error) {
	files := map[string]string{}
	return files, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir+"/")] = string(data)
		return err
	})
}

// An author is a process that works on a repository, and records it.
type author struct {
	user
	t    *testing.T
	rng  *rand.Rand
	mail string // folder of the mail store
	rec  *recorder
	now  note
}

// step does one thing. during says how what holds is less certain meanwhile,
// after what holds when it is done.
func (a *author) step(name string, during func(*note), do func(r *repo.Repository), after func(*note)) {
	a.t.Helper()
	meanwhile := a.copied()
	meanwhile.Step = name
	if during != nil {
		during(&meanwhile)
	}
	a.rec.note(meanwhile)
	r, end, err := a.open()
	must(a.t, err)
	do(r)
	end()
	if after != nil {
		after(&a.now)
	}
	a.now.Step = "after " + name
	a.rec.note(a.copied())
}

func (a *author) copied() note {
	n := a.now
	for _, m := range []*map[string]taken{&n.Committed, &n.Unsure, &n.Forgotten, &n.Pruned, &n.Known} {
		*m = maps.Clone(*m)
	}
	n.Store, n.Lost = maps.Clone(n.Store), maps.Clone(n.Lost)
	return n
}

// create makes the repository.
func (a *author) create(key string, lock func(*seal.Keys) ([]byte, error)) {
	a.t.Helper()
	a.now.Step = "init"
	a.rec.note(a.copied())
	store, err := local.Create(a.dir)
	must(a.t, err)
	must(a.t, repo.Create(a.t.Context(), store, repo.CreateOptions{Chunker: polynomial, Label: "test", Lock: lock}))
	store.Close()
	a.now.Step, a.now.Keys = "after init", []string{key}
	a.rec.note(a.copied())
}

// write puts messages into a folder of the store.
func (a *author) write(folder string, names ...string) {
	a.t.Helper()
	for _, part := range []string{"cur", "new", "tmp"} {
		must(a.t, os.MkdirAll(filepath.Join(a.mail, folder, part), 0o700))
	}
	for _, name := range names {
		text := strings.Repeat(fmt.Sprintf("This is about %s in %s.\n", name, folder), 40)
		path := filepath.Join(folder, "cur", "170000000"+name+".mx:2,S")
		must(a.t, os.WriteFile(filepath.Join(a.mail, path), []byte("From: alice@example.com\nTo: bob@example.com\nSubject: "+name+" of "+folder+"\n\n"+text), 0o600))
	}
}

// expunge removes messages.
func (a *author) expunge(folder string, names ...string) {
	a.t.Helper()
	for _, name := range names {
		must(a.t, os.Remove(filepath.Join(a.mail, folder, "cur", "170000000"+name+".mx:2,S")))
	}
}

// store reads what is to be backed up.
func (a *author) store() {
	a.t.Helper()
	var err error
	a.now.Store, err = contentOf(a.mail)
	must(a.t, err)
}

// backUp takes a snapshot and returns its ID.
func (a *author) backUp() (id string) {
	a.t.Helper()
	a.store()
	a.step("backup", nil, func(r *repo.Repository) {
		result, err := a.backup(r, a.mail)
		must(a.t, err)
		id = result.Session.String()
	}, func(n *note) { n.Committed[id] = taken{n.Store, id} })
	return id
}

// forget forgets snapshots.
func (a *author) forget(ids ...string) {
	a.t.Helper()
	for _, id := range ids {
		a.step("forget", func(n *note) {
			n.Unsure[id] = n.Committed[id]
			delete(n.Committed, id)
		}, func(r *repo.Repository) {
			session, err := seal.ParseSession(id)
			must(a.t, err)
			must(a.t, r.Forget(a.t.Context(), session, "tester"))
		}, func(n *note) {
			n.Forgotten[id] = n.Committed[id]
			delete(n.Committed, id)
		})
	}
}

// takeBack unforgets a snapshot.
func (a *author) takeBack(id string) {
	a.t.Helper()
	a.step("unforget", func(n *note) {
		n.Unsure[id] = n.Forgotten[id]
		delete(n.Forgotten, id)
	}, func(r *repo.Repository) {
		must(a.t, r.EachForgotten(a.t.Context(), func(o repo.ForgottenObject, err error) error {
			if err != nil || o.ID.String() != id {
				return err
			}
			if complete, err := a.unforget(r, o); err != nil || !complete {
				a.t.Fatalf("complete %t, %v", complete, err)
			}
			return nil
		}))
	}, func(n *note) {
		n.Committed[id] = n.Forgotten[id]
		delete(n.Forgotten, id)
	})
}

// pruned says what holds of forgotten snapshots when a prune has begun.
func pruned(n *note) {
	maps.Copy(n.Pruned, n.Forgotten)
	clear(n.Forgotten)
}

// clean prunes, and returns what that did.
func (a *author) clean() (report *gc.Report) {
	a.t.Helper()
	a.step("prune", pruned, func(r *repo.Repository) {
		var err error
		report, err = a.prune(r)
		must(a.t, err)
	}, pruned)
	return report
}

// atRandom is one of the first so many calls.
func (a *author) atRandom(calls int) func(durable.Call) bool {
	left := 1 + a.rng.IntN(calls)
	return func(durable.Call) bool {
		left--
		return left == 0
	}
}

// diesIn does one thing, in which the process dies after a call. What holds meanwhile
// holds from then on.
func (a *author) diesIn(name string, after func(durable.Call) bool, during func(*note), do func(*repo.Repository) error) {
	a.t.Helper()
	if during != nil {
		during(&a.now)
	}
	a.now.Step, a.warn = name, nil
	a.rec.note(a.copied())
	r, _, err := a.open()
	must(a.t, err)
	a.rec.dieAfter(after)
	if err := do(r); err != nil && !errors.Is(err, errDead) {
		a.t.Errorf("%s: %v", name, err)
	}
}

// takeStock looks whether a backup that was killed had given its snapshot a name. Whether
// it is there after a crash is not sure, unless somebody has made sure of it.
func (a *author) takeStock(sure bool) {
	a.t.Helper()
	found := a.now.Known
	if sure {
		found = a.now.Committed
	}
	a.step("begin", nil, func(r *repo.Repository) {
		all, err := r.Snapshots(a.t.Context(), nil)
		must(a.t, err)
		for _, o := range all {
			if id := o.ID.String(); a.now.Committed[id].Files == nil {
				found[id] = taken{a.now.Store, id}
			}
		}
	}, nil)
}
