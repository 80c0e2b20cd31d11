package retention_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"restante/retention"
)

// A world makes random snapshots and policies.
type world struct {
	*rand.Rand
	next int
}

func (w *world) snapshot() retention.Snapshot {
	w.next++
	s := retention.Snapshot{ID: fmt.Sprintf("%04d", w.IntN(10000)*100+w.next), Host: "mx", Store: "mail", Incomplete: w.IntN(4) == 0, Shrunk: w.IntN(12) == 0}
	span := []time.Duration{3 * time.Hour, 5 * 24 * time.Hour, 60 * 24 * time.Hour, 900 * 24 * time.Hour}[w.IntN(4)]
	s.Time = now.Add(-time.Duration(w.Int64N(int64(span)))).Truncate(time.Duration(1+w.IntN(3)) * 20 * time.Minute)
	if w.IntN(3) == 0 {
		s.Host = "mx2"
	}
	if w.IntN(10) == 0 {
		s.Held = "a reason"
	}
	if w.IntN(8) == 0 {
		s.Tags = []string{"x"}
	}
	return s
}

// wild gives a snapshot a time that cannot be right.
func (w *world) wild() retention.Snapshot {
	s := w.snapshot()
	if w.IntN(2) == 0 {
		s.Time = now.Add(retention.Tolerance + 1 + time.Duration(w.Int64N(int64(1e18))))
	} else {
		s.Time = time.Unix(w.Int64N(946684800), 0)
	}
	return s
}

func (w *world) snapshots() []retention.Snapshot {
	out := make([]retention.Snapshot, w.IntN(60))
	for i := range out {
		out[i] = w.snapshot()
		if w.IntN(15) == 0 {
			out[i] = w.wild()
		}
	}
	return out
}

func (w *world) policy() retention.Policy {
	n := func() int { return max(0, w.IntN(9)-4) }
	p := retention.Policy{Last: n(), Hourly: n(), Daily: n(), Weekly: n(), Monthly: n(), Yearly: n(),
		Within: retention.Span{Days: n() * 10}, GroupBy: byBoth, Location: time.FixedZone("", 3600*(w.IntN(25)-12))}
	if w.IntN(4) == 0 {
		p.Tags = []string{"x"}
	}
	return p
}

// each runs a property with many worlds.
func each(t *testing.T, property func(*testing.T, *world)) {
	for seed := range uint64(400) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { property(t, &world{Rand: rand.New(rand.NewPCG(seed, 1))}) })
	}
}

// kept returns the IDs of what is kept, sorted.
func kept(snapshots []retention.Snapshot, p retention.Policy) (ids []string) {
	for _, d := range retention.Apply(snapshots, p, now) {
		if d.Keep() {
			ids = append(ids, d.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// within fails the test unless all of these IDs are among those.
func within(t *testing.T, what string, these, those []string) {
	t.Helper()
	for _, id := range these {
		if !slices.Contains(those, id) {
			t.Errorf("%s: %s goes", what, id)
		}
	}
}

func TestKeepingMoreRemovesNoMore(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		snapshots, p := w.snapshots(), w.policy()
		if p.IsZero() {
			t.Skip("no rule is no small policy: it keeps all")
		}
		more := p
		for _, n := range []*int{&more.Last, &more.Hourly, &more.Daily, &more.Weekly, &more.Monthly, &more.Yearly, &more.Within.Days} {
			*n += w.IntN(3)
		}
		within(t, "with larger numbers", kept(snapshots, p), kept(snapshots, more))
	})
}

func TestTwiceIsOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		snapshots, p := w.snapshots(), w.policy()
		once := kept(snapshots, p)
		snapshots = slices.DeleteFunc(snapshots, func(s retention.Snapshot) bool { return !slices.Contains(once, s.ID) })
		if twice := kept(snapshots, p); !slices.Equal(once, twice) {
			t.Errorf("once %v, twice %v", once, twice)
		}
	})
}

