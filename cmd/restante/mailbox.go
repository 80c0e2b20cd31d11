package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"restante/cmd/restante/internal/cli"
	"restante/mailstore"
	"restante/snapshot"
)

// otherName is what the files that belong to no mailbox go by. No mailbox has
// this name.
const otherName = "(other)"

// findMailbox returns the mailbox that query means in the snapshot, and its
// folder if the query names one: MAILBOX or MAILBOX/FOLDER. The name "(other)"
// means what belongs to nobody. Names may be typed as they are on disk or as
// the listings print them. Its error says which names are near and which
// command lists them.
func (o *opened) findMailbox(ctx context.Context, s listed, query string) (snapshot.Mailbox, *snapshot.Folder, error) {
	name, folder, wantsFolder := strings.Cut(query, "/") // no mailbox's name holds a slash
	if name == "" || wantsFolder && folder == "" {
		return snapshot.Mailbox{}, nil, cli.Usagef("cannot read %q: write it as MAILBOX or MAILBOX/FOLDER", query)
	}
	found, err := o.matchMailbox(ctx, s, name)
	var several *mailstore.AmbiguousError
	var unknown *mailstore.UnknownError
	switch {
	case errors.As(err, &several):
		return found, nil, &cli.UsageError{Err: err}
	case errors.As(err, &unknown):
		return found, nil, fmt.Errorf("snapshot %s: %w (restante mailboxes --snapshot %s lists all)", s.short(), err, s.short())
	case err != nil || !wantsFolder:
		return found, nil, err
	}
	names := make([]string, len(found.Folders))
	for i, f := range found.Folders {
		names[i] = f.Name
	}
	i, err := asPrinted(folder, func(q string) (int, error) { return mailstore.MatchFolder(names, q) })
	if err != nil {
		return found, nil, fmt.Errorf("mailbox %q: %w (restante ls --snapshot %s %s lists all)", found.Name, err, s.short(), shellWord(found.Name))
	}
	return found, &found.Folders[i], nil
}

// findRanges returns where the mailbox, or the folder, that query means lies.
func (o *opened) findRanges(ctx context.Context, s listed, query string) ([]snapshot.Range, error) {
	m, folder, err := o.findMailbox(ctx, s, query)
	if err == nil && folder != nil {
		return folder.Ranges, nil
	}
	return m.Ranges, err
}

func (o *opened) matchMailbox(ctx context.Context, s listed, name string) (snapshot.Mailbox, error) {
	mailboxes := o.mailboxes(s)
	if name == otherName {
		return o.otherMailbox(ctx, mailboxes)
	}
	if found, ok, err := mailboxes.Get(ctx, name); err != nil || ok {
		return found, err
	}
	var names []mailstore.Name
	for m, err := range mailboxes.All(ctx) {
		if err != nil {
			return snapshot.Mailbox{}, err
		}
		names = append(names, mailstore.Name{Name: m.Name, Aliases: m.Aliases})
	}
	i, err := asPrinted(name, func(q string) (int, error) { return mailstore.Match(names, q) })
	if err != nil {
		return snapshot.Mailbox{}, err
	}
	found, _, err := mailboxes.Get(ctx, names[i].Name)
	return found, err
}

// asPrinted matches a name as it was typed, and if that is unknown, what it
// means if it was copied from a listing.
func asPrinted(typed string, match func(string) (int, error)) (int, error) {
	i, err := match(typed)
	if !errors.As(err, new(*mailstore.UnknownError)) || !strings.Contains(typed, `\`) {
		return i, err
	}
	meant, badQuote := strconv.Unquote(`"` + strings.ReplaceAll(typed, `"`, `\"`) + `"`)
	if badQuote != nil {
		return i, err
	}
	if i, again := match(meant); again == nil {
		return i, nil
	}
	return i, err
}

// otherMailbox returns what belongs to no mailbox, as one.
func (o *opened) otherMailbox(ctx context.Context, mailboxes *snapshot.Mailboxes) (snapshot.Mailbox, error) {
	var taken []snapshot.Range
	for m, err := range mailboxes.All(ctx) {
		if err != nil {
			return snapshot.Mailbox{}, err
		}
		taken = append(taken, m.Ranges...)
	}
	return snapshot.Mailbox{Name: otherName, Ranges: between(taken)}, nil
}

// between returns the ranges that none of these covers, ascending.
func between(ranges []snapshot.Range) []snapshot.Range {
	slices.SortFunc(ranges, func(a, b snapshot.Range) int { return cmp.Compare(a.From, b.From) })
	var out []snapshot.Range
	var free snapshot.Key // where what is not covered so far begins
	for _, r := range ranges {
		if r.From > free {
			out = append(out, snapshot.Range{From: free, To: r.From})
		}
		if r.To == "" {
			return out
		}
		free = max(free, r.To)
	}
	return append(out, snapshot.Range{From: free})
}

// short is the snapshot's ID as a person types it.
func (s listed) short() string { return s.id[:8] }

// count adds up what lies in the ranges. With an error the sums are the best
// that is known.
func count(ctx context.Context, t *snapshot.Tree, ranges []snapshot.Range) (sum snapshot.Counts, err error) {
	for _, r := range ranges {
		c, failed := t.Count(ctx, r)
		if !sum.Add(c) {
			return snapshot.Counts{}, fmt.Errorf("adding up: %w: the sums are over 64 bits", snapshot.ErrDamaged)
		}
		err = cmp.Or(err, failed)
	}
	return sum, err
}

// exactBytes returns a name that is not UTF-8 in base64, for JSON, which
// cannot hold it; "" for all others.
func exactBytes(name string) string {
	if utf8.ValidString(name) {
		return ""
	}
	return base64.StdEncoding.EncodeToString([]byte(name))
}
