package message

import "bytes"

// mailFields are the names by one of which a file is known as mail.
var mailFields = [...]string{
	"received", "return-path", "delivered-to", "from", "date", "message-id", "mime-version", "subject", "to", "cc", "reply-to",
	"dkim-signature", "arc-seal", "arc-message-signature", "arc-authentication-results", "authentication-results", "received-spf",
}

// LooksLikeMail reports whether a file that begins with head seems to be a
// message: its first lines are header fields, and two of the fields are ones
// that mail has. To cut a file as mail that is none costs nothing but a poorer
// cut.
func LooksLikeMail(head []byte) bool {
	head = bytes.TrimPrefix(head[:min(len(head), 16<<10)], byteOrder)
	known := 0
	for first := true; len(head) > 0 && known < 2; first = false {
		line, rest, whole := bytes.Cut(head, []byte{'\n'})
		head = rest
		if !whole || len(bytes.TrimRight(line, "\r")) == 0 {
			return false
		}
		if !first && (line[0] == ' ' || line[0] == '\t') {
			continue
		}
		name, _, field := bytes.Cut(line, []byte{':'})
		if !field || len(name) == 0 || bytes.ContainsAny(name, " \t") {
			return false
		}
		for _, f := range mailFields {
			if len(f) == len(name) && bytes.EqualFold(name, []byte(f)) {
				known++
			}
		}
	}
	return known >= 2
}

// LooksLikeDbox reports whether a file that begins with head is one of
// Dovecot's sdbox or mdbox, which begin with a file header and a message header.
func LooksLikeDbox(head []byte) bool {
	var d dbox
	n, ok := d.before(head)
	if !ok || d.header == 0 {
		return false
	}
	_, ok = d.message(head[n:])
	return ok
}
