package index_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"

	"restante/index"
)

// residentTables returns how many KiB of tables this process has in memory.
func residentTables(t *testing.T, dir string) (sum int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	ours := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, n := lines.Text(), 0
		if first, _, _ := strings.Cut(line, " "); !strings.HasSuffix(first, ":") { // a mapping's first line
			ours = strings.Contains(line, dir) && strings.HasSuffix(line, ".sst")
		}
		if _, err := fmt.Sscanf(line, "Rss: %d kB", &n); err == nil && ours {
			sum += n
		}
	}
	return sum
}

// What look-ups took of the memory is given back, and the answers stay.
func TestTrimResident(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	m, dir := newModel(31), t.TempDir()
	x := open(t, dir)
	x.SetLimits(1000, 1000, 0)
	for range 5 {
		m.add(2, 0, 2000)
	}
	m.sync(t, x)
	m.check(t, x)
	if n := residentTables(t, dir); n < 500 {
		t.Fatalf("%d KiB of tables are resident after looking at all of them", n)
	}
	x.TrimResident()
	if n := residentTables(t, dir); n != 0 {
		t.Errorf("%d KiB of tables are still resident", n)
	}
	m.check(t, x)
}

// Look-ups give it back from time to time.
func TestLookupsTrim(t *testing.T) {
	m, dir := newModel(32), t.TempDir()
	x := open(t, dir)
	x.SetLimits(1000, 1000, 0)
	m.add(2, 0, 2000)
	m.sync(t, x)
	x.TrimAlways()
	for i, id := range m.all[:index.TrimEvery] {
		if i == index.TrimEvery-1 && residentTables(t, dir) == 0 {
			t.Error("no table is resident while they are looked at")
		}
		if _, _, err := x.Lookup(id); err != nil {
			t.Fatal(err)
		}
	}
	if n := residentTables(t, dir); n != 0 {
		t.Errorf("%d KiB of tables are resident after %d look-ups", n, index.TrimEvery)
	}
}
