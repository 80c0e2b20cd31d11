package retention_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"restante/retention"
)

// now is when the tables decide.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// parse reads a snapshot a line: "2026-11-22T02:00:00Z ID words", where words are
// incomplete, shrunk, held, tag=NAME, host=NAME, store=NAME.
func parse(t *testing.T, text string) (out []retention.Snapshot) {
	t.Helper()
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		at, err := time.Parse(time.RFC3339, fields[0])
		if err != nil {
			t.Fatal(err)
		}
		s := retention.Snapshot{ID: fields[1], Time: at, Host: "mx", Store: "mail"}
		for _, word := range fields[2:] {
			key, value, _ := strings.Cut(word, "=")
			switch key {
			case "incomplete":
				s.Incomplete = true
			case "shrunk":
				s.Shrunk = true
			case "held":
				s.Held = "a reason"
			case "tag":
				s.Tags = append(s.Tags, value)
			case "host":
				s.Host = value
			case "store":
				s.Store = value
			default:
				t.Fatalf("unknown word %q", word)
			}
		}
		out = append(out, s)
	}
	return out
}

// describe prints what is kept, a line each.
func describe(decisions []retention.Decision) string {
	var b strings.Builder
	for i := range decisions {
		if d := &decisions[i]; d.Keep() {
			fmt.Fprintf(&b, "%s: %s\n", d.ID, strings.Join(d.Reasons, "; "))
		}
	}
	return b.String()
}

// zone loads a time zone of the machine's.
func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	location, err := time.LoadLocation(name)
	if err != nil {
		t.Skipf("this machine has no time zones: %v", err)
	}
	return location
}

var byBoth = retention.GroupBy{Host: true, Store: true}

// lines makes text of lines without their indentation.
func lines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name      string
		snapshots string
		policy    retention.Policy
		want      string
	}{
		{"no rule", `2026-11-20T02:00:00Z a
			2026-11-21T02:00:00Z b`, retention.Policy{}, `a: no rule is set
			b: no rule is set; newest complete`},
		{"last", `2026-11-20T02:00:00Z a
			2026-11-22T02:00:00Z c
			2026-11-21T02:00:00Z b`, retention.Policy{Last: 2}, `c: last; newest complete
			b: last`},
		{"one time", `2026-11-20T02:00:00Z a
			2026-11-20T02:00:00Z b`, retention.Policy{Last: 1}, "b: last; newest complete"},
		{"the newest of a day", `2026-11-21T23:59:59Z a
			2026-11-22T00:00:00Z b
			2026-11-22T11:00:00Z c
			2026-11-19T11:00:00Z d
			2026-11-18T11:00:00Z e`, retention.Policy{Daily: 3}, `a: daily 2026-11-21
			c: daily 2026-11-22; newest complete
			d: daily 2026-11-19`},
		{"hours", `2026-11-22T10:00:00Z a
			2026-11-22T10:59:59Z b
			2026-11-22T11:00:00Z c
			2026-11-22T09:00:00Z d`, retention.Policy{Hourly: 2}, `b: hourly 2026-11-22 10:00 +0000
			c: hourly 2026-11-22 11:00 +0000; newest complete`},
		{"weeks of two years", `2024-12-29T12:00:00Z sunday
			2024-12-30T12:00:00Z monday
			2025-01-05T12:00:00Z week1
			2025-01-06T12:00:00Z week2
			2027-01-03T12:00:00Z future`, retention.Policy{Weekly: 3}, `sunday: weekly 2024-W52
			week1: weekly 2025-W01
			week2: weekly 2025-W02; newest complete
			future: its time cannot be right: it lies in the future`},
		{"a week 53", `2020-12-31T12:00:00Z a
			2021-01-03T12:00:00Z b
			2021-01-04T12:00:00Z c`, retention.Policy{Weekly: 2}, `b: weekly 2020-W53
			c: weekly 2021-W01; newest complete`},
		{"ends of months and years", `2023-12-31T23:59:59Z a
			2024-01-01T00:00:00Z b
			2024-01-31T23:00:00Z c
			2024-02-29T23:00:00Z d
			2024-03-01T01:00:00Z e`, retention.Policy{Monthly: retention.All, Yearly: 2}, `a: monthly 2023-12; yearly 2023
			c: monthly 2024-01
			d: monthly 2024-02
			e: monthly 2024-03; yearly 2024; newest complete`},
		{"within", `2026-02-27T02:00:00Z a
			2026-02-28T02:00:00Z b incomplete
			2026-02-28T01:59:59Z c
			2026-03-31T02:00:00Z d
			2026-03-31T03:00:00Z e incomplete`, retention.Policy{Within: retention.Span{Months: 1}}, `b: within 1mo
			d: newest complete; within 1mo
			e: within 1mo; newest`},
		{"tags and holds", `2026-11-18T02:00:00Z a tag=x
			2026-11-19T02:00:00Z b tag=y tag=z
			2026-11-20T02:00:00Z c held
			2026-11-21T02:00:00Z d
			2026-11-22T02:00:00Z e`, retention.Policy{Tags: []string{"z", "x"}}, `a: tag x
			b: tag z
			c: held: a reason
			e: newest complete`},
		{"groups", `2026-11-20T02:00:00Z a
			2026-11-20T02:00:00Z b host=other
			2026-11-20T02:00:00Z c store=other
			2026-11-21T02:00:00Z d`, retention.Policy{Last: 1, GroupBy: byBoth}, `b: last; newest complete
			c: last; newest complete
			d: last; newest complete`},
		{"one group", `2026-11-20T02:00:00Z a host=other
			2026-11-21T02:00:00Z b store=other`, retention.Policy{Last: 1}, "b: last; newest complete"},
		{"by store", `2026-11-20T02:00:00Z a host=other
			2026-11-21T02:00:00Z b
			2026-11-19T02:00:00Z c store=other`, retention.Policy{Last: 1, GroupBy: retention.GroupBy{Store: true}}, `b: last; newest complete
			c: last; newest complete`},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, c.snapshots, c.policy, c.want) })
	}
}

