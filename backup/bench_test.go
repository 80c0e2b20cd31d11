package backup_test

import (
	"os"
	"testing"
	"time"

	"restante/backup"
	"restante/internal/mailgen"
	"restante/mailstore"
	"restante/repo"
	"restante/storage/mem"
)

// benchStore returns a function that backs a mail store up, which is that of
// RESTANTE_BENCH_STORE or made here, and how large the made one is.
func benchStore(b *testing.B) (back func(f *fixture, changes ...backup.Limit) *backup.Result, bytes int64) {
	b.Helper()
	dir := os.Getenv("RESTANTE_BENCH_STORE")
	if dir == "" {
		dir = b.TempDir()
		report, err := mailgen.Generate(dir, mailgen.Options{Layout: mailgen.Maildir, Messages: 2000, Mailboxes: 10, Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		bytes = report.Bytes
	}
	store, err := mailstore.Detect(b.Context(), []string{dir}, mailstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return func(f *fixture, changes ...backup.Limit) *backup.Result {
		o := backup.Options{Store: store, Name: "store", Host: "mx", CacheDir: f.cache, Compression: repo.Default}
		backup.SetLimits(&o, append(changes, backup.SettleTime(-time.Hour))...)
		result, err := backup.Run(b.Context(), f.open(), o)
		if err != nil {
			b.Fatal(err)
		}
		return result
	}, bytes
}

func benchFixture(b *testing.B) *fixture {
	b.Helper()
	f := &fixture{t: b, store: mem.New(), cache: b.TempDir()}
	f.create(f.store)
	return f
}

func BenchmarkFirst(b *testing.B) {
	back, bytes := benchStore(b)
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		f := benchFixture(b)
		b.StartTimer()
		back(f)
	}
}

func BenchmarkUnchanged(b *testing.B) {
	back, bytes := benchStore(b)
	f := benchFixture(b)
	back(f)
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		back(f)
	}
}
