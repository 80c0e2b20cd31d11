package repo

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"path"

	"restante/blob"
	"restante/seal"
	"restante/storage"
)

const (
	// trailerSize is the length of a pack's end: the sealed length of the
	// directory, and the signature.
	trailerSize = 4 + sealOverhead + signatureSize

	// The least sizes of packs. A night of little mail hides in a data pack
	// of the least size; tree packs go with it and need less.
	minDataPack = 256 << 10
	minTreePack = 16 << 10
)

func packName(id blob.ID) string {
	s := id.String()
	return path.Join("packs", s[:2], s)
}

// A packWriter is a pack being built. It serves one goroutine at a time.
type packWriter struct {
	kind   seal.Kind
	keys   *seal.Keys
	obj    *seal.Object
	staged storage.Staged
	name   *blob.NameHash
	size   int
	clumps []ClumpInfo
	buf    []byte

	pieces    int // in clumps
	directory int // how long the directory has become, about
}

func newPackWriter(ctx context.Context, store storage.Store, keys *seal.Keys, kind seal.Kind, session seal.Session) (*packWriter, error) {
	obj, err := keys.NewObject(seal.Header{Kind: kind, Mode: seal.ModePublic, Session: session})
	if err != nil {
		return nil, err
	}
	staged, err := store.Stage(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting a pack: %w", err)
	}
	p := &packWriter{kind: kind, keys: keys, obj: obj, staged: staged, name: blob.NewNameHash()}
	if err := p.write(obj.Prefix); err != nil {
		p.staged.Discard()
		return nil, err
	}
	return p, nil
}

func (p *packWriter) write(b []byte) error {
	p.name.Write(b)
	p.size += len(b)
	if _, err := p.staged.Write(b); err != nil {
		return fmt.Errorf("writing a pack: %w", err)
	}
	return nil
}

// add seals a packed clump, proves that it opens again, and writes it.
func (p *packWriter) add(class blob.Class, packed []byte, raw int, pieces []Piece) error {
	offset := uint64(p.size)
	p.buf = p.obj.Content.Seal(p.buf[:0], packed, partClump, offset)
	info := ClumpInfo{Class: class, Offset: uint32(offset), Length: uint32(len(p.buf)), Raw: uint32(raw), Pieces: pieces}
	copy(info.Tag[:], p.buf[len(p.buf)-len(info.Tag):])
	if err := p.write(p.buf); err != nil {
		return err
	}
	// Opened in place: the bytes have been written and hashed, and are not needed again.
	opened, err := p.obj.Content.Open(p.buf[:0], p.buf, partClump, offset)
	if err != nil || string(opened) != string(packed) {
		return fmt.Errorf("sealing a clump: it does not open to what it was made from; check this machine's memory (%v)", err)
	}
	p.clumps = append(p.clumps, info)
	p.pieces += len(pieces)
	p.directory += directoryEntries(len(pieces))
	return nil
}

// directoryEntries returns about how long the directory's entries for a clump are.
func directoryEntries(pieces int) int { return maxClumpEntry + pieces*maxPieceEntry }

// sizeWith returns about how long the pack would be with one more clump, but for its padding.
func (p *packWriter) sizeWith(packed, pieces int) int {
	return p.size + packed + sealOverhead + p.directory + directoryEntries(pieces) + sealOverhead + trailerSize
}

// finish writes padding, directory and trailer, and makes the pack durable
// under its name. A crash before it returns leaves staged bytes that nothing
// refers to, or a whole pack that no index names, which the next session adopts.
func (p *packWriter) finish(ctx context.Context) (blob.ID, error) {
	dir := p.obj.Directory.Seal(nil, encodeDirectory(p.clumps), partDirectory, 0)
	least := minDataPack
	if p.kind == seal.KindTreePack {
		least = minTreePack
	}
	end := p.size + len(dir) + trailerSize
	padding := make([]byte, max(int(padme(uint64(end))), least)-end)
	rand.Read(padding)
	if err := p.write(padding); err != nil {
		return blob.ID{}, err
	}
	tail := append(dir, p.obj.Directory.Seal(nil, binary.LittleEndian.AppendUint32(nil, uint32(len(dir))), partLength, 0)...)
	sig := p.keys.Sign(directoryDigest(p.obj.Prefix, tail))
	if err := p.write(append(tail, sig[:]...)); err != nil {
		return blob.ID{}, err
	}
	id := p.name.ID()
	if err := p.staged.Commit(ctx, packName(id)); err != nil {
		return blob.ID{}, fmt.Errorf("storing pack %s: %w", id.Short(), err)
	}
	return id, nil
}

