package seal_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"filippo.io/age"

	"restante/internal/cbor"
	"restante/seal"
)

const passphrase = "pass phrase"

func lockPassphrase(t *testing.T, k *seal.Keys) []byte {
	t.Helper()
	file, err := seal.LockPassphrase(k, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func identity(t *testing.T) (u seal.Unlocker, recipient string) {
	t.Helper()
	file, recipient, err := seal.NewIdentity("")
	if err != nil {
		t.Fatal(err)
	}
	if u, err = seal.Identities(file); err != nil {
		t.Fatal(err)
	}
	return u, recipient
}

// ageDecrypt opens a file with the age library alone.
func ageDecrypt(t *testing.T, file []byte, with ...age.Identity) []byte {
	t.Helper()
	r, err := age.Decrypt(bytes.NewReader(file), with...)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func TestPassphraseFile(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	k := newOwner(t)
	file := lockPassphrase(t, k)
	got, err := seal.Passphrase(passphrase).Unlock(file)
	if err != nil || !sameKeys(got, k) {
		t.Fatalf("unlocking: %v", err)
	}

	// The second line of an age file locked with a passphrase: -> scrypt SALT WORKFACTOR
	stanza := strings.Fields(strings.Split(string(file), "\n")[1])
	if len(stanza) != 4 || stanza[1] != "scrypt" || stanza[3] != "16" {
		t.Errorf("the file asks for other work than scrypt's 16: %q", stanza)
	}

	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := seal.EncodeKeys(k)
	if err != nil || !bytes.Equal(ageDecrypt(t, file, id), payload) {
		t.Errorf("age finds another payload in the file (%v)", err)
	}
}

func TestWrongPassphrase(t *testing.T) {
	if testing.Short() {
		t.Skip("it is long, and little in it runs at the same time")
	}
	file := lockPassphrase(t, newOwner(t))
	for _, wrong := range []string{"", "Pass phrase", passphrase + "\n"} {
		if _, err := seal.Passphrase(wrong).Unlock(file); !errors.Is(err, seal.ErrWrongKey) {
			t.Errorf("passphrase %q: %v", wrong, err)
		}
	}
	if _, err := (seal.Unlocker{}).Unlock(file); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("no key at all: %v", err)
	}
	if _, err := seal.LockPassphrase(newOwner(t), ""); err == nil {
		t.Error("a key file was locked with no passphrase")
	}
}

func TestIdentityFile(t *testing.T) {
	k := sibling(t, newOwner(t), seal.Writer)
	comment := "made by restante\nfor the nightly job"
	idFile, recipient, err := seal.NewIdentity(comment)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(idFile), "# made by restante\n# for the nightly job\n# public key: "+recipient+"\nAGE-SECRET-KEY-") {
		t.Errorf("identity file:\n%s", idFile)
	}
	file, err := seal.LockRecipient(k, recipient)
	if err != nil {
		t.Fatal(err)
	}
	u, err := seal.Identities(idFile)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := u.Unlock(file); err != nil || !sameKeys(got, k) {
		t.Errorf("unlocking: %v", err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(idFile))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := seal.EncodeKeys(k)
	if err != nil || !bytes.Equal(ageDecrypt(t, file, ids...), payload) {
		t.Errorf("age finds another payload in the file (%v)", err)
	}

	stranger, _ := identity(t)
	if _, err := stranger.Unlock(file); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("another identity: %v", err)
	}
}

func TestX25519Recipient(t *testing.T) {
	k := newOwner(t)
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file, err := seal.LockRecipient(k, id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	u, err := seal.Identities([]byte(id.String() + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := u.Unlock(file); err != nil || !sameKeys(got, k) {
		t.Errorf("unlocking: %v", err)
	}
}

// A file locked in one way does not fit the other way's key, and costs no scrypt.
func TestOtherStanza(t *testing.T) {
	k := newOwner(t)
	u, recipient := identity(t)
	byIdentity, err := seal.LockRecipient(k, recipient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Passphrase(passphrase).Unlock(byIdentity); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("passphrase on a file locked to a recipient: %v", err)
	}
	if _, err := u.Unlock(lockPassphrase(t, k)); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("identity on a file locked with a passphrase: %v", err)
	}
}

func TestRefusedRecipients(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	good := id.Recipient().String()
	for _, bad := range []string{"", "age1", "age1pq1", good[:len(good)-1], good + "\n" + good, "# " + good, id.String()} {
		_, err := seal.LockRecipient(newOwner(t), bad)
		if err == nil {
			t.Errorf("recipient %q accepted", bad)
		} else if strings.Contains(err.Error(), "AGE-SECRET") {
			t.Errorf("the error prints an identity: %v", err)
		}
	}
	for _, bad := range []string{"a\x00b", "\x1b[2J", strings.Repeat("x", 5000)} {
		if _, _, err := seal.NewIdentity(bad); err == nil {
			t.Errorf("comment %.10q accepted", bad)
		}
	}
	for _, bad := range []string{"", "# nothing\n", "AGE-SECRET-KEY-1XYZ\n", strings.Repeat("#\n", 40_000), strings.Repeat(id.String()+"\n", 17)} {
		if _, err := seal.Identities([]byte(bad)); err == nil {
			t.Errorf("identity file %.20q of %d bytes accepted", bad, len(bad))
		}
	}
}

// Each of these would take minutes, or more memory than there is, if it were believed.
func TestHostileKeyFiles(t *testing.T) {
	file := lockPassphrase(t, newOwner(t))
	ids, recipient := identity(t)
	locked, err := seal.LockRecipient(newOwner(t), recipient)
	if err != nil {
		t.Fatal(err)
	}
	work := func(n string) []byte { return bytes.Replace(file, []byte(" 16\n"), []byte(" "+n+"\n"), 1) }
	header, _, _ := strings.Cut(string(file), "\n---")
	_, stanza, _ := strings.Cut(header, "\n")
	for name, hostile := range map[string][]byte{
		"work factor 19":                work("19"),
		"work factor 30":                work("30"),
		"work factor 63":                work("63"),
		"work factor 1000000000000":     work("1000000000000"),
		"work factor 0":                 work("0"),
		"work factor 016":               work("016"),
		"oversized":                     append(bytes.Clone(file), make([]byte, 16<<10)...),
		"two passphrases":               bytes.Replace(file, []byte("\n---"), []byte("\n"+stanza+"\n---"), 1),
		"trailing byte":                 append(bytes.Clone(locked), 0),
		"empty":                         {},
		"only the beginning":            []byte("age-encryption.org/v1\n"),
		"no stanza":                     []byte("age-encryption.org/v1\n--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
		"payload cut":                   locked[:len(locked)-1],
		"nothing but zeros":             make([]byte, 4000),
		"armored":                       []byte("-----BEGIN AGE ENCRYPTED FILE-----\n"),
		"a passphrase and a recipient":  bytes.Replace(locked, []byte("\n---"), []byte("\n"+stanza+"\n---"), 1),
		"payload that is not a key":     lockedText(t, recipient, []byte("hello")),
		"payload with nothing in it":    lockedText(t, recipient, nil),
		"payload of sixteen kilobytes":  lockedText(t, recipient, make([]byte, 16<<10)),
		"payload that claims much more": lockedText(t, recipient, []byte{0x82, 0x00, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
	} {
		if _, err := seal.Passphrase(passphrase).Unlock(hostile); err == nil {
			t.Errorf("%s: unlocked with the passphrase", name)
		} else if strings.HasPrefix(name, "work factor") && !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := ids.Unlock(hostile); err == nil {
			t.Errorf("%s: unlocked with the identity", name)
		}
	}
}

func lockedText(t *testing.T, recipient string, payload []byte) []byte {
	t.Helper()
	to, err := age.ParseHybridRecipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := age.Encrypt(&file, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(payload); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// Payloads that are well-formed but not what this program writes.
func TestRefusedPayloads(t *testing.T) {
	owner := newOwner(t)
	body := func(change func(k *seal.Keys)) []byte {
		k := *owner
		change(&k)
		b, err := cbor.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	payload := func(version byte, body []byte) []byte { return append([]byte{0x82, version}, body...) }
	if _, err := seal.DecodeKeys(payload(1, body(func(*seal.Keys) {}))); err != nil {
		t.Fatalf("the unchanged keys are refused: %v", err)
	}
	stranger := newOwner(t)
	for name, change := range map[string]func(k *seal.Keys){
		"no role":                    func(k *seal.Keys) { k.Role = 0 },
		"unknown role":               func(k *seal.Keys) { k.Role = 3 },
		"writer with owner's fields": func(k *seal.Keys) { k.Role = seal.Writer },
		"writer with a private key":  func(k *seal.Keys) { k.Role, k.OwnerSeed = seal.Writer, [32]byte{} },
		"writer with a seed":         func(k *seal.Keys) { k.Role, k.Private = seal.Writer, nil },
		"no public key":              func(k *seal.Keys) { k.Public = nil },
		"short public key":           func(k *seal.Keys) { k.Public = k.Public[1:] },
		"public key of another":      func(k *seal.Keys) { k.Public = stranger.Public },
		"no private key":             func(k *seal.Keys) { k.Private = nil },
		"long private key":           func(k *seal.Keys) { k.Private = append(bytes.Clone(k.Private), 0) },
		"pin of another":             func(k *seal.Keys) { k.OwnerPublic = stranger.OwnerPublic },
		"no seed":                    func(k *seal.Keys) { k.OwnerSeed = [32]byte{} },
	} {
		if _, err := seal.DecodeKeys(payload(1, body(change))); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		k := *owner
		change(&k)
		if _, err := seal.EncodeKeys(&k); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}

	var tooNew *seal.TooNewError
	if _, err := seal.DecodeKeys(payload(2, []byte{0xa0})); !errors.As(err, &tooNew) || tooNew.Found != 2 {
		t.Errorf("newer version: %v", err)
	}
	good := payload(1, body(func(*seal.Keys) {}))
	longVersion := append([]byte{0x82, 0x18, 0x01}, good[2:]...)
	shortID := bytes.Replace(good, append([]byte{0x02, 0x50}, repoID[:]...), append([]byte{0x02, 0x4f}, repoID[:15]...), 1)
	for name, bad := range map[string][]byte{"long form of a number": longVersion, "short ID": shortID, "trailing byte": append(bytes.Clone(good), 0), "empty": nil} {
		if _, err := seal.DecodeKeys(bad); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
