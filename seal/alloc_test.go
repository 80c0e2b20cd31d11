//go:build !race

package seal_test

import (
	"testing"

	"restante/seal"
)

// The race detector makes sync.Pool forget at random, hence the build tag.
func TestBoxDoesNotAllocate(t *testing.T) {
	o := newObject(t, newOwner(t), seal.KindDataPack, seal.ModePublic)
	text := make([]byte, 1000)
	buf, plain := make([]byte, 0, 2000), make([]byte, 0, 2000)
	n := testing.AllocsPerRun(500, func() {
		sealed := o.Content.Seal(buf, text, 'c', 1)
		if _, err := o.Content.Open(plain, sealed, 'c', 1); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("sealing and opening allocated %v times", n)
	}
}
