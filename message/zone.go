package message

import (
	"fmt"
	"strconv"
	"strings"
)

// zones are the offsets of the zones that mail names: those of RFC 5322, section
// 4.3, and of Europe and Japan.
var zones = map[string]string{
	"UT": "+0000", "UTC": "+0000", "GMT": "+0000", "Z": "+0000",
	"EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500",
	"MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700",
	"WET": "+0000", "WEST": "+0100", "BST": "+0100", "CET": "+0100", "MET": "+0100", "CEST": "+0200", "MEST": "+0200",
	"EET": "+0200", "EEST": "+0300", "MSK": "+0300", "JST": "+0900",
}

// numericZones returns a date with offsets for the names of zones, so that it
// is read alike wherever this runs. A name at its end that nobody knows is UTC. A
// comment of one word is a name only there, and elsewhere nothing.
func numericZones(date string) string {
	words := strings.Fields(date)
	out := words[:0]
	for i, w := range words {
		last := i == len(words)-1
		if strings.HasPrefix(w, "(") && strings.HasSuffix(w, ")") {
			if !last {
				continue
			}
			w = w[1 : len(w)-1]
		}
		offset, ok := zoneOffset(w)
		if !ok && last && strings.Trim(strings.ToUpper(w), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
			offset, ok = "+0000", true
		}
		switch {
		case !ok:
			out = append(out, w)
		case len(out) == 0 || !isOffset(out[len(out)-1]): // after an offset the name only says it again
			out = append(out, offset)
		}
	}
	return strings.Join(out, " ")
}

// zoneOffset returns the offset of a zone that is given as EST, GMT+1 or UTC-03:30.
func zoneOffset(name string) (offset string, ok bool) {
	name = strings.ToUpper(name)
	if offset, ok := zones[name]; ok {
		return offset, true
	}
	rest, ok := strings.CutPrefix(name, "GMT")
	if !ok {
		rest, ok = strings.CutPrefix(name, "UTC")
	}
	if !ok || rest[0] != '+' && rest[0] != '-' {
		return "", false
	}
	digits := strings.ReplaceAll(rest[1:], ":", "")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || len(digits) > 4 {
		return "", false
	}
	if len(digits) <= 2 {
		n *= 100
	}
	return fmt.Sprintf("%c%04d", rest[0], n), true
}

func isOffset(word string) bool {
	return len(word) == 5 && (word[0] == '+' || word[0] == '-') && strings.Trim(word[1:], "0123456789") == ""
}
