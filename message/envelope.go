package message

import (
	"bytes"
	"io"
	"mime"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
)

// Limits of an envelope, in bytes.
const (
	maxField = 8 << 10 // of a field's value as it stands in the header
	maxValue = 4 << 10 // of a value in an Envelope
)

// An Envelope is what a list of messages shows of one. Its strings are UTF-8
// without control characters and at most 4 KiB long; what the header does not
// say, or says in no way that can be read, is empty. A header does not say how
// large its message is: that is the size of the file or, in a file of several
// messages, the distance from its head to the next one, which the file's recipe
// knows (snapshot.Messages). What a header of more than MaxHead bytes says after as many is
// not in its Head, and not in the envelope.
type Envelope struct {
	MessageID string    // without its angle brackets
	Date      time.Time // of the Date field
	From      string    // addresses with their names, decoded, as they stand
	To        string
	Subject   string

	// HasAttachments is a guess: the header says that the message is of several
	// parts that are not versions of one another, or of one that is no text or
	// is attached, or a program noted attachments there.
	HasAttachments bool
}

// EnvelopeOf reads the envelope from the bytes of a Head; what comes behind the
// empty line that ends it is passed over, for a short body is kept with its
// head. If a field comes several times, the first counts. It is safe for
// concurrent use.
func EnvelopeOf(head []byte) Envelope {
	var e Envelope
	var seen [fieldCount]bool
	words := mime.WordDecoder{CharsetReader: charsetReader}
	head = bytes.TrimPrefix(head, byteOrder)
	for len(head) > 0 {
		var name, value []byte
		if line, _ := cutLine(head); len(trimEnd(line)) == 0 {
			break
		}
		name, value, head = cutField(head)
		f, ok := fieldOf(name)
		if !ok || seen[f] {
			continue
		}
		seen[f] = true
		e.set(f, unfold(value), &words)
	}
	return e
}

// A field is one that an envelope takes something from.
type field uint8

const (
	fieldMessageID field = iota
	fieldDate
	fieldFrom
	fieldTo
	fieldSubject
	fieldContentType
	fieldDisposition
	fieldHasAttach
	fieldCount
)

var fieldNames = [fieldCount]string{"Message-ID", "Date", "From", "To", "Subject", "Content-Type", "Content-Disposition", "X-MS-Has-Attach"}

func fieldOf(name []byte) (field, bool) {
	for f, s := range fieldNames {
		if len(s) == len(name) && bytes.EqualFold(name, []byte(s)) {
			return field(f), true
		}
	}
	return 0, false
}

// cutField cuts the first field, with the lines it is folded into, off head.
// A line that is no field has no name.
func cutField(head []byte) (name, value, rest []byte) {
	n := 0
	for {
		line, whole := cutLine(head[n:])
		n += len(line)
		if !whole || n == len(head) || head[n] != ' ' && head[n] != '\t' {
			break
		}
	}
	name, value, ok := bytes.Cut(head[:n], []byte(":"))
	if !ok {
		name = nil
	}
	return bytes.TrimRight(name, " \t"), value, head[n:]
}

// unfold returns the beginning of a field's value in one line.
func unfold(value []byte) string {
	if len(value) > maxField {
		n := maxField
		for n > maxField-utf8.UTFMax && !utf8.RuneStart(value[n]) {
			n--
		}
		value = value[:n]
	}
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(string(value)))
}

func (e *Envelope) set(f field, value string, words *mime.WordDecoder) {
	switch f {
	case fieldMessageID:
		if _, id, ok := strings.Cut(value, "<"); ok {
			value, _, _ = strings.Cut(id, ">")
		}
		e.MessageID = clean(strings.Join(strings.Fields(value), ""))
	case fieldDate:
		e.Date = parseDate(value)
	case fieldFrom:
		e.From = decodeWords(value, words)
	case fieldTo:
		e.To = decodeWords(value, words)
	case fieldSubject:
		e.Subject = decodeWords(value, words)
	case fieldContentType:
		e.HasAttachments = e.HasAttachments || attached(value)
	case fieldDisposition:
		kind, _, _ := strings.Cut(value, ";")
		e.HasAttachments = e.HasAttachments || strings.EqualFold(strings.TrimSpace(kind), "attachment")
	case fieldHasAttach:
		e.HasAttachments = e.HasAttachments || strings.EqualFold(value, "yes")
	}
}

