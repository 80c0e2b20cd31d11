// Package message cuts mail where mail repeats: headers, which differ in every
// copy, apart from bodies, which do not, and attachments apart from both,
// decoded, so that the same attachment is the same bytes in whatever lines it
// was sent.
//
// It reads lexically, in one pass and within a window of 1 MiB; it knows no
// MIME tree and asks for no valid mail. What comes out is a sequence of spans
// whose raw bytes, joined, are the input, whatever the input is:
//
//	Head    the header of a message, up to and including the empty line that
//	        ends it, or to the end of the message if there is none. Its first
//	        line is a header field, or a "From " line where an mbox separates
//	        its messages. Of a header over MaxHead bytes the lines that fit; the
//	        others are text.
//	Base64  lines of base64, all equally long but the last, that a LineEncoder
//	        makes of their decoded bytes: it has made them once more, and every
//	        byte was compared.
//	Frame   what an sdbox or mdbox file has around a message: the lines of the
//	        file's header, the messages' headers, and their metadata.
//	Text    everything else: bodies, the headers and boundaries of parts,
//	        messages within messages, base64 that could not be made again. The
//	        empty line after a message of an mbox is a text by itself, so that
//	        the one before it is the same as in other kinds of files.
//
// Headers of parts stay text, as do those of forwarded messages: they come
// with the body in every copy of it.
//
// # Base64
//
// Base64 is looked for in two places: after a "Content-Transfer-Encoding: base64"
// field and the next empty line, up to a line that begins with "--" or a field
// with another encoding, in lines of 16 characters or more; and anywhere (PGP
// armour, S/MIME within mail) in lines of 60 to 76 that decode to 3 KiB or more.
// A run ends before the first line that does not go on with the encoding: of another
// length, with another line end, with a byte that is not in the alphabet, with
// bits in the padding that decoding would drop; and after padding. The lines
// before stand, as far as they encode whole bytes, and a new run may begin right
// there. The last line may be shorter, and at the end of a message it may lack
// its line end.
//
// A line of more than 65,535 characters, which no buffer need hold, is a run by
// itself: of its characters from the first on, in fours, as many as decode. What
// follows them is text, be it the line's end or the rest of a line that is broken. So
// an attachment in one endless line is the same bytes as in lines of 76; one in
// several lines of that length, which no program is known to write, is several spans.
//
// A run that decodes to less than MinBase64 bytes is text, and so is one of
// less than 3 KiB that is not the first of its part: a defect in every few lines
// makes no swarm of small spans. One that decodes to more than MaxBase64 is
// several spans, cut at the same byte of the decoded content for all line
// lengths in use (60, 64, 72 and 76 divide it, and one endless line needs not).
//
// # Mboxes
//
// A message of an mbox begins with a "From " line (see [IsFromLine]) at the
// beginning of the file, after an empty line, or where the Content-Length of the
// message before it ends. Where a Content-Length leads to the next "From " line
// or to the end of the file, give or take an empty line, the "From " lines before that are
// text (mboxcl2), if they lie in the last 511 KiB of the body: it is looked at as
// far as that. A Content-Length that leads elsewhere counts for nothing.
//
// # Cuts
//
// Where the cuts fall depends on the bytes alone, not on how the reader hands
// them out. At the border of a message of an mbox or dbox file the cutter begins
// anew: what comes before has no say in the cuts behind it, and what comes behind
// none in those before, but to be a border. The rules are part of the version of the cutter that recipes name.
package message

import (
	"errors"
	"io"
)

// Limits of spans and blocks, in bytes.
const (
	BlockSize = 512 << 10    // the longest block, raw
	MaxHead   = 256 << 10    // the longest head
	MinBase64 = 768          // the shortest base64 span, decoded
	MaxBase64 = 2924 * 41040 // the longest, decoded; 41040 bytes are whole lines of 60, 64, 72 and 76 characters
)

// A Kind says what a file holds.
type Kind uint8

// The kinds of files.
const (
	Mail Kind = iota // one message: Maildir, Kerio's .eml, or anything that looks like mail
	Mbox             // messages, each begun by a "From " line
	Dbox             // Dovecot's sdbox or mdbox: messages in frames
)

// A Class says what a span holds.
type Class uint8

// The classes of spans.
const (
	Text Class = iota
	Head
	Base64
	Frame
)

// LineEnd says how the lines of a base64 span end. Its value is the length of
// the line end.
type LineEnd uint8

// The line ends.
const (
	LF   LineEnd = 1
	CRLF LineEnd = 2
)

// A Block is a span or the next part of one. Heads and frames always come
// whole, as do texts of up to BlockSize bytes and base64 of up to half of that.
// The parts of a longer span follow each other; none is empty. The slices are those of the Cutter,
// and good until the next call of its methods.
type Block struct {
	Class Class
	First bool // the span begins here
	Last  bool // and ends here

	// Message says that a message begins here. It is true of each Head but, in
	// an mbox, of one without a "From " line and of the notes that mail programs
	// keep about the folder: the first message, if its header has X-IMAP.
	Message bool

	// Counts says that the file has one message more. Mostly that is a Message;
	// in a dbox it is the frame with the header of a message, which may have no
	// Head: Dovecot can compress what follows.
	Counts bool

	// Border says that the file begins here, a message behind the first one, or
	// in a dbox file what is before a message, and that no cut on either side depends
	// on what is on the other, but for its being a border: a Cutter that Resume begins
	// here goes on in the same way. Only with First.
	Border bool

	Raw []byte // the bytes of the input; never empty, at most BlockSize
	// Only of base64 spans. Except for Open, each block of a span says the same.
	Decoded    []byte  // what Raw encodes; the parts of a span, joined, give its decoded bytes
	LineLength int     // characters of all lines but the last, without their ends; 0 if it is one line of more than 65,535
	LineEnd    LineEnd // LF where the only line has none
	Open       bool    // the last line has no line end; only if Last
}

