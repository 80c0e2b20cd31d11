package mailgen

import "strings"

// commonWords are in the order of their frequency, more or less.
const commonWords = `the to and of a in is you for that it on this we i be with have are not
as will at can if from your or by please but would our has all an me so there was do they
need what my when know thanks which just any more should about work time let one new been also
only like some see get up them now out could think then than want meeting use send make
no how were into here us next good well back email may had does same file change still
first date attached regards best number day week give end add other problem issue report
project find call made going used after before people since very sure because where few list
office agree month two question answer system team plan price order customer question
contract invoice payment draft version review update request server account office available
possible document copy details note tomorrow today yesterday monday tuesday wednesday thursday
friday morning afternoon evening schedule deadline budget offer delivery address phone mobile
company department manager director colleague client partner supplier school family weekend
holiday travel flight hotel train booking ticket conference room agenda minutes slides
presentation proposal feedback comments suggestion correct wrong fixed error message log
output command directory kernel patch driver device memory network storage backup restore disk
release branch merge test build commit function value field table index query result page
website link image picture video photo attachment print paper folder mail inbox spam filter
password login user group access security policy rule form sign signature approve confirm
cancel postpone move open close start finish continue wait receive forward reply discuss
explain understand remember forget hope wish expect believe feel happy sorry glad welcome
great nice quick short long small large high low early late soon already always never often
sometimes again maybe perhaps probably actually really quite rather almost enough both each
every another different important necessary special general public private local national
international european german english french water house street city country world market
bank tax cost amount total percent euro dollar share value quarter annual growth figure
analysis research study data source science university student course book article author
chapter section line word letter language name title subject reason example case point part
side way place area level step process method model design quality standard service support
help contact information`

// foreignWords give a part of the mails characters beyond ASCII.
const foreignWords = `für über können Grüße später nächste Woche Rückmeldung schöne Übersicht
Änderung Verträge Prüfung möglich wäre größer Straße bezüglich natürlich Büro déjà été
réunion très après même français été prévu señor mañana reunión también años información
příloha děkuji zpráva účet žádost številka sporočilo wiadomość załącznik część dziękuję`

// syllables make up the rare words.
const syllables = `an ar as at be bel ber ca ce cha co con da de der di do dra el en er es fa fi
fo ga ge gra ha he hi in is ka ke ko la le li lo lu ma me mi mo mu na ne ni no nor on or os pa
pe per pi po pra pro ra re ri ro sa se si so sta ta te ter ti to tra tu ul un ur va ve vi vo
wa we wi za ze`

// The size of the vocabulary, and of the part of it that two thirds of all
// words come from, as powers of two.
const (
	vocabularyBits = 15
	commonBits     = 9
)

// A vocabulary writes prose.
type vocabulary struct {
	words   []string
	foreign []string
}

func newVocabulary(seed uint64) *vocabulary {
	rng := newSource(seed, 1<<63)
	v := &vocabulary{words: strings.Fields(commonWords), foreign: strings.Fields(foreignWords)}
	parts := strings.Fields(syllables)
	for len(v.words) < 1<<vocabularyBits {
		word := ""
		for range rng.between(2, 4) {
			word += pick(rng, parts)
		}
		v.words = append(v.words, word)
	}
	return v
}

// A topic is what the mails of one thread are about: a few words that come back.
type topic struct {
	words   []string
	foreign bool
}

func (v *vocabulary) newTopic(rng *source) topic {
	t := topic{foreign: rng.chance(20)}
	for range 14 {
		t.words = append(t.words, v.words[rng.between(200, len(v.words)-1)])
	}
	return t
}

// word picks the next word of a text.
func (v *vocabulary) word(rng *source, t topic) string {
	switch n := rng.IntN(100); {
	case n < 10:
		return pick(rng, t.words)
	case n < 16 && t.foreign:
		return pick(rng, v.foreign)
	case n < 76:
		return v.words[rng.rank(commonBits)]
	}
	return v.words[rng.rank(vocabularyBits)]
}

// paragraph appends about size bytes of sentences, without line ends.
func (v *vocabulary) paragraph(dst []byte, rng *source, t topic, size int) []byte {
	for stop := len(dst) + size; len(dst) < stop; {
		start := len(dst)
		for i := range rng.between(4, 18) {
			if i > 0 {
				dst = append(dst, ' ')
			}
			switch n := rng.IntN(200); n {
			case 0:
				dst = append(dst, "https://www."+pick(rng, t.words)+".example/"+rng.hex(8)...)
			case 1, 2:
				dst = append(dst, rng.hex(6)...)
			case 3, 4, 5:
				dst = append(dst, '1'+byte(rng.IntN(9)), '0'+byte(rng.IntN(10)), '.', '0'+byte(rng.IntN(10)))
			default:
				dst = append(dst, v.word(rng, t)...)
			}
			if n := rng.IntN(100); n < 6 {
				dst = append(dst, ',')
			}
		}
		if c := dst[start]; 'a' <= c && c <= 'z' {
			dst[start] = c - 'a' + 'A'
		}
		dst = append(dst, ". "...)
	}
	return dst[:len(dst)-1]
}

// text returns about size bytes of paragraphs, one a slice.
func (v *vocabulary) text(rng *source, t topic, size int) [][]byte {
	var paragraphs [][]byte
	for size > 0 {
		p := v.paragraph(nil, rng, t, min(size, rng.spread(300, 16)))
		paragraphs = append(paragraphs, p)
		size -= len(p)
	}
	return paragraphs
}

// wrap appends the paragraph in lines of at most 72 bytes where words allow it.
func wrap(dst, paragraph []byte, prefix string) []byte {
	for len(paragraph) > 0 {
		n := len(paragraph)
		if n > 72 {
			n = 72
			for n > 0 && paragraph[n] != ' ' {
				n--
			}
			if n == 0 {
				for n = 72; n < len(paragraph) && paragraph[n] != ' '; n++ {
				}
			}
		}
		dst = append(append(append(dst, prefix...), paragraph[:n]...), '\n')
		paragraph = paragraph[min(n+1, len(paragraph)):]
	}
	return dst
}
