package backup_test

import (
	"testing"
	"time"

	"restante/backup"
	"restante/internal/mailgen"
	"restante/mailstore"
	"restante/repo"
	"restante/storage/mem"
)

// benchStore makes a store for a benchmark and returns a function that backs
// it up into the repository r.
func benchStore(b *testing.B) (back func(r *repo.Repository, cache string), bytes int64) {
	b.Helper()
	dir := b.TempDir()
	report, err := mailgen.Generate(dir, mailgen.Options{Layout: mailgen.Maildir, Messages: 2000, Mailboxes: 10, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	store, err := mailstore.Detect(b.Context(), []string{dir}, mailstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return func(r *repo.Repository, cache string) {
		o := backup.Options{Store: store, Name: "store", Host: "mx", CacheDir: cache, Compression: repo.Default}
		backup.SetLimits(&o, backup.SettleTime(-time.Hour))
		if _, err := backup.Run(b.Context(), r, o); err != nil {
			b.Fatal(err)
		}
	}, report.Bytes
}

func benchRepository(b *testing.B) (r *repo.Repository, cache string) {
	b.Helper()
	f := &fixture{t: b, store: mem.New(), cache: b.TempDir()}
	f.create(f.store)
	return f.open(), f.cache
}

func BenchmarkFirst(b *testing.B) {
	back, bytes := benchStore(b)
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		r, cache := benchRepository(b)
		b.StartTimer()
		back(r, cache)
	}
}

func BenchmarkUnchanged(b *testing.B) {
	back, bytes := benchStore(b)
	r, cache := benchRepository(b)
	back(r, cache)
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		back(r, cache)
	}
}
