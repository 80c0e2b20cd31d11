package message

import (
	"bytes"
	"io"
)

// lines is what text is known to be after the lines before scan.
type lines struct {
	gap     bool // the line before was empty, or the file begins
	inside  bool // scan is inside of a line that is longer than anyone asks
	encoded bool // this is the body of a part that said it is base64
	fresh   bool // and nothing in it has been looked at as base64 yet
	says    bool // the header at hand said that its part is base64
	folded  bool // the value of the header's Content-Transfer-Encoding has not come yet
}

// What begins where skip stopped.
type stop uint8

const (
	stopRoom   stop = iota // more text than fits into a block
	stopEnd                // nothing, or a line without an end
	stopFrom               // a message
	stopBase64             // a line that may be base64
)

// Lines that may begin a run of base64, by their length.
const (
	minEncoded = 16 // where the header says so
	minAny     = 60 // anywhere
	maxAny     = 76

	maxPadding = 2 // characters at the end of a line that may be "="
)

// maxSeen is how many bytes before its LF a line may have that text looks at.
// Of a longer one, which may not fit into the window, it passes all of it, even
// where it could see more: cuts do not depend on what a reader hands out.
const maxSeen = maxLine + len("\r")

// head returns the head of the message at start, of a long one the first lines.
// What cannot have one is text.
func (c *Cutter) head() (Block, error) {
	v, final, err := c.view(c.start, MaxHead+1)
	if err != nil {
		return Block{}, err
	}
	c.state, c.scan = atText, c.start
	if !beginsHead(v) {
		c.lines = lines{gap: true}
		return Block{}, nil
	}
	c.lines = lines{}
	var m mboxHead
	n := 0
	for n < len(v) && !c.lines.gap {
		line, whole := cutLine(v[n:])
		if n+len(line) > MaxHead || !whole && !final {
			break
		}
		n += len(line)
		c.lines.pass(line)
		if c.kind == Mbox {
			m.pass(line)
		}
	}
	if n == 0 {
		return Block{}, nil
	}
	b := c.take(Head, n, true)
	b.Message = true
	if c.kind == Mbox {
		b.Message = c.mbox.begin(&m, c.pos)
	}
	b.Counts = b.Message && c.kind != Dbox
	return b, nil
}

// beginsHead reports whether v begins with a header field or a line that
// separates messages.
func beginsHead(v []byte) bool {
	v = bytes.TrimPrefix(v, byteOrder)
	for i, b := range v {
		switch {
		case b == ':':
			return i > 0
		case b == ' ' || b == '\t':
			if rest := bytes.TrimLeft(v[i:min(len(v), i+maxFieldName)], " \t"); len(rest) > 0 && rest[0] == ':' {
				return i > 0
			}
			line, _ := cutLine(v[:min(len(v), maxFromLine)])
			return IsFromLine(bytes.TrimPrefix(line, []byte(">")))
		case b < ' ' || b > '~' || i == maxFieldName:
			return false
		}
	}
	return false
}

const maxFieldName = 128

// byteOrder is the mark that some programs begin every file with.
var byteOrder = []byte("\uFEFF")

// cutLine returns the first line of v with its end, if it has one.
func cutLine(v []byte) (line []byte, whole bool) {
	if i := bytes.IndexByte(v, '\n'); i >= 0 {
		return v[:i+1], true
	}
	return v, false
}

// text returns the text at start, up to a message or a run of base64.
func (c *Cutter) text() (Block, error) {
	for {
		room := BlockSize - (c.scan - c.start)
		if room < 0 {
			return c.take(Text, BlockSize, false), nil
		}
		v, _, err := c.view(c.scan, 1)
		if err != nil {
			return Block{}, err
		}
		n, why := c.skip(v, room)
		c.scan += n
		if why == stopEnd {
			var done bool
			if why, done, err = c.openLine(); err != nil || done {
				return c.endText(err)
			}
		}
		if why == stopFrom {
			within, err := c.within()
			if err != nil {
				return Block{}, err
			}
			if !within {
				return c.turn(atMessage), nil
			}
		}
		if why == stopBase64 {
			found, err := c.probe()
			if err != nil {
				return Block{}, err
			}
			if found {
				return c.turn(atBase64), nil
			}
		}
	}
}

// turn ends the text before scan, where something else begins.
func (c *Cutter) turn(next state) Block {
	if next == atMessage {
		if n := c.scan - c.start - c.blank(); n > 0 {
			return c.take(Text, n, true)
		}
	}
	c.state = next
	var b Block
	if c.scan > c.start {
		b = c.take(Text, c.scan-c.start, true)
	}
	// Before the first "From " line nothing has begun that could end here. Where a
	// Content-Length leads behind this, that was looked at to know that a message begins.
	c.border = next == atMessage && c.mbox.begun && !(c.mbox.claimed && c.mbox.end > c.offset())
	return b
}

// blank returns the length of the empty line that ends before scan, where a
// message of an mbox ends. That line is the mbox's and not the message's: it is
// a span of its own, so that the text before is the same as in other kinds of files.
func (c *Cutter) blank() int {
	n := c.scan - c.start
	switch {
	case c.kind != Mbox || !c.lines.gap || n == 0:
		return 0
	case n > 1 && c.buf[c.scan-2] == '\r':
		return len("\r\n")
	}
	return len("\n")
}

// endText returns the last text of a message and, once that is delivered, ends it.
func (c *Cutter) endText(err error) (Block, error) {
	switch {
	case err != nil:
		return Block{}, err
	case c.scan > c.start:
		n := c.scan - c.start
		if blank := c.blank(); blank < n {
			n -= blank
		}
		return c.take(Text, n, true), nil
	case c.region == 0:
		c.state, c.region, c.border = atFrame, unbounded, true
		return Block{}, nil
	}
	return Block{}, io.EOF
}

