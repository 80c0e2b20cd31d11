package mailstore

import (
	"bytes"
	"path"
	"strings"

	"restante/message"
)

// MboxHead is how many bytes of a file LooksLikeMbox wants to see.
const MboxHead = 512

// LooksLikeMbox reports whether a file that begins with head is an mbox: its
// first line is "From SENDER DATE". Blank lines may come before it.
func LooksLikeMbox(head []byte) bool {
	head = bytes.TrimLeft(head, "\r\n")
	line, _, whole := bytes.Cut(head, []byte("\n"))
	return whole && message.IsFromLine(line)
}

// MailHead is how many bytes of a file MailKind wants to see.
const MailHead = 16 << 10

// MailKind says as what kind of mail a file of this role that begins with head
// is cut, if as any. Kerio Connect and many programs that export mail call a
// message .eml, whatever it begins with. A [Message] is not asked for.
func MailKind(role FileRole, name string, head []byte) (kind message.Kind, ok bool) {
	head = head[:min(len(head), MailHead)]
	switch {
	case role == Control || role == Message:
		return 0, false
	case LooksLikeMbox(head):
		return message.Mbox, true
	case message.LooksLikeDbox(head):
		return message.Dbox, true
	}
	return message.Mail, strings.EqualFold(path.Ext(name), ".eml") || message.LooksLikeMail(head)
}

// Counts reports whether what a file of this role holds, being of this kind,
// counts as messages. Where a layout is known, only what it knows to be mail
// does: not what somebody exported beside it. In a plain store nothing is known,
// and what looks like mail counts.
func (r FileRole) Counts(kind message.Kind) bool {
	switch r {
	case Loose:
		return true
	case MboxFile:
		return kind != message.Mail
	case DboxFile:
		return kind == message.Dbox
	}
	return false
}
