package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"sync"
)

// Labels of key derivation. Part of the format.
const (
	hpkeInfo      = "restante object v1" // followed by the header
	hpkeExport    = "content"
	contentInfo   = "restante content v1"
	directoryInfo = "restante directory v1"
)

// An Object is one object being written or read: its plaintext beginning and
// the boxes for the rest.
type Object struct {
	Header Header
	Prefix []byte // the header, then the encapsulation or the salt

	// Content seals and opens what the mode protects. It is nil when an
	// object of ModePublic was opened with a writer's key.
	Content *Box
	// Directory seals and opens what every key file may read, in both modes.
	Directory *Box
}

// NewObject begins an object of h's kind, mode and session; the other fields
// of h are filled in. Its keys are fresh: the boxes of two objects never
// share one.
func (k *Keys) NewObject(h Header) (*Object, error) {
	h.Version, h.Suite, h.Epoch = version, suite, epoch
	h.Repo, h.Signer = k.Repo, k.Signer()
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("beginning object: %w", err)
	}
	if h.Mode == ModeIndex {
		var salt [saltSize]byte
		rand.Read(salt[:])
		return k.object(h, append(h.encode(), salt[:]...), nil)
	}
	public, err := hpke.MLKEM768X25519().NewPublicKey(k.Public)
	if err != nil {
		return nil, fmt.Errorf("beginning object: public key: %w", err)
	}
	header := h.encode()
	encap, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.ExportOnly(), infoOf(header))
	if err != nil {
		return nil, fmt.Errorf("beginning object: encapsulating: %w", err)
	}
	secret, err := sender.Export(hpkeExport, 32)
	if err != nil {
		return nil, fmt.Errorf("beginning object: exporting key: %w", err)
	}
	return k.object(h, append(header, encap...), secret)
}

// OpenObject reads the beginning of an object, at least its prefix; what
// follows the prefix in b is not looked at. The error wraps [ErrDamaged], or
// is a [TooNewError], or a [RepositoryError]. A forged or changed prefix may
// go unnoticed until one of the boxes is opened, which then fails.
func (k *Keys) OpenObject(b []byte) (*Object, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return nil, err
	}
	if h.Repo != k.Repo {
		return nil, fmt.Errorf("opening %v: %w", h.Kind, &RepositoryError{Found: h.Repo, Want: k.Repo})
	}
	size := PrefixSize(h.Mode)
	if len(b) < size {
		return nil, fmt.Errorf("opening %v: %w: it ends after %d bytes, within the prefix of %d", h.Kind, ErrDamaged, len(b), size)
	}
	prefix := append(make([]byte, 0, size), b[:size]...)
	if h.Mode == ModeIndex || k.Role != Owner {
		return k.object(h, prefix, nil)
	}
	private, err := k.private()
	if err != nil {
		return nil, fmt.Errorf("opening %v: private key: %w", h.Kind, err)
	}
	header, encap := prefix[:HeaderSize], prefix[HeaderSize:]
	recipient, err := hpke.NewRecipient(encap, private, hpke.HKDFSHA256(), hpke.ExportOnly(), infoOf(header))
	if err != nil {
		return nil, fmt.Errorf("opening %v: %w: encapsulation: %w", h.Kind, ErrDamaged, err)
	}
	secret, err := recipient.Export(hpkeExport, 32)
	if err != nil {
		return nil, fmt.Errorf("opening %v: exporting key: %w", h.Kind, err)
	}
	return k.object(h, prefix, secret)
}

// Mend opens an object with a damaged header, of which all else of the prefix is whole. It
// puts each of headers, of which the kind, mode, session and signer count, in the place
// of the one that is there. proves tells from the directory's box whether it is the right
// one; the object that it gets has no Content. Mend returns nil if none is.
func (k *Keys) Mend(prefix []byte, headers iter.Seq[Header], proves func(*Object) bool) (*Object, error) {
	for h := range headers {
		h.Version, h.Suite, h.Epoch, h.Repo = version, suite, epoch, k.Repo
		size := PrefixSize(h.Mode)
		if h.check() != nil || len(prefix) < size {
			continue
		}
		mended := append(h.encode(), prefix[HeaderSize:size]...)
		o, err := k.object(h, mended, nil)
		if err != nil {
			return nil, err
		}
		if proves(o) {
			return k.OpenObject(mended)
		}
	}
	return nil, nil
}

func infoOf(header []byte) []byte { return append([]byte(hpkeInfo), header...) }

// object makes the boxes. content is the content key of ModePublic, nil where
// it cannot be had.
func (k *Keys) object(h Header, prefix, content []byte) (*Object, error) {
	transcript := sha256.Sum256(prefix)
	directory, err := k.derive(transcript, directoryInfo)
	if err != nil {
		return nil, err
	}
	if h.Mode == ModeIndex {
		if content, err = k.derive(transcript, contentInfo); err != nil {
			return nil, err
		}
	}
	o := &Object{Header: h, Prefix: prefix}
	if o.Directory, err = newBox(directory, transcript); err != nil {
		return nil, err
	}
	if content != nil {
		if o.Content, err = newBox(content, transcript); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (k *Keys) derive(transcript [32]byte, info string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, k.Index[:], transcript[:], info, 32)
	if err != nil {
		return nil, fmt.Errorf("deriving key %q: %w", info, err)
	}
	return key, nil
}

// A Box seals and opens the parts of one object under one key. Its methods
// may be called concurrently, and allocate only what dst has to grow.
type Box struct {
	aead cipher.AEAD
	// scratch holds *scratch: what is passed through the cipher.AEAD
	// interface would otherwise be allocated for each call.
	scratch sync.Pool
}

type scratch struct {
	nonce [12]byte
	aad   [41]byte // the transcript, filled in once, then part and position
}

func newBox(key []byte, transcript [32]byte) (*Box, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("setting up AES: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("setting up GCM: %w", err)
	}
	b := &Box{aead: aead}
	b.scratch.New = func() any {
		s := new(scratch)
		copy(s.aad[:], transcript[:])
		return s
	}
	return b, nil
}

func (b *Box) at(part byte, position uint64) *scratch {
	s := b.scratch.Get().(*scratch)
	s.nonce[0], s.aad[32] = part, part
	binary.LittleEndian.PutUint64(s.nonce[4:], position)
	binary.LittleEndian.PutUint64(s.aad[33:], position)
	return s
}

// Seal appends plain, sealed, to dst and returns it: len(plain)+[Overhead]
// bytes more. Within one object, a Box must not seal two different texts at
// the same part and position: that gives both away. The capacity of dst must
// not overlap plain, unless dst is plain[:0].
func (b *Box) Seal(dst, plain []byte, part byte, position uint64) []byte {
	s := b.at(part, position)
	dst = b.aead.Seal(dst, s.nonce[:], plain, s.aad[:])
	b.scratch.Put(s)
	return dst
}

// Open appends what was sealed at this part and position to dst and returns
// it. When sealed is anything else it returns nil and an error that wraps
// [ErrDamaged]. The capacity of dst must not overlap sealed, unless dst is
// sealed[:0].
func (b *Box) Open(dst, sealed []byte, part byte, position uint64) ([]byte, error) {
	s := b.at(part, position)
	plain, err := b.aead.Open(dst, s.nonce[:], sealed, s.aad[:])
	b.scratch.Put(s)
	if err != nil {
		return nil, fmt.Errorf("opening part %q at position %d: %w", part, position, ErrDamaged)
	}
	return plain, nil
}
