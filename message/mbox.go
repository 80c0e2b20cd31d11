package message

import (
	"bytes"
	"strconv"
)

// mbox is what is known of an mbox, its messages' borders above all.
type mbox struct {
	begun   bool  // it has had a "From " line
	claimed bool  // the message at hand has a Content-Length
	end     int64 // where in the file that leads to
}

const (
	maxLength = 1 << 53 // the largest Content-Length that is taken seriously
	maxBlank  = 2       // bytes of the empty line between a body and the next "From " line

	maxWithin = lookahead - maxBlank - maxFromLine // how far from its end a claim is looked into
)

// An mboxHead is what the header of a message of an mbox says.
type mboxHead struct {
	from    bool // it begins with a "From " line
	notes   bool // it is of no message
	ended   bool // by an empty line
	claimed bool
	length  int64 // the Content-Length, if that is claimed; the last one counts
	lines   int
}

// pass takes in the next line, with its end.
func (m *mboxHead) pass(line []byte) {
	if m.lines++; m.lines == 1 {
		m.from = IsFromLine(line)
		return
	}
	line = trimEnd(line)
	m.ended = len(line) == 0
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("X-IMAP")):
		m.notes = true
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		if m.claimed = err == nil && n >= 0 && n <= maxLength; m.claimed {
			m.length = n
		}
	}
}

// begin takes in a header that ends at offset at of the file, and reports
// whether it is one of a message.
func (b *mbox) begin(m *mboxHead, at int64) bool {
	message := m.from && (b.begun || !m.notes)
	b.begun = b.begun || m.from
	b.claimed, b.end = m.claimed && m.ended, at+m.length
	return message
}

// ends reports whether the body at hand ends at offset at, by its Content-Length.
func (b *mbox) ends(at int64) bool {
	return b.claimed && at >= b.end && at <= b.end+maxBlank
}

// offset returns where in the file scan is.
func (c *Cutter) offset() int64 { return c.pos + int64(c.scan-c.start) }

// within reports whether the "From " line at scan lies within the body at hand:
// its Content-Length leads beyond the line, to the next "From " line or to the
// end of the file. Then it passes the line. If that is too far away to be seen,
// the line does not.
func (c *Cutter) within() (bool, error) {
	ahead := c.mbox.end - c.offset()
	if !c.mbox.claimed || ahead <= 0 || ahead > maxWithin {
		return false, nil
	}
	v, final, err := c.view(c.scan, int(ahead)+maxBlank+maxFromLine)
	if err != nil || !leads(v, int(ahead), final) {
		return false, err
	}
	line, _ := cutLine(v)
	c.scan += len(line)
	c.lines.gap, c.lines.folded = false, false
	return true, nil
}

// leads reports whether a "From " line begins at the offset end of v, at most an
// empty line behind it, or the file ends there; final says that it ends with v.
func leads(v []byte, end int, final bool) bool {
	for at := end; at <= min(end+maxBlank, len(v)); at++ {
		if at == len(v) {
			return final
		}
		line, _ := cutLine(v[at:min(len(v), at+maxFromLine)])
		if v[at-1] == '\n' && IsFromLine(line) {
			return true
		}
	}
	return false
}