// A Cutter cuts files, one after the other. Its zero value waits for Reset. It
// keeps its buffers, of 2.2 MB at most, and serves one goroutine.
//
// Of a file of several messages it can begin anywhere that a message did: see
// Block.Border.
type Cutter struct {
	r    io.Reader
	err  error // what the reader ended with
	kind Kind

	buf   []byte
	start int // where the span at hand begins in buf
	scan  int // up to where it has been looked at
	w     int // end of what has been read

	state  state
	pos    int64 // bytes of the file before start
	first  bool  // no part of the span at hand has been delivered
	border bool  // nor has anything of the message at hand
	region int64 // bytes from start to the end of the message at hand; unbounded if none is known
	dbox   dbox
	mbox   mbox
	lines  lines
	run    run
}

// state says what begins at start.
type state uint8

const (
	atMessage state = iota // a message, which may begin with a head
	atText
	atBase64
	atFrame
)

const (
	maxLine   = 1<<16 - 1             // characters of a line of base64
	lookahead = 512 << 10             // bytes after scan that one decision may ask for
	window    = BlockSize + lookahead // bytes of buf
	unbounded = 1<<63 - 1

	maxEmptyReads = 100
)

var errNoReset = errors.New("cutting a message: no file to cut")

// Reset begins with the file r of the given kind.
func (c *Cutter) Reset(r io.Reader, kind Kind) {
	if c.buf == nil {
		c.buf = make([]byte, window)
	}
	c.r, c.err, c.kind = r, nil, kind
	c.start, c.scan, c.w, c.pos = 0, 0, 0, 0
	c.state, c.first, c.border, c.region = atMessage, true, true, unbounded
	c.dbox, c.mbox, c.lines = dbox{}, mbox{}, lines{gap: true}
	if kind == Dbox {
		c.state = atFrame
	}
}

// Resume begins at a border in a file, with r at the block that told so. frame
// is what FrameHeader returned there.
func (c *Cutter) Resume(r io.Reader, kind Kind, frame int) {
	c.Reset(r, kind)
	c.dbox.header = frame
	c.mbox.begun = true // so that the first message is not taken for notes
}

// FrameHeader returns the length of the headers of messages in a dbox file,
// which the file's header says; it is zero before that, and in other kinds of files.
func (c *Cutter) FrameHeader() int { return c.dbox.header }

// Next returns the next block. After the last one it returns io.EOF. Errors of
// the reader come through as they are.
func (c *Cutter) Next() (Block, error) {
	if c.r == nil {
		return Block{}, errNoReset
	}
	for {
		if c.err != nil && c.err != io.EOF {
			return Block{}, c.err
		}
		b, err := c.step()
		if err != nil || len(b.Raw) > 0 {
			return b, err
		}
	}
}

// step returns the next block, or an empty one if it only found out what
// begins at start.
func (c *Cutter) step() (Block, error) {
	switch c.state {
	case atFrame:
		return c.frame()
	case atMessage:
		return c.head()
	case atBase64:
		return c.base64()
	}
	return c.text()
}

// take delivers the n bytes at start as a whole span or part of one.
func (c *Cutter) take(class Class, n int, last bool) Block {
	b := Block{Class: class, First: c.first, Last: last, Border: c.border, Raw: c.buf[c.start : c.start+n : c.start+n]}
	c.border = false
	c.start += n
	c.pos += int64(n)
	c.scan = max(c.scan, c.start)
	c.first = last
	if c.region != unbounded {
		c.region -= int64(n)
	}
	return b
}

// view returns what has been read of the message from offset at of buf on, at
// least want bytes of it if there are as many, and whether the message ends with that.
func (c *Cutter) view(at, want int) (v []byte, final bool, err error) {
	ahead := at - c.start
	if c.region-int64(ahead) < int64(want) {
		want = int(c.region) - ahead
	}
	if c.w-at < want && c.err == nil {
		if err := c.fill(ahead + want); err != nil {
			return nil, false, err
		}
		at = c.start + ahead
	}
	end := c.w
	if int64(end-c.start) >= c.region {
		return c.buf[at : c.start+int(c.region)], true, nil
	}
	return c.buf[at:end], c.err != nil, nil
}

// fill reads until n bytes from start on are there or the file ends. It moves
// them to the beginning of buf if they would not fit otherwise.
func (c *Cutter) fill(n int) error {
	if c.start == c.w || c.start+n > len(c.buf) {
		copy(c.buf, c.buf[c.start:c.w])
		c.scan -= c.start
		c.w -= c.start
		c.start = 0
	}
	for empty := 0; c.w-c.start < n && c.err == nil; {
		var m int
		m, c.err = c.r.Read(c.buf[c.w:])
		c.w += m
		if empty++; m > 0 {
			empty = 0
		}
		if empty == maxEmptyReads {
			c.err = io.ErrNoProgress
		}
	}
	if c.err != nil && c.err != io.EOF {
		return c.err
	}
	return nil
}
