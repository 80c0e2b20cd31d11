package backup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"restante/backup"
	"restante/mailstore"
	"restante/snapshot"
)

// A parent cache is read back as it was written, whatever was in it before.
func FuzzParentCache(f *testing.F) {
	dir := f.TempDir()
	seed := filepath.Join(dir, "seed")
	block := "\x01a\x01\x07\x02\x03\x04file" + "\x03a\x00b\x00\x01\x01\x00\x00" // two records
	f.Add([]byte(block))
	f.Add([]byte(block[:9]))
	f.Add([]byte(strings.Repeat(block, 9))) // keys do not ascend
	f.Add([]byte("\x000000\x040000"))       // the root itself, whose key is empty
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte{})
	if err := backup.WriteParentBlock(seed, []byte(block)); err != nil {
		f.Fatal(err)
	}
	if records, ok := backup.ReadParent(seed); !ok || len(records) != 2 || records[1].Key != "a\x00b" || records[0].Entry != "file" {
		f.Fatalf("the seed reads as %+v", records)
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		path := filepath.Join(t.TempDir(), "parent")
		if err := backup.WriteParentBlock(path, block); err != nil {
			t.Fatal(err)
		}
		records, ok := backup.ReadParent(path)
		if !ok {
			t.Fatal("it cannot be used")
		}
		if err := backup.WriteParent(path, records); err != nil {
			t.Fatal(err)
		}
		if again, ok := backup.ReadParent(path); !ok || !slices.Equal(again, records) {
			t.Errorf("%+v became %+v", records, again)
		}
		var keys []snapshot.Key
		for _, r := range records {
			keys = append(keys, r.Key)
		}
		slices.Sort(keys)
		for _, k := range backup.FindParent(path, keys) {
			if !slices.Contains(keys, snapshot.Key(k)) {
				t.Errorf("found %q, which is not there", k)
			}
		}
	})
}

// Sections and folders are read again in groups, wherever these end.
func TestParentGroups(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	dir := t.TempDir()
	var all []backup.ParentRecord
	for i := range 3000 {
		r := backup.ParentRecord{Key: snapshot.Key(fmt.Sprintf("%05d", 2*i)), Role: mailstore.Message, Inode: uint64(i), Entry: "entry"}
		if i == 0 {
			r.Key = "" // the root, a folder as others are
		}
		if i%3 == 0 || i > 2500 && i < 2700 {
			r.Role = mailstore.Control
		}
		all = append(all, r)
	}
	if err := backup.WriteParent(dir, all); err != nil {
		t.Fatal(err)
	}
	if got, ok := backup.ReadParent(dir); !ok || !slices.Equal(got, all) {
		t.Errorf("%d records became %d", len(all), len(got))
	}
	for i, r := range all {
		if i%7 > 0 && i < 2900 {
			continue
		}
		between := snapshot.Key(fmt.Sprintf("%05d", 2*i+1))
		if found := backup.FindParent(dir, []snapshot.Key{r.Key, between}); !slices.Equal(found, []string{string(r.Key)}) {
			t.Fatalf("of %q and %q is found %q", r.Key, between, found)
		}
		listed, found := backup.Resting(dir, r.Key)
		if want := r.Role == mailstore.Control; found != want || found && listed != int64(i) {
			t.Fatalf("folder %q is found %t, listed at %d", r.Key, found, listed)
		}
		if _, found := backup.Resting(dir, between); found {
			t.Fatalf("folder %q is found", between)
		}
	}
}

// A section of records as large as the tree takes them is kept like others.
func TestParentOfLargeRecords(t *testing.T) {
	dir := t.TempDir()
	var all []backup.ParentRecord
	for i := range 8 {
		all = append(all, backup.ParentRecord{Key: snapshot.Key(fmt.Sprint(i)), Entry: strings.Repeat("x", 4<<20)})
	}
	if err := backup.WriteParent(dir, all); err != nil {
		t.Fatal(err)
	}
	if got, ok := backup.ReadParent(dir); !ok || !slices.Equal(got, all) {
		t.Errorf("%d records became %d", len(all), len(got))
	}
}

// What can no longer be read is no parent's: it is an error where a folder is to
// be taken over, and else read from the store.
func TestTornParent(t *testing.T) {
	dir := t.TempDir()
	var all []backup.ParentRecord
	for i := range 3000 {
		all = append(all, backup.ParentRecord{Key: snapshot.Key(fmt.Sprintf("%05d", i)), Role: mailstore.Control, Entry: "entry"})
	}
	if err := backup.WriteParent(dir, all); err != nil {
		t.Fatal(err)
	}
	if n, err := backup.TornParent(dir, "02000"); err == nil || n > 0 {
		t.Errorf("%d records are found, %v", n, err)
	}
}

// So it is with an entry that makes no sense though its sum is right.
func TestParentWithoutSense(t *testing.T) {
	dir := t.TempDir()
	if err := backup.WriteParent(dir, []backup.ParentRecord{{Key: "a", Role: mailstore.Message, Entry: "\xff"}}); err != nil {
		t.Fatal(err)
	}
	if damaged, err := backup.TakeRecords(dir); !damaged {
		t.Errorf("the error is %v", err)
	}
}

// Whatever a file holds instead of a parent cache, it is not used.
func FuzzParentFile(f *testing.F) {
	f.Add([]byte("restante parent 6\n"))
	f.Add(make([]byte, 200))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "sections"), data)
		if records, ok := backup.ReadParent(dir); ok {
			t.Errorf("it reads as %+v", records)
		}
	})
}

// TestParentCacheFlips flips each byte. Either the cache is not used, or it
// lacks what is damaged.
func TestParentCacheFlips(t *testing.T) {
	dir := t.TempDir()
	var want []backup.ParentRecord
	for i := range 40 {
		want = append(want, backup.ParentRecord{Key: snapshot.Key(messageName(i)), Role: 1, Inode: uint64(i), Entry: "entry"})
	}
	if err := backup.WriteParent(dir, want); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "sections"), backup.BlocksOf(dir)} {
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range good {
			bad := slices.Clone(good)
			bad[i] ^= 0x10
			write(t, path, bad)
			got, ok := backup.ReadParent(dir)
			if inSections := filepath.Base(path) == "sections"; inSections && ok || !inSections && (len(got) < len(want)-7 || len(got) == len(want)) {
				t.Errorf("byte %d of %d of %s: %d records", i, len(good), filepath.Base(path), len(got))
			}
			for _, r := range got {
				if !slices.Contains(want, r) {
					t.Errorf("byte %d of %d of %s: %+v", i, len(good), filepath.Base(path), r)
				}
			}
		}
		write(t, path, good)
	}
	if got, ok := backup.ReadParent(dir); !ok || !slices.Equal(got, want) {
		t.Errorf("unharmed it reads as %v", got)
	}
}
