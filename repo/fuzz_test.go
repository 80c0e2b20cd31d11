package repo_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"restante/blob"
	"restante/index"
	"restante/internal/cbor"
	"restante/repo"
	"restante/storage"
)

// What is accepted as a record encodes to the same bytes again.
func FuzzRecords(f *testing.F) {
	session, ids := bytes.Repeat([]byte{7}, 16), bytes.Repeat([]byte{9}, 64)
	key := map[int]any{1: session, 2: ids[:32], 3: 1, 4: ids[:32], 5: "root@mx", 6: 1_700_000_000}
	process := map[int]any{1: "boot", 2: "mx", 3: 4711, 4: 12345}
	for _, v := range []any{
		map[int]any{1: 1, 2: 4, 3: []any{key}},
		map[int]any{1: "backup", 2: "mail", 3: "mx", 4: "root", 5: session, 6: 1, 7: process},
		map[int]any{1: "backup", 2: "mail", 3: "mx\x1b[2J", 4: "root", 5: session, 6: 1, 7: process, 8: []any{ids[:32], 2}},
		map[int]any{1: 1_700_000_000, 2: true},
		map[int]any{1: 1_700_000_000, 2: "root"},
		map[int]any{1: session, 2: "a reason", 3: "root", 4: 1, 5: 2},
		map[int]any{1: 3, 2: ids, 3: session},
		map[int]any{1: 3, 2: ids[:63], 3: session},
		map[int]any{1: []any{1, 2, 3}},
		map[int]any{1: nil},
		map[int]any{},
	} {
		data, err := cbor.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for i, payload := range repo.Payloads() {
			if repo.DecodeRecord(data, payload) != nil {
				continue
			}
			again, err := cbor.Marshal(payload)
			if err != nil || !bytes.Equal(again, data) {
				t.Errorf("record %d: %x encodes differently, %v", i, data, err)
			}
			if i != 5 {
				continue
			}
			if m, err := repo.TakeMark(payload, 3); err == nil && (!slices.IsSortedFunc(m.Packs, blob.ID.Compare) || len(m.Packs) > repo.MaxMarked) {
				t.Errorf("a mark of packs %v is accepted", m.Packs)
			}
		}
	})
}

// A whole index object of whoever can seal one: its parts need not fit together.
func FuzzOpenIndex(f *testing.F) {
	store, k := newRepository(f)
	r := mustOpen(f, k, store)
	place := blob.Place{Clump: blob.Clump{Pack: numbered(1), Offset: 1184, Length: 400}, Inner: 300, Size: 70}
	block := repo.AppendEntry(nil, index.Entry{ID: numbered(5), Place: place}, 0)
	sealed := len(block) + 16
	for _, blocks := range []any{[]any{[]any{numbered(5), sealed}}, []any{[]any{numbered(4), sealed}}, []any{[]any{numbered(5), 1 << 31}}, []any{}, []any{[]any{numbered(5), 0}}} {
		head, err := cbor.Marshal(map[int]any{1: []any{[]any{numbered(1), 99}}, 2: blocks})
		if err != nil {
			f.Fatal(err)
		}
		for _, length := range []uint32{0, 1, 1 << 31} {
			f.Add(head, []byte{0x80, 0, 0}, block, length)
		}
	}
	f.Fuzz(func(t *testing.T, head, padding, block []byte, length uint32) {
		data, err := r.SealIndex(head, padding, [][]byte{block}, length)
		if err != nil {
			t.Fatal(err)
		}
		o, err := r.OpenSealedIndex(t.Context(), data)
		if err != nil {
			return
		}
		if len(o.Entries) > len(block) || len(o.Packs) > len(head) || !slices.IsSortedFunc(o.Entries, func(a, b index.Entry) int { return a.ID.Compare(b.ID) }) {
			t.Errorf("%d entries of %d packs are accepted", len(o.Entries), len(o.Packs))
		}
	})
}

// Names of objects are told apart from each other and from others.
func FuzzPartOf(f *testing.F) {
	digits := strings.Repeat("0123456789abcdef", 4)
	for _, name := range []string{"README", "config/00000001", "config/100000000", "config/01", "keys/" + digits, "packs/01/" + digits, "packs/02/" + digits, "index/" + digits,
		"intents/" + digits[:32], "snapshots/" + digits[:32], "forgotten/" + digits[:32], "holds/" + digits[:32] + "-" + digits[:32], "damaged/" + digits, "marks/00000001", "seen/" + digits[:32],
		"seen/" + strings.ToUpper(digits[:32]), "", "/", "tmp/x", "snapshots/../keys"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		part, err := repo.PartOf(name)
		if err != nil || part == "" {
			return
		}
		if storage.CheckName(name) != nil || name != "README" && !strings.HasPrefix(name, string(part)+"/") {
			t.Errorf("%q is taken for one of %q", name, part)
		}
		if h, err := repo.ParseHoldName(name); part == repo.Holds && (err != nil || h.Name() != name) {
			t.Errorf("%q is taken for %+v, %v", name, h, err)
		}
	})
}
