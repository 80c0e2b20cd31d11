package message

import (
	"bytes"
	"strconv"
)

// The bytes of a dbox file, which is
//
//	file header      "2 M1e C6b022e39\n": the version; M, the length of a
//	                 message header, in hex; when the file was made
//	message header   01 02 'N' ' ' UID, 8 bytes, ' ' size of the body, 16 hex
//	                 digits, and '\n', 30 bytes in all
//	body             as many bytes as the header says
//	metadata         "\n" 01 03 "\n", lines, and an empty line
//
// with the last three for each message.
const (
	dboxVersion  = "2 "
	dboxMetadata = "\n\x01\x03\n"
	dboxMagic    = "\x01\x02"
	dboxSizeAt   = 13
	dboxSizeEnd  = 29

	maxFrame       = 64 << 10
	minFrameHeader = 30
	maxFrameHeader = 1 << 10
)

// dbox is what is known of a dbox file.
type dbox struct {
	header int // length of a message header; 0 before the file header
}

// frame returns what lies between two messages at start: the metadata of one
// and the header of the next. What is not as it should be is a message or,
// after the first one, text up to the end of the file.
func (c *Cutter) frame() (Block, error) {
	v, final, err := c.view(c.start, maxFrame)
	if err != nil {
		return Block{}, err
	}
	v = v[:min(len(v), maxFrame)]
	c.state, c.scan, c.lines = atMessage, c.start, lines{}
	if c.dbox.header > 0 {
		c.state = atText
	}
	n, ok := c.dbox.before(v)
	if !ok {
		return Block{}, nil
	}
	if n == len(v) && final {
		c.state = atText
		return c.take(Frame, n, true), nil
	}
	size, ok := c.dbox.message(v[n:])
	if !ok {
		return Block{}, nil
	}
	b := c.take(Frame, n+c.dbox.header, true)
	b.Counts = true
	c.state, c.region = atMessage, size
	return b, nil
}

// before returns the length of what comes before a message header.
func (d *dbox) before(v []byte) (n int, ok bool) {
	if d.header > 0 {
		if !bytes.HasPrefix(v, []byte(dboxMetadata)) {
			return 0, false
		}
		i := bytes.Index(v[len(dboxMetadata)-1:], []byte("\n\n"))
		return len(dboxMetadata) + 1 + i, i >= 0
	}
	line, whole := cutLine(v[:min(len(v), maxFrameHeader)])
	rest, ok := bytes.CutPrefix(line, []byte(dboxVersion))
	if !ok || !whole {
		return 0, false
	}
	for field := range bytes.FieldsSeq(rest) {
		if field[0] == 'M' {
			size, err := strconv.ParseUint(string(field[1:]), 16, 16)
			if err != nil || size < minFrameHeader || size > maxFrameHeader {
				return 0, false
			}
			d.header = int(size)
		}
	}
	return len(line), d.header > 0
}

// message returns the size that the message header at the beginning of v gives.
func (d *dbox) message(v []byte) (int64, bool) {
	if len(v) < d.header || !bytes.HasPrefix(v, []byte(dboxMagic)) || v[d.header-1] != '\n' {
		return 0, false
	}
	size, err := strconv.ParseInt(string(v[dboxSizeAt:dboxSizeEnd]), 16, 64)
	return size, err == nil && size >= 0 && size < unbounded
}
