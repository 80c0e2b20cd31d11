package backup

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"restante/blob"
	"restante/mailstore"
	"restante/message"
	"restante/repo"
)

const (
	sampleWindow  = 1 << 20 // two clumps of neighbouring files
	sampleWindows = 64

	// bookkeeping is what a file takes beside its content: its entry in the
	// tree, and the name of its piece in a pack's directory and in the index.
	bookkeeping = 180
)

// Estimate returns about how many bytes the first backup of a store would
// take, which has the given size. It compresses up to 64 MiB of the files: runs
// of neighbours at even distances, counted in bytes. The same mail lying in
// many mailboxes is met by chance only, so that a store with much of it takes
// less. What cannot be read is left out. It returns an error when ctx ends.
func Estimate(ctx context.Context, store *mailstore.Store, size mailstore.Counts) (uint64, error) {
	estimator, err := repo.NewEstimator(repo.Default)
	if err != nil {
		return 0, err
	}
	total := uint64(max(size.Bytes, 0))
	s := &sampler{ctx: ctx, store: store, estimator: estimator, buf: make([]byte, sampleWindow), mailbox: mailstore.Nobody}
	if s.step = total / sampleWindows; s.step <= sampleWindow {
		s.step = sampleWindow // everything
	}
	for i, root := range store.Roots {
		s.root, s.at = i, root
		if real, err := filepath.EvalSymlinks(root); err == nil {
			s.at = real // WalkDir would not follow a link
		}
		if err := filepath.WalkDir(s.at, s.visit); err != nil {
			return 0, fmt.Errorf("sampling %q: %w", root, err)
		}
	}
	packed, err := estimator.Size()
	if err != nil {
		return 0, err
	}
	if s.sampled > 0 && s.sampled < total {
		packed = uint64(float64(packed) / float64(s.sampled) * float64(total))
	}
	return packed + uint64(size.Files)*bookkeeping, nil
}

// A sampler walks a store as if all its files were one run of bytes, and
// compresses the first sampleWindow of each step bytes.
type sampler struct {
	ctx       context.Context
	store     *mailstore.Store
	estimator *repo.Estimator
	buf       []byte
	cut       message.Cutter
	step      uint64

	root    int
	at      string // where the root lies
	passed  uint64 // bytes of the files before
	sampled uint64
	mailbox int
}

// visit is a [fs.WalkDirFunc].
func (s *sampler) visit(path string, e fs.DirEntry, err error) error {
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	if err != nil || !e.Type().IsRegular() {
		return nil // what cannot be read takes no room either
	}
	info, err := e.Info()
	if err != nil || info.Size() <= 0 {
		return nil
	}
	size := uint64(info.Size())
	begin, end := s.passed, s.passed+size
	s.passed = end
	for window := begin / s.step * s.step; window < end; window += s.step {
		from, to := max(window, begin), min(window+sampleWindow, end)
		if from < to {
			if err := s.sample(path, int64(from-begin), int64(to-from)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sample compresses a part of a file, of a window at most.
func (s *sampler) sample(path string, offset, length int64) error {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	n, _ := io.ReadFull(io.NewSectionReader(f, offset, length), s.buf[:length]) // a shorter sample is one too
	if n == 0 {
		return nil
	}
	data := s.buf[:n]
	role, mailbox := s.role(path)
	if mailbox != s.mailbox {
		if err := s.estimator.Boundary(); err != nil {
			return err
		}
		s.mailbox = mailbox
	}
	s.sampled += uint64(n)
	switch {
	case role == mailstore.MboxFile:
		return s.mail(data, message.Mbox)
	case role == mailstore.Message || message.LooksLikeMail(data):
		return s.mail(data, message.Mail)
	}
	return s.estimator.Add(blob.Bin, data)
}

// mail cuts and compresses a part of a file of mail.
func (s *sampler) mail(data []byte, kind message.Kind) error {
	s.cut.Reset(bytes.NewReader(data), kind)
	for {
		b, err := s.cut.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case b.Class == message.Base64:
			err = s.estimator.Add(blob.Bin, b.Decoded)
		case b.Class == message.Head:
			err = s.estimator.Add(blob.Head, b.Raw)
		default:
			err = s.estimator.Add(blob.Text, b.Raw)
		}
		if err != nil {
			return err
		}
	}
}

func (s *sampler) role(path string) (mailstore.FileRole, int) {
	rel, err := filepath.Rel(s.at, path)
	if err != nil || rel == "." {
		return s.store.Dir(s.root, "").File("")
	}
	dir, name := filepath.Split(rel)
	dir = filepath.ToSlash(filepath.Clean(dir))
	if dir == "." {
		dir = ""
	}
	return s.store.Dir(s.root, dir).File(name)
}
