package backup_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"restante/backup"
	"restante/blob"
	"restante/repo"
	"restante/restore"
	"restante/snapshot"
)

// BenchmarkLimits shows what the limits by which mail is cut and gathered cost.
// Its lines are the table in DESIGN.md. The store is that of
// RESTANTE_BENCH_STORE, or a small generated one:
//
//	RESTANTE_BENCH_STORE=/var/vmail go test ./backup -run '^$' -bench Limits -benchtime 1x
func BenchmarkLimits(b *testing.B) {
	for _, l := range []struct{ share, literal, clump int }{
		{512, 512, 1 << 20}, // as it is
		{1, 0, 1 << 20}, {2 << 10, 512, 1 << 20}, {4 << 10, 512, 1 << 20}, {16 << 10, 512, 1 << 20},
		{512, 0, 1 << 20}, {512, 128, 1 << 20}, {512, 1 << 10, 1 << 20},
		{512, 512, 256 << 10}, {512, 512, 512 << 10}, {512, 512, 2 << 20},
	} {
		b.Run(fmt.Sprintf("share=%d/literal=%d/clump=%d", l.share, l.literal, l.clump), func(b *testing.B) {
			back, _ := benchStore(b)
			for b.Loop() {
				f := benchFixture(b)
				result := back(f, backup.ShareText(l.share), backup.LiteralText(l.literal), backup.ClumpSize(l.clump))
				reportSizes(b, f, result)
				reportMailboxes(b, f, result)
			}
		})
	}
}

// reportSizes reports what the repository takes.
func reportSizes(b *testing.B, f *fixture, result *backup.Result) {
	r := f.open()
	var all, indexes int64
	var entries int
	err := r.EachObject(b.Context(), "", func(name string, size int64) error {
		all += size
		id, found := strings.CutPrefix(name, "index/")
		if !found {
			return nil
		}
		indexes += size
		object, err := blob.ParseID(id)
		if err != nil {
			return err
		}
		o, _, err := r.OpenIndex(b.Context(), object, size)
		if err != nil {
			return err
		}
		entries += len(o.Entries)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	messages := float64(result.Snapshot.Tree.Counts.Messages)
	b.ReportMetric(float64(all)/1e6, "MB")
	b.ReportMetric(float64(entries)/messages, "entries/message")
	b.ReportMetric(float64(indexes)/messages, "index-B/message")
}

// reportMailboxes restores some mailboxes, each by itself, and reports how long
// that takes and how much has to be opened for it.
func reportMailboxes(b *testing.B, f *fixture, result *backup.Result) {
	src := &meter{Repository: f.open()}
	tree := snapshot.OpenTree(src, result.Snapshot.Tree)
	var mailboxes []snapshot.Mailbox
	for m, err := range snapshot.OpenMailboxes(src, result.Snapshot.Mailboxes).All(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		mailboxes = append(mailboxes, m)
	}
	dir := b.TempDir()
	var bytes uint64
	var took time.Duration
	const some = 8
	for i := range some {
		m := mailboxes[i*len(mailboxes)/some]
		o := restore.Options{Target: filepath.Join(dir, fmt.Sprint(i)), NoOwner: os.Geteuid() != 0, Parts: []restore.Part{{Ranges: m.Ranges, Path: snapshot.Key.Path}}}
		begun := time.Now()
		res, err := restore.Run(b.Context(), src, tree, src.PieceKey(), o)
		if err != nil || res.Failures > 0 {
			b.Fatal(res.Failed, err)
		}
		took += time.Since(begun)
		bytes += res.Bytes
	}
	b.ReportMetric(float64(took.Milliseconds())/some, "ms/mailbox")
	b.ReportMetric(float64(src.opened.Load())/float64(bytes), "opened/restored")
}

// A meter counts the bytes of the clumps that are opened.
type meter struct {
	*repo.Repository
	opened atomic.Uint64
}

func (m *meter) Clump(ctx context.Context, buf []byte, c blob.Clump) ([]byte, error) {
	raw, err := m.Repository.Clump(ctx, buf, c)
	m.opened.Add(uint64(len(raw)))
	return raw, err
}