func expect(t *testing.T, snapshots string, policy retention.Policy, want string) {
	t.Helper()
	if got := describe(retention.Apply(parse(t, snapshots), policy, now)); got != lines(want) {
		t.Errorf("kept\n%swant\n%s", got, lines(want))
	}
}

func TestPartial(t *testing.T) {
	for _, c := range []struct {
		name      string
		snapshots string
		policy    retention.Policy
		want      string
	}{
		{"beside the complete ones", `2026-11-16T02:00:00Z older incomplete
			2026-11-17T02:00:00Z a
			2026-11-18T02:00:00Z b incomplete
			2026-11-18T03:00:00Z c shrunk
			2026-11-19T02:00:00Z d
			2026-11-19T09:00:00Z e incomplete`, retention.Policy{Daily: 2}, `a: daily 2026-11-17
			c: daily 2026-11-18, beside the complete ones
			d: daily 2026-11-19; newest complete
			e: newest`},
		{"older ones, as long as there are days to keep", `2026-11-16T02:00:00Z older incomplete
			2026-11-17T02:00:00Z a`, retention.Policy{Daily: 2}, `older: daily 2026-11-16, beside the complete ones
			a: daily 2026-11-17; newest complete`},
		{"no more than complete ones", `2026-11-10T02:00:00Z a
			2026-11-11T02:00:00Z b incomplete
			2026-11-12T02:00:00Z c incomplete
			2026-11-13T02:00:00Z d incomplete`, retention.Policy{Daily: 2}, `a: daily 2026-11-10; newest complete
			c: daily 2026-11-12, beside the complete ones
			d: daily 2026-11-13, beside the complete ones; newest`},
		{"last", `2026-11-10T02:00:00Z a incomplete
			2026-11-11T02:00:00Z b
			2026-11-12T02:00:00Z c incomplete
			2026-11-13T02:00:00Z d incomplete
			2026-11-14T02:00:00Z e`, retention.Policy{Last: 1}, "e: last; newest complete"},
		{"last, and newer ones", `2026-11-11T02:00:00Z b
			2026-11-12T02:00:00Z c incomplete
			2026-11-13T02:00:00Z d shrunk`, retention.Policy{Last: 1}, `b: last; newest complete
			d: last, beside the complete ones; newest`},
		{"a group without a complete one", `2026-11-11T02:00:00Z a incomplete
			2026-11-12T02:00:00Z b incomplete`, retention.Policy{Tags: []string{"x"}}, "b: newest"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, c.snapshots, c.policy, c.want) })
	}
}

