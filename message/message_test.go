package message_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"restante/message"
)

var kinds = []message.Kind{message.Mail, message.Mbox, message.Dbox}

// A span is what the blocks of a span add up to.
type span struct {
	Class      message.Class
	Raw        string
	Decoded    string
	LineLength int
	LineEnd    message.LineEnd
	Open       bool
	Message    bool
}

// split cuts r and checks what holds for every input but that the spans join to it.
func split(t testing.TB, r io.Reader, kind message.Kind) []span {
	t.Helper()
	var c message.Cutter
	c.Reset(r, kind)
	return spans(t, &c)
}

func spans(t testing.TB, c *message.Cutter) []span {
	t.Helper()
	var all []span
	ended := true
	for {
		b, err := c.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Raw) == 0 || len(b.Raw) > message.BlockSize || b.First != ended {
			t.Fatalf("block of %d bytes, first %v after last %v", len(b.Raw), b.First, ended)
		}
		whole := b.Class == message.Head || b.Class == message.Frame
		if whole && !(b.First && b.Last) || b.Open && !b.Last || (b.Class == message.Base64) != (len(b.Decoded) > 0) {
			t.Fatalf("block of class %d: first %v, last %v, open %v, %d decoded", b.Class, b.First, b.Last, b.Open, len(b.Decoded))
		}
		if b.Counts && !b.Message && b.Class != message.Frame {
			t.Errorf("a %v counts as a message", b.Class)
		}
		if b.Message && b.Class != message.Head {
			t.Fatalf("a message begins with a block of class %d", b.Class)
		}
		s := span{b.Class, string(b.Raw), string(b.Decoded), b.LineLength, b.LineEnd, b.Open, b.Message}
		if !b.First {
			before := all[len(all)-1]
			if before.Class != s.Class || before.LineLength != s.LineLength || before.LineEnd != s.LineEnd {
				t.Fatalf("parts of one span differ: %v", b)
			}
			s.Raw, s.Decoded = before.Raw+s.Raw, before.Decoded+s.Decoded
			all = all[:len(all)-1]
		}
		all = append(all, s)
		ended = b.Last
	}
	if !ended {
		t.Fatal("the last span has no end")
	}
	if _, err := c.Next(); err != io.EOF {
		t.Fatalf("after the end: %v", err)
	}
	for i := range all {
		prove(t, &all[i])
	}
	return all
}

// prove makes the raw bytes of a base64 span from the decoded ones.
func prove(t testing.TB, s *span) {
	t.Helper()
	if s.Class != message.Base64 {
		return
	}
	if len(s.Decoded) < message.MinBase64 || len(s.Decoded) > message.MaxBase64 {
		t.Errorf("a span of %d bytes, decoded", len(s.Decoded))
	}
	if (s.LineLength == 0) != (s.Open && len(s.Raw) > 65535 && !strings.Contains(s.Raw, "\n")) {
		t.Errorf("%d characters are in lines of %d", len(s.Raw), s.LineLength)
	}
	made := lines(s.Decoded, s.LineLength, map[message.LineEnd]string{message.LF: "\n", message.CRLF: "\r\n"}[s.LineEnd])
	if s.Open {
		made = strings.TrimRight(made, "\r\n")
	}
	if made != s.Raw {
		t.Errorf("%d decoded bytes do not make the %d raw ones", len(s.Decoded), len(s.Raw))
	}
	if encode(s) != s.Raw {
		t.Errorf("%d decoded bytes are not encoded as the %d raw ones", len(s.Decoded), len(s.Raw))
	}
}

// encode makes the raw bytes of a base64 span by a LineEncoder, in place: the
// decoded bytes lie at the end of the room for them, as in a restore.
func encode(s *span) string {
	room := make([]byte, len(s.Raw))
	copy(room[len(room)-len(s.Decoded):], s.Decoded)
	var e message.LineEncoder
	e.Reset(s.LineLength, s.LineEnd)
	n := 0
	for rest := room[len(room)-len(s.Decoded):]; len(rest) > 0; {
		step := rest[:min(len(rest), message.EncodeStep)]
		rest = rest[len(step):]
		n += e.Encode(room[n:], step)
	}
	if !s.Open {
		n += e.End(room[n:])
	}
	return string(room[:n])
}

