package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"restante/seal"
)

// What ParseHeader accepts is encoded again to the same bytes.
func FuzzParseHeader(f *testing.F) {
	v := readVector(f)
	f.Add(v.bytes(f, "index-prefix"))
	f.Add(v.bytes(f, "public-prefix"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := seal.ParseHeader(b)
		if err == nil && !bytes.Equal(h.Encode(), b[:seal.HeaderSize]) {
			t.Errorf("header %x became %x", b[:seal.HeaderSize], h.Encode())
		}
		if err != nil && !errors.Is(err, seal.ErrDamaged) && !errors.Is(err, seal.ErrTooNew) {
			t.Errorf("untyped error: %v", err)
		}
	})
}

// What an opened object's box opens, it seals to the same bytes: nobody can
// change what is stored without its showing. A writer opens the same prefixes
// as an owner, and never the content of ModePublic.
func FuzzOpenObject(f *testing.F) {
	v := readVector(f)
	owner, writer := v.owner(f), v.writer(f)
	for _, mode := range []string{"index", "public"} {
		f.Add(append(v.bytes(f, mode+"-prefix"), v.bytes(f, mode+"-content")...), byte('r'), uint64(258))
	}
	f.Fuzz(func(t *testing.T, b []byte, part byte, position uint64) {
		o, err := owner.OpenObject(b)
		w, writerErr := writer.OpenObject(b)
		if err != nil {
			return
		}
		if !bytes.Equal(o.Prefix, b[:seal.PrefixSize(o.Header.Mode)]) {
			t.Error("the prefix is not the object's beginning")
		}
		if writerErr != nil || !bytes.Equal(w.Prefix, o.Prefix) || (w.Content == nil) != (o.Header.Mode == seal.ModePublic) {
			t.Errorf("a writer sees another object: %v", writerErr)
		}
		sealed := b[len(o.Prefix):]
		for name, box := range map[string]*seal.Box{"content": o.Content, "directory": o.Directory} {
			plain, err := box.Open(nil, sealed, part, position)
			if err == nil && !bytes.Equal(box.Seal(nil, plain, part, position), sealed) {
				t.Errorf("%s: two sealed forms of one text", name)
			}
			if err != nil && !errors.Is(err, seal.ErrDamaged) {
				t.Errorf("%s: untyped error: %v", name, err)
			}
			if got, err := box.Open(nil, box.Seal(nil, sealed, part, position), part, position); err != nil || !bytes.Equal(got, sealed) {
				t.Errorf("%s: does not come back: %v", name, err)
			}
		}
	})
}

// What is accepted as a key file's payload is encoded again to the same bytes.
func FuzzKeyPayload(f *testing.F) {
	v := readVector(f)
	f.Add(v.bytes(f, "owner-payload"))
	f.Add(v.bytes(f, "writer-payload"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		k, err := seal.DecodeKeys(payload)
		if err != nil {
			if k != nil || !errors.Is(err, seal.ErrDamaged) && !errors.Is(err, seal.ErrTooNew) {
				t.Errorf("keys %v with error %v", k, err)
			}
			return
		}
		again, err := seal.EncodeKeys(k)
		if err != nil || !bytes.Equal(again, payload) {
			t.Errorf("payload %x became %x, %v", payload, again, err)
		}
	})
}

// A key file of whoever can write to the storage opens to keys or to an error.
func FuzzUnlock(f *testing.F) {
	v := readVector(f)
	keys, err := seal.DecodeKeys(v.bytes(f, "owner-payload"))
	if err != nil {
		f.Fatal(err)
	}
	identity, recipient, err := seal.NewIdentity("for a test")
	if err != nil {
		f.Fatal(err)
	}
	unlock, err := seal.Identities(identity)
	if err != nil {
		f.Fatal(err)
	}
	file, err := seal.LockRecipient(keys, recipient)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Fuzz(func(t *testing.T, object []byte) {
		k, err := unlock.Unlock(object)
		if (k == nil) == (err == nil) {
			t.Errorf("%v, %v", k, err)
		}
		if err != nil && !errors.Is(err, seal.ErrDamaged) && !errors.Is(err, seal.ErrWrongKey) && !errors.Is(err, seal.ErrTooNew) {
			t.Errorf("another error: %v", err)
		}
	})
}