// openLine looks at the line at scan, the end of which has not been read: it is
// the last, or longer than maxSeen. It reports whether the message is done.
func (c *Cutter) openLine() (why stop, done bool, err error) {
	v, _, err := c.view(c.scan, maxSeen+1)
	if err != nil || len(v) == 0 {
		return stopEnd, true, err
	}
	if bytes.IndexByte(v, '\n') >= 0 {
		return stopRoom, false, nil
	}
	if !c.lines.inside && c.lines.mayBeBase64(v) {
		return stopBase64, false, nil
	}
	c.lines.inside = true
	c.scan += len(v)
	return stopRoom, false, nil
}

// skip passes the lines of v that are text, up to the first that ends after
// room bytes.
func (c *Cutter) skip(v []byte, room int) (n int, why stop) {
	l := &c.lines
	for n <= room {
		rest := v[n:]
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return n, stopEnd
		}
		switch {
		case l.inside || i > maxSeen && !l.mayBeBase64(rest[:i]):
			l.inside, l.gap, l.folded = false, false, false
		case plain[rest[0]] && !l.encoded && (i < minAny || !l.mayBeBase64(trimEnd(rest[:i+1]))):
			l.gap, l.folded = false, false
		case c.kind == Mbox && (l.gap || c.mbox.ends(c.offset()+int64(n))) && IsFromLine(rest[:i]):
			return n, stopFrom
		case l.mayBeBase64(trimEnd(rest[:i+1])):
			return n, stopBase64
		default:
			l.pass(rest[:i+1])
		}
		n += i + 1
	}
	return n, stopRoom
}

// pass takes in a line, with its end, that is no base64.
func (l *lines) pass(line []byte) {
	line = trimEnd(line)
	if len(line) == 0 {
		if l.says {
			l.encoded, l.fresh = true, true
		}
		l.gap, l.says, l.folded = true, false, false
		return
	}
	l.gap = false
	if l.folded && (line[0] == ' ' || line[0] == '\t') {
		l.encoding(line)
		return
	}
	l.folded = false
	switch line[0] {
	case '-':
		if bytes.HasPrefix(line, []byte("--")) {
			l.encoded, l.says = false, false
		}
	case 'c', 'C':
		if len(line) > len(encodingField) && bytes.EqualFold(line[:len(encodingField)], []byte(encodingField)) {
			if rest := bytes.TrimLeft(line[len(encodingField):], " \t"); len(rest) > 0 && rest[0] == ':' {
				l.encoding(rest[1:])
			}
		}
	}
}

const encodingField = "Content-Transfer-Encoding"

// encoding takes in the value of a Content-Transfer-Encoding field.
func (l *lines) encoding(value []byte) {
	const base64 = "base64"
	value = bytes.Trim(value, " \t\"")
	l.folded = len(value) == 0
	l.encoded = false
	l.says = len(value) >= len(base64) && bytes.EqualFold(value[:len(base64)], []byte(base64))
}

// mayBeBase64 reports whether the line, given without its end, is worth a closer look.
func (l *lines) mayBeBase64(line []byte) bool {
	if l.encoded {
		if len(line) < minEncoded {
			return false
		}
	} else if len(line) < minAny || len(line) > maxAny || len(line)%4 != 0 {
		return false
	}
	for _, b := range line[:min(len(line)-maxPadding, maxAny)] {
		if !alphabet[b] {
			return false
		}
	}
	if len(line) > maxLine {
		return true // however it ends, which is too far away to look at
	}
	for _, b := range line[len(line)-maxPadding:] {
		if !alphabet[b] && b != '=' {
			return false
		}
	}
	return true
}

// trimEnd returns a line without its LF or CRLF.
func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// IsFromLine reports whether line, with or without its end, separates the
// messages of an mbox: "From ", a sender and a date with a time and a year, in
// its first 1,024 bytes. Programs write the date in too many ways to ask for
// more, and plain text has less.
func IsFromLine(line []byte) bool {
	rest, ok := bytes.CutPrefix(line[:min(len(line), maxFromLine)], []byte("From "))
	return ok && hasTime(rest) && hasYear(rest)
}

const maxFromLine = 1024 // how much of a line is looked at

// hasTime looks for a digit, a colon and two digits.
func hasTime(s []byte) bool {
	for i := 1; i+2 < len(s); i++ {
		if s[i] == ':' && isDigit(s[i-1]) && isDigit(s[i+1]) && isDigit(s[i+2]) {
			return true
		}
	}
	return false
}

// hasYear looks for a number of four digits that begins with 19 or 20.
func hasYear(s []byte) bool {
	for i := 0; i+4 <= len(s); i++ {
		century := s[i] == '1' && s[i+1] == '9' || s[i] == '2' && s[i+1] == '0'
		alone := (i == 0 || !isDigit(s[i-1])) && (i+4 == len(s) || !isDigit(s[i+4]))
		if century && alone && isDigit(s[i+2]) && isDigit(s[i+3]) {
			return true
		}
	}
	return false
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// plain says of each byte that a line beginning with it cannot matter unless
// it is long: it is not empty, no field that matters, no boundary, not folded.
var plain = func() (t [256]bool) {
	for i := range t {
		t[i] = true
	}
	for _, b := range []byte("\n\r \t-cCF") {
		t[b] = false
	}
	return t
}()

// alphabet says which bytes are digits of base64.
var alphabet = func() (t [256]bool) {
	for _, b := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[b] = true
	}
	return t
}()
