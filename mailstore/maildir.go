package mailstore

import (
	"path"
	"slices"
	"strings"
)

// infoMarks begin the part of a message's name that holds its flags. The
// last two stand for ":" in trees made on Windows.
var infoMarks = [...]string{":2,", ";2,", "!2,"}

func splitInfo(name string) (base, info string) {
	cut, end := len(name), len(name)
	for _, m := range infoMarks {
		if i := strings.Index(name, m); i >= 0 && i < cut {
			cut, end = i, i+len(m)
		}
	}
	return name[:cut], name[end:]
}

// BaseName returns what stays the same of a Maildir message's file name when
// its flags change: what comes before ":2,", or all of it.
func BaseName(name string) string {
	base, _ := splitInfo(name)
	return base
}

// Flags returns the flags in a Maildir message's file name: P, R, S, T, D, F
// and the keyword letters a to z, as they stand there.
func Flags(name string) string {
	_, info := splitInfo(name)
	flags, _, _ := strings.Cut(info, ",") // Dovecot writes nothing after a comma; other programs do
	return flags
}

// SplitMessage splits the path of a message of a Maildir, which lies in "cur" or
// "new", into the Maildir's path and the name of the file; ok is false for
// other paths.
func SplitMessage(p string) (maildir, name string, ok bool) {
	dir, name := path.Dir(p), path.Base(p)
	if !slices.Contains(messageDirs[:], path.Base(dir)) {
		return "", "", false
	}
	return path.Dir(dir), name, true
}
