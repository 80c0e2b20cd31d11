package message_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"restante/message"
)

// TestOneEndlessLine has base64 in one line that is longer than a line that a
// buffer holds, with what may be wrong with it.
func TestOneEndlessLine(t *testing.T) {
	const said = "A: b\nContent-Transfer-Encoding: base64\n\n"
	data := noise(2_000_001) // whole groups; 2,666,668 characters
	line := base64.StdEncoding.EncodeToString([]byte(data))
	n := len(line)
	padded := base64.StdEncoding.EncodeToString([]byte(data[:len(data)-2]))
	with := func(at int, s string) string { return line[:at] + s + line[at+len(s):] }
	broken := func(at int) string { // the description of what is left when the character at this place is bad
		return fmt.Sprintf("h40 b0/%dopen t%d", at/4*3, n+1-at/4*4)
	}
	whole := fmt.Sprintf("h40 b0/%dopen", len(data))
	for _, tt := range []struct{ name, text, want string }{
		{"to the end", said + line, whole},
		{"with LF", said + line + "\n", whole + " t1"},
		{"with CRLF", said + line + "\r\n", whole + " t2"},
		{"with a lone CR", said + line + "\r", whole + " t1"},
		{"to a boundary", said + line + "\n--b--\n", whole + " t7"},
		{"to a boundary, CRLF", said + line + "\r\n--b--\r\n", whole + " t9"},
		{"with an empty line first", said + "\r\n" + line + "\n", "h40 t2" + whole[3:] + " t1"},
		{"padded", said + padded + "\n", "h40 b0/1999999open t1"},
		{"padding missing", said + padded[:n-2] + "\n", "h40 b0/1999998open t3"},
		{"half of the padding missing", said + padded[:n-1] + "\n", "h40 b0/1999998open t4"},
		{"a character too much", said + line + "A\n", whole + " t2"},
		{"three characters too much", said + line + "AAA\n", whole + " t4"},
		{"padding bits", said + line[:n-4] + "AB==\n", "h40 b0/1999998open t5"},
		{"space at the end", said + line + " \n", whole + " t2"},
		{"bad character", said + with(1_000_001, "-") + "\n", broken(1_000_001)},
		{"bad character after a block", said + with(message.BlockSize, " ") + "\n", broken(message.BlockSize)},
		{"bad character at the end of a block", said + with(message.BlockSize-1, " ") + "\n", broken(message.BlockSize - 1)},
		{"lone CR in it", said + with(1_000_001, "\r") + "\n", broken(1_000_001)},
		{"NUL in it", said + with(1_000_001, "\x00") + "\n", broken(1_000_001)},
		{"padding in the middle", said + with(1_000_000, "AA==") + "\n", "h40 b0/750001open t1666665"},
		{"padding at the end of a block", said + with(message.BlockSize-1, "=") + "\n", "h40 b0/393215open t2142381"},
		{"padding within a block", said + with(65532, "AA==") + "\n", fmt.Sprintf("h40 b0/49150open t%d", n+1-65536)},
		{"padding out of its place", said + with(1_000_001, "=") + "\n", broken(1_000_001)},
		{"bad character soon", said + with(1100, "-") + "\n", fmt.Sprintf("h40 b1100/825open t%d", n+1-1100)},
		{"bad character at once", said + with(1000, "-") + "\n", fmt.Sprintf("h40 t%d", n+1)},
		{"as long as a line may be", said + line[:65532] + "\n", "h40 b65532/49149"},
		{"one group longer", said + line[:65536] + "\n", "h40 b0/49152open t1"},
		{"one group longer, CRLF", said + line[:65536] + "\r\n", "h40 b0/49152open t2"},
		{"longer by a character", said + line[:65533] + "\n", "h40 t65534"},
		{"two lines", said + line[:80000] + "\n" + line[:80000] + "\n", "h40 b0/60000open t1 b0/60000open t1"},
		{"more in lines of 76", said + line[:80000] + "\n" + lines(data[:5700], 76, "\n"), "h40 b0/60000open t1 b76/5700"},
		{"nothing said", "A: b\n\n" + line[:80000] + "\n", "h6 t80001"},
		{"another encoding", "A: b\nContent-Transfer-Encoding: 8bit\n\n" + line[:80000] + "\n", "h38 t80001"},
	} {
		all := split(t, strings.NewReader(tt.text), message.Mail)
		if got := describe(all); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if join(all) != tt.text {
			t.Errorf("%s: the spans do not join", tt.name)
		}
	}
}

// TestOneEndlessLineInADbox ends a line where the frame says that its message does.
func TestOneEndlessLineInADbox(t *testing.T) {
	body := "A: b\nContent-Transfer-Encoding: base64\n\n" + lines(noise(600_000), 0, "")
	text := dbox(body, body+"\n")
	all := split(t, strings.NewReader(text), message.Dbox)
	if got, want := describe(all), "f46 h40 b0/600000open f83 h40 b0/600000open t1 f53"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if join(all) != text {
		t.Error("the spans do not join")
	}
}

// TestAnEndlessLineIsNoEmptyLine has a line's end right after a run, which is
// not an empty line: what follows is the same message.
func TestAnEndlessLineIsNoEmptyLine(t *testing.T) {
	text := fromLine + "Content-Transfer-Encoding: base64\n\n" + lines(noise(60_000), 0, "\n") + fromLine + "\n"
	all := split(t, strings.NewReader(text), message.Mbox)
	if count(all) != 1 {
		t.Errorf("%d messages: %s", count(all), describe(all))
	}
}

// TestMemoryOfAnEndlessLine cuts a line that nothing could hold, and wants all of it
// decoded, byte by byte, in the memory that any other file takes.
func TestMemoryOfAnEndlessLine(t *testing.T) {
	const size = 64 << 20
	g := &endless{head: "A: b\nContent-Transfer-Encoding: base64\n\n", left: size}
	var c message.Cutter
	cutAll(t, &c, strings.NewReader(mail(lines(noise(5000), 76, "\n"), "\n")), message.Mail) // makes its buffers
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.Reset(g, message.Mail)
	decoded := 0
	for {
		b, err := c.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range b.Decoded {
			if want := "pattern o"[(decoded+i)%9]; d != want {
				t.Fatalf("byte %d is %q, want %q", decoded+i, d, want)
			}
		}
		decoded += len(b.Decoded)
	}
	runtime.ReadMemStats(&after)
	if decoded != size/4*3 {
		t.Errorf("%d of %d bytes are decoded", decoded, size/4*3)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("it took %d bytes of memory", grown)
	}
}

// endless reads a head and a line of characters that repeats the encoding of nine bytes.
type endless struct {
	head string
	made int // characters
	left int
}

func (e *endless) Read(p []byte) (int, error) {
	const chars = "cGF0dGVybiBv" // "pattern o"
	if e.head != "" {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left, 1<<16)
	for i := range p[:n] {
		p[i] = chars[(e.made+i)%len(chars)]
	}
	e.made, e.left = e.made+n, e.left-n
	return n, nil
}
