package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"restante/blob"
	"restante/internal/cbor"
	"restante/seal"
	"restante/storage"
)

// Parts of an object, as the nonces count them. Part of the format.
const (
	partClump     = 'c' // a clump of a pack; position is its offset
	partDirectory = 'd' // a pack's directory
	partLength    = 'l' // the length of a directory or of an index object's head
	partBlock     = 'b' // a block of an index object; position is its number
	partHead      = 'h' // an index object's head
	partRecord    = 'r' // the payload of a record
)

const (
	signatureSize = 64
	sealOverhead  = 16 // of AES-256-GCM

	// minRecord is the least padded payload of a record.
	minRecord = 1 << 10
	// maxRecord bounds the records that are read.
	maxRecord = 4 << 20
)

// sealRecord makes the bytes of a record with a payload of this package's.
func (r *Repository) sealRecord(h seal.Header, payload any) ([]byte, error) {
	plain, err := cbor.Marshal(payload)
	if err != nil {
		return nil, err
	}
	return r.sealBytes(h, plain)
}

// sealBytes makes the bytes of a record: prefix, sealed and padded payload,
// signature. The owner signs configs, each key its own other records.
func (r *Repository) sealBytes(h seal.Header, plain []byte) ([]byte, error) {
	obj, err := r.keys.NewObject(h)
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), obj.Prefix...)
	out = obj.Content.Seal(out, pad(plain, minRecord), partRecord, 0)
	sig := r.keys.Sign(blob.NameOf(out))
	if h.Kind == seal.KindConfig {
		if sig, err = r.keys.SignAsOwner(blob.NameOf(out)); err != nil {
			return nil, err
		}
	}
	if len(out)+signatureSize > maxRecord {
		return nil, fmt.Errorf("making a %v: it has %d bytes; at most %d would be read again", h.Kind, len(out)+signatureSize, maxRecord)
	}
	return append(out, sig[:]...), nil
}

// openRecord opens what sealRecord made into payload.
func (r *Repository) openRecord(data []byte, kind seal.Kind, payload any, public func(seal.SignerID) ([32]byte, bool)) (seal.Header, error) {
	h, plain, err := r.openBytes(data, kind, public)
	if err != nil {
		return seal.Header{}, err
	}
	return h, decodeRecord(plain, payload)
}

// decodeRecord reads the one encoding of a payload.
func decodeRecord(plain []byte, payload any) error {
	if err := cbor.Unmarshal(plain, payload); err != nil {
		return err
	}
	if again, err := cbor.Marshal(payload); err != nil || !bytes.Equal(again, plain) {
		return errors.New("it is not in the form that is written")
	}
	return nil
}

// openBytes checks and opens what sealBytes made. public gives the key that
// must have signed it.
func (r *Repository) openBytes(data []byte, kind seal.Kind, public func(seal.SignerID) ([32]byte, bool)) (seal.Header, []byte, error) {
	obj, err := r.openSigned(data, kind, public)
	if err != nil {
		return seal.Header{}, nil, err
	}
	if obj.Content == nil {
		return seal.Header{}, nil, ErrCannotRead
	}
	sealed := data[len(obj.Prefix) : len(data)-signatureSize]
	padded, err := obj.Content.Open(nil, sealed, partRecord, 0)
	if err != nil {
		return seal.Header{}, nil, err
	}
	plain, err := unpad(padded)
	return obj.Header, plain, err
}

// openSigned parses the prefix of a whole object that ends in a signature of
// everything before it, and checks kind and signature.
func (r *Repository) openSigned(data []byte, kind seal.Kind, public func(seal.SignerID) ([32]byte, bool)) (*seal.Object, error) {
	obj, err := r.keys.OpenObject(data)
	if err != nil {
		return nil, err
	}
	if obj.Header.Kind != kind {
		return nil, fmt.Errorf("it is a %v where a %v belongs", obj.Header.Kind, kind)
	}
	if obj.Header.Mode != modeOf(kind) {
		return nil, fmt.Errorf("it is a %v of mode %d, which there is not", kind, obj.Header.Mode)
	}
	if len(data) < len(obj.Prefix)+sealOverhead+signatureSize {
		return nil, errors.New("it is cut short")
	}
	return obj, r.verify(obj.Header.Signer, blob.NameOf(data[:len(data)-signatureSize]), data[len(data)-signatureSize:], public)
}

