package mailgen_test

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restante/internal/mailgen"
)

// digest returns one line for each file below dir: path, mode, time, content.
// A symbolic link has no time of its own here: it is not set.
func digest(t *testing.T, dir string) map[string]string {
	t.Helper()
	lines := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			lines[name] = fmt.Sprintf("%v %d %x", info.Mode(), info.ModTime().UnixNano(), sha256.Sum256(data))
		case info.IsDir():
			lines[name] = fmt.Sprintf("%v %d", info.Mode(), info.ModTime().UnixNano())
		default:
			lines[name], err = os.Readlink(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func generate(t *testing.T, o mailgen.Options) string {
	t.Helper()
	dir := t.TempDir()
	r, err := mailgen.Generate(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Messages != o.Messages {
		t.Fatalf("Generate made %d messages, not %d", r.Messages, o.Messages)
	}
	return dir
}

func compare(t *testing.T, a, b map[string]string) {
	t.Helper()
	for name, want := range a {
		if b[name] != want {
			t.Fatalf("%q is %q in one store and %q in the other", name, want, b[name])
		}
	}
	if len(a) != len(b) {
		t.Fatalf("one store has %d files, the other %d", len(a), len(b))
	}
}

func TestSameSeedSameStore(t *testing.T) {
	for _, layout := range []mailgen.Layout{mailgen.Maildir, mailgen.Mbox} {
		t.Run(string(layout), func(t *testing.T) {
			o := mailgen.Options{Layout: layout, Messages: 150, Mailboxes: 5, Seed: 7}
			a, b := generate(t, o), generate(t, o)
			first := digest(t, a)
			compare(t, first, digest(t, b))
			for number := 1; number <= 2; number++ {
				n := mailgen.NightOptions{Layout: layout, Number: number, Percent: 5, Seed: 7}
				ra, errA := mailgen.Night(a, n)
				rb, errB := mailgen.Night(b, n)
				if errA != nil || errB != nil || ra != rb {
					t.Fatalf("night %d: %+v, %v and %+v, %v", number, ra, errA, rb, errB)
				}
				compare(t, digest(t, a), digest(t, b))
			}
			o.Seed = 8
			other := digest(t, generate(t, o))
			for name, line := range first {
				if strings.Contains(name, "cur") && strings.Contains(name, ",S=") && other[name] == line {
					t.Fatalf("another seed gives the same message %q", name)
				}
			}
		})
	}
}

func TestMailsAreMails(t *testing.T) {
	const count = 400
	n, attached := 0, 0
	for data := range mailgen.Mails(3, count) {
		n++
		if bytes.Contains(data, []byte("\r")) || data[len(data)-1] != '\n' {
			t.Fatalf("mail %d has line ends other than LF", n)
		}
		m, err := mail.ReadMessage(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("mail %d: %v\n%.2000s", n, err, data)
		}
		for _, field := range []string{"From", "To"} {
			if _, err := m.Header.AddressList(field); err != nil {
				t.Fatalf("mail %d: %s: %v", n, field, err)
			}
		}
		if _, err := m.Header.Date(); err != nil {
			t.Fatalf("mail %d: %v", n, err)
		}
		if m.Header.Get("Message-ID") == "" || m.Header.Get("Received") == "" || m.Header.Get("Delivered-To") == "" {
			t.Fatalf("mail %d lacks a header it should have: %v", n, m.Header)
		}
		if err := readPart(m.Header.Get, m.Body); err != nil {
			t.Fatalf("mail %d: %v", n, err)
		}
		if strings.HasPrefix(m.Header.Get("Content-Type"), "multipart/mixed") {
			attached++
		}
	}
	if n != count {
		t.Fatalf("Mails gave %d mails, not %d", n, count)
	}
	if attached < count/10 || attached > count/5 {
		t.Errorf("%d of %d mails have attachments, 15 %% should", attached, count)
	}
}

// readPart reads a MIME entity to its end, and all the parts in it.
func readPart(header func(string) string, body io.Reader) error {
	kind, parameters, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		return err
	}
	if strings.HasPrefix(kind, "multipart/") {
		r := multipart.NewReader(body, parameters["boundary"])
		for parts := 0; ; parts++ {
			p, err := r.NextRawPart()
			if errors.Is(err, io.EOF) && parts > 0 {
				return nil
			}
			if err != nil {
				return err
			}
			if err := readPart(p.Header.Get, p); err != nil {
				return err
			}
		}
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	switch header("Content-Transfer-Encoding") {
	case "base64":
		width := bytes.IndexByte(raw, '\n')
		for line := range bytes.Lines(raw) {
			if n := len(bytes.TrimRight(line, "\n")); n > 76 || len(raw) > 200 && width%4 != 0 {
				return fmt.Errorf("a base64 line of %d characters", n)
			}
		}
		_, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(string(raw), "\n", ""))
	case "quoted-printable":
		_, err = io.Copy(io.Discard, quotedprintable.NewReader(bytes.NewReader(raw)))
	case "7bit":
		for _, c := range raw {
			if c >= 0x80 {
				return fmt.Errorf("byte %#x in a 7bit part", c)
			}
		}
	}
	return err
}

// A mail without attachments compresses by itself about as far as real list mail does: to half.
func TestTextCompressesLikeMail(t *testing.T) {
	raw, packed := 0, 0
	for data := range mailgen.Mails(5, 300) {
		if bytes.Contains(data, []byte("\nContent-Disposition: attachment")) {
			continue
		}
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, 6)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		raw, packed = raw+len(data), packed+b.Len()
	}
	if ratio := float64(packed) / float64(raw); ratio < 0.40 || ratio > 0.58 {
		t.Errorf("text mails compress to %.2f of their size", ratio)
	}
}

func TestRefusedOptions(t *testing.T) {
	for _, o := range []mailgen.Options{
		{Layout: mailgen.Maildir, Messages: -1, Mailboxes: 1},
		{Layout: mailgen.Maildir, Messages: 1},
		{Layout: "dbox", Messages: 1, Mailboxes: 1},
	} {
		if _, err := mailgen.Generate(t.TempDir(), o); err == nil {
			t.Errorf("Generate accepted %+v", o)
		}
	}
	for _, o := range []mailgen.NightOptions{
		{Layout: mailgen.Maildir, Number: 0, Percent: 1},
		{Layout: mailgen.Maildir, Number: 1},
		{Layout: "dbox", Number: 1, Percent: 1},
		{Layout: mailgen.Maildir, Number: 1, Percent: 1},
	} {
		if _, err := mailgen.Night(t.TempDir(), o); err == nil {
			t.Errorf("Night accepted %+v on an empty folder", o)
		}
	}
}

// A store of small messages has short texts only, after a night too.
func TestSmallMessages(t *testing.T) {
	o := mailgen.Options{Layout: mailgen.Maildir, Messages: 300, Mailboxes: 5, Seed: 7, Small: true}
	dir := generate(t, o)
	night, err := mailgen.Night(dir, mailgen.NightOptions{Layout: o.Layout, Number: 1, Percent: 3, Seed: o.Seed, Small: true})
	if err != nil || night.Messages != 9 {
		t.Fatalf("%+v, %v", night, err)
	}
	messages := 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if parent := filepath.Base(filepath.Dir(path)); err != nil || !e.Type().IsRegular() || parent != "cur" && parent != "new" {
			return err
		}
		messages++
		data, err := os.ReadFile(path)
		if len(data) > 6<<10 || bytes.Contains(data, []byte("multipart")) {
			t.Errorf("%q has %d bytes", path, len(data))
		}
		return err
	})
	if err != nil || messages != o.Messages+night.Messages-night.Deleted {
		t.Errorf("%d messages, %v", messages, err)
	}
}
