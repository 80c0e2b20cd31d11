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

// TestCorpora cuts every file of the corpora of real and broken mail.
func TestCorpora(t *testing.T) {
	if testing.Short() {
		t.Skip("reads tens of megabytes")
	}
	dir := corpora(t, "torture")
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, kind := range kinds {
			if join(split(t, bytes.NewReader(data), kind)) != string(data) {
				t.Errorf("%q: the spans do not join", path)
			}
		}
		for _, s := range split(t, bytes.NewReader(data), message.Mail)[:min(1, len(data))] {
			message.EnvelopeOf([]byte(s.Raw))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Errorf("no files in %q", dir)
	}
}

// corpora unpacks a corpus into a folder, which it returns.
func corpora(t testing.TB, name string) string {
	t.Helper()
	from := os.Getenv("RESTANTE_CORPORA")
	if from == "" {
		from = "../../shared/corpora"
	}
	unpack, err := filepath.Abs(filepath.Join(from, "unpack"))
	if err == nil {
		_, err = os.Stat(unpack)
	}
	if err != nil {
		t.Skipf("the corpora are not here (RESTANTE_CORPORA names their folder): %v", err)
	}
	dir := t.TempDir()
	if out, err := exec.Command(unpack, dir, name).CombinedOutput(); err != nil {
		t.Skipf("the corpora cannot be unpacked: %v: %s", err, out)
	}
	return filepath.Join(dir, name)
}
