package mailgen

import (
	"bytes"
	"fmt"
	"mime"
	"strings"
	"time"
)

// A mail is one mail as all who receive it see it.
type mail struct {
	date   time.Time
	from   person
	to     []person
	sender int   // the mailbox that sent it, -1 for a stranger's
	boxes  []int // the mailboxes that receive it
	// shared is what all copies have in common: the relays' trace headers,
	// from submitted on what the author's program sent.
	shared    []byte
	submitted int
	queue     string // the relay's queue ID
}

// firstBox returns a mailbox that holds the mail.
func (m *mail) firstBox() int {
	if len(m.boxes) > 0 {
		return m.boxes[0]
	}
	return m.sender
}

// A thread is a conversation that the next mail may go on with.
type thread struct {
	topic   topic
	subject string
	ids     []string // Message-IDs, the newest last
	last    person   // who wrote the newest mail, when, and what
	date    time.Time
	text    []byte
}

// threadsKept bounds how far back replies reach.
const threadsKept = 200

// A composer writes one mail after the other.
type composer struct {
	seed    uint64
	stream  uint64
	rng     *source
	words   *vocabulary
	local   []person
	remote  []person
	threads []*thread
	mails   uint64
	files   attachments
	small   bool
	even    bool // see Options
}

// newComposer returns a composer of the mails of one stream: 0 for a new
// store, the night's number for a night.
func newComposer(seed, stream uint64, local []person, small bool) *composer {
	return &composer{
		small:  small,
		seed:   seed,
		stream: stream,
		rng:    newSource(seed, stream<<32),
		words:  newVocabulary(seed),
		local:  local,
		remote: strangers(newSource(seed, 1<<63+1)),
		files:  attachments{seed: seed, next: stream << 32},
	}
}

// next writes the next mail, dated date.
func (c *composer) next(date time.Time) *mail {
	c.mails++
	c.rng = newSource(c.seed, c.stream<<32+c.mails)
	m := &mail{date: date.Truncate(time.Second), sender: -1, queue: strings.ToUpper(c.rng.hex(10))}
	th := c.thread()
	c.address(m, th)
	var body bytes.Buffer
	text := c.text(th, m)
	c.body(&body, th, text)
	id := c.identify(m)
	relays := c.relays(m)
	m.submitted = len(relays)
	m.shared = append(relays, c.header(m, th, id)...)
	m.shared = append(m.shared, body.Bytes()...)

	th.last, th.date, th.text = m.from, m.date, text
	th.ids = append(th.ids, id)
	if len(th.ids) > 8 {
		th.ids = th.ids[len(th.ids)-8:]
	}
	return m
}

// thread picks a thread to go on with, or begins one.
func (c *composer) thread() *thread {
	if len(c.threads) > 0 && c.rng.chance(45) {
		return pick(c.rng, c.threads)
	}
	t := c.words.newTopic(c.rng)
	th := &thread{topic: t, subject: c.subject(t)}
	if len(c.threads) < threadsKept {
		c.threads = append(c.threads, th)
	} else {
		c.threads[c.rng.IntN(threadsKept)] = th
	}
	return th
}

func (c *composer) subject(t topic) string {
	var words []string
	for range c.rng.between(2, 7) {
		words = append(words, c.words.word(c.rng, t))
	}
	s := strings.Join(words, " ")
	if c.rng.chance(15) {
		s = "[" + pick(c.rng, t.words) + "] " + s
	}
	return s
}

// address decides who writes to whom. A quarter of the mails that reach the
// store reach several of its mailboxes.
func (c *composer) address(m *mail, th *thread) {
	if c.rng.chance(30) {
		m.sender = c.box()
		m.from = c.local[m.sender]
	} else {
		m.from = pick(c.rng, c.remote)
	}
	if len(th.ids) > 0 && th.last != m.from {
		m.to = append(m.to, th.last)
	}
	receivers := 1
	switch {
	case m.sender >= 0 && c.rng.chance(60):
		receivers = 0
	case c.rng.chance(25):
		receivers = c.rng.between(2, 6)
	}
	for len(m.boxes) < min(receivers, len(c.local)) {
		box := c.box()
		for contains(m.boxes, box) {
			box = (box + 1) % len(c.local)
		}
		m.boxes = append(m.boxes, box)
		m.to = append(m.to, c.local[box])
	}
	if len(m.to) == 0 {
		m.to = append(m.to, pick(c.rng, c.remote))
	}
}

// box picks a mailbox; unless mail is even, a third of them get two thirds of it.
func (c *composer) box() int {
	if n := len(c.local) / 3; n > 0 && !c.even && c.rng.chance(50) {
		return c.rng.IntN(n)
	}
	return c.rng.IntN(len(c.local))
}

