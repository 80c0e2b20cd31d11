package blob

import (
	"fmt"

	"github.com/zeebo/blake3"
)

// KeySize is the length of a Key in bytes.
const KeySize = 32

// A Key is the secret under which IDs are computed.
type Key [KeySize]byte

// Derive returns a key for another purpose, named by context, by BLAKE3's
// key derivation: who learns it learns neither the parent nor a sibling.
// Contexts are part of the format.
func (k Key) Derive(context string) Key {
	var out Key
	blake3.DeriveKey(context, k[:], out[:])
	return out
}

// A Hasher computes the IDs of pieces under one key. It keeps its state to
// save allocations, so it serves one goroutine at a time.
type Hasher struct {
	h   *blake3.Hasher
	buf [IDSize]byte
}

// NewHasher returns a Hasher for pieces under key.
func NewHasher(key Key) *Hasher {
	h, err := blake3.NewKeyed(key[:])
	if err != nil {
		panic(fmt.Sprintf("blob: BLAKE3 refuses a key of %d bytes: %v", KeySize, err)) // cannot happen: the size is fixed
	}
	return &Hasher{h: h}
}

// Sum returns the ID of the piece that is the concatenation of parts.
func (h *Hasher) Sum(parts ...[]byte) ID {
	h.h.Reset()
	for _, p := range parts {
		h.h.Write(p)
	}
	return ID(h.h.Sum(h.buf[:0]))
}

// Begin begins a piece that is handed over with Write and named by ID. Sum
// begins a piece of its own and so ends this one.
func (h *Hasher) Begin() { h.h.Reset() }

// Write adds p to the piece that Begin began; it never fails.
func (h *Hasher) Write(p []byte) (int, error) { return h.h.Write(p) }

// ID returns the ID of what was written since Begin.
func (h *Hasher) ID() ID { return ID(h.h.Sum(h.buf[:0])) }

// A NameHash computes the name of an object as its bytes go by: BLAKE3 with
// no key, so that bit rot is found by whoever holds the bytes.
type NameHash struct{ h *blake3.Hasher }

// NewNameHash returns a NameHash that has seen no bytes.
func NewNameHash() *NameHash { return &NameHash{blake3.New()} }

// Write adds p; it never fails.
func (n *NameHash) Write(p []byte) (int, error) { return n.h.Write(p) }

// ID returns the name of the bytes written so far.
func (n *NameHash) ID() ID {
	var id ID
	n.h.Sum(id[:0])
	return id
}

// NameOf returns the name of the object with these bytes.
func NameOf(object []byte) ID { return ID(blake3.Sum256(object)) }
