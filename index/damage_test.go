package index_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"restante/blob"
	"restante/index"
)

// filled makes a cache with two table runs and recent records.
func filled(t *testing.T, dir string) *model {
	t.Helper()
	m := newModel(20)
	for _, fold := range []int{1, 1, 1 << 14} {
		m.add(3, 1, 300)
		x := open(t, dir)
		x.SetLimits(fold, 1<<18, 1<<16)
		m.sync(t, x)
		x.Close()
	}
	return m
}

func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	for _, pattern := range []string{"synced", "g-*/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s in the cache: %v", pattern, err)
		}
		paths = append(paths, found...)
	}
	return paths
}

// outlasts checks that the cache in dir gives right answers, with one notice at
// most, and then is as good as new.
func outlasts(t *testing.T, dir string, m *model) {
	t.Helper()
	for try := range 2 {
		x := open(t, dir)
		notices, before := 0, m.loads
		x.Warn = func(error) { notices++ }
		m.sync(t, x)
		m.check(t, x)
		x.Close()
		if notices > 1-try {
			t.Errorf("%d notices in run %d", notices, try)
		}
		if try > 0 && m.loads != before {
			t.Errorf("the cache was not built again: %d objects loaded", m.loads-before)
		}
	}
	checkTidy(t, dir)
}

var damages = map[string]func(data []byte) []byte{
	"empty":    func([]byte) []byte { return nil },
	"half":     func(data []byte) []byte { return data[:len(data)/2] },
	"longer":   func(data []byte) []byte { return append(data, 0) },
	"garbage":  func(data []byte) []byte { return bytes.Repeat([]byte{0xa5}, len(data)) },
	"zeros":    func(data []byte) []byte { return make([]byte, len(data)) },
	"one bit":  func(data []byte) []byte { return flip(data, len(data)/2) },
	"last bit": func(data []byte) []byte { return flip(data, len(data)-1) },
}

func flip(data []byte, at int) []byte {
	data[at] ^= 1
	return data
}

func TestDamagedFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	first := t.TempDir()
	m := filled(t, first)
	for i, path := range files(t, first) {
		base := filepath.Base(path)
		if base == "lock" {
			continue
		}
		for what, damage := range damages {
			t.Run(base+"/"+what, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "cache")
				if err := os.CopyFS(dir, os.DirFS(first)); err != nil {
					t.Fatal(err)
				}
				path := files(t, dir)[i]
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, damage(data), 0o600); err != nil {
					t.Fatal(err)
				}
				outlasts(t, dir, m)
			})
		}
	}
}

func TestLostAndStrangeFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	first := t.TempDir()
	m := filled(t, first)
	for i, path := range files(t, first) {
		dir := filepath.Join(t.TempDir(), "cache")
		if err := os.CopyFS(dir, os.DirFS(first)); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(files(t, dir)[i]); err != nil {
			t.Fatal(err)
		}
		t.Logf("without %s", filepath.Base(path))
		outlasts(t, dir, m)
	}
	for _, name := range []string{"00009.mem", "000009.sst", "000009.vlog", "DISCARD", "strange"} {
		dir := filepath.Join(t.TempDir(), "cache")
		if err := os.CopyFS(dir, os.DirFS(first)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(filepath.Dir(files(t, dir)[1]), name)
		if err := os.WriteFile(path, bytes.Repeat([]byte("strange"), 100), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Logf("with %s", name)
		outlasts(t, dir, m)
	}
}

// A fold needs the generation that is there, so it finds damage before any look-up does.
func TestDamageFoundByFold(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	dir := t.TempDir()
	m := filled(t, dir)
	for _, path := range files(t, dir) {
		if strings.HasSuffix(path, ".sst") {
			if err := os.Truncate(path, 100); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.add(2, 0, 100)
	x := open(t, dir)
	x.SetLimits(1, 1<<18, 1<<16)
	notices := 0
	x.Warn = func(error) { notices++ }
	m.sync(t, x)
	m.check(t, x)
	x.Close()
	if notices != 1 {
		t.Errorf("%d notices", notices)
	}
	outlasts(t, dir, m)
}

// In a large generation with the old modification times the ends are checked.
func TestDamagedEndOfLargeTable(t *testing.T) {
	dir := t.TempDir()
	m := filled(t, dir)
	for _, path := range files(t, dir) {
		if !strings.HasSuffix(path, ".sst") {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, flip(data, len(data)-200), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	x := open(t, dir)
	notices := 0
	x.Warn = func(error) { notices++ }
	x.SetWhole(0)
	m.sync(t, x)
	m.check(t, x)
	x.Close()
	if notices != 1 {
		t.Errorf("%d notices", notices)
	}
	outlasts(t, dir, m)
}

// Tables that shrink while they are mapped fault when they are read.
func TestTablesShrinkWhileOpen(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be truncated")
	}
	for _, scan := range []bool{true, false} {
		dir := t.TempDir()
		m := filled(t, dir)
		x := open(t, dir)
		notices := 0
		x.Warn = func(error) { notices++ }
		m.sync(t, x)
		m.check(t, x)
		for _, path := range files(t, dir) {
			if strings.HasSuffix(path, ".sst") {
				if err := os.Truncate(path, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		if scan {
			x.SetScan(true)
			sorted := append([]blob.ID{{}}, m.all[0])
			if err := x.LookupSorted(t.Context(), sorted, func(int, blob.Place, bool) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		m.check(t, x)
		x.Close()
		if notices != 1 {
			t.Errorf("%d notices", notices)
		}
		outlasts(t, dir, m)
	}
}

func TestOtherVersion(t *testing.T) {
	dir := t.TempDir()
	m := filled(t, dir)
	path := files(t, dir)[0]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body := data[:len(data)-blob.IDSize]
	body[8] = 2
	sum := blob.NameOf(body)
	if err := os.WriteFile(path, append(body, sum[:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	outlasts(t, dir, m)
}

// Where nothing can be written the answers come from memory.
func TestCacheCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	m := newModel(21)
	x := open(t, dir)
	x.SetLimits(10, 150, 1<<16)
	notices := 0
	x.Warn = func(error) { notices++ }
	m.add(2, 0, 100)
	m.sync(t, x)
	m.check(t, x)
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Skip("the cache cannot be moved away while it is open:", err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m.add(2, 0, 100)
		m.sync(t, x)
		m.check(t, x)
	}
	x.Close()
	if notices != 1 {
		t.Errorf("%d notices", notices)
	}
}

// example is the worked example of the package comment without the hash.
const example = "7273742d696e6478" + "01000000" + "00000000" + "0000000000000000" + "0000000000000000" +
	"00000000" + "01000000" + "01000000" + "01000000" +
	"2222222222222222222222222222222222222222222222222222222222222222" + "00100000" + "01000000" +
	"1111111111111111111111111111111111111111111111111111111111111111" + "01000000" + "00000000" +
	"3333333333333333333333333333333333333333333333333333333333333333" +
	"00000000" + "40000000" + "64000000" + "05000000" + "07000000"

func repeated(b byte) (id blob.ID) { return blob.ID(bytes.Repeat([]byte{b}, blob.IDSize)) }

func TestWorkedExample(t *testing.T) {
	dir := t.TempDir()
	m := newModel(0)
	m.objects[repeated(0x11)] = &index.Object{
		Packs: []index.Pack{{ID: repeated(0x22), Size: 4096}},
		Entries: []index.Entry{{ID: repeated(0x33), Place: blob.Place{
			Clump: blob.Clump{Pack: repeated(0x22), Offset: 64, Length: 100}, Inner: 5, Size: 7}}},
	}
	x := open(t, dir)
	m.sync(t, x)
	x.Close()
	data, err := os.ReadFile(filepath.Join(dir, "synced"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(data[:len(data)-blob.IDSize]); got != example {
		t.Errorf("synced is\n%s, want\n%s", got, example)
	}
	if blob.NameOf(data[:len(data)-blob.IDSize]) != blob.ID(data[len(data)-blob.IDSize:]) {
		t.Error("the hash does not match")
	}
}

func FuzzSynced(f *testing.F) {
	body, err := hex.DecodeString(example)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	// The same with a generation of one file.
	with := bytes.Clone(body)
	with[12], with[16], with[24], with[32] = 1, 1, 9, 1
	file := append([]byte("\x08MANIFEST"), make([]byte, 24)...)
	f.Add(append(append(bytes.Clone(with[:48]), file...), with[48:]...))
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := blob.NameOf(body) // a mutation rarely guesses it
		data := append(bytes.Clone(body), sum[:]...)
		again, err := index.Recode(data)
		if err == nil && !bytes.Equal(data, again) {
			t.Fatalf("%x became %x", data, again)
		}
	})
}

func FuzzValue(f *testing.F) {
	f.Add([]byte{0, 64, 100, 5, 7})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, value []byte) {
		again, err := index.DecodeValue(value)
		if err != nil {
			return
		}
		if twice, err := index.DecodeValue(again); err != nil || !bytes.Equal(twice, again) {
			t.Fatalf("%x became %x, then %x, %v", value, again, twice, err)
		}
	})
}
