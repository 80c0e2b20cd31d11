package cli_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"restante/cmd/restante/internal/cli"
)

func day(n int) time.Time { return time.Date(2026, 11, n, 2, 0, 0, 0, time.Local) }

func id(prefix string) string { return prefix + strings.Repeat("0", 32-len(prefix)) }

// mail is one store; both are two, and a third of the same name elsewhere.
var (
	mail = []cli.Snapshot{
		{ID: id("aaaa1"), Store: "vmail", Host: "mx1", Time: day(1)},
		{ID: id("aaaa2"), Store: "vmail", Host: "mx1", Time: day(3)},
		{ID: id("bbbb"), Store: "vmail", Host: "mx1", Time: day(2)},
	}
	all = append(slices.Clone(mail),
		cli.Snapshot{ID: id("cccc"), Store: "lists", Host: "mx1", Time: day(4)},
		cli.Snapshot{ID: id("dddd"), Store: "vmail", Host: "mx2", Time: day(5)})
)

func TestSelect(t *testing.T) {
	for _, test := range []struct {
		name  string
		from  []cli.Snapshot
		query cli.Query
		want  string // the ID's beginning, or a part of the error
		usage bool
	}{
		{"nothing named", mail, cli.Query{}, "aaaa2", false},
		{"latest", mail, cli.Query{Snapshot: "latest"}, "aaaa2", false},
		{"latest~0", mail, cli.Query{Snapshot: "latest~0"}, "aaaa2", false},
		{"latest~1", mail, cli.Query{Snapshot: "latest~1"}, "bbbb", false},
		{"latest~2", mail, cli.Query{Snapshot: "latest~2"}, "aaaa1", false},
		{"before all", mail, cli.Query{Snapshot: "latest~3"}, "selecting latest~3: there are 3 snapshots only, the oldest is latest~2: snapshot aaaa1000 of store \"vmail\" on mx1, 2026-11-01 02:00:00; restante snapshots lists them", false},
		{"before the only one", all, cli.Query{Snapshot: "latest~7", Store: "lists"}, "selecting latest~7: there is one snapshot only, which is latest: snapshot cccc", false},
		{"at", mail, cli.Query{At: day(2)}, "bbbb", false},
		{"just before", mail, cli.Query{At: day(2).Add(-1)}, "aaaa1", false},
		{"in the future", mail, cli.Query{At: day(30)}, "aaaa2", false},
		{"too early", mail, cli.Query{At: day(1).Add(-1)}, "the oldest is snapshot aaaa1000 of", false},
		{"ID", mail, cli.Query{Snapshot: "b"}, "bbbb", false},
		{"whole ID", mail, cli.Query{Snapshot: id("aaaa1")}, "aaaa1", false},
		{"capital ID", mail, cli.Query{Snapshot: "AAAA1"}, "aaaa1", false},
		{"ambiguous ID", mail, cli.Query{Snapshot: "aaaa"}, "could be any of aaaa2000 (2026-11-03 02:00:00), aaaa1000 (2026-11-01 02:00:00)", true},
		{"unknown ID", mail, cli.Query{Snapshot: "abc"}, `no ID of any store begins with "abc"`, false},
		{"no selector", mail, cli.Query{Snapshot: "newest"}, `cannot read the snapshot "newest"`, true},
		{"bad rank", mail, cli.Query{Snapshot: "latest~x"}, "cannot read the snapshot", true},
		{"negative rank", mail, cli.Query{Snapshot: "latest~-1"}, "cannot read the snapshot", true},
		{"huge rank", mail, cli.Query{Snapshot: "latest~99999999999999999999"}, "cannot read the snapshot", true},
		{"both", mail, cli.Query{Snapshot: "latest", At: day(1)}, "--snapshot and --at exclude each other", true},
		{"none", nil, cli.Query{}, "the repository has none yet; restante backup PATH makes one", false},
		{"several stores", all, cli.Query{}, `name one with --store or --host: "lists" on mx1 (1 snapshot), "vmail" on mx1 (3 snapshots), "vmail" on mx2 (1 snapshot)`, true},
		{"several stores at", all, cli.Query{At: day(2)}, "name one with --store or --host", true},
		{"several stores' latest~1", all, cli.Query{Snapshot: "latest~1"}, "name one with --store or --host", true},
		{"the ID is enough", all, cli.Query{Snapshot: "cc"}, "cccc", false},
		{"store", all, cli.Query{Store: "lists"}, "cccc", false},
		{"host", all, cli.Query{Host: "mx2"}, "dddd", false},
		{"one name on two hosts", all, cli.Query{Store: "vmail"}, "name one with --store or --host", true},
		{"store and host", all, cli.Query{Store: "vmail", Host: "mx1", At: day(2)}, "bbbb", false},
		{"unknown store", all, cli.Query{Store: "mail"}, `none is of store "mail"; there is "lists" on mx1 (1 snapshot), `, false},
		{"unknown host", all, cli.Query{Host: "mx9"}, `none is of host "mx9"; there is`, false},
		{"ID of another store", all, cli.Query{Snapshot: "cccc", Store: "vmail", Host: "mx1"}, `no ID of store "vmail" on host "mx1" begins with`, false},
	} {
		got, err := cli.Select(test.from, test.query)
		usage := new(cli.UsageError)
		switch {
		case err == nil && (len(test.want) > 5 || !strings.HasPrefix(got.ID, test.want)):
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		case err != nil && !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		case errors.As(err, &usage) != test.usage:
			t.Errorf("%s: %v is wrong usage: %v", test.name, err, !test.usage)
		}
	}
}

func TestSelectListsDistinctCandidatesAndNotTooMany(t *testing.T) {
	var many []cli.Snapshot
	for i := range 30 {
		many = append(many, cli.Snapshot{ID: fmt.Sprintf("%032x", i), Store: fmt.Sprintf("s%d\n", i), Host: "h", Time: day(1)})
	}
	_, err := cli.Select(many[:2], cli.Query{Snapshot: "0"})
	if err == nil || !strings.Contains(err.Error(), id("")+" (") || !strings.Contains(err.Error(), id("")[:31]+"1 (") {
		t.Errorf("IDs that differ in the last digit are listed as: %v", err)
	}
	for _, q := range []cli.Query{{}, {Snapshot: "0"}} {
		_, err := cli.Select(many, q)
		if err == nil || !strings.HasSuffix(err.Error(), "and 22 more") || strings.Contains(err.Error(), "\n") {
			t.Errorf("30 candidates are listed as: %v", err)
		}
	}
}

// TestSelectIsOrderFree: the answer does not depend on how the storage lists.
func TestSelectIsOrderFree(t *testing.T) {
	shuffled := slices.Clone(mail)
	shuffled[2].Time = shuffled[1].Time // a tie
	want, err := cli.Select(shuffled, cli.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got, err := cli.Select(shuffled, cli.Query{}); got != want || err != nil {
			t.Fatalf("got %v, %v, then %v", want, err, got)
		}
	}
}
