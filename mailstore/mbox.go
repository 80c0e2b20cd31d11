package mailstore

import (
	"bytes"

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
