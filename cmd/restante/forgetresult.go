package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"restante/cmd/restante/internal/cli"
	"restante/gc"
	"restante/retention"
	"restante/seal"
)

// forgetRecord is a snapshot that forget decided about.
type forgetRecord struct {
	ID      string   `json:"id" doc:"32 hexadecimal digits"`
	Time    string   `json:"time" doc:"when the backup began, in UTC"`
	Store   string   `json:"store" doc:"the store's name"`
	Host    string   `json:"host" doc:"the machine it was made on"`
	Tags    []string `json:"tags" doc:"its tags"`
	Forget  bool     `json:"forget" doc:"whether it is forgotten"`
	Reasons []string `json:"reasons" doc:"why it is kept; none if it is forgotten"`

	marks string
	began time.Time
}

// forgetResult is what "forget --json" prints.
type forgetResult struct {
	DryRun        bool           `json:"dry_run" doc:"nothing was forgotten: --dry-run, or there was no rule"`
	DefaultPolicy bool           `json:"default_policy" doc:"no rule was given, so that of one week was taken"`
	Rules         string         `json:"rules" doc:"the rules, as options; empty where snapshots were named"`
	Kept          uint64         `json:"kept" doc:"how many snapshots are kept, of those below"`
	Forgotten     uint64         `json:"forgotten" doc:"how many are forgotten, or would be"`
	Snapshots     []forgetRecord `json:"snapshots" doc:"the snapshots, oldest first; where snapshots were named these"`
	Prune         *gc.Report     `json:"prune,omitempty" doc:"with --prune: what restante prune reports, or would; left out if it refused"`
}

// defaultDays is how many days are kept where no rule is given.
const defaultDays = 7

func (o *forgetOptions) addFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	for _, rule := range o.counts() {
		fs.Func("keep-"+rule.name, rule.help, func(s string) (err error) {
			*rule.n, err = parseKeep(s)
			return err
		})
	}
	fs.Func("keep-within", "keep all that are at most `SPAN` older than the newest complete one: 30d, 8w, 6mo, 1y", func(s string) (err error) {
		o.policy.Within, err = retention.ParseSpan(s)
		return err
	})
	fs.StringArrayVar(&o.policy.Tags, "keep-tag", nil, "keep those with the tag `NAME`; may be repeated, one is enough")
	fs.StringVar(&o.groupBy, "group-by", "host,store", "the rules are applied to the snapshots of one `GROUP` by themselves: host, store, host,store or none")
	fs.BoolVar(&o.defaultPolicy, "default-policy", false, "apply the rule of one week: --keep-daily "+strconv.Itoa(defaultDays))
	fs.BoolVar(&o.prune, "prune", false, "then do as restante prune does; with --dry-run say what it would do")
	o.pruning.addFlags(fs)
	fs.BoolVarP(&o.dryRun, "dry-run", "n", false, "show what would be forgotten, forget nothing")
	o.choice.addFilters(fs)
	complete(cmd, "group-by", "host,store", "host", "store", "none")
}

// A keepRule is a rule that counts, as an option.
type keepRule struct {
	name string
	n    *int
	help string
}

func (o *forgetOptions) counts() []keepRule {
	p := &o.policy
	return []keepRule{
		{"last", &p.Last, "keep the newest `N` complete snapshots"},
		{"hourly", &p.Hourly, "keep the newest of each of the last `N` hours that have one"},
		{"daily", &p.Daily, "keep the newest of each of the last `N` days"},
		{"weekly", &p.Weekly, "keep the newest of each of the last `N` weeks"},
		{"monthly", &p.Monthly, "keep the newest of each of the last `N` months"},
		{"yearly", &p.Yearly, "keep the newest of each of the last `N` years"},
	}
}

