package mailgen

import (
	"bytes"
	"fmt"
	"mime"
	"time"
)

// quoteLimit is how much of a mail a reply quotes.
const quoteLimit = 6 << 10

// text writes what the author says, and quotes what the reply answers.
func (c *composer) text(th *thread, m *mail) []byte {
	var b []byte
	if c.small {
		b = append(wrap(b, c.words.paragraph(nil, c.rng, th.topic, 100), ""), '\n')
		return append(b, "-- \n"+m.from.name+"\n"...)
	}
	for _, p := range c.words.text(c.rng, th.topic, min(40<<10, c.rng.spread(1100, 20))) {
		b = append(wrap(b, p, ""), '\n')
	}
	b = append(b, "-- \n"+m.from.name+"\n"...)
	if len(th.ids) == 0 {
		return b
	}
	var quoted []byte
	quoted = fmt.Appendf(quoted, "On %s, %s wrote:\n", th.date.Format(time.RFC1123Z), th.last.name)
	old := th.text[:min(len(th.text), quoteLimit)]
	for line := range bytes.Lines(old) {
		quoted = append(append(append(quoted, '>'), quoteSpace(line)...), bytes.TrimSuffix(line, []byte("\n"))...)
		quoted = append(quoted, '\n')
	}
	if c.rng.chance(50) {
		return append(append(b, '\n'), quoted...)
	}
	return append(append(quoted, '\n'), b...)
}

// quoteSpace is what stands between the quote mark and a line that is no quote itself.
func quoteSpace(line []byte) string {
	if line[0] == '>' || line[0] == '\n' {
		return ""
	}
	return " "
}

// body writes the MIME headers and the body: text, text with an HTML
// alternative, or these and attachments.
func (c *composer) body(b *bytes.Buffer, th *thread, text []byte) {
	if c.small {
		c.textPart(b, "plain", text)
		return
	}
	attached := c.rng.chance(15)
	boundary := "------------" + c.rng.hex(24)
	if attached {
		fmt.Fprintf(b, "Content-Type: multipart/mixed; boundary=%q\n\nThis is a multi-part message in MIME format.\n--%s\n", boundary, boundary)
	}
	if c.rng.chance(40) {
		c.alternative(b, th, text)
	} else {
		c.textPart(b, "plain", text)
	}
	if !attached {
		return
	}
	for range 1 + c.rng.spread(1, 16)/2 {
		fmt.Fprintf(b, "\n--%s\n", boundary)
		c.attachmentPart(b)
	}
	fmt.Fprintf(b, "\n--%s--\n", boundary)
}

func (c *composer) alternative(b *bytes.Buffer, th *thread, text []byte) {
	boundary := "=_" + c.rng.hex(32)
	fmt.Fprintf(b, "Content-Type: multipart/alternative;\n boundary=%q\n\n--%s\n", boundary, boundary)
	c.textPart(b, "plain", text)
	fmt.Fprintf(b, "\n--%s\n", boundary)
	c.textPart(b, "html", c.html(th, text))
	fmt.Fprintf(b, "\n--%s--\n", boundary)
}

// textPart writes the headers and the content of a text part, in an encoding that can carry it.
func (c *composer) textPart(b *bytes.Buffer, subtype string, text []byte) {
	encoding, n := "7bit", c.rng.IntN(100)
	switch {
	case n < 3:
		encoding = "base64"
	case n < 20, subtype == "html":
		encoding = "quoted-printable"
	case !isASCII(text) && n < 70:
		encoding = "quoted-printable"
	case !isASCII(text):
		encoding = "8bit"
	}
	fmt.Fprintf(b, "Content-Type: text/%s; charset=UTF-8\nContent-Transfer-Encoding: %s\n\n", subtype, encoding)
	switch encoding {
	case "base64":
		b.Write(appendBase64(nil, text, 76))
	case "quoted-printable":
		b.Write(appendQuoted(nil, text))
	default:
		b.Write(text)
	}
}

// html returns the text as a mail program's HTML, now and then as a newsletter's.
func (c *composer) html(th *thread, text []byte) []byte {
	var b bytes.Buffer
	newsletter := c.rng.chance(20)
	b.WriteString("<!DOCTYPE html>\n<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\">\n")
	if newsletter {
		b.WriteString(newsletterStyle)
	}
	b.WriteString("</head>\n<body bgcolor=\"#ffffff\" text=\"#000000\">\n")
	for line := range bytes.Lines(text) {
		fmt.Fprintf(&b, "%s<br>\n", bytes.ReplaceAll(bytes.TrimRight(line, "\n"), []byte(">"), []byte("&gt;")))
	}
	if newsletter {
		for range min(60, c.rng.spread(12, 16)) {
			c.teaser(&b, th)
		}
	}
	b.WriteString("</body>\n</html>\n")
	return b.Bytes()
}

const newsletterStyle = `<style type="text/css">
body{margin:0;padding:0;-webkit-text-size-adjust:100%;font-family:Arial,Helvetica,sans-serif}
table,td{border-collapse:collapse;mso-table-lspace:0pt;mso-table-rspace:0pt}
img{border:0;height:auto;line-height:100%;outline:none;text-decoration:none}
a.button{background-color:#0a6ebd;border-radius:4px;color:#ffffff;padding:10px 18px}
@media only screen and (max-width:480px){td.column{width:100%!important;display:block!important}}
</style>
`

// teaser writes one item of a newsletter, with links that only this reader has.
func (c *composer) teaser(b *bytes.Buffer, th *thread) {
	fmt.Fprintf(b, `<table width="600" border="0" cellspacing="0" cellpadding="0" align="center"><tr><td class="column" valign="top">
<a href="https://click.%s.example/track?u=%s&amp;id=%s"><img src="https://img.%s.example/%s.jpg" width="%d" height="%d" alt=""></a>
</td><td class="column" style="padding:12px 20px;font-size:14px;line-height:20px;color:#333333">%s</td></tr></table>
`, th.topic.words[0], c.rng.hex(40), c.rng.hex(10), th.topic.words[0], c.rng.hex(16), c.rng.between(100, 600), c.rng.between(100, 400),
		c.words.paragraph(nil, c.rng, th.topic, c.rng.between(100, 400)))
}

// attachmentPart writes one attachment, headers and content.
func (c *composer) attachmentPart(b *bytes.Buffer) {
	a := c.files.pick(c.rng)
	width := 76
	if c.rng.chance(15) {
		width = pick(c.rng, []int{72, 64, 60})
	}
	fmt.Fprintf(b, "Content-Type: %s\nContent-Transfer-Encoding: base64\nContent-Disposition: %s\n\n",
		mime.FormatMediaType(a.kind.mediaType, map[string]string{"name": a.name}),
		mime.FormatMediaType("attachment", map[string]string{"filename": a.name}))
	b.Write(appendBase64(nil, a.content(c.words), width))
}
