package mailstore

import (
	"bytes"
	"strconv"

	"restante/message"
)

// MboxHead is how many bytes of a file LooksLikeMbox wants to see.
const MboxHead = 512

// LooksLikeMbox reports whether a file that begins with head is an mbox: its
// first line is "From SENDER DATE". Blank lines may come before it.
func LooksLikeMbox(head []byte) bool {
	head = bytes.TrimLeft(head, "\r\n")
	line, _, whole := bytes.Cut(head, []byte("\n"))
	return whole && message.IsFromLine(line)
}

// An MboxCounter counts the messages of an mbox that is written to it, in
// parts of any size. A message begins with a "From " line (see LooksLikeMbox)
// at the beginning of the file or after an empty line. Where a message's
// Content-Length leads to the next "From " line or to the end of the file, the
// "From " lines before that are text (mboxcl2). The message in which mail
// programs keep their notes about the folder, the first and with an X-IMAP
// header, is none.
//
// The zero value is ready for use. It serves one goroutine.
type MboxCounter struct {
	line  []byte // the beginning of the line that is being written
	start int64  // where that line begins
	pos   int64  // bytes written

	messages int64
	doubted  int64 // more of them, unless the Content-Length at hand is right
	claimed  bool  // the header at hand, or the last one, has a Content-Length
	bodyEnd  int64 // where it leads to
	length   int64 // the Content-Length
	notes    bool  // the header at hand has X-IMAP
	begun    bool  // a message has begun before the one at hand
	inHeader bool
	afterGap bool // the line before was empty
}

const (
	maxLine   = 1024    // how much of a line is looked at
	maxLength = 1 << 53 // the largest Content-Length that is taken seriously
	maxGap    = 2       // bytes of the empty line between body and "From "
)

// Write counts; it never fails.
func (c *MboxCounter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		part, rest, whole := bytes.Cut(p, []byte("\n"))
		if room := maxLine - len(c.line); room > 0 {
			c.line = append(c.line, part[:min(room, len(part))]...)
		}
		c.pos += int64(len(part))
		if !whole {
			break
		}
		c.pos++
		c.endLine()
		p = rest
	}
	return n, nil
}

// Messages returns how many messages what was written holds, if it ends here.
func (c *MboxCounter) Messages() int64 {
	end := *c
	end.line = bytes.Clone(c.line)
	end.endLine()
	end.settle(end.pos)
	return end.messages
}

// Settled reports whether all messages before are counted for good. It may be
// asked behind an empty line. Then what follows, if it begins with a message,
// counts for itself, whatever came before, unless nothing did.
func (c *MboxCounter) Settled() bool {
	return c.doubted == 0 && (!c.claimed || c.start >= c.bodyEnd)
}

// Skip stands for writing so many bytes, which hold so many messages, and end
// where another one begins. The counter is settled before, and settled after that.
func (c *MboxCounter) Skip(bytes, messages int64) {
	c.pos += bytes
	c.start = c.pos
	c.messages += messages
	c.begun, c.afterGap, c.inHeader, c.claimed = true, true, false, false
}

// endLine takes in the line that ends at pos.
func (c *MboxCounter) endLine() {
	line := bytes.TrimSuffix(c.line, []byte("\r"))
	atBodyEnd := c.claimed && !c.inHeader && c.start >= c.bodyEnd && c.start <= c.bodyEnd+maxGap
	switch {
	case (c.messages == 0 || c.afterGap || atBodyEnd) && message.IsFromLine(line):
		c.begin()
	case c.inHeader && len(line) == 0:
		c.inHeader = false
		c.bodyEnd = c.pos + c.length
		if c.notes && !c.begun {
			c.messages = 0
		}
		c.begun = true
	case c.inHeader:
		c.header(line)
	}
	c.afterGap = len(line) == 0
	c.line = c.line[:0]
	c.start = c.pos
}

// begin takes in a "From " line.
func (c *MboxCounter) begin() {
	if c.claimed && !c.inHeader && c.start < c.bodyEnd {
		c.doubted++
		return
	}
	c.settle(c.start)
	c.messages++
	c.inHeader, c.notes = true, false
}

// settle decides about the doubted messages, now that the last one that is
// certain is known to end at end.
func (c *MboxCounter) settle(end int64) {
	if !c.claimed || end < c.bodyEnd || end > c.bodyEnd+maxGap {
		c.messages += c.doubted
	}
	c.doubted, c.claimed = 0, false
}

func (c *MboxCounter) header(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("X-IMAP")):
		c.notes = true
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		if c.claimed = err == nil && n >= 0 && n <= maxLength; c.claimed {
			c.length = n
		}
	}
}
