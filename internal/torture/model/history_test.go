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
	{"mail", 12, false}, {"backup", 26, true}, {"go", 40, true}, {"prune", 14, true}, {"forget", 4, true}, {"policy", 4, true},
	{"unforget", 4, true}, {"hold", 3, true}, {"release", 3, true}, {"check", 4, true}, {"crash", 5, false}, {"clock", 2, false},
	{"cache", 3, false}, {"key", 2, true}, {"heal", 8, true}, {"inspect", 6, false},
}

// rare are the operations that only some histories have: damage changes what the others may do.
const damageEvery = 30

// generate makes a history of n steps. Every second one has damage in it.
func generate(rng *rand.Rand, n int) history {
	total := 0
	for _, o := range ops {
		total += o.weight
	}
	damaging := rng.IntN(2) == 0
	var h history
	for len(h) < n {
		if damaging && rng.IntN(damageEvery) == 0 {
			h = append(h, step{"damage", 0, rng.IntN(1 << 20), 0})
			continue
		}
		at := rng.IntN(total)
		i := slices.IndexFunc(ops, func(o struct {
			name   string
			weight int
			stops  bool
		}) bool {
			at -= o.weight
			return at < 0
		})
		s := step{Op: ops[i].name, Client: rng.IntN(clients), Arg: rng.IntN(1 << 20)}
		if ops[i].stops {
			s.Calls = -1
			if rng.IntN(3) > 0 {
				s.Calls = 1 + rng.IntN(50)
			}
		}
		h = append(h, s)
	}
	return h
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
