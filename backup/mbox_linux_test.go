package backup_test

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"restante/backup"
	"restante/internal/mailgen"
)

func TestLockedMbox(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	for name, size := range map[string]uint64{"small": 64 << 20, "large": 0} {
		f := newFixture(t)
		f.write("mail/alice", mbox(3))
		f.write("mail/bob", mbox(2))
		waiting := func(d time.Duration) func(*backup.Options) {
			return func(o *backup.Options) { backup.SetLimits(o, backup.LockWait(d), backup.LockSize(size)) }
		}
		unlock := lockElsewhere(t, f.root("mail/alice"))
		result := f.clean(waiting(0))
		if !strings.Contains(f.noticed("mail/alice"), "locked") || f.noticed("mail/bob") != "" {
			t.Errorf("%s: notices %+v", name, f.notices)
		}
		dir, _ := f.restore(result)
		if got := content(t, dir)["mail/alice"]; got != mbox(3) || f.entries(result)["mail/alice"].Messages != 3 {
			t.Errorf("%s: %d bytes came back", name, len(got))
		}
		// With patience it gets the lock, and reads what was written under it.
		f.write("mail/alice", mbox(4))
		var unlocked atomic.Bool
		result = f.clean(waiting(time.Minute), at("reading", "mail/alice", func() {
			time.AfterFunc(30*time.Millisecond, func() { unlocked.Store(true); unlock() })
		}))
		if !unlocked.Load() || f.noticed("mail/alice") != "" || f.entries(result)["mail/alice"].Messages != 4 {
			t.Errorf("%s: after the lock: %+v", name, f.notices)
		}
	}
}

// A reader's lock is no obstacle, and the backup's is none to readers.
func TestMboxIsReadWithItsLock(t *testing.T) {
	for name, size := range map[string]uint64{"small": 64 << 20, "large": 0} {
		f := newFixture(t)
		f.write("mail/alice", mbox(3))
		locked := map[string]bool{}
		f.clean(func(o *backup.Options) {
			backup.SetLimits(o, backup.LockSize(size))
			backup.SetHook(o, func(op, path string) {
				if path == "mail/alice" {
					locked[op] = isLocked(t, f.root(path))
				}
			})
		})
		if want := map[string]bool{"reading": false, "opened": size > 0, "checking": true, "read": false}; fmt.Sprint(locked) != fmt.Sprint(want) {
			t.Errorf("%s: locked %v", name, locked)
		}
	}
}

func TestLockFile(t *testing.T) {
	f := newFixture(t)
	f.write("mail/alice", mbox(3))
	f.write("mail/alice.lock", "")
	f.write("mail/bob", mbox(3))
	setTime(t, f.write("mail/bob.lock", ""), time.Now().Unix()-1000, 0) // left over
	f.clean(func(o *backup.Options) { backup.SetLimits(o, backup.LockWait(0)) })
	if !strings.Contains(f.noticed("mail/alice"), "locked") || f.noticed("mail/bob") != "" {
		t.Errorf("notices %+v", f.notices)
	}
}

// A large mbox is read without a lock, and once more when it changed.
func TestMboxGrowsWhileItIsRead(t *testing.T) {
	for _, size := range []uint64{64 << 20, 0} {
		for _, times := range []int{1, 3} {
			f := newFixture(t)
			path := f.write("mail/alice", mbox(3))
			left := times
			result := f.clean(func(o *backup.Options) {
				backup.SetLimits(o, backup.LockSize(size))
				backup.SetHook(o, func(op, _ string) {
					if op == "checking" && left > 0 {
						left--
						appendTo(t, path, mbox(1))
					}
				})
			})
			note, messages := f.noticed("mail/alice"), f.entries(result)["mail/alice"].Messages
			if want := uint64(3 + min(times, 2)); messages != want || (note != "") != (times == 3) {
				t.Errorf("locked up to %d bytes, %d changes: %d messages, %q", size, times, messages, note)
			}
		}
	}
}

func appendTo(t *testing.T, path, data string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteString(data)
	must(t, err)
	must(t, file.Close())
}

func TestMboxStore(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	f := newFixture(t)
	report, err := mailgen.Generate(f.roots[0], mailgen.Options{Layout: mailgen.Mbox, Messages: 400, Mailboxes: 3, Seed: 3})
	must(t, err)
	result := f.clean()
	if got := result.Snapshot.Tree.Counts.Messages; got != uint64(report.Messages) {
		t.Errorf("%d messages, and %d were made", got, report.Messages)
	}
	dir, _ := f.restore(result)
	same(t, dir, f.roots[0])
}
