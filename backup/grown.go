package backup

import (
	"context"
	"errors"
	"hash/fnv"
	"io"

	"restante/blob"
	"restante/mailstore"
	"restante/message"
	"restante/snapshot"
)

// Files that grow.
//
// Most large files of a mail store are an old one with something more: an mbox
// or mdbox to which mail was delivered, a database. What is known of the former
// state, its sketch, tells how each part of it, a segment, was cut. A segment
// that is in the file again, byte for byte by its keyed hash, is cut again as it
// was: it begins and ends at a place where the cutter begins anew, and a cutter
// looks at no byte behind such a place but to see that it is one. So its part of
// the recipe is taken over, and the segment after it is tried next. Where none is,
// the file is cut until a place comes where a segment begins, and then goes on by
// segments. The recipe is the one that cutting all of it would give.
//
// Hashing long runs takes a quarter of the time of cutting by content, and a
// tenth of that of cutting and hashing mail.

// A grown reads one large file, with or without knowing a former state of it.
type grown struct {
	r      *reader
	key    snapshot.Key
	src    *source
	cut    sketchCut
	old    *sketch // nil if no former state is known
	new    *sketchWriter
	recipe *snapshot.RecipeWriter

	ahead ahead
	pos   int64            // all before is in the recipe
	next  int              // the segment of old that may be at pos; beyond the last if there is none
	took  int              // segments
	vain  int              // segments that were tried and are not there
	known map[uint64][]int // segments of old by their leads; made when first needed
	byID  map[blob.ID]int  // or by their hashes, where they are pieces

	at   segment // that is being cut
	list []byte  // its items
}

// grown cuts a large file that is no single message.
func (r *reader) grown(ctx context.Context, it *item, src *source) (recipe snapshot.Recipe, messages uint64, err error) {
	n, err := src.ReadAt(r.buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return recipe, 0, err
	}
	kind, mail := mailstore.MailKind(it.role, it.name, r.buf[:n])
	counts := mail && it.role.Counts(kind)
	if mail && kind == message.Mail {
		recipe, err = r.mail.file(ctx, src.from(0), kind)
		return recipe, r.mail.count(counts, kind), err
	}
	g := &grown{r: r, key: it.key, src: src, recipe: r.mail.recipe}
	if mail && kind == message.Mbox {
		g.cut.how = cutAsMbox
	} else if mail {
		g.cut.how = cutAsDbox
	}
	r.mail.messages = 0
	g.old = r.former(it, g.cut.how)
	defer g.old.close()
	if !r.run.opts.DryRun {
		g.new = newSketch(r.run.parentPath())
	}
	defer g.new.discard()
	defer g.ahead.drop()
	err = g.run(ctx)
	recipe, finishErr := g.recipe.Finish(r.run.keep)
	if err = errors.Join(err, finishErr); err != nil {
		return recipe, 0, err
	}
	g.keep(it, &recipe)
	return recipe, r.mail.count(counts, kind), nil
}

// former opens the sketch of the state of the file that the parent has, if that
// was cut in the same way.
func (r *reader) former(it *item, how uint32) *sketch {
	if it.old != snapshot.File || it.renamed() || r.run.opts.Paranoid {
		return nil
	}
	e, err := snapshot.DecodeEntry(it.was.entry)
	if err != nil || e.Recipe.Cutter != r.run.limits.cutter {
		return nil
	}
	content := e.Recipe.ContentHash(r.mail.hash)
	s := openSketch(r.run.sketchPath(r.mail.hash, it.key, content), content)
	if s != nil && s.cut.how != how {
		s.close()
		return nil
	}
	return s
}

// keep keeps the sketch for the next run. Without it that has to cut the whole file.
func (g *grown) keep(it *item, recipe *snapshot.Recipe) {
	if g.new == nil {
		return
	}
	run := g.r.run
	content := recipe.ContentHash(g.r.mail.hash)
	path := run.sketchPath(g.r.mail.hash, it.key, content)
	if err := g.new.commit(path, content, g.cut); err != nil {
		run.warnf("the next backup will have to cut all of %q: %v", it.key.Path(), err)
		return
	}
	run.sketches.note(path)
}

// run takes over segments, and cuts where there is none to take over: until one
// may come, or up to the end of the file.
func (g *grown) run(ctx context.Context) error {
	cut := g.cutMail
	if g.cut.how == cutByContent {
		cut = g.cutOpaque
	}
	for {
		for g.old != nil && g.next < len(g.old.segments) {
			taken, err := g.take(ctx)
			if err != nil {
				return err
			}
			if !taken {
				g.vain++
				break
			}
			g.took++
		}
		if done, err := cut(ctx); done || err != nil {
			return err
		}
	}
}

