package repo_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/repo"
)

// TestExample keeps the example in the package comment true.
func TestExample(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(doc), "// # Example\n")
	if !found {
		t.Fatal("there is no example")
	}
	var digits strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^//\t((?:[0-9a-f]{2,4} ?)+)(?:  |$)`).FindAllStringSubmatch(example, -1) {
		digits.WriteString(strings.ReplaceAll(m[1], " ", ""))
	}
	written, err := hex.DecodeString(digits.String())
	if err != nil || len(written) == 0 {
		t.Fatalf("the example has the bytes %q, %v", digits.String(), err)
	}
	clump := repo.ClumpInfo{Class: blob.Text, Offset: firstOffset, Length: 300, Raw: 700, Tag: [16]byte([]byte("tag of the clump")),
		Pieces: []repo.Piece{{ID: blob.ID(bytes.Repeat([]byte("a"), 32)), Size: 500}, {ID: blob.ID(bytes.Repeat([]byte("b"), 32)), Size: 200}}}
	if made := repo.EncodeDirectory([]repo.ClumpInfo{clump}); !bytes.Equal(made, written) {
		t.Errorf("the directory is\n%x, the example has\n%x", made, written)
	}
	read, err := repo.DecodeDirectory(written, firstOffset, firstOffset+300)
	if err != nil || !slices.EqualFunc(read, []repo.ClumpInfo{clump}, equalClumps) {
		t.Errorf("the example reads as %+v, %v", read, err)
	}
	const prefix, seal, trailer = 1184, 16, 84
	if size := prefix + 300 + len(written) + seal + trailer; size != 1675 {
		t.Errorf("the pack would have %d bytes", size)
	}
}
