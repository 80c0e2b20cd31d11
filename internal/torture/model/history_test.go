package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A step is one thing that happens. What Arg means is the operation's affair; any
// number means something.
type step struct {
	Op     string
	Client int
	Arg    int
	// Calls is how many calls to the storage the client makes before it is stopped,
	// -1 for all. A client that is stopped begins nothing else: only "go" takes it further.
	Calls int
}

// String returns the step as Go source, so that what failed can be made a test.
func (s step) String() string {
	return fmt.Sprintf("{%q, %d, %d, %d}", s.Op, s.Client, s.Arg, s.Calls)
}

type history []step

func (h history) String() string {
	var b strings.Builder
	for _, s := range h {
		fmt.Fprintf(&b, "\t%v,\n", s)
	}
	return b.String()
}

// ops are the operations of clients, and how often each comes.
var ops = []struct {
	name   string
	weight int
	stops  bool // the client may be stopped in the middle
}{
	{"mail", 14, false}, {"backup", 30, true}, {"go", 20, true}, {"prune", 26, true}, {"forget", 24, true}, {"policy", 5, true},
	{"unforget", 4, true}, {"hold", 3, true}, {"release", 3, true}, {"check", 6, true}, {"crash", 5, false}, {"clock", 2, false},
	{"cache", 3, false}, {"key", 2, true}, {"heal", 8, true}, {"inspect", 6, false},
}

// generate makes a history of n steps. Every second one has damage in it.
func generate(rng *rand.Rand, n int) history {
	total := 0
	for _, o := range ops {
		total += o.weight
	}
	damaging := rng.IntN(2) == 0
	var h history
	for len(h) < n {
		if damaging && rng.IntN(30) == 0 {
			h = append(h, step{"damage", 0, rng.IntN(1 << 20), 0})
			continue
		}
		at, i := rng.IntN(total), 0
		for ; at >= ops[i].weight; i++ {
			at -= ops[i].weight
		}
		s := step{Op: ops[i].name, Client: rng.IntN(clients), Arg: rng.IntN(1 << 20)}
		if ops[i].stops {
			s.Calls = -1
			if rng.IntN(3) > 0 {
				s.Calls = 1 + rng.IntN(50)
			}
		}
		h = append(h, s)
		if rng.IntN(25) == 0 {
			h = append(h, marked(rng)...)
		}
		if s.Calls > 0 && (s.Op == "backup" || s.Op == "prune") && rng.IntN(3) == 0 {
			h = append(h, asleep(rng, &h[len(h)-1])...)
		}
	}
	return h
}

// marked returns what happens around packs that are under a mark for a while: a
// backup finds its store as it was when they were made, and they go while it sleeps.
func marked(rng *rand.Rand) history {
	pruner := rng.IntN(clients)
	other := (pruner + 1 + rng.IntN(clients-1)) % clients
	state := rng.IntN(1 << 10)
	return history{
		{"mail", other, state, 0}, {"backup", other, 1, -1}, {"mail", other, state + 2, 0}, {"backup", other, 1, -1},
		{"forget", pruner, 2 * rng.IntN(1<<10), -1}, {"forget", pruner, 2 * rng.IntN(1<<10), -1}, {"prune", pruner, onlyMark, -1},
		{"mail", other, state, 0}, {"backup", other, 1, 10 + rng.IntN(14)}, {"prune", pruner, noGrace, -1}, {"go", other, 0, -1},
	}
}

// asleep returns what others do to whom a backup or a prune has been stopped that
// sleeps until they are done: what chance alone seldom brings together.
func asleep(rng *rand.Rand, s *step) (h history) {
	other := func() int { return (s.Client + 1 + rng.IntN(clients-1)) % clients }
	forget := step{"forget", other(), 2 * rng.IntN(1<<10), -1}
	prune := step{"prune", other(), noGrace | rng.IntN(16), -1}
	if s.Op == "backup" {
		s.Calls = 8 + rng.IntN(16) // it has announced itself, and not ended
		h = history{forget, prune, prune}
	} else {
		backup := step{"backup", other(), rng.IntN(16), -1}
		mail := step{"mail", backup.Client, rng.IntN(1 << 10), 0}
		h = history{mail, backup, forget, {"backup", other(), rng.IntN(16), -1}}[rng.IntN(2):]
	}
	return append(h, step{"go", s.Client, 0, -1})
}

// shrink leaves steps out of a history for as long as fails says that what is left
// still fails, which it is asked most times at most.
func shrink(h history, most int, fails func(history) bool) history {
	for size := len(h) / 2; size > 0; {
		again := false
		for from := 0; from < len(h) && most > 0; {
			less := slices.Concat(h[:from], h[min(from+size, len(h)):])
			most--
			if fails(less) {
				h, again = less, true
			} else {
				from += size
			}
		}
		if !again || size > 1 {
			size /= 2
		}
	}
	return h
}
