package main

import (
	"strings"
	"testing"

	"restante/repair"
)

// What was in mailboxes whose names are lost is only said to be there if nothing else is lost.
func TestUnlistedText(t *testing.T) {
	for files, there := range map[uint64]bool{0: true, 1: false} {
		text := unlistedText(&repair.Lost{Files: files, Unlisted: 2})
		if strings.Contains(text, "is there") != there || !strings.Contains(text, "restante ls --raw") {
			t.Errorf("%d files are lost: %s", files, text)
		}
	}
}
