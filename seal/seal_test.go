package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"restante/seal"
)

var repoID = seal.RepoID{1, 2, 3}

func newOwner(t testing.TB) *seal.Keys {
	t.Helper()
	k, err := seal.NewOwner(repoID, 0x3DA3358B4DC173)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sibling(t testing.TB, k *seal.Keys, role seal.Role) *seal.Keys {
	t.Helper()
	s, err := k.Sibling(role)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newObject(t testing.TB, k *seal.Keys, kind seal.Kind, mode seal.Mode) *seal.Object {
	t.Helper()
	o, err := k.NewObject(seal.Header{Kind: kind, Mode: mode, Session: seal.Session{9}})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func openObject(t testing.TB, k *seal.Keys, prefix []byte) *seal.Object {
	t.Helper()
	o, err := k.OpenObject(prefix)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func sameKeys(a, b *seal.Keys) bool { return reflect.DeepEqual(a, b) }

func TestObjectRoundTrip(t *testing.T) {
	owner := newOwner(t)
	writer := sibling(t, owner, seal.Writer)
	for _, mode := range []seal.Mode{seal.ModePublic, seal.ModeIndex} {
		made := newObject(t, writer, seal.KindDataPack, mode)
		if len(made.Prefix) != seal.PrefixSize(mode) {
			t.Fatalf("mode %d: prefix of %d bytes", mode, len(made.Prefix))
		}
		h := made.Header
		if h.Repo != repoID || h.Signer != writer.Signer() || h.Epoch != 1 || h.Suite != 1 {
			t.Errorf("mode %d: header is not filled in: %+v", mode, h)
		}
		content := made.Content.Seal([]byte("before"), []byte("text"), 'c', 1<<40)
		directory := made.Directory.Seal(nil, nil, 'd', 0)
		if len(content) != len("before")+len("text")+seal.Overhead || len(directory) != seal.Overhead {
			t.Errorf("mode %d: sealed to %d and %d bytes", mode, len(content), len(directory))
		}

		read := openObject(t, sibling(t, owner, seal.Owner), append(made.Prefix, content...))
		if read.Header != h || !bytes.Equal(read.Prefix, made.Prefix) {
			t.Errorf("mode %d: opened with another header or prefix", mode)
		}
		got, err := read.Content.Open([]byte("after"), content[len("before"):], 'c', 1<<40)
		if err != nil || string(got) != "aftertext" {
			t.Errorf("mode %d: content = %q, %v", mode, got, err)
		}
		if got, err := read.Directory.Open(nil, directory, 'd', 0); err != nil || len(got) != 0 {
			t.Errorf("mode %d: directory = %q, %v", mode, got, err)
		}
	}
}

func TestWriterCannotRead(t *testing.T) {
	owner := newOwner(t)
	writer := sibling(t, owner, seal.Writer)
	made := newObject(t, writer, seal.KindSnapshot, seal.ModePublic)
	content, directory := made.Content.Seal(nil, []byte("secret"), 'r', 0), made.Directory.Seal(nil, []byte("list"), 'd', 0)

	read := openObject(t, writer, made.Prefix)
	if read.Content != nil {
		t.Error("a writer got the box of public content")
	}
	if got, err := read.Directory.Open(nil, directory, 'd', 0); err != nil || string(got) != "list" {
		t.Errorf("a writer cannot read a directory: %v", err)
	}
	if _, err := read.Directory.Open(nil, content, 'r', 0); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("the directory's key opened the content: %v", err)
	}

	index := newObject(t, owner, seal.KindIntent, seal.ModeIndex)
	content = index.Content.Seal(nil, []byte("intent"), 'r', 0)
	if got, err := openObject(t, writer, index.Prefix).Content.Open(nil, content, 'r', 0); err != nil || string(got) != "intent" {
		t.Errorf("a writer cannot read content of mode index: %v", err)
	}

	payload, err := seal.EncodeKeys(writer)
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{"private key": owner.Private, "owner's seed": owner.OwnerSeed[:], "owner's own seed": owner.Signing[:]} {
		if bytes.Contains(payload, secret) {
			t.Errorf("a writer's key file holds the %s", name)
		}
	}
}

func TestSiblings(t *testing.T) {
	owner := newOwner(t)
	writer := sibling(t, owner, seal.Writer)
	if _, err := writer.Sibling(seal.Owner); !errors.Is(err, seal.ErrNotOwner) {
		t.Errorf("a writer made an owner: %v", err)
	}
	if _, err := owner.Sibling(seal.Role(3)); err == nil {
		t.Error("a key of a role that does not exist was made")
	}
	if _, err := writer.SignAsOwner([32]byte{}); !errors.Is(err, seal.ErrNotOwner) {
		t.Errorf("a writer signed as the owner: %v", err)
	}
	second := sibling(t, owner, seal.Owner)
	third := sibling(t, writer, seal.Writer)
	signers := map[seal.SignerID]bool{owner.Signer(): true, writer.Signer(): true, second.Signer(): true, third.Signer(): true}
	if len(signers) != 4 {
		t.Error("siblings share a signing key")
	}
	second.Signing, second.Role = owner.Signing, owner.Role
	if !sameKeys(second, owner) {
		t.Error("an owner's sibling differs in more than the signing key")
	}
	third.Signing = writer.Signing
	if !sameKeys(third, writer) {
		t.Error("a writer's sibling differs in more than the signing key")
	}
}

func TestSignatures(t *testing.T) {
	owner := newOwner(t)
	digest := [32]byte{1}
	own := owner.Sign(digest)
	asOwner, err := owner.SignAsOwner(digest)
	if err != nil {
		t.Fatal(err)
	}
	if !seal.Verify(owner.SigningPublic(), digest, own[:]) || !seal.Verify(owner.OwnerPublic, digest, asOwner[:]) {
		t.Error("a good signature is refused")
	}
	if seal.SignerOf(owner.SigningPublic()) != owner.Signer() {
		t.Error("SignerOf and Signer disagree")
	}
	if seal.Verify(owner.OwnerPublic, digest, own[:]) || seal.Verify(owner.SigningPublic(), [32]byte{2}, own[:]) ||
		seal.Verify(owner.SigningPublic(), digest, own[:63]) || seal.Verify(owner.SigningPublic(), digest, nil) {
		t.Error("a bad signature is accepted")
	}
}

// Whatever byte of a prefix is changed, nothing opens any more.
func TestTamperedPrefix(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	owner := newOwner(t)
	for _, mode := range []seal.Mode{seal.ModePublic, seal.ModeIndex} {
		made := newObject(t, owner, seal.KindDataPack, mode)
		content, directory := made.Content.Seal(nil, []byte("text"), 'c', 0), made.Directory.Seal(nil, []byte("list"), 'd', 0)
		for i := range made.Prefix {
			flips := []byte{1, 0x80, 3, 0x19} // 3 turns one mode into the other, 0x19 'p' into 'i'
			if i >= seal.HeaderSize {
				flips = flips[i%2:][:1]
			}
			for _, flip := range flips {
				prefix := bytes.Clone(made.Prefix)
				prefix[i] ^= flip
				if mode == seal.ModeIndex && i == 9 {
					prefix = append(prefix, make([]byte, 2000)...)
				}
				o, err := owner.OpenObject(prefix)
				if err != nil {
					continue
				}
				if _, err := o.Content.Open(nil, content, 'c', 0); !errors.Is(err, seal.ErrDamaged) {
					t.Errorf("mode %d: content opens with byte %d changed: %v", mode, i, err)
				}
				if _, err := o.Directory.Open(nil, directory, 'd', 0); !errors.Is(err, seal.ErrDamaged) {
					t.Errorf("mode %d: directory opens with byte %d changed: %v", mode, i, err)
				}
			}
		}
	}
}

// An object is opened whose header is damaged when the right one is among those tried.
func TestMend(t *testing.T) {
	k := newOwner(t)
	made := newObject(t, k, seal.KindTreePack, seal.ModePublic)
	content, directory := made.Content.Seal(nil, []byte("content"), 'c', 5), made.Directory.Seal(nil, []byte("length"), 'l', 0)
	proves := func(o *seal.Object) bool {
		_, err := o.Directory.Open(nil, directory, 'l', 0)
		return err == nil
	}
	damaged := bytes.Clone(made.Prefix)
	clear(damaged[:seal.HeaderSize])
	right := seal.Header{Kind: seal.KindTreePack, Mode: seal.ModePublic, Session: made.Header.Session, Signer: made.Header.Signer}
	wrong := []seal.Header{{}, right, right}
	wrong[1].Kind, wrong[2].Session = seal.KindDataPack, seal.Session{8}
	if o, err := k.Mend(damaged, slices.Values(wrong), proves); o != nil || err != nil {
		t.Errorf("with wrong headers: %v, %v", o, err)
	}
	o, err := k.Mend(damaged, slices.Values(append(wrong, right)), proves)
	if err != nil || o == nil || !bytes.Equal(o.Prefix, made.Prefix) {
		t.Fatalf("with the right one: %v, %v", o, err)
	}
	if got, err := o.Content.Open(nil, content, 'c', 5); string(got) != "content" || err != nil {
		t.Errorf("the content is %q, %v", got, err)
	}
	if o, err := k.Mend(damaged[:70], slices.Values([]seal.Header{right}), proves); o != nil || err != nil {
		t.Errorf("cut off: %v, %v", o, err)
	}
	damaged[500] ^= 1
	if o, err := k.Mend(damaged, slices.Values([]seal.Header{right}), proves); o != nil || err != nil {
		t.Errorf("with a damaged encapsulation: %v, %v", o, err)
	}
}

func TestBoxOpensOnlyItsPlace(t *testing.T) {
	owner := newOwner(t)
	for _, mode := range []seal.Mode{seal.ModePublic, seal.ModeIndex} {
		o, other := newObject(t, owner, seal.KindDataPack, mode), newObject(t, owner, seal.KindDataPack, mode)
		text := []byte("text")
		sealed := o.Content.Seal(nil, text, 'c', 7)
		for name, open := range map[string]func() ([]byte, error){
			"another part":     func() ([]byte, error) { return o.Content.Open(nil, sealed, 'd', 7) },
			"another position": func() ([]byte, error) { return o.Content.Open(nil, sealed, 'c', 8) },
			"a far position":   func() ([]byte, error) { return o.Content.Open(nil, sealed, 'c', 7|1<<63) },
			"the other box":    func() ([]byte, error) { return o.Directory.Open(nil, sealed, 'c', 7) },
			"another object":   func() ([]byte, error) { return other.Content.Open(nil, sealed, 'c', 7) },
			"cut bytes":        func() ([]byte, error) { return o.Content.Open(nil, sealed[:len(sealed)-1], 'c', 7) },
			"added bytes":      func() ([]byte, error) { return o.Content.Open(nil, append(bytes.Clone(sealed), 0), 'c', 7) },
			"hardly any bytes": func() ([]byte, error) { return o.Content.Open(nil, sealed[:3], 'c', 7) },
			"no bytes":         func() ([]byte, error) { return o.Content.Open(nil, nil, 'c', 7) },
		} {
			if got, err := open(); !errors.Is(err, seal.ErrDamaged) || got != nil {
				t.Errorf("mode %d, %s: %q, %v", mode, name, got, err)
			}
		}
		for i := range sealed {
			bad := bytes.Clone(sealed)
			bad[i] ^= 0x10
			if _, err := o.Content.Open(nil, bad, 'c', 7); !errors.Is(err, seal.ErrDamaged) {
				t.Errorf("mode %d: opens with byte %d changed", mode, i)
			}
		}
	}
}

func TestBoxInPlace(t *testing.T) {
	o := newObject(t, newOwner(t), seal.KindDataPack, seal.ModePublic)
	buf := append(make([]byte, 0, 100), "text"...)
	buf = o.Content.Seal(buf[:0], buf, 'c', 0)
	if got, err := o.Content.Open(buf[:0], buf, 'c', 0); err != nil || string(got) != "text" {
		t.Errorf("sealed and opened in place: %q, %v", got, err)
	}
}

func TestBoxIsConcurrent(t *testing.T) {
	o := newObject(t, newOwner(t), seal.KindDataPack, seal.ModePublic)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				position := uint64(g)<<32 | uint64(i)
				text := fmt.Appendf(nil, "text %d", position)
				got, err := o.Content.Open(nil, o.Content.Seal(nil, text, 'c', position), 'c', position)
				if err != nil || !bytes.Equal(got, text) {
					t.Errorf("position %d: %q, %v", position, got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestRefusedHeaders(t *testing.T) {
	owner := newOwner(t)
	good := newObject(t, owner, seal.KindConfig, seal.ModeIndex).Prefix
	for _, tc := range []struct {
		name         string
		offset       int
		value        byte
		found, known uint16 // of the TooNewError wanted; damage when both are 0
	}{
		{"magic", 0, 'R', 0, 0},
		{"kind", 8, 'z', 0, 0},
		{"no kind", 8, 0, 0, 0},
		{"mode", 9, 3, 0, 0},
		{"no mode", 9, 0, 0, 0},
		{"version", 10, 2, 2, 1},
		{"high version", 11, 2, 513, 1},
		{"no version", 10, 0, 0, 0},
		{"suite", 12, 2, 2, 1},
		{"no suite", 12, 0, 0, 0},
		{"epoch", 14, 9, 9, 1},
		{"no epoch", 14, 0, 0, 0},
	} {
		prefix := bytes.Clone(good)
		prefix[tc.offset] = tc.value
		_, err := owner.OpenObject(prefix)
		var tooNew *seal.TooNewError
		if tc.found == 0 && !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if tc.found != 0 && (!errors.As(err, &tooNew) || !errors.Is(err, seal.ErrTooNew) || tooNew.Found != tc.found || tooNew.Known != tc.known) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}

	draft := bytes.Clone(good)
	draft[10] = 0
	if _, err := seal.ParseHeader(draft); !errors.Is(err, seal.ErrDraft) || !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("a draft: %v", err)
	}
	newer := bytes.Clone(good) // a newer version may have kinds and modes that are not known here
	newer[8], newer[9], newer[10] = 'z', 9, 2
	if _, err := seal.ParseHeader(newer); !errors.Is(err, seal.ErrTooNew) {
		t.Errorf("newer version with a kind of its own: %v", err)
	}
	for _, size := range []int{0, 7, seal.HeaderSize - 1, seal.HeaderSize, len(good) - 1} {
		if _, err := owner.OpenObject(good[:size]); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("prefix cut to %d bytes: %v", size, err)
		}
	}
}

func TestOtherRepository(t *testing.T) {
	k, err := seal.NewOwner(seal.RepoID{7}, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = newOwner(t).OpenObject(newObject(t, k, seal.KindConfig, seal.ModeIndex).Prefix)
	var other *seal.RepositoryError
	if !errors.As(err, &other) || other.Found != k.Repo || other.Want != repoID {
		t.Fatalf("object of another repository: %v", err)
	}
	if !strings.Contains(err.Error(), k.Repo.String()) {
		t.Errorf("the error does not name the repository: %v", err)
	}
}

func TestNewObjectRefuses(t *testing.T) {
	owner := newOwner(t)
	for _, h := range []seal.Header{{}, {Kind: seal.KindMark}, {Mode: seal.ModeIndex}, {Kind: 'z', Mode: seal.ModeIndex}, {Kind: seal.KindMark, Mode: 3}} {
		if _, err := owner.NewObject(h); err == nil {
			t.Errorf("object with header %+v was begun", h)
		}
	}
	owner.Public = owner.Public[1:]
	if _, err := owner.NewObject(seal.Header{Kind: seal.KindDataPack, Mode: seal.ModePublic}); err == nil {
		t.Error("content was sealed to a public key that is none")
	}
	if seal.PrefixSize(3) != 0 {
		t.Error("a mode that does not exist has a prefix")
	}
}

func TestKinds(t *testing.T) {
	owner, names := newOwner(t), map[string]bool{}
	kinds := []seal.Kind{seal.KindConfig, seal.KindDataPack, seal.KindTreePack, seal.KindDataIndex, seal.KindTreeIndex,
		seal.KindSnapshot, seal.KindIntent, seal.KindMark, seal.KindTombstone, seal.KindForgotten, seal.KindHold, seal.KindDamage}
	for _, kind := range kinds {
		if h := newObject(t, owner, kind, seal.ModeIndex).Header; h.Kind != kind {
			t.Errorf("kind %v became %v", kind, h.Kind)
		}
		names[kind.String()] = true
	}
	if len(names) != len(kinds) || !strings.Contains(seal.Kind('z').String(), "7a") {
		t.Errorf("names of kinds: %v, %v", names, seal.Kind('z'))
	}
}

func TestParseSession(t *testing.T) {
	s := seal.Session{0xab, 15: 1}
	if got, err := seal.ParseSession(s.String()); err != nil || got != s {
		t.Errorf("ParseSession(%q) = %v, %v", s.String(), got, err)
	}
	for _, bad := range []string{"", "ab", strings.ToUpper(s.String()), s.String() + "0", strings.Repeat("x", 32)} {
		if _, err := seal.ParseSession(bad); err == nil {
			t.Errorf("ParseSession(%q) accepted", bad)
		}
	}
}

// Keys that end in a log must not be there for all to read.
func TestKeysPrintNoSecrets(t *testing.T) {
	k := newOwner(t)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		want := fmt.Sprintf("owner key %v of repository %v", k.Signer(), k.Repo)
		if got := fmt.Sprintf(format, k); got != want {
			t.Errorf("%s of a pointer: %s", format, got)
		}
		if got := fmt.Sprintf(format, *k); got != want {
			t.Errorf("%s of a value: %s", format, got)
		}
	}
}