func TestLineEncoder(t *testing.T) {
	const step = message.EncodeStep
	for _, size := range []int{1, 2, 3, 57, 58, step - 1, step, step + 1, 3*step + 100} {
		for _, length := range []int{0, 1, 3, 60, 76, 77, 65535} {
			for end, text := range map[message.LineEnd]string{message.LF: "\n", message.CRLF: "\r\n"} {
				for _, open := range []bool{false, true} {
					s := span{Decoded: noise(size), LineLength: length, LineEnd: end, Open: open}
					if s.Raw = lines(s.Decoded, length, text); open {
						s.Raw = strings.TrimSuffix(s.Raw, text)
					}
					if encode(&s) != s.Raw {
						t.Errorf("%d bytes in lines of %d, %d at their end, open %v", size, length, end, open)
					}
				}
			}
		}
	}
}

// lines encodes data in lines, or in one if length is 0.
func lines(data string, length int, end string) string {
	var sb strings.Builder
	for s := base64.StdEncoding.EncodeToString([]byte(data)); s != ""; {
		n := min(length, len(s))
		if length == 0 {
			n = len(s)
		}
		sb.WriteString(s[:n] + end)
		s = s[n:]
	}
	return sb.String()
}

func join(all []span) string {
	var sb strings.Builder
	for _, s := range all {
		sb.WriteString(s.Raw)
	}
	return sb.String()
}

