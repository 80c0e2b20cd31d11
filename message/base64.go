package message

import (
	"bytes"

	"github.com/segmentio/asm/base64"
)

// A run is the base64 span at hand.
type run struct {
	length int     // characters of a line; 0 if it is one of more than maxLine
	end    LineEnd // of all lines
	left   int     // lines, or characters of the only one, until the span is as long as one may be

	chars   []byte // of some lines, joined
	decoded []byte // of the block at hand, and of what was looked at after it

	enc  LineEncoder
	made []byte // the lines that enc makes of what was decoded
}

const (
	group        = 4                  // lines that encode whole bytes whatever their length; characters that encode three
	maxBatch     = 16 << 10           // characters decoded in one go, if they are more than one group
	maxGroup     = group * maxLine    // characters of a group
	maxDecoded   = BlockSize / 4 * 3  // bytes of a block
	slack        = 64                 // bytes after the results that a vector may touch
	minBase64Any = 3 << 10            // the shortest span, decoded, but for the first of a part that says it is base64
	maxStep      = EncodeStep / 3 * 4 // characters of one long line decoded in one go
)

// begin prepares the buffers and takes the form of the lines from the first one in v.
func (r *run) begin(v []byte) {
	if r.chars == nil {
		r.chars = make([]byte, maxGroup+slack)
		r.made = make([]byte, maxGroup+group*int(CRLF)+slack)
		r.decoded = make([]byte, maxDecoded+maxGroup/4*3+slack)
	}
	line, _ := cutLine(v)
	r.length = len(trimEnd(line))
	r.end = LF
	if len(line)-r.length == int(CRLF) {
		r.end = CRLF
	}
	if r.length > maxLine {
		r.length, r.end, r.left = 0, LF, MaxBase64/3*4
		return
	}
	r.left = max(1, MaxBase64/3*4/r.length/group) * group
}

// per returns the bytes of a line with its end.
func (r *run) per() int { return r.length + int(r.end) }

// probe looks for a run of base64 at scan. If it is too short it is passed.
func (c *Cutter) probe() (bool, error) {
	v, _, err := c.view(c.scan, maxLine+int(CRLF))
	if err != nil {
		return false, err
	}
	r := &c.run
	r.begin(v)
	least := minBase64Any
	if c.lines.encoded && c.lines.fresh {
		least = MinBase64
	}
	c.lines.fresh = false
	raw, decoded, err := c.try(least)
	if err != nil || decoded >= least {
		return err == nil, err
	}
	c.lines.gap, c.lines.folded = false, false
	if raw == 0 {
		v, _, err := c.view(c.scan, 1)
		if err != nil {
			return false, err
		}
		line, whole := cutLine(v)
		raw, c.lines.inside = len(line), !whole
	}
	c.scan += raw
	return false, nil
}

// try returns how long the run at scan is, if that is less than least bytes,
// decoded. Of one long line it is all or nothing.
func (c *Cutter) try(least int) (raw, decoded int, err error) {
	r := &c.run
	if r.length == 0 {
		v, _, err := c.view(c.scan, least/3*4)
		if err != nil {
			return 0, 0, err
		}
		_, decoded := r.extentOfOne(v, least/3*4, 0)
		return 0, decoded, nil
	}
	limit := (least/3*4/r.length/group + 1) * group
	v, final, err := c.view(c.scan, (limit+1)*r.per())
	if err != nil {
		return 0, 0, err
	}
	raw, decoded, _ = r.extent(v, final, limit, 0)
	return raw, decoded, nil
}

// base64 returns the next block of the run of base64 at start.
func (c *Cutter) base64() (Block, error) {
	r := &c.run
	if r.length == 0 {
		return c.oneLine()
	}
	limit := min(BlockSize/(group*r.per())*group, r.left)
	v, final, err := c.view(c.start, (limit+group+1)*r.per())
	if err != nil {
		return Block{}, err
	}
	raw, decoded, last := r.extent(v, final, limit, 0)
	r.left -= limit
	full := r.left == 0
	if last = last || full; !last {
		more, _, _ := r.extent(v[raw:], final, group, decoded)
		last = more == 0
	}
	open := v[raw-1] != '\n'
	b := c.take(Base64, raw, last)
	b.Decoded = r.decoded[:decoded:decoded]
	b.LineLength, b.LineEnd, b.Open = r.length, r.end, open
	if last {
		c.state = atText
		c.lines.gap, c.lines.folded, c.lines.fresh = false, false, full
	}
	return b, nil
}

