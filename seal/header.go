package seal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Sizes and numbers of the object format. Part of the format: values are
// never reused.
const (
	HeaderSize = 64 // plaintext header of every object
	Overhead   = 16 // what Box.Seal adds

	version   = 1 // of objects
	suite     = 1 // HPKE MLKEM768-X25519, HKDF-SHA256, AES-256-GCM, Ed25519, SHA-256
	epoch     = 1 // of the repository's keys
	magic     = "restante"
	encapSize = 1120 // HPKE encapsulation of MLKEM768-X25519
	saltSize  = 32
)

// A Kind says what an object is for. Part of the format.
type Kind byte

// The kinds.
const (
	KindConfig    Kind = 'c'
	KindDataPack  Kind = 'p'
	KindTreePack  Kind = 't'
	KindDataIndex Kind = 'i' // index of data packs
	KindTreeIndex Kind = 'j' // index of tree packs
	KindSnapshot  Kind = 's'
	KindIntent    Kind = 'n'
	KindMark      Kind = 'm'
	KindTombstone Kind = 'x'
	KindForgotten Kind = 'f' // a snapshot's forgotten record
	KindHold      Kind = 'h'
	KindDamage    Kind = 'd'
	KindSeen      Kind = 'v' // the marks that a session has seen
)

// String returns the kind's name, for messages to a person.
func (k Kind) String() string {
	switch k {
	case KindConfig:
		return "config"
	case KindDataPack:
		return "data pack"
	case KindTreePack:
		return "tree pack"
	case KindDataIndex:
		return "index of data packs"
	case KindTreeIndex:
		return "index of tree packs"
	case KindSnapshot:
		return "snapshot"
	case KindIntent:
		return "intent"
	case KindMark:
		return "mark"
	case KindTombstone:
		return "tombstone"
	case KindForgotten:
		return "forgotten record"
	case KindHold:
		return "hold"
	case KindDamage:
		return "record of damage"
	case KindSeen:
		return "list of seen marks"
	}
	return fmt.Sprintf("kind 0x%02x", byte(k))
}

func (k Kind) valid() bool { return bytes.IndexByte([]byte("cptijsnmxfhdv"), byte(k)) >= 0 }

// A Mode says who can open an object's content. Part of the format.
type Mode byte

// The modes.
const (
	ModePublic Mode = 1 // sealed to the repository's public key: owners open it
	ModeIndex  Mode = 2 // sealed under the index key: every key file opens it
)

// PrefixSize returns how many plaintext bytes an object of mode m begins
// with, or 0 for a mode that is not known.
func PrefixSize(m Mode) int {
	switch m {
	case ModePublic:
		return HeaderSize + encapSize
	case ModeIndex:
		return HeaderSize + saltSize
	}
	return 0
}

// A RepoID names a repository. It is random.
type RepoID [16]byte

// String returns the ID as 32 lower-case hexadecimal digits.
func (r RepoID) String() string { return hex.EncodeToString(r[:]) }

// A Session names one run that writes. It is random.
type Session [16]byte

// String returns the session as 32 lower-case hexadecimal digits.
func (s Session) String() string { return hex.EncodeToString(s[:]) }

// ParseSession reads the form that [Session.String] prints and no other.
func ParseSession(text string) (Session, error) {
	var s Session
	if len(text) != 2*len(s) {
		return Session{}, fmt.Errorf("parsing session %q: it has %d characters, not %d", text, len(text), 2*len(s))
	}
	if _, err := hex.Decode(s[:], []byte(text)); err != nil {
		return Session{}, fmt.Errorf("parsing session %q: %w", text, err)
	}
	if s.String() != text {
		return Session{}, fmt.Errorf("parsing session %q: it is not in lower case", text)
	}
	return s, nil
}

// A SignerID tells signing keys apart: the first 16 bytes of the SHA-256 of
// an Ed25519 public key.
type SignerID [16]byte

// String returns the ID as 32 lower-case hexadecimal digits.
func (s SignerID) String() string { return hex.EncodeToString(s[:]) }

// A Header begins every object, in plaintext.
type Header struct {
	Kind    Kind
	Mode    Mode
	Version uint16
	Suite   uint16
	Epoch   uint16
	Repo    RepoID
	Session Session
	Signer  SignerID
}

func (h Header) encode() []byte {
	b := make([]byte, 0, HeaderSize)
	b = append(b, magic...)
	b = append(b, byte(h.Kind), byte(h.Mode))
	b = binary.LittleEndian.AppendUint16(b, h.Version)
	b = binary.LittleEndian.AppendUint16(b, h.Suite)
	b = binary.LittleEndian.AppendUint16(b, h.Epoch)
	b = append(b, h.Repo[:]...)
	b = append(b, h.Session[:]...)
	return append(b, h.Signer[:]...)
}

// ParseHeader reads the header at the beginning of an object; what follows
// the header in b is not looked at. The error wraps [ErrDamaged], or is a
// [TooNewError] when a newer program made the object.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, fmt.Errorf("parsing header: %w: it has %d bytes, not %d", ErrDamaged, len(b), HeaderSize)
	}
	if string(b[:8]) != magic {
		return Header{}, fmt.Errorf("parsing header: %w: it does not begin with %q", ErrDamaged, magic)
	}
	h := Header{
		Kind:    Kind(b[8]),
		Mode:    Mode(b[9]),
		Version: binary.LittleEndian.Uint16(b[10:]),
		Suite:   binary.LittleEndian.Uint16(b[12:]),
		Epoch:   binary.LittleEndian.Uint16(b[14:]),
		Repo:    RepoID(b[16:32]),
		Session: Session(b[32:48]),
		Signer:  SignerID(b[48:64]),
	}
	if err := h.check(); err != nil {
		return Header{}, err
	}
	return h, nil
}

// check refuses what this version cannot handle. The version comes first: a
// newer one may give every other field a meaning that is not known here.
func (h Header) check() error {
	for _, f := range []struct {
		what         string
		found, known uint16
	}{
		{"format version", h.Version, version},
		{"algorithm suite", h.Suite, suite},
		{"key epoch", h.Epoch, epoch},
	} {
		if f.found > f.known {
			return fmt.Errorf("parsing header: %w", &TooNewError{What: f.what, Found: f.found, Known: f.known})
		}
		if f.found == 0 && f.what == "format version" {
			return fmt.Errorf("parsing header: %w: %w", ErrDamaged, ErrDraft)
		}
		if f.found < f.known {
			return fmt.Errorf("parsing header: %w: %s %d does not exist", ErrDamaged, f.what, f.found)
		}
	}
	if !h.Kind.valid() {
		return fmt.Errorf("parsing header: %w: there is no %v", ErrDamaged, h.Kind)
	}
	if PrefixSize(h.Mode) == 0 {
		return fmt.Errorf("parsing header: %w: there is no mode %d", ErrDamaged, h.Mode)
	}
	return nil
}
