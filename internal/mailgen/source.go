package mailgen

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// A source is a stream of decisions. It computes in integers only: floating
// point may be rounded differently on another machine.
type source struct {
	*rand.Rand
	pcg *rand.PCG
}

func newSource(seed, stream uint64) *source {
	pcg := rand.NewPCG(seed, stream)
	return &source{rand.New(pcg), pcg}
}

func (s *source) chance(percent int) bool { return s.IntN(100) < percent }

func (s *source) between(low, high int) int { return low + s.IntN(high-low+1) }

// spread returns about median, bell-shaped in the logarithm: width 8 is a
// standard deviation of a factor of 1.5, 16 of 2.2, 24 of 3.3.
func (s *source) spread(median, width int) int {
	n := 0
	for range 4 {
		n += s.IntN(256)
	}
	n = (n - 510) * width / 8
	if n < 0 {
		return median * 256 / power(-n)
	}
	return median * power(n) / 256
}

// power returns 256 times 2 to the power of n/256, straight between the powers of two.
func power(n int) int { return (256 + n&255) << (n >> 8) }

// rank picks one of 1<<bits things, the first ones as often as the words of a
// language: number n about half as often as number n/2.
func (s *source) rank(bits int) int {
	n := s.IntN(bits << 16)
	return ((1<<16+n&0xffff)<<(n>>16))>>16 - 1
}

// fill makes b random bytes.
func (s *source) fill(b []byte) {
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, s.pcg.Uint64())
		b = b[8:]
	}
	for i := range b {
		b[i] = byte(s.pcg.Uint64())
	}
}

// hex returns n random hexadecimal digits; n is even.
func (s *source) hex(n int) string {
	b := make([]byte, n/2)
	s.fill(b)
	return hex.EncodeToString(b)
}

// base64 returns the base64 of n random bytes.
func (s *source) base64(n int) string {
	b := make([]byte, n)
	s.fill(b)
	return base64.StdEncoding.EncodeToString(b)
}

// pick returns one of the choices.
func pick[T any](s *source, choices []T) T { return choices[s.IntN(len(choices))] }
