package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Number prints n with commas: 1,234,567.
func Number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Count prints a number with its noun: Count(1, "mailbox", "mailboxes") is
// "1 mailbox".
func Count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

const sizeUnits = "KMGTPE"

// Size prints bytes in powers of 1,024, with one decimal below ten of a unit:
// 512 B, 1.1 GiB, 84 GiB.
func Size(bytes uint64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	v, unit := float64(bytes)/1024, 0
	for v >= 1023.5 { // what would be printed as 1024
		v /= 1024
		unit++
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %ciB", v, sizeUnits[unit])
	}
	return fmt.Sprintf("%.0f %ciB", v, sizeUnits[unit])
}

// ParseDuration reads a time as an option takes it: days or weeks, such as 7d or 2w, or what
// [time.ParseDuration] takes, such as 30m or 1h30m; none is below 0. Anything else is a
// [UsageError].
func ParseDuration(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day} {
		digits, ok := strings.CutSuffix(s, suffix)
		if n, err := strconv.ParseUint(digits, 10, 16); ok && err == nil && n <= uint64(math.MaxInt64/unit) {
			return time.Duration(n) * unit, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, Usagef("%q is no length of time: write it as 2w, 7d, 12h or 30m", s)
	}
	return d, nil
}

// ParseSize reads a number of bytes as an option takes it: 5000, 512K, 1.5GiB,
// 10 G. K, M, G, T, P, E are powers of 1,024, with iB or without; KB, MB and
// so on are powers of 1,000. Anything else is a [UsageError].
func ParseSize(s string) (uint64, error) {
	text := strings.ToUpper(strings.TrimSpace(s))
	digits := strings.TrimRight(text, "KMGTPEIB ")
	unit := strings.TrimSpace(text[len(digits):])
	factor := 1.0
	if unit != "" && unit != "B" {
		base := 1024.0
		if len(unit) == 2 && unit[1] == 'B' {
			base = 1000
		}
		i := strings.IndexByte(sizeUnits, unit[0])
		if rest := unit[1:]; i < 0 || rest != "" && rest != "B" && rest != "IB" {
			return 0, badSize(s)
		}
		factor = math.Pow(base, float64(i+1))
	}
	if n, err := strconv.ParseUint(digits, 10, 64); err == nil && factor == 1 {
		return n, nil
	}
	if digits == "" || strings.Trim(digits, "0123456789.") != "" {
		return 0, badSize(s) // ParseFloat takes more than we do: 0x1p4, 1e9, 1_0
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || v*factor >= math.MaxUint64 {
		return 0, badSize(s)
	}
	return uint64(v * factor), nil
}

func badSize(s string) error {
	return Usagef("cannot read the size %q: write it as 500M or 10G", s)
}

// Duration prints d with the two largest units that matter: 0.4 s, 12 s,
// 3 min 20 s, 2 h 05 min, 3 d 4 h.
func Duration(d time.Duration) string {
	switch {
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", max(d, 0).Seconds())
	case d < time.Minute-time.Second/2:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour-time.Second/2:
		s := int(d.Round(time.Second).Seconds())
		return fmt.Sprintf("%d min %02d s", s/60, s%60)
	case d < 24*time.Hour-time.Minute/2:
		m := int(d.Round(time.Minute).Minutes())
		return fmt.Sprintf("%d h %02d min", m/60, m%60)
	}
	h := int(d.Round(time.Hour).Hours())
	return fmt.Sprintf("%d d %d h", h/24, h%24)
}

// Time prints t in local time, in a form that [ParseTime] reads again.
func Time(t time.Time) string { return t.Local().Format(time.DateTime) }
