package message_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"

	"restante/message"
)

func FuzzJoin(f *testing.F) {
	for _, data := range seeds(f) {
		for _, kind := range kinds {
			f.Add(data, uint8(kind))
		}
	}
	for _, tc := range mboxCases {
		f.Add([]byte(tc.text), uint8(message.Mbox))
	}
	f.Add([]byte(mail(lines(noise(60_000), 0, "\n"), "\n")), uint8(message.Mail))
	for _, data := range torture(f) {
		if len(data) > maxSeed {
			continue
		}
		for _, kind := range kinds {
			f.Add(data, uint8(kind))
		}
	}
	var c message.Cutter // its buffers take longer to make than most inputs to cut
	f.Fuzz(func(t *testing.T, data []byte, kind uint8) {
		k := message.Kind(kind % uint8(len(kinds)))
		c.Reset(bytes.NewReader(data), k)
		all := spans(t, &c)
		if join(all) != string(data) {
			t.Fatal("the spans do not join")
		}
		c.Reset(iotest.HalfReader(bytes.NewReader(data)), k)
		if half := spans(t, &c); !reflect.DeepEqual(half, all) {
			t.Fatalf("%s read whole, %s in parts", describe(all), describe(half))
		}
		beginAnywhere(t, string(data), k, all)
	})
}

func FuzzEnvelope(f *testing.F) {
	for _, data := range seeds(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		e := message.EnvelopeOf(head)
		for _, s := range []string{e.MessageID, e.From, e.To, e.Subject} {
			if len(s) > 4<<10 || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("not fit to be shown: %q", s)
			}
		}
	})
}

// maxSeed keeps larger files from the fuzzer, which changes little of them at a
// time; TestCorpora cuts them.
const maxSeed = 256 << 10

// TestCorpora cuts every file of the corpus of broken mail.
func TestCorpora(t *testing.T) {
	if testing.Short() {
		t.Skip("reads tens of megabytes")
	}
	files := torture(t)
	if len(files) == 0 {
		t.Skip("the corpora are not here (RESTANTE_CORPORA names their folder), or zstd is not installed, which unpacks them")
	}
	var c message.Cutter
	for path, data := range files {
		for _, kind := range kinds {
			c.Reset(bytes.NewReader(data), kind)
			if join(spans(t, &c)) != string(data) {
				t.Errorf("%q: the spans do not join", path)
			}
		}
		c.Reset(bytes.NewReader(data), message.Mail)
		if b, err := c.Next(); err == nil {
			message.EnvelopeOf(b.Raw)
		}
	}
}

// torture returns the files of the corpus of broken mail by their names; none
// if it is not here.
func torture(t testing.TB) map[string][]byte {
	t.Helper()
	from := os.Getenv("RESTANTE_CORPORA")
	if from == "" {
		from = "../../shared/corpora"
	}
	unpack, err := filepath.Abs(filepath.Join(from, "unpack"))
	if err == nil {
		_, err = os.Stat(unpack)
	}
	if err == nil {
		_, err = exec.LookPath("zstd")
	}
	if err != nil {
		return nil
	}
	dir := t.TempDir()
	if out, err := exec.Command(unpack, dir, "torture").CombinedOutput(); err != nil {
		t.Fatalf("unpacking the corpus: %v: %s", err, out)
	}
	files := map[string][]byte{}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