func TestWrongTimes(t *testing.T) {
	made := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	expect(t, `1970-01-01T00:00:00Z a
		1999-12-31T23:59:59Z b incomplete
		2026-10-31T11:59:59Z c
		2026-10-31T12:00:00Z d
		2026-11-20T02:00:00Z e
		2026-11-22T12:05:00Z f
		2026-11-22T12:05:01Z g
		9999-11-22T12:05:01Z h held`, retention.Policy{Last: 1, Made: made}, `a: its time cannot be right: it lies before the year 2000
		b: its time cannot be right: it lies before the year 2000
		c: its time cannot be right: it lies before the repository was made
		f: last; newest complete
		g: its time cannot be right: it lies in the future
		h: its time cannot be right: it lies in the future; held: a reason`)
	expect(t, `2001-01-01T00:00:00Z a
		2001-01-02T00:00:00Z b`, retention.Policy{Last: 1}, "b: last; newest complete")
}

// TestSummerTime has the night in which an hour comes twice, and that in which
// one is left out.
func TestSummerTime(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	expect(t, `2026-10-24T23:30:00Z a
		2026-10-25T00:10:00Z b
		2026-10-25T00:50:00Z summer
		2026-10-25T01:10:00Z c
		2026-10-25T01:50:00Z winter
		2026-10-25T22:59:59Z last
		2026-10-25T23:00:00Z next`, retention.Policy{Hourly: retention.All, Daily: 2, Location: berlin}, `a: hourly 2026-10-25 01:00 +0200
		summer: hourly 2026-10-25 02:00 +0200
		winter: hourly 2026-10-25 02:00 +0100
		last: hourly 2026-10-25 23:00 +0100; daily 2026-10-25
		next: hourly 2026-10-26 00:00 +0100; daily 2026-10-26; newest complete`)
	expect(t, `2026-03-28T22:30:00Z a
		2026-03-28T23:30:00Z b
		2026-03-29T00:59:59Z c
		2026-03-29T01:00:00Z d
		2026-03-29T21:59:59Z e
		2026-03-29T22:00:00Z f`, retention.Policy{Hourly: 5, Daily: 3, Location: berlin}, `a: daily 2026-03-28
		b: hourly 2026-03-29 00:00 +0100
		c: hourly 2026-03-29 01:00 +0100
		d: hourly 2026-03-29 03:00 +0200
		e: hourly 2026-03-29 23:00 +0200; daily 2026-03-29
		f: hourly 2026-03-30 00:00 +0200; daily 2026-03-30; newest complete`)
}

// TestOrder holds that the answer is in the order of the question, and does not
// depend on it.
func TestOrder(t *testing.T) {
	snapshots := parse(t, `2026-11-20T02:00:00Z a
		2026-11-21T02:00:00Z b
		2026-11-21T02:00:00Z c incomplete`)
	forth := retention.Apply(snapshots, retention.Policy{Daily: 1}, now)
	slices.Reverse(snapshots)
	back := retention.Apply(snapshots, retention.Policy{Daily: 1}, now)
	slices.Reverse(back)
	if describe(forth) != describe(back) {
		t.Errorf("forth\n%sback\n%s", describe(forth), describe(back))
	}
}
