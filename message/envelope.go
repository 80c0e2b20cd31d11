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
		e.MessageID = clean(value)
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

// careless are forms of dates that programs wrote beside that of RFC 5322; what
// has no zone is taken for UTC.
var careless = []string{
	time.ANSIC, time.UnixDate, "Mon Jan _2 15:04:05 2006 -0700", "Mon Jan _2 15:04:05 -0700 2006",
	"Mon, 2 Jan 2006 15:04:05", "2 Jan 2006 15:04:05", "Mon, 2 Jan 2006 15:04", time.RFC3339,
}

func parseDate(value string) time.Time {
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
// formed stays as it is. Bytes that are no UTF-8 and that nothing says a
// charset of are taken for Windows-1252, as most such mail is from its time.
func decodeWords(value string, words *mime.WordDecoder) string {
	if !utf8.ValidString(value) {
		if s, err := charmap.Windows1252.NewDecoder().String(value); err == nil {
			value = s
		}
	}
	if s, err := words.DecodeHeader(value); err == nil {
		value = s
	}
	return clean(value)
}

// clean makes s fit for an Envelope.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > maxValue {
		s = strings.ToValidUTF8(s[:maxValue], "")
	}
	return strings.TrimSpace(s)
}

// charsetReader decodes the charsets that browsers know. Of others what is
// UTF-8, which for most is ASCII, can still be read.
func charsetReader(charset string, in io.Reader) (io.Reader, error) {
	name, _, _ := strings.Cut(charset, "*") // behind it comes a language: RFC 2231
	enc, err := htmlindex.Get(name)
	if err != nil {
		return in, nil
	}
	return enc.NewDecoder().Reader(in), nil
}