// oneLine returns the next block of the run of base64 at start if that is one
// long line. The line's end, and what else of it does not go on with the
// encoding, is text.
func (c *Cutter) oneLine() (Block, error) {
	r := &c.run
	limit := min(BlockSize, r.left)
	v, _, err := c.view(c.start, limit+group)
	if err != nil {
		return Block{}, err
	}
	raw, decoded := r.extentOfOne(v, limit, 0)
	more := 0
	if raw == limit && v[raw-1] != '=' {
		more, _ = r.extentOfOne(v[raw:], group, decoded)
	}
	r.left -= limit
	last := more == 0 || r.left == 0
	whole := c.first && last
	b := c.take(Base64, raw, last)
	b.Decoded = r.decoded[:decoded:decoded]
	b.LineEnd, b.Open = LF, last
	if whole && raw <= maxLine {
		b.LineLength = raw
	}
	if last {
		c.state = atText
		c.lines.gap, c.lines.folded = false, false
		c.lines.fresh, c.lines.inside = more > 0, more == 0
	}
	return b, nil
}

// extentOfOne is extent for a run that is one long line; limit is a number of
// characters, a multiple of group.
func (r *run) extentOfOne(v []byte, limit, at int) (raw, decoded int) {
	v = v[:min(len(v), limit)/group*group]
	for raw < len(v) {
		step := v[raw:min(len(v), raw+maxStep)]
		k, n := r.beginning(step, at+decoded)
		raw, decoded = raw+k, decoded+n
		if k < len(step) || step[k-1] == '=' {
			break
		}
	}
	return raw, decoded
}

// beginning decodes as many groups of chars, from the first on, as decode.
func (r *run) beginning(chars []byte, at int) (raw, decoded int) {
	if n, ok := r.decode(chars, chars, at); ok {
		return len(chars), n
	}
	good := 0
	for good < len(chars) && alphabet[chars[good]] {
		good++
	}
	// What is no digit may be right as the padding of its group.
	for raw = min(good/group*group+group, len(chars)); raw > 0; raw -= group {
		if n, ok := r.decode(chars[:raw], chars[:raw], at); ok {
			return raw, n
		}
	}
	return 0, 0
}

// extent finds out how much of v the run goes on for, at most limit lines, a
// multiple of group. It decodes that into r.decoded from offset at on, and
// reports whether the run ends there; final says that the message ends with v.
func (r *run) extent(v []byte, final bool, limit, at int) (raw, decoded int, ended bool) {
	batch, most := group, max(maxBatch/(group*r.length), 1)*group
	for done := 0; done < limit; {
		n := min(batch, limit-done)
		k, ok := r.full(v[raw:], n, at+decoded)
		switch {
		case ok:
			raw += n * r.per()
			decoded += k
			done += n
			batch = min(2*batch, most)
		case n > group:
			// The end is near: go on in small steps.
			batch, most = group, group
		default:
			m, k := r.tail(v[raw:], final, at+decoded)
			return raw + m, decoded + k, true
		}
	}
	return raw, decoded, false
}

// full decodes n full lines, a multiple of group, without padding.
func (r *run) full(v []byte, n, at int) (decoded int, ok bool) {
	per, length := r.per(), r.length
	if len(v) < n*per {
		return 0, false
	}
	raw := v[:n*per]
	chars := r.chars[:n*length]
	for to, rest := 0, raw; to < len(chars); to += length {
		copy(chars[to:to+length], rest)
		rest = rest[per:]
	}
	if chars[len(chars)-1] == '=' {
		return 0, false
	}
	return r.decode(chars, raw, at)
}

// tail decodes the last lines of the run, fewer than a group or a group with
// padding: as many as encode whole bytes.
func (r *run) tail(v []byte, final bool, at int) (raw, decoded int) {
	var ends [group]struct{ raw, chars int }
	n := 0
	for off, chars := 0, 0; n < group; n++ {
		line, whole := cutLine(v[off:min(len(v), off+r.per())])
		length := len(line)
		if whole {
			length -= int(r.end)
		}
		if length <= 0 || length > r.length || !whole && !final {
			break
		}
		copy(r.chars[chars:], line[:length])
		off += len(line)
		chars += length
		ends[n].raw, ends[n].chars = off, chars
		if length < r.length {
			n++
			break
		}
	}
	for ; n > 0; n-- {
		if end := ends[n-1]; end.chars%4 == 0 {
			if k, ok := r.decode(r.chars[:end.chars], v[:end.raw], at); ok {
				return end.raw, k
			}
		}
	}
	return 0, 0
}

// decode decodes chars, those of the lines raw, into r.decoded from offset at
// on, and reports whether a LineEncoder makes exactly these lines of the result.
func (r *run) decode(chars, raw []byte, at int) (decoded int, ok bool) {
	room := r.decoded[at:]
	n, err := base64.StdEncoding.Decode(room, chars)
	if err != nil || base64.StdEncoding.EncodedLen(n) != len(chars) {
		return 0, false
	}
	r.enc.Reset(r.length, r.end)
	made := 0
	for from := 0; from < n; from += EncodeStep {
		made += r.enc.Encode(r.made[made:], room[from:min(from+EncodeStep, n)])
	}
	if raw[len(raw)-1] == '\n' {
		made += r.enc.End(r.made[made:])
	}
	return n, bytes.Equal(r.made[:made], raw)
}
