package cli_test

import (
	"errors"
	"testing"
	"time"
	_ "time/tzdata" // summer time must be testable on a machine without zone files

	"restante/cmd/restante/internal/cli"
)

func TestParseTime(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 31, 10, 20, 30, 5, zone)
	for in, want := range map[string]string{
		"now":                       "2026-03-31T10:20:30.000000005+02:00",
		" NOW ":                     "2026-03-31T10:20:30.000000005+02:00",
		"today":                     "2026-03-31T23:59:59.999999999+02:00",
		"yesterday":                 "2026-03-30T23:59:59.999999999+02:00",
		"2026-03-29":                "2026-03-29T23:59:59.999999999+02:00", // 23 hours long
		"2026-03-28":                "2026-03-28T23:59:59.999999999+01:00",
		"0 days ago":                "2026-03-31T23:59:59.999999999+02:00",
		"1 day ago":                 "2026-03-30T23:59:59.999999999+02:00",
		"3 days ago":                "2026-03-28T23:59:59.999999999+01:00",
		"3  Days\tago":              "2026-03-28T23:59:59.999999999+01:00",
		"2 weeks ago":               "2026-03-17T23:59:59.999999999+01:00",
		"1 month ago":               "2026-02-28T23:59:59.999999999+01:00",
		"4 months ago":              "2025-11-30T23:59:59.999999999+01:00",
		"2 years ago":               "2024-03-31T23:59:59.999999999+02:00", // the day it became summer
		"25 months ago":             "2024-02-29T23:59:59.999999999+01:00",
		"2 hours ago":               "2026-03-31T08:20:30.000000005+02:00",
		"90 minutes ago":            "2026-03-31T08:50:30.000000005+02:00",
		"2026-03-01 02:00":          "2026-03-01T02:00:59.999999999+01:00",
		"2026-03-01 02:00:30":       "2026-03-01T02:00:30.999999999+01:00",
		"2026-03-01T02:00":          "2026-03-01T02:00:59.999999999+01:00",
		"2026-03-01T02:00:30":       "2026-03-01T02:00:30.999999999+01:00",
		"2026-03-01T02:00:30Z":      "2026-03-01T02:00:30.999999999Z",
		"2026-03-01T02:00:30-05:00": "2026-03-01T02:00:30.999999999-05:00",
		"2026-03-01T02:00:30.5Z":    "2026-03-01T02:00:30.5Z",
	} {
		got, err := cli.ParseTime(in, now)
		if err != nil {
			t.Errorf("ParseTime(%q): %v", in, err)
			continue
		}
		if got := got.Format(time.RFC3339Nano); got != want {
			t.Errorf("ParseTime(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestParseTimeRefuses(t *testing.T) {
	for _, in := range []string{"", "ago", "days ago", "-1 days ago", "1.5 days ago", "3 days", "3 fortnights ago", "999999 days ago",
		"tomorrow", "2026-13-01", "2026-02-30", "01.11.2026", "2026-11-01 25:00", "2026-11-01 2am", "latest", "1699999999"} {
		got, err := cli.ParseTime(in, time.Now())
		if usage := new(cli.UsageError); !errors.As(err, &usage) {
			t.Errorf("ParseTime(%q) = %v, %v; want a usage error", in, got, err)
		}
	}
}

// FuzzParseTime: a time as a listing prints it selects what it showed, and
// nothing else is accepted that does not come after or at what it names.
func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"now", "2026-11-01", "2026-11-01 02:00:30", "3 days ago", "1 months ago", "2026-11-01T02:00:00Z"} {
		f.Add(seed, int64(1793000000))
	}
	f.Fuzz(func(t *testing.T, in string, sec int64) {
		shown := time.Unix(sec%(1<<36), 0)
		if shown.Year() >= 1 && shown.Year() <= 9999 {
			got, err := cli.ParseTime(cli.Time(shown), time.Now())
			if err != nil || cli.Time(got) != cli.Time(shown) {
				t.Errorf("the printed time %q is read as %v, %v", cli.Time(shown), got, err)
			}
		}
		got, err := cli.ParseTime(in, shown)
		if usage := new(cli.UsageError); err != nil && (!errors.As(err, &usage) || !got.IsZero()) {
			t.Errorf("ParseTime(%q) = %v, %v", in, got, err)
		}
	})
}
