package repo_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"restante/blob"
	"restante/internal/mailgen"
	"restante/message"
	"restante/repo"
)

// BenchmarkLevels compares zstd's levels on clumps of each class. Its lines are
// the table in DESIGN.md. The mail is the files below RESTANTE_BENCH_STORE that
// look like a message, or generated:
//
//	RESTANTE_BENCH_STORE=/var/vmail go test ./repo -run '^$' -bench Levels
func BenchmarkLevels(b *testing.B) {
	clumps := clumpsOf(b)
	for _, class := range []blob.Class{blob.Head, blob.Text, blob.Bin} {
		for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
			b.Run(fmt.Sprintf("%v/%v", class, level), func(b *testing.B) {
				enc, err := repo.NewEncoder(level, class)
				if err != nil {
					b.Fatal(err)
				}
				var packed []byte
				var in, out int
				for b.Loop() {
					in, out = 0, 0
					for _, raw := range clumps[class] {
						packed = enc.EncodeAll(raw, packed[:0])
						in, out = in+len(raw), out+min(len(packed), len(raw))
					}
				}
				b.SetBytes(int64(in))
				b.ReportMetric(float64(out)/float64(in), "packed/raw")
			})
		}
	}
}

// clumpsOf cuts mail and puts runs of one class together, each once, in clumps of 1 MiB.
// Attachments that a backup would keep apart, as they are, are among the others.
func clumpsOf(b *testing.B) map[blob.Class][][]byte {
	b.Helper()
	clumps := map[blob.Class][][]byte{}
	seen := map[blob.ID]bool{}
	h := blob.NewHasher(blob.Key{})
	add := func(class blob.Class, data []byte) {
		id := h.Sum(data)
		if seen[id] {
			return
		}
		seen[id] = true
		c := clumps[class]
		if len(c) == 0 || len(c[len(c)-1])+len(data) > 1<<20 {
			c = append(c, make([]byte, 0, 1<<20))
		}
		c[len(c)-1] = append(c[len(c)-1], data...)
		clumps[class] = c
	}
	eachMail(b, func(mail []byte) {
		var c message.Cutter
		c.Reset(bytes.NewReader(mail), message.Mail)
		for block, err := c.Next(); err == nil; block, err = c.Next() {
			switch block.Class {
			case message.Head:
				add(blob.Head, block.Raw)
			case message.Base64:
				add(blob.Bin, block.Decoded)
			default:
				add(blob.Text, block.Raw)
			}
		}
	})
	return clumps
}

func eachMail(b *testing.B, fn func([]byte)) {
	b.Helper()
	dir := os.Getenv("RESTANTE_BENCH_STORE")
	if dir == "" {
		for m := range mailgen.Mails(7, 1000) {
			fn(m)
		}
		return
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if message.LooksLikeMail(data) {
			fn(data)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}
