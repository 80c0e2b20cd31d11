package backup_test

import (
	"strings"
	"testing"

	"restante/backup"
)

// A table of segments that is accepted has all its items in the file, one behind the other.
func FuzzSketch(f *testing.F) {
	for _, lengths := range [][]int64{nil, {1}, {300, 7, 1 << 20}} {
		table, end := backup.SketchTable(lengths...)
		f.Add(table, end)
		f.Add(table, end-1)
		f.Add(append(table, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), end)
	}
	f.Fuzz(func(t *testing.T, table []byte, end int64) {
		_, items, err := backup.ParseSketch(table, end)
		if err != nil && strings.Contains(err.Error(), "ends behind") {
			t.Error(err)
		}
		if err == nil && items > end {
			t.Errorf("there are %d bytes of items in %d", items, end)
		}
	})
}
