package mailgen

import (
	"fmt"
	"strconv"
)

// A kind is a kind of attached file.
type kind struct {
	percent   int // how many of a hundred attachments are of this kind
	mediaType string
	extension string
	write     func(dst []byte, rng *source, words *vocabulary, size int) []byte
}

func kinds() []kind {
	return []kind{
		{18, "image/jpeg", "jpg", packed("\xff\xd8\xff\xe0\x00\x10JFIF\x00")},
		{9, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx", packed("PK\x03\x04\x14\x00\x06\x00")},
		{14, "application/pdf", "pdf", writePDF},
		{14, "text/csv", "csv", writeTable},
		{18, "text/plain", "log", writeLog},
		{13, "image/bmp", "bmp", writeBitmap},
		{14, "application/msword", "doc", writeDocument},
	}
}

// An attachment is a file that is sent around. Its content follows from the
// seed, its number and its revision alone.
type attachment struct {
	seed     uint64
	number   uint64
	revision int
	kind     kind
	name     string
	size     int
}

// attachments numbers the files that one composer sends.
type attachments struct {
	seed uint64
	next uint64
	sent int
}

// pick returns a new attachment, or one that was sent before, as it was or edited.
func (f *attachments) pick(rng *source) attachment {
	if f.sent > 0 && rng.chance(22) {
		a := f.describe(f.next - 1 - uint64(rng.IntN(f.sent)))
		if rng.chance(30) {
			a.revision = rng.between(1, 5)
		}
		return a
	}
	f.sent++
	f.next++
	return f.describe(f.next - 1)
}

func (f *attachments) describe(number uint64) attachment {
	rng := newSource(f.seed+1, number)
	a := attachment{seed: f.seed, number: number}
	n := rng.IntN(100)
	for _, k := range kinds() {
		if n -= k.percent; n < 0 {
			a.kind = k
			break
		}
	}
	a.size = min(6<<20, rng.spread(72<<10, 24))
	a.name = fmt.Sprintf("%s-%d.%s", pick(rng, []string{"scan", "invoice", "IMG", "report", "Angebot für März", "minutes"}),
		rng.between(1, 9999), a.kind.extension)
	return a
}

// content returns the file. An edited revision differs in one place, where some
// bytes are inserted.
func (a attachment) content(words *vocabulary) []byte {
	rng := newSource(a.seed+2, a.number)
	b := a.kind.write(make([]byte, 0, a.size+4096), rng, words, a.size)
	if a.revision == 0 {
		return b
	}
	edit := newSource(a.seed+3, a.number<<8+uint64(a.revision))
	at, with := edit.IntN(len(b)), make([]byte, edit.between(1, 2000))
	edit.fill(with)
	b = append(b, with...)
	copy(b[at+len(with):], b[at:])
	copy(b[at:], with)
	return b
}

// packed returns the writer of a kind that is compressed already: a header and noise.
func packed(header string) func(dst []byte, rng *source, words *vocabulary, size int) []byte {
	return func(dst []byte, rng *source, _ *vocabulary, size int) []byte {
		dst = append(dst, header...)
		start := len(dst)
		dst = append(dst, make([]byte, size)...)
		rng.fill(dst[start:])
		return dst
	}
}

// writePDF writes compressed streams among objects of text.
func writePDF(dst []byte, rng *source, words *vocabulary, size int) []byte {
	dst = append(dst, "%PDF-1.6\n"...)
	for n := 1; len(dst) < size; n++ {
		stream := rng.spread(6<<10, 16)
		dst = fmt.Appendf(dst, "%d 0 obj\n<< /Type /XObject /Subtype /Form /BBox [0 0 %d %d] /Filter /FlateDecode /Length %d >>\nstream\n",
			n, rng.between(100, 900), rng.between(100, 900), stream)
		dst = packed("\x78\x9c")(dst, rng, words, stream)
		dst = append(dst, "\nendstream\nendobj\n"...)
	}
	return append(dst, "%%EOF\n"...)
}

// writeTable writes a spreadsheet's rows.
func writeTable(dst []byte, rng *source, words *vocabulary, size int) []byte {
	dst = append(dst, "id;date;customer;item;quantity;price;total\n"...)
	for id := rng.between(1000, 90000); len(dst) < size; id++ {
		quantity, price := rng.between(1, 40), rng.between(100, 99999)
		dst = strconv.AppendInt(dst, int64(id), 10)
		dst = fmt.Appendf(dst, ";2025-%02d-%02d;", rng.between(1, 12), rng.between(1, 28))
		dst = append(dst, words.words[rng.rank(vocabularyBits)]...)
		dst = append(append(append(dst, ' '), words.words[rng.rank(vocabularyBits)]...), ';')
		dst = append(append(dst, words.words[rng.rank(vocabularyBits)]...), ';')
		dst = strconv.AppendInt(dst, int64(quantity), 10)
		dst = append(strconv.AppendInt(append(dst, ';'), int64(price), 10), ';')
		dst = append(strconv.AppendInt(dst, int64(quantity*price), 10), '\n')
	}
	return dst
}

// writeLog writes the lines of a server's log.
func writeLog(dst []byte, rng *source, words *vocabulary, size int) []byte {
	t := words.newTopic(rng)
	for second := rng.between(0, 1<<20); len(dst) < size; second += rng.IntN(3) {
		dst = fmt.Appendf(dst, "2025-06-%02dT%02d:%02d:%02d.%03d %s[%d]: ", 1+second/86400%30, second/3600%24, second/60%60, second%60,
			rng.IntN(1000), pick(rng, t.words[:4]), 300+rng.IntN(40))
		dst = append(words.paragraph(dst, rng, t, rng.between(20, 120)), '\n')
	}
	return dst
}

// writeBitmap writes a scanned page: long even runs and grey noise at their edges.
func writeBitmap(dst []byte, rng *source, _ *vocabulary, size int) []byte {
	dst = append(dst, "BM\x36\x10\x0e\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00"...)
	for len(dst) < size {
		noise := rng.Uint64()
		for range rng.between(2, 60) {
			dst = append(dst, 0xff)
		}
		for range rng.between(1, 12) {
			dst = append(dst, byte(noise), byte(noise>>8)&0xf0)
			noise = noise>>5 | noise<<59
		}
	}
	return dst
}

// writeDocument writes an old word processor's file: UTF-16 text in blocks
// among tables of small numbers.
func writeDocument(dst []byte, rng *source, words *vocabulary, size int) []byte {
	dst = append(dst, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"...)
	t := words.newTopic(rng)
	var text []byte
	for len(dst) < size {
		text = words.paragraph(text[:0], rng, t, 1500)
		for _, c := range text {
			dst = append(dst, c, 0)
		}
		for range 128 {
			dst = append(dst, byte(rng.IntN(16)), 0, 0, byte(rng.IntN(4)))
		}
	}
	return dst
}