// noise returns n bytes that look like no text, always the same.
func noise(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

// mail returns a message with one attachment and its lines.
func mail(body, end string) string {
	return strings.ReplaceAll("Delivered-To: a@example.com\nSubject: x\nContent-Type: multipart/mixed; boundary=b\n\n"+
		"--b\nContent-Type: text/plain\n\nhello\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n", "\n", end) +
		body + strings.ReplaceAll("\n--b--\n", "\n", end)
}

// describe names the spans: class letters with lengths.
func describe(all []span) string {
	var words []string
	for _, s := range all {
		w := fmt.Sprintf("%c%d", "thbf"[s.Class], len(s.Raw))
		if s.Class == message.Base64 {
			w = fmt.Sprintf("b%d/%d", s.LineLength, len(s.Decoded))
			if s.Open {
				w += "open"
			}
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func TestAttachmentIsTheSameInAnyLines(t *testing.T) {
	for _, size := range []int{message.MinBase64, 5000, 300_000, 383_000, 2_000_003} {
		content := noise(size)
		for _, length := range []int{60, 64, 72, 76, 16, 17, 75, 998, 65535, 0} {
			for _, end := range []string{"\n", "\r\n"} {
				text := mail(lines(content, length, end), end)
				all := split(t, strings.NewReader(text), message.Mail)
				if join(all) != text {
					t.Fatalf("size %d, length %d: the spans do not join", size, length)
				}
				found := ""
				for _, s := range all {
					found += s.Decoded
				}
				if len(all) != 4 || found != content {
					t.Errorf("size %d, length %d, end %q: %s", size, length, end, describe(all))
				}
			}
		}
	}
}

func TestLongAttachmentIsCutAtTheSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("encodes hundreds of megabytes")
	}
	content := noise(message.MaxBase64 + 1000)
	for _, length := range []int{60, 76, 0} {
		var c message.Cutter
		c.Reset(strings.NewReader(mail(lines(content, length, "\n"), "\n")), message.Mail)
		var sizes []int
		for {
			b, err := c.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if b.Class == message.Base64 {
				if b.First {
					sizes = append(sizes, 0)
				}
				sizes[len(sizes)-1] += len(b.Decoded)
			}
		}
		if want := []int{message.MaxBase64, 1000}; !reflect.DeepEqual(sizes, want) {
			t.Errorf("lines of %d: %v, want %v", length, sizes, want)
		}
	}
}

func TestSpans(t *testing.T) {
	const said = "A: b\nContent-Transfer-Encoding: base64\n\n"
	k := noise(1140) // 20 lines of 76 characters
	full := lines(k, 76, "\n")
	row := func(n int) string { return full[:77*n] }
	more := lines(k+k+k, 76, "\n") // enough after a line that ended a run
	from := "From a@example.com Mon Jan  5 10:11:12 2026\n"
	for _, tt := range []struct {
		name, text string
		kind       message.Kind
		want       string
	}{
		{"nothing", "", message.Mail, ""},
		{"head only", "A: b\nC: d\n", message.Mail, "h10"},
		{"head without a line end", "A: b", message.Mail, "h4"},
		{"head and body", "A: b\r\n\r\nhello", message.Mail, "h8 t5"},
		{"body only", "\nhello\n", message.Mail, "t7"},
		{"no mail", "hello world\nA: b\n\n", message.Mail, "t18"},
		{"binary", "\x1f\x8b:\n\n\n", message.Mail, "t6"},
		{"space before the colon", "Subject : b\n\nc", message.Mail, "h13 t1"},
		{"From line", from + "A: b\n\nc", message.Mail, "h50 t1"},
		{"quoted From line", ">" + from + "A: b\n\nc", message.Mail, "h51 t1"},
		{"From line within a mail", "A: b\n\nc\n\n" + from, message.Mail, "h6 t47"},
		{"long head", strings.Repeat("A: b\n", message.MaxHead/5+1) + "\nc", message.Mail, "h262140 t7"},
		{"whole body", said + full, message.Mail, "h40 b76/1140"},
		{"a defect now and then", said + strings.Repeat(row(15)+" \n", 8), message.Mail, "h40 b76/855 t8101"},
		{"a short run, a defect, and a longer one", said + row(5) + " \n" + row(15), message.Mail, "h40 t1542"},
		{"empty lines now and then", said + strings.Repeat(row(15)+"\n", 8), message.Mail, "h40 b76/855 t8093"},
		{"no final line end", said + full[:len(full)-1], message.Mail, "h40 b76/1140open"},
		{"empty lines first", said + "\n\n" + full + "\n", message.Mail, "h40 t2 b76/1140 t1"},
		{"short", said + row(13), message.Mail, "h40 t1001"},
		{"padding", said + lines(k[:1000], 76, "\n"), message.Mail, "h40 b76/1000"},
		{"padding in a full line", said + lines(k[:1139], 76, "\n"), message.Mail, "h40 b76/1139"},
		{"more after padding", said + lines(k[:1139], 76, "\n") + more, message.Mail, "h40 b76/1139 b76/3420"},
		{"padding bits", said + row(19) + strings.Repeat("A", 74) + "B=\n" + more, message.Mail, "h40 b76/1083 t77 b76/3420"},
		{"wrong padding", said + row(19) + strings.Repeat("A", 73) + "===\n", message.Mail, "h40 b76/1083 t77"},
		{"space at an end", said + row(15) + full[:76] + " \n" + more, message.Mail, "h40 b76/855 t78 b76/3420"},
		{"bad byte", said + row(15) + "-" + full[1:77] + more, message.Mail, "h40 b76/855 t77 b76/3420"},
		{"lone CR", said + row(15) + "\r" + full[1:77] + more, message.Mail, "h40 b76/855 t77 b76/3420"},
		{"two lengths, the shorter one taken for the end of the first", said + row(15) + lines(k+k+k, 60, "\n"), message.Mail, "h40 b76/900 b60/3375"},
		{"two line ends", said + lines(k, 76, "\r\n") + more, message.Mail, "h40 b76/1140 b76/3420"},
		{"length not of fours", said + lines(k, 75, "\n")[:76*19], message.Mail, "h40 b75/900 t228"},
		{"only line", said + lines(k, 4000, "")[:1400], message.Mail, "h40 b1400/1050open"},
		{"long line", said + lines(noise(60000), 80000, "\n"), message.Mail, "h40 b0/60000open t1"},
		{"folded", "A: b\nCONTENT-transfer-encoding:\n\tBase64\n\n" + full, message.Mail, "h41 b76/1140"},
		{"quoted", "Content-Transfer-Encoding: \"base64\" (x)\n\n" + full, message.Mail, "h41 b76/1140"},
		{"another encoding", "Content-Transfer-Encoding: 7bit\n\n" + full, message.Mail, "h33 t1540"},
		{"nothing said", "A: b\n\n" + lines(k+k+k, 64, "\n"), message.Mail, "h6 b64/3420"},
		{"nothing said, longest lines", "A: b\n\n" + lines(k+k+k, 76, "\n"), message.Mail, "h6 b76/3420"},
		{"nothing said, longer lines", "A: b\n\n" + lines(k+k+k, 80, "\n"), message.Mail, "h6 t4617"},
		{"nothing said, short", "A: b\n\n" + lines(k+k, 64, "\n"), message.Mail, "h6 t3088"},
		{"after the part", said + "--b\n" + full, message.Mail, "h40 t1544"},
		{"mbox", from + "A: b\n\nhello\n\n" + from + "\nFrom me\n\n" + from, message.Mbox, "h50 t6 t1 h45 t8 t1 h44"},
		{"mbox with blank lines first", "\n\n" + from + "\n", message.Mbox, "t1 t1 h45"},
		{"mbox, CRLF", from + "A: b\r\n\r\nhello\r\n\r\n" + from + "\r\nbye\n\r\n", message.Mbox, "h52 t7 t2 h46 t4 t2"},
		{"mbox, two empty lines", from + "\nhello\n\n\n" + from + "\n\n", message.Mbox, "h45 t7 t1 h45 t1"},
		{"mbox, a body longer than a block", from + "\n" + strings.Repeat("x", message.BlockSize) + "\n\n" + from, message.Mbox, "h45 t524289 t1 h44"},
		{"mbox, From line in a paragraph", from + "\nhello\n" + from, message.Mbox, "h45 t50"},
		{"mbox, two base64", from + said + full + "\n" + from + said + full, message.Mbox, "h84 b76/1140 t1 h84 b76/1140"},
		{"mbox with a long head", from + strings.Repeat("A: b\n", message.MaxHead/5+1) + "\n" + from, message.Mbox, "h262144 t45 t1 h44"},
		{"dbox", dbox("A: b\n\nhello\n", said+full[:len(full)-1], ""), message.Dbox, "f46 h6 t6 f83 h40 b76/1140open f83 f53"},
		{"dbox, long metadata", strings.Replace(dbox("A: b\n\nhello\n", "x"), "\nV", "\nX"+strings.Repeat("y", 5000)+"\nV", 1), message.Dbox, "f46 h6 t6 f5085 t1 f53"},
		{"dbox, metadata too long", strings.Replace(dbox("A: b\n\nhello\n", "x"), "\nV", "\nX"+strings.Repeat("y", 70_000)+"\nV", 1), message.Dbox, "f46 h6 t6 t70139"},
		{"dbox, compressed", dbox("\x1f\x8bcompressed"), message.Dbox, "f46 t12 f53"},
		{"dbox that is none", "A: b\n\n2 M1e C1\n", message.Dbox, "h6 t9"},
		{"dbox, size too small", strings.Replace(dbox("A: b\n\nhello\n"), "C\n", "B\n", 1), message.Dbox, "f46 h6 t5 t54"},
		{"dbox, size too large", strings.Replace(dbox("A: b\n\nhello\n"), " 00000000", " 7fffffff", 1), message.Dbox, "f46 h6 t59"},
		{"dbox, header only", "2 M1e C1\n", message.Dbox, "f9"},
	} {
		all := split(t, strings.NewReader(tt.text), tt.kind)
		if got := describe(all); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if join(all) != tt.text {
			t.Errorf("%s: the spans do not join", tt.name)
		}
	}
}

// dbox returns an mdbox file with these bodies.
func dbox(bodies ...string) string {
	text := "2 M1e C6b022e39\n"
	for _, b := range bodies {
		text += fmt.Sprintf("\x01\x02N %8s %016X\n%s\n\x01\x03\nR6b022e39\nV%x\nG0123456789abcdef0123456789abcdef\n\n", "", len(b), b, 0xff)
	}
	return text
}

func TestReadersOfAllKinds(t *testing.T) {
	inputs := seeds(t)
	long := lines(noise(700_000), 76, "\r\n")
	inputs = append(inputs, []byte(mail(long, "\r\n")), []byte("A: b\n\n"+strings.Repeat("hello world\n", 100_000)), []byte(strings.Repeat("x", 1_300_000)+"\n\n"+long))
	r := rand.New(rand.NewPCG(1, 2))
	for i, data := range inputs {
		for _, kind := range kinds {
			want := split(t, bytes.NewReader(data), kind)
			if join(want) != string(data) {
				t.Fatalf("input %d: the spans do not join", i)
			}
			for name, reader := range map[string]io.Reader{
				"half":          iotest.HalfReader(bytes.NewReader(data)),
				"data with EOF": iotest.DataErrReader(bytes.NewReader(data)),
				"byte":          iotest.OneByteReader(bytes.NewReader(data)),
				"random":        &randomReader{bytes.NewReader(data), r},
			} {
				if got := split(t, reader, kind); !reflect.DeepEqual(got, want) {
					t.Errorf("input %d, kind %d, reader %s: %s, want %s", i, kind, name, describe(got), describe(want))
				}
			}
		}
	}
}

// TestLongLinesInAnyReader has lines that a Cutter sees the end of only if a
// reader hands out more than it was asked for.
func TestLongLinesInAnyReader(t *testing.T) {
	const said = "A: b\nContent-Transfer-Encoding: base64\n\n"
	row := lines(noise(1000), 76, "\n")
	for _, n := range []int{65_500, 65_533, 65_534, 65_535, 65_536, 65_537, 65_538, 65_539, 70_000, 300_000} {
		long := strings.Repeat("x", n)
		for _, text := range []string{
			said + "--" + long + "\n" + row,
			said + "--" + long + "\r\n" + row,
			said + row + long + "\n" + row,
			said + row + long + "\r\n" + row,
			said + row + long + "=\n" + row,
			said + "Content-Transfer-Encoding: 7bit" + long + "\n" + row,
			said + long + "\r",
			fromLine + "\nhello\n\n" + fromLine[:len(fromLine)-1] + long + "\n\n" + two,
			withLength("a\n", 0) + fromLine[:len(fromLine)-1] + long + "\n\n" + two,
			"A: b\n\n--b\nContent-Transfer-Encoding:\n" + long + "\n base64\n\n" + row,
		} {
			for _, kind := range []message.Kind{message.Mail, message.Mbox} {
				want := split(t, strings.NewReader(text), kind)
				if got := split(t, iotest.OneByteReader(strings.NewReader(text)), kind); !reflect.DeepEqual(got, want) {
					t.Errorf("%d characters in %.80q, byte by byte: %s, want %s", n, text, describe(got), describe(want))
				}
			}
		}
	}
}

type randomReader struct {
	r io.Reader
	n *rand.Rand
}

func (r *randomReader) Read(p []byte) (int, error) {
	return r.r.Read(p[:min(len(p), r.n.IntN(100_000))])
}

func TestErrorsComeThrough(t *testing.T) {
	want := errors.New("it broke")
	var c message.Cutter
	if _, err := c.Next(); err == nil {
		t.Error("no error without a reader")
	}
	c.Reset(io.MultiReader(strings.NewReader("A: b\n\nhello\n"), iotest.ErrReader(want)), message.Mail)
	for range 2 {
		if b, err := c.Next(); !errors.Is(err, want) {
			t.Errorf("%q, %v, want %v", b.Raw, err, want)
		}
	}
	c.Reset(stuck{}, message.Mail)
	if _, err := c.Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v from a reader that never reads", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestCutterIsUsedAgain(t *testing.T) {
	var c message.Cutter
	text := mail(lines(noise(5000), 76, "\n"), "\n")
	want := split(t, strings.NewReader(text), message.Mail)
	for _, n := range []int{len(text) / 2, 100, len(text)} {
		c.Reset(strings.NewReader(text[:n]), message.Mail)
		c.Next()
		c.Reset(strings.NewReader(text), message.Mail)
		if got := spans(t, &c); !reflect.DeepEqual(got, want) {
			t.Errorf("%s, want %s", describe(got), describe(want))
		}
	}
	if n := testing.AllocsPerRun(10, func() {
		c.Reset(strings.NewReader(text), message.Mail)
		for {
			if _, err := c.Next(); err != nil {
				return
			}
		}
	}); n > 1 {
		t.Errorf("%v allocations a message", n)
	}
}

// seeds returns the messages in testdata.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/mail/*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no seeds: %v", err)
	}
	var all [][]byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data)
	}
	return all
}

