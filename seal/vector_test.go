package seal_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"

	"restante/seal"
)

// A vector is testdata/vector.txt: name to value, hexadecimal or text.
type vector map[string]string

func readVector(t testing.TB) vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vector.txt")
	if err != nil {
		t.Fatal(err)
	}
	v := make(vector)
	var name string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "  "):
			v[name] += strings.TrimSpace(line)
		default:
			var value string
			name, value, _ = strings.Cut(line, ":")
			v[name] = strings.TrimSpace(value)
		}
	}
	return v
}

func (v vector) text(t testing.TB, name string) string {
	t.Helper()
	if v[name] == "" {
		t.Fatalf("the vector has no %q", name)
	}
	return v[name]
}

func (v vector) bytes(t testing.TB, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.text(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

func (v vector) bytes32(t testing.TB, name string) [32]byte { return [32]byte(v.bytes(t, name)) }

// owner returns the vector's owner keys, put together from their single values.
func (v vector) owner(t testing.TB) *seal.Keys {
	t.Helper()
	chunker, err := strconv.ParseUint(v.text(t, "chunker"), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return &seal.Keys{
		Role: seal.Owner, Repo: seal.RepoID(v.bytes(t, "repository")), Chunker: chunker,
		ID: v.bytes32(t, "id-key"), Index: v.bytes32(t, "index-key"),
		Public: v.bytes(t, "public"), Private: v.bytes(t, "private"),
		Signing: v.bytes32(t, "signing-seed"), OwnerPublic: v.bytes32(t, "owner-public"), OwnerSeed: v.bytes32(t, "owner-seed"),
	}
}

func (v vector) writer(t testing.TB) *seal.Keys {
	k := v.owner(t)
	k.Role, k.Private, k.OwnerSeed = seal.Writer, nil, [32]byte{}
	return k
}

func TestVectorKeyPayloads(t *testing.T) {
	v := readVector(t)
	for name, k := range map[string]*seal.Keys{"owner-payload": v.owner(t), "writer-payload": v.writer(t)} {
		payload, err := seal.EncodeKeys(k)
		if err != nil || !bytes.Equal(payload, v.bytes(t, name)) {
			t.Errorf("%s: encoded differently: %x, %v", name, payload, err)
		}
		got, err := seal.DecodeKeys(v.bytes(t, name))
		if err != nil || !sameKeys(got, k) {
			t.Errorf("%s: decoded differently: %v", name, err)
		}
	}
}

func TestVectorKeyFiles(t *testing.T) {
	v := readVector(t)
	k, err := seal.Passphrase(v.text(t, "passphrase")).Unlock(v.bytes(t, "passphrase-file"))
	if err != nil || !sameKeys(k, v.writer(t)) {
		t.Errorf("file with a passphrase: %v", err)
	}
	u, err := seal.Identities([]byte(v.text(t, "identity")))
	if err != nil {
		t.Fatal(err)
	}
	if k, err = u.Unlock(v.bytes(t, "identity-file")); err != nil || !sameKeys(k, v.owner(t)) {
		t.Errorf("file with an identity: %v", err)
	}
}

// TestVectorObjects computes everything a second time, from the words of the
// package comment and not with the package.
func TestVectorObjects(t *testing.T) {
	v := readVector(t)
	for _, mode := range []string{"index", "public"} {
		prefix := v.bytes(t, mode+"-prefix")
		transcript := sha256.Sum256(prefix)
		if transcript != v.bytes32(t, mode+"-transcript") {
			t.Errorf("%s: transcript %x", mode, transcript)
		}
		content := derived(t, v.bytes(t, "index-key"), transcript, "restante content v1")
		if mode == "public" {
			content = exported(t, v.bytes(t, "private"), prefix)
		}
		directory := derived(t, v.bytes(t, "index-key"), transcript, "restante directory v1")
		if !bytes.Equal(content, v.bytes(t, mode+"-content-key")) || !bytes.Equal(directory, v.bytes(t, mode+"-directory-key")) {
			t.Errorf("%s: keys %x and %x", mode, content, directory)
		}
		if got := sealed(t, content, transcript, 'r', 258); !bytes.Equal(got, v.bytes(t, mode+"-content")) {
			t.Errorf("%s: content seals to %x", mode, got)
		}
		if got := sealed(t, directory, transcript, 'd', 0); !bytes.Equal(got, v.bytes(t, mode+"-directory")) {
			t.Errorf("%s: directory seals to %x", mode, got)
		}

		o, err := v.owner(t).OpenObject(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := o.Content.Open(nil, v.bytes(t, mode+"-content"), 'r', 258); err != nil || string(plain) != "poste restante" {
			t.Errorf("%s: content opens to %q, %v", mode, plain, err)
		}
		if plain, err := o.Directory.Open(nil, v.bytes(t, mode+"-directory"), 'd', 0); err != nil || string(plain) != "poste restante" {
			t.Errorf("%s: directory opens to %q, %v", mode, plain, err)
		}
	}
}

func derived(t *testing.T, secret []byte, transcript [32]byte, info string) []byte {
	t.Helper()
	key, err := hkdf.Key(sha256.New, secret, transcript[:], info, 32)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func exported(t *testing.T, private, prefix []byte) []byte {
	t.Helper()
	k, err := hpke.MLKEM768X25519().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	info := append([]byte("restante object v1"), prefix[:64]...)
	r, err := hpke.NewRecipient(prefix[64:], k, hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil {
		t.Fatal(err)
	}
	key, err := r.Export("content", 32)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sealed(t *testing.T, key []byte, transcript [32]byte, part byte, position uint64) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := binary.LittleEndian.AppendUint64([]byte{part, 0, 0, 0}, position)
	aad := binary.LittleEndian.AppendUint64(append(transcript[:], part), position)
	return gcm.Seal(nil, nonce, []byte("poste restante"), aad)
}

func TestVectorSignatures(t *testing.T) {
	v := readVector(t)
	k, digest := v.owner(t), v.bytes32(t, "digest")
	if k.SigningPublic() != v.bytes32(t, "signing-public") || k.Signer() != seal.SignerID(v.bytes(t, "signer")) {
		t.Error("public half or ID of the signing key differ")
	}
	if sig := k.Sign(digest); !bytes.Equal(sig[:], v.bytes(t, "signature")) {
		t.Errorf("signature %x", sig)
	}
	if sig, err := k.SignAsOwner(digest); err != nil || !bytes.Equal(sig[:], v.bytes(t, "owner-signature")) {
		t.Errorf("the owner's signature %x, %v", sig, err)
	}
	message := append([]byte("restante signature v1\x00"), digest[:]...)
	if !ed25519.Verify(v.bytes(t, "owner-public"), message, v.bytes(t, "owner-signature")) {
		t.Error("the owner's signature is not Ed25519 over context and digest")
	}
}

// TestExampleIsTheVector keeps the package comment true.
func TestExampleIsTheVector(t *testing.T) {
	v := readVector(t)
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(doc), "# Example")
	if !ok {
		t.Fatal("the package comment has no example")
	}
	var digits strings.Builder // those of indented lines, groups of four before any explanation
	for line := range strings.Lines(example) {
		groups, _, _ := strings.Cut(strings.TrimPrefix(line, "//\t"), "  ")
		if strings.HasPrefix(line, "//\t") {
			digits.WriteString(strings.Join(strings.Fields(groups), ""))
		}
	}
	var want string
	for _, name := range []string{"index-prefix", "index-transcript", "index-content-key", "index-content"} {
		want += v.text(t, name)
	}
	if digits.String() != want {
		t.Errorf("the example has %s\nthe vector %s", digits.String(), want)
	}
}