func contains(boxes []int, box int) bool {
	for _, b := range boxes {
		if b == box {
			return true
		}
	}
	return false
}

func (c *composer) identify(m *mail) string {
	if c.rng.chance(40) {
		h := c.rng.hex(32)
		return fmt.Sprintf("<%s-%s-%s-%s-%s@%s>", h[:8], h[8:12], h[12:16], h[16:20], h[20:], m.from.domain)
	}
	return fmt.Sprintf("<%s.%s@%s>", m.date.Format("20060102150405"), strings.ToUpper(c.rng.hex(12)), m.from.domain)
}

// trace returns the headers that only the copy for one mailbox has.
func (c *composer) trace(m *mail, box int) []byte {
	p := c.local[box]
	date := m.date.Add(time.Duration(c.rng.between(0, 3)) * time.Second).Format(time.RFC1123Z)
	return fmt.Appendf(nil, `Return-Path: <%s>
Delivered-To: %s
Received: from mx.example.com ([10.0.3.%d])
	by store%d.example.com with LMTP
	id %s
	(envelope-from <%s>)
	for <%s>; %s
`, m.from.address(), p.address(), 1+len(m.queue), box%3+1, c.rng.base64(15)[:18], m.from.address(), p.address(), date)
}

// relays returns the trace headers that all copies have.
func (c *composer) relays(m *mail) []byte {
	date := m.date.Format(time.RFC1123Z)
	host, ip := "mail."+m.from.domain, fmt.Sprintf("192.0.2.%d", c.rng.between(1, 254))
	if m.sender >= 0 {
		return fmt.Appendf(nil, "Received: from [%s] (unknown [%s])\n\tby mx.example.com (Postfix) with ESMTPSA id %s;\n\t%s\n",
			ip, ip, m.queue, date)
	}
	return fmt.Appendf(nil, `Received: from %s (%s [%s])
	(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
	 key-exchange X25519 server-signature RSA-PSS (2048 bits))
	by mx.example.com (Postfix) with ESMTPS id %s;
	%s
Authentication-Results: mx.example.com;
	dkim=pass (2048-bit key) header.d=%s header.i=@%s;
	spf=pass smtp.mailfrom=%s
X-Spam-Status: No, score=-%d.%d required=6.0 tests=[BAYES_00=-1.9,DKIM_SIGNED=0.1,
	DKIM_VALID=-0.1,DKIM_VALID_AU=-0.1] autolearn=ham
`, host, host, ip, m.queue, date, m.from.domain, m.from.domain, m.from.domain, c.rng.between(1, 9), c.rng.between(0, 9))
}

// header returns the headers that the author's program wrote, and the author's relay signed.
func (c *composer) header(m *mail, th *thread, id string) []byte {
	var b bytes.Buffer
	if m.sender < 0 {
		fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=%s; s=s%d;\n\tt=%d; bh=%s;\n\th=From:To:Subject:Date:Message-ID;\n\tb=%s\n",
			m.from.domain, 2020+len(m.from.name)%5, m.date.Unix(), c.rng.base64(32), fold(c.rng.base64(256)))
	}
	fmt.Fprintf(&b, "From: %s\nTo: %s\n", m.from.header(), addressees(m.to))
	subject := th.subject
	if len(th.ids) > 0 {
		subject = "Re: " + subject
	}
	fmt.Fprintf(&b, "Subject: %s\nDate: %s\nMessage-ID: %s\n", mime.QEncoding.Encode("UTF-8", subject), m.date.Format(time.RFC1123Z), id)
	if len(th.ids) > 0 {
		fmt.Fprintf(&b, "In-Reply-To: %s\nReferences: %s\n", th.ids[len(th.ids)-1], strings.Join(th.ids, "\n\t"))
	}
	programs := []string{"Mozilla Thunderbird", "Mutt/2.2.9 (2022-11-12)", "Roundcube Webmail/1.6.5", "Evolution 3.46.4", "K-9 Mail for Android"}
	fmt.Fprintf(&b, "User-Agent: %s\nMIME-Version: 1.0\n", programs[(len(m.from.name)+len(m.from.domain))%len(programs)])
	return b.Bytes()
}

// addressees returns the To field's value, one person a line.
func addressees(people []person) string {
	list := make([]string, len(people))
	for i, p := range people {
		list[i] = p.header()
	}
	return strings.Join(list, ",\n\t")
}

// fold breaks a long value into continuation lines.
func fold(s string) string {
	var b strings.Builder
	for len(s) > 72 {
		b.WriteString(s[:72] + "\n\t ")
		s = s[72:]
	}
	return b.String() + s
}
