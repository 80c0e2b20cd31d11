package dryrun_test

import (
	"errors"
	"testing"

	"restante/storage"
	"restante/storage/dryrun"
	"restante/storage/mem"
)

func TestWritingGoesNowhere(t *testing.T) {
	ctx := t.Context()
	inner := mem.New()
	if err := inner.Put(ctx, "a/b", []byte("old")); err != nil {
		t.Fatal(err)
	}
	s := dryrun.New(inner)
	if err := s.Put(ctx, "a/c", []byte("new")); err != nil {
		t.Error(err)
	}
	g, err := s.Stage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Write([]byte("new")); err != nil {
		t.Error(err)
	}
	if err := g.Commit(ctx, "a/d"); err != nil {
		t.Error(err)
	}
	if err := s.Delete(ctx, "a/b"); err != nil {
		t.Error(err)
	}
	if got, err := s.Get(ctx, "a/b", 0, -1, nil); err != nil || string(got) != "old" {
		t.Errorf("a/b is %q, %v", got, err)
	}
	for _, name := range []string{"a/c", "a/d"} {
		if _, err := s.Get(ctx, name, 0, -1, nil); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	n := 0
	if err := s.List(ctx, "", func(string, int64) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d objects, %v", n, err)
	}
	if err := s.Put(ctx, "../x", nil); err == nil {
		t.Error("a bad name is accepted")
	}
}
