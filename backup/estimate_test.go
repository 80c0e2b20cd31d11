package backup_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"restante/backup"
	"restante/internal/mailgen"
	"restante/mailstore"
)

func sized(t *testing.T, roots ...string) (*mailstore.Store, mailstore.Counts) {
	t.Helper()
	store, err := mailstore.Detect(t.Context(), roots, mailstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	size, err := store.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return store, size
}

func estimate(t *testing.T, roots ...string) uint64 {
	t.Helper()
	store, size := sized(t, roots...)
	n, err := backup.Estimate(t.Context(), store, size)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestEstimateOfMail wants what the archives of real and generated mail take:
// between a third and three quarters.
func TestEstimateOfMail(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	dir := t.TempDir()
	if _, err := mailgen.Generate(dir, mailgen.Options{Layout: mailgen.Maildir, Messages: 300, Mailboxes: 3, Seed: 5}); err != nil {
		t.Fatal(err)
	}
	_, size := sized(t, dir)
	got, total := estimate(t, dir), uint64(size.Bytes)
	if got < total/3 || got > total*3/4 {
		t.Errorf("of %d bytes %d are to be stored", total, got)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Skip("no symbolic links: ", err)
	}
	if again := estimate(t, link); again != got {
		t.Errorf("by a symbolic link it is %d, not %d", again, got)
	}
}

func TestEstimateOfSampleStandsForAll(t *testing.T) {
	dir := t.TempDir()
	// Far more than a sample: holes cost no room on this disk, and next to
	// none in a repository; a tenth of the store is noise.
	noise := make([]byte, 1<<20)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	const files = 200
	for i := range files {
		path := filepath.Join(dir, "box", "d"+string(rune('a'+i%20)), "f"+string(rune('a'+i/20)))
		if i%10 != 0 {
			write(t, path, nil)
			if err := os.Truncate(path, int64(len(noise))); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for j := range noise {
			noise[j] ^= byte(i + j>>8)
		}
		write(t, path, noise)
	}
	got := float64(estimate(t, dir)) / (files * float64(len(noise)))
	if got < 0.05 || got > 0.2 {
		t.Errorf("it is to take %.2f of the size, and not about 0.1", got)
	}
}

func TestEstimateOfLittle(t *testing.T) {
	dir := t.TempDir()
	if n := estimate(t, dir); n != 0 {
		t.Errorf("nothing takes %d bytes", n)
	}
	write(t, filepath.Join(dir, "box", "empty"), nil)
	write(t, filepath.Join(dir, "box", "file"), []byte("text"))
	if n := estimate(t, dir); n < 100 || n > 1000 {
		t.Errorf("two small files take %d bytes", n)
	}
	if n := estimate(t, filepath.Join(dir, "box", "file")); n < 50 || n > 500 {
		t.Errorf("a root that is a file takes %d bytes", n)
	}
}

func TestEstimateEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "box", "file"), []byte("text"))
	store, size := sized(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := backup.Estimate(ctx, store, size); err == nil {
		t.Error("it ended well")
	}
}
