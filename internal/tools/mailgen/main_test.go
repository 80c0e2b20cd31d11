package main

import (
	"os"
	"path/filepath"
	"testing"

	"restante/internal/mailgen"
)

// What asks for a night makes no store.
func TestNightIsMissing(t *testing.T) {
	for _, n := range []mailgen.NightOptions{{Number: -1, Percent: 1}, {Changes: 5}, {Deliver: 5}} {
		dir := filepath.Join(t.TempDir(), "store")
		if err := run(dir, mailgen.Options{Layout: mailgen.Maildir, Messages: 10}, n, mailgen.GrowOptions{}); err == nil {
			t.Errorf("%+v is no error", n)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%+v makes a store", n)
		}
	}
}