// directoryDigest is what a pack's signature signs: the prefix, the sealed
// directory and its sealed length. The directory binds each clump by its tag.
func directoryDigest(prefix, tail []byte) blob.ID {
	h := blob.NewNameHash()
	h.Write(prefix)
	h.Write(tail)
	return h.ID()
}

// Directory reads and checks the directory of the pack named id, which has
// size bytes. It needs no more than the index key.
func (r *Repository) Directory(ctx context.Context, id blob.ID, size int64) ([]ClumpInfo, error) {
	clumps, err := r.directory(ctx, id, size)
	if err != nil {
		return nil, fmt.Errorf("reading the directory of pack %s: %w", id, err)
	}
	return clumps, nil
}

func (r *Repository) directory(ctx context.Context, id blob.ID, size int64) ([]ClumpInfo, error) {
	return again(ctx, func() ([]ClumpInfo, error) { return r.readDirectory(ctx, id, size) })
}

func (r *Repository) readDirectory(ctx context.Context, id blob.ID, size int64) (clumps []ClumpInfo, err error) {
	prefixSize := int64(seal.PrefixSize(seal.ModePublic))
	if size < prefixSize+trailerSize || size > MaxPack {
		return nil, fmt.Errorf("it has %d bytes, which no pack has", size)
	}
	defer func() { r.doubt(id, err) }()
	obj, err := r.packObject(ctx, id)
	if err != nil {
		return nil, err
	}
	trailer, err := get(ctx, r.store, packName(id), size-trailerSize, trailerSize, nil)
	if err != nil {
		return nil, err
	}
	sealedLength, sig := trailer[:trailerSize-signatureSize], trailer[trailerSize-signatureSize:]
	length, err := obj.Directory.Open(nil, sealedLength, partLength, 0)
	if err != nil || len(length) != 4 {
		return nil, fmt.Errorf("its trailer: %w", seal.ErrDamaged)
	}
	n := int64(binary.LittleEndian.Uint32(length))
	if n > maxDirectory || n > size-prefixSize-trailerSize {
		return nil, errDirectory
	}
	sealed, err := get(ctx, r.store, packName(id), size-trailerSize-n, n, nil)
	if err != nil {
		return nil, err
	}
	if err := r.verify(obj.Header.Signer, directoryDigest(obj.Prefix, append(sealed, sealedLength...)), sig, r.signer(ctx)); err != nil {
		return nil, err
	}
	plain, err := obj.Directory.Open(nil, sealed[:n], partDirectory, 0)
	if err != nil {
		return nil, err
	}
	return decodeDirectory(plain, uint32(prefixSize), uint32(size-trailerSize-n))
}

// packObject returns the boxes of a pack, from its prefix.
func (r *Repository) packObject(ctx context.Context, id blob.ID) (*seal.Object, error) {
	if obj, ok := r.boxes.get(id); ok {
		return obj, nil
	}
	prefix, err := get(ctx, r.store, packName(id), 0, int64(seal.PrefixSize(seal.ModePublic)), nil)
	if err != nil {
		return nil, err
	}
	obj, err := r.keys.OpenObject(prefix)
	if err != nil {
		return nil, err
	}
	if k := obj.Header.Kind; (k != seal.KindDataPack && k != seal.KindTreePack) || obj.Header.Mode != modeOf(k) {
		return nil, fmt.Errorf("it is a %v, no pack", k)
	}
	r.boxes.put(id, obj)
	return obj, nil
}

// doubt forgets the boxes of a pack with which something could not be opened: that
// the prefix was garbled shows only then.
func (r *Repository) doubt(id blob.ID, err error) {
	if err != nil {
		r.boxes.drop(id)
	}
}
