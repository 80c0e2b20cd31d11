package cbor_test

import (
	"bytes"
	"testing"

	"restante/internal/cbor"
)

type record struct {
	A int    `cbor:"1,keyasint,omitempty"`
	B string `cbor:"2,keyasint,omitempty"`
}

func TestUnmarshalIsStrict(t *testing.T) {
	for name, data := range map[string][]byte{
		"trailing byte":     {0xa1, 0x01, 0x01, 0x00},
		"unknown key":       {0xa1, 0x03, 0x01},
		"duplicate key":     {0xa2, 0x01, 0x01, 0x01, 0x02},
		"indefinite length": {0xbf, 0x01, 0x01, 0xff},
		"tag":               {0xa1, 0x02, 0xc0, 0x61, 'a'},
		"invalid UTF-8":     {0xa1, 0x02, 0x61, 0xff},
		"empty":             {},
		"huge array":        {0x9a, 0xff, 0xff, 0xff, 0xff},
	} {
		var r record
		if err := cbor.Unmarshal(data, &r); err == nil {
			t.Errorf("%s: accepted as %+v", name, r)
		}
	}
}

func TestMarshalIsDeterministic(t *testing.T) {
	m := map[string]int{"b": 1, "a": 2, "cc": 3, "d": 4}
	first, err := cbor.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		again, err := cbor.Marshal(m)
		if err != nil || !bytes.Equal(first, again) {
			t.Fatalf("%x then %x, %v", first, again, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte{0xa2, 0x01, 0x01, 0x02, 0x61, 'x'})
	f.Fuzz(func(t *testing.T, data []byte) {
		var r record
		if cbor.Unmarshal(data, &r) != nil {
			return
		}
		out, err := cbor.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var again record
		if err := cbor.Unmarshal(out, &again); err != nil || again != r {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}