func parseKeep(s string) (int, error) {
	if s == "all" {
		return retention.All, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1_000_000 {
		return 0, errors.New("it is a number from 1 to 1000000, or all")
	}
	return n, nil
}

// read checks the options, and puts the default where there is no rule.
func (o *forgetOptions) read(args []string) (*forgetResult, error) {
	result := &forgetResult{DryRun: o.dryRun, Snapshots: []forgetRecord{}}
	hasRules := !o.policy.IsZero()
	switch {
	case len(args) > 0 && (hasRules || o.defaultPolicy):
		return nil, cli.Usagef("snapshots are named, so rules have no meaning: give one or the other")
	case hasRules && o.defaultPolicy:
		return nil, cli.Usagef("--default-policy is for when there is no other rule")
	case !o.prune && len(o.pruning.given) > 0:
		return nil, cli.Usagef("%s has a meaning with --prune only", o.pruning.given[0])
	case slices.Contains(args, ""):
		return nil, cli.Usagef("a snapshot is named, but empty")
	}
	for _, name := range strings.Split(o.groupBy, ",") {
		switch {
		case name == "host":
			o.policy.GroupBy.Host = true
		case name == "store":
			o.policy.GroupBy.Store = true
		case o.groupBy != "none":
			return nil, cli.Usagef("cannot group by %q: it is host, store, host,store or none", o.groupBy)
		}
	}
	o.policy.Location = time.Local
	if len(args) > 0 {
		return result, nil
	}
	if !hasRules {
		o.policy.Daily = defaultDays
		result.DefaultPolicy, result.DryRun = true, o.dryRun || !o.defaultPolicy
	}
	result.Rules = o.rules()
	return result, nil
}

// rules returns the rules as options.
func (o *forgetOptions) rules() string {
	var out []string
	for _, rule := range o.counts() {
		switch *rule.n {
		case 0:
		case retention.All:
			out = append(out, "--keep-"+rule.name+" all")
		default:
			out = append(out, fmt.Sprintf("--keep-%s %d", rule.name, *rule.n))
		}
	}
	if o.policy.Within != (retention.Span{}) {
		out = append(out, "--keep-within "+o.policy.Within.String())
	}
	for _, tag := range o.policy.Tags {
		out = append(out, "--keep-tag "+strconv.Quote(tag))
	}
	return strings.Join(append(out, "--group-by "+o.groupBy), " ")
}

// add notes what is decided about a snapshot.
func (r *forgetResult) add(s listed, forget bool, reasons []string) {
	add := forgetRecord{ID: s.id, Tags: []string{}, Forget: forget, Reasons: append([]string{}, reasons...)}
	if rec := s.record; rec != nil { // else it is damaged
		add.Time, add.began, add.marks = timestamp(rec.Started), rec.Started.Go(), s.marks()
		add.Store, add.Host, add.Tags = rec.Store, rec.Host, append(add.Tags, rec.Tags...)
	}
	r.Snapshots = append(r.Snapshots, add)
}

// addNamed adds a snapshot that is to be forgotten by its ID, once. It is an error if it is held.
func (r *forgetResult) addNamed(s listed) error {
	if s.hold != nil {
		return &heldError{s.id, holdText(s.hold)}
	}
	if !slices.ContainsFunc(r.Snapshots, func(r forgetRecord) bool { return r.ID == s.id }) {
		r.add(s, true, nil)
	}
	return nil
}

// forgotten returns the snapshots that are forgotten, or would be.
func (r *forgetResult) forgotten() (ids []seal.Session, err error) {
	for _, s := range r.Snapshots {
		if !s.Forget {
			continue
		}
		id, err := seal.ParseSession(s.ID)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// table shows what is decided, a store after the other.
func (r *forgetResult) table(digits int) *cli.Table {
	table := cli.NewTable(cli.Column{Title: "ID"}, cli.Column{Title: "Time"}, cli.Column{Title: "Store"}, cli.Column{Title: "Host"},
		cli.Column{Title: "Tags"}, cli.Column{Title: "Marks"}, cli.Column{Title: "Decision"}, cli.Column{Title: "Because"})
	sorted := slices.Clone(r.Snapshots)
	slices.SortStableFunc(sorted, func(a, b forgetRecord) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Store, b.Store))
	})
	for _, s := range sorted {
		decision, began := "keep", ""
		if s.Forget {
			decision = "forget"
		}
		if s.Time != "" { // else it is damaged
			began = cli.Time(s.began)
		}
		table.Row(s.ID[:digits], began, s.Store, s.Host, strings.Join(s.Tags, ","), s.marks, decision, strings.Join(s.Reasons, "; "))
	}
	return table
}

// report says what was done. Its error is the outcome where there are damaged snapshots.
func (r *forgetResult) report(out *output, damaged uint64) error {
	for _, s := range r.Snapshots {
		switch {
		case !s.Forget:
			r.Kept++
		case s.Time == "": // it was damaged, and is no longer counted
			damaged--
			r.Forgotten++
		default:
			r.Forgotten++
		}
	}
	if out.json {
		if err := out.object(r); err != nil {
			return err
		}
	}
	forgotten := cli.Count(r.Forgotten, "snapshot", "snapshots")
	switch {
	case r.DryRun && r.DefaultPolicy:
		out.warn("nothing was forgotten, as no rule was given; --default-policy (--keep-daily %d) would forget %s and keep %s, as shown", defaultDays, forgotten, cli.Number(r.Kept))
	case r.DryRun:
		out.note("nothing was forgotten (--dry-run); it would be %s", forgotten)
	case r.Forgotten == 0:
		out.note("nothing is to be forgotten")
	case r.Prune != nil:
		out.note("%s forgotten; restante unforget ID takes one back until a prune has deleted its data", forgotten)
	default:
		out.note("%s forgotten; restante unforget ID takes one back, restante snapshots --forgotten lists them", forgotten)
	}
	if damaged > 0 {
		return outcome{exitDamage, cli.Count(damaged, "snapshot is", "snapshots are") + " damaged, which no rule forgets; restante check says what else is"}
	}
	return nil
}
