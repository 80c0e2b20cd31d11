package blob_test

import (
	"bytes"
	"cmp"
	"strings"
	"testing"

	"restante/blob"
)

func TestParseIDIsStrict(t *testing.T) {
	id := blob.NameOf([]byte("a"))
	got, err := blob.ParseID(id.String())
	if err != nil || got != id {
		t.Fatalf("ParseID(%q) = %v, %v", id.String(), got, err)
	}
	for _, bad := range []string{"", "00", id.String()[1:], id.String() + "0", strings.ToUpper(id.String()), strings.Repeat("g", 64)} {
		if _, err := blob.ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) accepted", bad)
		}
	}
}

// The first test vectors of the BLAKE3 specification: input bytes 0, 1, 2, … 250, 0, …
// and the key "whats the Elvish word for friend".
func TestHashVectors(t *testing.T) {
	input := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i % 251)
		}
		return b
	}
	var key blob.Key
	copy(key[:], "whats the Elvish word for friend")
	for _, tc := range []struct {
		n            int
		plain, keyed string
	}{
		{0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262", "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"},
		{1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213", "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b"},
		{1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7", "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4"},
	} {
		if got := blob.NameOf(input(tc.n)).String(); got != tc.plain {
			t.Errorf("NameOf %d bytes = %s, want %s", tc.n, got, tc.plain)
		}
		if got := blob.NewHasher(key).Sum(input(tc.n)).String(); got != tc.keyed {
			t.Errorf("keyed sum of %d bytes = %s, want %s", tc.n, got, tc.keyed)
		}
	}
}

func TestSumJoinsItsParts(t *testing.T) {
	h := blob.NewHasher(blob.Key{1})
	whole := bytes.Repeat([]byte("poste restante "), 1000)
	want := h.Sum(whole)
	if got := h.Sum(whole[:7], nil, whole[7:9000], whole[9000:]); got != want {
		t.Error("the ID of a piece depends on how its bytes were handed over")
	}
	h.Begin()
	h.Write(whole[:5000])
	h.Write(whole[5000:])
	if h.ID() != want {
		t.Error("a piece that is handed over in parts has another ID")
	}
	n := blob.NewNameHash()
	n.Write(whole[:100])
	n.Write(whole[100:])
	if n.ID() != blob.NameOf(whole) {
		t.Error("NameHash and NameOf disagree")
	}
}

func TestDeriveSeparates(t *testing.T) {
	k := blob.Key{1}
	a, b := k.Derive("a"), k.Derive("b")
	if a == b || a == k || a != k.Derive("a") {
		t.Error("derived keys are not separate and repeatable")
	}
}

func TestOrder(t *testing.T) {
	low, high := blob.ID{0, 9}, blob.ID{1}
	clumps := []blob.Clump{{low, 1, 1}, {low, 1, 2}, {low, 2, 1}, {high, 0, 0}}
	for i, a := range clumps {
		for j, b := range clumps {
			if got, want := a.Compare(b), cmp.Compare(i, j); got != want {
				t.Errorf("%v beside %v: %d, want %d", a, b, got, want)
			}
		}
	}
	if low.Compare(high) != -1 || high.Compare(low) != 1 || low.Compare(low) != 0 {
		t.Error("IDs are not ordered by their bytes")
	}
}