// modeOf returns the mode of objects of a kind. Part of the format.
func modeOf(kind seal.Kind) seal.Mode {
	switch kind {
	case seal.KindDataPack, seal.KindTreePack, seal.KindSnapshot:
		return seal.ModePublic
	}
	return seal.ModeIndex
}

// A SignerError says that an object is signed with a key that the config does not name, or
// that may not sign it.
type SignerError struct {
	// Config, if not "", is a newer config, which is damaged: it may name the key, and then
	// the object is sound.
	Config string
}

func (e *SignerError) Error() string {
	const text = "it is signed with a key that this repository does not know, or that may not sign it"
	if e.Config == "" {
		return text
	}
	return text + "; " + e.Config + ", which is damaged, may name that key"
}

// InDoubt reports whether err says that an object is signed with a key that may be named in a
// config that is damaged. Such an object must neither go nor be replaced.
func InDoubt(err error) bool {
	var e *SignerError
	return errors.As(err, &e) && e.Config != ""
}

func (r *Repository) verify(signer seal.SignerID, digest blob.ID, sig []byte, public func(seal.SignerID) ([32]byte, bool)) error {
	key, ok := public(signer)
	if !ok {
		return &SignerError{Config: r.broken}
	}
	if !seal.Verify(key, digest, sig) {
		return errors.New("its signature does not match")
	}
	return nil
}

// putOnce puts a small object under its exclusive name and settles an
// ambiguous outcome: when the name turns out to be taken, or the Put failed
// in a way that leaves it open, the bytes that are there decide.
func putOnce(ctx context.Context, store storage.Store, name string, data []byte) error {
	err := store.Put(ctx, name, data)
	if err == nil {
		return nil
	}
	there, getErr := getLimited(ctx, store, name, 0, int64(len(data)))
	if getErr == nil && string(there) == string(data) {
		// That it can be read does not say that it is durable; that its name
		// is taken does.
		if err = store.Put(ctx, name, data); err == nil || errors.Is(err, storage.ErrExists) {
			return nil
		}
	}
	return fmt.Errorf("storing %s: %w", name, err)
}

// getLimited reads a whole small object of at most limit bytes, of size bytes if that
// is known, else 0. A DamageError says that it has more; then no room was made for it.
func getLimited(ctx context.Context, store storage.Store, name string, size, limit int64) ([]byte, error) {
	if size == 0 {
		_, err := get(ctx, store, name, limit, 1, nil)
		if err == nil {
			size = limit + 1
		} else if !errors.Is(err, storage.ErrShort) {
			return nil, err
		}
	}
	if size > limit {
		return nil, &DamageError{Object: name, Err: tooLarge(size, limit)}
	}
	data, err := get(ctx, store, name, 0, -1, nil)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &DamageError{Object: name, Err: tooLarge(int64(len(data)), limit)}
	}
	return data, nil
}

// again reads, and once more when that fails: what only this once came garbled, or not
// at all, because of a cable, the memory or a network, is not damaged, and what is done
// about damage cannot be undone. All that checks what it has read goes through here.
func again[T any](ctx context.Context, read func() (T, error)) (T, error) {
	v, err := read()
	if err == nil || ctx.Err() != nil || errors.Is(err, storage.ErrNotFound) || errors.Is(err, ErrCannotRead) {
		return v, err
	}
	return read()
}

// readChecked reads a whole small object as getLimited does and returns what open makes of it.
func readChecked[T any](ctx context.Context, store storage.Store, name string, size, limit int64, open func(data []byte) (T, error)) (T, error) {
	return again(ctx, func() (v T, err error) {
		data, err := getLimited(ctx, store, name, size, limit)
		if err != nil {
			return v, err
		}
		return open(data)
	})
}

// tooLarge is the error of an object that has more bytes than it may have.
func tooLarge(size, limit int64) error {
	if size == limit+1 {
		return fmt.Errorf("it has more than %d bytes, which no object of its kind has", limit)
	}
	return fmt.Errorf("it has %d bytes; more than %d is not an object of this program", size, limit)
}
