package chunking_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"restante/chunking"
)

// A polynomial for tests only.
const polynomial = 0x3DA3358B4DC173

func cut(t testing.TB, r io.Reader) (pieces [][]byte, cuts []bool) {
	t.Helper()
	c, err := chunking.New(polynomial)
	if err != nil {
		t.Fatal(err)
	}
	c.Reset(r)
	for {
		p, ended, err := c.Next(nil)
		if errors.Is(err, io.EOF) {
			return pieces, cuts
		}
		if err != nil {
			t.Fatal(err)
		}
		pieces, cuts = append(pieces, p), append(cuts, ended)
	}
}

func randomBytes(n int, seed uint64) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
	return b
}

func TestJoinedPiecesAreTheStream(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, chunking.MinSize - 1, chunking.MinSize, chunking.MinSize + 1, 5 << 20, 30 << 20} {
		data := randomBytes(n, 1)
		pieces, _ := cut(t, iotest.HalfReader(bytes.NewReader(data)))
		if !bytes.Equal(bytes.Join(pieces, nil), data) {
			t.Fatalf("%d bytes: the pieces are not the stream", n)
		}
		for i, p := range pieces {
			if len(p) > chunking.MaxSize || len(p) < chunking.MinSize && i < len(pieces)-1 {
				t.Errorf("%d bytes: piece %d has %d", n, i, len(p))
			}
		}
	}
}

// A piece that ended at a cut is found again whatever follows it.
func TestCutDependsOnNothingLater(t *testing.T) {
	data := randomBytes(24<<20, 2)
	pieces, cuts := cut(t, bytes.NewReader(data))
	end := 0
	for i, p := range pieces {
		end += len(p)
		if !cuts[i] {
			if i != len(pieces)-1 {
				t.Errorf("piece %d of %d did not end at a cut", i, len(pieces))
			}
			continue
		}
		again, cutsAgain := cut(t, bytes.NewReader(data[:end]))
		if len(again) != i+1 || !bytes.Equal(again[i], p) || !cutsAgain[i] {
			t.Errorf("piece %d is cut differently when the stream ends after it", i)
		}
	}
	zeros, zeroCuts := cut(t, bytes.NewReader(make([]byte, 2*chunking.MaxSize)))
	if len(zeros[0]) < chunking.MinSize || !zeroCuts[0] {
		t.Errorf("zeros: first piece has %d bytes, cut %v", len(zeros[0]), zeroCuts[0])
	}
}

func TestAnEditMovesOnlyNearbyCuts(t *testing.T) {
	data := randomBytes(40<<20, 3)
	edited := bytes.Join([][]byte{data[:17<<20], []byte("an insertion"), data[17<<20:]}, nil)
	known := map[[32]byte]bool{}
	pieces, _ := cut(t, bytes.NewReader(data))
	for _, p := range pieces {
		known[sha256.Sum256(p)] = true
	}
	fresh := 0
	pieces, _ = cut(t, bytes.NewReader(edited))
	for _, p := range pieces {
		if !known[sha256.Sum256(p)] {
			fresh++
		}
	}
	if fresh == 0 || fresh > 3 {
		t.Errorf("an insertion of 12 bytes into %d pieces made %d new ones", len(pieces), fresh)
	}
}

func TestOneCutterServesManyStreams(t *testing.T) {
	c, err := chunking.New(polynomial)
	if err != nil {
		t.Fatal(err)
	}
	data := randomBytes(9<<20, 4)
	want, _ := cut(t, bytes.NewReader(data))
	for range 3 {
		c.Reset(bytes.NewReader(data))
		for i := range want {
			p, _, err := c.Next(nil)
			if err != nil || !bytes.Equal(p, want[i]) {
				t.Fatalf("piece %d: %v, or other bytes", i, err)
			}
		}
	}
}

func TestStreamErrorsComeThrough(t *testing.T) {
	c, err := chunking.New(polynomial)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("disk on fire")
	c.Reset(io.MultiReader(bytes.NewReader(randomBytes(1<<20, 5)), iotest.ErrReader(broken)))
	for {
		if _, _, err = c.Next(nil); err != nil {
			break
		}
	}
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestPolynomials(t *testing.T) {
	p, err := chunking.NewPolynomial()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chunking.New(p); err != nil {
		t.Error(err)
	}
	for _, bad := range []uint64{0, 1, 1 << 53, 7} {
		if _, err := chunking.New(bad); err == nil {
			t.Errorf("polynomial %#x accepted", bad)
		}
	}
}
