package gc_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"restante/gc"
	"restante/repo"
)

// A model is what a repository has to hold, whatever was done to it in which order.
type model struct {
	f    *fixture
	rng  *rand.Rand
	open []*run
	kept []*run
	has  map[*run][]string // paths
	log  []string
}

func (m *model) paths() []string {
	var some []string
	for _, c := range "abcdefgh" {
		if m.rng.IntN(2) == 0 {
			some = append(some, string(c))
		}
	}
	return append(some, "z")
}

// act does one thing that may come at any time: a session begins, ends, or
// gives up, or a snapshot is forgotten.
func (m *model) act() {
	switch n := m.rng.IntN(8); {
	case n < 3 && len(m.open) < 4:
		m.begin()
	case n < 5 && len(m.open) > 0:
		i := m.rng.IntN(len(m.open))
		b := m.open[i]
		m.open = slices.Delete(m.open, i, i+1)
		m.log = append(m.log, "commit "+b.s.ID().String()[:4])
		if err := b.tryCommit(); err == nil {
			m.kept = append(m.kept, b)
		} else if !errors.Is(err, repo.ErrClosed) {
			m.f.t.Fatal(err)
		}
	case n == 5 && len(m.open) > 0:
		b := m.open[0]
		m.open = m.open[1:]
		m.log = append(m.log, "abandon "+b.s.ID().String()[:4])
		if err := b.s.Abandon(m.f.t.Context()); err != nil {
			m.f.t.Fatal(err)
		}
	case len(m.kept) > 0:
		i := m.rng.IntN(len(m.kept))
		m.log = append(m.log, "forget "+m.kept[i].s.ID().String()[:4])
		m.f.forget(m.kept[i])
		m.kept = slices.Delete(m.kept, i, i+1)
	}
}

// begin begins a session as a backup does: it takes over from a parent what it may.
func (m *model) begin() {
	var parent *run
	if len(m.kept) > 0 && m.rng.IntN(4) > 0 {
		parent = m.kept[m.rng.IntN(len(m.kept))]
	}
	b := m.f.begin(parent)
	m.log = append(m.log, fmt.Sprintf("begin %s, parent %v, marks %v", b.s.ID().String()[:4], parent != nil, b.s.Marks()))
	trust := parent != nil && slices.Contains(m.kept, parent) && b.s.MayBuildOn(parent.s.ID(), parent.s.Marks())
	m.has[b] = m.paths()
	for _, path := range m.has[b] {
		if trust && slices.Contains(m.has[parent], path) {
			b.takeOver(path)
		} else {
			b.add(path)
		}
	}
	m.open = append(m.open, b)
}

// prune prunes, and at some of its calls something else happens.
func (m *model) prune() {
	in := m.rng.IntN(40)
	m.f.store.before = func(op, _ string) {
		if op == "get" {
			return
		}
		if in--; in < 0 {
			in = m.rng.IntN(20)
			m.log = append(m.log, "  at "+m.f.store.calls[len(m.f.store.calls)-1])
			m.act()
		}
	}
	m.log = append(m.log, "prune")
	m.f.now = m.f.now.Add(time.Duration(m.rng.IntN(48)) * time.Hour)
	_, err := m.f.prune(unused(float64(m.rng.IntN(50))), grace(time.Duration(m.rng.IntN(2)*24)*time.Hour), func(o *gc.Options) {
		if len(m.open) > 0 && m.rng.IntN(8) == 0 {
			o.Drop = []string{m.open[0].s.ID().String()}
			m.log = append(m.log, "drop "+o.Drop[0][:4])
		}
	})
	m.f.store.before = nil
	if err != nil && !errors.Is(err, gc.ErrUnknownSession) {
		m.f.t.Fatal(err)
	}
	m.f.sound(m.kept...)
}

// Whatever sessions, forgetting and pruning do in whatever order, each snapshot
// that is there is whole.
func TestModel(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		f := newFixture(t)
		m := &model{f: f, rng: rand.New(rand.NewPCG(uint64(seed), 5)), has: map[*run][]string{}}
		for range 25 {
			if m.rng.IntN(3) == 0 {
				m.prune()
			} else {
				m.act()
			}
			if t.Failed() {
				t.Fatalf("seed %d:\n%s", seed, strings.Join(m.log, "\n"))
			}
		}
	}
}
