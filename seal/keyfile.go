package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"unicode"

	"filippo.io/age"

	"restante/internal/cbor"
)

const (
	// workFactor is the binary logarithm of scrypt's N for new key files: 64
	// MiB and about 150 ms, for opening one is part of every run.
	workFactor = 16
	// maxWorkFactor is the most that is done for a key file, whose header is
	// not authenticated before the work is done: 256 MiB.
	maxWorkFactor = 18

	keyFileVersion  = 1
	maxKeyFile      = 16 << 10
	maxIdentityFile = 64 << 10
	maxIdentities   = 16
	maxComment      = 4 << 10
)

// keyFile is the payload of a key file. The version stands outside of the
// body so that a newer body can be told from a damaged one.
type keyFile struct {
	_       struct{} `cbor:",toarray"`
	Version uint16
	Body    cbor.Raw
}

func encodeKeys(k *Keys) ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	body, err := cbor.Marshal(k)
	if err != nil {
		return nil, err
	}
	return cbor.Marshal(keyFile{Version: keyFileVersion, Body: body})
}

func decodeKeys(payload []byte) (*Keys, error) {
	var f keyFile
	if err := cbor.Unmarshal(payload, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if f.Version > keyFileVersion {
		return nil, &TooNewError{What: "key file version", Found: f.Version, Known: keyFileVersion}
	}
	k := new(Keys)
	if err := cbor.Unmarshal(f.Body, k); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	again, err := encodeKeys(k)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if !bytes.Equal(again, payload) {
		return nil, fmt.Errorf("%w: it is not in canonical form", ErrDamaged)
	}
	return k, nil
}

// LockPassphrase returns a key file with k that opens with the passphrase,
// taken byte for byte. It takes 64 MiB for the moment.
func LockPassphrase(k *Keys, passphrase string) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("locking key file: %w", err)
	}
	recipient.SetWorkFactor(workFactor)
	defer debug.FreeOSMemory() // else scrypt's memory stays with the process for minutes
	return lock(k, recipient)
}

// LockRecipient returns a key file with k that opens with the identity of an
// age recipient: "age1pq1…" as [NewIdentity] makes them, or the older
// "age1…" (X25519), which a quantum computer will open one day.
func LockRecipient(k *Keys, recipient string) ([]byte, error) {
	var to age.Recipient
	var err error
	switch {
	case strings.HasPrefix(recipient, "age1pq1"):
		to, err = age.ParseHybridRecipient(recipient)
	case strings.HasPrefix(recipient, "age1"):
		to, err = age.ParseX25519Recipient(recipient)
	default:
		// Not quoted: it may be an identity, a secret, given by mistake.
		err = errors.New(`the recipient does not begin with "age1"`)
	}
	if err != nil {
		return nil, fmt.Errorf("locking key file: %w", err)
	}
	return lock(k, to)
}

func lock(k *Keys, to age.Recipient) ([]byte, error) {
	payload, err := encodeKeys(k)
	if err != nil {
		return nil, fmt.Errorf("locking key file: %w", err)
	}
	var file bytes.Buffer
	w, err := age.Encrypt(&file, to)
	if err != nil {
		return nil, fmt.Errorf("locking key file: %w", err)
	}
	if _, err := w.Write(payload); err != nil {
		return nil, fmt.Errorf("locking key file: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("locking key file: %w", err)
	}
	return file.Bytes(), nil
}

// NewIdentity makes an age identity file, with the lines of comment on top,
// and the recipient that goes with it, which is to be kept as secret as the
// file: see the package comment.
func NewIdentity(comment string) (file []byte, recipient string, err error) {
	if len(comment) > maxComment {
		return nil, "", fmt.Errorf("making identity file: the comment has %d bytes; at most %d fit", len(comment), maxComment)
	}
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		return nil, "", fmt.Errorf("making identity file: %w", err)
	}
	recipient = identity.Recipient().String()
	var b bytes.Buffer
	for line := range strings.Lines(comment + "\n") {
		line = strings.TrimSuffix(line, "\n")
		if strings.ContainsFunc(line, unicode.IsControl) {
			return nil, "", fmt.Errorf("making identity file: comment line %q has control characters", line)
		}
		if line != "" {
			fmt.Fprintf(&b, "# %s\n", line)
		}
	}
	fmt.Fprintf(&b, "# public key: %s\n%s\n", recipient, identity)
	return b.Bytes(), recipient, nil
}

// An Unlocker opens key files. Its method may be called concurrently.
type Unlocker struct{ identities []age.Identity }

// Passphrase returns an Unlocker for key files that a passphrase locks.
func Passphrase(passphrase string) Unlocker {
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return Unlocker{} // the empty passphrase, which locks nothing and opens nothing
	}
	identity.SetMaxWorkFactor(maxWorkFactor)
	return Unlocker{[]age.Identity{frugal{identity}}}
}

// Identities returns an Unlocker for key files locked to a recipient whose
// identity is in file, which is an age identity file.
func Identities(file []byte) (Unlocker, error) {
	if len(file) > maxIdentityFile {
		return Unlocker{}, fmt.Errorf("reading identity file: it has %d bytes; more than %d is no identity file", len(file), maxIdentityFile)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(file))
	if err != nil {
		return Unlocker{}, fmt.Errorf("reading identity file: %w", err)
	}
	if len(identities) > maxIdentities {
		return Unlocker{}, fmt.Errorf("reading identity file: it has %d identities; at most %d are tried", len(identities), maxIdentities)
	}
	return Unlocker{identities}, nil
}

// Unlock opens a key file. The error wraps [ErrWrongKey] when the file is
// locked with something else, [ErrDamaged] when it is no key file, was
// changed, or asks for more than 256 MiB of work, and [ErrTooNew] when a newer
// program made it. A passphrase costs its work only on a file that a
// passphrase locks. Some damage cannot be told from a wrong key.
func (u Unlocker) Unlock(object []byte) (*Keys, error) {
	if len(object) > maxKeyFile {
		return nil, fmt.Errorf("unlocking key file: %w: it has %d bytes; at most %d are possible", ErrDamaged, len(object), maxKeyFile)
	}
	if len(u.identities) == 0 {
		return nil, fmt.Errorf("unlocking key file: %w", ErrWrongKey)
	}
	r, err := age.Decrypt(bytes.NewReader(object), u.identities...)
	if mismatch := (*age.NoIdentityMatchError)(nil); errors.As(err, &mismatch) {
		return nil, fmt.Errorf("unlocking key file: %w", ErrWrongKey)
	}
	if err != nil {
		return nil, fmt.Errorf("unlocking key file: %w: %w", ErrDamaged, err)
	}
	payload, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("unlocking key file: %w: %w", ErrDamaged, err)
	}
	k, err := decodeKeys(payload)
	if err != nil {
		return nil, fmt.Errorf("unlocking key file: %w", err)
	}
	return k, nil
}

// frugal gives scrypt's memory back at once, and does so only when scrypt may
// have run.
type frugal struct{ *age.ScryptIdentity }

func (f frugal) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) == 1 && stanzas[0].Type == "scrypt" {
		defer debug.FreeOSMemory() // else it stays with the process for minutes
	}
	return f.ScryptIdentity.Unwrap(stanzas)
}
