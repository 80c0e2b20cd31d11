package repair

import (
	"context"
	"errors"
	"slices"
	"sort"

	"restante/repo"
	"restante/snapshot"
)

const (
	maxKept  = 200_000 // keys of lost files that are kept, to tell whose they are
	maxNamed = 10      // paths that a report names
)

// nobody is what people are told for files of no mailbox.
const nobody = "(other)"

// Lost says what of a snapshot can no longer be restored.
type Lost struct {
	Files     uint64        `json:"files" doc:"files, those included whose names are lost"`
	Nameless  uint64        `json:"nameless" doc:"files whose names are lost, too"`
	First     []string      `json:"first" doc:"up to 10 of the paths"`
	Mailboxes []MailboxLost `json:"mailboxes" doc:"whose they are"`
	Unlisted  uint64        `json:"unlisted_mailboxes" doc:"mailboxes whose names are lost; what is left of their files is listed by ls --raw"`
}

// MailboxLost says how much of a mailbox is lost.
type MailboxLost struct {
	Name  string `json:"name" doc:"the mailbox; (other) for files of none"`
	Files uint64 `json:"files" doc:"its lost files that can be named"`
	More  bool   `json:"more" doc:"it may have lost others, whose names are lost"`
}

// losses are what one snapshot has lost.
type losses struct {
	files     uint64
	keys      []snapshot.Key // of the files, ascending
	gaps      []snapshot.Gap
	nameless  uint64
	mailboxes []MailboxLost
	unlisted  uint64
	noList    bool // a page of the map of mailboxes cannot be read, though it may have listed none
}

func (l *losses) file(k snapshot.Key) {
	l.files++
	if len(l.keys) < maxKept {
		l.keys = append(l.keys, k)
	}
}

func (l *losses) gap(g *snapshot.Gap) {
	l.nameless += g.Counts.Files
	l.gaps = append(l.gaps, *g)
}

// none reports whether nothing is lost.
func (l *losses) none() bool { return l.files == 0 && len(l.gaps) == 0 && !l.noList }

func (l *losses) result() Lost {
	out := Lost{Files: l.files + l.nameless, Nameless: l.nameless, First: []string{}, Mailboxes: l.mailboxes, Unlisted: l.unlisted}
	if out.Mailboxes == nil {
		out.Mailboxes = []MailboxLost{}
	}
	for _, k := range l.keys[:min(len(l.keys), maxNamed)] {
		out.First = append(out.First, k.Path())
	}
	return out
}

// meets reports whether a gap may hold keys of a range.
func meets(g *snapshot.Gap, r snapshot.Range) bool {
	return (g.Last == "" || r.From <= g.Last) && (!g.Bounded || r.To == "" || r.To > g.After)
}

// mailboxes finds out whose the lost files are. A map of mailboxes that cannot be
// read becomes one of those that can.
func (w *rewriter) mailboxes(ctx context.Context, s *snapshot.Snapshot) error {
	var whole []snapshot.Mailbox
	for m, err := range snapshot.OpenMailboxes(w.r, s.Mailboxes).All(ctx) {
		var gap *snapshot.Gap
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &gap) && !repo.Unreadable(err):
			w.lost.unlisted += gap.Counts.Entries
			w.lost.noList = true
		case err != nil:
			return err
		default:
			whole = append(whole, m)
		}
	}
	w.lost.attribute(whole)
	if !w.lost.noList {
		return nil
	}
	b := snapshot.NewMailboxBuilder(w.saver, w.r.PieceKey())
	for i := range whole {
		if err := b.Add(ctx, &whole[i]); err != nil {
			return err
		}
	}
	var err error
	s.Mailboxes, err = b.Finish(ctx)
	return err
}

// attribute counts the lost files of each mailbox.
func (l *losses) attribute(mailboxes []snapshot.Mailbox) {
	owned := make([]bool, len(l.keys))
	for _, m := range mailboxes {
		out := MailboxLost{Name: m.Name}
		for _, r := range m.Ranges {
			i := sort.Search(len(l.keys), func(i int) bool { return l.keys[i] >= r.From })
			for ; i < len(l.keys) && r.Contains(l.keys[i]); i++ {
				owned[i] = true
				out.Files++
			}
			out.More = out.More || slices.ContainsFunc(l.gaps, func(g snapshot.Gap) bool { return meets(&g, r) })
		}
		if out.Files > 0 || out.More {
			l.mailboxes = append(l.mailboxes, out)
		}
	}
	other := MailboxLost{Name: nobody}
	for _, known := range owned {
		if !known {
			other.Files++
		}
	}
	if other.Files > 0 {
		l.mailboxes = append(l.mailboxes, other)
	}
}