// cutAll cuts r and looks at nothing.
func cutAll(t testing.TB, c *message.Cutter, r io.Reader, kind message.Kind) {
	t.Helper()
	c.Reset(r, kind)
	for {
		if _, err := c.Next(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestOddLinesEndASpan has one line of a run end in another way than the
// others, with a character in the place of what it lacks, so that it is as long
// and its characters still decode.
func TestOddLinesEndASpan(t *testing.T) {
	const length, count = 76, 60
	chars := base64.StdEncoding.EncodeToString([]byte(noise(57*count + 57)))
	for _, odd := range []int{0, 1, 20, count - 1} {
		for _, end := range []string{"\r\n", "\n"} {
			for _, other := range []string{"\n", "\r\n", "\r", "", " \n", "==\n"} {
				var body strings.Builder
				for rest, i := chars, 0; i < count; i++ {
					n, with := length, end
					if i == odd {
						n, with = length+len(end)-len(other), other
					}
					body.WriteString(rest[:n] + with)
					rest = rest[n:]
				}
				input := mail(body.String(), end)
				if all := split(t, strings.NewReader(input), message.Mail); join(all) != input {
					t.Errorf("with %q for %q at the end of line %d of %d the spans are not the input", other, end, odd, count)
				}
			}
		}
	}
}
