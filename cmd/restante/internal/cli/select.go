package cli

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Snapshot is what selecting one needs to know of it.
type Snapshot struct {
	ID    string // 32 lower-case hexadecimal digits
	Store string
	Host  string
	Time  time.Time
}

// String returns the snapshot as it is named to a person, in one line.
func (s Snapshot) String() string {
	return fmt.Sprintf("snapshot %s of store %q on %s, %s", shortID(s.ID), s.Store, Name(s.Host), Time(s.Time))
}

// A Query says which snapshot is wanted: by Snapshot, a prefix of its ID,
// "latest" or "latest~2" (the second before the latest), or by At, the newest
// one not after that time, or with neither the latest. Store and Host, where
// they are not empty, leave the others out of account.
type Query struct {
	Snapshot string
	At       time.Time
	Store    string
	Host     string
}

var (
	latestForm = regexp.MustCompile(`^latest(?:~(\d{1,6}))?$`)
	prefixForm = regexp.MustCompile(`^[0-9a-f]{1,32}$`)
)

// maxNamed bounds how many snapshots or stores an error lists.
const maxNamed = 8

// Select returns the snapshot that q names.
//
// One store's snapshots only are ever compared by time: when q leaves several
// stores (a store of the same name on another host is another one) and asks
// for a time or the latest, that is a [UsageError] that lists them. So is a
// selector that has no meaning, or one beside a time, or the prefix of several
// IDs. Other errors say what there is instead of what was asked for.
func Select(snapshots []Snapshot, q Query) (Snapshot, error) {
	if q.Snapshot != "" && !q.At.IsZero() {
		return Snapshot{}, Usagef("--snapshot and --at exclude each other")
	}
	if len(snapshots) == 0 {
		return Snapshot{}, fmt.Errorf("selecting a snapshot: the repository has none yet; restante backup PATH makes one")
	}
	var matching []Snapshot
	for _, s := range snapshots {
		if (q.Store == "" || q.Store == s.Store) && (q.Host == "" || q.Host == s.Host) {
			matching = append(matching, s)
		}
	}
	if len(matching) == 0 {
		return Snapshot{}, fmt.Errorf("selecting a snapshot: none is of %s; there is %s", q.source(), listStores(snapshots))
	}
	slices.SortFunc(matching, func(a, b Snapshot) int { // the newest first
		return cmp.Or(b.Time.Compare(a.Time), strings.Compare(a.ID, b.ID))
	})
	if q.Snapshot == "" {
		return q.byTime(matching)
	}
	if m := latestForm.FindStringSubmatch(q.Snapshot); m != nil {
		return q.byRank(matching, m[1])
	}
	return q.byID(matching)
}

func (q Query) byTime(newestFirst []Snapshot) (Snapshot, error) {
	if err := q.oneStore(newestFirst); err != nil {
		return Snapshot{}, err
	}
	if q.At.IsZero() {
		return newestFirst[0], nil
	}
	for _, s := range newestFirst {
		if !s.Time.After(q.At) {
			return s, nil
		}
	}
	return Snapshot{}, fmt.Errorf("selecting a snapshot: none is as old as %s; the oldest is %s", Time(q.At), newestFirst[len(newestFirst)-1])
}

func (q Query) byRank(newestFirst []Snapshot, rank string) (Snapshot, error) {
	if err := q.oneStore(newestFirst); err != nil {
		return Snapshot{}, err
	}
	if rank == "" {
		return newestFirst[0], nil
	}
	n, err := strconv.Atoi(rank)
	if err != nil {
		return Snapshot{}, Usagef("cannot read the snapshot %q: %w", q.Snapshot, err)
	}
	if n >= len(newestFirst) {
		return Snapshot{}, q.tooOld(newestFirst)
	}
	return newestFirst[n], nil
}

// tooOld is the error of a rank that is higher than that of the oldest snapshot.
func (q Query) tooOld(newestFirst []Snapshot) error {
	oldest := newestFirst[len(newestFirst)-1]
	if len(newestFirst) == 1 {
		return fmt.Errorf("selecting %s: there is one snapshot only, which is latest: %s", q.Snapshot, oldest)
	}
	return fmt.Errorf("selecting %s: there are %d snapshots only, the oldest is latest~%d: %s; restante snapshots lists them",
		q.Snapshot, len(newestFirst), len(newestFirst)-1, oldest)
}

func (q Query) byID(matching []Snapshot) (Snapshot, error) {
	prefix := strings.ToLower(q.Snapshot)
	if !prefixForm.MatchString(prefix) {
		return Snapshot{}, Usagef("cannot read the snapshot %q: write the first digits of its ID, latest, or latest~2", q.Snapshot)
	}
	var found []Snapshot
	for _, s := range matching {
		if strings.HasPrefix(s.ID, prefix) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return Snapshot{}, fmt.Errorf("selecting a snapshot: no ID of %s begins with %q; restante snapshots lists them", q.source(), q.Snapshot)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, s := range found {
		names = append(names, fmt.Sprintf("%s (%s)", distinctID(s.ID, found), Time(s.Time)))
	}
	return Snapshot{}, Usagef("the snapshot %q could be any of %s", q.Snapshot, list(names))
}

// oneStore returns an error unless all snapshots are of one store.
func (q Query) oneStore(snapshots []Snapshot) error {
	for _, s := range snapshots {
		if s.Store != snapshots[0].Store || s.Host != snapshots[0].Host {
			return Usagef("several stores have snapshots, name one with --store or --host: %s", listStores(snapshots))
		}
	}
	return nil
}

// source names what q limits the choice to.
func (q Query) source() string {
	switch {
	case q.Store != "" && q.Host != "":
		return fmt.Sprintf("store %q on host %q", q.Store, q.Host)
	case q.Store != "":
		return fmt.Sprintf("store %q", q.Store)
	case q.Host != "":
		return fmt.Sprintf("host %q", q.Host)
	}
	return "any store"
}

func listStores(snapshots []Snapshot) string {
	type store struct{ name, host string }
	counts := map[store]uint64{}
	for _, s := range snapshots {
		counts[store{s.Store, s.Host}]++
	}
	var names []string
	for s, n := range counts {
		names = append(names, fmt.Sprintf("%q on %s (%s)", s.name, Name(s.host), Count(n, "snapshot", "snapshots")))
	}
	slices.Sort(names)
	return list(names)
}

func list(names []string) string {
	if more := len(names) - maxNamed; more > 0 {
		names = append(names[:maxNamed:maxNamed], fmt.Sprintf("and %s more", Number(uint64(more))))
	}
	return strings.Join(names, ", ")
}

const shortDigits = 8

func shortID(id string) string { return id[:min(len(id), shortDigits)] }

// distinctID returns the shortest prefix of id, of at least eight digits, that
// no other of these snapshots has.
func distinctID(id string, snapshots []Snapshot) string {
	length := min(len(id), shortDigits)
	for length < len(id) && slices.ContainsFunc(snapshots, func(s Snapshot) bool {
		return s.ID != id && strings.HasPrefix(s.ID, id[:length])
	}) {
		length++
	}
	return id[:length]
}
