package verify

import (
	"time"

	"restante/snapshot"
)

// ParseInterior reads an interior page that is a root, and returns its sums
// and the error of reading it.
func ParseInterior(data []byte, level uint8) (snapshot.Counts, error) {
	p := ref{level: level, isRoot: true}
	_, sum, err := p.parse(data)
	if err != nil {
		return sum, err
	}
	p.counts = sum
	_, err = p.children(data)
	return sum, err
}

// WithWindow returns options to look up so many pieces at once.
func WithWindow(o Options, pieces int) Options {
	o.window = pieces
	return o
}

// WithClock returns options for a check that asks now for the time.
func WithClock(o Options, now func() time.Time) Options {
	o.now = now
	return o
}

// DecodeHistory reads the file of when packs were read, and writes it again.
func DecodeHistory(data []byte) (again []byte, err error) {
	when, err := decodeHistory(data)
	if err != nil {
		return nil, err
	}
	return (&history{when: when}).encode(), nil
}
