package verify_test

import (
	"context"
	"strings"
	"testing"

	"restante/gc"
	"restante/internal/torture"
	"restante/repo"
	"restante/seal"
	"restante/storage"
	"restante/storage/faulty"
	"restante/verify"
)

// A watched storage calls before ahead of each listing.
type watched struct {
	storage.Store
	before func(prefix string)
}

func (w *watched) List(ctx context.Context, prefix string, fn func(string, int64) error) error {
	w.before(prefix)
	return w.Store.List(ctx, prefix, fn)
}

// A prune that comes at any moment of a check, takes away packs and index objects
// that the check has listed, and moves what is needed to others, is no damage.
func TestBesideAPrune(t *testing.T) {
	f := newFixture(t)
	var first seal.Session
	err := f.open(t).EachSnapshot(t.Context(), func(o repo.SnapshotObject, err error) error {
		first = o.ID
		return err
	})
	if err == nil {
		err = f.open(t).Forget(t.Context(), first, "root")
	}
	if err != nil {
		t.Fatal(err)
	}
	every, tried := torture.Rounds(3, 1), 0
	for at := 0; ; at += every {
		g := f.clone(t)
		store := faulty.New(g.store)
		store.Arm(faulty.Fault{Ops: faulty.Get | faulty.List, Call: at, Instead: func() {
			if _, err := gc.Prune(t.Context(), g.open(t), gc.Options{CacheDir: t.TempDir()}); err != nil {
				t.Error(err)
			}
		}})
		report, err := verify.Check(t.Context(), g.openOn(t, store), verify.Options{ReadData: at/every%2 == 0})
		if err != nil || len(report.Findings) > 0 || report.Snapshots != 1 {
			t.Errorf("pruned at call %d: %v, %+v", at, err, report)
		}
		if !store.Fired() {
			break
		}
		tried++
	}
	torture.Report(t, "%d moments of a check", tried)
}

// What is lost is told though in each check something goes, and the check comes to an end.
func TestLossBesideMuchThatGoes(t *testing.T) {
	f := newFixture(t)
	for range 9 {
		r := f.open(t)
		s, err := r.Begin(t.Context(), repo.SessionOptions{Intent: repo.Intent{Operation: "backup", Store: "another", Host: "mx"}})
		if err == nil {
			err = s.Abandon(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.store.Delete(t.Context(), f.names["data1"]); err != nil {
		t.Fatal(err)
	}
	listings := 0 // two of each time that the check is done
	store := &watched{Store: f.store, before: func(prefix string) {
		if prefix != "snapshots/" {
			return
		}
		listings++
		var intent string // which nothing needs
		err := f.store.List(t.Context(), "intents/", func(name string, _ int64) error {
			intent = name
			return nil
		})
		if err == nil && listings%2 == 0 {
			err = f.store.Delete(t.Context(), intent)
		}
		if err != nil {
			t.Error(err)
		}
	}}
	report, err := verify.Check(t.Context(), f.openOn(t, store), verify.Options{ReadData: true})
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(f.render(report), "\n"); !strings.Contains(text, "it is missing") || listings <= 2 || listings > 8 {
		t.Errorf("after %d listings:\n%s", listings, text)
	}
}
