package backup_test

import (
	"path"
	"strings"
	"sync"
	"testing"

	"restante/backup"
	"restante/blob"
	"restante/repo"
)

// spoilData damages the largest pack, in its first clump.
func (f *fixture) spoilData() blob.ID {
	f.t.Helper()
	name, most := "", int64(0)
	for n, size := range f.objects() {
		if strings.HasPrefix(n, "packs/") && size > most {
			name, most = n, size
		}
	}
	data, err := f.store.Get(f.t.Context(), name, 0, -1, nil)
	must(f.t, err)
	data[1190] ^= 1
	must(f.t, f.store.Delete(f.t.Context(), name))
	must(f.t, f.store.Put(f.t.Context(), name, data))
	id, err := blob.ParseID(path.Base(name))
	must(f.t, err)
	return id
}

// When packs are found damaged the next run reads everything and stores again
// what was there, and the one after that reads nothing. So it is when they are
// repaired before, and nothing says any more what was there.
func TestWhatIsLostIsReadAgain(t *testing.T) {
	for _, repaired := range []bool{false, true} {
		f := newFixture(t)
		f.maildir("alice/Maildir", 40)
		f.clean()
		if read := f.clean().Snapshot.Run.BytesRead; read != 0 {
			t.Fatalf("%d bytes of an unchanged store are read", read)
		}
		pack := f.spoilData()
		if repaired {
			report, err := f.open().RepairPacks(t.Context(), []blob.ID{pack}, repo.RepairOptions{})
			must(t, err)
			if len(report.Packs) != 1 || report.Packs[0].Lost == 0 {
				t.Fatalf("%+v", report)
			}
		} else {
			_, err := f.open().NoteDamage(t.Context(), func(all map[blob.ID]repo.Damage) { all[pack] = repo.Damage{Pack: pack, Clumps: []uint32{1184}} })
			must(t, err)
		}
		night := f.run()
		if night.Snapshot.Run.BytesRead == 0 {
			t.Error("nothing is read after the damage")
		}
		f.identical(night)
		if read := f.run().Snapshot.Run.BytesRead; read != 0 {
			t.Errorf("%d bytes are read in the night after", read)
		}
	}
}

// What is found damaged while a backup runs may be what it relies on: it says so, and the next
// one stores that again.
func TestDamageFoundMeanwhile(t *testing.T) {
	for _, repaired := range []bool{false, true} {
		f := newFixture(t)
		f.maildir("alice/Maildir", 40)
		if n := f.clean().Harmed; n != 0 {
			t.Errorf("%d packs are harmed at first", n)
		}
		find := sync.OnceFunc(func() {
			pack := f.spoilData()
			_, err := f.open().NoteDamage(t.Context(), func(all map[blob.ID]repo.Damage) { all[pack] = repo.Damage{Pack: pack, Clumps: []uint32{1184}} })
			if err == nil && repaired {
				_, err = f.open().RepairPacks(t.Context(), []blob.ID{pack}, repo.RepairOptions{})
			}
			if err != nil {
				t.Error(err)
			}
		})
		night := f.run(func(o *backup.Options) { backup.SetHook(o, func(string, string) { find() }) })
		if night.Harmed != 1 {
			t.Errorf("repaired: %t; %d packs are harmed", repaired, night.Harmed)
		}
		if _, failed := f.restore(night); len(failed) == 0 {
			t.Error("nothing is lost: the test shows nothing")
		}
		next := f.run()
		if next.Harmed != 0 {
			t.Errorf("%d packs are harmed in the next run", next.Harmed)
		}
		f.identical(next)
	}
}
