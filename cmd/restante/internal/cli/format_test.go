package cli_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"restante/cmd/restante/internal/cli"
)

func TestNumberAndCount(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 12340: "12,340", 1234567: "1,234,567",
		math.MaxUint64: "18,446,744,073,709,551,615"} {
		if got := cli.Number(n); got != want {
			t.Errorf("Number(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 mailboxes", 1: "1 mailbox", 2000: "2,000 mailboxes"} {
		if got := cli.Count(n, "mailbox", "mailboxes"); got != want {
			t.Errorf("Count(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 9<<10 + 972: "9.9 KiB", 9<<10 + 973: "10 KiB",
		84 << 30: "84 GiB", 1181116006: "1.1 GiB", 1<<20 - 1: "1.0 MiB", 1023 << 10: "1023 KiB", math.MaxUint64: "16 EiB",
	} {
		if got := cli.Size(n); got != want {
			t.Errorf("Size(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]uint64{
		"0": 0, "5000": 5000, "5000B": 5000, "512K": 512 << 10, "512 kib": 512 << 10, "1.5G": 3 << 29, " 10 G ": 10 << 30,
		"2MB": 2000000, "1TiB": 1 << 40, "18446744073709551615": math.MaxUint64, "15E": 15 << 60,
	} {
		if got, err := cli.ParseSize(in); got != want || err != nil {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "G", "-1", "+1", "1e9", "0x10", "1_0", "1X", "1GG", "1iB", "1 G 1", "1.2.3", "16E", "1KiBB", "NaN", "Inf", "."} {
		got, err := cli.ParseSize(in)
		if usage := new(cli.UsageError); !errors.As(err, &usage) {
			t.Errorf("ParseSize(%q) = %d, %v; want a usage error", in, got, err)
		}
	}
}

// FuzzParseSize: what Size prints is read again, as nearly as it was printed;
// anything else is a number or wrong usage.
func FuzzParseSize(f *testing.F) {
	f.Add("1.5 GiB", uint64(1<<30))
	f.Add("16E", uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, in string, n uint64) {
		_, err := cli.ParseSize(in)
		if usage := new(cli.UsageError); err != nil && !errors.As(err, &usage) {
			t.Errorf("ParseSize(%q): %v", in, err)
		}
		if n > 15<<60 {
			return // printed as 16 EiB, which no uint64 holds
		}
		got, err := cli.ParseSize(cli.Size(n))
		if diff := math.Abs(float64(got) - float64(n)); err != nil || diff > float64(n)*0.051 {
			t.Errorf("ParseSize(Size(%d)) = %d, %v", n, got, err)
		}
	})
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0 s", 0: "0.0 s", 420 * time.Millisecond: "0.4 s", 9949 * time.Millisecond: "9.9 s", 9950 * time.Millisecond: "10 s",
		59400 * time.Millisecond: "59 s", 59600 * time.Millisecond: "1 min 00 s", 200 * time.Second: "3 min 20 s",
		time.Hour - time.Millisecond: "1 h 00 min", 125 * time.Minute: "2 h 05 min", 76 * time.Hour: "3 d 4 h",
		24*time.Hour - time.Second: "1 d 0 h",
	} {
		if got := cli.Duration(d); got != want {
			t.Errorf("Duration(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	table := cli.NewTable(cli.Column{}, cli.Column{Right: true}, cli.Column{Right: true}, cli.Column{})
	print := func() string {
		var b strings.Builder
		if err := table.Print(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got := print(); got != "" {
		t.Errorf("an empty table prints %q", got)
	}
	table.Row("alice@example.com", "5 folders", "12,340 messages", "x")
	table.Row("bob\n\x1b", "1 folder", "7 messages")
	table.Row("日本語", "0 folders")
	want := "alice@example.com   5 folders   12,340 messages   x\n" +
		"bob\\n\\x1b            1 folder        7 messages\n" +
		"日本語              0 folders\n"
	if got := print(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	titled := cli.NewTable(cli.Column{Title: "ID"}, cli.Column{Title: "Size", Right: true})
	titled.Row("a", "1")
	var b strings.Builder
	if err := titled.Print(&b); err != nil || b.String() != "ID   Size\na       1\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestFields(t *testing.T) {
	type folder struct {
		Name string `json:"name" doc:"its name"`
	}
	type embedded struct {
		Host string `json:"host" doc:"the host"`
	}
	type snapshot struct {
		embedded
		ID      string    `json:"id" doc:"its ID"`
		Time    time.Time `json:"time,omitempty" doc:"when it began"`
		Folders []folder  `json:"folders" doc:"its folders"`
		First   *folder   `json:"first"`
		Hidden  string    `json:"-"`
	}
	want := "  host             the host\n  id               its ID\n  time             when it began\n" +
		"  folders          its folders\n  folders[].name   its name\n  first.name       its name\n"
	for _, v := range []any{snapshot{}, []snapshot{}} {
		if got := cli.Fields(v); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "0": 0, "0d": 0, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute} {
		if got, err := cli.ParseDuration(in); got != want || err != nil {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "d", "7", "-1h", "-7d", "1.5d", "7 d", "99999999d", "60000w", "week"} {
		if got, err := cli.ParseDuration(in); !errors.As(err, new(*cli.UsageError)) {
			t.Errorf("ParseDuration(%q) = %v, %v; want a usage error", in, got, err)
		}
	}
}
