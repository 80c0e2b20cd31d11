package repo

import (
	"context"
	"iter"
	"strings"

	"restante/blob"
	"restante/seal"
)

// mend finds out what the header of a pack said, if it is damaged and nothing else of
// the prefix is: of a header all is known but the session and who signed, and these
// others of the repository say as well. The sealed length of the directory proves it.
// It returns nil where there is nothing to mend, or it cannot be done.
func (p *packsRepair) mend(ctx context.Context, id blob.ID, size int64) (*seal.Object, error) {
	prefixSize := int64(seal.PrefixSize(seal.ModePublic))
	if size < prefixSize+trailerSize || size > MaxPack {
		return nil, nil
	}
	trailer, err := get(ctx, p.r.store, packName(id), size-trailerSize, trailerSize, nil)
	if err != nil {
		return nil, err
	}
	proves := func(o *seal.Object) bool {
		_, err := o.Directory.Open(nil, trailer[:trailerSize-signatureSize], partLength, 0)
		return err == nil
	}
	if obj, err := p.r.packObject(ctx, id); err == nil && proves(obj) {
		return nil, nil
	}
	prefix, err := get(ctx, p.r.store, packName(id), 0, prefixSize, nil)
	if err != nil {
		return nil, err
	}
	if p.sessions == nil {
		if p.sessions, err = p.allSessions(ctx); err != nil {
			return nil, err
		}
	}
	return p.r.keys.Mend(prefix, p.headers(prefix), proves)
}

// headers yields what the header of a pack may have said: first what is still there,
// then what other objects of the repository have.
func (p *packsRepair) headers(prefix []byte) iter.Seq[seal.Header] {
	sessions := append([]seal.Session{seal.Session(prefix[32:48])}, p.sessions...)
	signers := []seal.SignerID{seal.SignerID(prefix[48:64])}
	for _, k := range p.r.Keys() {
		signers = append(signers, k.Signer)
	}
	return func(yield func(seal.Header) bool) {
		for _, session := range sessions {
			for _, signer := range signers {
				for _, kind := range []seal.Kind{seal.KindDataPack, seal.KindTreePack} {
					if !yield(seal.Header{Kind: kind, Mode: seal.ModePublic, Session: session, Signer: signer}) {
						return
					}
				}
			}
		}
	}
}

// allSessions returns the sessions that are known: of snapshots, and of packs with headers that can be read.
func (p *packsRepair) allSessions(ctx context.Context) ([]seal.Session, error) {
	known := map[seal.Session]bool{}
	out := []seal.Session{}
	add := func(s seal.Session) {
		if !known[s] {
			known[s] = true
			out = append(out, s)
		}
	}
	err := p.r.EachObject(ctx, string(Snapshots)+"/", func(name string, _ int64) error {
		if s, err := seal.ParseSession(strings.TrimPrefix(name, string(Snapshots)+"/")); err == nil {
			add(s)
		}
		return nil
	})
	for id := range p.packs {
		if h, err := p.r.packHeader(ctx, id); err == nil {
			add(h.Session)
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return out, err
}
