package index_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"restante/blob"
	"restante/index"
)

// objects makes n entries in objects of perObject, in packs of 10,000.
func benchObjects(n, perObject int, seed uint64) (names []blob.ID, objects map[blob.ID]*index.Object, ids []blob.ID) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	id := func() (id blob.ID) {
		for i := 0; i < len(id); i += 8 {
			binary.LittleEndian.PutUint64(id[i:], rnd.Uint64())
		}
		return id
	}
	objects = map[blob.ID]*index.Object{}
	for len(ids) < n {
		o := &index.Object{}
		for i := range min(perObject, n-len(ids)) {
			if i%10000 == 0 {
				o.Packs = append(o.Packs, index.Pack{ID: id(), Size: 16 << 20})
			}
			e := index.Entry{ID: id(), Place: blob.Place{
				Clump: blob.Clump{Pack: o.Packs[len(o.Packs)-1].ID, Offset: uint32(i%10000) * 1600, Length: 200 << 10},
				Inner: uint32(i % 500000), Size: 4000,
			}}
			o.Entries = append(o.Entries, e)
			ids = append(ids, e.ID)
		}
		slices.SortFunc(o.Entries, func(a, b index.Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) })
		name := id()
		names, objects[name] = append(names, name), o
	}
	return names, objects, ids
}

func benchSync(b *testing.B, x *index.Index, names []blob.ID, objects map[blob.ID]*index.Object) {
	b.Helper()
	err := x.Sync(b.Context(), names, func(_ context.Context, name blob.ID) (*index.Object, error) { return objects[name], nil })
	if err != nil {
		b.Fatal(err)
	}
}

func perEntry(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/entry")
}

func BenchmarkSync(b *testing.B) {
	for _, n := range []int{30_000, 1_000_000} {
		names, objects, _ := benchObjects(n, 250_000, 1)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				x := open(b, b.TempDir())
				b.StartTimer()
				benchSync(b, x, names, objects)
				x.Close()
			}
			perEntry(b, n)
		})
	}
}

// A night: an index of a store that exists, 100 new pieces, a few look-ups.
func BenchmarkNight(b *testing.B) {
	for _, n := range []int{10_000, 30_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			names, objects, ids := benchObjects(n, 250_000, 1)
			dir := b.TempDir()
			x := open(b, dir)
			benchSync(b, x, names, objects)
			x.Close()
			seed := uint64(2)
			for b.Loop() {
				b.StopTimer()
				more, mine, _ := benchObjects(100, 100, seed)
				seed++
				names = append(names, more[0])
				objects[more[0]] = mine[more[0]]
				b.StartTimer()
				x := open(b, dir)
				benchSync(b, x, names, objects)
				for _, id := range ids[:10] {
					if _, ok, err := x.Lookup(id); !ok || err != nil {
						b.Fatal(ok, err)
					}
				}
				x.Close()
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10_000, 30_000, 1_000_000} {
		names, objects, ids := benchObjects(n, 250_000, 1)
		x := open(b, b.TempDir())
		benchSync(b, x, names, objects)
		_, _, strange := benchObjects(10_000, 10_000, 3)
		for what, ask := range map[string][]blob.ID{"hit": ids, "miss": strange} {
			b.Run(fmt.Sprintf("%s/%d", what, n), func(b *testing.B) {
				i := 0
				for b.Loop() {
					i++
					if _, ok, err := x.Lookup(ask[i*7919%len(ask)]); ok != (what == "hit") || err != nil {
						b.Fatal(ok, err)
					}
				}
			})
		}
		x.Close()
	}
}

func BenchmarkLookupSorted(b *testing.B) {
	const n = 1_000_000
	names, objects, ids := benchObjects(n, 250_000, 1)
	x := open(b, b.TempDir())
	benchSync(b, x, names, objects)
	defer x.Close()
	for _, every := range []int{1, 4, 16, 64} {
		ask := slices.Clone(ids[:n/every])
		slices.SortFunc(ask, func(a, b blob.ID) int { return bytes.Compare(a[:], b[:]) })
		for _, scan := range []bool{true, false} {
			b.Run(fmt.Sprintf("every%d/scan=%v", every, scan), func(b *testing.B) {
				x.SetScan(scan)
				for b.Loop() {
					err := x.LookupSorted(b.Context(), ask, func(_ int, _ blob.Place, ok bool) error {
						if !ok {
							b.Fatal("a piece is missing")
						}
						return nil
					})
					if err != nil {
						b.Fatal(err)
					}
				}
				perEntry(b, len(ask))
			})
		}
	}
}