// careless are forms of dates that programs wrote beside that of RFC 5322.
var careless = []string{
	time.ANSIC, "Mon Jan _2 15:04:05 2006 -0700", "Mon Jan _2 15:04:05 -0700 2006",
	"Mon, 2 Jan 2006 15:04:05", "2 Jan 2006 15:04:05", "Mon, 2 Jan 2006 15:04", time.RFC3339,
	"Mon, 2 January 2006 15:04:05 -0700", "2 January 2006 15:04:05 -0700",
}

// parseDate reads a date. What has no zone, or one that nobody knows, is taken for
// UTC, on whatever machine this is.
func parseDate(value string) time.Time {
	value = numericZones(value)
	if t, err := mail.ParseDate(value); err == nil {
		return t
	}
	for _, form := range careless {
		if t, err := time.Parse(form, value); err == nil {
			return t
		}
	}
	return time.Time{}
}

// attached reports whether a message of this type has something to save as a file.
func attached(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	main, _, ok := strings.Cut(kind, "/")
	switch main {
	case "text":
		return false
	case "multipart":
		return kind == "multipart/mixed"
	}
	return ok
}

// decodeWords decodes the encoded words of RFC 2047 in value. What is not well
// formed stays as it is. Bytes that are mostly no UTF-8 and that nothing says a
// charset of are taken for Windows-1252, as most such mail is from its time.
func decodeWords(value string, words *mime.WordDecoder) string {
	if good, bad := runes(value); bad > good {
		if s, err := charmap.Windows1252.NewDecoder().String(value); err == nil {
			value = s
		}
	}
	if s, err := words.DecodeHeader(padWords(value)); err == nil {
		value = s
	}
	return clean(value)
}

// runes counts the characters of s that are not ASCII, and the bytes that are none.
func runes(s string) (good, bad int) {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			bad++
		} else if r >= utf8.RuneSelf {
			good++
		}
	}
	return good, bad
}

// padWords gives encoded words in base64 the padding that some programs leave out.
func padWords(value string) string {
	var b strings.Builder
	for {
		word := strings.Index(value, "=?")
		if word < 0 {
			break
		}
		charset, rest, _ := strings.Cut(value[word+2:], "?")
		encoding, text, _ := strings.Cut(rest, "?")
		text, _, ended := strings.Cut(text, "?=")
		if !ended {
			break
		}
		b.WriteString(value[:word] + "=?" + charset + "?" + encoding + "?" + text)
		value = value[word+len("=????=")+len(charset)+len(encoding)+len(text):]
		if strings.EqualFold(encoding, "B") && !strings.HasSuffix(text, "=") {
			b.WriteString("==="[:(4-len(text)%4)%4])
		}
		b.WriteString("?=")
	}
	return b.String() + value
}

// clean makes s fit for an Envelope: it shows what it says.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r), r == '\u200b', r == '\u2060', r == '\ufeff':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > maxValue {
		s = strings.ToValidUTF8(s[:maxValue], "")
	}
	return strings.TrimSpace(s)
}

// charsetReader decodes the charsets that browsers or IANA know. Of others what is
// UTF-8, which for most is ASCII, can still be read.
func charsetReader(charset string, in io.Reader) (io.Reader, error) {
	name, _, _ := strings.Cut(charset, "*") // behind it comes a language: RFC 2231
	if strings.EqualFold(name, "cp932") {
		name = "shift_jis"
	}
	enc, err := htmlindex.Get(name)
	if err != nil {
		enc, err = ianaindex.IANA.Encoding(name)
	}
	if err != nil || enc == nil {
		return in, nil
	}
	return enc.NewDecoder().Reader(in), nil
}
