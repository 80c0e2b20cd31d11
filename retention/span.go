package retention

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Span is a length of time in a calendar's units.
type Span struct{ Years, Months, Days, Hours int }

// spanUnits are the units in their order. A week is seven days.
var spanUnits = []struct {
	name  string
	field func(*Span) *int
	times int
}{
	{"y", func(s *Span) *int { return &s.Years }, 1},
	{"mo", func(s *Span) *int { return &s.Months }, 1},
	{"w", func(s *Span) *int { return &s.Days }, 7},
	{"d", func(s *Span) *int { return &s.Days }, 1},
	{"h", func(s *Span) *int { return &s.Hours }, 1},
}

// maxSpanNumber bounds the numbers of a Span: no calendar reaches further.
const maxSpanNumber = 99_999

// ParseSpan reads a length of time: numbers with the units y (years), mo (months), w
// (weeks), d (days) and h (hours), each at most once and in this order, such as 30d or
// 1y6mo. It is not 0.
func ParseSpan(text string) (Span, error) {
	var s Span
	rest := text
	for _, unit := range spanUnits {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		after, ok := strings.CutPrefix(rest[digits:], unit.name)
		if !ok || digits == 0 {
			continue
		}
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > maxSpanNumber {
			return Span{}, fmt.Errorf("reading the length of time %q: its numbers are at most %d", text, maxSpanNumber)
		}
		*unit.field(&s) += n * unit.times
		rest = after
	}
	if rest != "" || s == (Span{}) {
		return Span{}, fmt.Errorf("%q is no length of time: write it as 30d, 8w, 6mo, 1y or 1y6mo", text)
	}
	return s, nil
}

// String returns the span in the form that ParseSpan reads.
func (s Span) String() string {
	var b strings.Builder
	for _, unit := range spanUnits {
		if n := *unit.field(&s); n != 0 && unit.times == 1 {
			fmt.Fprintf(&b, "%d%s", n, unit.name)
		}
	}
	return b.String()
}

// Before returns the time that lies the span before t. A month before 31 March is the
// last day of February.
func (s Span) Before(t time.Time) time.Time { return s.move(t, -1) }

// After returns the time that lies the span after t, likewise.
func (s Span) After(t time.Time) time.Time { return s.move(t, 1) }

func (s Span) move(t time.Time, sign int) time.Time {
	first := t.AddDate(0, 0, 1-t.Day()).AddDate(sign*s.Years, sign*s.Months, 0)
	last := first.AddDate(0, 1, -1).Day()
	day := first.AddDate(0, 0, min(t.Day(), last)-1)
	return day.AddDate(0, 0, sign*s.Days).Add(time.Duration(sign*s.Hours) * time.Hour)
}
