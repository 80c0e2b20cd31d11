package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// A Role says what a key file is good for. Part of the format.
type Role uint8

// The roles.
const (
	Writer Role = 1 // makes backups; reads directories and indexes, no content
	Owner  Role = 2 // reads everything, signs configs, makes other keys
)

// String returns the role's name.
func (r Role) String() string {
	switch r {
	case Writer:
		return "writer"
	case Owner:
		return "owner"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// Keys is what a key file holds. It is not changed after it was made, so its
// methods may be called concurrently.
type Keys struct {
	Role        Role     `cbor:"1,keyasint"`
	Repo        RepoID   `cbor:"2,keyasint"`
	ID          [32]byte `cbor:"3,keyasint"` // the key of piece IDs
	Index       [32]byte `cbor:"4,keyasint"` // opens directories and indexes
	Chunker     uint64   `cbor:"5,keyasint"` // the secret polynomial of the chunker
	Public      []byte   `cbor:"6,keyasint"` // HPKE public key: content is sealed to it
	Signing     [32]byte `cbor:"7,keyasint"` // Ed25519 seed, of this key file alone
	OwnerPublic [32]byte `cbor:"8,keyasint"` // Ed25519 key that signs configs, pinned

	// Zero unless the role is Owner.
	Private   []byte   `cbor:"9,keyasint,omitempty"` // HPKE private key
	OwnerSeed [32]byte `cbor:"10,keyasint,omitzero"` // Ed25519 seed of OwnerPublic
}

// NewOwner makes the keys of a new repository.
func NewOwner(repo RepoID, chunker uint64) (*Keys, error) {
	private, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("generating repository key: %w", err)
	}
	k := &Keys{Role: Owner, Repo: repo, Chunker: chunker, Public: private.PublicKey().Bytes()}
	if k.Private, err = private.Bytes(); err != nil {
		return nil, fmt.Errorf("generating repository key: %w", err)
	}
	for _, secret := range [][]byte{k.ID[:], k.Index[:], k.Signing[:], k.OwnerSeed[:]} {
		rand.Read(secret)
	}
	k.OwnerPublic = publicOf(k.OwnerSeed)
	return k, nil
}

// Sibling returns the keys for another key file of the same repository, with
// a signing key of its own. A writer makes writers only; asked for an owner
// it returns [ErrNotOwner].
func (k *Keys) Sibling(role Role) (*Keys, error) {
	s := *k
	s.Role = role
	s.Public = bytes.Clone(k.Public)
	rand.Read(s.Signing[:])
	switch {
	case role == Writer:
		s.Private, s.OwnerSeed = nil, [32]byte{}
	case role != Owner:
		return nil, fmt.Errorf("making a key: there is no %v", role)
	case k.Role != Owner:
		return nil, fmt.Errorf("making an owner key: %w", ErrNotOwner)
	default:
		s.Private = bytes.Clone(k.Private)
	}
	return &s, nil
}

// check reports why k cannot be the keys of a role, or nil.
func (k *Keys) check() error {
	public, err := hpke.MLKEM768X25519().NewPublicKey(k.Public)
	if err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	switch k.Role {
	case Writer:
		if len(k.Private) != 0 || k.OwnerSeed != [32]byte{} {
			return errors.New("a writer key holds an owner's secrets")
		}
	case Owner:
		private, err := k.private()
		if err != nil {
			return fmt.Errorf("private key: %w", err)
		}
		if !bytes.Equal(private.PublicKey().Bytes(), public.Bytes()) {
			return errors.New("the private key is not that of the public key")
		}
		if publicOf(k.OwnerSeed) != k.OwnerPublic {
			return errors.New("the owner's signing key is not that of the pinned one")
		}
	default:
		return fmt.Errorf("there is no %v", k.Role)
	}
	return nil
}

func (k *Keys) private() (hpke.PrivateKey, error) {
	return hpke.MLKEM768X25519().NewPrivateKey(k.Private)
}

// Format prints whose key it is and, whatever the verb, none of its secrets,
// so that keys can turn up in a message or a log without harm.
func (k Keys) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%v key %v of repository %v", k.Role, k.Signer(), k.Repo)
}

// SigningPublic returns the public half of this key file's signing key.
func (k *Keys) SigningPublic() [32]byte { return publicOf(k.Signing) }

// Signer returns the ID of this key file's signing key, as headers have it.
func (k *Keys) Signer() SignerID { return SignerOf(k.SigningPublic()) }

// SignerOf returns the ID of the signing key with this public half.
func SignerOf(public [32]byte) SignerID {
	sum := sha256.Sum256(public[:])
	return SignerID(sum[:16])
}

// signatureContext keeps signatures of objects apart from any other use of
// the same key. Part of the format.
const signatureContext = "restante signature v1\x00"

// Sign signs digest with this key file's signing key.
func (k *Keys) Sign(digest [32]byte) [64]byte { return sign(k.Signing, digest) }

// SignAsOwner signs digest with the owner's key, whose public half every key
// file pins. A writer gets [ErrNotOwner].
func (k *Keys) SignAsOwner(digest [32]byte) ([64]byte, error) {
	if k.Role != Owner {
		return [64]byte{}, fmt.Errorf("signing as owner: %w", ErrNotOwner)
	}
	return sign(k.OwnerSeed, digest), nil
}

// Verify reports whether sig is the signature of digest by the key with this
// public half.
func Verify(public, digest [32]byte, sig []byte) bool {
	return ed25519.Verify(public[:], append([]byte(signatureContext), digest[:]...), sig)
}

func sign(seed, digest [32]byte) [64]byte {
	key := ed25519.NewKeyFromSeed(seed[:])
	return [64]byte(ed25519.Sign(key, append([]byte(signatureContext), digest[:]...)))
}

func publicOf(seed [32]byte) [32]byte {
	return [32]byte(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
}
