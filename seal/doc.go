// Package seal protects what a repository stores: it makes keys and key files,
// seals the parts of objects, and signs. It knows no storage, no packs and no
// mail. This comment is the format, version 1; numbers are little endian.
//
// # Objects
//
// Every object begins with a plaintext prefix: a header of 64 bytes and then,
// after its mode, an encapsulation or a salt.
//
//	offset  size
//	     0     8  "restante"
//	     8     1  kind: 'c' config, 'p' data pack, 't' tree pack, 'i' index of
//	              data packs, 'j' index of tree packs, 's' snapshot,
//	              'n' intent, 'm' mark, 'x' tombstone,
//	              'f' forgotten record, 'h' hold, 'd' record of damage,
//	              'v' marks that were seen
//	     9     1  mode: 1 public, 2 index
//	    10     2  format version: 0
//	    12     2  algorithm suite: 1
//	    14     2  key epoch: 1
//	    16    16  repository ID
//	    32    16  session
//	    48    16  signer: first 16 bytes of the SHA-256 of an Ed25519 public key
//	    64  1120  mode 1: HPKE encapsulation
//	          32  mode 2: salt, random
//
// A reader refuses a version, suite or epoch above the one it knows, before it
// looks at anything else, and every other value that the table does not have.
// What a suite above 1 or an epoch above 1 means, a later version says.
//
// Suite 1 is: HPKE (RFC 9180) in base mode with the KEM MLKEM768-X25519
// (X-Wing, 0x647a, draft-ietf-hpke-pq), the KDF HKDF-SHA256 and the AEAD
// "export only"; AES-256-GCM; HKDF-SHA256 (RFC 5869); Ed25519 (RFC 8032); and
// SHA-256.
//
// After the prefix come sealed parts, where the package that owns the kind of
// object says.
//
// # Boxes
//
// Sealed parts are AES-256-GCM: the ciphertext, as long as the plaintext, and
// a tag of 16 bytes. A part is named by a byte and a position; the package
// that owns the kind of object chooses them. No two parts sealed under one key
// have the same name.
//
//	nonce (12 bytes)            part, 00 00 00, position (8 bytes)
//	additional data (41 bytes)  SHA-256(prefix), part, position (8 bytes)
//
// Two keys of 32 bytes belong to an object:
//
//	content, mode 1  the HPKE export "content", 32 bytes, of the encapsulation
//	                 to the repository's public key, with the info
//	                 "restante object v1" followed by the header
//	content, mode 2  HKDF-SHA256(secret = index key, salt = SHA-256(prefix),
//	                 info = "restante content v1")
//	directory        HKDF-SHA256(secret = index key, salt = SHA-256(prefix),
//	                 info = "restante directory v1")
//
// The encapsulation or salt is fresh for each object, so no key is used for
// two objects and a position may serve as the nonce. All of the prefix is bound
// into each key: a changed header opens nothing.
//
// # Signatures
//
// A signature is Ed25519, 64 bytes, over "restante signature v1", a zero byte,
// and a digest of 32 bytes that the package that owns the object defines. Each
// key file has a signing key of its own; the owner's signing key, which signs
// configs, is shared by all owner key files, and every key file pins its
// public half.
//
// # Key files
//
// A key file is an age file, version 1 (https://age-encryption.org/v1), not
// armored, of at most 16 KiB. It is locked with a passphrase (scrypt, work
// factor 16, that is 64 MiB; a reader refuses above 18) or to age recipients
// (mlkem768x25519 or X25519). `age -d` opens it; a file locked to
// mlkem768x25519 takes age 1.3. The payload is deterministic CBOR
// (see package cbor): the array [version, keys], where version is 1 and keys
// is a map:
//
//	 1  role, 1 writer or 2 owner
//	 2  repository ID, 16 bytes
//	 3  ID key, 32 bytes: piece IDs are computed under it
//	 4  index key, 32 bytes
//	 5  polynomial of the chunker, unsigned
//	 6  public key, 1216 bytes (HPKE)
//	 7  seed of this file's signing key, 32 bytes (Ed25519)
//	 8  the owner's public signing key, 32 bytes (Ed25519)
//	 9  owners only: private key, 32 bytes (HPKE)
//	10  owners only: seed of the owner's signing key, 32 bytes (Ed25519)
//
// A reader refuses a payload that is not encoded in this one way, whose key
// halves do not match, or that gives a writer the fields of an owner.
//
// # What each key can do
//
// A writer's key file, in the wrong hands, can add objects that look right and
// carry its own signature: snapshots, and garbage under the ID of a piece that
// it can guess, which a later backup then takes for stored (a reader finds out,
// for it checks the ID of what it opens; the signature says whose it was). It
// opens directories, indexes and everything else of mode 2, so it learns how
// much was stored when, and with the ID key it can test whether a guessed
// content is there. It can make further writer keys, whose signatures count
// only if the owner has listed them in a config. It cannot open content of mode
// 1, not even what it sealed itself once the run is over; it cannot sign as the
// owner; nothing in it leads to an owner's key.
//
// An owner's key file can do everything.
//
// Who has only the storage sees the prefixes: which objects are of one run,
// by which key file, and of what kind. Without the index key, a change to an
// object, an object moved in from another repository, or parts swapped within
// or between objects do not open. Whole objects taken away or put back are for
// the layers above to notice. What is recorded today stays closed to a
// quantum computer of tomorrow: the KEM is a hybrid. Signatures are not, but a
// forgery has to be made in time to be believed.
//
// A key file locked with a passphrase proves that its maker knew the
// passphrase. One locked to a recipient proves only that its maker knew the
// recipient: who learns it, and can write to the storage, can put a key file
// there that holds keys of his own, and what is then backed up is sealed to
// him. So a recipient that [NewIdentity] made is a secret like its identity,
// and who holds an identity should remember the owner's public key and refuse
// another.
//
// # Example
//
// With the index key 20 21 … 3f, an index of data packs (mode 2) of repository
// a0 … af, session b0 … bf, and the signing seed 40 41 … 5f has the prefix
//
//	7265 7374 616e 7465 6902 0100 0100 0100  "restante" 'i' 2, 1, 1, 1
//	a0a1 a2a3 a4a5 a6a7 a8a9 aaab acad aeaf  repository
//	b0b1 b2b3 b4b5 b6b7 b8b9 babb bcbd bebf  session
//	0339 6219 237f 75a6 4f12 aeb7 f397 23ab  signer
//	c0c1 c2c3 c4c5 c6c7 c8c9 cacb cccd cecf  salt
//	d0d1 d2d3 d4d5 d6d7 d8d9 dadb dcdd dedf
//
// whose SHA-256 is
//
//	bef7 eb48 8c83 8bf5 2e78 acd1 311b b908
//	227f f9fd 63fc 84f5 f374 de6a 0007 eb82
//
// so that the content key is
//
//	5b38 faab f02b 917e fb15 04de 7c6a d791
//	1d5b 8c7f cb72 d9a7 a2c9 40c8 7477 6714
//
// and the 14 bytes "poste restante", sealed as content in part 'r' at position
// 258, that is with the nonce 72 00 00 00 02 01 00 00 00 00 00 00, are
//
//	738c 0a71 dd58 1b4d fbcc 9db6 ba6f 26fc
//	9627 a25f 1f77 f486 536e 69f4 f35a
//
// testdata/vector.txt has this example whole, with one of mode 1, key files
// and signatures.
package seal
