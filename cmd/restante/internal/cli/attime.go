package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// timeForms are the accepted forms of a point in time, each with the length
// of what it names: the whole day, minute or second is meant, up to its end,
// so that a time copied from a listing selects what the listing showed there.
var timeForms = []struct {
	layout string
	length time.Duration
}{
	{"2006-01-02 15:04", time.Minute},
	{"2006-01-02T15:04", time.Minute},
	{"2006-01-02 15:04:05", time.Second},
	{"2006-01-02T15:04:05", time.Second},
	{time.RFC3339, time.Second},
}

var agoForm = regexp.MustCompile(`^(\d{1,5}) +(minute|hour|day|week|month|year)s? +ago$`)

// ParseTime reads a point in time as --at takes it, in now's location:
//
//	now                              now
//	today, yesterday, 2026-11-01     the end of that day
//	3 days ago (weeks, months, years) the end of that day
//	2 hours ago (minutes)            that long before now
//	2026-11-01 02:00, …02:00:30      the end of that minute, that second
//	2026-11-01T02:00:30+01:00        RFC 3339, in the zone it names
//
// A month ago is the same day of last month, or its last day. Anything else
// is a [UsageError].
func ParseTime(s string, now time.Time) (time.Time, error) {
	text := strings.Join(strings.Fields(s), " ")
	switch strings.ToLower(text) {
	case "now":
		return now, nil
	case "today":
		return endOfDay(now), nil
	case "yesterday":
		return endOfDay(now.AddDate(0, 0, -1)), nil
	}
	if m := agoForm.FindStringSubmatch(strings.ToLower(text)); m != nil {
		return ago(m[1], m[2], now)
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return endOfDay(t), nil
	}
	for _, form := range timeForms {
		t, err := time.ParseInLocation(form.layout, text, now.Location())
		if err != nil {
			continue
		}
		if t.Nanosecond() == 0 {
			t = t.Add(form.length - 1)
		}
		return t, nil
	}
	return time.Time{}, Usagef("cannot read the time %q: write it as 2026-11-01, \"2026-11-01 02:00\", \"3 days ago\", yesterday or now", s)
}

func ago(number, unit string, now time.Time) (time.Time, error) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return time.Time{}, fmt.Errorf("parsing the number %q: %w", number, err)
	}
	switch unit {
	case "minute":
		return now.Add(-time.Duration(n) * time.Minute), nil
	case "hour":
		return now.Add(-time.Duration(n) * time.Hour), nil
	case "day":
		return endOfDay(now.AddDate(0, 0, -n)), nil
	case "week":
		return endOfDay(now.AddDate(0, 0, -7*n)), nil
	case "month":
		return endOfDay(monthsBefore(now, n)), nil
	}
	return endOfDay(monthsBefore(now, 12*n)), nil
}

// monthsBefore is AddDate without its overflow: a month before 31 March is
// the last day of February.
func monthsBefore(t time.Time, n int) time.Time {
	first := time.Date(t.Year(), t.Month(), 1, 12, 0, 0, 0, t.Location()).AddDate(0, -n, 0)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

// endOfDay names the last nanosecond of the clock's day and not the one
// before the next midnight, which some zones skip when summer time begins.
func endOfDay(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 23, 59, 59, 999999999, t.Location())
}