// TestInterrupted holds that whoever goes on with what was begun decides the same.
func TestInterrupted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		snapshots, p := w.snapshots(), w.policy()
		whole := kept(snapshots, p)
		rest := slices.DeleteFunc(slices.Clone(snapshots), func(s retention.Snapshot) bool { return !slices.Contains(whole, s.ID) && w.IntN(2) == 0 })
		if got := kept(rest, p); !slices.Equal(got, whole) {
			t.Errorf("at once %v, in two steps %v", whole, got)
		}
	})
}

func TestWhatDisplacesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		snapshots, p := w.snapshots(), w.policy()
		before := kept(snapshots, p)
		within(t, "beside one with a wild time", before, kept(append(slices.Clone(snapshots), w.wild()), p))

		complete := slices.DeleteFunc(slices.Clone(snapshots), func(s retention.Snapshot) bool { return s.Incomplete || s.Shrunk })
		partial := w.snapshot()
		partial.Incomplete, partial.Shrunk = w.IntN(2) == 0, false
		partial.Shrunk = !partial.Incomplete
		within(t, "beside partial ones", kept(complete, p), kept(append(slices.Clone(snapshots), partial), p))
	})
}

func TestAlwaysKept(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		snapshots, p := w.snapshots(), w.policy()
		newest := map[string]retention.Snapshot{}
		var must []string
		for _, s := range snapshots {
			wild := s.Time.After(now.Add(retention.Tolerance)) || s.Time.Year() < 2000
			if s.Held != "" || slices.Contains(s.Tags, "x") && len(p.Tags) > 0 || wild {
				must = append(must, s.ID)
			}
			if n, ok := newest[s.Host]; !s.Incomplete && !s.Shrunk && !wild && (!ok || s.Time.After(n.Time) || s.Time.Equal(n.Time) && s.ID > n.ID) {
				newest[s.Host] = s
			}
		}
		for _, s := range newest {
			must = append(must, s.ID)
		}
		within(t, "whatever the rules say", must, kept(snapshots, p))
	})
}

// TestCounts holds the number of complete snapshots that a rule keeps against
// the number of days there are.
func TestCounts(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		snapshots := slices.DeleteFunc(w.snapshots(), func(s retention.Snapshot) bool {
			return s.Held != "" || s.Incomplete || s.Shrunk || s.Time.After(now) || s.Time.Year() < 2000
		})
		days := map[string]bool{}
		for _, s := range snapshots {
			days[s.Time.UTC().Format(time.DateOnly)] = true
		}
		n := 1 + w.IntN(5)
		if got := len(kept(snapshots, retention.Policy{Daily: n})); got != min(n, len(days)) {
			t.Errorf("of %d days %d are kept, want %d", len(days), got, n)
		}
	})
}

func FuzzParseSpan(f *testing.F) {
	for _, seed := range []string{"30d", "1y6mo", "8w", "12h", "2w3d", "0d", "1m", "d", "", "99999y", "100000d", "1d1y", " 1d", "18446744073709551617d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := retention.ParseSpan(text)
		if err != nil {
			return
		}
		again, err := retention.ParseSpan(s.String())
		if large := s.Days > 99_999; !large && (err != nil || again != s) { // of weeks there may be as many
			t.Errorf("%q is %+v, which is printed as %q and read as %+v, %v", text, s, s, again, err)
		}
		if !s.Before(now).Before(now) || !s.After(now).After(now) {
			t.Errorf("%q leads from now to %v and to %v", text, s.Before(now), s.After(now))
		}
	})
}

func TestSpan(t *testing.T) {
	at := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"30d": "2026-03-01T12:00:00Z", "1mo": "2026-02-28T12:00:00Z", "1y1mo": "2025-02-28T12:00:00Z", "2w1d": "2026-03-16T12:00:00Z", "36h": "2026-03-30T00:00:00Z",
	} {
		s, err := retention.ParseSpan(text)
		if got := s.Before(at).Format(time.RFC3339); err != nil || got != want {
			t.Errorf("%s before is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0d", "7", "1m", "1d1d", "1d1y", "-1d", "1.5d", "100000d"} {
		if s, err := retention.ParseSpan(text); err == nil {
			t.Errorf("%q is %v", text, s)
		}
	}
	s := retention.Span{Months: 1}
	if got := s.After(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)).Format(time.DateOnly); got != "2026-02-28" {
		t.Errorf("a month after 31 January is %s", got)
	}
}
