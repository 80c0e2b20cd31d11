package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	redrawEvery = 100 * time.Millisecond // the bar, at most
	lineEvery   = 30 * time.Second       // where there is no terminal
	sampleEvery = time.Second
	maxSamples  = 16 // speed is that of the last so many seconds
	narrowest   = 10 // columns of the smallest bar
	widest      = 40
)

// ProgressOptions say how a [Progress] shows itself.
type ProgressOptions struct {
	Title string
	// Width returns the terminal's columns, asked for before each drawing
	// since windows change; nil where there is no terminal, which has plain
	// lines written every 30 seconds instead of a bar.
	Width func() int
}

// A Progress shows how far long work has come: bytes, files, speed and, when
// the totals are known, what is left. Add and SetTotal may be called by many
// goroutines and cost next to nothing; Tick and Clear write, one at a time.
type Progress struct {
	files, bytes           atomic.Uint64
	totalFiles, totalBytes atomic.Uint64

	mu      sync.Mutex
	w       io.Writer       // guarded by mu, as is all below
	o       ProgressOptions // never changed
	samples []sample
	last    time.Time // when something was written last
	drawn   int       // columns of the bar on the screen
}

type sample struct {
	at    time.Time
	bytes uint64
}

// NewProgress returns a Progress of work that starts now. It writes nothing yet.
func NewProgress(w io.Writer, o ProgressOptions, now time.Time) *Progress {
	return &Progress{w: w, o: o, last: now, samples: []sample{{at: now}}}
}

// Add counts work that is done.
func (p *Progress) Add(files, bytes uint64) {
	p.files.Add(files)
	p.bytes.Add(bytes)
}

// SetTotal says how much work there is. Nought means unknown.
func (p *Progress) SetTotal(files, bytes uint64) {
	p.totalFiles.Store(files)
	p.totalBytes.Store(bytes)
}

// Tick shows the state if it is time to. It is to be called several times a
// second.
func (p *Progress) Tick(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.samples[len(p.samples)-1].at) >= sampleEvery {
		p.samples = append(p.samples, sample{now, p.bytes.Load()})
		p.samples = p.samples[max(0, len(p.samples)-maxSamples):]
	}
	if p.o.Width == nil {
		if now.Sub(p.last) >= lineEvery {
			p.last = now
			fmt.Fprintln(p.w, p.o.Title+": "+strings.Join(p.facts(now), ", "))
		}
		return
	}
	if now.Sub(p.last) < redrawEvery {
		return
	}
	p.last = now
	width := p.o.Width() - 1 // the last column would make some terminals wrap
	line := p.fit(width, now)
	fmt.Fprint(p.w, "\r"+line+strings.Repeat(" ", max(0, min(p.drawn, width)-len(line))))
	p.drawn = len(line)
}

// Clear takes the bar off the screen, so that something else can be written
// there. The next Tick draws it again.
func (p *Progress) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn > 0 {
		const echo = len("^C") // which a terminal may have written behind it
		fmt.Fprint(p.w, "\r"+strings.Repeat(" ", max(0, min(p.drawn+echo, p.o.Width()-1)))+"\r")
		p.drawn = 0
	}
}

// fit returns the line for so many columns: all facts and a bar, or the facts
// there is room for. It is ASCII, so that bytes are columns.
func (p *Progress) fit(width int, now time.Time) string {
	facts := p.facts(now)
	line := p.o.Title
	for _, f := range facts {
		if len(line)+2+len(f) > width {
			return line[:max(0, min(len(line), width))]
		}
		line += "  " + f
	}
	done, known := p.done()
	if room := min(width-len(line)-4, widest); known && room >= narrowest {
		full := int(done * float64(room))
		bar := "[" + strings.Repeat("#", full) + strings.Repeat("-", room-full) + "]"
		line = p.o.Title + "  " + bar + strings.TrimPrefix(line, p.o.Title)
	}
	return line
}

// facts returns what is to be told, the most telling first.
func (p *Progress) facts(now time.Time) []string {
	var facts []string
	done, known := p.done()
	if known {
		facts = append(facts, fmt.Sprintf("%d%%", int(done*100)))
	}
	speed := p.speed(now)
	bytes, total := p.bytes.Load(), p.totalBytes.Load()
	if total > 0 {
		facts = append(facts, Size(bytes)+" of "+Size(total))
	} else {
		facts = append(facts, Size(bytes))
	}
	files := Number(p.files.Load())
	if total := p.totalFiles.Load(); total > 0 {
		files += " of " + Number(total)
	}
	facts = append(facts, files+" files")
	if speed > 0 {
		facts = append(facts, Size(uint64(speed))+"/s")
	}
	if speed > 0 && total > bytes {
		left := min(float64(total-bytes)/speed, 1e8) // three years, for a Duration ends at 292
		facts = append(facts, Duration(time.Duration(left*float64(time.Second)))+" left")
	}
	return facts
}

// done returns the part that is done, by bytes if their total is known. The
// totals were counted beforehand, so that more may be done than there was.
func (p *Progress) done() (part float64, known bool) {
	if total := p.totalBytes.Load(); total > 0 {
		return min(float64(p.bytes.Load())/float64(total), 1), true
	}
	if total := p.totalFiles.Load(); total > 0 {
		return min(float64(p.files.Load())/float64(total), 1), true
	}
	return 0, false
}

// speed is in bytes a second, nought as long as it cannot be told.
func (p *Progress) speed(now time.Time) float64 {
	first := p.samples[0]
	seconds := now.Sub(first.at).Seconds()
	if seconds < 1 {
		return 0
	}
	return float64(p.bytes.Load()-first.bytes) / seconds
}
