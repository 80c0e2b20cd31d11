package gc_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"restante/gc"
)

// Whatever the file says, nothing was seen later than now, and what was read is
// written and read again.
func FuzzMemo(f *testing.F) {
	f.Add([]byte("1700000000000000000 marks/00000001\n1700000000000000001 packs/01/0123\n"), "marks/00000001")
	f.Add([]byte("9223372036854775807 a\n-9223372036854775808 b\n"), "b")
	f.Add([]byte("1 a"), "a")
	f.Add([]byte("1\n \n\n x\n"), "x")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		path, now := filepath.Join(t.TempDir(), "seen"), time.Unix(1_800_000_000, 0)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		first, again, err := gc.Remember(path, now, name)
		if err != nil || first.After(now) || len(name) > 0 && name[0] == 'm' && !again.Equal(first) {
			t.Errorf("%q was seen at %v, then at %v, %v", name, first, again, err)
		}
	})
}
