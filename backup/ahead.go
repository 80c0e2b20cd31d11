package backup

import (
	"bytes"
	"context"
	"errors"
	"io"

	"restante/blob"
	"restante/message"
)

const (
	aheadRead   = 256 << 10 // bytes that are read at a time to be hashed
	maxFromLine = 1 << 10   // bytes of the line behind a segment of an mbox
)

// An ahead looks whether segments are where they would be if all before them
// are: several at once, so that a file that only grew is hashed by all
// processors. Its zero value is ready for use.
type ahead struct {
	checks []*check // under way, for successive segments
	idle   []*checker
	same   bool // the last one was there, so those behind it may be, too
}

// A check is the question whether a segment is at a place.
type check struct {
	segment int
	pos     int64
	by      *checker
	done    chan struct{} // closed when the following is set
	same    bool
	err     error
}

// A checker hashes what is passing by.
type checker struct {
	hash *blob.Hasher
	buf  []byte
}

// isNext reports whether the file has segment next of the former state at pos,
// and ends it there as that did.
func (a *ahead) isNext(ctx context.Context, g *grown) (bool, error) {
	if len(a.checks) > 0 && (a.checks[0].segment != g.next || a.checks[0].pos != g.pos) {
		a.drop()
	}
	segment, pos := g.next, g.pos
	if n := len(a.checks); n > 0 {
		last := a.checks[n-1]
		segment, pos = last.segment+1, last.pos+g.old.segments[last.segment].size
	}
	most := 1
	if a.same {
		most = g.r.run.jobs()
	}
	for len(a.checks) < most && segment < len(g.old.segments) {
		a.checks = append(a.checks, a.start(ctx, g, segment, pos))
		pos += g.old.segments[segment].size
		segment++
	}
	first := a.checks[0]
	a.checks = a.checks[1:]
	<-first.done
	a.idle = append(a.idle, first.by)
	a.same = first.same
	return first.same, first.err
}

func (a *ahead) start(ctx context.Context, g *grown, segment int, pos int64) *check {
	c := &check{segment: segment, pos: pos, done: make(chan struct{})}
	if n := len(a.idle); n > 0 {
		c.by, a.idle = a.idle[n-1], a.idle[:n-1]
	} else {
		c.by = &checker{hash: blob.NewHasher(g.r.run.repo.PieceKey()), buf: make([]byte, aheadRead)}
	}
	s, how := &g.old.segments[segment], g.cut.how
	go func() {
		defer close(c.done)
		c.same, c.err = c.by.isAt(ctx, g.src, s, pos, how)
	}()
	return c
}

// drop ends the checks under way.
func (a *ahead) drop() {
	for _, c := range a.checks {
		<-c.done
		a.idle = append(a.idle, c.by)
	}
	a.checks = nil
}

// isAt reports whether the segment is at pos of the file. The cutter saw behind
// a segment of an mbox that a message begins; so must this.
func (c *checker) isAt(ctx context.Context, src *source, s *segment, pos int64, how uint32) (bool, error) {
	c.hash.Begin()
	for end := pos + s.size; pos < end; {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		b := c.buf[:min(end-pos, aheadRead)]
		n, err := src.ReadAt(b, pos)
		if n < len(b) {
			return false, notEOF(err)
		}
		c.hash.Write(b)
		pos += int64(n)
	}
	if c.hash.ID() != s.hash {
		return false, nil
	}
	if how != cutAsMbox {
		return true, nil
	}
	n, err := src.ReadAt(c.buf[:maxFromLine], pos)
	line, _, whole := bytes.Cut(c.buf[:n], []byte("\n"))
	return whole && message.IsFromLine(line), notEOF(err)
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