// take takes the next segment over, if it is at pos.
func (g *grown) take(ctx context.Context) (bool, error) {
	s := &g.old.segments[g.next]
	// What a file of mail begins with is cut and counted in its own way, there and nowhere else.
	if (g.next == 0) != (g.pos == 0) && g.cut.how != cutByContent {
		return false, nil
	}
	same, err := g.ahead.isNext(ctx, g)
	if !same || err != nil {
		return false, err
	}
	list, items, err := g.old.items(s)
	if err != nil {
		return false, nil // a damaged sketch: the file is cut
	}
	for i := range items {
		if err := g.recipe.Append(g.r.run.keep, items[i]); err != nil {
			return false, err
		}
	}
	g.r.mail.messages += s.messages
	g.r.run.event("took over", g.key)
	g.new.add(*s, list)
	g.cut = g.old.cut
	g.pos += s.size
	g.next++
	return true, nil
}

// cutOpaque cuts up to the end of a piece that the former state had.
func (g *grown) cutOpaque(ctx context.Context) (done bool, err error) {
	if g.byID == nil && g.old != nil {
		g.byID = make(map[blob.ID]int, len(g.old.segments))
		for i := range g.old.segments {
			g.byID[g.old.segments[i].hash] = i
		}
	}
	done, err = g.r.pieces(ctx, blob.Bin, g.src.from(g.pos), func(p snapshot.Piece) (bool, error) {
		it := snapshot.Item{Kind: snapshot.PieceItem, Piece: p}
		if err := g.recipe.Append(g.r.run.keep, it); err != nil {
			return false, err
		}
		g.pos += int64(p.Size)
		if !p.Cut {
			return false, nil
		}
		list, err := snapshot.AppendItem(nil, &it)
		if err != nil {
			return false, err
		}
		g.new.add(segment{size: int64(p.Size), hash: p.ID}, list)
		i, found := g.byID[p.ID]
		g.next = i + 1
		return found && g.next < len(g.old.segments) && g.hopeful(), nil
	})
	return done, err
}

// cutMail cuts up to a message with which a segment of the former state begins,
// and which may be that one.
func (g *grown) cutMail(ctx context.Context) (done bool, err error) {
	m := g.r.mail
	kind := message.Mbox
	if g.cut.how == cutAsDbox {
		kind = message.Dbox
	}
	if g.pos == 0 {
		m.cut.Reset(g.src.from(0), kind)
	} else {
		m.cut.Resume(g.src.from(g.pos), kind, int(g.cut.frame))
	}
	m.grown = g
	defer func() { m.grown = nil }()
	g.begin()
	stopped, err := m.blocks(ctx)
	return !stopped, err
}

// begin begins a segment at pos.
func (g *grown) begin() {
	g.at = segment{messages: g.r.mail.messages}
	g.list = g.list[:0]
	g.r.mail.raw.Begin()
}

// border is called before block b, with which a message begins, when all before
// it is in the recipe. It ends the segment, if it is long enough or a known one
// may come, and reports whether to stop for that one.
func (g *grown) border(b *message.Block) (stop bool) {
	g.cut.frame = uint32(g.r.mail.cut.FrameHeader())
	next, found := g.candidate(b)
	if !found && 0 < g.at.size && g.at.size < g.r.run.limits.segmentSize {
		return false
	}
	if g.at.size > 0 {
		g.end()
	}
	if found {
		g.next = next
		return true
	}
	g.begin()
	g.at.lead = leadOf(b.Raw)
	return false
}

// end ends the segment that is being cut.
func (g *grown) end() {
	g.at.messages = g.r.mail.messages - g.at.messages
	g.at.hash = g.r.mail.raw.ID()
	if len(g.list) < maxSegmentList {
		g.new.add(g.at, g.list)
	}
	g.pos += g.at.size
}

// hopeful reports whether to try more segments. Each that is not there costs the
// reading of it, and of what the cutter had read ahead, about a segment too. So of a
// file that was rewritten half is read once more, and of one in which as many
// segments are there as are not, up to all of it.
func (g *grown) hopeful() bool { return g.vain <= g.took+len(g.old.segments)/4 }

// candidate returns the segment of the former state that may begin with b. Each
// is proposed once.
func (g *grown) candidate(b *message.Block) (i int, found bool) {
	if g.old == nil || g.cut != g.old.cut || !g.hopeful() {
		return 0, false
	}
	if g.known == nil {
		g.known = map[uint64][]int{}
		for i := g.next; i < len(g.old.segments); i++ {
			lead := g.old.segments[i].lead
			g.known[lead] = append(g.known[lead], i)
		}
	}
	lead := leadOf(b.Raw)
	all := g.known[lead]
	if len(all) == 0 {
		return 0, false
	}
	g.known[lead] = all[1:]
	return all[0], true
}

// add takes in an item of the segment that is being cut.
func (g *grown) add(it *snapshot.Item) (err error) {
	if len(g.list) < maxSegmentList {
		g.list, err = snapshot.AppendItem(g.list, it)
	}
	return err
}

// block takes in the bytes of a block.
func (g *grown) block(b *message.Block) {
	g.at.size += int64(len(b.Raw))
	g.r.mail.raw.Write(b.Raw)
}

// leadOf returns a number that tells what begins with b from most others.
func leadOf(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b[:min(len(b), 512)])
	return h.Sum64()
}
